//! Rows of a CSV file with the same names as the JSON fields. An empty cell is a missing value; `tags` are
//! separated by semicolons.

use std::borrow::Cow;

use bytes::Bytes;

use super::row::{Cell, RowBuilder};
use crate::{
    event::{Column, FieldKind, schema},
    stream::Reason,
};

/// Decodes the rows of a block.
pub fn rows(header: &[String], bytes: &Bytes, first_record: u64, rows: &mut RowBuilder<'_>) {
    let columns: Vec<_> = header.iter().map(|name| schema::field(name)).collect();
    let mut reader = ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&bytes[..]);
    let mut fields = ::csv::ByteRecord::new();
    let mut record = first_record;
    loop {
        let start = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        let read = reader.read_byte_record(&mut fields);
        let end = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        let (start, end) = without_line_ends(bytes, start, end);
        record += 1;
        match read {
            Ok(false) => return,
            Ok(true) if fields.len() != header.len() => {
                let detail = format!("{} cells, the header has {}", fields.len(), header.len());
                rows.reject((Reason::InvalidCsv, detail), record, start, end);
            }
            Ok(true) => row(header, &columns, &fields, (record, start, end), rows),
            Err(e) => rows.reject((Reason::InvalidCsv, e.to_string()), record, start, end),
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

type Known = Option<(usize, &'static schema::FieldSpec)>;

fn row(
    header: &[String],
    columns: &[Known],
    fields: &::csv::ByteRecord,
    (record, start, end): (u64, usize, usize),
    rows: &mut RowBuilder<'_>,
) {
    let mut cells = vec![Cell::Absent; Column::COUNT];
    for ((name, column), bytes) in header.iter().zip(columns).zip(fields) {
        let Some((column, spec)) = *column else {
            rows.unknown_field(name);
            continue;
        };
        let Ok(text) = simdutf8::basic::from_utf8(bytes) else {
            let detail = format!("{name} is not UTF-8: save the file as UTF-8");
            return rows.reject((Reason::NotUtf8, detail), record, start, end);
        };
        cells[column] = match spec.kind {
            FieldKind::Tags if !text.is_empty() => {
                Cell::List(text.split(';').map(|tag| Cow::Borrowed(tag.trim())).collect())
            }
            _ => Cell::text(text),
        };
    }
    rows.row(&cells, record, start, end);
}
