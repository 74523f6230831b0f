//! Sums: what a table holds, in one number, so that a flipped bit in it is found and not believed.
//!
//! `SQLite` has no checksums of its pages. Journal blocks and sealed files carry theirs; everything else is rows of
//! ordinary tables, where a flipped bit is another amount. So the table `sums` has, for each of them, the sum of the
//! hashes of all rows, changed in the transaction that changes the rows. Rows that were altered, lost, repeated or made
//! up change the sum. A start compares all of them, and so does `state verify`.
//!
//! Whoever can write the database can compute a sum as well: sums find damage and careless hands. What officers did is
//! chained besides (`chain.rs`).

mod change;
mod tables;
mod writer;

use std::{ops::Range, path::Path};

use rusqlite::{Connection, Params, Row, types::ValueRef};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::{StoreError, explain, named::insert};
use crate::say;

pub(crate) use change::{SumChanges, SumUpdate, Summed, meta, remove_meta, set_meta};
pub(crate) use tables::*;
pub(crate) use writer::{RowWriter, SummedRow};

/// Indexes that answers hang on: what a table and its index say of the same rows must agree.
const INDEXES: [(&str, &str, &str); 2] = [
    ("findings", "sqlite_autoindex_findings_1", "finding_id, seq"),
    ("journal", "journal_times", "seq, events, first_at, last_at"),
];

/// What the sums need in the database. A state of a version before 5 may have it or not.
pub(crate) const SCHEMA: &str =
    "CREATE TABLE IF NOT EXISTS sums (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;";

/// What is wrong with a table's sum. It travels as an error of the database; `explain` finds it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The table has other rows than its sum says.
    Differs(&'static str),
    /// Its row in `sums` is gone.
    Missing(&'static str),
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&match self {
            Self::Differs(table) => say!("the table {table} does not match its checksum", table),
            Self::Missing(table) => {
                say!(
                    "the table {table} has no checksum any more: its row in the table sums is missing",
                    table
                )
            }
        })
    }
}

impl std::error::Error for Damage {}

impl From<Damage> for rusqlite::Error {
    fn from(damage: Damage) -> Self {
        Self::ToSqlConversionFailure(damage.into())
    }
}

/// Whether there are sums already.
pub(crate) fn begun(connection: &Connection) -> rusqlite::Result<bool> {
    connection.prepare("SELECT 1 FROM sums")?.exists([])
}

/// Sums what has no sum yet of these tables: a state from before there were sums is taken as it is.
pub(crate) fn begin(connection: &Connection, tables: &[&SummedTable]) -> rusqlite::Result<()> {
    for table in tables {
        if !is_there(connection, table)? {
            let sum = Sum::of(connection, table)?.0.cast_signed();
            insert!(connection, "INSERT INTO sums", { name: table.name, value: sum })?;
        }
    }
    Ok(())
}

/// Forgets the sum of a table, because what is summed of it is something else from now on.
pub(crate) fn forget(connection: &Connection, table: &SummedTable) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM sums WHERE name = ?1", [table.name]).map(|_| ())
}

fn is_there(connection: &Connection, table: &SummedTable) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM sums WHERE name = ?1")?.exists([table.name])
}

/// Rows of `sums` that no table has.
pub(crate) fn unknown(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM sums ORDER BY name")?;
    let names: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(names.into_iter().filter(|name| ALL.iter().all(|table| table.name != name)).collect())
}

