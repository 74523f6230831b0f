//! The schema and how an older one becomes it.

use std::{path::Path, sync::Arc};

use rusqlite::{Connection, Transaction, named_params};

use super::{
    SCHEMA_VERSION, StoreError, alert_rows, chain,
    checksums::{self, SumChanges, SummedTable},
    explain, quarantine, reach, refunded, silences, ticks,
    turn::Turns,
};
use crate::event::money::format_cents;

/// What version 5 adds, a file a subject.
macro_rules! version_5 {
    () => {
        concat!(
            include_str!("schema_5.sql"),         // Trust in the state.
            include_str!("schema_5_opening.sql"), // Opening balances.
            include_str!("schema_5_ticks.sql"),   // When schedules were evaluated.
        )
    };
}

/// What version 8 adds, a file a subject.
macro_rules! version_8 {
    () => {
        concat!(
            include_str!("schema_8.sql"), // Records that come again when they have changed.
            include_str!("schema_8_decisions.sql"), // What was decided before money moved.
            include_str!("schema_8_sessions.sql"), // Passwords and sessions.
        )
    };
}

/// What version 9 adds, a file a subject.
macro_rules! version_9 {
    () => {
        concat!(
            include_str!("schema_9_overrides.sql"), // Who let blocked applications pass.
            include_str!("schema_9_rules.sql"),     // Which rules were proposed and approved.
        )
    };
}

/// What version 10 adds, a file a subject.
macro_rules! version_10 {
    () => {
        concat!(
            include_str!("schema_10_casework.sql"), // What changes of alerts say beside who and why.
            include_str!("schema_10_rules.sql"),    // Constants that were proposed from the rule lab.
            include_str!("schema_10_audit.sql"),    // Files of the audit log.
            include_str!("schema_10_external.sql"), // Users who are known elsewhere.
            include_str!("schema_10_answers.sql"),  // Links by which units answer, and files of cases.
        )
    };
}

/// What version 11 adds, a file a subject.
macro_rules! version_11 {
    () => {
        include_str!("schema_11_approvals.sql") // What people propose and approve.
    };
}

/// A new database: the events and balances, alerts, indicators, what versions 5 to 11 add.
const SCHEMA: &str = concat!(
    include_str!("schema.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    version_5!(),
    include_str!("schema_6.sql"),
    include_str!("schema_7.sql"),
    version_8!(),
    version_9!(),
    version_10!(),
    version_11!()
);

/// What leads from version n + 1 to the next one, at n. Each runs in one transaction with the new version number.
const MIGRATIONS: &[&str] = &[
    // 1 to 2: sealing, and event time.
    "CREATE INDEX journal_times ON journal (seq, events, first_at, last_at);
     CREATE TABLE sealed (
         file      TEXT PRIMARY KEY,
         day       TEXT NOT NULL,
         first_at  INTEGER NOT NULL,
         last_at   INTEGER NOT NULL,
         events    INTEGER NOT NULL,
         first_seq INTEGER NOT NULL,
         last_seq  INTEGER NOT NULL,
         bytes     INTEGER NOT NULL,
         checksum  INTEGER NOT NULL
     ) WITHOUT ROWID;
     INSERT INTO meta VALUES ('sealed', 0), ('retired', 0);
     CREATE TABLE IF NOT EXISTS watermark (id INTEGER PRIMARY KEY CHECK (id = 1), value TEXT NOT NULL);",
    // 2 to 3: alerts, silences, notifications.
    include_str!("schema_3.sql"),
    // 3 to 4: indicators.
    include_str!("schema_4.sql"),
    // 4 to 5: sums of every table, chained histories. What SQL cannot do follows in `after`.
    version_5!(),
    // 5 to 6: what banks confirm. What refunds took is counted in `refunds`.
    include_str!("schema_6.sql"),
    // 6 to 7: users, tokens and the audit log.
    include_str!("schema_7.sql"),
    // 7 to 8: records that come again when they have changed, what was decided before money moved, passwords and sessions.
    version_8!(),
    // 8 to 9: who let blocked applications pass; which rules were proposed and approved.
    version_9!(),
    // 9 to 10: casework.
    version_10!(),
    // 10 to 11: what people propose and approve.
    version_11!(),
];

/// Makes the tables of an empty database, or brings an older one up to date. Another program that holds the database is
/// waited for, however long that takes.
///
/// # Errors
/// If the database cannot be written; it is then what it was.
pub(crate) fn migrate(dir: &Path, connection: &Connection, turns: &Arc<Turns>) -> Result<(), StoreError> {
    let fail = |error| explain(dir, error);
    let mut found = version(connection).map_err(fail)?;
    if found == 0 {
        step(dir, connection, turns, (SCHEMA, SCHEMA_VERSION), &|new| {
            trust(new, checksums::ALL).map_err(fail)
        })?;
        found = SCHEMA_VERSION;
    }
    for from in found..SCHEMA_VERSION {
        let sql =
            usize::try_from(from - 1).ok().and_then(|at| MIGRATIONS.get(at)).copied().unwrap_or_default();
        let beyond: &Beyond<'_> = match from + 1 {
            5 => &|old| trust(old, checksums::OF_5).map_err(fail),
            6 => &|old| refunds(dir, old),
            7 => &|old| checksums::begin(old, checksums::SINCE_7).map_err(fail),
            8 => &|old| checksums::begin(old, checksums::SINCE_8).map_err(fail),
            9 => &|old| checksums::begin(old, checksums::SINCE_9).map_err(fail),
            10 => &|old| casework(old).map_err(fail),
            11 => &|old| checksums::begin(old, checksums::SINCE_11).map_err(fail),
            _ => &|_| Ok(()),
        };
        step(dir, connection, turns, (sql, from + 1), beyond)?;
        reach(dir, "migrate.step")?;
        tracing::info!(from, to = from + 1, "the state was brought to a newer schema");
    }
    // In a state of this version a missing sum is damage: to make it again would be to believe the table.
    if let Some(missing) = checksums::first_missing(connection, checksums::ALL).map_err(fail)? {
        return Err(fail(missing.into()));
    }
    reach(dir, "migrate.done")
}

