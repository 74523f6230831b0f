//! What was read of sealed files and blocks, for who reads the same of them again: neither ever changes. A rule that is due
//! every day for what was in a month reads one day again.

use std::{collections::HashMap, sync::Arc};

use arrow::{compute::concat_batches, error::ArrowError, record_batch::RecordBatch};
use parking_lot::Mutex;

use super::{
    super::{StoreError, sealed::SealedFile},
    JournalView, Select, Snapshot, THREADS_MAX,
    block::{self, BlockInfo},
    file, lost,
    parallel::{Ordered, ThreadLost},
    shape::ScanShape,
};
use crate::{
    evaluate::plans::rows::compacted,
    event::{Instant, TypeSet},
};

/// Bytes that are remembered.
const BYTES: usize = 64 << 20;
/// Events of a file or block that is kept whole; larger ones are read in batches each time.
const UNIT_EVENTS: i64 = 256 << 10;
/// Rows that are worth a batch.
const ROWS: usize = 8 << 10;
/// Bytes of what is remembered beside its rows.
const KEY_BYTES: usize = 512;

/// The rows that are remembered, those that were wanted last.
#[derive(Debug, Default)]
pub struct Remembered(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    rows: HashMap<Key, (RecordBatch, u64)>,
    bytes: usize,
    /// Counts what is asked for.
    turn: u64,
}

/// What was read, and of what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    place: Place,
    columns: Arc<[String]>,
    types: Option<TypeSet>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    /// A file by its name and checksum.
    File(String, i64),
    /// A block by its number.
    Block(i64),
}

impl Remembered {
    fn get(&self, key: &Key) -> Option<RecordBatch> {
        let mut kept = self.0.lock();
        kept.turn += 1;
        let turn = kept.turn;
        let (rows, used) = kept.rows.get_mut(key)?;
        *used = turn;
        Some(rows.clone())
    }

    fn put(&self, key: &Key, rows: RecordBatch) -> RecordBatch {
        let bytes = bytes(&rows);
        let mut kept = self.0.lock();
        if bytes > BYTES / 8 || kept.rows.contains_key(key) {
            return rows;
        }
        if kept.bytes + bytes > BYTES {
            kept.forget(BYTES / 2);
        }
        kept.bytes += bytes;
        let turn = kept.turn;
        kept.rows.insert(key.clone(), (rows.clone(), turn));
        rows
    }
}

impl Kept {
    /// Lets go of what was not asked for the longest, until there are so many bytes.
    fn forget(&mut self, most: usize) {
        let mut by_use: Vec<_> = self.rows.iter().map(|(key, (_, used))| (*used, key.clone())).collect();
        by_use.sort_unstable_by_key(|(used, _)| *used);
        for (_, key) in by_use {
            if self.bytes <= most {
                break;
            }
            let rows = self.rows.remove(&key);
            self.bytes -= rows.map_or(0, |(rows, _)| bytes(&rows));
        }
    }
}

fn bytes(rows: &RecordBatch) -> usize {
    rows.get_array_memory_size() + KEY_BYTES
}

/// What is read as one.
#[derive(Debug, Clone)]
enum Unit {
    File(SealedFile),
    Block(BlockInfo),
}

impl Unit {
    /// Which of the selected bounds cut it.
    fn within(&self, select: &Select) -> Select {
        let cut = match self {
            Self::File(f) => select.within(f.first_at, f.last_at, f.first_seq, f.last_seq),
            Self::Block(b) => select.within(Instant::MIN, Instant::MAX, b.seq, b.seq),
        };
        Select { from: None, to: None, ..cut }
    }

    /// Its key, if it is remembered: a part of it is not, nor what is large.
    fn key(&self, cut: &Select, columns: &Arc<[String]>) -> Option<Key> {
        let (place, events) = match self {
            Self::File(file) => (Place::File(file.file.clone(), file.checksum), file.events),
            Self::Block(block) => (Place::Block(block.seq), block.events),
        };
        let is_whole = cut.after.is_none() && cut.until.is_none() && events <= UNIT_EVENTS;
        is_whole.then(|| Key { place, columns: Arc::clone(columns), types: cut.types })
    }
}

/// Rows of a unit.
enum Piece {
    More(RecordBatch),
    Last(RecordBatch),
}

/// A unit, what is read of it, and whether in one piece.
type Job = (Unit, Select, bool);

/// Where the rows of a unit come from.
enum Source {
    Remembered(RecordBatch),
    /// They are read, and remembered under this key.
    Next(Option<Key>),
}

type Take<'t> = dyn FnMut(Result<Piece, StoreError>) -> bool + 't;

/// Reads a unit, in one piece if it is to be `whole`.
fn read(
    snapshot: &Snapshot,
    shape: &ScanShape,
    (unit, select, whole): &Job,
    take: &mut Take<'_>,
) -> Result<(), StoreError> {
    let file = match unit {
        Unit::Block(info) => {
            take(Ok(Piece::Last(block::read(snapshot, info, shape, select)?)));
            return Ok(());
        }
        Unit::File(file) => file,
    };
    let mut batches = Vec::new();
    file::read(&snapshot.dir, file, shape, select, &mut |batch| match whole {
        true => {
            batches.push(batch);
            true
        }
        false => take(Ok(Piece::More(batch))),
    })?;
    let rows = concat_batches(&shape.schema, &batches).map_err(|e| file::damaged(&snapshot.dir, file, e))?;
    take(Ok(Piece::Last(rows)));
    Ok(())
}

