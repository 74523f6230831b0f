//! Alerts in the store: filed inside a commit, moved on by officers and time in transactions of their own.

use rusqlite::{
    Connection, OptionalExtension, Row, RowIndex, named_params, params,
    types::{Type, ValueRef},
};

use super::{
    chain,
    checksums::{self, SumChanges, Summed},
    named::insert,
    outbox,
    words::{NOT_OVER, OVER},
};
use crate::{
    alert::{Alert, Cleared, Desk, Filing, HistoryEntry, Labels, desk::AlertUpdate},
    event::Instant,
    finding::Finding,
};

/// When something happens, and when its cause was received.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CauseTimes {
    pub now: Instant,
    /// When the cause was received; for how long notifications take.
    pub received_at: Instant,
}

impl CauseTimes {
    /// For what has no cause but itself.
    pub(crate) fn at(now: Instant) -> Self {
        Self { now, received_at: now }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Filed {
    /// The alert that each finding was filed under; `None` for one that is not live or not new.
    pub alerts: Vec<Option<String>>,
    /// The alerts that resolved, in order.
    pub resolved: Vec<String>,
}

/// Files the new findings among `filed` and clears what is `cleared`, in the order in which it happened. `stored` has
/// the row of each finding in the table, `None` for one that was there before.
pub(crate) fn file(
    transaction: &Connection,
    desk: &Desk,
    (filed, stored): (&[Filing], &[Option<i64>]),
    cleared: &[Cleared],
    times: CauseTimes,
) -> rusqlite::Result<Filed> {
    let changes = SumChanges::default();
    let summed = changes.within(transaction);
    let mut cleared = cleared.iter().peekable();
    let mut done = Filed { alerts: vec![None; filed.len()], resolved: Vec::new() };
    for (number, (filing, row)) in filed.iter().zip(stored).enumerate() {
        while let Some(next) = cleared.next_if(|next| next.before <= number) {
            done.resolved.extend(clear(&summed, desk, next, times)?);
        }
        if let Some(row) = row.filter(|_| filing.is_live()) {
            let step = place(transaction, desk, filing, times.now)?;
            save(&summed, &step, times)?;
            let alert_id = &step.alert.alert_id;
            insert!(transaction, "INSERT INTO alert_findings", { alert_id, finding: row })?;
            summed.inserted(&checksums::ALERT_FINDINGS, params![alert_id, row])?;
            done.alerts[number] = Some(step.alert.alert_id);
        }
    }
    for next in cleared {
        done.resolved.extend(clear(&summed, desk, next, times)?);
    }
    changes.end(transaction)?;
    Ok(done)
}

fn place(
    transaction: &Connection,
    desk: &Desk,
    filing: &Filing,
    now: Instant,
) -> rusqlite::Result<AlertUpdate> {
    let rule = &filing.finding.rule_id;
    let key = key_text(&filing.finding.key);
    let current = current(transaction, rule, &key)?;
    let previous = match current {
        Some(_) => None,
        None => latest(transaction, rule, &key)?,
    };
    Ok(desk.file(current, previous, filing, now))
}

/// Gives the alerts that resolved.
fn clear(
    summed: &Summed<'_>,
    desk: &Desk,
    cleared: &Cleared,
    times: CauseTimes,
) -> rusqlite::Result<Vec<String>> {
    let mut resolved = Vec::new();
    for alert in watched_by(summed.transaction, &cleared.rule_id, &cleared.line)? {
        let step = desk.clear(alert, cleared, times.now);
        save(summed, &step, times)?;
        resolved.extend(Some(step.alert).filter(|alert| alert.state.is_over()).map(|alert| alert.alert_id));
    }
    Ok(resolved)
}

/// The alert of this rule and key that is not over.
fn current(connection: &Connection, rule: &str, key: &str) -> rusqlite::Result<Option<Alert>> {
    let sql =
        format!("SELECT body FROM alerts WHERE rule_id = :rule AND \"key\" = :key AND state NOT IN {OVER}");
    let values = named_params! { ":rule": rule, ":key": key };
    connection.prepare_cached(&sql)?.query_row(values, alert).optional()
}

/// Several can be opened by one commit, at one time; the history has their order.
const LATEST: &str =
    "SELECT alert_id FROM alerts a WHERE rule_id = :rule AND \"key\" = :key ORDER BY opened_at DESC,
    (SELECT max(seq) FROM alert_history WHERE alert_id = a.alert_id) DESC LIMIT 1";

/// The last alert of this rule and key.
fn latest(connection: &Connection, rule: &str, key: &str) -> rusqlite::Result<Option<String>> {
    let values = named_params! { ":rule": rule, ":key": key };
    connection.prepare_cached(LATEST)?.query_row(values, |row| row.get(0)).optional()
}

/// The alerts of a rule that a budget line keeps open.
fn watched_by(connection: &Connection, rule: &str, line: &str) -> rusqlite::Result<Vec<Alert>> {
    let sql = "SELECT a.body FROM alert_lines l JOIN alerts a USING (alert_id) WHERE l.rule_id = :rule AND l.line = :line";
    let values = named_params! { ":rule": rule, ":line": line };
    connection.prepare_cached(sql)?.query_map(values, alert)?.collect()
}

/// The rules and lines that keep alerts open.
pub(crate) fn watched(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let sql = "SELECT DISTINCT rule_id, line FROM alert_lines";
    connection.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// The labels of alerts that are not over, with these values where they are given.
pub(super) fn open_labels(
    connection: &Connection,
    severity: Option<&str>,
    rule: Option<&str>,
) -> rusqlite::Result<Vec<Labels>> {
    let sql = format!(
        "SELECT body FROM alerts WHERE state IN {}
         AND (:severity IS NULL OR severity = :severity) AND (:rule IS NULL OR rule_id = :rule)",
        *NOT_OVER
    );
    let values = named_params! { ":severity": severity, ":rule": rule };
    connection.prepare_cached(&sql)?.query_map(values, |row| Ok(alert(row)?.labels))?.collect()
}

/// An alert by its id.
pub(crate) fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<Alert>> {
    let sql = "SELECT body FROM alerts WHERE alert_id = ?1";
    connection.prepare_cached(sql)?.query_row([id], alert).optional()
}

/// The latest findings of an alert, newest first.
pub(crate) fn evidence(connection: &Connection, id: &str, limit: usize) -> rusqlite::Result<Vec<Finding>> {
    let sql =
        "SELECT f.body FROM alert_findings l JOIN findings f ON f.seq = l.finding WHERE l.alert_id = :id
               ORDER BY l.finding DESC LIMIT :limit";
    let values = named_params! { ":id": id, ":limit": limit };
    connection.prepare_cached(sql)?.query_map(values, |row| from_json(row, "body"))?.collect()
}

/// Writes what a step says.
pub(crate) fn save(summed: &Summed<'_>, step: &AlertUpdate, times: CauseTimes) -> rusqlite::Result<()> {
    let a = &step.alert;
    let body = json(a)?;
    summed.change(&checksums::ALERTS, [&a.alert_id], || {
        insert!(
            summed.transaction,
            "INSERT INTO alerts",
            {
                alert_id: a.alert_id,
                rule_id: a.rule_id,
                key: key_text(&a.key),
                severity: a.severity,
                state: a.state.word(),
                unit_code: a.labels.first("unit_code"),
                version: a.version,
                opened_at: a.opened_at,
                changed_at: a.changed_at,
                escalates_at: a.escalates_at,
                body,
            },
            // An update and no replacement: triggers count (figures.sql).
            "ON CONFLICT (alert_id) DO UPDATE SET rule_id = excluded.rule_id, \"key\" = excluded.\"key\",
             severity = excluded.severity, state = excluded.state, unit_code = excluded.unit_code,
             version = excluded.version, opened_at = excluded.opened_at, changed_at = excluded.changed_at,
             escalates_at = excluded.escalates_at, body = excluded.body"
        )
    })?;
    lines(summed, a)?;
    if let Some(change) = &step.change {
        remark(summed, &a.alert_id, change)?;
    }
    step.entries.iter().try_for_each(|entry| outbox::add(summed, &a.alert_id, entry, times))
}

/// The budget lines that keep an alert open, while it is not over.
fn lines(summed: &Summed<'_>, alert: &Alert) -> rusqlite::Result<()> {
    summed.change(&checksums::ALERT_LINES, [&alert.alert_id], || {
        let delete = "DELETE FROM alert_lines WHERE alert_id = ?1";
        summed.transaction.prepare_cached(delete)?.execute([&alert.alert_id])?;
        if alert.state.is_over() {
            return Ok(());
        }
        let Alert { rule_id, alert_id, .. } = alert;
        alert.lines.iter().try_for_each(|line| {
            insert!(summed.transaction, "INSERT OR IGNORE INTO alert_lines", { rule_id, line, alert_id })
                .map(|_| ())
        })
    })
}

/// Adds a record to an alert's history.
pub(crate) fn remark(summed: &Summed<'_>, alert_id: &str, change: &HistoryEntry) -> rusqlite::Result<()> {
    let HistoryEntry { at, who, action, state, why, facts } = change;
    let facts = if facts.is_empty() { None } else { Some(json(facts)?) };
    chain::ALERTS.add(
        summed,
        &[
            alert_id.into(),
            ValueRef::Integer((*at).as_micros()),
            who.as_str().into(),
            action.word().into(),
            state.word().into(),
            text(why.as_ref()),
            text(facts.as_ref()),
        ],
    )
}

/// A text, or nothing.
fn text(text: Option<&String>) -> ValueRef<'_> {
    text.map_or(ValueRef::Null, |text| ValueRef::from(text.as_str()))
}

pub(crate) fn key_text(key: &serde_json::Map<String, serde_json::Value>) -> String {
    serde_json::Value::Object(key.clone()).to_string()
}

/// JSON of our own types, which cannot fail but for memory.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
}

/// A column of JSON.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: impl RowIndex,
) -> rusqlite::Result<T> {
    let at = column.idx(row.as_ref())?;
    let text: String = row.get(at)?;
    serde_json::from_str(&text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, e.into()))
}

/// The alert in the first column.
pub(crate) fn alert(row: &Row<'_>) -> rusqlite::Result<Alert> {
    from_json(row, "body")
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use rusqlite::StatementStatus;

    use super::{super::migrate, *};

    /// It is asked for every finding that begins an alert: to plan it takes longer than to answer it.
    #[test]
    fn the_last_alert_of_a_key_is_found_by_a_statement_that_is_planned_once() {
        let connection = Connection::open_in_memory().unwrap();
        super::super::configure(&connection).unwrap();
        migrate::migrate(Path::new("here"), &connection, &Arc::default()).unwrap();
        for key in ["a", "b", "c"] {
            assert_eq!(latest(&connection, "r", key).unwrap(), None);
        }
        let statement = connection.prepare_cached(LATEST).unwrap();
        let of = |status| statement.get_status(status);
        assert_eq!((of(StatementStatus::Run), of(StatementStatus::RePrepare)), (3, 0));
    }
}
