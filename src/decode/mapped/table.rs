//! Columns of a Parquet file that have the names of the map.

use std::borrow::Cow;

use arrow::{buffer::NullBuffer, record_batch::RecordBatch};

use super::{Apply, Row};
use crate::decode::{
    row::{RawCell, RowBuilder},
    table::ColumnReader,
};

/// The columns of the map.
struct Columns {
    readers: Vec<Option<(ColumnReader, Option<NullBuffer>)>>,
}

/// One row of them.
struct At<'c> {
    columns: &'c Columns,
    row: usize,
}

impl<'c> Row<'c> for At<'c> {
    fn cell(&self, slot: usize) -> RawCell<'c> {
        match &self.columns.readers[slot] {
            Some((reader, nulls)) if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(self.row)) => {
                reader.cell(self.row)
            }
            _ => RawCell::Absent,
        }
    }

    fn first(&self) -> Cow<'_, str> {
        let mut texts = (0..self.columns.readers.len()).map(|slot| self.cell(slot));
        texts
            .find_map(|cell| match cell {
                RawCell::Text(text) => Some(Cow::Borrowed(text)),
                RawCell::Owned(text) => Some(Cow::Owned(text)),
                _ => None,
            })
            .unwrap_or_default()
    }

    fn is_suspect(&self) -> bool {
        false
    }
}

/// Decodes the rows of a table.
pub(crate) fn rows(apply: Apply<'_>, table: &RecordBatch, first_record: u64, rows: &mut RowBuilder<'_>) {
    let header: Vec<_> = table.schema_ref().fields().iter().map(|field| field.name().clone()).collect();
    let places = apply.map.slots.places(&header);
    let reader = |place: usize| (ColumnReader::new(table.column(place)), table.column(place).logical_nulls());
    let columns = Columns { readers: places.into_iter().map(|place| place.map(reader)).collect() };
    let mut apply = Apply { ..apply };
    for row in 0..table.num_rows() {
        let place = (first_record + row as u64 + 1, row, row);
        apply.row(&At { columns: &columns, row }, "", place, rows);
    }
}
