//! The first line of a CSV file.

use std::{collections::BTreeSet, sync::Arc};

use super::shown;
use crate::{
    event::{Column, schema::field},
    say,
};

/// Columns that every event has, so that every file must have them.
const COMMON: [Column; 3] = [Column::EventId, Column::Type, Column::OccurredAt];

/// The names of the columns, told by the first line; `below` are lines after it, for a better message.
///
/// # Errors
/// What is wrong with the line, and what to do.
pub(crate) fn read(line: &str, below: &[&str]) -> Result<Arc<[String]>, String> {
    let names = cells(line, b',');
    if let Some(name) = twice(names.iter().map(String::as_str)) {
        return Err(say!("the column {name} appears twice", name = format!("{name:?}")));
    }
    let missing = missing(&names);
    if missing.is_empty() {
        return Ok(names.into());
    }
    let hint = hint(line, &names, &missing, below);
    Err(say!(
        "its first line must name the columns, {missing} among them, and is {line}. {hint}",
        missing = missing.join(", "),
        line = shown(line),
        hint
    ))
}

/// What to do about a first line that is no header.
fn hint(line: &str, names: &[String], missing: &[&str], below: &[&str]) -> String {
    let is_header = |text: &str, delimiter| self::missing(&cells(text, delimiter)).is_empty();
    for (delimiter, name) in [(b';', "; "), (b'\t', "TAB"), (b'|', "|")] {
        if is_header(line, delimiter) {
            return say!(
                "Its columns are separated by {delimiter}: separate them by commas",
                delimiter = name.trim()
            );
        }
    }
    if line.trim_start_matches('\u{feff}').trim_start().to_lowercase().starts_with("sep=") {
        return say!("Delete the line, which is for Excel only");
    }
    if let Some(at) = below.iter().position(|text| is_header(text, b',')) {
        return say!("Line {number} names them: delete the lines above it", number = at + 2);
    }
    let lower: Vec<_> = names.iter().map(|name| name.to_lowercase()).collect();
    if missing.iter().all(|name| lower.iter().any(|other| other == name)) {
        return say!("Write the names in small letters");
    }
    if missing.len() < COMMON.len() {
        return say!("Add the columns that are missing; every event has them");
    }
    say!("Put a line with the names of docs/events.md above the rows")
}

fn cells(line: &str, delimiter: u8) -> Vec<String> {
    let line = line.trim_start_matches('\u{feff}').trim_end();
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(line.as_bytes());
    let first = reader.records().next().and_then(Result::ok);
    first.iter().flatten().map(|name| name.trim().to_owned()).collect()
}

fn missing(names: &[String]) -> Vec<&'static str> {
    let wanted = COMMON.iter().map(|column| column.spec().name);
    wanted.filter(|wanted| names.iter().all(|name| name != wanted)).collect()
}

/// A field of the data dictionary that is named twice: which of them holds cannot be told.
pub(crate) fn twice<'n>(names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let mut seen = BTreeSet::new();
    names.into_iter().find(|name| field(name).is_some() && !seen.insert(*name))
}
