//! 办案情况 in numbers: what a month brought and what came of it, how long each step took, what is overdue and whose it is,
//! and which units come again. Each is one pass over the alerts that are meant.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Row, named_params, params_from_iter};

use super::{Cases, StoreError, alerts, cases::VerdictCounts, limited, words::OVER};
use crate::{
    alert::{Alert, CaseOutcome, State, inquiry::Stage},
    event::{Cents, Instant, TimeDelta},
};

/// Rules, units and officers that are told of one by one.
const TOLD: usize = 50;
/// So many confirmed alerts within the year make a unit one that comes again.
const REPEATED: u64 = 2;
const YEAR: TimeDelta = TimeDelta::days(365);

/// How long something took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Took {
    /// How often it was done.
    pub count: u64,
    /// Half of them took no longer.
    pub median: TimeDelta,
    /// Nine of ten took no longer.
    pub most: TimeDelta,
}

impl Took {
    fn of(mut times: Vec<TimeDelta>) -> Option<Self> {
        times.sort_unstable();
        let at = |tenths: usize| times.get((times.len() * tenths).div_ceil(10).saturating_sub(1)).copied();
        Some(Self { count: times.len() as u64, median: at(5)?, most: at(9)? })
    }
}

/// How long the steps of cases took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepTimes {
    /// From opened to acknowledged.
    pub acknowledge: Option<Took>,
    /// From the letter to its answer by a link.
    pub answer: Option<Took>,
    /// From opened to over.
    pub close: Option<Took>,
}

#[derive(Debug, Default)]
struct Timing {
    acknowledge: Vec<TimeDelta>,
    answer: Vec<TimeDelta>,
    close: Vec<TimeDelta>,
}

impl Timing {
    fn end(self) -> StepTimes {
        StepTimes {
            acknowledge: Took::of(self.acknowledge),
            answer: Took::of(self.answer),
            close: Took::of(self.close),
        }
    }
}

/// What a rule or unit brought within a month.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaseLine {
    /// The rule's id or the unit's code; empty for alerts without one.
    pub value: String,
    pub(crate) title: String,
    /// Alerts that were opened.
    pub opened: u64,
    /// What they are about together.
    pub amount: Cents,
    pub(crate) ended: u64,
    /// Those among them that were as suspected: closed.
    pub closed: u64,
    /// Those that were in order.
    pub dismissed: u64,
    /// Money that came back.
    pub returned: Cents,
}

impl CaseLine {
    /// The share of what ended by an officer that was as suspected.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // Counts of people's decisions.
    pub fn precision(&self) -> Option<f64> {
        let all = self.closed + self.dismissed;
        (all > 0).then(|| self.closed as f64 / all as f64)
    }
}

/// A month of cases.
#[derive(Debug, Clone, Default)]
pub struct Month {
    pub(crate) total: CaseLine,
    /// By rule, the most first.
    pub rules: Vec<CaseLine>,
    /// By unit, the most first.
    pub units: Vec<CaseLine>,
    /// How many cases were closed with each outcome, and their amounts; `None` for those without one.
    pub outcomes: Vec<(Option<CaseOutcome>, u64, Cents)>,
    /// How long the steps of what ended took.
    pub times: StepTimes,
    /// Alerts that are not over at the end of the month, as far as this state knows now.
    pub left: u64,
}

/// So many alerts of a rule and unit that were all in order suggest an exception.
const DISMISSED: u64 = 12;

/// What is late now, and whose it is.
#[derive(Debug, Clone, Default)]
pub struct Service {
    /// How long the steps took, of what was opened within so long a time.
    pub times: StepTimes,
    /// By unit: past its last day, and letters without an answer in time.
    pub units: Vec<(String, u64, u64)>,
    /// By officer; an empty name for what nobody has.
    pub officers: Vec<(String, u64, u64)>,
    /// Units with confirmed alerts within a year, the most first: how many, and what they are about.
    pub repeated: Vec<(String, u64, Cents)>,
    /// Rules and units whose alerts were all in order, the most first: an exception may be worth proposing.
    pub exceptions: Vec<(String, String, u64)>,
}

fn unit(alert: &Alert) -> &str {
    alert.labels.first("unit_code").unwrap_or_default()
}

