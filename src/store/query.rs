//! Reading the state, beside a running daemon too.

use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use rusqlite::{Connection, params_from_iter, types::Value};
use serde::Serialize;

use super::{
    DATABASE, JournalBlock, SCHEMA_VERSION, StoreError, checkpoint, decode_block, explain, open_reader,
    recover::{EARLIEST, EVENTS, LATEST},
    sealed::FOLDER,
    sums,
};
use crate::{evaluate::Finding, ledger::Ledger};

/// A reading connection.
#[derive(Debug)]
pub struct Reader {
    pub(super) dir: PathBuf,
    pub(super) connection: Connection,
}

/// Which findings to list, the newest first.
#[derive(Debug, Clone, Default, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FindingFilter {
    /// Only of this rule.
    pub rule: Option<String>,
    /// Only of this severity: `critical`, `high`, `medium` or `low`.
    pub severity: Option<String>,
    /// Only of this event.
    pub event: Option<String>,
    /// Only those stored before this number (for the next page).
    pub before: Option<i64>,
    /// At most so many.
    pub limit: Option<u32>,
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
pub const LIMIT_MAX: u32 = 10_000;

impl Reader {
    /// Opens the state for reading.
    ///
    /// # Errors
    /// If there is none, or a newer version wrote it.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { dir: dir.to_owned(), connection: open_reader(dir)? })
    }

    /// Gives the bodies of all findings to `take`, in the order they were found, until it fails.
    ///
    /// # Errors
    /// The outer one if the database cannot be read, the inner one is that of `take`.
    pub fn export_findings<E>(
        &self,
        filter: &FindingFilter,
        mut take: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<Result<(), E>, StoreError> {
        let fail = |error| explain(&self.dir, error);
        let mut sql = Query::new("SELECT body FROM findings");
        sql.equal("rule_id", filter.rule.as_ref());
        sql.equal("severity", filter.severity.as_ref());
        let mut statement = self.connection.prepare(&format!("{} ORDER BY seq", sql.sql)).map_err(fail)?;
        let mut rows = statement.query(params_from_iter(sql.values)).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            let body: String = row.get(0).map_err(fail)?;
            if let Err(stopped) = take(&body) {
                return Ok(Err(stopped));
            }
        }
        Ok(Ok(()))
    }

    /// Findings with their numbers, the newest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn findings(&self, filter: &FindingFilter) -> Result<Vec<(i64, Finding)>, StoreError> {
        let mut sql = Query::new("SELECT seq, body FROM findings");
        sql.equal("rule_id", filter.rule.as_ref());
        sql.equal("severity", filter.severity.as_ref());
        sql.equal("event_id", filter.event.as_ref());
        if let Some(before) = filter.before {
            sql.and("seq < ?", before.into());
        }
        let (sql, values) = sql.finish("ORDER BY seq DESC", filter.limit);
        self.rows(&sql, values, |row| {
            let body: String = row.get(1)?;
            let finding = serde_json::from_str(&body).map_err(|e| {
                rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, e.into())
            })?;
            Ok((row.get(0)?, finding))
        })
    }

    /// Quarantined records, the oldest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn rejects(&self, filter: &RejectFilter) -> Result<Vec<StoredReject>, StoreError> {
        let mut sql = Query::new(
            "SELECT seq, source, partition, record, reason, detail, raw, received_at, replayed_at FROM quarantine",
        );
        sql.equal("reason", filter.reason.as_ref());
        sql.equal("source", filter.source.as_ref());
        sql.and("seq > ?", filter.after.into());
        if !filter.replayed {
            sql.and("replayed_at IS NULL AND 1 = ?", 1.into());
        }
        let (sql, values) = sql.finish("ORDER BY seq", filter.limit);
        self.rows(&sql, values, |row| {
            Ok(StoredReject {
                seq: row.get(0)?,
                source: row.get(1)?,
                partition: row.get(2)?,
                record: row.get(3)?,
                reason: row.get(4)?,
                detail: row.get(5)?,
                raw: row.get(6)?,
                received_at: row.get(7)?,
                replayed_at: row.get(8)?,
            })
        })
    }

    /// What the quarantine only counts.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn overflow(&self, filter: &RejectFilter) -> Result<Vec<Overflow>, StoreError> {
        let mut sql = Query::new(
            "SELECT source, partition, reason, records, first_record, last_record, bytes, lower(hex(digest)) FROM quarantine_overflow",
        );
        sql.equal("reason", filter.reason.as_ref());
        sql.equal("source", filter.source.as_ref());
        let (sql, values) = sql.finish("ORDER BY source, partition, reason", filter.limit);
        self.rows(&sql, values, |row| {
            Ok(Overflow {
                source: row.get(0)?,
                partition: row.get(1)?,
                reason: row.get(2)?,
                records: row.get(3)?,
                first_record: row.get(4)?,
                last_record: row.get(5)?,
                bytes: row.get(6)?,
                digest: row.get(7)?,
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
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
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

    fn rows<T>(
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
pub fn ledger(
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
        let (block, ids): (Vec<u8>, Vec<u8>) = (row.get(1).map_err(fail)?, row.get(2).map_err(fail)?);
        if JournalBlock::checksum(&block, &ids) != row.get::<_, i64>(3).map_err(fail)? {
            let seq: i64 = row.get(0).map_err(fail)?;
            let what = format!("journal block {seq} does not match its checksum");
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

/// A SELECT with conditions.
struct Query {
    sql: String,
    values: Vec<Value>,
}

impl Query {
    fn new(select: &str) -> Self {
        Self { sql: select.to_owned(), values: Vec::new() }
    }

    fn and(&mut self, condition: &str, value: Value) {
        let word = if self.values.is_empty() { "WHERE" } else { "AND" };
        self.sql.push_str(&format!(" {word} {condition}"));
        self.values.push(value);
    }

    fn equal(&mut self, column: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.and(&format!("{column} = ?"), value.clone().into());
        }
    }

    fn finish(self, order: &str, limit: Option<u32>) -> (String, Vec<Value>) {
        let limit = limit.unwrap_or(LIMIT).min(LIMIT_MAX);
        (format!("{} {order} LIMIT {limit}", self.sql), self.values)
    }
}
