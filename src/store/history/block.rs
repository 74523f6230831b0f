//! Reading journal blocks that are not sealed yet.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Int64Array},
    record_batch::RecordBatch,
};
use rusqlite::Connection;

use super::{
    super::{StoreError, explain},
    Select, Snapshot,
    shape::ScanShape,
};

use crate::{
    event::Instant,
    journal::{JournalBlock, layout::arrival, stored_block},
    say,
};

/// What is known of a block without reading it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockInfo {
    pub seq: i64,
    pub events: i64,
    first_at: Instant,
    last_at: Instant,
}

/// The blocks that can have selected events, in order.
pub(crate) fn list(connection: &Connection, select: &Select) -> rusqlite::Result<Vec<BlockInfo>> {
    let sql = "SELECT seq, events, first_at, last_at FROM journal INDEXED BY journal_times ORDER BY seq";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(BlockInfo {
            seq: row.get("seq")?,
            events: row.get("events")?,
            first_at: row.get("first_at")?,
            last_at: row.get("last_at")?,
        })
    })?;
    rows.filter(|block| {
        let selected = |b: &BlockInfo| {
            select.times_overlap(b.first_at, b.last_at) && select.blocks_overlap(b.seq, b.seq)
        };
        block.as_ref().map_or(true, selected)
    })
    .collect()
}

/// The selected events of a block.
///
/// # Errors
/// If the block is damaged or the database cannot be read.
pub(crate) fn read(
    snapshot: &Snapshot,
    info: &BlockInfo,
    shape: &ScanShape,
    select: &Select,
) -> Result<RecordBatch, StoreError> {
    let dir = &snapshot.dir;
    let sql = "SELECT block, ids, checksum FROM journal WHERE seq = ?1";
    // Only one thread can read the database at a time; checking and decoding go on in parallel.
    let (block, ids, checksum): (Vec<u8>, Vec<u8>, i64) = snapshot
        .connection()
        .prepare_cached(sql)
        .and_then(|mut s| {
            s.query_row([info.seq], |row| Ok((row.get("block")?, row.get("ids")?, row.get("checksum")?)))
        })
        .map_err(|e| explain(dir, e))?;
    let damaged = |what: String| StoreError::Corrupt {
        path: dir.clone(),
        what: say!("journal block {seq}: {what}", seq = info.seq, what),
    };
    if JournalBlock::checksum(&block, &ids) != checksum {
        return Err(damaged(say!("it does not match its checksum")));
    }
    let select = select.within(info.first_at, info.last_at, info.seq, info.seq);
    let batch = stored_block(&block, Some(&|name: &str| shape.needs(name, &select)))
        .and_then(|stored| {
            let rows = i64::try_from(stored.num_rows()).unwrap_or(i64::MAX);
            let arrivals = Int64Array::from_iter_values((0..rows).map(|row| arrival(info.seq, row)));
            shape.output(&stored, Some(&(Arc::new(arrivals) as ArrayRef)), &select)
        })
        .map_err(|e| damaged(e.to_string()))?;
    Ok(batch)
}