/// Rows on their way to who wants them, in batches that are worth it.
struct Gathered<'t> {
    shape: &'t ScanShape,
    batches: Vec<RecordBatch>,
    rows: usize,
    take: &'t mut dyn FnMut(RecordBatch) -> bool,
}

impl Gathered<'_> {
    /// Adds rows; `false` if no more are wanted.
    fn add(&mut self, rows: RecordBatch) -> Result<bool, ArrowError> {
        if rows.num_rows() == 0 {
            return Ok(true);
        }
        self.rows += rows.num_rows();
        self.batches.push(rows);
        if self.rows < ROWS { Ok(true) } else { self.give() }
    }

    fn give(&mut self) -> Result<bool, ArrowError> {
        let batches = std::mem::take(&mut self.batches);
        self.rows = 0;
        let rows = match &batches[..] {
            [] => return Ok(true),
            [rows] => rows.clone(),
            _ => concat_batches(&self.shape.schema, &batches)?,
        };
        Ok((self.take)(rows))
    }
}

impl JournalView {
    /// Gives the events of the journal to `take` until it returns `false`: those of the selected types and arrivals in files
    /// and blocks that have some of the selected times. What is not remembered is read by a few threads.
    ///
    /// # Errors
    /// If a file or block is damaged, or the database cannot be read.
    pub(super) fn read_again(
        &self,
        select: &Select,
        shape: &ScanShape,
        remembered: &Remembered,
        take: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), StoreError> {
        let dir = &self.snapshot.dir;
        let unfit = |e: ArrowError| StoreError::Corrupt { path: dir.clone(), what: e.to_string() };
        let columns: Arc<[String]> = shape.schema.fields().iter().map(|f| f.name().clone()).collect();
        let (mut sources, mut missing) = (Vec::new(), Vec::new());
        for unit in self.units(select)? {
            let cut = unit.within(select);
            let key = unit.key(&cut, &columns);
            if let Some(rows) = key.as_ref().and_then(|key| remembered.get(key)) {
                sources.push(Source::Remembered(rows));
            } else {
                missing.push((unit, cut, key.is_some()));
                sources.push(Source::Next(key));
            }
        }
        let mut pieces = self.pieces(missing, shape);
        let mut gathered = Gathered { shape, batches: Vec::new(), rows: 0, take };
        for source in sources {
            let key = match source {
                Source::Next(key) => key,
                Source::Remembered(rows) => {
                    if !gathered.add(rows).map_err(unfit)? {
                        return Ok(());
                    }
                    continue;
                }
            };
            loop {
                let (rows, is_last) = match pieces.next().unwrap_or_else(|| Err(lost(dir, ThreadLost)))? {
                    Piece::More(rows) => (rows, false),
                    Piece::Last(rows) => (rows, true),
                };
                let rows = match &key {
                    Some(key) => remembered.put(key, compacted(rows)),
                    None => rows,
                };
                if !gathered.add(rows).map_err(unfit)? {
                    return Ok(());
                }
                if is_last {
                    break;
                }
            }
        }
        gathered.give().map_err(unfit)?;
        Ok(())
    }

    /// The rows of these units, one after the other; no thread begins where there is none.
    fn pieces(
        &self,
        units: Vec<Job>,
        shape: &ScanShape,
    ) -> Box<dyn Iterator<Item = Result<Piece, StoreError>>> {
        if units.is_empty() {
            return Box::new(std::iter::empty());
        }
        let threads = std::thread::available_parallelism().map_or(2, usize::from).min(THREADS_MAX);
        let (snapshot, shape, dir) = (Arc::clone(&self.snapshot), shape.clone(), self.snapshot.dir.clone());
        let pieces = Ordered::new(units, threads, move |job, take: &mut Take<'_>| {
            if let Err(error) = read(&snapshot, &shape, &job, take) {
                take(Err(error));
            }
        });
        Box::new(pieces.map(move |piece| piece.unwrap_or_else(|e| Err(lost(&dir, e)))))
    }

    fn units(&self, select: &Select) -> Result<Vec<Unit>, StoreError> {
        let files = self.snapshot.files.iter().filter(|f| {
            select.times_overlap(f.first_at, f.last_at) && select.blocks_overlap(f.first_seq, f.last_seq)
        });
        let files = files.cloned().map(Unit::File);
        Ok(files.chain(self.blocks(select)?.into_iter().map(Unit::Block)).collect())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    fn rows(mebibytes: usize) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![0; mebibytes << 17]));
        RecordBatch::try_from_iter([("n", numbers)]).unwrap()
    }

    fn key(block: i64) -> Key {
        Key { place: Place::Block(block), columns: Arc::default(), types: None }
    }

    #[test]
    fn what_was_asked_for_last_stays_within_the_bound() {
        let remembered = Remembered::default();
        for block in 0..100 {
            remembered.put(&key(block), rows(1));
            assert!(remembered.get(&key(0)).is_some(), "what is asked for every time was let go of");
        }
        assert!(remembered.get(&key(99)).is_some() && remembered.get(&key(1)).is_none());
        remembered.put(&key(100), rows(BYTES >> 20));
        assert!(remembered.get(&key(100)).is_none(), "a batch as large as all there may be");
        let kept = remembered.0.lock();
        assert_eq!(kept.bytes, kept.rows.values().map(|(rows, _)| bytes(rows)).sum::<usize>());
        assert!(kept.bytes <= BYTES && kept.rows.len() > 20);
    }
}
