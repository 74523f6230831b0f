//! Reading the state, beside a running daemon too.

mod rejects;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use arrow::datatypes::SchemaRef;
use jiff::civil::Date;
use rusqlite::{Connection, params_from_iter, types::Value};
use serde::Serialize;

use super::{
    DATABASE, SCHEMA_VERSION, StoreError,
    alert_rows::RowsOrigin,
    alerts, checkpoint,
    conditions::Conditions,
    explain,
    filter::CaseQuery,
    finding_times::monday,
    open_reader,
    recover::{EARLIEST, EVENTS, LATEST},
    sealed::FOLDER,
};
use crate::{
    event::{Instant, TimeDelta, time::Calendar},
    finding::Finding,
    journal::{JournalBlock, decode_block},
    ledger::Ledger,
    say,
};

use rejects::limited;
pub use rejects::{Overflow, RejectFilter, StoredReject};

/// A connection that only reads the state.
#[derive(Debug)]
pub struct Reader {
    pub(super) dir: PathBuf,
    pub(super) connection: Connection,
}

/// The state in numbers.
#[derive(Debug, Clone, Serialize)]
pub struct StateInfo {
    pub(crate) dir: PathBuf,
    pub(crate) schema_version: i64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Events of the journal, sealed ones included.
    pub events: i64,
    /// Journal blocks that are not sealed.
    pub journal_blocks: i64,
    pub(crate) sealed_files: i64,
    pub(crate) sealed_events: i64,
    pub(crate) sealed_bytes: i64,
    /// Events that were deleted because they were older than `state.retain`.
    pub retired_events: i64,
    /// Events after the last checkpoint, which the next start applies again.
    pub events_after_checkpoint: i64,
    /// Event time of the first and last event.
    pub first_at: Option<Instant>,
    pub(crate) last_at: Option<Instant>,
    pub(crate) findings: i64,
    /// Records in quarantine that were not replayed.
    pub quarantined: i64,
    /// Duplicates that were seen since the first start.
    pub duplicates: i64,
    /// Positions by source and partition.
    pub positions: Vec<(String, String, i64)>,
}

/// Findings listed when nobody says how many.
const LIMIT: u32 = 100;
/// The most that one listing gives.
pub(crate) const LIMIT_MAX: u32 = 10_000;

