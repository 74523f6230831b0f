//! Lists of alerts: pages whose places stay while alerts come in, and how many there are.

use std::{borrow::Cow, cmp::Reverse, collections::BinaryHeap};

use rusqlite::{Connection, OptionalExtension, Row, named_params, params_from_iter};

use super::{
    CaseError, Cases, StoreError, alert_rows::RowsOrigin, alerts, cases::missing, conditions::Conditions,
    filter::CaseQuery, limited, query::LIMIT_MAX,
};
use crate::{
    access::Limits,
    alert::{
        Alert,
        worth::{VerdictHistory, Worth},
    },
    finding::Handling,
};

/// Alerts listed when nobody says how many.
const LIMIT: u32 = 100;

/// An alert in a list.
#[derive(Debug, Clone)]
pub struct ListedAlert {
    pub(crate) alert_id: String,
    /// What the list is sorted by.
    pub place: i64,
}

impl ListedAlert {
    /// Where the next page begins. What a list is sorted by may change meanwhile, and the page must not move with it.
    #[must_use]
    pub fn cursor(&self, wanted: &CaseQuery) -> String {
        match wanted.filter.sort.as_deref() {
            None | Some("newest") => self.alert_id.clone(),
            Some(_) => format!("{}~{}", self.place, self.alert_id),
        }
    }

    fn parse(cursor: &str) -> Option<(i64, &str)> {
        let (place, id) = cursor.split_once('~')?;
        Some((place.parse().ok()?, id))
    }
}

impl Cases {
    /// Alerts, in the order that is wanted.
    ///
    /// # Errors
    /// If there is no alert `before`, or the database cannot be read.
    pub fn list(&self, wanted: &CaseQuery) -> Result<Vec<Alert>, CaseError> {
        let listed = self.listed(wanted)?;
        Ok(self.of(&listed)?)
    }

    /// The ids of alerts with their places, in the order that is wanted.
    ///
    /// # Errors
    /// If there is no alert `before`, or the database cannot be read.
    pub fn listed(&self, wanted: &CaseQuery) -> Result<Vec<ListedAlert>, CaseError> {
        let (rows, conditions) = self.conditions(wanted)?;
        let order = self.order(wanted)?;
        let limit = wanted.filter.limit.unwrap_or(LIMIT).min(LIMIT_MAX);
        let sql = format!(
            "SELECT alert_id, {order} FROM {} a {} ORDER BY {order} DESC, alert_id DESC LIMIT {limit}",
            rows.source(),
            conditions.clause()
        );
        let values = params_from_iter(conditions.values);
        let row = |row: &Row<'_>| Ok(ListedAlert { alert_id: row.get(0)?, place: row.get(1)? });
        Ok(self.read(|c| c.prepare_cached(&sql)?.query_map(values, row)?.collect())?)
    }

    /// The same, and how many there are on all pages: every alert that is wanted is looked at once.
    ///
    /// # Errors
    /// If there is no alert `before`, or the database cannot be read.
    pub fn listed_of_all(&self, wanted: &CaseQuery) -> Result<(Vec<ListedAlert>, u64), CaseError> {
        let rows = self.read(RowsOrigin::of)?;
        let place = self.begins_after(rows, wanted)?;
        let (conditions, order) = (wanted.of_alerts(), self.order(wanted)?);
        let limit = wanted.filter.limit.unwrap_or(LIMIT).min(LIMIT_MAX) as usize;
        let sql = format!("SELECT alert_id, {order} FROM {} a {}", rows.source(), conditions.clause());
        self.read(|c| {
            let mut statement = c.prepare_cached(&sql)?;
            let mut found = statement.query(params_from_iter(conditions.values.iter()))?;
            let (mut total, mut first) = (0, BinaryHeap::with_capacity(limit + 1));
            while let Some(row) = found.next()? {
                total += 1;
                let (at, id): (i64, &str) = (row.get(1)?, row.get_ref(0)?.as_str()?);
                let is_after = place.as_ref().is_none_or(|(there, last)| (at, id) < (*there, last.as_str()));
                // The last of those that are held is on top, and gives way.
                let is_before = |last: &Reverse<(i64, String)>| (at, id) > (last.0.0, last.0.1.as_str());
                if is_after && (first.len() < limit || first.peek().is_some_and(is_before)) {
                    first.push(Reverse((at, id.to_owned())));
                    if first.len() > limit {
                        first.pop();
                    }
                }
            }
            let first = first.into_sorted_vec().into_iter();
            let listed = first.map(|Reverse((place, alert_id))| ListedAlert { alert_id, place });
            Ok((listed.collect(), total))
        })
        .map_err(CaseError::from)
    }