/// Counts again what triggers count from then on, when it is its turn.
pub(super) fn count(connection: &Connection, turns: &Arc<Turns>) -> rusqlite::Result<()> {
    let transaction = turns.begin(connection, None)?;
    transaction.execute_batch(include_str!("figures.sql"))?;
    alert_rows::keep(&transaction)?;
    transaction.commit()
}

/// What SQL cannot do of a step.
type Beyond<'b> = dyn Fn(&Transaction<'_>) -> Result<(), StoreError> + 'b;

/// Runs a step, and what SQL cannot do of it, in one transaction with the new version number.
fn step(
    dir: &Path,
    connection: &Connection,
    turns: &Arc<Turns>,
    (sql, version): (&str, i64),
    beyond: &Beyond<'_>,
) -> Result<(), StoreError> {
    let fail = |error| explain(dir, error);
    let transaction = turns.begin(connection, None).map_err(fail)?;
    transaction.execute_batch(sql).map_err(fail)?;
    beyond(&transaction)?;
    transaction.pragma_update(None, "user_version", version).map_err(fail)?;
    transaction.commit().map_err(fail)
}

/// Version 5: sums of every table, and chained histories. A state from before may have sums of the tables that it had;
/// then none of those may be missing, and tables that gain a column must match theirs, which are replaced.
fn trust(transaction: &Transaction<'_>, tables: &[&SummedTable]) -> rusqlite::Result<()> {
    transaction.execute_batch(checksums::SCHEMA)?;
    transaction.execute_batch(quarantine::SCHEMA)?;
    if checksums::begun(transaction)? {
        if let Some(missing) = checksums::first_missing(transaction, checksums::BEFORE_5)? {
            return Err(missing.into());
        }
        for (before, now) in [
            (&checksums::QUARANTINE_BEFORE_5, &checksums::QUARANTINE),
            (&checksums::LINES_BEFORE_5, &checksums::LINES),
        ] {
            checksums::matches(transaction, before)?;
            checksums::forget(transaction, now)?;
        }
    } else {
        quarantine::begin(transaction)?;
    }
    // Tables that have no sum yet are summed at the end, as they are then.
    let changes = SumChanges::default();
    silences::begin_history(transaction)?;
    for chain in [&chain::ALERTS, &chain::SILENCES] {
        chain.begin(&changes.within(transaction))?;
    }
    checksums::begin(transaction, tables)?;
    ticks::begin(transaction)
}

/// Version 6: what refunds took from each line, which the journal tells. Of events that `state.retain` has deleted it does
/// not: their payments count as less by their refunds from then on.
fn refunds(dir: &Path, transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let fail = |error| explain(dir, error);
    checksums::matches(transaction, &checksums::LINES_BEFORE_6).map_err(fail)?;
    checksums::forget(transaction, &checksums::LINES).map_err(fail)?;
    let sql = "UPDATE lines SET refunded = :refunded WHERE budget_line_id = :line";
    let mut update = transaction.prepare(sql).map_err(fail)?;
    for (line, cents) in refunded::of_lines(dir, transaction)? {
        update.execute(named_params! { ":line": line, ":refunded": format_cents(cents) }).map_err(fail)?;
    }
    checksums::begin(transaction, &[&checksums::LINES, &checksums::CONFIRMATIONS]).map_err(fail)
}

/// Version 10: a history whose changes have one column more.
fn casework(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    checksums::matches(transaction, &checksums::ALERT_HISTORY_BEFORE_10)?;
    checksums::forget(transaction, &checksums::ALERT_HISTORY)?;
    checksums::begin(transaction, &[&checksums::ALERT_HISTORY])?;
    checksums::begin(transaction, checksums::SINCE_10)
}

/// The schema version of a database; 0 for an empty one.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every table and index with its columns.
    fn shape(connection: &Connection) -> Vec<String> {
        let sql = "SELECT m.type || ' ' || m.name || ' ' || group_concat(c.name || ' ' || coalesce(c.type, '') || ' ' || c.\"notnull\" || ' ' || c.pk)
                   FROM sqlite_schema m, pragma_table_info(m.name) c GROUP BY m.name
                   UNION SELECT 'meta ' || name FROM meta ORDER BY 1";
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_migrated_schema_is_the_new_one() {
        let (dir, turns) = (Path::new("here"), Arc::default());
        let new = Connection::open_in_memory().unwrap();
        migrate(dir, &new, &turns).unwrap();
        let old = Connection::open_in_memory().unwrap();
        let first = include_str!("../../tests/integration/fixtures/schema_v1.sql");
        step(dir, &old, &turns, (first, 1), &|_| Ok(())).unwrap();
        assert_ne!(shape(&old), shape(&new));
        migrate(dir, &old, &turns).unwrap();
        assert_eq!(shape(&old), shape(&new));
        assert_eq!(version(&old).unwrap(), SCHEMA_VERSION);
        migrate(dir, &old, &turns).unwrap();
    }
}
