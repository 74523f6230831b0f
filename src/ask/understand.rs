//! Which question a text means: what it is about is compared with what each question is about, and its names and numbers
//! with the parameters that each takes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::{
    Names, OFFERED, ParameterKind, Question,
    catalogue::{Catalogue, catalogue},
    found::{Heard, Mention, found},
    value::checked,
};
use crate::event::time::Calendar;

/// The values that a question was given, by the kinds of its parameters.
pub type ParameterValues = BTreeMap<ParameterKind, String>;

/// A question with its parameters, and how well it fits a text.
#[derive(Debug, Clone)]
pub struct Meaning {
    /// The question of the catalogue that is meant.
    pub question: &'static Question,
    /// What the text gives.
    pub given: ParameterValues,
    /// What the question needs and the text does not give.
    pub missing: Vec<ParameterKind>,
    /// Values of which one is meant, where that is not clear.
    pub unclear: Vec<(ParameterKind, Vec<String>)>,
    /// How well it fits, at most about one and a half.
    pub score: f64,
}

impl Meaning {
    /// Whether it can be asked as it is.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.unclear.is_empty()
    }
}

/// What became of a text.
#[derive(Debug, Clone)]
pub enum Understood {
    /// The one question that is meant, with its values.
    This(Meaning),
    /// One of these may be: the nearest first.
    OneOf(Vec<Meaning>),
}

/// Below this nothing is meant.
const ENOUGH: f64 = 0.45;
/// Two that are closer than this are not told apart.
const APART: f64 = 0.03;

/// What a text means.
#[must_use]
pub fn understand(text: &str, names: &Names, today: Date, calendar: &Calendar) -> Understood {
    let mut all = candidates(text, names, today, calendar);
    let first = all.first().map_or(0.0, |meaning| meaning.score);
    let second = all.get(1).map_or(0.0, |meaning| meaning.score);
    if first >= ENOUGH && first - second >= APART && all[0].is_whole() {
        return Understood::This(all.swap_remove(0));
    }
    all.truncate(OFFERED);
    Understood::OneOf(all)
}

/// All questions, the one that fits best first.
#[must_use]
pub fn candidates(text: &str, names: &Names, today: Date, calendar: &Calendar) -> Vec<Meaning> {
    let catalogue = catalogue();
    let heard = Heard::new(text);
    let all = found(&heard, names, catalogue, today, calendar);
    let meaning = |question: &'static Question| meaning(question, &heard, &all, names, catalogue);
    let mut meanings: Vec<_> = catalogue.questions.iter().map(meaning).collect();
    meanings.sort_by(|a, b| b.score.total_cmp(&a.score));
    meanings
}

fn meaning(
    question: &'static Question,
    heard: &Heard,
    all: &[Mention],
    names: &Names,
    catalogue: &Catalogue,
) -> Meaning {
    let (taken, strays) = parted(question, all);
    let mut meaning = Meaning {
        question,
        given: ParameterValues::new(),
        missing: Vec::new(),
        unclear: Vec::new(),
        score: 0.0,
    };
    for found in &taken {
        match found.values.as_slice() {
            [value] => {
                if let Ok(value) = checked(found.kind, value, names) {
                    meaning.given.insert(found.kind, value);
                }
            }
            [] => meaning.missing.push(found.kind),
            several => meaning.unclear.push((found.kind, several.to_vec())),
        }
    }
    let unknown = std::mem::take(&mut meaning.missing);
    let lacks = |kind: &&ParameterKind| {
        !meaning.given.contains_key(kind) && !meaning.unclear.iter().any(|(k, _)| k == *kind)
    };
    meaning.missing = question.needs.iter().filter(lacks).copied().collect();
    let masked = masked(&heard.small, taken.iter().chain(&strays));
    let about = words_of(&masked, catalogue);
    let fits = question.about.iter().map(|set| likeness(set, &about, catalogue)).fold(0.0, f64::max);
    let met = question.needs.len() - meaning.missing.len();
    let alike = phrase_likeness(question, &masked);
    let lacking = meaning.missing.len();
    // A value that is not known is to be given, and the question is the same.
    meaning.missing.extend(unknown.into_iter().filter(|kind| !question.needs.contains(kind)));
    meaning.score =
        fits + 0.15 * alike + 0.2 * count(met) - 0.35 * count(lacking) - 0.2 * count(strays.len());
    meaning
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// The values that a question takes, one of a kind, and those that it has no use for.
fn parted<'f>(question: &Question, all: &'f [Mention]) -> (Vec<&'f Mention>, Vec<&'f Mention>) {
    let overlaps = |a: &Mention, b: &Mention| a.at.start < b.at.end && b.at.start < a.at.end;
    let mut order: Vec<&Mention> = all.iter().collect();
    order.sort_by_key(|found| (found.rank, std::cmp::Reverse(found.at.len()), found.at.start));
    let mut taken: Vec<&Mention> = Vec::new();
    let mut strays: Vec<&Mention> = Vec::new();
    for found in order {
        if taken.iter().chain(&strays).any(|other| overlaps(other, found)) {
            continue;
        }
        let is_new = !taken.iter().any(|other| other.kind == found.kind);
        if question.has(found.kind) && is_new {
            taken.push(found);
        } else if found.is_firm && !all.iter().any(|o| o.at == found.at && question.has(o.kind)) {
            strays.push(found);
        }
    }
    (taken, strays)
}

