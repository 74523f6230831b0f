//! What officers do with alerts: transitions and remarks, each in a transaction of its own, beside a running daemon or
//! without one; and what they look at. Silences and notifications are next door.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, Row, TransactionBehavior, params_from_iter, types::Value};

use super::{
    StoreError,
    alerts::{self, Times},
    explain, open_reader, open_writer,
    query::LIMIT_MAX,
    sums::Changes,
};
use crate::{
    alert::{
        Action, Alert, Change, Desk, State,
        desk::{Order, Refusal},
        inquiry::Stage,
    },
    evaluate::Finding,
    rule::Severity,
    say,
    text::quoted,
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
#[derive(Debug, Clone, Default, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AlertFilter {
    /// Only in this state (`open`, `acknowledged`, `confirmed`, `rectifying`, `closed`, `dismissed`, `resolved`), or
    /// `active` for those that are not over.
    pub state: Option<String>,
    /// Only of this severity: `critical`, `high`, `medium` or `low`.
    pub severity: Option<String>,
    /// Only of this rule.
    pub rule: Option<String>,
    /// Only of this unit (`unit_code`).
    pub unit: Option<String>,
    /// Only those whose letter to the unit has come so far: `draft`, `sent` or `withdrawn`.
    pub inquiry: Option<String>,
    /// Only those after this one in the list: the `next` of the page before.
    pub before: Option<String>,
    /// At most so many.
    pub limit: Option<u32>,
}

impl AlertFilter {
    /// What is wrong with a filter that would find nothing, ever.
    ///
    /// # Errors
    /// The words there are.
    pub fn check(&self) -> Result<(), String> {
        if let Some(state) = self.state.as_deref().filter(|state| *state != ACTIVE) {
            state
                .parse::<State>()
                .map_err(|e| say!("state: {known}, or {active}", known = e, active = ACTIVE))?;
        }
        let known =
            |word: &str| [Stage::Draft, Stage::Sent, Stage::Withdrawn].iter().any(|s| s.word() == word);
        if let Some(word) = self.inquiry.as_deref().filter(|word| !known(word)) {
            return Err(say!(
                "inquiry: {word} is none of draft, sent, withdrawn",
                word = format!("{word:?}")
            ));
        }
        check_severity(self.severity.as_deref())
    }
}

/// The filter for alerts that are not over.
pub const ACTIVE: &str = "active";

/// What is wrong with a severity to look for.
///
/// # Errors
/// The words there are.
pub fn check_severity(severity: Option<&str>) -> Result<(), String> {
    let known = |word: &str| Severity::WORDS.iter().any(|(known, _)| *known == word);
    match severity.filter(|word| !known(word)) {
        Some(word) => {
            Err(say!("severity: {word} is none of critical, high, medium, low", word = quoted(word)))
        }
        None => Ok(()),
    }
}

/// Alerts, silences and notifications of a state directory.
#[derive(Debug)]
pub struct Cases {
    pub(super) dir: PathBuf,
    pub(super) connection: Connection,
}

/// Findings shown of one alert.
pub const FINDINGS_MAX: u32 = 100;
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

    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
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
        let changes = Changes::default();
        alerts::save(&changes.within(&transaction), &step, Times::at(now)).map_err(fail)?;
        changes.end(&transaction).map_err(fail)?;
        transaction.commit().map_err(fail)?;
        Ok(step.alert)
    }

    /// Alerts, the newest first.
    ///
    /// # Errors
    /// If there is no alert `before`, or the database cannot be read.
    pub fn list(&self, filter: &AlertFilter) -> Result<Vec<Alert>, CaseError> {
        let mut sql = String::from("SELECT body FROM alerts WHERE true");
        let mut values: Vec<Value> = Vec::new();
        if filter.state.as_deref() == Some(ACTIVE) {
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
        if let Some(stage) = &filter.inquiry {
            sql.push_str(" AND json_extract(body, '$.inquiry.stage') = ?");
            values.push(stage.clone().into());
        }
        if let Some(before) = &filter.before {
            self.read(|c| alerts::find(c, before))?.ok_or_else(|| missing(before))?;
            sql.push_str(
                " AND (opened_at, alert_id) < (SELECT opened_at, alert_id FROM alerts WHERE alert_id = ?)",
            );
            values.push(before.clone().into());
        }
        sql.push_str(" ORDER BY opened_at DESC, alert_id DESC LIMIT ?");
        values.push(i64::from(filter.limit.unwrap_or(LIMIT).min(LIMIT_MAX)).into());
        let read = |c: &Connection| {
            c.prepare_cached(&sql)?.query_map(params_from_iter(values), alerts::alert)?.collect()
        };
        Ok(self.read(read)?)
    }

    /// All alerts, in the order of their ids.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn all(&self) -> Result<Vec<Alert>, StoreError> {
        let sql = "SELECT body FROM alerts ORDER BY alert_id";
        self.read(|c| c.prepare_cached(sql)?.query_map([], alerts::alert)?.collect())
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
            _ => Err(CaseError::NotFound(say!(
                "several alerts begin with {prefix}; give more of the id",
                prefix = quoted(prefix)
            ))),
        }
    }

    /// How often officers found each rule's alerts to be as suspected, and to be in order.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn verdicts(&self) -> Result<BTreeMap<String, Verdicts>, StoreError> {
        let sql = "SELECT a.rule_id, count(DISTINCT iif(h.action = 'confirm', h.alert_id, NULL)),
                          count(DISTINCT iif(h.action = 'dismiss', h.alert_id, NULL))
                   FROM alert_history h JOIN alerts a USING (alert_id)
                   WHERE h.action IN ('confirm', 'dismiss') GROUP BY a.rule_id";
        let row =
            |row: &Row<'_>| Ok((row.get(0)?, Verdicts { confirmed: row.get(1)?, dismissed: row.get(2)? }));
        self.read(|c| c.prepare_cached(sql)?.query_map([], row)?.collect())
    }
}

/// What officers said of the alerts of a rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// 属实
    pub confirmed: u64,
    /// 误报
    pub dismissed: u64,
}

impl Verdicts {
    /// The share of those that were as suspected; `None` before the first verdict.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // Counts of people's decisions.
    pub fn precision(&self) -> Option<f64> {
        let all = self.confirmed + self.dismissed;
        (all > 0).then(|| self.confirmed as f64 / all as f64)
    }
}

fn missing(id: &str) -> CaseError {
    CaseError::NotFound(say!(
        "there is no alert {id}; `fiscwatch alerts list` shows those there are",
        id = quoted(id)
    ))
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
