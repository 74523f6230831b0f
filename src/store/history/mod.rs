//! Reading the whole journal, sealed files and blocks, as of one moment, beside a running daemon.

mod arrival;
pub(crate) mod block;
pub(super) mod file;
mod lasting;
pub(super) mod parallel;
mod remembered;
mod select;
pub(super) mod shape;
mod table;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::AsArray,
    datatypes::{Int64Type, SchemaRef},
    record_batch::RecordBatch,
};
use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;

use self::{
    arrival::ByArrival,
    block::BlockInfo,
    parallel::Ordered,
    shape::{ScanShape, Wide},
};
use super::{
    StoreError, explain, open_reader,
    sealed::{self, SealedFile},
};

use crate::{
    event::{Column, EventType, Instant},
    journal::layout::ARRIVAL,
    say,
};

pub use lasting::LastingTable;
pub use remembered::Remembered;
pub use select::Select;
pub use table::JournalTable;

/// Threads that decode for one scan.
const THREADS_MAX: usize = 4;
/// Events of blocks that one job decodes.
const JOB_EVENTS: i64 = 16 << 10;

/// In which order events are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOrder {
    /// The order in which they were accepted.
    Arrival,
    /// Whichever is fastest. It is the same at every scan of one [`JournalView`].
    Any,
}

/// The journal as of the moment it was opened. While it lives no sealed file is deleted, and the database's log
/// cannot be cut, so it should not live for hours.
#[derive(Debug, Clone)]
pub struct JournalView {
    pub(super) snapshot: Arc<Snapshot>,
    schema: SchemaRef,
}

/// A read transaction, and the sealed files it sees.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub dir: PathBuf,
    connection: Mutex<Connection>,
    pub files: Vec<SealedFile>,
    _hold: File,
}

impl Snapshot {
    pub(crate) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock()
    }
}

/// Batches of events, one after another, until one fails.
pub type EventBatches = Box<dyn Iterator<Item = Result<RecordBatch, StoreError>> + Send>;

/// Takes some events with their types and places in the journal.
pub(crate) type TakePart<'t> = dyn FnMut(&RecordBatch, &[EventType], &[i64]) + 't;

impl JournalView {
    /// Opens the journal of a state directory. `schema` is the event schema in the zone that times are read in.
    ///
    /// # Errors
    /// If there is no state, another version wrote it, or it cannot be read.
    pub fn open(dir: &Path, schema: &SchemaRef) -> Result<Self, StoreError> {
        let fail = |error| explain(dir, error);
        let connection = open_reader(dir)?;
        // Held before the transaction begins, so that what it sees is not deleted.
        let hold = sealed::hold(dir)?;
        connection.execute_batch("BEGIN").map_err(fail)?;
        let files = sealed::list(&connection).map_err(fail)?;
        let snapshot =
            Snapshot { dir: dir.to_owned(), connection: Mutex::new(connection), files, _hold: hold };
        Ok(Self { snapshot: Arc::new(snapshot), schema: Arc::clone(schema) })
    }

