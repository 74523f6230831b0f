//! Seals: the end of the audit log, signed. Whoever can write the database can make a whole new chain, but not a seal; and a
//! seal that is kept outside tells whether the log still has what it had then.

use std::{collections::BTreeSet, path::Path};

use rusqlite::{Connection, OptionalExtension, Row};

use super::{Audit, follow::follow};
use crate::{
    access::{
        provider::CryptoError,
        seal::{SealKey, is_signed},
    },
    event::Instant,
    say,
    store::{StoreError, chain, chain::Head, checksums, named::insert},
};

/// The end of the log as it was signed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// How many records there were.
    pub records: i64,
    pub(crate) at: Instant,
    /// The digest of the last record, in hexadecimal.
    pub head: String,
    /// The public key, in hexadecimal.
    pub key: String,
    /// The signature over the three above, in hexadecimal.
    pub signature: String,
}

impl Seal {
    fn text(records: i64, at: Instant, head: &str) -> String {
        format!("fiscwatch audit seal 1\n{records}\n{}\n{head}\n", at.as_micros())
    }

    fn of(head: &Head, at: Instant, key: &SealKey) -> Result<Self, CryptoError> {
        let (records, head) = (head.records, head.digest.to_string());
        let signature = key.sign(Self::text(records, at, &head).as_bytes())?;
        Ok(Self { records, at, head, key: key.public(), signature })
    }

    /// Whether its signature is that of its key.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        is_signed(&self.key, Self::text(self.records, self.at, &self.head).as_bytes(), &self.signature)
    }
}

/// What a check of the log found.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct AuditReport {
    /// How many records there are.
    pub records: i64,
    /// The digest of the last one.
    pub head: String,
    /// How many files hold the older part of it.
    pub files: usize,
    /// How many seals there are.
    pub seals: usize,
    /// How many records the last seal covers.
    pub sealed: i64,
    /// The keys that sealed, in hexadecimal.
    pub keys: BTreeSet<String>,
    /// What is wrong; nothing if the log is whole.
    pub problems: Vec<String>,
}

impl Audit {
    /// Whether seals cover all records.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn is_sealed(&self) -> Result<bool, StoreError> {
        self.cases.read(|c| Ok(chain::AUDIT.head(c)?.records <= covered(c)?))
    }

    /// Seals the log, if it has records that no seal covers.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn seal(&self, key: &SealKey, now: Instant) -> Result<Option<Seal>, StoreError> {
        self.cases.change(|summed| {
            let head = chain::AUDIT.head(summed.transaction)?;
            if head.records <= covered(summed.transaction)? {
                return Ok(None);
            }
            let seal = Seal::of(&head, now, key);
            let seal = seal.map_err(|why| rusqlite::Error::ToSqlConversionFailure(Box::new(why)))?;
            let Seal { records, at, head, key, signature } = &seal;
            insert!(summed.transaction, "INSERT INTO audit_seals", { records, at, head, key, signature })?;
            summed.inserted(&checksums::AUDIT_SEALS, [records])?;
            Ok(Some(seal))
        })
    }

    /// The last seal.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn last_seal(&self) -> Result<Option<Seal>, StoreError> {
        let sql = format!("SELECT {SEAL} FROM audit_seals ORDER BY records DESC LIMIT 1");
        self.cases.read(|c| c.query_row(&sql, [], seal).optional())
    }

    /// Follows the log from its first record, and compares it with its seals, with a seal that was kept outside, and
    /// with the keys that may have sealed it; any may, if none is named.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn verify(&self, outside: Option<&Seal>, trusted: &[String]) -> Result<AuditReport, StoreError> {
        self.cases.read(|c| {
            // One moment: the daemon may write meanwhile.
            let moment = c.unchecked_transaction()?;
            let report = verify(&self.cases.dir, &moment, outside, trusted);
            moment.rollback()?;
            report
        })
    }
}

fn verify(
    dir: &Path,
    c: &Connection,
    outside: Option<&Seal>,
    trusted: &[String],
) -> rusqlite::Result<AuditReport> {
    let sql = format!("SELECT {SEAL} FROM audit_seals ORDER BY records");
    let seals: Vec<Seal> = c.prepare(&sql)?.query_map([], seal)?.collect::<Result<_, _>>()?;
    let mut problems = Vec::new();
    let mut waiting = seals.iter().chain(outside).collect::<Vec<_>>();
    waiting.sort_by_key(|seal| seal.records);
    let mut waiting = waiting.into_iter().peekable();
    let followed = follow(dir, c, |head| {
        while let Some(seal) = waiting.next_if(|seal| seal.records <= head.records) {
            if seal.records == head.records && seal.head != head.digest.to_string() {
                problems.push(rewritten(seal));
            }
        }
    })?;
    let last = followed.end;
    // The place where the chain breaks says more than the seals after it.
    match followed.problems.is_empty() {
        false => problems.extend(followed.problems),
        true => problems.extend(waiting.map(|seal| missing(seal, last.records))),
    }
    for seal in seals.iter().chain(outside) {
        if !seal.is_signed() {
            problems.push(say!(
                "the seal over {records} records is not signed by its key: it was changed",
                records = seal.records
            ));
        } else if !trusted.is_empty() && !trusted.contains(&seal.key) {
            problems.push(say!(
                "the seal over {records} records is signed by {key}, which is not among the keys that are named",
                records = seal.records,
                key = seal.key
            ));
        }
    }
    if let Some(outside) = outside.filter(|outside| !seals.contains(outside) && outside.is_signed()) {
        problems.push(say!(
            "the state does not have the seal over {records} records that was kept outside",
            records = outside.records
        ));
    }
    Ok(AuditReport {
        records: last.records,
        head: last.digest.to_string(),
        sealed: seals.last().map_or(0, |seal| seal.records),
        keys: seals.iter().map(|seal| seal.key.clone()).collect(),
        files: followed.files,
        seals: seals.len(),
        problems,
    })
}

pub(super) fn covered(c: &Connection) -> rusqlite::Result<i64> {
    c.query_row("SELECT coalesce(max(records), 0) FROM audit_seals", [], |row| row.get(0))
}

fn rewritten(seal: &Seal) -> String {
    say!(
        "the first {records} records are not those that were sealed: the log was rewritten",
        records = seal.records
    )
}

fn missing(seal: &Seal, found: i64) -> String {
    say!(
        "{records} records were sealed, and there are {found}: the end was cut off, or the state is that of an older backup",
        records = seal.records,
        found
    )
}

const SEAL: &str = "records, at, head, \"key\", signature";

fn seal(row: &Row<'_>) -> rusqlite::Result<Seal> {
    Ok(Seal {
        records: row.get("records")?,
        at: row.get("at")?,
        head: row.get("head")?,
        key: row.get("key")?,
        signature: row.get("signature")?,
    })
}
