//! Ticks that were passed without an answer, in a row of `meta` each: a rule that found nothing and one that was not asked
//! are two things. The number of rows is bounded; the latest ticks stay.

use rusqlite::{Connection, Transaction};

use super::{
    JournalView, Reader, StoreError,
    checksums::{remove_meta, set_meta},
    explain,
};
use crate::{
    evaluate::schedule::{PassedTick, Why},
    event::Instant,
};

/// Rows that are kept.
const KEPT: usize = 1000;
const PREFIX: &str = "passed ";

pub(crate) fn write(transaction: &Transaction<'_>, passed: &[PassedTick]) -> rusqlite::Result<()> {
    if passed.is_empty() {
        return Ok(());
    }
    for tick in passed {
        set_meta(transaction, &name(tick), tick.why.code())?;
    }
    let known = read(transaction)?;
    let forgotten = known.len().saturating_sub(KEPT);
    known.iter().take(forgotten).try_for_each(|tick| remove_meta(transaction, &name(tick)))
}

fn name(tick: &PassedTick) -> String {
    format!("{PREFIX}{} {}", tick.rule, tick.tick.as_micros())
}

/// All of them, by their ticks.
fn read(connection: &Connection) -> rusqlite::Result<Vec<PassedTick>> {
    let mut statement =
        connection.prepare_cached("SELECT name, value FROM meta WHERE name LIKE 'passed %'")?;
    let mut rows = statement.query([])?;
    let mut known = Vec::new();
    while let Some(row) = rows.next()? {
        let (name, code): (String, i64) = (row.get(0)?, row.get(1)?);
        // An id has no spaces.
        let tick = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once(' '));
        if let Some((rule, Ok(at))) = tick.map(|(rule, at)| (rule, at.parse())) {
            let why = Why::of_code(code).ok_or(rusqlite::Error::IntegralValueOutOfRange(1, code))?;
            known.push(PassedTick { rule: rule.to_owned(), tick: Instant::from_micros(at), why });
        }
    }
    known.sort_by(|a, b| (a.tick, &a.rule).cmp(&(b.tick, &b.rule)));
    Ok(known)
}

impl Reader {
    /// The ticks that were passed without an answer, by their times.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn passed_ticks(&self) -> Result<Vec<PassedTick>, StoreError> {
        read(&self.connection).map_err(|error| explain(&self.dir, error))
    }
}

impl JournalView {
    /// The ticks that were passed without an answer, by their times.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn passed_ticks(&self) -> Result<Vec<PassedTick>, StoreError> {
        read(&self.snapshot.connection()).map_err(|error| explain(&self.snapshot.dir, error))
    }
}
