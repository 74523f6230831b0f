//! What a text names: every value that could be a parameter, with its place.

use std::sync::LazyLock;

use jiff::civil::Date;
use regex::Regex;
use rust_decimal::Decimal;
use unicode_normalization::UnicodeNormalization;

use super::{
    Names, ParameterKind,
    catalogue::Catalogue,
    dates::stretches,
    numbers::{number, scale},
};
use crate::event::time::Calendar;

/// A value that stands in a text.
#[derive(Debug, Clone)]
pub(super) struct Mention {
    pub kind: ParameterKind,
    /// The value; several where it could be one or the other.
    pub values: Vec<String>,
    /// Its place, in bytes of the small text.
    pub at: std::ops::Range<usize>,
    /// What goes first where two overlap: the smaller.
    pub rank: u8,
    /// Whether a question that does not ask for it is not the one that is meant.
    pub is_firm: bool,
}

/// A text as it is compared: in one form of each character, and in small letters.
#[derive(Debug)]
pub(super) struct Heard {
    /// As it was written.
    pub plain: String,
    /// In small letters, with every character at the same place.
    pub small: String,
}

impl Heard {
    pub(super) fn new(text: &str) -> Self {
        let plain: String =
            text.nfkc().take(super::TEXT_MAX).map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
        let small = plain.to_ascii_lowercase();
        Self { plain, small }
    }
}

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($text).ok());
    };
}

pattern!(QUOTED, "[“\"「『《]([^”\"」』》]{1,100})[”\"」』》]");
// Between a Chinese character and a letter is no boundary of Unicode's words.
pattern!(ID, r"(?-u:\b)[A-Za-z]{1,12}(?:[-_][0-9A-Za-z]+)+(?-u:\b)");
pattern!(CODE, r"(?-u:\b)\d{5,15}(?-u:\b)");
pattern!(PAID_ZH, "(?:付给|支付给|打给|汇给|转给)了?([^ ,，。?？]{2,40}?)(?:多少|的|了|$|\\?)");
pattern!(PAID_TO_ZH, "向([^ ,，。?？]{2,40}?)的?(?:付款|支付|付了)");
pattern!(
    PAID_EN,
    r"(?:[Pp]ayments? to|[Pp]aid to) ([A-Z][\w&.' -]*?)(?: (?:since|in|last|this|during|over|above)\b|\?|$)"
);
pattern!(
    WORD,
    r"(?:用途|摘要)(?:里|中)?(?:含有|包含|含|写着|提到|有|是)([^ ,，。?？]{1,20}?)(?:的|$)|\b(?:mentions?|containing|contains) (\w+)"
);
pattern!(
    AMOUNT,
    r"(\d[\d,]*(?:\.\d+)?|[一二两三四五六七八九十百千]*[一二两三四五六七八九十百千])? ?(亿|千万|百万|十万|万|million|billion|thousand|bn|k\b|m\b)? ?(元|块|yuan|cny|rmb)?"
);
pattern!(
    PERCENT,
    r"(\d+(?:\.\d+)?) ?(?:%|percent\b|per cent\b)|百分之([一二三四五六七八九十]+|\d+)|([一二三四五六七八九]|\d)成(五|半)?"
);
pattern!(
    TOP,
    r"(?:前|top ?)(\d+|[一二三四五六七八九十]+)|(\d+|[一二三四五六七八九十]+) ?(?:个|笔|条|家|名|项|位)|\b(\d+|two|three|five|ten|twenty|fifty) (?:largest|biggest|oldest|highest|latest|smallest|most)\b"
);

/// Words before and behind a number that make it an amount without its unit.
const ABOVE: [&str; 9] =
    ["超过", "大于", "高于", "不低于", "over", "above", "more than", "at least", "exceeding"];
/// What stands behind numbers that are no amounts.
const COUNTED: &str = "个笔条家名项位天日周月年成%大";

/// Everything that a text could mean by names, codes, dates and numbers.
pub(super) fn found(
    heard: &Heard,
    names: &Names,
    catalogue: &Catalogue,
    today: Date,
    calendar: &Calendar,
) -> Vec<Mention> {
    let mut all = Vec::new();
    quoted(heard, &mut all);
    ids(heard, &mut all);
    places(heard, names, &mut all);
    rules(heard, names, &mut all);
    for stretch in stretches(&heard.small, today, calendar) {
        let mut add = |kind, value| {
            all.push(Mention { kind, values: vec![value], at: stretch.at.clone(), rank: 1, is_firm: true });
        };
        if let Some(year) = stretch.year {
            add(ParameterKind::Year, year.to_string());
        }
        add(ParameterKind::Period, format!("{}/{}", stretch.from, stretch.to));
    }
    for (kind, ways) in [
        (ParameterKind::Class, &catalogue.classes),
        (ParameterKind::Economic, &catalogue.economics),
        (ParameterKind::Severity, &catalogue.severities),
    ] {
        for (way, code) in ways {
            words(&heard.small, way).for_each(|at| all.push(one(kind, code.clone(), at, 4, false)));
        }
    }
    amounts(heard, &mut all);
    tops(heard, &mut all);
    all
}

