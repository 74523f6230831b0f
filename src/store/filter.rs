//! Which alerts and findings a list has: one set of conditions for both, and for the API and the command line.

use jiff::civil::Date;
use rusqlite::types::Value;

use super::limited;
use crate::{
    access::Limits,
    alert::{State, inquiry::Stage},
    event::{
        duration,
        money::{MoneyError, parse_amount},
        time::{Calendar, TimeError},
    },
    rule::Severity,
    say,
};

/// Which alerts or findings to list. What is said of alerts holds for findings by the alert they are in, and the other
/// way round: an alert is listed if one of its findings is meant.
#[derive(Debug, Clone, Default, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CaseFilter {
    /// Only alerts in this state (`open`, `acknowledged`, `confirmed`, `rectifying`, `closed`, `dismissed`, `resolved`), or
    /// `active` for those that are not over.
    pub state: Option<String>,
    /// Only alerts that this officer has taken on.
    pub owner: Option<String>,
    /// Only alerts whose letter to the unit has come so far: `draft`, `sent` or `withdrawn`.
    pub inquiry: Option<String>,
    /// Only of this severity: `critical`, `high`, `medium` or `low`.
    pub severity: Option<String>,
    /// Only of this rule, by its id.
    pub rule: Option<String>,
    /// Only of this unit (`unit_code`).
    pub unit: Option<String>,
    /// Only of this budget line (`budget_line_id`).
    pub line: Option<String>,
    /// Only where a finding names this payee, or a part of its name or account.
    pub payee: Option<String>,
    /// Only findings about this event.
    pub event: Option<String>,
    /// Only events from this time on: a local date, or RFC 3339.
    pub from: Option<String>,
    /// Only events before this time; a date counts whole.
    pub to: Option<String>,
    /// Only events of so long a time before now, such as `7d` or `24h`.
    pub since: Option<String>,
    /// Only alerts opened within so long a time before now, by the clock.
    pub opened_since: Option<String>,
    /// Only findings whose `amount`, or whose window's `total`, is at least this.
    pub min_amount: Option<String>,
    /// Only findings whose `amount`, or whose window's `total`, is at most this.
    pub max_amount: Option<String>,
    /// Only where the rule's title or the summary has this text.
    pub text: Option<String>,
    /// What comes first: `newest` (default), `occurred` for the latest event, `severity`, and for alerts `findings` or
    /// `changed`.
    pub sort: Option<String>,
    /// Only those after this one in the list: the `next` of the page before.
    pub before: Option<String>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// The filter for alerts that are not over.
pub const ACTIVE: &str = "active";
/// The orders of lists.
pub const SORTS: [&str; 5] = ["newest", "occurred", "severity", "findings", "changed"];

/// A filter whose words were understood.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The words.
    pub filter: CaseFilter,
    from: Option<i64>,
    to: Option<i64>,
    opened_from: Option<i64>,
    least: Option<i64>,
    most: Option<i64>,
    limits: Limits,
}

impl CaseFilter {
    /// Understands the words of a filter; `now` is in microseconds.
    ///
    /// # Errors
    /// What is wrong with one that would find nothing, ever.
    pub fn understood(self, calendar: &Calendar, now: i64) -> Result<Wanted, String> {
        if let Some(state) = self.state.as_deref().filter(|state| *state != ACTIVE) {
            state.parse::<State>().map_err(|error| say!("state: {error}, or active", error))?;
        }
        let severities: Vec<_> = Severity::WORDS.iter().map(|(word, _)| *word).collect();
        known("severity", self.severity.as_deref(), &severities)?;
        let stages = [Stage::Draft, Stage::Sent, Stage::Withdrawn].map(Stage::word);
        known("inquiry", self.inquiry.as_deref(), &stages)?;
        known("sort", self.sort.as_deref(), &SORTS)?;
        if self.from.is_some() && self.since.is_some() {
            return Err(say!("from and since are both a beginning: give one of them"));
        }
        let ago = |name: &str, span: &Option<String>| {
            let back = |span: &String| {
                let length = duration(span).map_err(|error| say!("{name}: {error}", name, error))?;
                Ok::<_, String>(now.saturating_sub(i64::try_from(length.as_micros()).unwrap_or(i64::MAX)))
            };
            span.as_ref().map(back).transpose()
        };
        let from = self.from.as_ref().map(|text| instant("from", text, calendar)).transpose()?;
        Ok(Wanted {
            from: from.or(ago("since", &self.since)?),
            to: self.to.as_ref().map(|text| end("to", text, calendar)).transpose()?,
            opened_from: ago("opened_since", &self.opened_since)?,
            least: self.min_amount.as_ref().map(|text| cents("min_amount", text)).transpose()?,
            most: self.max_amount.as_ref().map(|text| cents("max_amount", text)).transpose()?,
            limits: Limits::default(),
            filter: self,
        })
    }
}

