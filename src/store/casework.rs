//! Orders on cases: one alert given to somebody else, a shift handed over, two alerts joined, and which alerts are the same
//! matter. Each is one transaction with its records in the audit log.

use rusqlite::{Connection, OptionalExtension, Row, named_params, params_from_iter};

use super::{
    CaseError, Cases, StoreError, alert_rows::RowsOrigin, alerts, answers, checksums::SumChanges,
    checksums::Summed, explain, limited, words::OVER,
};
use crate::{
    access::{Action as Permit, LimitScope, Roles, decide},
    alert::{
        Action, Alert, Desk,
        casework::{NOBODY, Terms},
        desk::{Order, Refusal},
    },
    event::Instant,
    say,
    text::quoted,
};

/// The most alerts that one shift hands over at a time.
pub const HAND_OVER_MAX: usize = 1000;

/// The latest findings that are looked through for a payee.
const LOOKED_THROUGH: u32 = 50_000;

/// What a shift hands over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOver {
    /// Whose alerts.
    pub from: String,
    /// To whom; `-` for nobody.
    pub to: String,
    /// Who does it.
    pub who: String,
    /// What the next shift has to know.
    pub why: Option<String>,
}

/// Why an alert is listed with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kinship {
    /// It goes on with it, or the other way round.
    Merged,
    /// The one of the same rule and key before it, or after it.
    Previous,
    /// The same budget line.
    Line,
    /// The same payee.
    Payee,
    /// The same unit.
    Unit,
}

/// Whether somebody works on an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Assignable {
    /// The state knows no people.
    Unknown,
    /// Nobody who works on alerts.
    Nobody,
    /// Somebody for whom the alert is not there.
    Elsewhere,
    /// Somebody who sees it and works on alerts.
    Works,
}

/// Whether somebody works on an alert.
pub(super) fn officer(
    c: &Connection,
    (name, id): (&str, &str),
    (scope, now): (&LimitScope, Instant),
) -> rusqlite::Result<Assignable> {
    if !c.prepare_cached("SELECT 1 FROM users")?.exists([])? {
        return Ok(Assignable::Unknown);
    }
    let sql = "SELECT roles FROM users WHERE name = ?1 AND disabled_at IS NULL";
    let roles: Option<String> = c.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional()?;
    let roles = roles.and_then(|roles| roles.parse::<Roles>().ok());
    let Some(roles) = roles.filter(|roles| decide(roles, Permit::WorkAlerts)) else {
        return Ok(Assignable::Nobody);
    };
    let mut seen = limited::alerts(&scope.of(roles.limits(), now));
    seen.and("a.alert_id = ?", [id.to_owned().into()]);
    let sql = format!("SELECT 1 FROM alerts a {}", seen.clause());
    let is_there = c.prepare_cached(&sql)?.exists(params_from_iter(seen.values))?;
    Ok(if is_there { Assignable::Works } else { Assignable::Elsewhere })
}

impl Cases {
    /// Carries out an order within a transaction.
    pub(super) fn carry_out(
        &self,
        summed: &Summed<'_>,
        id: &str,
        (order, desk): (&Order, &Desk),
        now: Instant,
    ) -> Result<Alert, CaseError> {
        let alert = self.own(summed.transaction, id)?;
        if let (Action::Merge, Some(into)) = (order.action, &order.terms.into) {
            let into = self.own(summed.transaction, into)?;
            let (ended, goes_on) = desk.merge(alert, into, order, now)?;
            self.keep(summed, &ended, order, now)?;
            self.keep(summed, &goes_on, order, now)?;
            return Ok(ended.alert);
        }
        if let (Action::Assign, Some(to)) = (order.action, &order.terms.to) {
            self.check_officer(summed, (to.trim(), id), (&desk.scope, now))?;
        }
        let step = desk.act(alert, order, now)?;
        let fail = |error| explain(&self.dir, error);
        match order.action {
            Action::Inquire => answers::issue(&self.dir, summed, &step, desk, now).map_err(fail)?,
            Action::Revoke => answers::end(summed, id, now).map_err(fail)?,
            _ => {}
        }
        self.keep(summed, &step, order, now)?;
        Ok(step.alert)
    }

    /// Where the state knows people, an alert goes to one who may work on it, and sees it.
    fn check_officer(
        &self,
        summed: &Summed<'_>,
        (name, id): (&str, &str),
        (scope, now): (&LimitScope, Instant),
    ) -> Result<(), CaseError> {
        if name == NOBODY {
            return Ok(());
        }
        let answer = officer(summed.transaction, (name, id), (scope, now));
        let name = quoted(name);
        let why = match answer.map_err(|error| explain(&self.dir, error))? {
            Assignable::Unknown | Assignable::Works => return Ok(()),
            Assignable::Nobody => {
                say!("{name} is nobody who works on alerts: `fiscwatch user list` shows who does", name)
            }
            Assignable::Elsewhere => {
                say!("{name} is limited to other units or regions than those of alert {id}", name, id)
            }
        };
        Err(Refusal::Missing(why).into())
    }

