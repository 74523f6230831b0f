//! Journal blocks in the layout of sealed files, sorted and cut by local days.

use std::{path::Path, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, UInt32Array, UInt64Array},
    compute::{concat_batches, take_record_batch},
    datatypes::{Int64Type, TimestampMicrosecondType},
    error::ArrowError,
    record_batch::RecordBatch,
};
use rusqlite::Connection;

use super::super::{
    JournalBlock, StoreError, explain,
    journal::{read_ids, stored_block},
    layout::{ARRIVAL_AT, SEALED, arrival, conform},
};
use crate::event::{Column, id_hash, time::Calendar};

/// The events of the blocks `first` to `last` and the number of the blocks.
///
/// # Errors
/// If a block is damaged or the database cannot be read.
pub fn read(
    dir: &Path,
    connection: &Connection,
    first: i64,
    last: i64,
) -> Result<(RecordBatch, usize), StoreError> {
    let fail = |error| explain(dir, error);
    let sql = "SELECT seq, block, ids, checksum FROM journal WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq";
    let mut statement = connection.prepare_cached(sql).map_err(fail)?;
    let mut rows = statement.query([first, last]).map_err(fail)?;
    let mut batches = Vec::new();
    while let Some(row) = rows.next().map_err(fail)? {
        let seq: i64 = row.get(0).map_err(fail)?;
        let blob = |at| row.get_ref(at).and_then(|v| Ok(v.as_blob()?)).map_err(fail);
        let (block, ids) = (blob(1)?, blob(2)?);
        let damaged = |what: String| StoreError::Corrupt { path: dir.to_owned(), what };
        if JournalBlock::checksum(block, ids) != row.get::<_, i64>(3).map_err(fail)? {
            return Err(damaged(format!("journal block {seq} does not match its checksum")));
        }
        batches.push(sealed(seq, block, ids).map_err(|e| damaged(format!("journal block {seq}: {e}")))?);
    }
    let events = concat_batches(&SEALED, &batches)
        .map_err(|e| StoreError::Corrupt { path: dir.to_owned(), what: e.to_string() })?;
    Ok((events, batches.len()))
}

/// A block with its arrivals and content hashes as columns.
fn sealed(seq: i64, block: &[u8], ids: &[u8]) -> Result<RecordBatch, ArrowError> {
    let stored = conform(&stored_block(block, None)?, &SEALED_EVENTS)?;
    let rows = i64::try_from(stored.num_rows()).unwrap_or(i64::MAX);
    let event_ids = stored.column(Column::EventId.index()).as_string::<i32>();
    // A file has no hashes of ids, so what finds duplicates now must be what their ids will give.
    if !read_ids(ids).map(|(id, _)| Some(id)).eq(event_ids.iter().map(|id| id.map(id_hash))) {
        return Err(ArrowError::IpcError(String::from("its ids are not those of its events")));
    }
    let mut columns: Vec<ArrayRef> = stored.columns().to_vec();
    columns.push(Arc::new(Int64Array::from_iter_values((0..rows).map(|row| arrival(seq, row)))));
    columns.push(Arc::new(UInt64Array::from_iter_values(read_ids(ids).map(|(_, content)| content))));
    RecordBatch::try_new(Arc::clone(&SEALED), columns)
}

/// The event columns of [`SEALED`].
static SEALED_EVENTS: std::sync::LazyLock<arrow::datatypes::SchemaRef> = std::sync::LazyLock::new(|| {
    let fields: Vec<_> = SEALED.fields().iter().take(ARRIVAL_AT).cloned().collect();
    Arc::new(arrow::datatypes::Schema::new(fields))
});

/// The events by local day, each day in the order of (`occurred_at`, `arrival`), without columns that have no value.
///
/// # Errors
/// Only if Arrow cannot sort them.
pub fn by_day(events: &RecordBatch, calendar: &Calendar) -> Result<Vec<(String, RecordBatch)>, ArrowError> {
    let times = events.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>().values();
    let arrivals = events.column(ARRIVAL_AT).as_primitive::<Int64Type>().values();
    let mut order: Vec<u32> = (0..u32::try_from(events.num_rows()).unwrap_or(u32::MAX)).collect();
    order.sort_unstable_by_key(|row| (times[*row as usize], arrivals[*row as usize]));
    let mut days = Vec::new();
    let mut rest = &order[..];
    while let Some(first) = rest.first() {
        let date = calendar.local(times[*first as usize]).date();
        let end = date.tomorrow().ok().and_then(|next| calendar.start_of_day(next).ok()).unwrap_or(i64::MAX);
        // At least the first row, so that the loop ends whatever a calendar says.
        let rows = rest.partition_point(|row| times[*row as usize] < end).max(1);
        let (day, later) = rest.split_at(rows);
        let sorted = take_record_batch(events, &UInt32Array::from(day.to_vec()))?;
        days.push((date.to_string(), without_empty(&sorted)?));
        rest = later;
    }
    Ok(days)
}

/// Without the columns that are NULL throughout.
fn without_empty(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let kept: Vec<usize> =
        (0..batch.num_columns()).filter(|at| batch.column(*at).null_count() < batch.num_rows()).collect();
    batch.project(&kept)
}
