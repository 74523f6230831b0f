//! Reading the state, beside a running daemon too.

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
    alert_rows::Rows,
    alerts, checkpoint,
    conditions::Conditions,
    explain,
    filter::Wanted,
    finding_times::monday,
    open_reader,
    recover::{EARLIEST, EVENTS, LATEST},
    sealed::FOLDER,
    sums,
};
use crate::{
    event::time::Calendar,
    finding::Finding,
    journal::{JournalBlock, decode_block},
    ledger::Ledger,
    say,
    stream::Reason,
};

/// A reading connection.
#[derive(Debug)]
pub struct Reader {
    pub(super) dir: PathBuf,
    pub(super) connection: Connection,
}

/// Which quarantined records to list, the oldest first.
#[derive(Debug, Clone, Default)]
pub struct RejectFilter {
    /// Only with this reason code.
    pub reason: Option<String>,
    /// Only of this source.
    pub source: Option<String>,
    /// Those that were replayed too.
    pub replayed: bool,
    /// Only after this number.
    pub after: i64,
    /// At most so many.
    pub limit: Option<u32>,
}

impl RejectFilter {
    fn conditions(&self) -> Conditions {
        let mut conditions = Conditions::default();
        conditions.equal("reason", self.reason.as_ref());
        conditions.equal("source", self.source.as_ref());
        conditions.and("seq > ?", [self.after.into()]);
        if !self.replayed {
            conditions.and("replayed_at IS NULL", []);
        }
        conditions
    }
}

/// A quarantined record.
#[derive(Debug, Clone, Serialize)]
pub struct StoredReject {
    /// Its number.
    pub seq: i64,
    /// The source.
    pub source: String,
    /// The file, or topic and partition.
    pub partition: String,
    /// The line, row or offset.
    pub record: i64,
    /// The reason code.
    pub reason: String,
    /// The reason in words.
    pub detail: String,
    /// The bytes.
    #[serde(skip)]
    pub raw: Vec<u8>,
    /// When it was received, in microseconds.
    pub received_at: i64,
    /// When it was read again, in microseconds.
    pub replayed_at: Option<i64>,
}

impl StoredReject {
    /// Whether it can be read again: as JSON. What is none came as something else, and its reason would be lost. A hole has no
    /// record at all.
    #[must_use]
    pub fn can_be_read_again(&self) -> bool {
        self.reason != Reason::Lost.code()
            && (self.reason == Reason::InvalidJson.code() || self.raw.trim_ascii_start().starts_with(b"{"))
    }
}

/// Rejected records of one partition and reason that the quarantine had no room for.
#[derive(Debug, Clone, Serialize)]
pub struct Overflow {
    /// The source.
    pub source: String,
    /// The file, or topic and partition; empty for HTTP.
    pub partition: String,
    /// The reason code.
    pub reason: String,
    /// How many.
    pub records: u64,
    /// The line, row or offset of the first.
    pub first_record: i64,
    /// And of the last.
    pub last_record: i64,
    /// Their bytes.
    pub bytes: u64,
    /// In hexadecimal: BLAKE3 of the digest before and the record's bytes, from 32 zero bytes on.
    pub digest: String,
}

/// The state in numbers.
#[derive(Debug, Clone, Serialize)]
pub struct StateInfo {
    /// The directory.
    pub dir: PathBuf,
    /// The schema version.
    pub schema_version: i64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Events of the journal, sealed ones included.
    pub events: i64,
    /// Journal blocks that are not sealed.
    pub journal_blocks: i64,
    /// Sealed files.
    pub sealed_files: i64,
    /// Events in them.
    pub sealed_events: i64,
    /// Their bytes.
    pub sealed_bytes: i64,
    /// Events that were deleted because they were older than `state.retain`.
    pub retired_events: i64,
    /// Events after the last checkpoint, which the next start applies again.
    pub events_after_checkpoint: i64,
    /// Event time of the first and last event, in microseconds.
    pub first_at: Option<i64>,
    /// The last.
    pub last_at: Option<i64>,
    /// Findings.
    pub findings: i64,
    /// Records in quarantine that were not replayed.
    pub quarantined: i64,
    /// Duplicates seen.
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
        wanted: &Wanted,
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
    pub fn findings(&self, wanted: &Wanted) -> Result<Vec<(i64, Finding)>, StoreError> {
        let conditions = wanted.page_of_findings(self.alert_rows()?);
        let order = format!("ORDER BY {} DESC, seq DESC", wanted.order_of_findings());
        let sql = limited("SELECT seq, body FROM findings f", &conditions, &order, wanted.filter.limit);
        self.rows(&sql, conditions.values, |row| Ok((row.get("seq")?, alerts::from_json(row, "body")?)))
    }

