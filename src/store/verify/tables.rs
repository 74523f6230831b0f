//! Every table against its sum: all that a start compares, and the same words.

use rusqlite::{Connection, OptionalExtension};

use super::{Check, Problems};
use crate::{
    say,
    store::{JournalView, StoreError, alert_rows, approvals, checksums, explain},
};

pub(crate) fn check(history: &JournalView) -> Result<Check, StoreError> {
    let snapshot = &history.snapshot;
    let connection = snapshot.connection();
    let mut problems = Problems::default();
    let fail = |error| explain(&snapshot.dir, error);
    let tables = checksums::ALL
        .iter()
        .map(|table| (Some(*table), checksums::check(&snapshot.dir, &connection, table)));
    for (table, result) in tables.chain([(None, checksums::check_indexes(&snapshot.dir, &connection))]) {
        match result {
            Ok(()) => {}
            Err(StoreError::Corrupt { what, .. }) => {
                problems.add(what);
                // Its rows are signed, so it can be told which one.
                if table.is_some_and(|table| table.name == checksums::APPROVALS.name) {
                    approvals::faults(&connection)
                        .map_err(fail)?
                        .into_iter()
                        .for_each(|what| problems.add(what));
                }
            }
            Err(error) => return Err(error),
        }
    }
    for name in checksums::unknown(&connection).map_err(|error| explain(&snapshot.dir, error))? {
        problems.add(say!("the table sums has a row {name}, which belongs to no table", name));
    }
    for id in alert_rows::faults(&connection).map_err(fail)? {
        problems.add(say!("lists show the alert {id} otherwise than it is, or not at all (alert_rows)", id));
    }
    for what in wrong_figures(&connection).map_err(fail)? {
        problems.add(say!("what is counted of {what} is not what there is (figures)", what));
    }
    Ok(problems.check("tables", say!("{count} tables and their checksums", count = checksums::ALL.len())))
}

/// What triggers count wrongly: a start counts it anew, and until then gauges and lists tell it.
fn wrong_figures(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'figures'";
    if connection.query_row(sql, [], |row| row.get::<_, i64>(0)).optional()?.is_none() {
        return Ok(Vec::new());
    }
    let counted = "SELECT name, a, b, n FROM figures WHERE n <> 0";
    let there = "SELECT 'waiting' AS name, sink AS a, '' AS b, count(*) AS n
                 FROM (SELECT sink FROM outbox UNION ALL SELECT sink FROM notifications WHERE state = 'pending') GROUP BY sink
                 UNION ALL SELECT 'alerts', state, severity, count(*) FROM alerts GROUP BY state, severity";
    let sql = format!(
        "SELECT DISTINCT name || ' ' || a || ' ' || b AS what FROM (
             SELECT * FROM ({counted} EXCEPT SELECT * FROM ({there}))
             UNION ALL SELECT * FROM (SELECT * FROM ({there}) EXCEPT {counted})) ORDER BY what"
    );
    connection.prepare(&sql)?.query_map([], |row| row.get("what"))?.collect()
}
