//! What a transaction changes in the sums.

use std::{cell::RefCell, collections::BTreeMap};

use rusqlite::{Connection, Params, named_params};

use super::{META, Sum, SummedTable, stored};
use crate::store::named::insert;

/// The sum of a table while a transaction changes its rows.
pub(crate) struct SumUpdate<'t> {
    transaction: &'t Connection,
    table: &'static SummedTable,
    row: String,
    by: u64,
}

impl<'t> SumUpdate<'t> {
    /// Nothing is changed yet.
    pub(crate) fn of(transaction: &'t Connection, table: &'static SummedTable) -> Self {
        Self { transaction, table, row: rows_where(table, table.key), by: 0 }
    }

    /// Takes a row out of the sum, if it is there, before it is changed or deleted.
    pub(crate) fn before(&mut self, key: impl Params) -> rusqlite::Result<()> {
        self.by = self.by.wrapping_sub(Sum::of_rows(self.transaction, &self.row, key)?);
        Ok(())
    }

    /// Adds a row as it is now.
    pub(crate) fn after(&mut self, key: impl Params) -> rusqlite::Result<()> {
        self.by = self.by.wrapping_add(Sum::of_rows(self.transaction, &self.row, key)?);
        Ok(())
    }

    /// A row that counted for `was` counts for `now`.
    pub(super) fn replaced(&mut self, was: u64, now: u64) {
        self.by = self.by.wrapping_sub(was).wrapping_add(now);
    }

    pub(crate) fn end(self) -> rusqlite::Result<()> {
        store(self.transaction, self.table, self.by)
    }
}

fn rows_where(table: &SummedTable, condition: &str) -> String {
    format!("SELECT {} FROM {} WHERE {condition}", table.columns, table.name)
}

fn store(transaction: &Connection, table: &SummedTable, by: u64) -> rusqlite::Result<()> {
    if by == 0 {
        return Ok(());
    }
    // Not `value + ?`: SQLite makes a float of a sum that is too large.
    let new = stored(transaction, table)?.0.wrapping_add(by).cast_signed();
    let mut write = transaction.prepare_cached("UPDATE sums SET value = :value WHERE name = :name")?;
    write.execute(named_params! { ":name": table.name, ":value": new }).map(|_| ())
}

/// What a transaction changes in several tables, until [`SumChanges::end`] stores it.
#[derive(Debug, Default)]
pub(crate) struct SumChanges(RefCell<BTreeMap<&'static str, (&'static SummedTable, u64)>>);

impl SumChanges {
    /// The transaction whose changes these are.
    pub(crate) fn within<'t>(&'t self, transaction: &'t Connection) -> Summed<'t> {
        Summed { transaction, changes: self }
    }

    pub(crate) fn end(&self, transaction: &Connection) -> rusqlite::Result<()> {
        self.0.take().into_values().try_for_each(|(table, by)| store(transaction, table, by))
    }
}

/// A transaction that keeps the sums of what it changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summed<'t> {
    pub transaction: &'t Connection,
    changes: &'t SumChanges,
}

impl Summed<'_> {
    /// Does `work`, which changes the rows of one key.
    pub(crate) fn change<T>(
        &self,
        table: &'static SummedTable,
        key: impl Params + Copy,
        work: impl FnOnce() -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.change_where(table, table.key, key, work)
    }

    /// Does `work`, which changes the rows of a condition that holds of them before and after.
    pub(crate) fn change_where<T>(
        &self,
        table: &'static SummedTable,
        condition: &str,
        values: impl Params + Copy,
        work: impl FnOnce() -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let sql = rows_where(table, condition);
        let before = Sum::of_rows(self.transaction, &sql, values)?;
        let done = work()?;
        let after = Sum::of_rows(self.transaction, &sql, values)?;
        self.add(table, after.wrapping_sub(before));
        Ok(done)
    }

    /// Adds a row that `work` has inserted.
    pub(crate) fn inserted(&self, table: &'static SummedTable, key: impl Params) -> rusqlite::Result<()> {
        self.add(table, Sum::of_rows(self.transaction, &rows_where(table, table.key), key)?);
        Ok(())
    }

    fn add(&self, table: &'static SummedTable, by: u64) {
        let mut changes = self.changes.0.borrow_mut();
        let (_, sum) = changes.entry(table.name).or_insert((table, 0));
        *sum = sum.wrapping_add(by);
    }
}

/// Changes one number of `meta`.
pub(crate) fn set_meta(transaction: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    let mut change = SumUpdate::of(transaction, &META);
    change.before([name])?;
    insert!(transaction, "INSERT OR REPLACE INTO meta", { name, value })?;
    change.after([name])?;
    change.end()
}

/// Takes a number out of `meta`.
pub(crate) fn remove_meta(transaction: &Connection, name: &str) -> rusqlite::Result<()> {
    let mut change = SumUpdate::of(transaction, &META);
    change.before([name])?;
    transaction.prepare_cached("DELETE FROM meta WHERE name = ?1")?.execute([name])?;
    change.after([name])?;
    change.end()
}

/// A number of `meta`; 0 if it is not there.
pub(crate) fn meta(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    let mut read = connection.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    match read.query_row([name], |row| row.get(0)) {
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(0),
        result => result,
    }
}
