//! Rows of text below a header of the map's columns.

use std::borrow::Cow;

use ::csv::ByteRecord;

use super::{Apply, Row};
use crate::{
    decode::{
        csv::Take,
        row::{RawCell, RowBuilder},
    },
    map::ColumnPlaces,
};

/// The rows below a header.
pub(crate) struct MappedRows<'a> {
    apply: Apply<'a>,
    header: &'a [String],
    /// Where the columns of the map stand.
    places: ColumnPlaces,
}

impl<'a> MappedRows<'a> {
    pub(crate) fn new(apply: Apply<'a>, header: &'a [String]) -> Self {
        let places = apply.map.slots.places(header);
        Self { apply, header, places }
    }

    /// Whether the row is the header once more, as where pages were put together.
    fn is_header(&self, fields: &ByteRecord) -> bool {
        let same = |(name, cell): (&String, &[u8])| cell.trim_ascii() == name.as_bytes();
        fields.len() == self.header.len() && self.header.iter().zip(fields).all(same)
    }
}

/// A row, and where the columns of the map stand in it.
struct Line<'f> {
    fields: &'f ByteRecord,
    places: &'f ColumnPlaces,
}

impl<'f> Row<'f> for Line<'f> {
    fn cell(&self, slot: usize) -> RawCell<'f> {
        let bytes = self.places[slot].and_then(|place| self.fields.get(place)).unwrap_or_default();
        match simdutf8::basic::from_utf8(bytes) {
            Ok(text) => RawCell::text(text),
            // It is marked as what has lost characters, and refused for that.
            Err(_) => RawCell::Owned(String::from_utf8_lossy(bytes).into_owned()),
        }
    }

    fn first(&self) -> Cow<'_, str> {
        let mut cells = self.fields.iter().map(<[u8]>::trim_ascii).filter(|cell| !cell.is_empty());
        cells.next().map_or(Cow::Borrowed(""), String::from_utf8_lossy)
    }

    fn is_suspect(&self) -> bool {
        let all = self.fields.as_slice();
        simdutf8::basic::from_utf8(all).is_err() || super::has_mark(all)
    }
}

impl Take for MappedRows<'_> {
    fn fits(&self, fields: &ByteRecord, columns: usize) -> bool {
        let more = fields.len().checked_sub(columns);
        more.is_some_and(|more| more == 0 || fields.iter().rev().take(more).all(<[u8]>::is_empty))
            || self.apply.is_total(&Line { fields, places: &self.places })
    }

    fn take(&mut self, fields: &ByteRecord, place: (u64, usize, usize), rows: &mut RowBuilder<'_>) {
        if self.is_header(fields) {
            return rows.skip(1);
        }
        let Self { apply, places, .. } = self;
        // A row lives shorter than its block, so it has its own view of the map.
        let mut apply = Apply { id: std::mem::take(&mut apply.id), ..*apply };
        apply.row(&Line { fields, places }, "", place, rows);
        self.apply.id = apply.id;
    }
}
