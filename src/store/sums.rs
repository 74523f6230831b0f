//! Sums: what a table holds, in one number, so that a flipped bit in it is found and not believed.
//!
//! `SQLite` has no checksums of its pages. Journal blocks and sealed files carry theirs; balances, positions,
//! findings and the rest are rows of ordinary tables, where a flipped bit is another amount. So the table `sums` has,
//! for each of them, the sum of the hashes of all rows, changed in the transaction that changes the rows. Rows that
//! were altered, lost, repeated or made up change the sum. A start compares all of them.

use std::{ops::Range, path::Path};

use rusqlite::{Connection, Params, Row, types::ValueRef};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::{StoreError, explain};

/// A table with a sum.
#[derive(Debug)]
pub struct Table {
    name: &'static str,
    /// What is summed. Columns that a later version adds are not, until it says so with a new name of the sum.
    columns: &'static str,
    /// The condition that finds one row.
    key: &'static str,
}

/// How far partitions are read.
pub const POSITIONS: Table = Table {
    name: "positions",
    columns: "source, partition, \"offset\", records, token",
    key: "source = ?1 AND partition = ?2",
};
/// Blocks by their checksums; the blocks themselves are compared with those when they are read.
pub const JOURNAL: Table =
    Table { name: "journal", columns: "seq, events, first_at, last_at, checksum", key: "seq = ?1" };
/// The register of sealed files.
pub const SEALED: Table = Table {
    name: "sealed",
    columns: "file, day, first_at, last_at, events, first_seq, last_seq, bytes, checksum",
    key: "file = ?1",
};
/// Findings.
pub const FINDINGS: Table = Table {
    name: "findings",
    columns: "seq, finding_id, rule_id, severity, mode, at, event_id, body",
    key: "seq = ?1",
};
/// The quarantine, compared when it is replayed or exported: it may be large.
pub const QUARANTINE: Table = Table {
    name: "quarantine",
    columns: "seq, source, partition, record, reason, detail, raw, received_at",
    key: "seq = ?1",
};
/// Rejected records that are only counted.
pub const OVERFLOW: Table = Table {
    name: "quarantine_overflow",
    columns: "source, partition, reason, records, first_record, last_record, bytes, digest, first_at, last_at",
    key: "source = ?1 AND partition = ?2 AND reason = ?3",
};
/// Balances at the checkpoint.
pub const LINES: Table = Table {
    name: "lines",
    columns: "budget_line_id, number, approved, fiscal_year, region_code, unit_code, unit_name, function_code, \
              economic_code, project_code, fund_type, total, executed, frozen, reserved, planned, transferred, \
              corrected, last_event_at, opening",
    key: "budget_line_id = ?1",
};
/// Open applications at the checkpoint.
pub const APPLICATIONS: Table =
    Table { name: "applications", columns: "event_id, budget_line_id, amount", key: "event_id = ?1" };
/// Indicators at the checkpoint.
pub const INDICATORS: Table = Table {
    name: "indicators",
    columns: "indicator_id, indicator_name, fiscal_year, project_code, region_code, unit_code, unit_name, \
              budget_line_id, target, actual, at_most, due, stated_at",
    key: "indicator_id = ?1",
};
/// How far event time has come.
pub const WATERMARK: Table = Table { name: "watermark", columns: "id, value", key: "id = ?1" };
/// Numbers of the state.
pub const META: Table = Table { name: "meta", columns: "name, value", key: "name = ?1" };

const ALL: [&Table; 11] = [
    &POSITIONS,
    &JOURNAL,
    &SEALED,
    &FINDINGS,
    &QUARANTINE,
    &OVERFLOW,
    &LINES,
    &APPLICATIONS,
    &INDICATORS,
    &WATERMARK,
    &META,
];

/// Indexes that answers hang on: what a table and its index say of the same rows must agree.
const INDEXES: [(&str, &str, &str); 2] = [
    ("findings", "sqlite_autoindex_findings_1", "finding_id, seq"),
    ("journal", "journal_times", "seq, events, first_at, last_at"),
];

/// What the sums need in the database. It may stand in any schema version.
pub const SCHEMA: &str =
    "CREATE TABLE IF NOT EXISTS sums (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;";

/// Whether there are sums already.
pub fn begun(connection: &Connection) -> rusqlite::Result<bool> {
    connection.prepare("SELECT 1 FROM sums")?.exists([])
}

/// Sums what has no sum yet: a state of before there were sums is believed as it is.
pub fn begin(connection: &Connection) -> rusqlite::Result<()> {
    for table in ALL {
        let mut known = connection.prepare_cached("SELECT 1 FROM sums WHERE name = ?1")?;
        if !known.exists([table.name])? {
            let sum = Sum::of(connection, table)?;
            let sql = "INSERT INTO sums VALUES (?1, ?2)";
            connection.prepare_cached(sql)?.execute((table.name, sum.0.cast_signed()))?;
        }
    }
    Ok(())
}

/// The sum of some rows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    fn of(connection: &Connection, table: &Table) -> rusqlite::Result<Self> {
        Self::over(connection, &format!("SELECT {} FROM {} NOT INDEXED", table.columns, table.name))
    }

    fn over(connection: &Connection, sql: &str) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare(sql)?;
        let columns = 0..statement.column_count();
        let mut rows = statement.query([])?;
        let mut sum = Self::default();
        while let Some(row) = rows.next()? {
            sum.add(row, columns.clone())?;
        }
        Ok(sum)
    }

    /// Adds a row, of which these columns are summed.
    pub fn add(&mut self, row: &Row<'_>, columns: Range<usize>) -> rusqlite::Result<()> {
        self.0 = self.0.wrapping_add(hash(row, columns)?);
        Ok(())
    }
}

