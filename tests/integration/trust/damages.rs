//! Whatever is changed in a table is told by `state verify` and by a start, in words that name the table.

use std::{collections::BTreeSet, path::Path, process::Command};

use fiscwatch::store::{CheckOutcome, JournalView, Store};
use rusqlite::{Connection, ErrorCode, params_from_iter, types::Value};

use super::state::full;
use crate::support::decoder;

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
}

/// SQL and its parameters.
type Statement = (String, Vec<Value>);

/// A table as a stranger with SQL sees it.
struct Table {
    name: String,
    columns: Vec<String>,
    keys: Vec<usize>,
    rows: Vec<Vec<Value>>,
}

/// Columns that must be unique beside the primary key.
const UNIQUE: [(&str, &str); 4] =
    [("findings", "finding_id"), ("lines", "number"), ("notifications", "id"), ("alerts", "key")];

fn quoted(column: &str) -> String {
    format!("\"{column}\"")
}

/// Another value of the same type.
fn other(value: &Value) -> Value {
    match value {
        Value::Null => Value::Text("x".to_owned()),
        Value::Integer(n) => Value::Integer(n.wrapping_add(100_001)),
        Value::Real(n) => Value::Real(n + 1.0),
        Value::Text(text) => Value::Text(format!("{text}x")),
        Value::Blob(bytes) => Value::Blob(bytes.iter().rev().map(|byte| byte ^ 1).collect()),
    }
}

impl Table {
    fn all(database: &Connection) -> Vec<Self> {
        // Figures and rows of alerts are made again by every start; `meeting.rs` has ticks, and changes them.
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table'
                   AND name NOT IN ('sums', 'sqlite_sequence', 'figures', 'ticks', 'alert_rows')";
        let mut names = database.prepare(sql).unwrap();
        let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap();
        names.map(|name| Self::read(database, name.unwrap())).collect()
    }

