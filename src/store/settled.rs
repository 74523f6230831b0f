//! 决算: how far into the journal the statement of a year goes once it is frozen, in three rows of `meta` for each year.

use std::path::Path;

use super::{
    Cases, JournalView, StoreError,
    audit::{self, AuditedAction, DONE},
    checksums::{meta, set_meta},
    commit, explain,
};
use crate::{access::Actor, event::Instant, journal::layout::arrival};

/// What a year was frozen at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freeze {
    pub(crate) year: i32,
    /// The last place in the journal that it takes in.
    pub until: i64,
    pub(crate) at: Instant,
    /// A digest of the statement, so that another one of the same events is not taken for it.
    pub print: i64,
}

const UNTIL: &str = "settled until ";
const AT: &str = "settled at ";
const PRINT: &str = "settled print ";

impl JournalView {
    /// What a year was frozen at; `None` if it is open.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn frozen(&self, year: i32) -> Result<Option<Freeze>, StoreError> {
        let connection = self.snapshot.connection();
        let read = |name: &str| meta(&connection, &format!("{name}{year}"));
        let freeze = || {
            Ok(Freeze { year, until: read(UNTIL)?, at: Instant::from_micros(read(AT)?), print: read(PRINT)? })
        };
        let freeze = freeze().map_err(|error| explain(&self.snapshot.dir, error))?;
        Ok(Some(freeze).filter(|freeze| freeze.at > Instant::EPOCH))
    }

    /// A place in the journal that all of its events are before.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn end(&self) -> Result<i64, StoreError> {
        let blocks = commit::last_seq(&self.snapshot.connection());
        let last = blocks.map_err(|error| explain(&self.snapshot.dir, error))?;
        Ok(arrival(last + 1, 0) - 1)
    }
}

/// Freezes a year, unless it is frozen. Whether it was done.
///
/// # Errors
/// If the database cannot be written.
pub fn freeze(dir: &Path, freeze: &Freeze, by: &Actor) -> Result<bool, StoreError> {
    let Freeze { year, until, at, print } = *freeze;
    Cases::open(dir)?.change(|summed| {
        let name = |prefix: &str| format!("{prefix}{year}");
        if meta(summed.transaction, &name(AT))? > 0 {
            return Ok(false);
        }
        for (prefix, value) in [(UNTIL, until), (AT, at.as_micros()), (PRINT, print)] {
            set_meta(summed.transaction, &name(prefix), value)?;
        }
        let (subject, detail) = (year.to_string(), format!("until {until}"));
        let deed =
            AuditedAction { action: "budget.settle", subject: &subject, result: DONE, detail: &detail };
        audit::record(summed, at, by, deed)?;
        Ok(true)
    })
}
