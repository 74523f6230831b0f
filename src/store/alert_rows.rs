//! 预警 as lists show them: what alerts are narrowed, sorted and counted by, in columns of its own. An alert's body is JSON
//! of a thousand bytes and more; to take 100,000 of them apart for one page takes longer than an officer waits. Triggers
//! keep the table beside `alerts`, which alone is believed for what an alert says.

use rusqlite::{Connection, OptionalExtension};

/// The table. A start makes it again where it does not match.
const TABLE: &str = "CREATE TABLE alert_rows (
    alert_id     TEXT PRIMARY KEY,
    rule_id      TEXT NOT NULL,
    severity     TEXT NOT NULL,
    state        TEXT NOT NULL,
    opened_at    INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL,
    last_at      INTEGER NOT NULL,
    escalates_at INTEGER,
    escalation   INTEGER NOT NULL,
    findings     INTEGER NOT NULL,
    handling     TEXT NOT NULL,
    owner        TEXT,
    inquiry      TEXT,
    unit_code    TEXT,
    due_at       INTEGER,
    amount       INTEGER,
    -- Who proposed what waits for a second officer.
    proposed_by  TEXT,
    outcome      TEXT,
    merged_into  TEXT,
    mentions     TEXT,
    -- Labels as JSON lists.
    units        TEXT NOT NULL,
    regions      TEXT NOT NULL,
    budget_lines TEXT NOT NULL,
    title        TEXT NOT NULL,
    summary      TEXT NOT NULL,
    -- What words are looked for in, in small letters.
    folded       TEXT NOT NULL
) WITHOUT ROWID";

/// What alerts are counted by, without their texts: a tenth of the pages.
const COUNTED: &str = "CREATE INDEX IF NOT EXISTS alert_rows_counted ON alert_rows
    (state, severity, rule_id, unit_code, owner, escalation, opened_at, due_at, proposed_by)";

/// Its columns, of a row `new` of `alerts`.
const COLUMNS: &str = "
    new.alert_id AS alert_id, new.rule_id AS rule_id, new.severity AS severity, new.state AS state,
    new.opened_at AS opened_at, new.changed_at AS changed_at,
    coalesce(json_extract(new.body, '$.last_at'), new.opened_at) AS last_at, new.escalates_at AS escalates_at,
    coalesce(json_extract(new.body, '$.escalation'), 0) AS escalation,
    coalesce(json_extract(new.body, '$.findings'), 0) AS findings,
    coalesce(json_extract(new.body, '$.handling'), '') AS handling, json_extract(new.body, '$.owner') AS owner,
    json_extract(new.body, '$.inquiry.stage') AS inquiry, new.unit_code AS unit_code,
    json_extract(new.body, '$.case.due_at') AS due_at, json_extract(new.body, '$.case.amount') AS amount,
    json_extract(new.body, '$.case.review.by') AS proposed_by, json_extract(new.body, '$.case.outcome') AS outcome,
    json_extract(new.body, '$.case.merged_into') AS merged_into, json_extract(new.body, '$.case.mentions') AS mentions,
    coalesce(json_extract(new.body, '$.labels.unit_code'), '') AS units,
    coalesce(json_extract(new.body, '$.labels.region_code'), '') AS regions,
    coalesce(json_extract(new.body, '$.labels.budget_line_id'), '') AS budget_lines,
    coalesce(json_extract(new.body, '$.title'), '') AS title, coalesce(json_extract(new.body, '$.summary'), '') AS summary,
    lower(concat_ws(' ', json_extract(new.body, '$.title'), json_extract(new.body, '$.summary'), new.rule_id, new.alert_id,
                    json_extract(new.body, '$.labels'))) AS folded";

/// Where the rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowsOrigin {
    Kept,
    /// The alerts themselves, in a state that no daemon of this version has opened yet.
    Made,
}

impl RowsOrigin {
    /// Those of a state.
    pub(crate) fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'alert_rows'";
        let kept: Option<i64> = connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
        Ok(if kept.is_some() { Self::Kept } else { Self::Made })
    }

    /// What stands after FROM.
    pub(crate) fn source(self) -> String {
        match self {
            Self::Kept => String::from("alert_rows"),
            Self::Made => format!("(SELECT {COLUMNS} FROM alerts new)"),
        }
    }
}