impl Cases {
    fn each(
        &self,
        condition: &str,
        values: &[Instant],
        mut look: impl FnMut(&Alert),
    ) -> Result<(), StoreError> {
        let mut conditions = limited::alerts(self.limits());
        conditions.and(condition, values.iter().map(|value| (*value).into()));
        let sql = format!("SELECT a.body FROM alerts a {}", conditions.clause());
        self.read(|c| {
            let mut statement = c.prepare_cached(&sql)?;
            let mut rows = statement
                .query_map(params_from_iter(conditions.values), |row: &Row<'_>| alerts::alert(row))?;
            rows.try_for_each(|alert| alert.map(|alert| look(&alert)))
        })
    }

    /// What the time from `from` to `to` brought.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn month(&self, from: Instant, to: Instant) -> Result<Month, StoreError> {
        let (mut month, mut timing) = (Month::default(), Timing::default());
        let (mut rules, mut units) = (HashMap::<String, CaseLine>::new(), HashMap::<String, CaseLine>::new());
        let mut outcomes = BTreeMap::<Option<CaseOutcome>, (u64, Cents)>::new();
        let within = |at: Instant| (from..to).contains(&at);
        // What ended has changed since; nothing that was opened later is meant.
        let condition =
            format!("a.opened_at < ? AND (a.opened_at >= ? OR a.changed_at >= ? OR a.state NOT IN {OVER})");
        self.each(&condition, &[to, from, from], |alert| {
            let ended = alert.ended_at.filter(|at| within(*at));
            if alert.ended_at.is_none_or(|at| at >= to) {
                month.left += 1;
            }
            // An alert that goes on with another one is no case of its own.
            let is_case = alert.case.merged_into.is_none();
            let outcome = alert.case.outcome;
            let money = alert.case.outcome_amount.unwrap_or_default();
            let lines = [
                &mut month.total,
                rules
                    .entry(alert.rule_id.clone())
                    .or_insert_with(|| CaseLine { title: alert.title.clone(), ..CaseLine::default() }),
                units.entry(unit(alert).to_owned()).or_default(),
            ];
            for line in lines {
                if within(alert.opened_at) {
                    line.opened += 1;
                    line.amount += alert.case.amount.unwrap_or_default();
                }
                let Some(_) = ended else { continue };
                line.ended += 1;
                line.closed += u64::from(alert.state == State::Closed && is_case);
                line.dismissed += u64::from(alert.state == State::Dismissed);
                line.returned +=
                    if outcome == Some(CaseOutcome::MoneyReturned) { money } else { Cents::ZERO };
            }
            let Some(ended) = ended else { return };
            if alert.state == State::Closed && is_case {
                let (count, amount) = outcomes.entry(outcome).or_default();
                (*count, *amount) = (*count + 1, *amount + money);
            }
            time(&mut timing, alert, Some(ended));
        })?;
        month.rules = most(rules);
        month.units = most(units);
        month.outcomes =
            outcomes.into_iter().map(|(outcome, (count, amount))| (outcome, count, amount)).collect();
        month.times = timing.end();
        Ok(month)
    }

