//! 隔离区, and its bound: a feed that sends nothing but garbage must not fill the disk and stop everything else.
//!
//! Records are kept with their bytes up to `state.quarantine_mib`. After that a record leaves no entry of its own:
//! those of one partition with one reason share an entry with their number, first and last position, and a digest
//! chained over their bytes. So none vanishes: each is counted, its source position says where it still is, and the
//! digest proves that what is fetched from there later is what was rejected. Or ingestion stops, for those who
//! rather have that.

use rusqlite::{Connection, OptionalExtension, Transaction, named_params, params};

use super::{
    Commit, StoreError,
    checksums::{self, SumUpdate, meta, set_meta},
    error::TransactionError,
    named::insert,
};
use crate::{event::Instant, stream::Reject};

/// What the quarantine needs in the database beyond its own table. It may stand in any schema version.
pub(crate) const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS quarantine_overflow (
    source       TEXT NOT NULL,
    partition    TEXT NOT NULL,
    reason       TEXT NOT NULL,
    records      INTEGER NOT NULL,
    first_record INTEGER NOT NULL,
    last_record  INTEGER NOT NULL,
    bytes        INTEGER NOT NULL,
    -- BLAKE3 of the digest before (32 zero bytes at first) and the record's bytes.
    digest       BLOB NOT NULL,
    first_at     INTEGER NOT NULL,
    last_at      INTEGER NOT NULL,
    PRIMARY KEY (source, partition, reason)
) WITHOUT ROWID;";

/// What an entry takes besides its texts and bytes.
const ENTRY_BYTES: usize = 100;
/// Where the bytes of all entries are counted.
const BYTES: &str = "quarantine_bytes";

/// How large the quarantine may become, and what happens then.
#[derive(Debug, Clone, Copy)]
pub struct QuarantineLimit {
    /// The bytes of all entries.
    pub bytes: u64,
    /// What happens when there is no room.
    pub full: WhenFull,
}

/// What happens to a record that the quarantine has no room for.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum WhenFull {
    /// It is counted, with its position and digest, without its bytes.
    #[default]
    Summarize,
    /// The daemon stops before it.
    Stop,
}

impl Default for QuarantineLimit {
    fn default() -> Self {
        Self { bytes: 1 << 30, full: WhenFull::Summarize }
    }
}

/// Counts what a state of before there was a bound has.
pub(crate) fn begin(connection: &Connection) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO meta (name, value) SELECT :name, coalesce(sum(length(source) + length(partition)
               + length(CAST(detail AS BLOB)) + length(raw) + :entry), 0) FROM quarantine";
    connection.execute(sql, named_params! { ":name": BYTES, ":entry": ENTRY_BYTES }).map(|_| ())
}

/// The bytes of all entries.
pub(crate) fn bytes(connection: &Connection) -> rusqlite::Result<u64> {
    Ok(meta(connection, BYTES)?.unsigned_abs())
}

/// Stores rejected records and marks those that were read again. Gives the bytes in quarantine, and which of the records it
/// had no room for.
pub(crate) fn write(
    transaction: &Transaction<'_>,
    commit: &Commit,
    limit: &QuarantineLimit,
) -> Result<(u64, Vec<usize>), TransactionError> {
    let before = bytes(transaction)?;
    mark_replayed(transaction, commit)?;
    let mut entries = Entries { transaction, now: commit.now, bytes: before, tried: false };
    let mut overflow = Vec::new();
    for (at, reject) in commit.intake.rejects.iter().enumerate() {
        if entries.fits(reject, limit.bytes)? {
            entries.add(reject)?;
        } else if limit.full == WhenFull::Stop {
            return Err(StoreError::QuarantineFull { bytes: entries.bytes }.into());
        } else {
            overflow.push(at);
        }
    }
    for at in &overflow {
        entries.count(&commit.intake.rejects[*at])?;
    }
    if entries.bytes != before {
        set_meta(transaction, BYTES, entries.bytes.cast_signed())?;
    }
    Ok((entries.bytes, overflow))
}