    fn read(database: &Connection, name: String) -> Self {
        let mut info = database.prepare("SELECT name, pk FROM pragma_table_info(?1) ORDER BY cid").unwrap();
        let info = info.query_map([&name], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? > 0))).unwrap();
        let info: Vec<(String, bool)> = info.collect::<Result<_, _>>().unwrap();
        let keys = info.iter().enumerate().filter(|(_, (_, key))| *key).map(|(at, _)| at).collect();
        let mut rows = database.prepare(&format!("SELECT * FROM {name} LIMIT 20")).unwrap();
        let count = info.len();
        let rows = rows.query_map([], |row| (0..count).map(|at| row.get(at)).collect()).unwrap();
        let rows = rows.collect::<Result<_, _>>().unwrap();
        Self { columns: info.into_iter().map(|(name, _)| name).collect(), keys, rows, name }
    }

    fn is_key(&self, at: usize) -> bool {
        self.keys.contains(&at)
    }

    /// Sets a column of the row that has these keys.
    fn set(&self, row: &[Value], at: usize, to: &Value) -> (String, Vec<Value>) {
        let keys = self.keys.iter().map(|key| format!("{} IS ?", quoted(&self.columns[*key])));
        let condition = keys.collect::<Vec<_>>().join(" AND ");
        let sql = format!("UPDATE {} SET {} = ? WHERE {condition}", self.name, quoted(&self.columns[at]));
        (sql, [to.clone()].into_iter().chain(self.keys.iter().map(|key| row[*key].clone())).collect())
    }

    /// What can be done to it, in words and as statements.
    fn damages(&self) -> Vec<(String, Vec<Statement>)> {
        let name = &self.name;
        let sum = (format!("DELETE FROM sums WHERE name = '{name}'"), Vec::new());
        let mut damages = vec![(format!("{name}: its row of sums is deleted"), vec![sum])];
        let Some(first) = self.rows.first() else { return damages };
        for (at, column) in self.columns.iter().enumerate().filter(|(at, _)| !self.is_key(*at)) {
            let change = self.set(first, at, &other(&first[at]));
            damages.push((format!("{name}: {column} is changed"), vec![change]));
        }
        let keys = self.keys.iter().map(|key| format!("{} IS ?", quoted(&self.columns[*key])));
        let condition = keys.collect::<Vec<_>>().join(" AND ");
        let of_first = self.keys.iter().map(|key| first[*key].clone()).collect();
        let delete = (format!("DELETE FROM {name} WHERE {condition}"), of_first);
        damages.push((format!("{name}: a row is deleted"), vec![delete]));
        // The table of one row allows no second one.
        if name != "watermark" {
            let unique = |column: &str| UNIQUE.iter().any(|(t, c)| t == name && *c == column);
            let row = first.iter().enumerate().map(|(at, value)| {
                if self.is_key(at) || unique(&self.columns[at]) { other(value) } else { value.clone() }
            });
            let marks = vec!["?"; first.len()].join(", ");
            let insert = (format!("INSERT INTO {name} VALUES ({marks})"), row.collect());
            damages.push((format!("{name}: a row is inserted"), vec![insert]));
        }
        damages.extend(self.swap().map(|swap| (format!("{name}: two rows are swapped"), swap)));
        damages
    }

    /// Two rows exchange what they say; of rows that are nothing but a key, one part of it.
    fn swap(&self) -> Option<Vec<(String, Vec<Value>)>> {
        let first = self.rows.first()?;
        let whole_key = self.keys.len() == self.columns.len();
        let free = |at: &usize| {
            let unique = UNIQUE.iter().any(|(t, c)| *t == self.name && *c == self.columns[*at]);
            !unique && (if whole_key { *at + 1 == self.columns.len() } else { !self.is_key(*at) })
        };
        let places: Vec<usize> = (0..self.columns.len()).filter(free).collect();
        let differs = |second: &&Vec<Value>| {
            places.iter().any(|at| first[*at] != second[*at]) && (!whole_key || first[0] != second[0])
        };
        let second = self.rows[1..].iter().find(differs)?;
        if whole_key {
            // One statement at a time, and no key twice in between.
            let (at, mut between) = (places[0], first.clone());
            between[at] = Value::Text("between".to_owned());
            return Some(vec![
                self.set(first, at, &between[at]),
                self.set(second, at, &first[at]),
                self.set(&between, at, &second[at]),
            ]);
        }
        let both = places
            .iter()
            .flat_map(|at| [self.set(first, *at, &second[*at]), self.set(second, *at, &first[*at])]);
        Some(both.collect())
    }
}

/// What `state verify` and a start say of a state.
fn told(state: &Path) -> [String; 2] {
    let decoder = decoder();
    let schema = decoder.schema();
    let verified = JournalView::open(state, schema).and_then(|history| history.verify(schema));
    let verified = verified.map_or_else(
        |error| error.to_string(),
        |checks| {
            let failed = checks.into_iter().filter(|check| check.outcome == CheckOutcome::Failed);
            failed.flat_map(|check| check.problems).collect::<Vec<_>>().join("\n")
        },
    );
    let started = Store::open(state).and_then(|store| store.recover(schema, &mut |_| {}));
    [verified, started.err().map_or_else(String::new, |error| error.to_string())]
}

/// Damages a table in each way there is, and says in which ways it was; each is told by `verify` and by a start.
fn damaged(table: &Table, state: &Path, good: &Path) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for (what, statements) in table.damages() {
        copy(good, state);
        let database = Connection::open(state.join("fiscwatch.db")).unwrap();
        // A bit that flips on a disk asks no trigger.
        database.execute_batch("DROP TRIGGER alert_rows_added; DROP TRIGGER alert_rows_changed; DROP TRIGGER alert_rows_taken").unwrap();
        let changed = statements.iter().try_fold((), |(), (sql, values)| {
            database.execute(sql, params_from_iter(values)).map(|changed| {
                assert_eq!(changed, 1, "{what}: {sql}");
            })
        });
        // Nobody can make a damage that the database itself refuses.
        if let Err(e) = changed {
            assert_eq!(e.sqlite_error_code(), Some(ErrorCode::ConstraintViolation), "{what}: {e}");
            continue;
        }
        drop(database);
        let [verified, started] = told(state);
        let journal = ["block", "ids", "checksum"].iter().any(|c| what == format!("journal: {c} is changed"));
        let named = if journal { "journal block".to_owned() } else { format!("table {} ", table.name) };
        for (who, said) in [("verify", &verified), ("run", &started)] {
            assert!(said.contains(&named), "{what}, {who}: {said}");
        }
        assert!(
            started.contains("is damaged: ") && started.contains("Restore a backup"),
            "{what}: {started}"
        );
        let kind = what.split_once(": ").unwrap().1.to_owned();
        seen.insert(if kind.ends_with("is changed") { "a column is changed".to_owned() } else { kind });
    }
    seen
}