fn known(name: &str, word: Option<&str>, words: &[&str]) -> Result<(), String> {
    match word.filter(|word| !words.contains(word)) {
        Some(word) => {
            let word = format!("{word:?}");
            Err(say!("{name}: {word} is none of {words}", name, word, words = words.join(", ")))
        }
        None => Ok(()),
    }
}

fn instant(name: &str, text: &str, calendar: &Calendar) -> Result<i64, String> {
    let wrong = |error: TimeError| {
        say!(
            "{name}: {text} is no time ({error}): write a date such as 2026-03-01, or 2026-03-01T08:00:00+08:00",
            name,
            text = format!("{text:?}"),
            error
        )
    };
    calendar.parse(text).map_err(wrong)
}

/// The first instant after a time that is meant whole, if it is a date.
fn end(name: &str, text: &str, calendar: &Calendar) -> Result<i64, String> {
    let day = text.parse::<Date>().ok().filter(|_| text.len() == "2026-03-01".len());
    match day.and_then(|day| day.tomorrow().ok()) {
        Some(next) => instant(name, &next.to_string(), calendar),
        None => instant(name, text, calendar),
    }
}

/// Cents of an amount; the separators that lists show may stay in it.
fn cents(name: &str, text: &str) -> Result<i64, String> {
    let digits = text.replace(',', "");
    if digits == "0" {
        return Ok(0);
    }
    let wrong = |error: MoneyError| {
        say!("{name}: {text} is no amount: {error}", name, text = format!("{text:?}"), error)
    };
    parse_amount(&digits).map(|cents| i64::try_from(cents).unwrap_or(i64::MAX)).map_err(wrong)
}

/// Conditions of a SELECT, all of which hold.
#[derive(Debug, Default)]
pub struct Conditions {
    /// The conditions, joined.
    sql: String,
    /// The values of their question marks, in order.
    pub values: Vec<Value>,
}

impl Conditions {
    /// The clause; everything without a condition.
    pub fn clause(&self) -> String {
        if self.sql.is_empty() { String::new() } else { format!("WHERE {}", self.sql) }
    }

    /// Adds a condition with the values of its question marks.
    pub fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        if !self.sql.is_empty() {
            self.sql.push_str(" AND ");
        }
        self.sql.push_str(condition);
        self.values.extend(values);
    }

    /// Adds an equation, if there is something to be equal to.
    pub fn equal(&mut self, column: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.and(&format!("{column} = ?"), [value.clone().into()]);
        }
    }

    fn within(&mut self, before: &str, inner: Self, after: &str) {
        if !inner.sql.is_empty() {
            self.and(&format!("{before}{}{after}", inner.sql), inner.values);
        }
    }
}

/// The amount of a finding `f`: that of its event, or of its window.
const AMOUNT: &str =
    "coalesce(json_extract(f.body, '$.values.amount'), json_extract(f.body, '$.values.total'))";
/// Severities as numbers, the gravest first.
const GRAVITY: &str =
    "CASE severity WHEN 'critical' THEN 4 WHEN 'high' THEN 3 WHEN 'medium' THEN 2 ELSE 1 END";

impl Wanted {
    /// Only what is there for somebody of these limits.
    #[must_use]
    pub fn within(self, limits: &Limits) -> Self {
        Self { limits: limits.clone(), ..self }
    }