    /// Rules and units of which officers dismissed [`DISMISSED`] alerts or more, and confirmed none.
    fn exceptions(&self) -> Result<Vec<(String, String, u64)>, StoreError> {
        let limits = limited::alerts(self.limits());
        let sql = format!(
            "SELECT rule_id, unit_code, dismissed FROM (
                 SELECT a.rule_id, a.unit_code, count(DISTINCT iif(h.action = 'dismiss', h.alert_id, NULL)) AS dismissed,
                        count(DISTINCT iif(h.action = 'confirm', h.alert_id, NULL)) AS confirmed
                 FROM alert_history h JOIN alerts a USING (alert_id)
                 {} GROUP BY a.rule_id, a.unit_code)
             WHERE confirmed = 0 AND dismissed >= {DISMISSED} AND unit_code IS NOT NULL
             ORDER BY dismissed DESC, rule_id, unit_code LIMIT {TOLD}",
            limits.clause()
        );
        let row = |row: &Row<'_>| Ok((row.get("rule_id")?, row.get("unit_code")?, row.get("dismissed")?));
        self.read(|c| c.prepare_cached(&sql)?.query_map(params_from_iter(limits.values), row)?.collect())
    }

    /// What officers said of a rule's alerts of one unit, and whether that suggests an exception.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn verdicts_of(&self, rule: &str, unit: &str) -> Result<(VerdictCounts, bool), StoreError> {
        let sql = "SELECT count(DISTINCT iif(h.action = 'confirm', h.alert_id, NULL)) AS confirmed,
                          count(DISTINCT iif(h.action = 'dismiss', h.alert_id, NULL)) AS dismissed
                   FROM alert_history h JOIN alerts a USING (alert_id)
                   WHERE a.rule_id = :rule AND a.unit_code = :unit AND h.action IN ('confirm', 'dismiss')";
        let row = |row: &Row<'_>| {
            Ok(VerdictCounts { confirmed: row.get("confirmed")?, dismissed: row.get("dismissed")? })
        };
        let values = named_params! { ":rule": rule, ":unit": unit };
        let said = self.read(|c| c.prepare_cached(sql)?.query_row(values, row))?;
        Ok((said, said.confirmed == 0 && said.dismissed >= DISMISSED))
    }

    /// What is late now, and how long the steps took of alerts that were opened after `since`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn service(&self, since: Instant, now: Instant) -> Result<Service, StoreError> {
        let (mut units, mut officers) =
            (BTreeMap::<String, (u64, u64)>::new(), BTreeMap::<String, (u64, u64)>::new());
        let (mut repeated, mut timing) = (BTreeMap::<String, (u64, Cents)>::new(), Timing::default());
        let year = now.saturating_sub(YEAR);
        let condition = format!("(a.opened_at >= ? OR a.opened_at >= ? OR a.state NOT IN {OVER})");
        self.each(&condition, &[since, year], |alert| {
            let is_over = alert.state.is_over();
            let late = u64::from(!is_over && alert.case.due_at.is_some_and(|due| due <= now));
            let letter =
                alert.inquiry.as_ref().filter(|letter| letter.stage == Stage::Sent && letter.failure_told);
            let silent = u64::from(!is_over && letter.is_some());
            if late + silent > 0 {
                let owner = alert.owner.clone().unwrap_or_default();
                for (late_of, silent_of) in
                    [units.entry(unit(alert).to_owned()).or_default(), officers.entry(owner).or_default()]
                {
                    (*late_of, *silent_of) = (*late_of + late, *silent_of + silent);
                }
            }
            if alert.opened_at >= since {
                time(&mut timing, alert, alert.ended_at);
            }
            let is_true = matches!(alert.state, State::Confirmed | State::Rectifying | State::Closed);
            if is_true
                && alert.opened_at >= year
                && alert.case.merged_into.is_none()
                && !unit(alert).is_empty()
            {
                let (count, amount) = repeated.entry(unit(alert).to_owned()).or_default();
                (*count, *amount) = (*count + 1, *amount + alert.case.amount.unwrap_or_default());
            }
        })?;
        let late = |by: BTreeMap<String, (u64, u64)>| {
            let mut rows: Vec<_> =
                by.into_iter().map(|(value, (late, silent))| (value, late, silent)).collect();
            rows.sort_by_key(|(_, late, silent)| std::cmp::Reverse(late + silent));
            rows.truncate(TOLD);
            rows
        };
        let mut again: Vec<_> = repeated
            .into_iter()
            .filter(|(_, (count, _))| *count >= REPEATED)
            .map(|(unit, (count, amount))| (unit, count, amount))
            .collect();
        again.sort_by_key(|(_, count, amount)| std::cmp::Reverse((*count, *amount)));
        again.truncate(TOLD);
        let (units, officers, exceptions) = (late(units), late(officers), self.exceptions()?);
        Ok(Service { times: timing.end(), units, officers, repeated: again, exceptions })
    }
}

fn time(timing: &mut Timing, alert: &Alert, ended: Option<Instant>) {
    timing.acknowledge.extend(alert.acknowledged_at.map(|at| at - alert.opened_at));
    let letter = alert.inquiry.as_ref();
    timing.answer.extend(letter.and_then(|letter| Some(letter.answered_at? - letter.at)));
    timing.close.extend(ended.filter(|_| alert.state != State::Resolved).map(|at| at - alert.opened_at));
}

fn most(lines: HashMap<String, CaseLine>) -> Vec<CaseLine> {
    let mut lines: Vec<_> = lines.into_iter().map(|(value, line)| CaseLine { value, ..line }).collect();
    lines.retain(|line| line.opened + line.ended > 0);
    lines.sort_by(|a, b| (b.opened + b.ended).cmp(&(a.opened + a.ended)).then_with(|| a.value.cmp(&b.value)));
    lines.truncate(TOLD);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_by_their_middle_and_by_nine_of_ten() {
        assert_eq!(Took::of(vec![]), None);
        assert_eq!(
            Took::of(vec![TimeDelta::from_micros(7)]),
            Some(Took { count: 1, median: TimeDelta::from_micros(7), most: TimeDelta::from_micros(7) })
        );
        assert_eq!(
            Took::of((1..=10).rev().map(TimeDelta::from_micros).collect()),
            Some(Took { count: 10, median: TimeDelta::from_micros(5), most: TimeDelta::from_micros(9) })
        );
    }
}
