//! What officers do with alerts: transitions, remarks and silences, each in a transaction of its own, beside a running
//! daemon or without one; and what they look at.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row, TransactionBehavior, params, params_from_iter, types::Value};

use super::{
    StoreError,
    alerts::{self, Times, from_json, json},
    explain, open_reader, open_writer,
    query::LIMIT_MAX,
};
use crate::{
    alert::{
        Action, Alert, Change, Desk, Silence, State,
        desk::{Order, Refusal},
    },
    evaluate::Finding,
};

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// There is no such alert or silence.
    #[error("{0}")]
    NotFound(String),
    /// The order is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store cannot do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which alerts to list, the newest first.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertFilter {
    /// Only in this state; `active` for those that are not over.
    pub state: Option<String>,
    /// Only of this severity.
    pub severity: Option<String>,
    /// Only of this rule.
    pub rule: Option<String>,
    /// Only of this unit.
    pub unit: Option<String>,
    /// Only those after this one in the list: the `next` of the page before.
    pub before: Option<String>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// Alerts and silences of a state directory.
#[derive(Debug)]
pub struct Cases {
    dir: PathBuf,
    connection: Connection,
}

/// Alerts listed when nobody says how many.
const LIMIT: u32 = 100;

impl Cases {
    /// Opens them for changes.
    ///
    /// # Errors
    /// If there is no state, or it is of another version.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { dir: dir.to_owned(), connection: open_writer(dir)? })
    }

    /// Opens them for reading.
    ///
    /// # Errors
    /// If there is no state, or it is of another version.
    pub fn open_read_only(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { dir: dir.to_owned(), connection: open_reader(dir)? })
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        work(&self.connection).map_err(|error| explain(&self.dir, error))
    }

    /// Carries out an officer's order.
    ///
    /// # Errors
    /// If there is no such alert, or the order is refused.
    pub fn act(&mut self, id: &str, order: &Order, desk: &Desk, now: i64) -> Result<Alert, CaseError> {
        let dir = self.dir.clone();
        let fail = |error| explain(&dir, error);
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior).map_err(fail)?;
        let alert = alerts::find(&transaction, id).map_err(fail)?.ok_or_else(|| missing(id))?;
        let step = desk.act(alert, order, now)?;
        alerts::save(&transaction, &step, Times::at(now)).map_err(fail)?;
        transaction.commit().map_err(fail)?;
        Ok(step.alert)
    }

    /// Alerts, the newest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn list(&self, filter: &AlertFilter) -> Result<Vec<Alert>, StoreError> {
        let mut sql = String::from("SELECT body FROM alerts WHERE true");
        let mut values: Vec<Value> = Vec::new();
        if filter.state.as_deref() == Some("active") {
            sql.push_str(" AND state NOT IN ('closed', 'dismissed', 'resolved')");
        } else if let Some(state) = &filter.state {
            sql.push_str(" AND state = ?");
            values.push(state.clone().into());
        }
        for (column, value) in
            [("severity", &filter.severity), ("rule_id", &filter.rule), ("unit_code", &filter.unit)]
        {
            if let Some(value) = value {
                sql.push_str(&format!(" AND {column} = ?"));
                values.push(value.clone().into());
            }
        }
        if let Some(before) = &filter.before {
            sql.push_str(
                " AND (opened_at, alert_id) < (SELECT opened_at, alert_id FROM alerts WHERE alert_id = ?)",
            );
            values.push(before.clone().into());
        }
        sql.push_str(" ORDER BY opened_at DESC, alert_id DESC LIMIT ?");
        values.push(i64::from(filter.limit.unwrap_or(LIMIT).min(LIMIT_MAX)).into());
        self.read(|c| c.prepare_cached(&sql)?.query_map(params_from_iter(values), alerts::alert)?.collect())
    }

    /// An alert with its history, and its latest findings.
    ///
    /// # Errors
    /// If there is none.
    pub fn show(&self, id: &str, findings: u32) -> Result<(Alert, Vec<Change>, Vec<Finding>), CaseError> {
        let alert = self.read(|c| alerts::find(c, id))?.ok_or_else(|| missing(id))?;
        let history = self.read(|c| {
            let sql =
                "SELECT at, who, action, state, why FROM alert_history WHERE alert_id = ?1 ORDER BY seq";
            c.prepare_cached(sql)?.query_map([id], change)?.collect()
        })?;
        let limit = usize::try_from(findings.min(LIMIT_MAX)).unwrap_or(0);
        let evidence = self.read(|c| alerts::evidence(c, id, limit))?;
        Ok((alert, history, evidence))
    }

    /// The whole id of the one alert whose id begins so, as people type it.
    ///
    /// # Errors
    /// If there is none, or several.
    pub fn complete(&self, prefix: &str) -> Result<String, CaseError> {
        let end = format!("{prefix}\u{7f}");
        let sql =
            "SELECT alert_id FROM alerts WHERE alert_id >= ?1 AND alert_id < ?2 ORDER BY alert_id LIMIT 2";
        let found: Vec<String> =
            self.read(|c| c.prepare_cached(sql)?.query_map([prefix, &end], |row| row.get(0))?.collect())?;
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [first, ..] if first == prefix => Ok(first.clone()),
            [] => Err(missing(prefix)),
            _ => {
                Err(CaseError::NotFound(format!("several alerts begin with {prefix:?}; give more of the id")))
            }
        }
    }

    /// Orders a silence.
    ///
    /// # Errors
    /// If it is refused.
    pub fn silence(&mut self, silence: &Silence, now: i64) -> Result<Silence, CaseError> {
        silence.check(now).map_err(Refusal::Missing)?;
        let dir = self.dir.clone();
        let insert = || {
            let sql = "INSERT INTO silences (starts_at, ends_at, body) VALUES (?1, ?2, ?3)";
            let values = params![silence.starts_at, silence.ends_at, json(silence)?];
            self.connection.execute(sql, values)?;
            Ok(self.connection.last_insert_rowid())
        };
        let silence_id = insert().map_err(|error| explain(&dir, error))?;
        Ok(Silence { silence_id, ..silence.clone() })
    }

    /// Silences, the newest first; those that are over only if they are asked for.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn silences(&self, now: i64, expired: bool) -> Result<Vec<Silence>, StoreError> {
        let sql = "SELECT body, silence_id FROM silences WHERE ends_at > ?1 OR ?2 ORDER BY silence_id DESC LIMIT ?3";
        self.read(|c| c.prepare_cached(sql)?.query_map(params![now, expired, LIMIT_MAX], silence)?.collect())
    }

    /// Ends a silence now.
    ///
    /// # Errors
    /// If there is none, or it is over.
    pub fn expire(&mut self, id: i64, who: &str, now: i64) -> Result<Silence, CaseError> {
        if who.trim().is_empty() {
            return Err(Refusal::Missing(String::from("say who you are")).into());
        }
        let none = || CaseError::NotFound(format!("there is no silence {id} that is in force or to come"));
        let found = self.silences(now, false)?.into_iter().find(|s| s.silence_id == id).ok_or_else(none)?;
        // One that has not begun never does.
        let silence =
            Silence { ends_at: now.max(found.starts_at), expired_by: Some(who.trim().to_owned()), ..found };
        let silence = Silence { starts_at: silence.starts_at.min(now), ends_at: now, ..silence };
        let dir = self.dir.clone();
        let update = || {
            let sql = "UPDATE silences SET starts_at = ?2, ends_at = ?3, body = ?4 WHERE silence_id = ?1";
            self.connection.execute(sql, params![id, silence.starts_at, silence.ends_at, json(&silence)?])?;
            // What it held back is looked at again at once.
            let held_by = format!("silence {id}");
            let sql = "UPDATE outbox SET due_at = ?1, held_by = NULL WHERE held_by = ?2";
            self.connection.execute(sql, params![now, held_by])
        };
        update().map_err(|error| explain(&dir, error))?;
        Ok(silence)
    }

    /// Notifications in a state (`pending`, `sent`, `parked`), the newest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn notifications(
        &self,
        state: Option<&str>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<serde_json::Value>, StoreError> {
        let sql =
            "SELECT seq, id, sink, recipient, reason, state, attempts, next_at, created_at, ended_at, error,
                          json_extract(body, '$.alerts[0].alert_id'), json_array_length(body, '$.alerts')
                   FROM notifications WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR seq < ?2)
                   ORDER BY seq DESC LIMIT ?3";
        let row = |row: &Row<'_>| {
            Ok(serde_json::json!({
                "seq": row.get::<_, i64>(0)?, "id": row.get::<_, String>(1)?, "sink": row.get::<_, String>(2)?,
                "recipient": row.get::<_, Option<String>>(3)?, "reason": row.get::<_, String>(4)?,
                "state": row.get::<_, String>(5)?, "attempts": row.get::<_, i64>(6)?,
                "next_at": row.get::<_, i64>(7)?, "created_at": row.get::<_, i64>(8)?,
                "ended_at": row.get::<_, Option<i64>>(9)?, "error": row.get::<_, Option<String>>(10)?,
                "alert_id": row.get::<_, Option<String>>(11)?, "alerts": row.get::<_, Option<i64>>(12)?,
            }))
        };
        self.read(|c| {
            c.prepare_cached(sql)?.query_map(params![state, before, limit.min(LIMIT_MAX)], row)?.collect()
        })
    }

    /// Tries parked notifications again: one, or all of a sink, or all.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn retry(&mut self, id: Option<&str>, sink: Option<&str>, now: i64) -> Result<usize, StoreError> {
        let sql = "UPDATE notifications SET state = 'pending', next_at = ?1, ended_at = NULL
                   WHERE state IN ('parked', 'pending') AND (?2 IS NULL OR id = ?2) AND (?3 IS NULL OR sink = ?3)";
        self.connection.execute(sql, params![now, id, sink]).map_err(|error| explain(&self.dir, error))
    }
}

fn missing(id: &str) -> CaseError {
    CaseError::NotFound(format!("there is no alert {id:?}; `fiscwatch alerts list` shows those there are"))
}

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    let (action, state): (String, String) = (row.get(2)?, row.get(3)?);
    let wrong = |at: usize, e: String| {
        rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, e.into())
    };
    Ok(Change {
        at: row.get(0)?,
        who: row.get(1)?,
        action: action.parse::<Action>().map_err(|e| wrong(2, e))?,
        state: state.parse::<State>().map_err(|e| wrong(3, e))?,
        why: row.get(4)?,
    })
}

fn silence(row: &Row<'_>) -> rusqlite::Result<Silence> {
    let silence: Silence = from_json(row, 0)?;
    Ok(Silence { silence_id: row.get(1)?, ..silence })
}