/// Makes the table and its triggers, and fills it where it does not match the alerts.
pub(crate) fn keep(connection: &Connection) -> rusqlite::Result<()> {
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'alert_rows'";
    let there: Option<String> = connection.query_row(sql, [], |row| row.get(0)).optional()?;
    // One with other columns is of another version.
    if there.as_deref() != Some(TABLE) {
        connection.execute_batch(&format!(
            "DROP TRIGGER IF EXISTS alert_rows_added; DROP TRIGGER IF EXISTS alert_rows_changed;
             DROP TRIGGER IF EXISTS alert_rows_taken; DROP TABLE IF EXISTS alert_rows; {TABLE};"
        ))?;
    }
    connection.execute_batch(&format!(
        "{COUNTED};
         CREATE TRIGGER IF NOT EXISTS alert_rows_added AFTER INSERT ON alerts BEGIN
             INSERT INTO alert_rows SELECT {COLUMNS};
         END;
         -- What a statement does about conflicts holds in its triggers too, so a row is not replaced but made anew.
         CREATE TRIGGER IF NOT EXISTS alert_rows_changed AFTER UPDATE ON alerts BEGIN
             DELETE FROM alert_rows WHERE alert_id = old.alert_id;
             INSERT INTO alert_rows SELECT {COLUMNS};
         END;
         CREATE TRIGGER IF NOT EXISTS alert_rows_taken AFTER DELETE ON alerts BEGIN
             DELETE FROM alert_rows WHERE alert_id = old.alert_id;
         END;"
    ))?;
    if figures(connection, "alerts")? != figures(connection, "alert_rows")? {
        // A damaged body is told later in the start, with its table.
        connection.execute_batch(&format!(
            "DELETE FROM alert_rows; INSERT INTO alert_rows SELECT {COLUMNS} FROM alerts new WHERE json_valid(new.body);"
        ))?;
    }
    Ok(())
}

/// The alerts that lists show otherwise than they are, or not at all, or that are none.
pub(super) fn faults(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'alert_rows'";
    let there: Option<String> = connection.query_row(sql, [], |row| row.get(0)).optional()?;
    // A state that no daemon of this version has opened keeps none, or others.
    if there.as_deref() != Some(TABLE) {
        return Ok(Vec::new());
    }
    let made = format!("SELECT {COLUMNS} FROM alerts new WHERE json_valid(new.body)");
    let sql = format!(
        "SELECT DISTINCT alert_id FROM (
             SELECT * FROM (SELECT * FROM alert_rows EXCEPT {made})
             UNION ALL SELECT * FROM ({made} EXCEPT SELECT * FROM alert_rows)) ORDER BY alert_id"
    );
    connection.prepare(&sql)?.query_map([], |row| row.get("alert_id"))?.collect()
}

/// What an index of `alerts` tells of all of them, without their bodies.
fn figures(connection: &Connection, table: &str) -> rusqlite::Result<Vec<(String, String, i64, i64)>> {
    let sql = format!(
        "SELECT state, severity, count(*) AS n, sum(opened_at / 1000000) AS opened FROM {table} GROUP BY 1, 2 ORDER BY 1, 2"
    );
    let row = |row: &rusqlite::Row<'_>| {
        Ok((row.get("state")?, row.get("severity")?, row.get("n")?, row.get("opened")?))
    };
    connection.prepare(&sql)?.query_map([], row)?.collect()
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use rusqlite::types::Value;

    use super::*;
    use crate::store::migrate;

    fn rows(connection: &Connection, source: &str) -> Vec<Vec<Value>> {
        let mut statement = connection.prepare(&format!("SELECT * FROM {source} ORDER BY alert_id")).unwrap();
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| (0..columns).map(|at| row.get(at)).collect();
        statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn the_rows_are_those_of_the_alerts_whatever_happens_to_them() {
        let connection = Connection::open_in_memory().unwrap();
        migrate::migrate(Path::new("here"), &connection, &Arc::default()).unwrap();
        assert_eq!(RowsOrigin::of(&connection).unwrap(), RowsOrigin::Made);
        let add = |id: &str, state: &str, body: &str| {
            let sql = "INSERT INTO alerts VALUES (?1, 'r', ?1, 'high', ?2, '101001', 1, 5000000, 6, NULL, ?3)
                       ON CONFLICT (alert_id) DO UPDATE SET state = ?2, body = ?3, version = version + 1";
            connection.execute(sql, [id, state, body]).unwrap();
        };
        let same = |count: usize| {
            let kept = rows(&connection, "alert_rows");
            assert_eq!(kept, rows(&connection, &RowsOrigin::Made.source()));
            assert_eq!(kept.len(), count);
        };
        add("before", "open", "{}");
        keep(&connection).unwrap();
        assert_eq!(RowsOrigin::of(&connection).unwrap(), RowsOrigin::Kept);
        same(1);
        add("a", "open", r#"{"title":"t","labels":{"unit_code":["101001","101002"]},"findings":2}"#);
        add("b", "open", r#"{"last_at":7}"#);
        same(3);
        add("a", "acknowledged", r#"{"title":"t","owner":"li","inquiry":{"stage":"sent"}}"#);
        connection.execute("DELETE FROM alerts WHERE alert_id = 'b'", []).unwrap();
        same(2);
        // What a program without these triggers changed is found at the next start.
        connection.execute("DROP TRIGGER alert_rows_changed", []).unwrap();
        add("a", "closed", r#"{"title":"t","owner":"wang"}"#);
        keep(&connection).unwrap();
        same(2);
        // So is a table of another version.
        connection.execute_batch("DROP TABLE alert_rows; CREATE TABLE alert_rows (alert_id TEXT)").unwrap();
        keep(&connection).unwrap();
        same(2);
        add("c", "open", r#"{"title":"Over BUDGET"}"#);
        same(3);
        let sql = "SELECT folded FROM alert_rows WHERE alert_id = 'c'";
        let folded: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(folded, "over budget r c");
    }
}
