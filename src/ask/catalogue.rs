//! The questions and the words that they are made of, as the files beside this one have them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use serde::{Deserialize, Serialize};

use crate::text::Language;

const QUESTIONS: &str = include_str!("catalogue.yaml");
const WORDS: &str = include_str!("words.yaml");

/// What a parameter is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[schema(as = AskedFor)]
pub enum ParameterKind {
    /// A fiscal year.
    Year,
    /// The first day and the day after the last, parted by `/`.
    Period,
    /// The code of a unit; units below it are meant too.
    Unit,
    /// The code of a region, or its beginning.
    Region,
    /// The code of a functional class, or its beginning.
    Class,
    /// The code of an economic category, or its beginning.
    Economic,
    /// An amount in yuan, the least that is meant.
    Amount,
    /// A part of one.
    Percent,
    /// How many rows.
    Top,
    /// A part of a payee's name.
    Payee,
    /// A word that is looked for.
    Text,
    /// A rule, by its id.
    Rule,
    /// A severity.
    Severity,
    /// A budget line, by its id.
    Line,
    /// An event, by its id.
    Event,
}

impl ParameterKind {
    /// Its word in the catalogue and in queries.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Period => "period",
            Self::Unit => "unit",
            Self::Region => "region",
            Self::Class => "class",
            Self::Economic => "economic",
            Self::Amount => "amount",
            Self::Percent => "percent",
            Self::Top => "top",
            Self::Payee => "payee",
            Self::Text => "text",
            Self::Rule => "rule",
            Self::Severity => "severity",
            Self::Line => "line",
            Self::Event => "event",
        }
    }
}

/// What is drawn beside the table.
#[derive(Debug, Clone, Deserialize, Serialize, PartialEq, Eq, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AnswerChart)]
pub struct Chart {
    /// `bars` or `columns`.
    pub kind: String,
    /// The column that names each.
    pub label: String,
    /// The column that is drawn.
    pub value: String,
}

/// What can be asked, with the words that it is recognised by.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What it is called by programs.
    pub id: String,
    zh: String,
    en: String,
    /// Sets of words, one of which a text has to have.
    pub about: Vec<Vec<String>>,
    /// Parameters that it may have.
    #[serde(default)]
    pub takes: Vec<ParameterKind>,
    /// Parameters that it must have.
    #[serde(default)]
    pub needs: Vec<ParameterKind>,
    /// What stands for parameters that are not given.
    #[serde(default)]
    pub defaults: BTreeMap<ParameterKind, String>,
    /// The query, with its fragments put in.
    pub sql: String,
    #[serde(default)]
    pub(crate) chart: Option<Chart>,
}

impl Question {
    /// The question as people read it.
    #[must_use]
    pub fn phrase(&self, language: Language) -> &str {
        match language {
            Language::Zh => &self.zh,
            Language::En => &self.en,
        }
    }

    /// Whether it has a parameter of this kind.
    #[must_use]
    pub fn has(&self, kind: ParameterKind) -> bool {
        self.takes.contains(&kind) || self.needs.contains(&kind)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Questions {
    fragments: BTreeMap<String, String>,
    #[serde(rename = "questions")]
    all: Vec<Question>,
    columns: BTreeMap<String, [String; 2]>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    light: Vec<String>,
    #[serde(rename = "words")]
    others: BTreeMap<String, Vec<String>>,
    classes: BTreeMap<String, Vec<String>>,
    economics: BTreeMap<String, Vec<String>>,
    severities: BTreeMap<String, Vec<String>>,
}

/// All questions, and the words.
#[derive(Debug)]
pub struct Catalogue {
    /// In the order in which they are shown.
    pub questions: Vec<Question>,
    /// What columns are called, in Chinese and English.
    pub columns: BTreeMap<String, [String; 2]>,
    /// How much each word tells.
    pub(super) weights: HashMap<String, f64>,
    /// Ways of saying a word by their first character, the longest first, with the word.
    pub(super) ways: HashMap<char, Vec<(Vec<char>, String)>>,
    pub(super) classes: Vec<(String, String)>,
    pub(super) economics: Vec<(String, String)>,
    pub(super) severities: Vec<(String, String)>,
}

impl Catalogue {
    /// A question by its id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Question> {
        self.questions.iter().find(|question| question.id == id)
    }

    fn read(questions: Questions, words: Words) -> Self {
        let Questions { fragments, all: mut questions, columns } = questions;
        for question in &mut questions {
            for (name, text) in &fragments {
                question.sql = question.sql.replace(&format!("{{{{{name}}}}}"), text);
            }
        }
        let mut ways: HashMap<char, Vec<(Vec<char>, String)>> = HashMap::new();
        for (word, forms) in &words.others {
            for form in forms {
                let form: Vec<char> = form.chars().collect();
                let Some(first) = form.first().copied() else { continue };
                ways.entry(first).or_default().push((form, word.clone()));
            }
        }
        ways.values_mut().for_each(|ways| ways.sort_by_key(|(form, _)| std::cmp::Reverse(form.len())));
        let weights = weights(&questions, &words);
        let forms = |codes: BTreeMap<String, Vec<String>>| {
            let each = |(code, forms): (String, Vec<String>)| {
                forms.into_iter().map(move |form| (form, code.clone())).collect::<Vec<_>>()
            };
            codes.into_iter().flat_map(each).collect()
        };
        let Words { classes, economics, severities, .. } = words;
        let (classes, economics, severities) = (forms(classes), forms(economics), forms(severities));
        Self { questions, columns, weights, ways, classes, economics, severities }
    }
}

/// A word that few questions are about tells more than one that many are.
fn weights(questions: &[Question], words: &Words) -> HashMap<String, f64> {
    let size = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    let all = size(questions.len());
    let weight = |word: &String| {
        let about = |question: &&Question| question.about.iter().any(|set| set.contains(word));
        let number = size(questions.iter().filter(about).count());
        let light = if words.light.contains(word) { 0.3 } else { 1.0 };
        (word.clone(), light * ((all + 1.0) / (number + 0.5)).ln())
    };
    words.others.keys().map(weight).collect()
}

/// The catalogue that is built in. A test reads it whole.
pub fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
        let questions = serde_saphyr::from_str(QUESTIONS).unwrap_or_default();
        let words = serde_saphyr::from_str(WORDS).unwrap_or_default();
        Catalogue::read(questions, words)
    });
    &CATALOGUE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_read_and_agree() {
        let questions: Questions = serde_saphyr::from_str(QUESTIONS).unwrap();
        let words: Words = serde_saphyr::from_str(WORDS).unwrap();
        assert!(questions.all.len() >= 60, "{}", questions.all.len());
        let mut ids: Vec<_> = questions.all.iter().map(|question| &question.id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), questions.all.len());
        for question in &questions.all {
            assert!(!question.zh.is_empty() && !question.en.is_empty() && !question.about.is_empty());
            for word in question.about.iter().flatten() {
                assert!(words.others.contains_key(word), "{}: {word}", question.id);
            }
        }
        assert!(words.light.iter().all(|word| words.others.contains_key(word)));
        for question in &catalogue().questions {
            assert!(!question.sql.contains("{{"), "{}: {}", question.id, question.sql);
        }
    }
}