    /// The alerts that were listed; one that is gone is left out.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn of(&self, listed: &[ListedAlert]) -> Result<Vec<Alert>, StoreError> {
        let find = |c: &Connection, one: &ListedAlert| alerts::find(c, &one.alert_id).transpose();
        self.read(|c| listed.iter().filter_map(|one| find(c, one)).collect())
    }

    /// How many alerts are wanted, whatever the limit.
    ///
    /// # Errors
    /// If there is no alert `before`, or the database cannot be read.
    pub fn count(&self, wanted: &CaseQuery) -> Result<u64, CaseError> {
        let (rows, conditions) = self.conditions(wanted)?;
        let sql = format!("SELECT count(*) FROM {} a {}", rows.source(), conditions.clause());
        let values = params_from_iter(conditions.values);
        Ok(self.read(|c| c.query_row(&sql, values, |row| row.get(0)))?)
    }

    /// What an alert promises, and which other rules found something about the event of its latest finding.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn worth(&self, alert: &Alert) -> Result<(Worth, Vec<String>), StoreError> {
        self.read(|c| worth(c, alert, &verdicts(c, self.limits())?))
    }

    fn conditions(&self, wanted: &CaseQuery) -> Result<(RowsOrigin, Conditions), CaseError> {
        let rows = self.read(RowsOrigin::of)?;
        let (mut conditions, order) = (wanted.of_alerts(), self.order(wanted)?);
        if let Some((place, id)) = self.begins_after(rows, wanted)? {
            conditions.and(&format!("({order}, alert_id) < (?, ?)"), [place.into(), id.into()]);
        }
        Ok((rows, conditions))
    }

    /// What alerts are sorted by; what officers said of rules goes into their worth.
    fn order(&self, wanted: &CaseQuery) -> Result<Cow<'static, str>, StoreError> {
        if wanted.filter.sort.as_deref() != Some("worth") {
            return Ok(Cow::Borrowed(wanted.order_of_alerts()));
        }
        let (verdicts, findings) = self.read(|c| Ok((verdicts(c, self.limits())?, by_event(c)?)))?;
        Ok(Cow::Owned(Worth::sql(&verdicts, |told| others(told, findings, ("a.alert_id", "a.rule_id")))))
    }

    /// After which place in the order the page begins.
    fn begins_after(&self, rows: RowsOrigin, wanted: &CaseQuery) -> Result<Option<(i64, String)>, CaseError> {
        let Some(before) = &wanted.filter.before else { return Ok(None) };
        if let Some((place, id)) = ListedAlert::parse(before) {
            return Ok(Some((place, id.to_owned())));
        }
        let order = self.order(wanted)?;
        let sql = format!("SELECT {order}, alert_id FROM {} a WHERE alert_id = ?", rows.source());
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let found = self.read(|c| c.prepare_cached(&sql)?.query_row([before], row).optional())?;
        found.map(Some).ok_or_else(|| missing(before))
    }
}

/// What is told of the other live rules `o` that found something about the event of an alert's latest finding. What a
/// window found is about no event.
fn others(told: &str, findings: &str, (alert, rule): (&str, &str)) -> String {
    format!(
        "SELECT {told}
         FROM (SELECT rule_id, event_id, mode,
                      CASE WHEN json_valid(body) THEN json_extract(body, '$.handling') END AS handling FROM findings) o
         WHERE o.event_id <> '' AND o.mode = 'live' AND o.rule_id <> {rule}
           AND o.event_id = (SELECT f.event_id FROM {findings}
                             WHERE f.seq = (SELECT max(l.finding) FROM alert_findings l WHERE l.alert_id = {alert}))"
    )
}