    /// Gives all alerts of somebody that are not over to somebody else, or puts them back: all of them, or none. Gives how
    /// many.
    ///
    /// # Errors
    /// If there are none, or too many, or it is refused.
    pub fn hand_over(&mut self, shift: &HandOver, desk: &Desk, now: Instant) -> Result<usize, CaseError> {
        let dir = self.dir.clone();
        let fail = |error| explain(&dir, error);
        let transaction = self.begin().map_err(fail)?;
        let sql = format!(
            "SELECT alert_id FROM alerts WHERE state NOT IN {OVER}
             AND json_extract(body, '$.owner') = :owner ORDER BY opened_at, alert_id LIMIT :most"
        );
        let ids: Vec<String> = {
            let mut statement = transaction.prepare(&sql).map_err(fail)?;
            let values = named_params! { ":owner": shift.from, ":most": HAND_OVER_MAX + 1 };
            let rows = statement.query_map(values, |row| row.get(0));
            rows.map_err(fail)?.collect::<Result<_, _>>().map_err(fail)?
        };
        let from = quoted(&shift.from);
        if ids.is_empty() {
            return Err(Refusal::State(say!("{from} has no alert that is not over", from)).into());
        }
        if ids.len() > HAND_OVER_MAX {
            let most = HAND_OVER_MAX;
            return Err(Refusal::State(say!(
                "{from} has more than {most} alerts: that is no shift. Give them on by a filter instead",
                from,
                most
            ))
            .into());
        }
        let terms = Terms { to: Some(shift.to.clone()), ..Terms::default() };
        let (who, why) = (shift.who.clone(), shift.why.clone());
        let order = Order { action: Action::Assign, who, why, version: None, letter: None, terms };
        let changes = SumChanges::default();
        let summed = changes.within(&transaction);
        for id in &ids {
            self.carry_out(&summed, id, (&order, desk), now)?;
        }
        changes.end(&transaction).map_err(fail)?;
        transaction.commit().map_err(fail)?;
        Ok(ids.len())
    }

    /// The alerts that are the same matter as one, the closest and newest first; `most` of each kind, each once.
    ///
    /// # Errors
    /// If there is no such alert.
    pub fn related(&self, id: &str, most: u32) -> Result<Vec<(Kinship, Alert)>, CaseError> {
        let (alert, _, findings) = self.show(id, 1)?;
        let mut related: Vec<(Kinship, Alert)> = Vec::new();
        let mut add = |kinship, alerts: Vec<Alert>| {
            for other in alerts {
                if other.alert_id != id && !related.iter().any(|(_, known)| known.alert_id == other.alert_id)
                {
                    related.push((kinship, other));
                }
            }
        };
        let case = &alert.case;
        let named: Vec<&String> = case.merged.iter().chain(&case.merged_into).collect();
        let ids = serde_json::to_string(&named).unwrap_or_default();
        add(Kinship::Merged, self.alike("a.alert_id IN (SELECT value FROM json_each(?))", &[&ids], most)?);
        let previous = alert.previous.clone().unwrap_or_default();
        let before_or_after = "(a.alert_id = ? OR json_extract(a.body, '$.previous') = ?)";
        let of_rule = format!("a.rule_id = ? AND {before_or_after}");
        add(Kinship::Previous, self.alike(&of_rule, &[&alert.rule_id, &previous, id], most)?);
        // Lists keep labels in columns of their own: bodies are not taken apart for this.
        let rows = self.read(RowsOrigin::of)?.source();
        for (kinship, label, column) in
            [(Kinship::Line, "budget_line_id", "budget_lines"), (Kinship::Unit, "unit_code", "units")]
        {
            if let Some(value) = alert.labels.first(label) {
                let has =
                    format!("a.alert_id IN (SELECT r.alert_id FROM {rows} r WHERE instr(r.{column}, ?) > 0)");
                let value = serde_json::Value::from(value).to_string();
                add(kinship, self.alike(&has, &[&value], most)?);
            }
        }
        let payee = findings.first().and_then(|finding| {
            let of = |name: &str| finding.key.get(name).or_else(|| finding.values.get(name));
            of("payee_account")
                .or_else(|| of("payee_name"))
                .and_then(|value| value.as_str())
                .map(str::to_owned)
        });
        if let Some(payee) = payee {
            let text = serde_json::Value::from(payee).to_string();
            let paid = format!(
                "a.alert_id IN (SELECT l.alert_id FROM alert_findings l JOIN findings f ON f.seq = l.finding
                 WHERE f.seq > (SELECT max(seq) FROM findings) - {LOOKED_THROUGH} AND instr(f.body, ?) > 0)"
            );
            add(Kinship::Payee, self.alike(&paid, &[&text], most)?);
        }
        related.sort_by_key(|(kinship, _)| *kinship as usize);
        Ok(related)
    }

    fn alike(&self, condition: &str, values: &[&str], most: u32) -> Result<Vec<Alert>, StoreError> {
        let mut conditions = limited::alerts(self.limits());
        conditions.and(condition, values.iter().map(|value| (*value).to_owned().into()));
        let sql = format!(
            "SELECT a.body FROM alerts a {} ORDER BY a.opened_at DESC, a.alert_id LIMIT {most}",
            conditions.clause()
        );
        let row = |row: &Row<'_>| alerts::alert(row);
        self.read(|c| c.prepare(&sql)?.query_map(params_from_iter(conditions.values), row)?.collect())
    }
}
