//! Rows of a CSV file with the same names as the JSON fields. An empty cell is a missing value; `tags` are
//! separated by semicolons.

use std::borrow::Cow;

use ::csv::ByteRecord;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::row::{RawCell, RowBuilder};
use crate::{
    event::{Column, FieldKind, schema},
    say,
    stream::{Dialect, RejectReason},
};

/// Takes the rows of a block one after another.
pub(crate) trait Take {
    /// A row with its number, and where it starts and ends in the block.
    fn take(&mut self, fields: &ByteRecord, place: (u64, usize, usize), rows: &mut RowBuilder<'_>);

    /// Whether a row has the cells that it must have.
    fn fits(&self, fields: &ByteRecord, columns: usize) -> bool {
        fields.len() == columns
    }
}

/// Decodes the rows of a block.
pub(crate) fn rows(
    dialect: Dialect,
    header: &[String],
    bytes: &Bytes,
    first_record: u64,
    take: &mut impl Take,
    rows: &mut RowBuilder<'_>,
) {
    let mut reader = dialect.reader(&bytes[..]);
    let mut fields = ByteRecord::new();
    let mut record = first_record;
    loop {
        let start = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        let read = reader.read_byte_record(&mut fields);
        let end = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        let (from, (start, end)) = (start, without_line_ends(bytes, start, end));
        let blank = blank_lines(bytes, from, start);
        rows.skip(blank);
        record += blank + 1;
        match read {
            Ok(false) => return,
            Ok(true) if fields.iter().all(|cell| cell.trim_ascii().is_empty()) => rows.skip(1),
            Ok(true) if !take.fits(&fields, header.len()) => {
                let (cells, columns) = (fields.len(), header.len());
                let detail = say!("{cells} cells, the header has {columns}", cells, columns);
                rows.reject((RejectReason::InvalidCsv, detail), record, start, end);
            }
            Ok(true) => take.take(&fields, (record, start, end), rows),
            Err(e) => rows.reject((RejectReason::InvalidCsv, e.to_string()), record, start, end),
        }
    }
}

/// The reader counts the second half of a line end to the next row, if there is one.
fn without_line_ends(bytes: &[u8], start: usize, end: usize) -> (usize, usize) {
    let is_end = |at: &usize| matches!(bytes.get(*at), Some(b'\r' | b'\n'));
    let start = (start..end).find(|at| !is_end(at)).unwrap_or(end);
    let end = (start..end).rev().find(|at| !is_end(at)).map_or(start, |at| at + 1);
    (start, end)
}

/// The empty lines in a stretch of line ends that stands before a row.
fn blank_lines(bytes: &[u8], from: usize, to: usize) -> u64 {
    let ends = bytes.get(from..to).unwrap_or_default();
    let before = from.checked_sub(1).map(|at| bytes[at]);
    // An LF behind a CR is the second half of one line end.
    let halves = (0..ends.len()).filter(|at| {
        let previous = at.checked_sub(1).map_or(before, |at| Some(ends[at]));
        ends[*at] == b'\n' && previous == Some(b'\r')
    });
    (ends.len() - halves.count()) as u64
}

/// Columns that have the names of fields.
pub(crate) struct FieldColumns<'h> {
    header: &'h [String],
    known: Vec<Option<(usize, &'static schema::FieldSpec)>>,
}

impl<'h> FieldColumns<'h> {
    pub(crate) fn new(header: &'h [String]) -> Self {
        Self { header, known: header.iter().map(|name| schema::field(name)).collect() }
    }
}

impl Take for FieldColumns<'_> {
    fn take(
        &mut self,
        fields: &ByteRecord,
        (record, start, end): (u64, usize, usize),
        rows: &mut RowBuilder<'_>,
    ) {
        let mut cells = [const { RawCell::Absent }; Column::COUNT];
        for ((name, column), bytes) in self.header.iter().zip(&self.known).zip(fields) {
            let Some((column, spec)) = *column else {
                rows.unknown_field(name);
                continue;
            };
            let Ok(text) = simdutf8::basic::from_utf8(bytes) else {
                let detail = say!("{name} is not UTF-8: save the file as UTF-8", name);
                return rows.reject((RejectReason::NotUtf8, detail), record, start, end);
            };
            cells[column] = match spec.kind {
                FieldKind::Tags if !text.is_empty() => tags(text),
                _ => RawCell::text(text),
            };
        }
        rows.row(&mut cells, record, start, end);
    }
}

/// Tags in one cell.
pub(crate) fn tags(text: &str) -> RawCell<'_> {
    RawCell::List(text.split(';').map(|tag| Cow::Borrowed(tag.trim())).collect())
}

/// A row as a JSON object of texts, for quarantine: without its header it could not be read again. A row that does not fit
/// the header stays as it came.
pub(crate) fn raw_row(header: &[String], dialect: Dialect, row: Bytes) -> Bytes {
    let mut reader = dialect.reader(&row[..]);
    let mut cells = ::csv::StringRecord::new();
    if !matches!(reader.read_record(&mut cells), Ok(true)) || cells.len() != header.len() {
        return row;
    }
    let value = |name: &str, text: &str| match schema::field(name).map(|(_, spec)| spec.kind) {
        Some(FieldKind::Tags) => text.split(';').map(|tag| Value::from(tag.trim())).collect::<Value>(),
        _ => Value::from(text),
    };
    let filled = header.iter().zip(&cells).filter(|(_, text)| !text.is_empty());
    let object: Map<_, _> = filled.map(|(name, text)| (name.clone(), value(name, text))).collect();
    Bytes::from(Value::Object(object).to_string())
}
