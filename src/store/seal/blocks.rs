//! Journal blocks in the layout of sealed files, sorted and cut by local days.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, UInt64Array},
    compute::interleave_record_batch,
    datatypes::{Schema, SchemaRef, TimestampMicrosecondType},
    error::ArrowError,
    record_batch::RecordBatch,
};
use rusqlite::{Connection, named_params};

use super::super::{StoreError, explain};
use crate::{
    event::{Column, Instant, id_hash, time::Calendar},
    journal::{
        JournalBlock,
        layout::{ARRIVAL_AT, SEALED, arrival, conform},
        read_ids, stored_block,
    },
    say,
};

/// Rows that are put in order at once.
const ROWS: usize = 8192;

/// The events of the blocks `first` to `last`, a batch a block.
///
/// # Errors
/// If a block is damaged or the database cannot be read.
pub(crate) fn read(
    dir: &Path,
    connection: &Connection,
    first: i64,
    last: i64,
) -> Result<Vec<RecordBatch>, StoreError> {
    let fail = |error| explain(dir, error);
    let sql = "SELECT seq, block, ids, checksum FROM journal WHERE seq BETWEEN :first AND :last ORDER BY seq";
    let mut statement = connection.prepare_cached(sql).map_err(fail)?;
    let mut rows = statement.query(named_params! { ":first": first, ":last": last }).map_err(fail)?;
    let mut batches = Vec::new();
    while let Some(row) = rows.next().map_err(fail)? {
        let seq: i64 = row.get("seq").map_err(fail)?;
        let blob = |name: &str| row.get_ref(name).and_then(|v| Ok(v.as_blob()?)).map_err(fail);
        let (block, ids) = (blob("block")?, blob("ids")?);
        let damaged = |what: String| StoreError::Corrupt { path: dir.to_owned(), what };
        if JournalBlock::checksum(block, ids) != row.get::<_, i64>("checksum").map_err(fail)? {
            return Err(damaged(say!("journal block {seq} does not match its checksum", seq)));
        }
        batches.push(
            sealed(seq, block, ids)
                .map_err(|e| damaged(say!("journal block {seq}: {what}", seq, what = e)))?,
        );
    }
    Ok(batches)
}

/// A block with its arrivals and content hashes as columns.
fn sealed(seq: i64, block: &[u8], ids: &[u8]) -> Result<RecordBatch, ArrowError> {
    let stored = conform(&stored_block(block, None)?, &SEALED_EVENTS)?;
    let rows = i64::try_from(stored.num_rows()).unwrap_or(i64::MAX);
    let event_ids = stored.column(Column::EventId.index()).as_string::<i32>();
    // A file has no hashes of ids, so what finds duplicates now must be what their ids will give.
    if !read_ids(ids).map(|(id, _)| Some(id)).eq(event_ids.iter().map(|id| id.map(id_hash))) {
        return Err(ArrowError::IpcError(say!("its ids are not those of its events")));
    }
    let mut columns: Vec<ArrayRef> = stored.columns().to_vec();
    columns.push(Arc::new(Int64Array::from_iter_values((0..rows).map(|row| arrival(seq, row)))));
    columns.push(Arc::new(UInt64Array::from_iter_values(read_ids(ids).map(|(_, content)| content))));
    RecordBatch::try_new(Arc::clone(&SEALED), columns)
}

/// The event columns of [`SEALED`].
static SEALED_EVENTS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let fields: Vec<_> = SEALED.fields().iter().take(ARRIVAL_AT).cloned().collect();
    Arc::new(Schema::new(fields))
});

/// A local day, and its events in the order of (`occurred_at`, `arrival`), as places: batch and row.
pub(crate) struct Day {
    /// The day, `2026-03-04`.
    pub name: String,
    places: Vec<(usize, usize)>,
}

/// The days that the events are of.
pub(crate) fn days(batches: &[RecordBatch], calendar: &Calendar) -> Vec<Day> {
    // Blocks are in the order of arrival, so places are.
    let mut order: Vec<(i64, usize, usize)> = Vec::new();
    for (number, batch) in batches.iter().enumerate() {
        let times = batch.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>();
        order.extend(times.values().iter().enumerate().map(|(row, at)| (*at, number, row)));
    }
    order.sort_unstable();
    let mut days = Vec::new();
    let mut rest = &order[..];
    while let Some((first, ..)) = rest.first() {
        let date = calendar.local(Instant::from_micros(*first)).date();
        let end =
            date.tomorrow().ok().and_then(|next| calendar.start_of_day(next).ok()).unwrap_or(Instant::MAX);
        // At least the first row, so that the loop ends whatever a calendar says.
        let (day, later) = rest.split_at(rest.partition_point(|(at, ..)| *at < end.as_micros()).max(1));
        let places = day.iter().map(|(_, batch, row)| (*batch, *row)).collect();
        days.push(Day { name: date.to_string(), places });
        rest = later;
    }
    days
}

impl Day {
    /// The columns that have values on this day.
    pub(crate) fn schema(&self, batches: &[RecordBatch]) -> SchemaRef {
        let has_value =
            |at: usize| self.places.iter().any(|(batch, row)| batches[*batch].column(at).is_valid(*row));
        let fields = SEALED.fields().iter().enumerate().filter(|(at, _)| has_value(*at));
        Arc::new(Schema::new(fields.map(|(_, field)| Arc::clone(field)).collect::<Vec<_>>()))
    }

    /// Its events in batches, one after another, so that there are never two copies of all.
    pub(crate) fn events(
        &self,
        batches: &[RecordBatch],
        schema: &SchemaRef,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, ArrowError>>, ArrowError> {
        let columns: Vec<usize> =
            schema.fields().iter().filter_map(|f| SEALED.index_of(f.name()).ok()).collect();
        let narrow: Vec<RecordBatch> =
            batches.iter().map(|batch| batch.project(&columns)).collect::<Result<_, _>>()?;
        Ok(self
            .places
            .chunks(ROWS)
            .map(move |places| interleave_record_batch(&narrow.iter().collect::<Vec<_>>(), places)))
    }
}
