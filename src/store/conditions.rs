//! Conditions of a SELECT, with the values of their question marks.

use rusqlite::types::Value;

use crate::event::pattern::{self, CodePattern};

/// Conditions, all of which hold.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    sql: String,
    /// The values of their question marks, in order.
    pub values: Vec<Value>,
}

impl Conditions {
    /// The clause; everything without a condition.
    pub(crate) fn clause(&self) -> String {
        if self.sql.is_empty() { String::new() } else { format!("WHERE {}", self.sql) }
    }

    /// The conditions as a value: 1 where they hold.
    pub(crate) fn value(&self) -> &str {
        if self.sql.is_empty() { "1" } else { &self.sql }
    }

    /// Adds a condition with the values of its question marks.
    pub(crate) fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        if !self.sql.is_empty() {
            self.sql.push_str(" AND ");
        }
        self.sql.push_str(condition);
        self.values.extend(values);
    }

    /// Adds an equation, if there is something to be equal to.
    pub(crate) fn equal(&mut self, column: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.and(&format!("{column} = ?"), [value.clone().into()]);
        }
    }

    /// Adds that a column is one of some words, if there are any.
    pub(crate) fn one_of(&mut self, column: &str, words: Option<&String>) {
        if let Some(words) = words {
            self.any(words, |word| (format!("{column} = ?"), Some(word.to_owned())));
        }
    }

    /// Adds that a column, a JSON list of texts, has one of some words, or one that begins with a word before `*`.
    pub(crate) fn has_one_of(&mut self, column: &str, words: Option<&String>) {
        let quoted = |word: &str| serde_json::Value::from(word).to_string();
        if let Some(words) = words {
            self.any(words, |word| {
                let text = match CodePattern::of(word) {
                    CodePattern::Beginning(start) => {
                        quoted(start).strip_suffix('"').map(str::to_owned).unwrap_or_default()
                    }
                    CodePattern::Whole(word) => quoted(word),
                };
                (format!("instr({column}, ?) > 0"), Some(text))
            });
        }
    }

    /// Adds that one of the conditions of some words holds.
    pub(crate) fn any(&mut self, words: &str, condition: impl Fn(&str) -> (String, Option<String>)) {
        let (conditions, values): (Vec<_>, Vec<_>) = pattern::words(words).map(condition).unzip();
        if !conditions.is_empty() {
            let values = values.into_iter().flatten().map(Value::from);
            self.and(&format!("({})", conditions.join(" OR ")), values.collect::<Vec<_>>());
        }
    }

    /// Adds that one or the other holds.
    pub(crate) fn either(&mut self, one: Self, other: Self) {
        if !one.sql.is_empty() && !other.sql.is_empty() {
            self.and(&format!("({} OR {})", one.sql, other.sql), one.values.into_iter().chain(other.values));
        }
    }

    /// Adds other conditions, between two texts, if there are any.
    pub(crate) fn within(&mut self, before: &str, inner: Self, after: &str) {
        if !inner.sql.is_empty() {
            self.and(&format!("{before}{}{after}", inner.sql), inner.values);
        }
    }
}
