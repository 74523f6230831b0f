//! What officers do with alerts: transitions and remarks, each in a transaction of its own, beside a running daemon or
//! without one; and what they look at. Silences and notifications are next door.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, Row, named_params, params_from_iter, types::ValueRef};

use super::{
    BUSY, StoreError,
    alerts::{self, CauseTimes},
    audit::{self, AuditedAction, DONE},
    checksums::{SumChanges, Summed},
    explain, limited, listed, open_reader, open_writer,
    query::LIMIT_MAX,
    turn::{Turn, Turns},
};
use crate::{
    access::{Actor, Limits},
    alert::{
        Action, Alert, ChangeFacts, Desk, HistoryEntry, State,
        desk::{AlertUpdate, Order, Refusal},
    },
    event::Instant,
    failpoint,
    finding::Finding,
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

/// Alerts, silences and notifications of a state directory.
#[derive(Debug)]
pub struct Cases {
    pub(super) dir: PathBuf,
    pub(super) connection: Connection,
    pub(super) actor: Actor,
    limits: Limits,
}

/// Findings shown of one alert.
pub const FINDINGS_MAX: u32 = 100;
/// Bytes of the history that is shown of one alert, and what a change takes beside its texts. A newest change that is
/// longer by itself comes alone.
const HISTORY_BYTES: usize = 1 << 20;
const CHANGE_BYTES: usize = 100;

/// How long an officer waits for the database: not for ever.
pub(super) fn patience() -> Duration {
    failpoint::within("patience.officer", BUSY)
}

impl Cases {
    /// Opens them for changes.
    ///
    /// # Errors
    /// If there is no state, or it is of another version.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::on(dir, open_writer(dir)?)
    }

    /// Opens them for reading.
    ///
    /// # Errors
    /// If there is no state, or it is of another version.
    pub fn open_read_only(dir: &Path) -> Result<Self, StoreError> {
        Self::on(dir, open_reader(dir)?)
    }

    fn on(dir: &Path, connection: Connection) -> Result<Self, StoreError> {
        let (dir, actor, limits) = (dir.to_owned(), Actor::daemon(), Limits::default());
        Ok(Self { dir, connection, actor, limits })
    }

    /// Only alerts that are there for somebody of these limits.
    #[must_use]
    pub fn within(self, limits: &Limits) -> Self {
        Self { limits: limits.clone(), ..self }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// An alert, if it is there for whoever asks.
    fn find(&self, connection: &Connection, id: &str) -> rusqlite::Result<Option<Alert>> {
        let Some(alert) = alerts::find(connection, id)? else { return Ok(None) };
        let mut conditions = limited::alerts(&self.limits);
        conditions.and("a.alert_id = ?", [id.to_owned().into()]);
        let sql = format!("SELECT 1 FROM alerts a {}", conditions.clause());
        let is_there = connection.prepare_cached(&sql)?.exists(params_from_iter(conditions.values))?;
        Ok(Some(alert).filter(|_| is_there))
    }

    /// Says who acts, and from where; the daemon, if nobody says so.
    #[must_use]
    pub fn by(self, actor: Actor) -> Self {
        Self { actor, ..self }
    }

    /// Records what somebody did, in the transaction that does it.
    pub(super) fn tell(
        &self,
        summed: &Summed<'_>,
        (who, now): (&str, Instant),
        (action, subject, detail): (&str, &str, &str),
    ) -> rusqlite::Result<()> {
        let actor = Actor { who: who.to_owned(), place: self.actor.place.clone() };
        audit::record(summed, now, &actor, AuditedAction { action, subject, result: DONE, detail })
    }

    /// Records that somebody took something out.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn record(&self, actor: &Actor, deed: (&str, &str, &str), now: Instant) -> Result<(), StoreError> {
        self.change(|summed| self.tell(summed, (&actor.who, now), deed))
    }

    pub(super) fn begin(&self) -> rusqlite::Result<Turn<'_>> {
        Turns::of(&self.dir).begin(&self.connection, Some(patience()))
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
    pub fn act(&mut self, id: &str, order: &Order, desk: &Desk, now: Instant) -> Result<Alert, CaseError> {
        let dir = self.dir.clone();
        let fail = |error| explain(&dir, error);
        let transaction = self.begin().map_err(fail)?;
        let changes = SumChanges::default();
        let alert = self.carry_out(&changes.within(&transaction), id, (order, desk), now)?;
        changes.end(&transaction).map_err(fail)?;
        transaction.commit().map_err(fail)?;
        Ok(alert)
    }

    /// An alert that somebody works on, if it is there for them.
    pub(super) fn own(&self, connection: &Connection, id: &str) -> Result<Alert, CaseError> {
        let found = self.find(connection, id).map_err(|error| explain(&self.dir, error))?;
        found.ok_or_else(|| missing(id))
    }

    /// Stores what became of an alert, and that somebody did it.
    pub(super) fn keep(
        &self,
        summed: &Summed<'_>,
        step: &AlertUpdate,
        order: &Order,
        now: Instant,
    ) -> Result<(), CaseError> {
        let fail = |error| explain(&self.dir, error);
        alerts::save(summed, step, CauseTimes::at(now)).map_err(fail)?;
        let Some(change) = &step.change else { return Ok(()) };
        let deed = format!("alerts.{}", change.action.word());
        let facts = if change.facts.is_empty() {
            String::new()
        } else {
            alerts::json(&change.facts).map_err(fail)?
        };
        let why = order.why.as_deref().unwrap_or_default();
        let detail = [why, &facts].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        self.tell(summed, (&change.who, now), (&deed, &step.alert.alert_id, &detail)).map_err(fail)?;
        Ok(())
    }

    /// All alerts, in the order of their ids.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn all(&self) -> Result<Vec<Alert>, StoreError> {
        let sql = "SELECT body FROM alerts ORDER BY alert_id";
        self.read(|c| c.prepare_cached(sql)?.query_map([], alerts::alert)?.collect())
    }

    /// Those that are there for whoever asks.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn all_within(&self) -> Result<Vec<Alert>, StoreError> {
        let conditions = limited::alerts(&self.limits);
        let sql = format!("SELECT a.body FROM alerts a {} ORDER BY a.alert_id", conditions.clause());
        self.read(|c| {
            c.prepare(&sql)?.query_map(params_from_iter(conditions.values), alerts::alert)?.collect()
        })
    }

    /// An alert with its latest history (as much as `HISTORY_BYTES`, oldest first), and its latest findings.
    ///
    /// # Errors
    /// If there is none.
    pub fn show(
        &self,
        id: &str,
        findings: u32,
    ) -> Result<(Alert, Vec<HistoryEntry>, Vec<Finding>), CaseError> {
        let alert = self.read(|c| self.find(c, id))?.ok_or_else(|| missing(id))?;
        let history = self.read(|c| latest(c, id))?;
        let limit = usize::try_from(findings.min(LIMIT_MAX)).unwrap_or(0);
        let mut evidence = self.read(|c| alerts::evidence(c, id, limit))?;
        evidence.retain(|finding| {
            self.limits.allow_columns(&finding.key) && self.limits.allow_columns(&finding.values)
        });
        Ok((alert, history, evidence))
    }

    /// The latest finding of an alert, whose sentence it shows.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn latest_finding(&self, id: &str) -> Result<Option<Finding>, StoreError> {
        Ok(self.read(|c| alerts::evidence(c, id, 1))?.pop())
    }

    /// How many changes of an alert there are.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn changes(&self, id: &str) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM alert_history WHERE alert_id = ?1";
        self.read(|c| c.prepare_cached(sql)?.query_row([id], |row| row.get(0)))
    }

    /// The whole id of the one alert whose id begins so, as people type it.
    ///
    /// # Errors
    /// If there is none, or several.
    pub fn complete(&self, prefix: &str) -> Result<String, CaseError> {
        let end = format!("{prefix}\u{7f}");
        let sql = "SELECT alert_id FROM alerts WHERE alert_id >= :first AND alert_id < :end ORDER BY alert_id LIMIT 2";
        let values = named_params! { ":first": prefix, ":end": end };
        let found: Vec<String> =
            self.read(|c| c.prepare_cached(sql)?.query_map(values, |row| row.get(0))?.collect())?;
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

    /// How often officers found each rule's alerts to be as suspected, and to be in order, as far as these are there for whoever asks.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn verdicts(&self) -> Result<BTreeMap<String, VerdictCounts>, StoreError> {
        let verdicts = self.read(|c| listed::verdicts(c, &self.limits))?;
        let counts = |(confirmed, dismissed)| VerdictCounts { confirmed, dismissed };
        Ok(verdicts.by_rule().map(|(rule, said)| (rule.to_owned(), counts(said))).collect())
    }

    /// What officers said last of the alerts of a rule, by the ids of their findings: whether it was as suspected.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn verdicts_of_findings(&self, rule: &str) -> Result<BTreeMap<String, bool>, StoreError> {
        let sql = "SELECT f.finding_id, h.action = 'confirm'
                   FROM alert_history h JOIN alerts a USING (alert_id)
                   JOIN alert_findings b USING (alert_id) JOIN findings f ON f.seq = b.finding
                   WHERE h.action IN ('confirm', 'dismiss') AND a.rule_id = ?1 ORDER BY h.seq";
        self.read(|c| {
            c.prepare_cached(sql)?.query_map([rule], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
    }
}

/// What officers said of the alerts of a rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerdictCounts {
    /// 属实
    pub confirmed: u64,
    /// 误报
    pub dismissed: u64,
}