#[test]
fn whatever_is_changed_in_a_table_is_told_by_verify_and_by_a_start() {
    let bench = full();
    let (state, good) = (bench.path().join("state"), bench.path().join("good"));
    copy(&state, &good);
    let database = || Connection::open(state.join("fiscwatch.db")).unwrap();
    assert_eq!(told(&state), ["", ""]);
    let tables = Table::all(&database());
    let empty: Vec<_> = tables.iter().filter(|table| table.rows.is_empty()).map(|t| &t.name).collect();
    assert_eq!(empty, [] as [&String; 0], "a table without rows proves nothing");
    // Two at a time, each on a copy of its own: there are thousands of damages.
    let seen: BTreeSet<String> = std::thread::scope(|scope| {
        let half = |number: usize| {
            let (state, good) = (bench.path().join(format!("state-{number}")), &good);
            let mine: Vec<_> = tables.iter().skip(number).step_by(2).collect();
            scope.spawn(move || {
                mine.into_iter().flat_map(|table| damaged(table, &state, good)).collect::<Vec<_>>()
            })
        };
        let halves = [0, 1].map(half);
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    assert_eq!(seen.len(), 5, "{seen:?}");
    assert!(tables.len() >= 24, "{}", tables.len());
}

/// What a start makes from rows is made before their sums are compared: a state that an older version has left has none of it.
#[test]
fn a_damaged_row_is_told_by_the_first_start_of_another_version_too() {
    let bench = full();
    let state = bench.path().join("state");
    let good = bench.path().join("good");
    copy(&state, &good);
    for (table, key) in [("findings", "finding_id"), ("alerts", "alert_id")] {
        copy(&good, &state);
        let database = Connection::open(state.join("fiscwatch.db")).unwrap();
        let older =
            "DROP TRIGGER alert_rows_added; DROP TRIGGER alert_rows_changed; DROP TRIGGER alert_rows_taken;
                     DROP TABLE alert_rows; DROP INDEX findings_agreeing";
        database.execute_batch(older).unwrap();
        let cut = format!(
            "UPDATE {table} SET body = substr(body, 2) WHERE {key} = (SELECT min({key}) FROM {table})"
        );
        assert_eq!(database.execute(&cut, []).unwrap(), 1);
        drop(database);
        let [_, started] = told(&state);
        assert!(
            started.contains(&format!("table {table} ")) && started.contains("is damaged: "),
            "{table}: {started}"
        );
    }
}

/// What lists and gauges read is made from the alerts: whoever changes it hides an alert, and no sum of the alerts shows it.
#[test]
fn a_list_that_hides_an_alert_is_told() {
    let bench = full();
    let (state, good) = (bench.path().join("state"), bench.path().join("good"));
    copy(&state, &good);
    for (damage, said) in [
        (
            "DELETE FROM alert_rows WHERE alert_id = (SELECT max(alert_id) FROM alert_rows)",
            "lists show the alert",
        ),
        (
            "UPDATE alert_rows SET unit_code = 'x' WHERE alert_id = (SELECT max(alert_id) FROM alert_rows)",
            "lists show the alert",
        ),
        ("UPDATE figures SET n = n + 5 WHERE name = 'alerts'", "what is counted of alerts"),
    ] {
        copy(&good, &state);
        Connection::open(state.join("fiscwatch.db")).unwrap().execute(damage, []).unwrap();
        let [verified, started] = told(&state);
        assert!(verified.contains(said), "{damage}: {verified}");
        assert_eq!(started, "", "a start makes it anew");
    }
}
