//! Sealing: old journal blocks become Parquet files, many small files of a day become one, and files that are older
//! than the state is kept for are deleted. It goes on beside the commits, on a connection of its own: reading and
//! encoding need no lock, and the transaction that puts a file in the place of blocks takes milliseconds, for which a
//! commit waits in the busy handler. docs/decisions/0004-sealing.md says why it is done this way.

mod blocks;
mod merge;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::error::ArrowError;
use rusqlite::{Connection, Transaction, named_params};

use super::{
    BUSY, DATABASE, Store, StoreError, Turns,
    checksums::{self, SumUpdate, meta, set_meta},
    configure, decisions,
    error::TransactionError,
    explain, reach,
    sealed::{self, SealedFile},
    versions,
};
use crate::event::{Instant, TimeDelta, time::Calendar};

/// Events that are sealed at once, at least a block. It bounds memory (about half a kilobyte an event) and the
/// transaction that deletes the blocks; compaction makes larger files of the results.
const RUN_EVENTS: i64 = 128 << 10;
/// A day with so many files gets one in their place, when there is nothing to seal.
const COMPACT_FILES: usize = 4;
/// A day with so many files gets one before anything else is sealed: there must not be thousands.
const COMPACT_FILES_NOW: usize = 32;
/// The most files that one takes the place of; all of them are open at the same time.
const COMPACT_FILES_MAX: usize = 64;
/// A file of so many events is left as it is.
const COMPACT_EVENTS: i64 = 4 << 20;

/// What is sealed when, and how long it is kept.
#[derive(Debug, Clone)]
pub struct SealOptions {
    /// A local day is sealed when the latest event is so much past its end.
    pub after: TimeDelta,
    /// Events so much older than the latest one are deleted, a file at a time; `None` keeps everything.
    pub retain: Option<TimeDelta>,
    /// What local days are.
    pub calendar: Arc<Calendar>,
}

/// One thing that was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SealReport {
    /// Journal blocks that became files.
    pub blocks: u64,
    /// Events that those blocks held.
    pub events: u64,
    /// Files that were written of them.
    pub files: u64,
    /// Files that one of those replaced.
    pub compacted: u64,
    /// Files deleted because all their events were too old.
    pub retired_files: u64,
    /// Events that those files held.
    pub retired_events: u64,
    /// Records that come again which were let go of with their events.
    pub retired_records: u64,
}

/// The thread that seals has this.
#[derive(Debug)]
pub struct Sealer {
    dir: PathBuf,
    connection: Connection,
    options: SealOptions,
    /// The last block that `latest_at` knows.
    seen_seq: i64,
    /// The latest event time.
    latest_at: Option<Instant>,
    /// Whether files wait for readers to end before they can be deleted.
    leftovers: bool,
}

impl Store {
    /// A sealer of this state, for a thread of its own. One at a time, and none longer than the store.
    ///
    /// # Errors
    /// If the database cannot be opened once more.
    pub fn sealer(&self, options: SealOptions) -> Result<Sealer, StoreError> {
        let fail = |error| explain(&self.dir, error);
        let connection = Connection::open(self.dir.join(DATABASE)).map_err(fail)?;
        configure(&connection).map_err(fail)?;
        // It reads each block once.
        connection.pragma_update(None, "cache_size", -4096).map_err(fail)?;
        // Files that a reader held at the start may still be there.
        let leftovers = true;
        Ok(Sealer { dir: self.dir.clone(), connection, options, seen_seq: 0, latest_at: None, leftovers })
    }
}

impl Sealer {
    /// Does one thing, if there is one to do: seals some blocks, compacts a day, or deletes what is too old. Whenever
    /// it is interrupted, the journal has each event once.
    ///
    /// # Errors
    /// If a block or file is damaged, or nothing can be written. The journal is what it was.
    pub fn step(&mut self) -> Result<Option<SealReport>, StoreError> {
        self.look()?;
        let mut done = self.compact(COMPACT_FILES_NOW)?;
        if done.is_none() {
            done = self.seal()?;
        }
        if done.is_none() {
            done = self.compact(COMPACT_FILES)?;
        }
        if done.is_none() {
            done = self.retire()?;
        }
        if done.is_none() {
            done = self.let_versions_go()?;
        }
        if self.leftovers {
            self.leftovers = !sealed::remove_unregistered(&self.dir, &self.connection)?;
        }
        Ok(done)
    }

