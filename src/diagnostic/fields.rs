//! What serde has against a record or a request, in our words: its messages are recognised by their shape.

use serde_json::error::Category;

use super::suggest;
use crate::{say, text::quoted};

/// What is wrong with a line of JSON.
#[must_use]
pub fn json_fault(error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Syntax | Category::Eof => {
            say!("it is not JSON from column {column} on", column = error.column())
        }
        Category::Data | Category::Io => field_fault(&error.to_string()),
    }
}

/// What is wrong with a field, from the message of serde.
#[must_use]
pub fn field_fault(text: &str) -> String {
    let named = |start: &str| between(text, start, "`");
    if let Some(name) = named("unknown field `") {
        let hint = suggest(name, expected(text));
        return say!("there is no {name} here: {hint}", name = quoted(name), hint);
    }
    if let Some(name) = named("missing field `") {
        return say!("{name} is missing", name);
    }
    if let Some(name) = named("duplicate field `") {
        return say!("{name} is given more than once", name);
    }
    if let Some(word) = named("unknown variant `") {
        let hint = suggest(word, expected(text));
        return say!("{word} is no word that can stand here: {hint}", word = quoted(word), hint);
    }
    if let Some(value) = named("Cannot parse `") {
        return say!("{value} in the address is no number", value = quoted(value));
    }
    if let Some((before, _)) = text.split_once(": provided string was not `true` or `false`") {
        let name = before.rsplit(": ").next().unwrap_or(before);
        return say!("{name} must be true or false", name);
    }
    match field(text) {
        Some(name) => say!("the value of {name} is not of the type that it must be", name),
        None => say!("a value is not of the type that it must be"),
    }
}

/// The words that may stand there: those in backticks behind `expected`.
fn expected(text: &str) -> Vec<&str> {
    let behind = text.split("expected").nth(1).unwrap_or_default();
    behind.split('`').skip(1).step_by(2).collect()
}

/// The field that a value belongs to: `…: who: invalid type: …`.
fn field(text: &str) -> Option<&str> {
    let name = text.split(": invalid ").next()?.rsplit(": ").next()?;
    (text.contains(": invalid ") && !name.contains(' ')).then_some(name)
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    text.split_once(start)?.1.split(end).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_fields_are_told_in_our_words() {
        for (serde, ours) in [
            (
                "unknown field `rul`, expected one of `rule`, `unit`",
                "there is no \"rul\" here: did you mean \"rule\"?",
            ),
            ("missing field `kind` at line 1 column 2", "kind is missing"),
            ("duplicate field `who` at line 1 column 20", "who is given more than once"),
            (
                "unknown variant `opn`, expected `open` or `closed`",
                "\"opn\" is no word that can stand here: did you mean \"open\"?",
            ),
            (
                "Failed to deserialize query string: atomic: provided string was not `true` or `false`",
                "atomic must be true or false",
            ),
            (
                "invalid type: integer `5`, expected a string at line 1 column 9",
                "a value is not of the type that it must be",
            ),
        ] {
            assert_eq!(field_fault(serde), ours);
        }
    }
}