impl VerdictCounts {
    /// The share of those that were as suspected; `None` before the first verdict.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // Counts of people's decisions.
    pub fn precision(&self) -> Option<f64> {
        let all = self.confirmed + self.dismissed;
        (all > 0).then(|| self.confirmed as f64 / all as f64)
    }
}

pub(super) fn missing(id: &str) -> CaseError {
    CaseError::NotFound(say!(
        "there is no alert {id}; `fiscwatch alerts list` shows those there are",
        id = quoted(id)
    ))
}

/// The latest changes of an alert, oldest first.
fn latest(connection: &Connection, id: &str) -> rusqlite::Result<Vec<HistoryEntry>> {
    let sql =
        "SELECT at, who, action, state, why, facts FROM alert_history WHERE alert_id = ?1 ORDER BY seq DESC";
    let mut statement = connection.prepare_cached(sql)?;
    let (mut latest, mut bytes) = (Vec::new(), 0);
    for change in statement.query_map([id], change)? {
        let change = change?;
        let why = change.why.as_deref().map_or(0, str::len);
        bytes += CHANGE_BYTES + change.who.len() + why;
        if bytes > HISTORY_BYTES && !latest.is_empty() {
            break;
        }
        latest.push(change);
    }
    latest.reverse();
    Ok(latest)
}

fn facts(row: &Row<'_>, column: &str) -> rusqlite::Result<ChangeFacts> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(ChangeFacts::default()),
        _ => alerts::from_json(row, column),
    }
}

fn change(row: &Row<'_>) -> rusqlite::Result<HistoryEntry> {
    let (action, state): (String, String) = (row.get("action")?, row.get("state")?);
    let wrong = |column: &str, e: String| {
        let at = row.as_ref().column_index(column).unwrap_or_default();
        rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, e.into())
    };
    Ok(HistoryEntry {
        at: row.get("at")?,
        who: row.get("who")?,
        action: action.parse::<Action>().map_err(|e| wrong("action", e))?,
        state: state.parse::<State>().map_err(|e| wrong("state", e))?,
        why: row.get("why")?,
        facts: facts(row, "facts")?,
    })
}
