//! Rows that are written whole, and summed as they are written.

use rusqlite::{
    CachedStatement, Connection,
    types::{ToSqlOutput, ValueRef},
};

use super::{SumUpdate, SummedTable, hash_values};

/// A row in the order in which its table is summed, each value beside the name of its column. The first is the key.
pub(crate) type SummedRow<'r, const N: usize> = [(&'static str, ValueRef<'r>); N];

/// Writes rows of a table, and keeps its sum without reading what it has written.
pub(crate) struct RowWriter<'t> {
    table: &'static SummedTable,
    replace: CachedStatement<'t>,
    sum: SumUpdate<'t>,
}

impl<'t> RowWriter<'t> {
    /// Nothing is written yet.
    pub(crate) fn of(transaction: &'t Connection, table: &'static SummedTable) -> rusqlite::Result<Self> {
        let marks = vec!["?"; table.columns.split(',').count()].join(", ");
        let SummedTable { name, columns, .. } = table;
        let replace = format!("INSERT OR REPLACE INTO {name} ({columns}) VALUES ({marks})");
        Ok(Self {
            table,
            replace: transaction.prepare_cached(&replace)?,
            sum: SumUpdate::of(transaction, table),
        })
    }

    /// Writes a row, and gives what it counts for in the sum. `was` is what it counted for before; where nobody knows that,
    /// the row that it replaces is read.
    pub(crate) fn write<const N: usize>(
        &mut self,
        row: SummedRow<'_, N>,
        was: Option<u64>,
    ) -> rusqlite::Result<u64> {
        debug_assert!(row.iter().map(|(name, _)| *name).eq(self.table.columns.split(", ")), "{row:?}");
        if was.is_none() {
            self.sum.before([ToSqlOutput::Borrowed(row[0].1)])?;
        }
        for (at, (_, value)) in row.iter().enumerate() {
            self.replace.raw_bind_parameter(at + 1, ToSqlOutput::Borrowed(*value))?;
        }
        self.replace.raw_execute()?;
        let now = hash_values(row.into_iter().map(|(_, value)| value));
        self.sum.replaced(was.unwrap_or_default(), now);
        Ok(now)
    }

    pub(crate) fn end(self) -> rusqlite::Result<()> {
        self.sum.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::checksums::{begin, matches};

    const TABLE: SummedTable = SummedTable { name: "t", columns: "id, text, n", key: "id = ?1" };

    #[test]
    fn the_sum_is_that_of_the_rows_whether_or_not_it_is_known_what_they_were() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(crate::store::checksums::SCHEMA).unwrap();
        db.execute_batch("CREATE TABLE t (id TEXT PRIMARY KEY, text TEXT, n INTEGER)").unwrap();
        begin(&db, &[&TABLE]).unwrap();
        let write = |id: &str, text: ValueRef<'_>, n: i64, was| {
            let mut rows = RowWriter::of(&db, &TABLE).unwrap();
            let row = [("id", ValueRef::from(id)), ("text", text), ("n", ValueRef::Integer(n))];
            let now = rows.write(row, was).unwrap();
            rows.end().unwrap();
            matches(&db, &TABLE).unwrap();
            now
        };
        let first = write("a", ValueRef::from("项目"), 1, None);
        write("b", ValueRef::Null, -7, None);
        let second = write("a", ValueRef::Null, 2, Some(first));
        assert_ne!(first, second);
        let third = write("a", ValueRef::from(""), i64::MIN, None);
        write("a", ValueRef::from("项目"), 1, Some(third));
        let rows: i64 = db.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 2);
        // Of a row that was something else than is told, the sum is wrong, and a start says so.
        let mut rows = RowWriter::of(&db, &TABLE).unwrap();
        let row = [("id", ValueRef::from("a")), ("text", ValueRef::Null), ("n", ValueRef::Integer(3))];
        rows.write(row, Some(third)).unwrap();
        rows.end().unwrap();
        assert!(matches(&db, &TABLE).is_err());
    }
}