    /// Learns the latest event time.
    fn look(&mut self) -> Result<(), StoreError> {
        let fail = |error| explain(&self.dir, error);
        if self.latest_at.is_none() {
            let sql = "SELECT max(last_at) FROM sealed";
            self.latest_at = self.connection.query_row(sql, [], |row| row.get(0)).map_err(fail)?;
        }
        let sql = "SELECT max(seq), max(last_at) FROM journal INDEXED BY journal_times WHERE seq > ?1";
        let mut statement = self.connection.prepare_cached(sql).map_err(fail)?;
        let new: (Option<i64>, Option<i64>) =
            statement.query_row([self.seen_seq], |row| Ok((row.get(0)?, row.get(1)?))).map_err(fail)?;
        if let (Some(seq), Some(at)) = new {
            self.seen_seq = seq;
            self.latest_at = self.latest_at.max(Some(Instant::from_micros(at)));
        }
        Ok(())
    }

    /// Before this, days are complete.
    fn cutoff(&self) -> Option<Instant> {
        let day = self.options.calendar.local(self.latest_at?.checked_sub(self.options.after)?).date();
        self.options.calendar.start_of_day(day).ok()
    }

    fn seal(&self) -> Result<Option<SealReport>, StoreError> {
        let Some(cutoff) = self.cutoff() else { return Ok(None) };
        let Some((first, last)) = self.complete(cutoff).map_err(|e| explain(&self.dir, e))? else {
            return Ok(None);
        };
        let batches = blocks::read(&self.dir, &self.connection, first, last)?;
        let broken = |e: ArrowError| StoreError::Corrupt { path: self.dir.clone(), what: e.to_string() };
        let mut files = Vec::new();
        for day in blocks::days(&batches, &self.options.calendar) {
            let schema = day.schema(&batches);
            let mut writer = writer::SealedWriter::create(&self.dir, &day.name, &schema)?;
            for events in day.events(&batches, &schema).map_err(broken)? {
                writer.write(&events.map_err(broken)?)?;
            }
            files.push(writer.finish()?);
        }
        writer::settle(&self.dir)?;
        let blocks = batches.len() as u64;
        self.transaction(|transaction| {
            files.iter().try_for_each(|file| sealed::register(transaction, file))?;
            reach(&self.dir, "seal.registered")?;
            // Only the sealer deletes blocks; if somebody else did, nothing is stored.
            let deleted = delete_blocks(transaction, first, last)?;
            if u64::try_from(deleted) != Ok(blocks) {
                return Err(rusqlite::Error::StatementChangedRows(deleted).into());
            }
            set_meta(transaction, "sealed", last)?;
            Ok(reach(&self.dir, "seal.deleted")?)
        })?;
        reach(&self.dir, "seal.done")?;
        let events = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        let files = files.len() as u64;
        Ok(Some(SealReport { blocks, events, files, ..SealReport::default() }))
    }

    /// The first and last of the oldest blocks that can be sealed now.
    fn complete(&self, cutoff: Instant) -> rusqlite::Result<Option<(i64, i64)>> {
        // Recovery applies the blocks after the checkpoint to the ledger, so they stay.
        let sql = "SELECT seq, events, last_at FROM journal INDEXED BY journal_times
                   WHERE seq <= (SELECT value FROM meta WHERE name = 'checkpoint') ORDER BY seq";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        let (mut found, mut events) = (None, 0);
        while let Some(row) = rows.next()? {
            let (seq, more, last_at): (i64, i64, i64) =
                (row.get("seq")?, row.get("events")?, row.get("last_at")?);
            events += more;
            if last_at >= cutoff.as_micros() || (found.is_some() && events > RUN_EVENTS) {
                break;
            }
            found = Some((found.map_or(seq, |(first, _)| first), seq));
        }
        Ok(found)
    }

