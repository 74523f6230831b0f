//! What is wrong with a command line, in our words: clap knows what, this says it.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

use crate::say;

/// The message for a command line that clap refused.
pub fn message(error: &Error) -> String {
    let mut message = format!("fiscwatch: {}", problem(error));
    for kind in [ContextKind::SuggestedArg, ContextKind::SuggestedValue, ContextKind::SuggestedSubcommand] {
        if let Some(near) = text(error, kind) {
            message += &format!("\n    {}", say!("hint: did you mean {near}?", near));
        }
    }
    if let Some(usage) = text(error, ContextKind::Usage) {
        let usage = usage.trim_start_matches("Usage: ").to_owned();
        let command: Vec<_> =
            usage.split_whitespace().take_while(|word| !word.starts_with(['[', '<', '-'])).collect();
        message += &format!("\n{}", say!("usage: {usage}", usage));
        message += &format!("\n{}", say!("`{command} --help` tells more", command = command.join(" ")));
    }
    message
}

fn problem(error: &Error) -> String {
    let argument = text(error, ContextKind::InvalidArg).unwrap_or_default();
    let value = text(error, ContextKind::InvalidValue).unwrap_or_default();
    let number = |kind| text(error, kind).unwrap_or_default();
    match error.kind() {
        ErrorKind::InvalidValue if value.is_empty() => say!("{argument} needs a value", argument),
        ErrorKind::InvalidValue => {
            let known = text(error, ContextKind::ValidValue).unwrap_or_default();
            say!("{value} is no value of {argument}: write one of {known}", value, argument, known)
        }
        ErrorKind::ValueValidation => {
            say!("{value} is no value of {argument}: {reason}", value, argument, reason = reason(error))
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            say!("there is no option {argument} here", argument)
        }
        ErrorKind::UnknownArgument => say!("{argument} is one word too many", argument),
        ErrorKind::InvalidSubcommand => {
            let name = text(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            say!("there is no command {name}", name)
        }
        ErrorKind::MissingSubcommand => {
            let command = text(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            let known = text(error, ContextKind::ValidSubcommand).unwrap_or_default();
            say!("{command} needs one of the commands {known}", command, known)
        }
        ErrorKind::MissingRequiredArgument => say!("{argument} is missing", argument),
        ErrorKind::ArgumentConflict => match text(error, ContextKind::PriorArg) {
            Some(prior) if prior != argument => {
                say!("{argument} and {prior} cannot be given together", argument, prior)
            }
            _ => say!("{argument} is given more than once", argument),
        },
        ErrorKind::TooManyValues => say!("{value} is one value too many for {argument}", value, argument),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            let wanted = text(error, ContextKind::ExpectedNumValues);
            say!(
                "{argument} takes {wanted} values, and {given} are given",
                argument,
                wanted = wanted.unwrap_or_else(|| number(ContextKind::MinValues)),
                given = number(ContextKind::ActualNumValues),
            )
        }
        ErrorKind::InvalidUtf8 => say!("a word of the command line is not UTF-8"),
        _ => error.to_string(),
    }
}

/// A part of what clap knows, as text.
fn text(error: &Error, kind: ContextKind) -> Option<String> {
    let shown = |parts: &[String]| parts.join(", ");
    match error.get(kind)? {
        ContextValue::Strings(parts) => Some(shown(parts)),
        ContextValue::None => None,
        other => Some(other.to_string()),
    }
}

/// Why a value was refused: our own parsers say it, and what the standard library says is said anew.
fn reason(error: &Error) -> String {
    let Some(source) = error.source() else { return String::new() };
    if source.is::<std::num::ParseIntError>() {
        return say!("a whole number is wanted, such as 50");
    }
    if source.is::<std::num::ParseFloatError>() {
        return say!("a number is wanted, such as 0.5");
    }
    if source.is::<std::net::AddrParseError>() {
        return say!("an address and a port are wanted, such as 127.0.0.1:9464");
    }
    if source.is::<jiff::Error>() {
        return say!("a date is wanted, such as 2026-01-31");
    }
    let told = source.to_string();
    match told.split_once(" is not in ") {
        Some((_, range)) => say!("it lies outside of {range}", range),
        None => told,
    }
}