impl Reader {
    /// Opens the state for reading.
    ///
    /// # Errors
    /// If there is none, or a newer version wrote it.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { dir: dir.to_owned(), connection: open_reader(dir)? })
    }

    /// Gives the bodies of all findings that are wanted to `take`, in the order they were found, until it fails.
    ///
    /// # Errors
    /// The outer one if the database cannot be read, the inner one is that of `take`.
    pub fn export_findings<E>(
        &self,
        wanted: &CaseQuery,
        mut take: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<Result<(), E>, StoreError> {
        let fail = |error| explain(&self.dir, error);
        let conditions = wanted.of_findings(self.alert_rows()?);
        let sql = format!("SELECT body FROM findings f {} ORDER BY seq", conditions.clause());
        let mut statement = self.connection.prepare(&sql).map_err(fail)?;
        let mut rows = statement.query(params_from_iter(conditions.values)).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            let body: String = row.get(0).map_err(fail)?;
            if let Err(stopped) = take(&body) {
                return Ok(Err(stopped));
            }
        }
        Ok(Ok(()))
    }

    /// Findings with their numbers, in the order that is wanted.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn findings(&self, wanted: &CaseQuery) -> Result<Vec<(i64, Finding)>, StoreError> {
        let conditions = wanted.page_of_findings(self.alert_rows()?);
        let order = format!("ORDER BY {} DESC, seq DESC", wanted.order_of_findings());
        let sql = limited("SELECT seq, body FROM findings f", &conditions, &order, wanted.filter.limit);
        self.rows(&sql, conditions.values, |row| Ok((row.get("seq")?, alerts::from_json(row, "body")?)))
    }

    /// How many findings are wanted, whatever the limit.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn count_findings(&self, wanted: &CaseQuery) -> Result<u64, StoreError> {
        self.count("findings f", wanted.page_of_findings(self.alert_rows()?))
    }

    /// What a rule found in the latest weeks of event time that have any, by their Mondays.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn findings_by_week(
        &self,
        rule: &str,
        calendar: &Calendar,
        weeks: usize,
    ) -> Result<Vec<(Date, u64)>, StoreError> {
        const HOUR: i64 = TimeDelta::HOUR.as_micros();
        // Hours, because no zone's days begin within one.
        let sql = format!("SELECT at / {HOUR}, count(*) FROM findings WHERE rule_id = ?1 GROUP BY 1");
        let hours: Vec<(i64, u64)> =
            self.rows(&sql, vec![rule.to_owned().into()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut found: BTreeMap<Date, u64> = BTreeMap::new();
        for (hour, findings) in hours {
            let day = calendar.format(Instant::from_micros(hour * HOUR));
            let Some(day) = day.get(..10).and_then(|day| day.parse::<Date>().ok()) else { continue };
            *found.entry(monday(day)).or_default() += findings;
        }
        let left_out = found.len().saturating_sub(weeks);
        Ok(found.into_iter().skip(left_out).collect())
    }

    fn alert_rows(&self) -> Result<RowsOrigin, StoreError> {
        RowsOrigin::of(&self.connection).map_err(|error| explain(&self.dir, error))
    }

    fn count(&self, table: &str, conditions: Conditions) -> Result<u64, StoreError> {
        let sql = format!("SELECT count(*) FROM {table} {}", conditions.clause());
        let values = params_from_iter(conditions.values);
        self.connection.query_row(&sql, values, |row| row.get(0)).map_err(|error| explain(&self.dir, error))
    }

    /// The ledger after the last commit.
    ///
    /// # Errors
    /// If the database cannot be read or a block is damaged.
    pub fn ledger(&mut self, schema: &SchemaRef) -> Result<Ledger, StoreError> {
        let dir = self.dir.clone();
        let fail = |error| explain(&dir, error);
        // One transaction, so that checkpoint and journal are of the same moment.
        let snapshot = self.connection.transaction().map_err(fail)?;
        let checkpoint = checkpoint::read(&dir, &snapshot)?;
        ledger(&dir, &snapshot, schema, checkpoint)
    }

    /// The state in numbers.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn info(&self) -> Result<StateInfo, StoreError> {
        let fail = |error| explain(&self.dir, error);
        let number = |sql: &str| self.connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(fail);
        let time = |sql: &str| self.connection.query_row(sql, [], |row| row.get(0)).map_err(fail);
        let positions =
            self.rows("SELECT source, partition, \"offset\" FROM positions", Vec::new(), |row| {
                Ok((row.get("source")?, row.get("partition")?, row.get("offset")?))
            })?;
        Ok(StateInfo {
            dir: self.dir.clone(),
            schema_version: SCHEMA_VERSION,
            bytes: store_bytes(&self.dir) + sealed_bytes(&self.dir),
            events: number(EVENTS)?,
            journal_blocks: number("SELECT count(*) FROM journal INDEXED BY journal_times")?,
            sealed_files: number("SELECT count(*) FROM sealed")?,
            sealed_events: number("SELECT coalesce(sum(events), 0) FROM sealed")?,
            sealed_bytes: number("SELECT coalesce(sum(bytes), 0) FROM sealed")?,
            retired_events: number("SELECT value FROM meta WHERE name = 'retired'")?,
            events_after_checkpoint: number(
                "SELECT coalesce(sum(events), 0) FROM journal INDEXED BY journal_times WHERE seq > (SELECT value FROM meta WHERE name = 'checkpoint')",
            )?,
            first_at: time(EARLIEST)?,
            last_at: time(LATEST)?,
            findings: number("SELECT count(*) FROM findings")?,
            quarantined: number("SELECT count(*) FROM quarantine WHERE replayed_at IS NULL")?,
            duplicates: number("SELECT value FROM meta WHERE name = 'duplicates'")?,
            positions,
        })
    }

    pub(super) fn rows<T>(
        &self,
        sql: &str,
        values: Vec<Value>,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let fail = |error| explain(&self.dir, error);
        let mut statement = self.connection.prepare(sql).map_err(fail)?;
        let rows = statement.query_map(params_from_iter(values), read).map_err(fail)?;
        rows.collect::<Result<_, _>>().map_err(fail)
    }
}

/// The ledger as of the last commit that a transaction sees: the checkpoint, and the journal after it.
pub(crate) fn ledger(
    dir: &Path,
    snapshot: &Connection,
    schema: &SchemaRef,
    checkpoint: Ledger,
) -> Result<Ledger, StoreError> {
    let fail = |error| explain(dir, error);
    let mut ledger = checkpoint;
    let sql = "SELECT seq, block, ids, checksum FROM journal WHERE seq > (SELECT value FROM meta WHERE name = 'checkpoint') ORDER BY seq";
    let mut statement = snapshot.prepare(sql).map_err(fail)?;
    let mut rows = statement.query([]).map_err(fail)?;
    while let Some(row) = rows.next().map_err(fail)? {
        let (block, ids): (Vec<u8>, Vec<u8>) =
            (row.get("block").map_err(fail)?, row.get("ids").map_err(fail)?);
        if JournalBlock::checksum(&block, &ids) != row.get::<_, i64>("checksum").map_err(fail)? {
            let seq: i64 = row.get("seq").map_err(fail)?;
            let what = say!("journal block {seq} does not match its checksum", seq);
            return Err(StoreError::Corrupt { path: dir.to_owned(), what });
        }
        let (events, types) = decode_block(&block, schema)
            .map_err(|e| StoreError::Corrupt { path: dir.to_owned(), what: e.to_string() })?;
        ledger.apply(&events, &types);
    }
    Ok(ledger)
}

/// Bytes of the database and its log on disk. Sealed files come on top: [`sealed_bytes`].
#[must_use]
pub fn store_bytes(dir: &Path) -> u64 {
    let size = |name: String| std::fs::metadata(dir.join(name)).map_or(0, |m| m.len());
    size(DATABASE.to_owned()) + size(format!("{DATABASE}-wal"))
}

/// Bytes that are free for us on the disk of the state; `None` if the system does not say.
#[must_use]
pub fn disk_free(dir: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Bytes of the sealed files on disk.
#[must_use]
pub fn sealed_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir.join(FOLDER)).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|m| m.len()).sum()
}