    /// Puts one file in the place of those of the day that has most, if it has so `many`.
    fn compact(&mut self, many: usize) -> Result<Option<SealReport>, StoreError> {
        let mut files = sealed::list(&self.connection).map_err(|e| explain(&self.dir, e))?;
        files.retain(|file| file.events < COMPACT_EVENTS);
        files.sort_by(|a, b| (&a.day, a.first_seq).cmp(&(&b.day, b.first_seq)));
        let day = files.chunk_by(|a, b| a.day == b.day).max_by_key(|day| day.len());
        let Some(day) = day.filter(|day| day.len() >= many) else { return Ok(None) };
        let day = &day[..day.len().min(COMPACT_FILES_MAX)];
        let merged = merge::merge(&self.dir, day)?;
        writer::settle(&self.dir)?;
        reach(&self.dir, "compact.merged")?;
        self.replace(day, Some(&merged), 0)?;
        Ok(Some(SealReport { files: 1, compacted: day.len() as u64, ..SealReport::default() }))
    }

    fn retire(&mut self) -> Result<Option<SealReport>, StoreError> {
        let (Some(retain), Some(latest)) = (self.options.retain, self.latest_at) else { return Ok(None) };
        let mut files = sealed::list(&self.connection).map_err(|e| explain(&self.dir, e))?;
        files.retain(|file| file.last_at < latest.saturating_sub(retain));
        if files.is_empty() {
            return Ok(None);
        }
        let events: i64 = files.iter().map(|file| file.events).sum();
        let before = latest.saturating_sub(retain);
        self.transaction(|transaction| Ok(decisions::retire(transaction, before)?))?;
        self.replace(&files, None, events)?;
        let (retired_files, retired_events) = (files.len() as u64, events.unsigned_abs());
        Ok(Some(SealReport { retired_files, retired_events, ..SealReport::default() }))
    }

    /// Lets go of the versions of records whose events are too old to be kept.
    fn let_versions_go(&self) -> Result<Option<SealReport>, StoreError> {
        let (Some(retain), Some(latest)) = (self.options.retain, self.latest_at) else { return Ok(None) };
        let fail = |error| explain(&self.dir, error);
        let before = latest.saturating_sub(retain);
        if !versions::are_before(&self.connection, before).map_err(fail)? {
            return Ok(None);
        }
        let mut records = 0;
        self.transaction(|transaction| {
            records = versions::let_go(transaction, before)?;
            Ok(())
        })?;
        Ok(Some(SealReport { retired_records: records as u64, ..SealReport::default() }))
    }

    /// Registers a file in the place of others, which can be deleted then.
    fn replace(
        &mut self,
        old: &[SealedFile],
        new: Option<&SealedFile>,
        retired: i64,
    ) -> Result<(), StoreError> {
        self.transaction(|transaction| {
            old.iter().try_for_each(|file| sealed::unregister(transaction, file))?;
            reach(&self.dir, "replace.unregistered")?;
            new.map_or(Ok(()), |file| sealed::register(transaction, file))?;
            let before = meta(transaction, "retired")?;
            Ok(set_meta(transaction, "retired", before.saturating_add(retired))?)
        })?;
        reach(&self.dir, "replace.done")?;
        self.leftovers = true;
        Ok(())
    }

    fn transaction(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<(), TransactionError>,
    ) -> Result<(), StoreError> {
        Turns::of(&self.dir).write(&self.dir, &self.connection, Some(BUSY), work)
    }

    /// The directory that the state is kept in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Deletes blocks and gives their number.
fn delete_blocks(transaction: &Transaction<'_>, first: i64, last: i64) -> rusqlite::Result<usize> {
    let mut change = SumUpdate::of(transaction, &checksums::JOURNAL);
    for seq in first..=last {
        change.before([seq])?;
    }
    change.end()?;
    let sql = "DELETE FROM journal WHERE seq BETWEEN :first AND :last";
    transaction.execute(sql, named_params! { ":first": first, ":last": last })
}
