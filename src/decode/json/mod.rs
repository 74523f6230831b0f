//! JSON Lines and JSON messages.
//!
//! Values are taken as raw JSON text, so that an amount is read from its digits and never passes through a float.

mod plain;

use std::{borrow::Cow, collections::HashMap, fmt};

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{error::Category, value::RawValue};

use super::{
    fault::{ENCODED, Fault, ROUNDED, UNSTATED},
    row::{RawCell, RowBuilder},
};
use crate::{
    event::{Column, FieldKind, schema::FIELDS},
    inspect::envelope,
    say,
    stream::{BY, DEBEZIUM, FAULT, INEXACT, OP, PLACE, RECORD_BYTES_MAX, RejectReason, UNTYPED, VERSION},
    text::quoted,
};

/// Takes the records of a block one after another.
pub(crate) trait RecordConsumer<'a> {
    /// A record with its number and its place in the block.
    fn record(&mut self, text: &'a str, record: u64, place: (usize, usize), rows: &mut RowBuilder<'_>);
}

/// Decodes the lines of a block. Empty lines are no records.
pub(crate) fn lines<'a>(
    bytes: &'a Bytes,
    first_record: u64,
    parser: &mut impl RecordConsumer<'a>,
    rows: &mut RowBuilder<'_>,
) {
    let whole = simdutf8::basic::from_utf8(bytes).ok();
    let mut start = 0;
    let mut record = first_record;
    while start < bytes.len() {
        let end = memchr::memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |at| start + at);
        record += 1;
        // A block that is UTF-8 as a whole is checked once, any other line by line.
        match whole.map_or_else(|| utf8(&bytes[start..end]), |text| Ok(&text[start..end])) {
            Ok(line) => parser.record(line, record, (start, end), rows),
            Err(fault) => rows.reject(fault, record, start, end),
        }
        start = end + 1;
    }
}

/// Decodes messages, one JSON object each.
pub(crate) fn messages<'a>(
    data: &'a Bytes,
    ends: &[(u32, u64)],
    parser: &mut impl RecordConsumer<'a>,
    rows: &mut RowBuilder<'_>,
) {
    let mut start = 0;
    for &(end, offset) in ends {
        let end = end as usize;
        match utf8(&data[start..end]) {
            Ok(text) if text.trim_start_matches('\u{feff}').trim().is_empty() => {
                rows.reject(
                    (
                        RejectReason::InvalidJson,
                        say!("an empty message (or a tombstone: events cannot be deleted)"),
                    ),
                    offset,
                    start,
                    end,
                );
            }
            Ok(text) => parser.record(text, offset, (start, end), rows),
            Err(fault) => rows.reject(fault, offset, start, end),
        }
        start = end;
    }
}

pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    simdutf8::compat::from_utf8(bytes).map_err(|e| match envelope::of(bytes) {
        Some(envelope) => (RejectReason::InvalidJson, envelope.told()),
        None => {
            (RejectReason::NotUtf8, say!("not UTF-8 at byte {byte} of the record", byte = e.valid_up_to()))
        }
    })
}

/// The order of fields, which seldom changes from record to record.
#[derive(Debug, Default)]
pub(crate) struct FieldOrder(Vec<u8>);

impl FieldOrder {
    /// The column that stood at this position in the record before.
    fn guess(&self, position: usize) -> Option<u8> {
        self.0.get(position).copied()
    }

    /// Another column stands there now.
    fn learn(&mut self, position: usize, column: u8) {
        self.0.truncate(position);
        self.0.push(column);
    }
}

/// The column of this name.
fn column(name: &str) -> Option<u8> {
    FIELDS.iter().position(|f| f.name == name).and_then(|at| u8::try_from(at).ok())
}

/// Reads objects into cells.
pub(crate) struct Parser<'a> {
    cells: Vec<RawCell<'a>>,
    /// The cells that the record before filled, a bit each.
    filled: u64,
    order: FieldOrder,
}

impl Default for Parser<'_> {
    fn default() -> Self {
        Self { cells: vec![RawCell::Absent; Column::COUNT], filled: 0, order: FieldOrder::default() }
    }
}

impl Parser<'_> {
    fn clear(&mut self) {
        while self.filled != 0 {
            self.cells[self.filled.trailing_zeros() as usize] = RawCell::Absent;
            self.filled &= self.filled - 1;
        }
    }
}

/// A record without what is around it; `None` if it is skipped or rejected.
pub(crate) fn body<'a>(
    text: &'a str,
    record: u64,
    (start, end): (usize, usize),
    rows: &mut RowBuilder<'_>,
) -> Option<&'a str> {
    let trimmed = text.strip_prefix('\u{feff}').unwrap_or(text).trim_ascii();
    if trimmed.is_empty() {
        rows.skip(1);
        return None;
    }
    if text.len() > RECORD_BYTES_MAX {
        let (bytes, most) = (text.len(), RECORD_BYTES_MAX);
        let detail = say!("{bytes} bytes, {most} are allowed", bytes, most);
        rows.reject((RejectReason::TooLarge, detail), record, start, end.min(start + RECORD_BYTES_MAX));
        return None;
    }
    Some(trimmed)
}

