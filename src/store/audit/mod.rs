//! 审计日志 in the store: who did what, from where, and what came of it. A record is written in the transaction of what
//! it tells, so that there is neither without the other; records are chained (`chain.rs`), and the end of the chain is
//! sealed by a signature now and then (`seals.rs`). Its older part lies in Parquet files (`filing.rs`), which everything
//! that reads the log reads before the table.

mod file;
mod filing;
mod follow;
mod list;
mod register;
mod seals;

use std::{cell::RefCell, path::Path, rc::Rc};

use rusqlite::{Connection, Row, named_params, types::ValueRef};
use serde::Serialize;

use super::{Cases, StoreError, chain, chain::Head, checksums::Summed, explain, reach_in};
use crate::{access::Actor, event::Instant};

pub(crate) use follow::follow;
pub use list::{AuditFilter, Listing};
pub(crate) use register::{AuditFile, list as files};
pub use seals::{AuditReport, Seal};

/// Something that was done.
#[derive(Debug, Clone, Copy)]
pub struct AuditedAction<'d> {
    /// What, by the word of the action.
    pub action: &'d str,
    /// To whom or what.
    pub subject: &'d str,
    /// What came of it.
    pub result: &'d str,
    /// What else is worth knowing; never a secret.
    pub detail: &'d str,
}

pub(crate) fn record(
    summed: &Summed<'_>,
    at: Instant,
    actor: &Actor,
    deed: AuditedAction<'_>,
) -> rusqlite::Result<()> {
    reach_in("audit.record")?;
    let AuditedAction { action, subject, result, detail } = deed;
    let texts = [&*actor.who, &*actor.place, action, subject, result, detail].map(ValueRef::from);
    let values: Vec<_> = [ValueRef::Integer(at.as_micros())].into_iter().chain(texts).collect();
    chain::AUDIT.add(summed, &values)?;
    reach_in("audit.recorded")
}

/// The word for what was done.
pub(crate) const DONE: &str = "done";

/// A record as it is read.
#[derive(Debug, Clone, Serialize)]
pub struct AuditEntry {
    /// Its number in the log, without gaps.
    pub seq: i64,
    /// When it was done, by the daemon's clock.
    #[serde(skip)]
    pub at: Instant,
    /// Who did it, or tried to.
    pub who: String,
    /// The address or socket that it came from.
    pub place: String,
    /// What was done, as a word of the log.
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

impl AuditEntry {
    /// The end of the log after it.
    fn after(&self, end: Head) -> Head {
        let texts = [&self.who, &self.place, &self.action, &self.subject, &self.result, &self.detail];
        let texts = texts.into_iter().map(|text| ValueRef::from(text.as_str()));
        end.then([ValueRef::Integer(self.at.as_micros())].into_iter().chain(texts))
    }

    /// The bytes of its texts, about.
    fn size(&self) -> usize {
        let texts = [&self.who, &self.place, &self.action, &self.subject, &self.result, &self.detail];
        100 + texts.iter().map(|text| text.len()).sum::<usize>()
    }
}

/// The audit log of a state directory.
#[derive(Debug)]
pub struct Audit {
    cases: Cases,
    /// The file that was read last: whoever reads pages comes back to it.
    last_read: RefCell<Option<(String, Rc<Vec<AuditEntry>>)>>,
}

impl Audit {
    /// Opens it for reading.
    ///
    /// # Errors
    /// If there is no state, or it is of another version.
    pub fn open_read_only(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self::on(Cases::open_read_only(dir)?))
    }

    /// Opens it to be sealed.
    ///
    /// # Errors
    /// If there is no state, or it is of another version.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self::on(Cases::open(dir)?))
    }

    fn on(cases: Cases) -> Self {
        Self { cases, last_read: RefCell::default() }
    }

    /// What one moment has of the log: its files, and `work` for its table. The daemon may move records meanwhile.
    fn moment<T>(
        &self,
        work: impl FnOnce(&Connection, Vec<AuditFile>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let fail = |error| explain(&self.cases.dir, error);
        let moment = self.cases.connection.unchecked_transaction().map_err(fail)?;
        let result = work(&moment, files(&moment).map_err(fail)?);
        moment.rollback().map_err(fail)?;
        result
    }

    /// The records of a file.
    fn records_of(&self, file: &AuditFile) -> Result<Rc<Vec<AuditEntry>>, StoreError> {
        if let Some((name, entries)) = &*self.last_read.borrow()
            && *name == file.file
        {
            return Ok(Rc::clone(entries));
        }
        let dir = &self.cases.dir;
        let read = file::read(dir, file);
        let entries = Rc::new(read.map_err(|what| StoreError::SealedFile { path: file.path(dir), what })?);
        *self.last_read.borrow_mut() = Some((file.file.clone(), Rc::clone(&entries)));
        Ok(entries)
    }

    /// The latest records, oldest first.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn latest(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let mut filter = AuditFilter { limit, ..AuditFilter::default() };
        let mut found = Vec::new();
        loop {
            let listing = self.list(&filter)?;
            found.extend(listing.entries);
            filter.limit = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
            filter.before = listing.goes_on_before;
            if filter.before.is_none() || filter.limit == 0 {
                break;
            }
        }
        found.reverse();
        Ok(found)
    }

    /// The records after a number, at most so many, oldest first.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn after(&self, seq: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let sql = format!("SELECT {ENTRY} FROM audit WHERE seq > :seq ORDER BY seq LIMIT :limit");
        let values = named_params! { ":seq": seq, ":limit": limit };
        self.moment(|c, files| {
            if let Some(file) = files.iter().find(|file| file.last > seq) {
                let entries = self.records_of(file)?;
                let rest = entries.iter().filter(|entry| entry.seq > seq);
                return Ok(rest.take(limit as usize).cloned().collect());
            }
            let fail = |error| explain(&self.cases.dir, error);
            let mut statement = c.prepare_cached(&sql).map_err(fail)?;
            let rows = statement.query_map(values, entry).map_err(fail)?;
            rows.collect::<Result<_, _>>().map_err(fail)
        })
    }
}

const ENTRY: &str = "seq, at, who, place, action, subject, result, detail, digest";

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    let digest: [u8; 32] = row.get("digest")?;
    Ok(AuditEntry {
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