/// The text with blanks where values stand.
fn masked<'f>(text: &str, values: impl Iterator<Item = &'f &'f Mention>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    values.for_each(|found| bytes[found.at.clone()].fill(b' '));
    String::from_utf8(bytes).unwrap_or_default()
}

/// The words that a text has, the longest way of saying each place.
fn words_of(text: &str, catalogue: &Catalogue) -> BTreeSet<String> {
    let signs: Vec<char> = text.chars().collect();
    let is_letter = |at: Option<&char>| at.is_some_and(char::is_ascii_alphanumeric);
    let (mut at, mut words) = (0, BTreeSet::new());
    while at < signs.len() {
        let ways = catalogue.ways.get(&signs[at]).map(Vec::as_slice).unwrap_or_default();
        let fits = |form: &&(Vec<char>, String)| {
            let form = &form.0;
            signs[at..].starts_with(form)
                && !(is_letter(form.first()) && at > 0 && is_letter(signs.get(at - 1)))
                && !(is_letter(form.last()) && is_letter(signs.get(at + form.len())))
        };
        // One way may say several words.
        let longest = ways.iter().find(fits).map(|(form, _)| form.len());
        let Some(longest) = longest else {
            at += 1;
            continue;
        };
        let said = ways.iter().filter(|way| way.0.len() == longest).filter(fits);
        words.extend(said.map(|(_, word)| word.clone()));
        at += longest;
    }
    words
}

/// How much of two sets of words is common, by what each word tells.
fn likeness(set: &[String], about: &BTreeSet<String>, catalogue: &Catalogue) -> f64 {
    let weight = |word: &String| catalogue.weights.get(word).copied().unwrap_or_default();
    let common: f64 = set.iter().filter(|word| about.contains(*word)).map(weight).sum();
    let all: f64 = set.iter().map(weight).sum::<f64>() + about.iter().map(weight).sum::<f64>();
    if all > 0.0 { 2.0 * common / all } else { 0.0 }
}

/// How much a text is like the question's own phrase: pairs of characters, which tell near misses apart.
fn phrase_likeness(question: &Question, text: &str) -> f64 {
    use crate::text::Language::{En, Zh};
    let of = pairs(text);
    let like = |language| {
        let own = pairs(&question.phrase(language).to_lowercase());
        let common = own.intersection(&of).count();
        2.0 * count(common) / count((own.len() + of.len()).max(1))
    };
    like(Zh).max(like(En))
}

fn pairs(text: &str) -> BTreeSet<(char, char)> {
    let signs: Vec<char> = text.chars().filter(|c| c.is_alphanumeric()).collect();
    signs.windows(2).map(|pair| (pair[0], pair[1])).collect()
}
