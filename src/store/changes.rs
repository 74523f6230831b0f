//! What has changed in the store, in the store's own order: new findings, what happened to alerts, and what was proposed and
//! approved, each after a place that a reader was at.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    str::FromStr,
};

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::{Cases, StoreError, alerts, alerts::key_text, approvals};
use crate::{alert::Alert, approval::Matter, finding::Finding};

/// How far a reader is: the last finding, the last change of an alert and the last of a matter that it knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// The number of the finding.
    pub finding: i64,
    /// The number of the change.
    pub change: i64,
    /// The number of the change of a matter.
    pub matter: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.finding, self.change, self.matter)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers =
            text.splitn(3, '.').map(|text| text.parse().ok().filter(|n: &i64| *n >= 0).ok_or(()));
        let mut number = || numbers.next().ok_or(())?;
        Ok(Self { finding: number()?, change: number()?, matter: number()? })
    }
}

/// Something that a reader does not know yet.
#[derive(Debug, Clone)]
pub enum Update {
    /// A finding, with the alert that it is in.
    Finding(Box<Finding>, Option<String>),
    /// An alert, as it is now.
    Alert(Box<Alert>),
    /// Something that was proposed, as it is now.
    Matter(Box<Matter>),
}

/// What is new after a place.
#[derive(Debug, Clone, Default)]
pub struct Updates {
    /// In the store's order, each with the place after it. What changed several times stands where it changed last.
    pub news: Vec<(Place, Update)>,
    /// The place after all of them.
    pub next: Place,
    /// Whether there is more.
    pub more: bool,
}

/// How far behind a reader may be: who is further reads everything again.
const BEHIND_MAX: i64 = 5000;

impl Cases {
    /// The place after everything that is stored now.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn place(&self) -> Result<Place, StoreError> {
        self.read(place)
    }

    /// How many alerts there are in each state.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn by_state(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        let sql = "SELECT a, sum(n) FROM figures WHERE name = 'alerts' GROUP BY a";
        self.read(|c| c.prepare_cached(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
    }

    /// What is new after a place, so much at most; `None` if the place is too old, or of another state.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn since(&self, since: Place, limit: u32) -> Result<Option<Updates>, StoreError> {
        self.read(|c| {
            let c = &c.unchecked_transaction()?;
            let now = place(c)?;
            let behind = [now.finding - since.finding, now.change - since.change, now.matter - since.matter];
            if behind.iter().any(|behind| !(0..=BEHIND_MAX).contains(behind)) {
                return Ok(None);
            }
            read(c, since, limit).map(Some)
        })
    }
}

impl Cases {
    /// The latest findings about an event, newest first, and the alerts that they are in.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn about(&self, event_id: &str, limit: u32) -> Result<(Vec<Finding>, Vec<Alert>), StoreError> {
        self.read(|c| {
            let sql = "SELECT body FROM findings WHERE event_id = :event_id ORDER BY seq DESC LIMIT :limit";
            let values = named_params! { ":event_id": event_id, ":limit": limit };
            let rows = |row: &Row<'_>| alerts::from_json(row, "body");
            let found: Vec<Finding> =
                c.prepare_cached(sql)?.query_map(values, rows)?.collect::<Result<_, _>>()?;
            let ids = found.iter().filter_map(|finding| alert_of(c, finding).transpose());
            let ids: BTreeSet<String> = ids.collect::<Result<_, _>>()?;
            let alerts = ids.iter().filter_map(|id| alerts::find(c, id).transpose());
            let alerts = alerts.collect::<Result<_, _>>()?;
            Ok((found, alerts))
        })
    }
}

fn place(c: &Connection) -> rusqlite::Result<Place> {
    let last = |column: &str, table: &str| {
        let sql = format!("SELECT coalesce(max({column}), 0) FROM {table}");
        c.prepare_cached(&sql)?.query_row([], |row| row.get(0))
    };
    let (finding, change) = (last("seq", "findings")?, last("seq", "alert_history")?);
    Ok(Place { finding, change, matter: last("changed", "approvals")? })
}

fn read(c: &Connection, since: Place, limit: u32) -> rusqlite::Result<Updates> {
    let mut next = since;
    let mut news = Vec::new();
    let findings = findings(c, since.finding, limit)?;
    let changed = changed(c, since.change, limit)?;
    let matters = approvals::changed_after(c, since.matter, limit)?;
    let more = [findings.len(), changed.len(), matters.len()].contains(&(limit as usize));
    // Where each alert is seen last.
    let mut last: HashMap<String, Place> = HashMap::new();
    for (seq, finding) in findings {
        next.finding = seq;
        let alert = alert_of(c, &finding)?;
        news.push((next, Update::Finding(Box::new(finding), alert.clone())));
        if let Some(id) = alert {
            last.insert(id, next);
        }
    }
    for (seq, id) in changed {
        next.change = seq;
        last.insert(id, next);
    }
    for (id, at) in last {
        if let Some(alert) = alerts::find(c, &id)? {
            news.push((at, Update::Alert(Box::new(alert))));
        }
    }
    // A finding stands before the alert that it is in.
    news.sort_by_key(|(at, news)| (at.finding, at.change, matches!(news, Update::Alert(_))));
    for (number, matter) in matters {
        next.matter = number;
        news.push((next, Update::Matter(Box::new(matter))));
    }
    Ok(Updates { news, next, more })
}

fn findings(c: &Connection, after: i64, limit: u32) -> rusqlite::Result<Vec<(i64, Finding)>> {
    let sql = "SELECT seq, body FROM findings WHERE seq > :after ORDER BY seq LIMIT :limit";
    let values = named_params! { ":after": after, ":limit": limit };
    let row = |row: &Row<'_>| Ok((row.get("seq")?, alerts::from_json(row, "body")?));
    c.prepare_cached(sql)?.query_map(values, row)?.collect()
}

/// The alerts of changes, each with the number of the change.
fn changed(c: &Connection, after: i64, limit: u32) -> rusqlite::Result<Vec<(i64, String)>> {
    let sql = "SELECT seq, alert_id FROM alert_history WHERE seq > :after ORDER BY seq LIMIT :limit";
    let values = named_params! { ":after": after, ":limit": limit };
    c.prepare_cached(sql)?.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// The latest alert of a finding's rule and key.
fn alert_of(c: &Connection, finding: &Finding) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT alert_id FROM alerts WHERE rule_id = :rule_id AND \"key\" = :key
               ORDER BY opened_at DESC LIMIT 1";
    let values = named_params! { ":rule_id": finding.rule_id, ":key": key_text(&finding.key) };
    c.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()
}