fn one(kind: ParameterKind, value: String, at: std::ops::Range<usize>, rank: u8, is_firm: bool) -> Mention {
    Mention { kind, values: vec![value], at, rank, is_firm }
}

/// The places of a word: English only as a whole one.
fn words<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = std::ops::Range<usize>> + 't {
    let is_letter = |c: char| c.is_ascii_alphanumeric();
    text.match_indices(word).map(|(at, found)| at..at + found.len()).filter(move |at| {
        let before = text[..at.start].chars().next_back().is_some_and(is_letter);
        let behind = text[at.end..].chars().next().is_some_and(is_letter);
        !(word.chars().next().is_some_and(is_letter) && before
            || word.chars().next_back().is_some_and(is_letter) && behind)
    })
}

fn quoted(heard: &Heard, all: &mut Vec<Mention>) {
    let mut add = |kind, part: regex::Match<'_>, whole: regex::Match<'_>| {
        all.push(one(kind, part.as_str().trim().to_owned(), whole.range(), 0, false));
    };
    for captures in QUOTED.iter().flat_map(|pattern| pattern.captures_iter(&heard.plain)) {
        if let (Some(whole), Some(part)) = (captures.get(0), captures.get(1)) {
            add(ParameterKind::Text, part, whole);
            add(ParameterKind::Payee, part, whole);
        }
    }
    for pattern in [&PAID_ZH, &PAID_TO_ZH, &PAID_EN] {
        for captures in pattern.iter().flat_map(|pattern| pattern.captures_iter(&heard.plain)) {
            let Some(part) = captures.get(1) else { continue };
            let is_name = !["个人", "谁", "哪", "自然人"].iter().any(|word| part.as_str().contains(word));
            if is_name && !part.as_str().contains(['“', '"', '「', '《']) {
                all.push(one(ParameterKind::Payee, part.as_str().trim().to_owned(), part.range(), 3, false));
            }
        }
    }
    for captures in WORD.iter().flat_map(|pattern| pattern.captures_iter(&heard.plain)) {
        if let Some(part) = captures.get(1).or_else(|| captures.get(2)) {
            all.push(one(ParameterKind::Text, part.as_str().to_owned(), part.range(), 3, false));
        }
    }
}

/// Ids of lines and events. A line's often begins with BL, and anything else may be either.
fn ids(heard: &Heard, all: &mut Vec<Mention>) {
    for id in ID.iter().flat_map(|pattern| pattern.find_iter(&heard.plain)) {
        if !id.as_str().bytes().any(|b| b.is_ascii_digit()) {
            continue;
        }
        let is_line = id.as_str().to_ascii_uppercase().starts_with("BL");
        for (kind, is_firm) in [(ParameterKind::Line, is_line), (ParameterKind::Event, !is_line)] {
            all.push(one(kind, id.as_str().to_owned(), id.range(), 0, is_firm));
        }
    }
}

/// Units and regions, by their codes or their names; a unit also by the end of its name.
fn places(heard: &Heard, names: &Names, all: &mut Vec<Mention>) {
    for code in CODE.iter().flat_map(|pattern| pattern.find_iter(&heard.small)) {
        let text = code.as_str();
        let (unit, region) = (names.unit(text), names.region(text));
        let (before, behind) =
            (heard.small[..code.start()].trim_end(), heard.small[code.end()..].trim_start());
        let says_unit = before.ends_with("unit") || before.ends_with("单位") || behind.starts_with("单位");
        if unit.is_none() && region.is_none() && text.len() < 9 && !says_unit {
            continue;
        }
        // A code that is not theirs is none: nothing is answered, not even of all other units.
        let unit_values = unit.into_iter().collect();
        if let Some(region) = region.filter(|_| !says_unit) {
            all.push(one(ParameterKind::Region, region, code.range(), 2, true));
            continue;
        }
        all.push(Mention {
            kind: ParameterKind::Unit,
            values: unit_values,
            at: code.range(),
            rank: 2,
            is_firm: true,
        });
    }
    for (code, name) in names.regions() {
        words(&heard.plain, name)
            .for_each(|at| all.push(one(ParameterKind::Region, code.to_owned(), at, 5, true)));
    }
    units(heard, names, all);
}