/// Findings by their rows, for their events alone. A state that no daemon of this version has opened has no index for it.
fn by_event(connection: &Connection) -> rusqlite::Result<&'static str> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = 'findings_events'";
    let indexed: Option<i64> = connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
    Ok(if indexed.is_some() { "findings f INDEXED BY findings_events" } else { "findings f" })
}

/// What officers said of the alerts of each rule and unit, as far as they are there for whoever asks.
pub(super) fn verdicts(connection: &Connection, limits: &Limits) -> rusqlite::Result<VerdictHistory> {
    let mut said = limited::alerts(limits);
    said.and("h.action IN ('confirm', 'dismiss')", []);
    let sql = format!(
        "SELECT a.rule_id AS rule_id, a.unit_code AS unit_code,
                count(DISTINCT iif(h.action = 'confirm', h.alert_id, NULL)) AS confirmed,
                count(DISTINCT iif(h.action = 'dismiss', h.alert_id, NULL)) AS dismissed
         FROM alert_history h JOIN alerts a USING (alert_id) {} GROUP BY a.rule_id, a.unit_code",
        said.clause()
    );
    let mut verdicts = VerdictHistory::default();
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(said.values))?;
    while let Some(row) = rows.next()? {
        let said = (row.get("confirmed")?, row.get("dismissed")?);
        verdicts.add(row.get("rule_id")?, row.get("unit_code")?, said);
    }
    Ok(verdicts)
}

/// What an alert promises, by what officers said before, and which other rules found the same.
pub(super) fn worth(
    connection: &Connection,
    alert: &Alert,
    verdicts: &VerdictHistory,
) -> rusqlite::Result<(Worth, Vec<String>)> {
    let sql = others("DISTINCT o.rule_id, o.handling", by_event(connection)?, ("(:alert)", "(:rule)"))
        + " ORDER BY 1";
    let mut statement = connection.prepare_cached(&sql)?;
    let others = statement
        .query_map(named_params! { ":alert": alert.alert_id, ":rule": alert.rule_id }, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let others: Vec<(String, Handling)> = others.collect::<Result<_, _>>()?;
    let precision = |rule: &str, handling: Handling| {
        verdicts.of(rule, alert.labels.first("unit_code")).precision(handling)
    };
    let of_others: Vec<i64> = others.iter().map(|(rule, handling)| precision(rule, *handling)).collect();
    let own = precision(&alert.rule_id, alert.handling);
    let worth = Worth::of(alert.severity, alert.case.amount, alert.findings, (own, &of_others));
    let mut rules: Vec<String> = others.into_iter().map(|(rule, _)| rule).collect();
    rules.dedup();
    Ok((worth, rules))
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use super::{super::migrate, *};

    /// A finding's body has a thousand bytes and more: to read 100,000 of them for a page takes longer than an officer waits.
    #[test]
    fn the_order_by_worth_reads_no_finding() {
        let (connection, turns) = (Connection::open_in_memory().unwrap(), Arc::default());
        migrate::migrate(Path::new("here"), &connection, &turns).unwrap();
        migrate::count(&connection, &turns).unwrap();
        let findings = by_event(&connection).unwrap();
        let worth = Worth::sql(&VerdictHistory::default(), |told| {
            others(told, findings, ("a.alert_id", "a.rule_id"))
        });
        let mut plan =
            connection.prepare(&format!("EXPLAIN QUERY PLAN SELECT {worth} FROM alert_rows a")).unwrap();
        let steps =
            plan.query_map([], |row| row.get("detail")).unwrap().collect::<Result<Vec<String>, _>>().unwrap();
        let of_findings: Vec<&String> = steps.iter().filter(|step| step.contains("findings_")).collect();
        assert!(
            of_findings.len() >= 2 && of_findings.iter().all(|step| step.contains("COVERING INDEX")),
            "{steps:#?}"
        );
    }
}
