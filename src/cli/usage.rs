//! What is wrong with a command line, in our words: clap knows what, this says it.

use std::{error::Error as _, ffi::OsString};

use clap::{
    Command,
    error::{ContextKind, ContextValue, Error, ErrorKind},
};

use crate::say;

/// A command line that says what cannot be meant, as only the command finds out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUsage(pub String);

/// The message for a command line that clap refused; `words` are the line, `command` is what read it.
pub(crate) fn message(error: &Error, words: &[OsString], command: &mut Command) -> String {
    let mut message = format!("fiscwatch: {}", problem(error));
    for kind in [ContextKind::SuggestedArg, ContextKind::SuggestedValue, ContextKind::SuggestedSubcommand] {
        if let Some(near) = text(error, kind) {
            message += &format!("\n    {}", say!("hint: did you mean {near}?", near));
        }
    }
    let command = meant(words, command);
    let usage = command.render_usage().to_string();
    let name = command.get_bin_name().unwrap_or("fiscwatch").to_owned();
    message += &format!("\n{}", say!("usage: {usage}", usage = usage.trim_start_matches("Usage: ")));
    message + &format!("\n{}", say!("`{command} --help` tells more", command = name))
}

/// The subcommand that a line names, as far as its words are known.
fn meant<'c>(words: &[OsString], mut command: &'c mut Command) -> &'c mut Command {
    for word in words.iter().filter_map(|word| word.to_str()) {
        if command.find_subcommand(word).is_some() {
            command = command.find_subcommand_mut(word).expect("it was found a line above");
        }
    }
    command
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
            match library_reason(error) {
                Some(reason) => say!("{value} is no value of {argument}: {reason}", value, argument, reason),
                // Our own parsers name the value themselves.
                None => {
                    let reason = error.source().map(ToString::to_string).unwrap_or_default();
                    say!("{argument}: {reason}", argument, reason)
                }
            }
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

/// What a library says of a value, said again; nothing where our own parser refused it.
fn library_reason(error: &Error) -> Option<String> {
    let source = error.source()?;
    if source.is::<std::num::ParseIntError>() {
        return Some(say!("a whole number is wanted, such as 50"));
    }
    if source.is::<std::num::ParseFloatError>() {
        return Some(say!("a number is wanted, such as 0.5"));
    }
    if source.is::<std::net::AddrParseError>() {
        return Some(say!("an address and a port are wanted, such as 127.0.0.1:9464"));
    }
    if source.is::<jiff::Error>() {
        return Some(say!("a date is wanted, such as 2026-01-31"));
    }
    let told = source.to_string();
    told.split_once(" is not in ").map(|(_, range)| say!("it lies outside of {range}", range))
}
