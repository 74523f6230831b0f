//! What the outbox and the alerts' history come to, for metrics.

use std::collections::BTreeMap;

use rusqlite::{Row, named_params};

use super::Outbox;
use crate::{
    alert::State,
    event::{Instant, TimeDelta},
    store::{
        StoreError,
        alert_rows::RowsOrigin,
        words::{NOT_OVER, OVER},
    },
};

/// What was done with an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertStep {
    /// The line of the history.
    pub seq: i64,
    pub(crate) action: String,
    pub(crate) severity: String,
    /// How long after the alert's opening.
    pub after: TimeDelta,
    /// Whether the alert was over by it.
    pub is_over: bool,
    /// How long after the letter, for its first answer.
    pub after_letter: Option<TimeDelta>,
}

/// Whose late alerts are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LateOf {
    /// The alerts that units answer too late.
    Unit,
    /// Those of officers; an empty name for what nobody has.
    Officer,
}

impl Outbox {
    /// How much waits for each sink: entries that are not bundled, and notifications that are not accepted; and since
    /// when the oldest waits beyond its time.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn waiting(&self) -> Result<(BTreeMap<String, i64>, Option<Instant>), StoreError> {
        self.read(|c| {
            let sql = "SELECT a, n FROM figures WHERE name = 'waiting'";
            let mut statement = c.prepare_cached(sql)?;
            let by_sink = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let oldest = "SELECT min(at) FROM (SELECT min(due_at) AS at FROM outbox WHERE held_by IS NULL
                          UNION ALL SELECT min(created_at) FROM notifications WHERE state = 'pending')";
            let oldest = c.prepare_cached(oldest)?.query_row([], |row| row.get(0))?;
            Ok((by_sink.collect::<rusqlite::Result<_>>()?, oldest))
        })
    }

    /// How many alerts there are in each state and severity.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn alert_counts(&self) -> Result<Vec<(String, String, i64)>, StoreError> {
        let sql = "SELECT a, b, n FROM figures WHERE name = 'alerts'";
        self.read(|c| {
            let mut statement = c.prepare_cached(sql)?;
            statement.query_map([], |row| Ok((row.get("a")?, row.get("b")?, row.get("n")?)))?.collect()
        })
    }

    /// What officers and time did with alerts after a line of the history: its number, the action, the alert's severity,
    /// how long after its opening it was done, and whether the alert was over by it.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn history_after(&self, seq: i64, limit: usize) -> Result<Vec<AlertStep>, StoreError> {
        let sql = format!(
            "SELECT h.seq, h.action, a.severity, h.at - a.opened_at AS after,
                          h.state IN {OVER} AS is_over,
                          iif(h.action = 'answer', h.at - (
                              SELECT i.at FROM alert_history i WHERE i.alert_id = h.alert_id AND i.seq < h.seq
                                  AND i.action IN ('inquire', 'answer') ORDER BY i.seq DESC LIMIT 1), NULL) AS after_letter,
                          (SELECT i.action FROM alert_history i WHERE i.alert_id = h.alert_id AND i.seq < h.seq
                               AND i.action IN ('inquire', 'answer') ORDER BY i.seq DESC LIMIT 1) = 'inquire' AS is_first
                   FROM alert_history h JOIN alerts a USING (alert_id) WHERE h.seq > :seq ORDER BY h.seq LIMIT :limit"
        );
        let done = |row: &Row<'_>| {
            Ok(AlertStep {
                seq: row.get("seq")?,
                action: row.get("action")?,
                severity: row.get("severity")?,
                after: row.get("after")?,
                is_over: row.get("is_over")?,
                after_letter: match row.get::<_, Option<bool>>("is_first")? {
                    Some(true) => row.get("after_letter")?,
                    _ => None,
                },
            })
        };
        let values = named_params! { ":seq": seq, ":limit": limit };
        self.read(|c| c.prepare_cached(&sql)?.query_map(values, done)?.collect())
    }

    /// How many alerts are past their last day, by the column `unit_code` or `owner`, the most first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn late(&self, by: LateOf, now: Instant, most: usize) -> Result<Vec<(String, i64)>, StoreError> {
        let column = match by {
            LateOf::Unit => "unit_code",
            LateOf::Officer => "owner",
        };
        self.read(|c| {
            let sql = format!(
                "SELECT coalesce(a.{column}, '') AS value, count(*) AS late FROM {} a
                 WHERE a.due_at <= :now AND a.state NOT IN {OVER}
                 GROUP BY 1 ORDER BY 2 DESC, 1",
                RowsOrigin::of(c)?.source()
            );
            let row = |row: &Row<'_>| Ok((row.get("value")?, row.get("late")?));
            let found: Vec<(String, i64)> = c
                .prepare_cached(&sql)?
                .query_map(named_params! { ":now": now }, row)?
                .collect::<Result<_, _>>()?;
            let rest: i64 = found.iter().skip(most).map(|(_, late)| late).sum();
            let mut told: Vec<_> = found.into_iter().take(most).collect();
            if rest > 0 {
                told.push((String::from("other"), rest));
            }
            Ok(told)
        })
    }

    /// The number of the last line of the history.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn last_history(&self) -> Result<i64, StoreError> {
        self.read(|c| c.query_row("SELECT coalesce(max(seq), 0) FROM alert_history", [], |row| row.get(0)))
    }

    /// How many alerts of a severity were opened before a time and are not acknowledged.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn unacknowledged(&self, severity: &str, before: Instant) -> Result<i64, StoreError> {
        self.in_states(&format!("('{}')", State::Open.word()), severity, before)
    }

    /// How many alerts of a severity were opened before a time and are not over.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn unfinished(&self, severity: &str, before: Instant) -> Result<i64, StoreError> {
        self.in_states(&NOT_OVER, severity, before)
    }

    fn in_states(&self, states: &str, severity: &str, before: Instant) -> Result<i64, StoreError> {
        let sql = format!(
            "SELECT count(*) FROM alerts WHERE state IN {states} AND severity = :severity AND opened_at <= :before"
        );
        let values = named_params! { ":severity": severity, ":before": before };
        self.read(|c| c.prepare_cached(&sql)?.query_row(values, |row| row.get(0)))
    }
}
