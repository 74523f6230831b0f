//! 审计日志 in the store: who did what, from where, and what came of it. A record is written in the transaction of what
//! it tells, so that there is neither without the other; records are chained (`chain.rs`), and the end of the chain is
//! sealed by a signature now and then (`seals.rs`).

mod list;
mod seals;

use std::path::Path;

use rusqlite::{Row, named_params, types::ValueRef};
use serde::Serialize;

use super::{Cases, StoreError, chain, reach_in, sums::Summed};
use crate::access::Actor;

pub use list::AuditFilter;
pub use seals::{Report, Seal};

/// Something that was done.
#[derive(Debug, Clone, Copy)]
pub struct Deed<'d> {
    /// What, by the word of the action.
    pub action: &'d str,
    /// To whom or what.
    pub subject: &'d str,
    /// What came of it.
    pub result: &'d str,
    /// What else is worth knowing; never a secret.
    pub detail: &'d str,
}

/// Adds a record.
pub(crate) fn record(summed: &Summed<'_>, at: i64, actor: &Actor, deed: Deed<'_>) -> rusqlite::Result<()> {
    reach_in("audit.record")?;
    let Deed { action, subject, result, detail } = deed;
    let texts = [&*actor.who, &*actor.place, action, subject, result, detail].map(ValueRef::from);
    let values: Vec<_> = [ValueRef::Integer(at)].into_iter().chain(texts).collect();
    chain::AUDIT.add(summed, &values)?;
    reach_in("audit.recorded")
}

/// The word for what was done.
pub(crate) const DONE: &str = "done";

/// A record as it is read.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Its number.
    pub seq: i64,
    /// When, in microseconds.
    #[serde(skip)]
    pub at: i64,
    /// Who.
    pub who: String,
    /// From where.
    pub place: String,
    /// Did what.
    pub action: String,
    /// To whom or what.
    pub subject: String,
    /// What came of it.
    pub result: String,
    /// What else is known.
    pub detail: String,
    /// The digest that ties it to the one before, in hexadecimal.
    pub digest: String,
}

/// The audit log of a state directory.
#[derive(Debug)]
pub struct Audit {
    cases: Cases,
}

impl Audit {
    /// Opens it for reading.
    ///
    /// # Errors
    /// If there is no state, or it is of another version.
    pub fn open_read_only(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { cases: Cases::open_read_only(dir)? })
    }

    /// Opens it to be sealed.
    ///
    /// # Errors
    /// If there is no state, or it is of another version.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { cases: Cases::open(dir)? })
    }

    /// The latest records, oldest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn latest(&self, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let sql = format!("SELECT {ENTRY} FROM audit ORDER BY seq DESC LIMIT ?1");
        let mut found: Vec<Entry> =
            self.cases.read(|c| c.prepare_cached(&sql)?.query_map([limit], entry)?.collect())?;
        found.reverse();
        Ok(found)
    }

    /// The records after a number, at most so many, oldest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn after(&self, seq: i64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let sql = format!("SELECT {ENTRY} FROM audit WHERE seq > :seq ORDER BY seq LIMIT :limit");
        let values = named_params! { ":seq": seq, ":limit": limit };
        self.cases.read(|c| c.prepare_cached(&sql)?.query_map(values, entry)?.collect())
    }
}

const ENTRY: &str = "seq, at, who, place, action, subject, result, detail, digest";

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let digest: [u8; 32] = row.get("digest")?;
    Ok(Entry {
        seq: row.get("seq")?,
        at: row.get("at")?,
        who: row.get("who")?,
        place: row.get("place")?,
        action: row.get("action")?,
        subject: row.get("subject")?,
        result: row.get("result")?,
        detail: row.get("detail")?,
        digest: blake3::Hash::from_bytes(digest).to_string(),
    })
}