impl<'a> RecordConsumer<'a> for Parser<'a> {
    fn record(
        &mut self,
        text: &'a str,
        record: u64,
        (start, end): (usize, usize),
        rows: &mut RowBuilder<'_>,
    ) {
        let Some(trimmed) = body(text, record, (start, end), rows) else { return };
        self.clear();
        if plain::read(trimmed, &mut self.cells, &mut self.filled, &mut self.order).is_some() {
            return rows.row(&mut self.cells, record, start, end);
        }
        match general(trimmed, &mut self.order) {
            Ok((mut cells, unknown)) => {
                unknown.iter().for_each(|name| rows.unknown_field(name));
                let untyped = matches!(cells[Column::Type.index()], RawCell::Absent);
                match envelope::of(trimmed.as_bytes()).filter(|_| untyped) {
                    Some(envelope) => {
                        rows.reject((RejectReason::MissingField, envelope.told()), record, start, end);
                    }
                    None => rows.row(&mut cells, record, start, end),
                }
            }
            Err(detail) => {
                let detail = envelope::of(trimmed.as_bytes()).map_or(detail, |envelope| envelope.told());
                rows.reject((RejectReason::InvalidJson, detail), record, start, end);
            }
        }
    }
}

/// Cells and unknown fields of a record, by `serde_json`.
fn general<'a>(text: &'a str, order: &mut FieldOrder) -> Result<(Vec<RawCell<'a>>, Vec<String>), String> {
    let mut cells = vec![RawCell::Absent; Column::COUNT];
    let mut unknown = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let object = Object { cells: &mut cells, order, unknown: &mut unknown };
    let read = deserializer.deserialize_map(object).and_then(|()| deserializer.end());
    read.map(|()| (cells, unknown)).map_err(|e| describe(&e))
}

/// `serde_json` counts columns within the record; its line is always 1 and says nothing.
pub(crate) fn describe(error: &serde_json::Error) -> String {
    let column = error.column();
    match error.classify() {
        Category::Syntax | Category::Io => say!("it is not JSON from column {column} on", column),
        Category::Eof => say!("it breaks off at column {column}", column),
        Category::Data => {
            let text = error.to_string();
            let what = text.split(" at line ").next().unwrap_or(&text);
            // What is not ours is about the value as a whole.
            if what.starts_with("invalid ") { say!("it is not a JSON object") } else { what.to_owned() }
        }
    }
}

struct Object<'p, 'a> {
    cells: &'p mut [RawCell<'a>],
    order: &'p mut FieldOrder,
    unknown: &'p mut Vec<String>,
}

impl<'de> Visitor<'de> for Object<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let mut seen = 0u64;
        let mut position = 0;
        loop {
            let guess = self.order.guess(position);
            match map.next_key_seed(Key { guess })? {
                None => return Ok(()),
                Some(Name::Unknown(name)) => {
                    // What a reader of ours added is no field of the source.
                    if ![PLACE, OP, VERSION].contains(&name.as_str()) {
                        self.unknown.push(name);
                    }
                    map.next_value::<IgnoredAny>()?;
                }
                Some(Name::Known(column)) => {
                    if seen & (1 << column) != 0 {
                        let name = FIELDS[usize::from(column)].name;
                        return Err(M::Error::custom(say!(
                            "the field {name} appears twice",
                            name = quoted(name)
                        )));
                    }
                    seen |= 1 << column;
                    if guess != Some(column) {
                        self.order.learn(position, column);
                    }
                    position += 1;
                    let raw: &'de RawValue = map.next_value()?;
                    self.cells[usize::from(column)] = cell(raw.get(), FIELDS[usize::from(column)].kind);
                }
            }
        }
    }
}

enum Name {
    Known(u8),
    Unknown(String),
}

/// A field's name, compared first with the one that is likely to come.
struct Key {
    guess: Option<u8>,
}

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        let known = match self.guess {
            Some(column) if FIELDS[usize::from(column)].name == name => Some(column),
            _ => column(name),
        };
        Ok(known.map_or_else(|| Name::Unknown(name.to_owned()), Name::Known))
    }
}

/// A raw JSON value, which `serde_json` has found to be valid, as a cell.
pub(crate) fn cell(raw: &str, kind: FieldKind) -> RawCell<'_> {
    match raw.as_bytes().first() {
        Some(b'"') => {
            string(raw).map_or(RawCell::Other("a string with a broken escape"), |text| match text {
                Cow::Borrowed(text) => RawCell::text(text),
                Cow::Owned(text) if text.is_empty() => RawCell::Absent,
                Cow::Owned(text) => RawCell::Owned(text),
            })
        }
        Some(b'-' | b'0'..=b'9') => RawCell::Number(raw),
        Some(b'n') => RawCell::Absent,
        Some(b'[') if kind == FieldKind::Tags => {
            serde_json::from_str(raw).map_or(RawCell::Other("a list that is not of strings"), RawCell::List)
        }
        Some(b'[') => RawCell::Other("a list"),
        Some(b'{') => RawCell::Other(found_wrong(raw).unwrap_or("an object")),
        _ => RawCell::Other("true or false"),
    }
}

/// What a reader of ours found to be wrong with a value, in place of which this object stands.
fn found_wrong(raw: &str) -> Option<&'static str> {
    if !raw.contains(FAULT) {
        return None;
    }
    let fault: HashMap<&str, Cow<'_, str>> = serde_json::from_str(raw).ok()?;
    match (&**fault.get(FAULT)?, fault.get(BY).map(|by| &**by)) {
        (INEXACT, Some(DEBEZIUM)) => Some(ENCODED),
        (INEXACT, _) => Some(ROUNDED),
        (UNTYPED, _) => Some(UNSTATED),
        _ => None,
    }
}

fn string(raw: &str) -> Option<Cow<'_, str>> {
    if memchr::memchr(b'\\', raw.as_bytes()).is_none() {
        return Some(Cow::Borrowed(&raw[1..raw.len() - 1]));
    }
    serde_json::from_str(raw).ok().map(Cow::Owned)
}