    /// For rows of `alerts a`.
    pub(super) fn of_alerts(&self) -> Conditions {
        let f = &self.filter;
        let mut all = self.of_alert_alone();
        all.within("", limited::alerts(&self.limits), "");
        all.equal("a.severity", f.severity.as_ref());
        all.equal("a.rule_id", f.rule.as_ref());
        for (label, value) in [("unit_code", &f.unit), ("budget_line_id", &f.line)] {
            if let Some(value) = value {
                let labelled = format!(
                    "EXISTS (SELECT 1 FROM json_each(a.body, '$.labels.{label}') l WHERE l.value = ?)"
                );
                all.and(&labelled, [value.clone().into()]);
            }
        }
        if let Some(text) = &f.text {
            let says = "(instr(lower(json_extract(a.body, '$.title')), lower(?)) > 0
                         OR instr(lower(json_extract(a.body, '$.summary')), lower(?)) > 0)";
            all.and(says, [text.clone().into(), text.clone().into()]);
        }
        let mut found = self.of_finding_alone();
        found.equal("f.event_id", f.event.as_ref());
        all.within(
            "EXISTS (SELECT 1 FROM alert_findings l JOIN findings f ON f.seq = l.finding WHERE l.alert_id = a.alert_id AND ",
            found,
            ")",
        );
        all
    }

    /// For rows of `findings f`.
    pub(super) fn of_findings(&self) -> Conditions {
        const ALERTS: &str =
            "f.seq IN (SELECT l.finding FROM alerts a JOIN alert_findings l USING (alert_id) WHERE ";
        let f = &self.filter;
        let mut all = limited::findings(&self.limits);
        all.equal("f.rule_id", f.rule.as_ref());
        all.equal("f.severity", f.severity.as_ref());
        all.equal("f.event_id", f.event.as_ref());
        for (label, value) in [("unit_code", &f.unit), ("budget_line_id", &f.line)] {
            if let Some(value) = value {
                let named = format!(
                    "(coalesce(json_extract(f.body, '$.key.{label}'), json_extract(f.body, '$.values.{label}')) = ?
                      OR {ALERTS} EXISTS (SELECT 1 FROM json_each(a.body, '$.labels.{label}') u WHERE u.value = ?)))"
                );
                all.and(&named, [value.clone().into(), value.clone().into()]);
            }
        }
        if let Some(text) = &f.text {
            let says = format!(
                "(instr(lower(json_extract(f.body, '$.summary')), lower(?)) > 0
                  OR {ALERTS} instr(lower(json_extract(a.body, '$.title')), lower(?)) > 0))"
            );
            all.and(&says, [text.clone().into(), text.clone().into()]);
        }
        let own = self.of_finding_alone();
        all.within("", own, "");
        all.within(ALERTS, self.of_alert_alone(), ")");
        all
    }

    /// The same, after the finding `before`.
    pub(super) fn page_of_findings(&self) -> Conditions {
        let mut all = self.of_findings();
        if let Some(before) = &self.filter.before {
            let order = self.order_of_findings();
            let after = format!("({order}, seq) < (SELECT {order}, seq FROM findings WHERE seq = ?)");
            // The number of a finding; before one that is none there is nothing.
            all.and(&after, [before.parse::<i64>().unwrap_or(0).into()]);
        }
        all
    }

    /// What only alerts have.
    fn of_alert_alone(&self) -> Conditions {
        let mut all = Conditions::default();
        match self.filter.state.as_deref() {
            Some(ACTIVE) => all.and("a.state NOT IN ('closed', 'dismissed', 'resolved')", []),
            _ => all.equal("a.state", self.filter.state.as_ref()),
        }
        all.equal("json_extract(a.body, '$.owner')", self.filter.owner.as_ref());
        all.equal("json_extract(a.body, '$.inquiry.stage')", self.filter.inquiry.as_ref());
        if let Some(from) = self.opened_from {
            all.and("a.opened_at >= ?", [from.into()]);
        }
        all
    }

    /// What only findings have.
    fn of_finding_alone(&self) -> Conditions {
        let mut all = Conditions::default();
        for (condition, time) in [("f.at >= ?", self.from), ("f.at < ?", self.to)] {
            if let Some(time) = time {
                all.and(condition, [time.into()]);
            }
        }
        if let Some(payee) = &self.filter.payee {
            // As it stands in JSON, without the quotes around it.
            let text = serde_json::Value::String(payee.clone()).to_string();
            let text = text[1..text.len() - 1].to_owned();
            let named = "instr(coalesce(json_extract(f.body, '$.values'), '') || coalesce(json_extract(f.body, '$.key'), '')
                         || json_extract(f.body, '$.summary'), ?) > 0";
            all.and(named, [text.into()]);
        }
        for (op, cents) in [(">=", self.least), ("<=", self.most)] {
            if let Some(cents) = cents {
                // Exact: a text with two decimals is whole cents without its point.
                let compared = format!(
                    "(substr({AMOUNT}, -3, 1) = '.' AND CAST(replace({AMOUNT}, '.', '') AS INTEGER) {op} ?)"
                );
                all.and(&compared, [cents.into()]);
            }
        }
        all
    }

    /// What alerts are sorted by, the largest first.
    pub(super) fn order_of_alerts(&self) -> &'static str {
        match self.filter.sort.as_deref() {
            Some("occurred") => "json_extract(body, '$.last_at')",
            Some("severity") => GRAVITY,
            Some("findings") => "json_extract(body, '$.findings')",
            Some("changed") => "changed_at",
            _ => "opened_at",
        }
    }

    /// What findings are sorted by, the largest first.
    pub(super) fn order_of_findings(&self) -> &'static str {
        match self.filter.sort.as_deref() {
            Some("occurred") => "at",
            Some("severity") => GRAVITY,
            _ => "seq",
        }
    }
}
