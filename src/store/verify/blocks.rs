//! Journal blocks: checksums, contents, and what is stored beside them.

use arrow::{
    array::AsArray,
    compute::{max, min},
    datatypes::{SchemaRef, TimestampMicrosecondType},
};

use rusqlite::Row;

use super::{Check, Problems};
use crate::{
    event::{Column, Instant, id_hash},
    journal::{JournalBlock, decode_block, read_ids},
    say,
    store::{
        JournalView, Select, StoreError, explain,
        history::{Snapshot, block, lost, parallel::Ordered},
    },
};

pub(crate) fn check(history: &JournalView, schema: &SchemaRef) -> Result<Check, StoreError> {
    let snapshot = &history.snapshot;
    let blocks = block::list(&snapshot.connection(), &Select::default());
    let blocks = blocks.map_err(|e| explain(&snapshot.dir, e))?;
    let (count, events) = (blocks.len(), blocks.iter().map(|block| block.events).sum::<i64>());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let (source, schema) = (std::sync::Arc::clone(snapshot), SchemaRef::clone(schema));
    let results = Ordered::new(blocks, threads, move |info, take: &mut dyn FnMut(_) -> bool| {
        take(
            look(&source, info.seq, &schema)
                .map(|problem| problem.map(|what| say!("journal block {seq}: {what}", seq = info.seq, what))),
        );
    });
    let mut problems = Problems::default();
    for result in results {
        if let Some(problem) = result.map_err(|e| lost(&snapshot.dir, e))?? {
            problems.add(problem);
        }
    }
    Ok(problems.check("journal", say!("{events} events in {count} blocks", events, count)))
}

/// A row of the journal.
struct Stored {
    events: usize,
    first_at: Instant,
    last_at: Instant,
    block: Vec<u8>,
    ids: Vec<u8>,
    checksum: i64,
}

impl Stored {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            events: row.get("events")?,
            first_at: row.get("first_at")?,
            last_at: row.get("last_at")?,
            block: row.get("block")?,
            ids: row.get("ids")?,
            checksum: row.get("checksum")?,
        })
    }
}

/// What is wrong with a block.
fn look(snapshot: &Snapshot, seq: i64, schema: &SchemaRef) -> Result<Option<String>, StoreError> {
    let sql = "SELECT events, first_at, last_at, block, ids, checksum FROM journal WHERE seq = ?1";
    let Stored { events: rows, first_at, last_at, block, ids, checksum } = snapshot
        .connection()
        .prepare_cached(sql)
        .and_then(|mut s| s.query_row([seq], Stored::read))
        .map_err(|e| explain(&snapshot.dir, e))?;
    if JournalBlock::checksum(&block, &ids) != checksum {
        return Ok(Some(say!("it does not match its checksum")));
    }
    let events = match decode_block(&block, schema) {
        Ok((events, _)) => events,
        Err(e) => return Ok(Some(e.to_string())),
    };
    let times = events.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>();
    let names = events.column(Column::EventId.index()).as_string_view();
    let hashes = names.iter().map(|name| name.map(id_hash));
    Ok(if events.num_rows() != rows {
        Some(say!(
            "it has {events} events and should have {wanted}",
            events = events.num_rows(),
            wanted = rows
        ))
    } else if (min(times), max(times)) != (Some(first_at.as_micros()), Some(last_at.as_micros())) {
        Some(say!("its times are not those it is registered with"))
    } else if !read_ids(&ids).map(|(id, _)| Some(id)).eq(hashes) {
        Some(say!("its ids are not those of its events"))
    } else {
        None
    })
}
