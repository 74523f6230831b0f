//! Records in quarantine, as they are looked up.

use serde::Serialize;

use super::{
    super::{StoreError, checksums, conditions::Conditions, explain},
    LIMIT, LIMIT_MAX, Reader,
};
use crate::{event::Instant, stream::RejectReason};

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
    pub(super) fn conditions(&self) -> Conditions {
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

/// A refused record as the quarantine keeps it.
#[derive(Debug, Clone, Serialize)]
pub struct StoredReject {
    pub(crate) seq: i64,
    pub(crate) source: String,
    /// The file, or topic and partition.
    pub partition: String,
    /// The line, row or offset.
    pub record: i64,
    pub(crate) reason: String,
    /// The reason in words.
    pub detail: String,
    #[serde(skip)]
    pub(crate) raw: Vec<u8>,
    /// When it was received.
    pub received_at: Instant,
    /// When it was read again.
    pub replayed_at: Option<Instant>,
}

impl StoredReject {
    /// Whether it can be read again: as JSON. What is none came as something else, and its reason would be lost. A hole has no
    /// record at all.
    #[must_use]
    pub fn can_be_read_again(&self) -> bool {
        self.reason != RejectReason::Lost.code()
            && (self.reason == RejectReason::InvalidJson.code()
                || self.raw.trim_ascii_start().starts_with(b"{"))
    }
}

/// Rejected records of one partition and reason that the quarantine had no room for.
#[derive(Debug, Clone, Serialize)]
pub struct Overflow {
    pub(crate) source: String,
    /// The file, or topic and partition; empty for HTTP.
    pub partition: String,
    pub(crate) reason: String,
    pub(crate) records: u64,
    /// The line, row or offset of the first.
    pub first_record: i64,
    /// And of the last.
    pub last_record: i64,
    pub(crate) bytes: u64,
    /// In hexadecimal: BLAKE3 of the digest before and the record's bytes, from 32 zero bytes on.
    pub digest: String,
}

/// A SELECT of so many rows at most.
pub(super) fn limited(select: &str, conditions: &Conditions, order: &str, limit: Option<u32>) -> String {
    format!("{select} {} {order} LIMIT {}", conditions.clause(), limit.unwrap_or(LIMIT).min(LIMIT_MAX))
}

impl Reader {
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
        checksums::check(&self.dir, &snapshot, &checksums::QUARANTINE)?;
        checksums::check(&self.dir, &snapshot, &checksums::OVERFLOW)
    }
}