    /// The event schema, without `arrival`.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The number of events.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn events(&self) -> Result<u64, StoreError> {
        let blocks = self.blocks(&Select::default())?;
        let sealed = self.snapshot.files.iter().map(|f| f.events);
        Ok(sealed.chain(blocks.iter().map(|b| b.events)).map(i64::unsigned_abs).sum())
    }

    /// The schema of [`Self::scan`]'s batches.
    ///
    /// # Errors
    /// If `projection` names a column that does not exist.
    pub fn scan_schema(&self, projection: Option<&[usize]>) -> Result<SchemaRef, StoreError> {
        Ok(self.shape(projection, true)?.schema)
    }

    /// The selected events, in batches of the event schema's columns at the places in `projection` (all without it),
    /// followed by `arrival`: an `Int64` that orders events as they were accepted. Files, row groups and blocks outside
    /// of the selected times and arrivals are not read, columns that are not asked for are not decoded, and a few
    /// threads decode ahead. Dropping the iterator ends them.
    ///
    /// # Errors
    /// At once if the database cannot be read; an item is an error if a file or block is damaged, and the last one then.
    pub fn scan(
        &self,
        select: &Select,
        projection: Option<&[usize]>,
        order: ReadOrder,
    ) -> Result<EventBatches, StoreError> {
        self.read(select, self.shape(projection, true)?, order, Bounds::Exact)
    }

    /// Gives all events to `take`, in the order they arrived in and with their types. Files and blocks that end before
    /// `from` are left out; the others are given whole, earlier events included. Columns of the event
    /// schema that are not at the places in `columns` are not read: they are NULL.
    ///
    /// # Errors
    /// If a file or block is damaged or the database cannot be read.
    pub fn replay(
        &self,
        from: Option<Instant>,
        columns: &[usize],
        take: &mut dyn FnMut(&RecordBatch, &[EventType]),
    ) -> Result<(), StoreError> {
        let select = Select { from, ..Select::default() };
        let mut columns = columns.to_vec();
        columns.push(Column::Type.index());
        columns.sort_unstable();
        columns.dedup();
        let mut wide = Wide::new(&self.schema, &columns);
        for batch in
            self.read(&select, self.shape(Some(&columns), true)?, ReadOrder::Arrival, Bounds::Coarse)?
        {
            let damaged = |what: String| StoreError::Corrupt { path: self.snapshot.dir.clone(), what };
            let batch = wide.batch(&batch?).map_err(|e| damaged(e.to_string()))?;
            let names = batch.column(Column::Type.index()).as_string_view();
            let types: Option<Vec<_>> = names.iter().map(|name| EventType::parse(name?)).collect();
            take(&batch, &types.ok_or_else(|| damaged(say!("an event of unknown type")))?);
        }
        Ok(())
    }

    /// The same for a part of the journal, exactly, with the place of each event.
    ///
    /// # Errors
    /// As there.
    pub fn replay_part(
        &self,
        select: &Select,
        columns: &[usize],
        take: &mut TakePart<'_>,
    ) -> Result<(), StoreError> {
        let mut columns = columns.to_vec();
        columns.push(Column::Type.index());
        columns.sort_unstable();
        columns.dedup();
        let mut wide = Wide::new(&self.schema, &columns);
        let damaged = |what: String| StoreError::Corrupt { path: self.snapshot.dir.clone(), what };
        for batch in self.scan(select, Some(&columns), ReadOrder::Arrival)? {
            let batch = batch?;
            let arrivals = batch.column_by_name(ARRIVAL).and_then(|all| all.as_primitive_opt::<Int64Type>());
            let arrivals = arrivals.cloned().ok_or_else(|| damaged(String::from("no arrival")))?;
            let batch = wide.batch(&batch).map_err(|e| damaged(e.to_string()))?;
            let names = batch.column(Column::Type.index()).as_string_view();
            let types: Option<Vec<_>> = names.iter().map(|name| EventType::parse(name?)).collect();
            let types = types.ok_or_else(|| damaged(say!("an event of unknown type")))?;
            take(&batch, &types, arrivals.values());
        }
        Ok(())
    }

    fn shape(&self, projection: Option<&[usize]>, arrival: bool) -> Result<ScanShape, StoreError> {
        ScanShape::new(&self.schema, projection, arrival)
            .map_err(|e| StoreError::Request(say!("columns of the journal: {error}", error = e)))
    }

    fn read(
        &self,
        select: &Select,
        shape: ScanShape,
        order: ReadOrder,
        bounds: Bounds,
    ) -> Result<EventBatches, StoreError> {
        let threads = std::thread::available_parallelism().map_or(2, usize::from).min(THREADS_MAX);
        let files = self.snapshot.files.iter().filter(|f| {
            select.times_overlap(f.first_at, f.last_at) && select.blocks_overlap(f.first_seq, f.last_seq)
        });
        let files: Vec<SealedFile> = files.cloned().collect();
        let blocks = self.blocks(select)?;
        let select = match bounds {
            Bounds::Exact => *select,
            Bounds::Coarse => Select { from: None, to: None, ..*select },
        };
        let mut jobs: Vec<Job> = Vec::new();
        let mut sealed: EventBatches = Box::new(std::iter::empty());
        match order {
            ReadOrder::Any => jobs.extend(files.into_iter().map(Job::File)),
            ReadOrder::Arrival => {
                sealed = Box::new(ByArrival::new(&self.snapshot.dir, files, &shape, select, threads));
            }
        }
        jobs.extend(block_jobs(blocks));
        let snapshot = Arc::clone(&self.snapshot);
        let dir = snapshot.dir.clone();
        let work = move |job, take: &mut dyn FnMut(_) -> bool| {
            if let Err(error) = run(&snapshot, job, &shape, &select, take) {
                take(Err(error));
            }
        };
        let rest = Ordered::new(jobs, threads, work);
        let rest = rest.map(move |result| result.unwrap_or_else(|e| Err(lost(&dir, e))));
        // Blocks come after all that is sealed. After an error nothing can be trusted to be whole.
        let mut failed = false;
        let all = sealed.chain(rest).take_while(move |item| !std::mem::replace(&mut failed, item.is_err()));
        Ok(Box::new(all))
    }

    fn blocks(&self, select: &Select) -> Result<Vec<BlockInfo>, StoreError> {
        block::list(&self.snapshot.connection(), select).map_err(|e| explain(&self.snapshot.dir, e))
    }
}

/// What becomes of events outside of the selected times that share a file or block with some within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bounds {
    /// They are left out.
    Exact,
    /// They are given too.
    Coarse,
}

/// What one thread decodes at a time.
enum Job {
    File(SealedFile),
    Blocks(Vec<BlockInfo>),
}

/// Blocks in groups that are worth a job.
fn block_jobs(blocks: Vec<BlockInfo>) -> Vec<Job> {
    let mut jobs = Vec::new();
    let mut group = Vec::new();
    let mut events = 0;
    for block in blocks {
        events += block.events;
        group.push(block);
        if events >= JOB_EVENTS {
            jobs.push(Job::Blocks(std::mem::take(&mut group)));
            events = 0;
        }
    }
    if !group.is_empty() {
        jobs.push(Job::Blocks(group));
    }
    jobs
}

fn run(
    snapshot: &Snapshot,
    job: Job,
    shape: &ScanShape,
    select: &Select,
    take: &mut dyn FnMut(Result<RecordBatch, StoreError>) -> bool,
) -> Result<(), StoreError> {
    match job {
        Job::File(file) => file::read(&snapshot.dir, &file, shape, select, &mut |batch| take(Ok(batch))),
        Job::Blocks(blocks) => {
            let mut batches = Vec::with_capacity(blocks.len());
            for block in &blocks {
                batches.push(block::read(snapshot, block, shape, select)?);
            }
            // A slow stream makes many small blocks; readers want batches.
            let batch = arrow::compute::concat_batches(&shape.schema, &batches)
                .map_err(|e| StoreError::Corrupt { path: snapshot.dir.clone(), what: e.to_string() })?;
            if batch.num_rows() > 0 {
                take(Ok(batch));
            }
            Ok(())
        }
    }
}

pub(super) fn lost(dir: &Path, _: parallel::ThreadLost) -> StoreError {
    let what = say!("a reading thread has died; this is a bug, please report it");
    StoreError::Corrupt { path: dir.to_owned(), what }
}