/// Types and lengths are hashed too, so that no two rows look alike.
fn hash(row: &Row<'_>, columns: Range<usize>) -> rusqlite::Result<u64> {
    let mut hash = Xxh3::new();
    for at in columns {
        match row.get_ref(at)? {
            ValueRef::Null => hash.update(&[0]),
            ValueRef::Integer(value) => {
                hash.update(&[1]);
                hash.update(&value.to_le_bytes());
            }
            ValueRef::Real(value) => {
                hash.update(&[2]);
                hash.update(&value.to_le_bytes());
            }
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                hash.update(&[3]);
                hash.update(&bytes.len().to_le_bytes());
                // One pass over long values, and the same whatever pieces they come in.
                hash.update(&xxh3_64(bytes).to_le_bytes());
            }
        }
    }
    Ok(hash.digest())
}

/// The columns of a table, in the order in which they are summed.
pub const fn columns(table: &Table) -> &'static str {
    table.columns
}

/// Compares a sum of all rows of a table with the stored one.
///
/// # Errors
/// If it is another one.
pub fn expect(dir: &Path, connection: &Connection, table: &Table, sum: Sum) -> Result<(), StoreError> {
    let fail = |error| explain(dir, error);
    let mut statement = connection.prepare_cached("SELECT value FROM sums WHERE name = ?1").map_err(fail)?;
    let stored: i64 = statement.query_row([table.name], |row| row.get(0)).map_err(fail)?;
    if stored.cast_unsigned() == sum.0 {
        return Ok(());
    }
    let what = format!("the table {} does not match its checksum", table.name);
    Err(StoreError::Corrupt { path: dir.to_owned(), what })
}

/// Compares a table with its sum.
///
/// # Errors
/// If they differ, or the table cannot be read.
pub fn check(dir: &Path, connection: &Connection, table: &Table) -> Result<(), StoreError> {
    let sum = Sum::of(connection, table).map_err(|error| explain(dir, error))?;
    expect(dir, connection, table, sum)
}

/// Compares indexes with their tables.
///
/// # Errors
/// If one has other rows than its table.
pub fn check_indexes(dir: &Path, connection: &Connection) -> Result<(), StoreError> {
    for (table, index, columns) in INDEXES {
        let over = |how: &str| Sum::over(connection, &format!("SELECT {columns} FROM {table} {how}"));
        let fail = |error| explain(dir, error);
        if over("NOT INDEXED").map_err(fail)? != over(&format!("INDEXED BY {index}")).map_err(fail)? {
            let what = format!("an index of the table {table} has other rows than the table");
            return Err(StoreError::Corrupt { path: dir.to_owned(), what });
        }
    }
    Ok(())
}

/// The sum of a table while a transaction changes its rows.
pub struct Change<'t> {
    transaction: &'t Connection,
    table: &'static Table,
    row: String,
    by: u64,
}

impl<'t> Change<'t> {
    /// Nothing is changed yet.
    pub fn of(transaction: &'t Connection, table: &'static Table) -> Self {
        let row = format!("SELECT {} FROM {} WHERE {}", table.columns, table.name, table.key);
        Self { transaction, table, row, by: 0 }
    }

    /// Takes a row out of the sum, if it is there, before it is changed or deleted.
    pub fn before(&mut self, key: impl Params) -> rusqlite::Result<()> {
        self.by = self.by.wrapping_sub(self.rows(key)?);
        Ok(())
    }

    /// Adds a row as it is now.
    pub fn after(&mut self, key: impl Params) -> rusqlite::Result<()> {
        self.by = self.by.wrapping_add(self.rows(key)?);
        Ok(())
    }

    fn rows(&self, key: impl Params) -> rusqlite::Result<u64> {
        let mut statement = self.transaction.prepare_cached(&self.row)?;
        let columns = 0..statement.column_count();
        let mut rows = statement.query(key)?;
        let mut sum = Sum::default();
        while let Some(row) = rows.next()? {
            sum.add(row, columns.clone())?;
        }
        Ok(sum.0)
    }

    /// Stores the sum.
    pub fn end(self) -> rusqlite::Result<()> {
        if self.by == 0 {
            return Ok(());
        }
        // Not `value + ?`: SQLite makes a float of a sum that is too large.
        let mut read = self.transaction.prepare_cached("SELECT value FROM sums WHERE name = ?1")?;
        let old: i64 = read.query_row([self.table.name], |row| row.get(0))?;
        let mut write = self.transaction.prepare_cached("UPDATE sums SET value = ?1 WHERE name = ?2")?;
        let new = old.cast_unsigned().wrapping_add(self.by).cast_signed();
        write.execute((new, self.table.name)).map(|_| ())
    }
}

/// Changes one number of `meta`.
pub fn set_meta(transaction: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    let mut change = Change::of(transaction, &META);
    change.before([name])?;
    transaction.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?.execute((name, value))?;
    change.after([name])?;
    change.end()
}

/// Takes a number out of `meta`.
pub fn remove_meta(transaction: &Connection, name: &str) -> rusqlite::Result<()> {
    let mut change = Change::of(transaction, &META);
    change.before([name])?;
    transaction.prepare_cached("DELETE FROM meta WHERE name = ?1")?.execute([name])?;
    change.end()
}

/// A number of `meta`; 0 if it is not there.
pub fn meta(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    let mut read = connection.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    match read.query_row([name], |row| row.get(0)) {
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(0),
        result => result,
    }
}