fn mark_replayed(transaction: &Transaction<'_>, commit: &Commit) -> rusqlite::Result<()> {
    let sql = "UPDATE quarantine SET replayed_at = :now WHERE seq = :seq";
    let mut replayed = transaction.prepare_cached(sql)?;
    let mut change = SumUpdate::of(transaction, &checksums::QUARANTINE);
    for seq in &commit.intake.replayed {
        change.before([seq])?;
        replayed.execute(named_params! { ":seq": seq, ":now": commit.now })?;
        change.after([seq])?;
    }
    change.end()
}

struct Entries<'t> {
    transaction: &'t Transaction<'t>,
    now: Instant,
    bytes: u64,
    /// Whether room was looked for already.
    tried: bool,
}

impl Entries<'_> {
    fn fits(&mut self, reject: &Reject, limit: u64) -> rusqlite::Result<bool> {
        let fits = |bytes: u64| bytes.saturating_add(size(reject)) <= limit;
        if !fits(self.bytes) && !std::mem::replace(&mut self.tried, true) {
            self.make_room()?;
        }
        Ok(fits(self.bytes))
    }

    /// Entries that were read again are in the journal, or in quarantine once more.
    fn make_room(&mut self) -> rusqlite::Result<()> {
        let sql =
            "SELECT seq, length(source) + length(partition) + length(CAST(detail AS BLOB)) + length(raw) + ?1
                   FROM quarantine WHERE replayed_at IS NOT NULL";
        let mut statement = self.transaction.prepare(sql)?;
        let rows = statement.query_map([ENTRY_BYTES], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let old: Vec<(i64, u64)> = rows.collect::<Result<_, _>>()?;
        let mut change = SumUpdate::of(self.transaction, &checksums::QUARANTINE);
        for (seq, bytes) in old {
            change.before([seq])?;
            self.transaction.prepare_cached("DELETE FROM quarantine WHERE seq = ?1")?.execute([seq])?;
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        change.end()
    }

    fn add(&mut self, r: &Reject) -> rusqlite::Result<()> {
        insert!(self.transaction, "INSERT INTO quarantine", {
            source: &*r.source,
            partition: &*r.partition,
            record: r.record.cast_signed(),
            reason: r.reason.code(),
            detail: r.detail,
            raw: &r.raw[..],
            received_at: self.now,
        })?;
        let seq = self.transaction.last_insert_rowid();
        let mut change = SumUpdate::of(self.transaction, &checksums::QUARANTINE);
        change.after([seq])?;
        self.bytes += size(r);
        change.end()
    }

    /// Counts a record that there is no room for.
    fn count(&self, r: &Reject) -> rusqlite::Result<()> {
        // Each request over HTTP is a partition of its own, and the sender has its answer.
        let partition = if &*r.source == "http" { "" } else { &*r.partition };
        let (source, reason) = (&*r.source, r.reason.code());
        let key = params![source, partition, reason];
        let mut change = SumUpdate::of(self.transaction, &checksums::OVERFLOW);
        change.before(key)?;
        let mut read = self.transaction.prepare_cached(
            "SELECT digest FROM quarantine_overflow
             WHERE source = :source AND partition = :partition AND reason = :reason",
        )?;
        let named = named_params! { ":source": source, ":partition": partition, ":reason": reason };
        let old: Option<Vec<u8>> = read.query_row(named, |row| row.get(0)).optional()?;
        let mut digest = blake3::Hasher::new();
        digest.update(&old.unwrap_or_else(|| vec![0; 32])).update(&r.raw);
        let digest = digest.finalize();
        let record = r.record.cast_signed();
        insert!(
            self.transaction,
            "INSERT INTO quarantine_overflow",
            {
                source,
                partition,
                reason,
                records: 1,
                first_record: record,
                last_record: record,
                bytes: r.raw.len(),
                digest: &digest.as_bytes()[..],
                first_at: self.now,
                last_at: self.now,
            },
            "ON CONFLICT DO UPDATE SET records = records + 1, last_record = excluded.last_record,
             bytes = bytes + excluded.bytes, digest = excluded.digest, last_at = excluded.last_at"
        )?;
        change.after(key)?;
        change.end()
    }
}

fn size(r: &Reject) -> u64 {
    (r.source.chars().count() + r.partition.chars().count() + r.detail.len() + r.raw.len() + ENTRY_BYTES)
        as u64
}
