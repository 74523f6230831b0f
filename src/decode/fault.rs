//! What is wrong with a record, in words: all of it at once.

use std::borrow::Cow;

use super::{row::RawCell, words::kind};
use crate::{
    event::{Column, Currency, FieldKind, schema::FIELDS},
    say,
    stream::RejectReason,
    text::quoted,
};

/// Why a record is rejected.
pub(crate) type Fault = (RejectReason, String);

/// Values that a reader of ours found to be wrong, as cells: a floating-point number that is rounded,
pub(crate) const ROUNDED: &str = "a rounded number";
/// a decimal that Debezium wrote as bytes or as a floating-point number,
pub(crate) const ENCODED: &str = "an encoded decimal";
/// and a number that is a time in a unit that nobody stated.
pub(crate) const UNSTATED: &str = "a time without its unit";

/// The longest piece of a bad value that a message repeats.
const SHOWN_CHARS: usize = 60;

/// All that is wrong with one record: who corrects it should not have to send it once for each fault.
#[derive(Default)]
pub(crate) struct Faults {
    missing: Vec<usize>,
    others: Vec<Fault>,
    /// Whether a field was missing before anything else was wrong.
    missing_first: bool,
    /// The missing fields in which a word for nothing stands.
    emptied: Vec<usize>,
    /// The fields that something else is wrong with.
    faulty: Vec<usize>,
}

impl Faults {
    pub(crate) fn any(&self) -> bool {
        !self.missing.is_empty() || !self.others.is_empty()
    }

    pub(crate) fn missing(&mut self, column: usize) {
        self.missing_first |= self.others.is_empty();
        if !self.missing.contains(&column) {
            self.missing.push(column);
        }
    }

    /// A word for nothing stands in a field that must have something.
    pub(crate) fn emptied(&mut self, column: usize) {
        self.missing(column);
        self.emptied.push(column);
    }

    pub(crate) fn add(&mut self, column: usize, fault: Fault) {
        self.others.push(fault);
        self.faulty.push(column);
    }

    /// The fields that something is wrong with.
    pub(crate) fn columns(&self) -> Vec<usize> {
        let mut columns = [&self.missing[..], &self.faulty].concat();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// All of them under the reason of the first.
    pub(crate) fn told(mut self) -> Option<Fault> {
        if !self.missing.is_empty() {
            let mut text = missing_text(&self.missing);
            if self.emptied.len() == self.missing.len() {
                text = say!(
                    "{text} (a word for nothing stands there; `nulls` at the source says which those are)",
                    text
                );
            } else if !self.emptied.is_empty() {
                text = say!(
                    "{text} (in {names} a word for nothing stands; `nulls` at the source says which those are)",
                    text,
                    names = listed(&self.emptied)
                );
            }
            let missing = (RejectReason::MissingField, text);
            let place = if self.missing_first { 0 } else { self.others.len() };
            self.others.insert(place, missing);
        }
        let reason = self.others.first()?.0;
        let details: Vec<_> = self.others.into_iter().map(|(_, detail)| detail).collect();
        Some((reason, details.join(&say!("; "))))
    }
}

fn listed(columns: &[usize]) -> String {
    columns.iter().map(|column| FIELDS[*column].name).collect::<Vec<_>>().join(", ")
}

fn missing_text(columns: &[usize]) -> String {
    match columns {
        [column] => say!("{name} is missing", name = FIELDS[*column].name),
        columns => say!("{names} are missing", names = listed(columns)),
    }
}

pub(crate) fn missing(column: usize) -> Fault {
    (RejectReason::MissingField, missing_text(&[column]))
}

pub(crate) fn unknown_value(column: usize, value: &str) -> Fault {
    let field = &FIELDS[column];
    let FieldKind::Choice(words) = field.kind else { return missing(column) };
    let (name, value) = (field.name, quoted(&shorten(value)));
    let text = say!("{name} {value} is not one of {words}", name, value, words = words.join(", "));
    (RejectReason::UnknownValue, text)
}

pub(crate) fn wrong_type(column: usize, cell: &RawCell<'_>, wanted: &str) -> Fault {
    if let Some(fault) = found_by_reader(FIELDS[column].name, cell) {
        return fault;
    }
    let found = match cell {
        RawCell::Absent => "nothing",
        RawCell::Text(_) | RawCell::Owned(_) => "text",
        RawCell::Number(_) => "a number",
        RawCell::Cents(_) => "a decimal",
        RawCell::Micros(_) | RawCell::Local(_) => "a timestamp",
        RawCell::List(_) => "a list",
        RawCell::Other(name) => name,
        RawCell::Inexact(_) | RawCell::Told => "a value out of range",
    };
    let (name, found, wanted) = (FIELDS[column].name, kind(found), kind(wanted));
    (RejectReason::WrongType, say!("{name} is {found}, but must be {wanted}", name, found, wanted))
}

/// What a reader of ours found to be wrong with a value.
fn found_by_reader(name: &str, cell: &RawCell<'_>) -> Option<Fault> {
    Some(match cell {
        RawCell::Other(ROUNDED) => (
            RejectReason::Inexact,
            say!(
                "{name} is a floating-point number with more digits than it holds exactly. Have it stored as numeric, or leave it out",
                name
            ),
        ),
        RawCell::Other(ENCODED) => (
            RejectReason::Inexact,
            say!(
                "{name} is a decimal that the connector wrote as bytes or as a floating-point number: set decimal.handling.mode=string there",
                name
            ),
        ),
        RawCell::Other(UNSTATED) => (
            RejectReason::BadTime,
            say!(
                "{name} is a number, which Debezium writes for days, milliseconds or microseconds, and the schema that says it is not in the message: set value.converter.schemas.enable=true at the connector, or have the column written as a text with its zone",
                name
            ),
        ),
        _ => return None,
    })
}

pub(crate) fn absent_or_wrong(column: usize, cell: &RawCell<'_>) -> Fault {
    match cell {
        RawCell::Absent => missing(column),
        _ => wrong_type(column, cell, "a string"),
    }
}

/// The code of the currency that is meant, which has to be that of the books.
pub(crate) fn in_currency<'c>(text: &str, books: &'c Currency) -> Result<&'c str, Fault> {
    if books.is_meant_by(text) {
        return Ok(books.code());
    }
    let text = say!(
        "{name} {text} is not {currency}, in which the books are kept, and nothing is converted. Convert the amount where it is exported, or leave the record out",
        name = FIELDS[Column::Currency.index()].name,
        text = format!("{:?}", shorten(text)),
        currency = books.code()
    );
    Err((RejectReason::Currency, text))
}

/// The start of a value, for messages.
pub(crate) fn shorten(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => Cow::Owned(format!("{}…", &text[..at])),
        None => Cow::Borrowed(text),
    }
}
