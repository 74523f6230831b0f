//! Messages about files that people write: what is wrong, where, and what to do.

use std::fmt;

use crate::{say, text::did_you_mean};

pub(crate) mod characters;
mod engine;
mod fields;
pub(crate) mod syntax;
mod system;
mod words;

pub use engine::{ExpressionProblem, Failure, at_run_time, failure};
pub use fields::{field_fault, json_fault};
pub use system::{os_reason, read_text};
pub use words::{column_of, type_name, value_of};

/// One thing that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// The file as it was named.
    pub file: String,
    /// The line, from 1; 0 if the whole file is meant.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, in a sentence for people.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// About a file as a whole.
    #[must_use]
    pub fn of_file(file: &str, message: impl Into<String>, hint: Option<String>) -> Self {
        Self { file: file.to_owned(), line: 0, column: 0, message: message.into(), hint }
    }

    /// A message that says itself what it is about.
    pub(crate) fn of_itself(message: String) -> Self {
        Self::of_file("", message, None)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.file.is_empty() {
            f.write_str(&self.message)?;
        } else if self.line == 0 {
            write!(f, "{}: {}", self.file, self.message)?;
        } else {
            write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n    {}", say!("hint: {hint}", hint)),
            None => Ok(()),
        }
    }
}

/// The candidate that a misspelt name most likely means, if one is near enough.
#[must_use]
pub fn nearest<'n>(name: &str, candidates: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let likeness = |candidate: &str| strsim::damerau_levenshtein(&name.to_lowercase(), candidate);
    let limit = (name.chars().count() / 3).max(2);
    // A name is no hint for itself.
    let others = candidates.into_iter().filter(|candidate| *candidate != name);
    let best = others.map(|c| (likeness(c), c)).min_by_key(|(distance, _)| *distance)?;
    (best.0 <= limit).then_some(best.1)
}

/// "did you mean …?", or the whole choice where nothing is near.
#[must_use]
pub fn suggest<'n>(name: &str, candidates: impl IntoIterator<Item = &'n str>) -> String {
    let candidates: Vec<_> = candidates.into_iter().collect();
    match nearest(name, candidates.iter().copied()) {
        Some(near) => did_you_mean(near),
        None => say!("known are: {names}", names = candidates.join(", ")),
    }
}

/// The word that a wrong one means: by its Chinese, else by its letters, else all of them.
#[must_use]
pub fn meant(word: &str, known: &[&str]) -> String {
    match value_of(word, known) {
        Some(ours) => did_you_mean(ours),
        None => suggest(word, known.iter().copied()),
    }
}

/// Several problems, a line each.
#[must_use]
pub fn lines(problems: &[Diagnostic]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_or_all() {
        let names = ["amount", "unit_code", "unit_name"];
        assert_eq!(nearest("amuont", names), Some("amount"));
        assert_eq!(nearest("unit_cod", names), Some("unit_code"));
        assert_eq!(nearest("zzz", names), None);
        assert_eq!(suggest("zzz", names), "known are: amount, unit_code, unit_name");
    }
}