/// The first of these tables whose sum is missing.
pub(crate) fn first_missing(
    connection: &Connection,
    tables: &[&'static SummedTable],
) -> rusqlite::Result<Option<Damage>> {
    for table in tables {
        if !is_there(connection, table)? {
            return Ok(Some(Damage::Missing(table.name)));
        }
    }
    Ok(None)
}

fn stored(connection: &Connection, table: &SummedTable) -> rusqlite::Result<Sum> {
    let mut read = connection.prepare_cached("SELECT value FROM sums WHERE name = ?1")?;
    match read.query_row([table.name], |row| row.get::<_, i64>(0)) {
        Err(rusqlite::Error::QueryReturnedNoRows) => Err(Damage::Missing(table.name).into()),
        stored => Ok(Sum(stored?.cast_unsigned())),
    }
}

/// The sum of some rows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum(u64);

impl Sum {
    fn of(connection: &Connection, table: &SummedTable) -> rusqlite::Result<Self> {
        Self::over(connection, &format!("SELECT {} FROM {} NOT INDEXED", table.columns, table.name))
    }

    fn over(connection: &Connection, sql: &str) -> rusqlite::Result<Self> {
        Ok(Self(Self::of_rows(connection, sql, [])?))
    }

    fn of_rows(connection: &Connection, sql: &str, values: impl Params) -> rusqlite::Result<u64> {
        let mut statement = connection.prepare_cached(sql)?;
        let columns = 0..statement.column_count();
        let mut rows = statement.query(values)?;
        let mut sum = Self::default();
        while let Some(row) = rows.next()? {
            sum.add(row, columns.clone())?;
        }
        Ok(sum.0)
    }

    /// Adds a row, of which these columns are summed.
    pub(crate) fn add(&mut self, row: &Row<'_>, columns: Range<usize>) -> rusqlite::Result<()> {
        self.0 = self.0.wrapping_add(hash(row, columns)?);
        Ok(())
    }
}

fn hash(row: &Row<'_>, columns: Range<usize>) -> rusqlite::Result<u64> {
    let mut hash = Xxh3::new();
    for at in columns {
        add_value(&mut hash, row.get_ref(at)?);
    }
    Ok(hash.digest())
}

/// What a row of these values counts for.
fn hash_values<'v>(values: impl IntoIterator<Item = ValueRef<'v>>) -> u64 {
    let mut hash = Xxh3::new();
    values.into_iter().for_each(|value| add_value(&mut hash, value));
    hash.digest()
}

/// Types and lengths are hashed too, so that no two rows look alike.
fn add_value(hash: &mut Xxh3, value: ValueRef<'_>) {
    match value {
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

/// The columns of a table, in the order in which they are summed.
pub(crate) const fn columns(table: &SummedTable) -> &'static str {
    table.columns
}

/// Compares a sum of all rows of a table with the stored one.
///
/// # Errors
/// If it is another one.
pub(crate) fn expect(
    dir: &Path,
    connection: &Connection,
    table: &SummedTable,
    sum: Sum,
) -> Result<(), StoreError> {
    stored(connection, table)
        .and_then(|stored| if stored == sum { Ok(()) } else { Err(Damage::Differs(table.name).into()) })
        .map_err(|error| explain(dir, error))
}

/// Compares a table with its sum. Where others may write meanwhile, the connection is in a transaction.
///
/// # Errors
/// If they differ, or the table cannot be read.
pub(crate) fn check(dir: &Path, connection: &Connection, table: &SummedTable) -> Result<(), StoreError> {
    matches(connection, table).map_err(|error| explain(dir, error))
}

/// The same, as an error of the database.
///
/// # Errors
/// If they differ, or the table cannot be read.
pub(crate) fn matches(connection: &Connection, table: &SummedTable) -> rusqlite::Result<()> {
    match Sum::of(connection, table)? == stored(connection, table)? {
        true => Ok(()),
        false => Err(Damage::Differs(table.name).into()),
    }
}

/// Compares indexes with their tables.
///
/// # Errors
/// If one has other rows than its table.
pub(crate) fn check_indexes(dir: &Path, connection: &Connection) -> Result<(), StoreError> {
    for (table, index, columns) in INDEXES {
        let over = |how: &str| Sum::over(connection, &format!("SELECT {columns} FROM {table} {how}"));
        let fail = |error| explain(dir, error);
        if over("NOT INDEXED").map_err(fail)? != over(&format!("INDEXED BY {index}")).map_err(fail)? {
            let what = say!("an index of the table {table} has other rows than the table", table);
            return Err(StoreError::Corrupt { path: dir.to_owned(), what });
        }
    }
    Ok(())
}