/// The shortest end of a name that is taken for it, in characters.
const END_MIN: usize = 3;

fn units(heard: &Heard, names: &Names, all: &mut Vec<Mention>) {
    // The longest end of a name that stands in the text; several units may have it.
    let mut ends: Vec<(std::ops::Range<usize>, Vec<String>)> = Vec::new();
    for (code, name) in names.units().filter(|(_, name)| !name.is_empty()) {
        let signs: Vec<usize> = name.char_indices().map(|(at, _)| at).collect();
        let ends_of = signs.iter().take(signs.len().saturating_sub(END_MIN - 1));
        let longest =
            ends_of.map(|at| &name[*at..]).find_map(|end| Some((heard.plain.find(end)?, end.len())));
        let Some((at, length)) = longest else { continue };
        let range = at..at + length;
        match ends.iter_mut().find(|(known, _)| *known == range) {
            Some((_, codes)) => codes.push(code.to_owned()),
            None => ends.push((range, vec![code.to_owned()])),
        }
    }
    for (at, mut values) in ends {
        // A name that is written whole is that unit's, whoever else ends so.
        let whole = values
            .iter()
            .find(|code| names.label(ParameterKind::Unit, code) == Some(&heard.plain[at.clone()]));
        if let Some(whole) = whole.cloned() {
            values = vec![whole];
        }
        all.push(Mention { kind: ParameterKind::Unit, values, at, rank: 2, is_firm: true });
    }
}

fn rules(heard: &Heard, names: &Names, all: &mut Vec<Mention>) {
    for (id, way) in names.rules() {
        // Nobody writes an id and means something else.
        let is_firm = way == id && id.contains('-');
        words(&heard.small, &way.to_lowercase())
            .for_each(|at| all.push(one(ParameterKind::Rule, id.to_owned(), at, 3, is_firm)));
    }
}

fn amounts(heard: &Heard, all: &mut Vec<Mention>) {
    let text = &heard.small;
    for captures in PERCENT.iter().flat_map(|pattern| pattern.captures_iter(text)) {
        let value = |at: usize| captures.get(at).and_then(|part| number(part.as_str()));
        let part = value(1).or_else(|| value(2)).map(|n| n / Decimal::from(100));
        let half = if captures.get(4).is_some() { Decimal::new(5, 2) } else { Decimal::ZERO };
        let part = part.or_else(|| Some(value(3)? / Decimal::from(10) + half));
        if let (Some(part), Some(whole)) = (part, captures.get(0)) {
            all.push(one(ParameterKind::Percent, part.normalize().to_string(), whole.range(), 1, false));
        }
    }
    for captures in AMOUNT.iter().flat_map(|pattern| pattern.captures_iter(text)) {
        let (Some(whole), Some(digits)) = (captures.get(0), captures.get(1)) else { continue };
        let unit = captures.get(2).map_or("", |part| part.as_str().trim());
        let has_unit = !unit.is_empty() || captures.get(3).is_some();
        let end = whole.start() + whole.as_str().trim_end().len();
        let (before, behind) = (&text[..whole.start()], text[end..].trim_start());
        let is_above =
            ABOVE.iter().any(|word| before.trim_end().ends_with(word)) || behind.starts_with("以上");
        let is_counted = behind.starts_with(|c| COUNTED.contains(c));
        let glued = before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.')
            || text[end..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
        if glued || is_counted || !(has_unit || is_above) {
            continue;
        }
        let value = number(digits.as_str()).zip(scale(unit)).and_then(|(n, times)| n.checked_mul(times));
        if let Some(value) = value {
            all.push(one(ParameterKind::Amount, value.normalize().to_string(), whole.start()..end, 6, true));
        }
    }
}

fn tops(heard: &Heard, all: &mut Vec<Mention>) {
    for captures in TOP.iter().flat_map(|pattern| pattern.captures_iter(&heard.small)) {
        let Some(digits) = captures.get(1).or_else(|| captures.get(2)).or_else(|| captures.get(3)) else {
            continue;
        };
        let is_year = digits.as_str().len() == 4 && digits.as_str().bytes().all(|b| b.is_ascii_digit());
        // "一条" is any one.
        if let (Some(top), false) = (number(digits.as_str()).filter(|n| *n > Decimal::ONE), is_year) {
            all.push(one(ParameterKind::Top, top.normalize().to_string(), digits.range(), 7, false));
        }
    }
}
