//! A filter as conditions of SQL: over the table of alerts as lists show them (`alert_rows.rs`), and over findings.

use super::{
    alert_rows::RowsOrigin,
    conditions::Conditions,
    filter::{ACTIVE, CaseQuery, NOBODY},
    limited,
    words::OVER,
};
use crate::{access::Limits, event::pattern::CodePattern};

/// The amount of a finding `f`: that of its event, or of its window.
const AMOUNT: &str =
    "coalesce(json_extract(f.body, '$.values.amount'), json_extract(f.body, '$.values.total'))";
/// Severities as numbers, the gravest last.
const GRAVITY: &str =
    "CASE severity WHEN 'critical' THEN 4 WHEN 'high' THEN 3 WHEN 'medium' THEN 2 ELSE 1 END";

impl CaseQuery {
    /// Only what is there for somebody of these limits.
    #[must_use]
    pub fn within(self, limits: &Limits) -> Self {
        Self { limits: limits.clone(), ..self }
    }

    /// For rows `a` of alerts.
    pub(super) fn of_alerts(&self) -> Conditions {
        let f = &self.filter;
        let mut all = self.of_alert_alone();
        all.within("", limited::alerts(&self.limits), "");
        all.one_of("a.severity", f.severity.as_ref());
        all.one_of("a.rule_id", f.rule.as_ref());
        all.has_one_of("a.units", f.unit.as_ref());
        all.has_one_of("a.budget_lines", f.line.as_ref());
        if let Some(text) = &f.text {
            let says = "(instr(lower(a.title), lower(?)) > 0 OR instr(lower(a.summary), lower(?)) > 0)";
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
    pub(super) fn of_findings(&self, rows: RowsOrigin) -> Conditions {
        let alerts = format!(
            "f.seq IN (SELECT l.finding FROM {} a JOIN alert_findings l USING (alert_id) WHERE ",
            rows.source()
        );
        let f = &self.filter;
        let mut all = limited::findings(&self.limits);
        all.one_of("f.rule_id", f.rule.as_ref());
        all.one_of("f.severity", f.severity.as_ref());
        all.equal("f.event_id", f.event.as_ref());
        for (label, column, value) in
            [("unit_code", "units", &f.unit), ("budget_line_id", "budget_lines", &f.line)]
        {
            let Some(words) = value else { continue };
            let own = format!(
                "coalesce(json_extract(f.body, '$.key.{label}'), json_extract(f.body, '$.values.{label}'))"
            );
            let (mut named, mut labelled, mut in_alert) =
                (Conditions::default(), Conditions::default(), Conditions::default());
            named.any(words, |word| match CodePattern::of(word) {
                CodePattern::Beginning(start) => (format!("instr({own}, ?) = 1"), Some(start.to_owned())),
                CodePattern::Whole(word) => (format!("{own} = ?"), Some(word.to_owned())),
            });
            labelled.has_one_of(&format!("a.{column}"), value.as_ref());
            in_alert.within(&alerts, labelled, ")");
            all.either(named, in_alert);
        }
        if let Some(text) = &f.text {
            let says = format!(
                "(instr(lower(json_extract(f.body, '$.summary')), lower(?)) > 0
                  OR {alerts} instr(lower(a.title), lower(?)) > 0))"
            );
            all.and(&says, [text.clone().into(), text.clone().into()]);
        }
        let own = self.of_finding_alone();
        all.within("", own, "");
        all.within(&alerts, self.of_alert_alone(), ")");
        all
    }

    /// The same, after the finding `before`.
    pub(super) fn page_of_findings(&self, rows: RowsOrigin) -> Conditions {
        let mut all = self.of_findings(rows);
        if let Some(before) = &self.filter.before {
            let order = self.order_of_findings();
            let after = format!("({order}, seq) < (SELECT {order}, seq FROM findings WHERE seq = ?)");
            // The number of a finding; before one that is none there is nothing.
            all.and(&after, [before.parse::<i64>().unwrap_or(0).into()]);
        }
        all
    }

    /// Where an alert stands.
    fn of_state(&self) -> Conditions {
        let mut all = Conditions::default();
        if let Some(states) = &self.filter.state {
            all.any(states, |state| match state {
                ACTIVE => (format!("a.state NOT IN {OVER}"), None),
                state => (String::from("a.state = ?"), Some(state.to_owned())),
            });
        }
        all
    }

    /// Where an alert stands, and how grave it is.
    pub(super) fn of_state_and_severity(&self) -> Conditions {
        let mut all = self.of_state();
        all.one_of("a.severity", self.filter.severity.as_ref());
        all
    }

    /// What only alerts have.
    fn of_alert_alone(&self) -> Conditions {
        let f = &self.filter;
        let mut all = self.of_state();
        if let Some(owners) = &f.owner {
            all.any(owners, |owner| match owner {
                NOBODY => (String::from("a.owner IS NULL"), None),
                owner => (String::from("a.owner = ?"), Some(owner.to_owned())),
            });
        }
        all.one_of("a.inquiry", f.inquiry.as_ref());
        all.one_of("a.outcome", f.outcome.as_ref());
        all.has_one_of("a.mentions", f.mentions.as_ref());
        if let Some(is) = f.review {
            all.and(if is { "a.proposed_by IS NOT NULL" } else { "a.proposed_by IS NULL" }, []);
        }
        if let Some(is) = f.past_due {
            let past = format!("(a.due_at <= ? AND a.state NOT IN {OVER})");
            let condition = format!("coalesce({past}, 0) = {}", i64::from(is));
            all.and(&condition, [self.now.into()]);
        }
        all.one_of("a.handling", f.handling.as_ref());
        all.has_one_of("a.regions", f.region.as_ref());
        for word in f.q.as_deref().unwrap_or_default().split_whitespace() {
            all.and("instr(a.folded, lower(?)) > 0", [word.to_owned().into()]);
        }
        for (condition, time) in [("a.opened_at >= ?", self.opened_from), ("a.opened_at < ?", self.opened_to)]
        {
            if let Some(time) = time {
                all.and(condition, [time.into()]);
            }
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
                all.and(&compared, [cents.saturating_i64().into()]);
            }
        }
        all
    }

    /// What alerts are sorted by, the largest first: a whole number.
    pub(super) fn order_of_alerts(&self) -> &'static str {
        match self.filter.sort.as_deref() {
            Some("oldest") => "-opened_at",
            Some("occurred") => "last_at",
            Some("severity") => GRAVITY,
            Some("findings") => "findings",
            Some("changed") => "changed_at",
            // What is not due comes last.
            Some("due") => "coalesce(-escalates_at, -9223372036854775807)",
            Some("last_day") => "coalesce(-due_at, -9223372036854775807)",
            Some("amount") => "coalesce(amount, -1)",
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
