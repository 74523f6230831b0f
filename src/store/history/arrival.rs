//! Sealed events in the order they arrived in. Files are by time; each is sorted by arrival when the merge comes to
//! the first of its events, and let go of after its last, so that a few days are in memory and not the journal.

use std::{cmp::Reverse, collections::BinaryHeap, path::PathBuf};

use arrow::{
    array::{AsArray, Int64Array, UInt32Array},
    compute::{concat_batches, interleave_record_batch, take_record_batch},
    datatypes::Int64Type,
    error::ArrowError,
    record_batch::RecordBatch,
};

use super::{
    super::{StoreError, sealed::SealedFile},
    Select, file, lost,
    parallel::Ordered,
    shape::ScanShape,
};

use crate::{journal::layout, say};

/// Rows of a batch.
const ROWS: usize = 32 << 10;

/// A file's selected events by arrival.
struct Sorted {
    batch: RecordBatch,
    arrivals: Int64Array,
    next: usize,
}

pub(crate) struct ByArrival {
    dir: PathBuf,
    /// The first arrival that each file not loaded yet can have, in order.
    waiting: std::vec::IntoIter<i64>,
    waiting_next: Option<i64>,
    loaded: Ordered<Result<Option<Sorted>, StoreError>>,
    open: Vec<Option<Sorted>>,
    heap: BinaryHeap<Reverse<(i64, usize)>>,
}

impl ByArrival {
    /// Of `files`, which are sorted by their first block.
    pub(crate) fn new(
        dir: &std::path::Path,
        files: Vec<SealedFile>,
        shape: &ScanShape,
        select: Select,
        threads: usize,
    ) -> Self {
        let firsts: Vec<i64> = files.iter().map(|f| layout::arrival(f.first_seq, 0)).collect();
        let mut waiting = firsts.into_iter();
        let waiting_next = waiting.next();
        let (shape, folder) = (shape.clone(), dir.to_owned());
        let loaded =
            Ordered::new(files, threads, move |sealed: SealedFile, take: &mut dyn FnMut(_) -> bool| {
                let mut batches = Vec::new();
                let read = file::read(&folder, &sealed, &shape, &select, &mut |batch| {
                    batches.push(batch);
                    true
                });
                let sorted = read
                    .and_then(|()| sorted(&batches, &shape).map_err(|e| file::damaged(&folder, &sealed, e)));
                take(sorted);
            });
        Self { dir: dir.to_owned(), waiting, waiting_next, loaded, open: Vec::new(), heap: BinaryHeap::new() }
    }

    /// Loads the files whose events can be next.
    fn load(&mut self) -> Result<(), StoreError> {
        while let Some(first) = self.waiting_next {
            if self.heap.peek().is_some_and(|Reverse((next, _))| *next < first) {
                break;
            }
            self.waiting_next = self.waiting.next();
            let Some(sorted) = self.loaded.next() else { break };
            let Some(sorted) = sorted.map_err(|e| lost(&self.dir, e))?? else { continue };
            let at = self.open.iter().position(Option::is_none).unwrap_or(self.open.len());
            self.heap.push(Reverse((sorted.arrivals.value(0), at)));
            if at == self.open.len() {
                self.open.push(None);
            }
            self.open[at] = Some(sorted);
        }
        Ok(())
    }

    /// Stretches of open files that follow one another, about [`ROWS`] rows, and the files they end in.
    fn stretches(&mut self) -> Result<Vec<(usize, usize, usize)>, StoreError> {
        let mut stretches = Vec::new();
        let mut rows = 0;
        while rows < ROWS {
            self.load()?;
            let Some(Reverse((_, at))) = self.heap.pop() else { break };
            let Some(sorted) = self.open.get_mut(at).and_then(Option::as_mut) else { break };
            let limit = self.heap.peek().map_or(i64::MAX, |Reverse((next, _))| *next);
            let limit = limit.min(self.waiting_next.unwrap_or(i64::MAX));
            let ahead = &sorted.arrivals.values()[sorted.next..];
            let ahead = &ahead[..ahead.len().min(ROWS)];
            let len = ahead.partition_point(|arrival| *arrival < limit).max(1);
            stretches.push((at, sorted.next, len));
            rows += len;
            sorted.next += len;
            if sorted.next < sorted.arrivals.len() {
                self.heap.push(Reverse((sorted.arrivals.value(sorted.next), at)));
            }
        }
        Ok(stretches)
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>, StoreError> {
        let stretches = self.stretches()?;
        let places: Vec<usize> = {
            let mut places: Vec<usize> = stretches.iter().map(|(at, ..)| *at).collect();
            places.sort_unstable();
            places.dedup();
            places
        };
        let sources: Vec<&RecordBatch> =
            places.iter().filter_map(|at| self.open[*at].as_ref()).map(|s| &s.batch).collect();
        let batch = match (&stretches[..], &sources[..]) {
            ([], _) => None,
            ([(_, start, len)], [only]) => Some(only.slice(*start, *len)),
            _ => {
                let mut rows = Vec::with_capacity(stretches.iter().map(|(.., len)| len).sum());
                for (at, start, len) in &stretches {
                    let source = places.binary_search(at).unwrap_or(0);
                    rows.extend((*start..start + len).map(|row| (source, row)));
                }
                let merged = interleave_record_batch(&sources, &rows);
                let merged =
                    merged.map_err(|e| StoreError::Corrupt { path: self.dir.clone(), what: e.to_string() });
                Some(merged?)
            }
        };
        // Only now can another file have the place of one that has ended.
        for at in places {
            let ended = self.open[at].as_ref().is_some_and(|s| s.next == s.arrivals.len());
            if ended {
                self.open[at] = None;
            }
        }
        Ok(batch)
    }
}

fn sorted(batches: &[RecordBatch], shape: &ScanShape) -> Result<Option<Sorted>, ArrowError> {
    let batch = concat_batches(&shape.schema, batches)?;
    if batch.num_rows() == 0 {
        return Ok(None);
    }
    let missing = || ArrowError::SchemaError(say!("there is no column {name}", name = layout::ARRIVAL));
    let column = |batch: &RecordBatch| {
        batch.column_by_name(layout::ARRIVAL).and_then(|c| c.as_primitive_opt::<Int64Type>()).cloned()
    };
    let arrivals = column(&batch).ok_or_else(missing)?;
    if arrivals.values().is_sorted() {
        return Ok(Some(Sorted { batch, arrivals, next: 0 }));
    }
    let mut order: Vec<u32> = (0..u32::try_from(arrivals.len()).unwrap_or(u32::MAX)).collect();
    order.sort_unstable_by_key(|row| arrivals.value(*row as usize));
    let batch = take_record_batch(&batch, &UInt32Array::from(order))?;
    let arrivals = column(&batch).ok_or_else(missing)?;
    Ok(Some(Sorted { batch, arrivals, next: 0 }))
}

impl Iterator for ByArrival {
    type Item = Result<RecordBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().transpose()
    }
}