    /// How many findings are wanted, whatever the limit.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn count_findings(&self, wanted: &Wanted) -> Result<u64, StoreError> {
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
        const HOUR: i64 = 3_600_000_000;
        // Hours, because no zone's days begin within one.
        let sql = format!("SELECT at / {HOUR}, count(*) FROM findings WHERE rule_id = ?1 GROUP BY 1");
        let hours: Vec<(i64, u64)> =
            self.rows(&sql, vec![rule.to_owned().into()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut found: BTreeMap<Date, u64> = BTreeMap::new();
        for (hour, findings) in hours {
            let day = calendar.format(hour * HOUR);
            let Some(day) = day.get(..10).and_then(|day| day.parse::<Date>().ok()) else { continue };
            *found.entry(monday(day)).or_default() += findings;
        }
        let left_out = found.len().saturating_sub(weeks);
        Ok(found.into_iter().skip(left_out).collect())
    }

    fn alert_rows(&self) -> Result<Rows, StoreError> {
        Rows::of(&self.connection).map_err(|error| explain(&self.dir, error))
    }

    fn count(&self, table: &str, conditions: Conditions) -> Result<u64, StoreError> {
        let sql = format!("SELECT count(*) FROM {table} {}", conditions.clause());
        let values = params_from_iter(conditions.values);
        self.connection.query_row(&sql, values, |row| row.get(0)).map_err(|error| explain(&self.dir, error))
    }

    /// Quarantined records, the oldest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn rejects(&self, filter: &RejectFilter) -> Result<Vec<StoredReject>, StoreError> {
        let select = "SELECT seq, source, partition, record, reason, detail, raw, received_at, replayed_at FROM quarantine";
        let conditions = filter.conditions();
        let sql = limited(select, &conditions, "ORDER BY seq", filter.limit);
        self.rows(&sql, conditions.values, |row| {
            Ok(StoredReject {
                seq: row.get("seq")?,
                source: row.get("source")?,
                partition: row.get("partition")?,
                record: row.get("record")?,
                reason: row.get("reason")?,
                detail: row.get("detail")?,
                raw: row.get("raw")?,
                received_at: row.get("received_at")?,
                replayed_at: row.get("replayed_at")?,
            })
        })
    }

    /// A record of the quarantine.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn reject(&self, seq: i64) -> Result<Option<StoredReject>, StoreError> {
        let one = RejectFilter {
            replayed: true,
            after: seq.saturating_sub(1),
            limit: Some(1),
            ..RejectFilter::default()
        };
        Ok(self.rejects(&one)?.pop().filter(|record| record.seq == seq))
    }

    /// The number of the latest record in quarantine.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn last_reject(&self) -> Result<i64, StoreError> {
        let last = self.rows("SELECT coalesce(max(seq), 0) FROM quarantine", Vec::new(), |row| row.get(0))?;
        Ok(last.first().copied().unwrap_or_default())
    }

    /// How many records of the quarantine a filter names, whatever its limit.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn count_rejects(&self, filter: &RejectFilter) -> Result<u64, StoreError> {
        self.count("quarantine", filter.conditions())
    }

    /// What the quarantine only counts.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn overflow(&self, filter: &RejectFilter) -> Result<Vec<Overflow>, StoreError> {
        let select = "SELECT source, partition, reason, records, first_record, last_record, bytes, lower(hex(digest)) AS digest FROM quarantine_overflow";
        let mut conditions = Conditions::default();
        conditions.equal("reason", filter.reason.as_ref());
        conditions.equal("source", filter.source.as_ref());
        let sql = limited(select, &conditions, "ORDER BY source, partition, reason", filter.limit);
        self.rows(&sql, conditions.values, |row| {
            Ok(Overflow {
                source: row.get("source")?,
                partition: row.get("partition")?,
                reason: row.get("reason")?,
                records: row.get("records")?,
                first_record: row.get("first_record")?,
                last_record: row.get("last_record")?,
                bytes: row.get("bytes")?,
                digest: row.get("digest")?,
            })
        })
    }

    /// Compares the quarantine with its checksum, before its records are believed.
    ///
    /// # Errors
    /// If it does not match.
    pub fn check_rejects(&self) -> Result<(), StoreError> {
        let snapshot = self.connection.unchecked_transaction().map_err(|error| explain(&self.dir, error))?;
        sums::check(&self.dir, &snapshot, &sums::QUARANTINE)?;
        sums::check(&self.dir, &snapshot, &sums::OVERFLOW)
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

/// A SELECT of so many rows at most.
fn limited(select: &str, conditions: &Conditions, order: &str, limit: Option<u32>) -> String {
    format!("{select} {} {order} LIMIT {}", conditions.clause(), limit.unwrap_or(LIMIT).min(LIMIT_MAX))
}
