//! Rows that are written, by the names of their columns.

/// Writes one row, and gives how many rows that changed.
///
/// Each value stands beside the name of its column, so none can come into another column's place. A column has the name
/// of a variable (`labels`), or a value of its own (`told_at: now`). What stands after the row ends the statement.
///
/// ```ignore
/// insert!(transaction, "INSERT OR REPLACE INTO groups", { group_key, told_at: now })?;
/// ```
macro_rules! insert {
    (
        $connection:expr, $into:literal,
        { $first:ident $(: $first_value:expr)? $(, $column:ident $(: $value:expr)?)* $(,)? }
        $(, $then:literal)? $(,)?
    ) => {
        $connection
            .prepare_cached(concat!(
                $into,
                " (\"", stringify!($first), "\"", $(", \"", stringify!($column), "\"",)*
                ") VALUES (:", stringify!($first), $(", :", stringify!($column),)* ")",
                $(" ", $then)?
            ))
            .and_then(|mut statement| {
                statement.execute(&[
                    (
                        concat!(":", stringify!($first)),
                        &$crate::store::named::value!($first $(, $first_value)?) as &dyn rusqlite::ToSql,
                    ),
                    $((
                        concat!(":", stringify!($column)),
                        &$crate::store::named::value!($column $(, $value)?) as &dyn rusqlite::ToSql,
                    ),)*
                ][..])
            })
    };
}

/// The value of a column: what is given, or else the variable of its name.
macro_rules! value {
    ($column:ident) => {
        $column
    };
    ($column:ident, $value:expr) => {
        $value
    };
}

pub(crate) use insert;
pub(crate) use value;

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    #[test]
    fn each_value_comes_into_the_column_of_its_name() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, \"key\" TEXT)").unwrap();
        let b = "second";
        // In another order than the table's.
        assert_eq!(insert!(db, "INSERT INTO t", { key: "third", b, a: 1 }), Ok(1));
        assert_eq!(insert!(db, "INSERT OR IGNORE INTO t", { a: 1, b: "again", }), Ok(0));
        let then =
            insert!(db, "INSERT INTO t", { a: 1, b: "new" }, "ON CONFLICT DO UPDATE SET b = excluded.b");
        assert_eq!(then, Ok(1));
        let row: (i64, String, String) = db
            .query_row("SELECT a, b, \"key\" FROM t", [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap();
        assert_eq!(row, (1, String::from("new"), String::from("third")));
    }
}
