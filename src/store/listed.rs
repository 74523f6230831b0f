//! Lists of alerts: pages whose places stay while alerts come in, and how many there are of each kind.

use rusqlite::{Connection, Row, params_from_iter};

use super::{
    CaseError, Cases, StoreError,
    alert_rows::{self, Rows},
    alerts,
    cases::missing,
    conditions::Conditions,
    filter::Wanted,
    query::LIMIT_MAX,
};
use crate::alert::Alert;

/// Alerts listed when nobody says how many.
const LIMIT: u32 = 100;
/// Values that counts are told of.
const VALUES_MAX: u32 = 50;

/// An alert in a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its id.
    pub alert_id: String,
    /// What the list is sorted by.
    pub place: i64,
}

impl Listed {
    /// Where the next page begins. What a list is sorted by may change meanwhile, and the page must not move with it.
    #[must_use]
    pub fn cursor(&self, wanted: &Wanted) -> String {
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

/// How many alerts there are, by what officers part them by.
#[derive(Debug, Clone, Default)]
pub struct AlertCounts {
    /// All that are wanted.
    pub total: u64,
    /// Those that nobody acknowledged in time.
    pub overdue: u64,
    /// When the oldest that nobody took on was opened, in microseconds.
    pub oldest_open: Option<i64>,
    /// By state and severity.
    pub by_state: Vec<(String, String, u64)>,
    /// By rule, the most first.
    pub rules: Vec<(Option<String>, u64)>,
    /// By unit.
    pub units: Vec<(Option<String>, u64)>,
    /// By owner.
    pub owners: Vec<(Option<String>, u64)>,
}
impl Cases {
    /// Alerts, in the order that is wanted.
    ///
    /// # Errors
    /// If there is no alert `before`, or the database cannot be read.
    pub fn list(&self, wanted: &Wanted) -> Result<Vec<Alert>, CaseError> {
        let listed = self.listed(wanted)?;
        Ok(self.of(&listed)?)
    }

    /// The ids of alerts with their places, in the order that is wanted.
    ///
    /// # Errors
    /// If there is no alert `before`, or the database cannot be read.
    pub fn listed(&self, wanted: &Wanted) -> Result<Vec<Listed>, CaseError> {
        let (rows, conditions) = self.conditions(wanted)?;
        let order = wanted.order_of_alerts();
        let limit = wanted.filter.limit.unwrap_or(LIMIT).min(LIMIT_MAX);
        let sql = format!(
            "SELECT alert_id, {order} FROM {} a {} ORDER BY {order} DESC, alert_id DESC LIMIT {limit}",
            rows.source(),
            conditions.clause()
        );
        let values = params_from_iter(conditions.values);
        let row = |row: &Row<'_>| Ok(Listed { alert_id: row.get(0)?, place: row.get(1)? });
        Ok(self.read(|c| c.prepare_cached(&sql)?.query_map(values, row)?.collect())?)
    }

    /// The alerts that were listed; one that is gone is left out.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn of(&self, listed: &[Listed]) -> Result<Vec<Alert>, StoreError> {
        let find = |c: &Connection, one: &Listed| alerts::find(c, &one.alert_id).transpose();
        self.read(|c| listed.iter().filter_map(|one| find(c, one)).collect())
    }

    /// How many alerts are wanted, whatever the limit.
    ///
    /// # Errors
    /// If there is no alert `before`, or the database cannot be read.
    pub fn count(&self, wanted: &Wanted) -> Result<u64, CaseError> {
        let (rows, conditions) = self.conditions(wanted)?;
        let sql = format!("SELECT count(*) FROM {} a {}", rows.source(), conditions.clause());
        let values = params_from_iter(conditions.values);
        Ok(self.read(|c| c.query_row(&sql, values, |row| row.get(0)))?)
    }

    /// How many alerts are wanted, by what officers part them by. The numbers by state and severity leave those two of the
    /// filter out, so that each stays while another is looked at.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn counts(&self, wanted: &Wanted) -> Result<AlertCounts, StoreError> {
        let mut all = wanted.clone();
        (all.filter.before, all.filter.state, all.filter.severity) = (None, None, None);
        let mut chosen = wanted.clone();
        chosen.filter.before = None;
        self.read(|c| {
            // One moment for all of them.
            let c = &c.unchecked_transaction()?;
            let rows = Rows::of(c)?;
            let conditions = all.of_alerts();
            let sql = format!(
                "SELECT state, severity, count(*) FROM {} a {} GROUP BY 1, 2 ORDER BY 1, 2",
                rows.source(),
                conditions.clause()
            );
            let values = params_from_iter(conditions.values);
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            let by_state = c.prepare_cached(&sql)?.query_map(values, row)?.collect::<Result<_, _>>()?;
            let tally = |column| alert_rows::tally(c, (rows, column), &chosen.of_alerts(), VALUES_MAX);
            let conditions = chosen.of_alerts();
            let sql = format!(
                "SELECT count(*), count(*) FILTER (WHERE state = 'open' AND escalation > 0),
                        min(opened_at) FILTER (WHERE state = 'open') FROM {} a {}",
                rows.source(),
                conditions.clause()
            );
            let values = params_from_iter(conditions.values);
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            let (total, overdue, oldest_open) = c.prepare_cached(&sql)?.query_row(values, row)?;
            Ok(AlertCounts {
                total,
                overdue,
                oldest_open,
                by_state,
                rules: tally("rule_id")?,
                units: tally("unit_code")?,
                owners: tally("owner")?,
            })
        })
    }

    fn conditions(&self, wanted: &Wanted) -> Result<(Rows, Conditions), CaseError> {
        let rows = self.read(Rows::of)?;
        let mut conditions = wanted.of_alerts();
        let Some(before) = &wanted.filter.before else { return Ok((rows, conditions)) };
        let order = wanted.order_of_alerts();
        if let Some((place, id)) = Listed::parse(before) {
            conditions.and(&format!("({order}, alert_id) < (?, ?)"), [place.into(), id.to_owned().into()]);
        } else {
            self.read(|c| alerts::find(c, before))?.ok_or_else(|| missing(before))?;
            let source = rows.source();
            let after =
                format!("({order}, alert_id) < (SELECT {order}, alert_id FROM {source} WHERE alert_id = ?)");
            conditions.and(&after, [before.clone().into()]);
        }
        Ok((rows, conditions))
    }
}
