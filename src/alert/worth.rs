//! 预期价值: what an alert promises, so that the inbox can begin with what is most worth an officer's time. It is a product of
//! whole numbers that anybody can check: how grave it is, how much money it is about, how often it was found, how many
//! other rules found the same, and, twice, how often officers found such alerts to be as suspected: four numbers of the rule's
//! opinion otherwise outweigh what officers said.

use std::collections::BTreeMap;

use crate::{
    event::Cents,
    rule::{Handling, Severity},
};

/// Weights of severities, worst first.
const GRAVITY: [i64; 4] = [4, 3, 2, 1];
/// Weights of amounts from so many cents on, the largest first; below, and where none is known, it is 1.
const AMOUNTS: [(i64, i64); 2] = [(1_000_000_000, 3), (10_000_000, 2)];
/// Weights of so many findings and more, the most first.
const REPEATED: [(i64, i64); 3] = [(10, 6), (2, 5), (0, 4)];
/// What an alert weighs that another rule agrees with, beside one that stands alone.
const AGREEING: i64 = 2;
/// As if there had been so many verdicts before the first, one of them that it was as suspected: fewer of what asks
/// nothing of anybody are.
const BEFORE: [(Handling, u64); 2] = [(Handling::Record, 8), (Handling::Remind, 4)];
const BEFORE_OTHERS: u64 = 2;
/// What a unit's alerts of a rule say by themselves counts as much as the rule's when there are so many verdicts on them.
const OWN: u128 = 4;
/// Units of rules whose own verdicts count in lists, those with the most verdicts.
const UNITS_MAX: usize = 1000;

/// What an alert promises, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worth {
    /// 4 to 1 by severity.
    pub severity: i64,
    /// 1 to 3 by amount.
    pub amount: i64,
    /// 4 to 6 by findings.
    pub repeated: i64,
    /// 2 if another rule found something about the same event, else 1.
    pub agreeing: i64,
    /// How often the most right of these rules is right, in the alert's unit above all, in thousandths.
    pub precision: i64,
}

/// How many of some alerts officers confirmed, and how many they dismissed.
pub type Said = (u64, u64);

/// What officers said of the alerts of each rule and unit.
#[derive(Debug, Clone, Default)]
pub struct VerdictHistory {
    rules: BTreeMap<String, (Said, BTreeMap<String, Said>)>,
}

impl VerdictHistory {
    /// Adds what was said of the alerts of a rule and unit, if they have one.
    pub fn add(&mut self, rule: String, unit: Option<String>, said: Said) {
        let (all, units) = self.rules.entry(rule).or_default();
        let sum = |to: &mut Said| *to = (to.0 + said.0, to.1 + said.1);
        sum(all);
        if let Some(unit) = unit {
            sum(units.entry(unit).or_default());
        }
    }

    /// What was said of a rule's alerts, and of those of one unit.
    #[must_use]
    pub fn of(&self, rule: &str, unit: Option<&str>) -> (Said, Said) {
        let Some((all, units)) = self.rules.get(rule) else { return Default::default() };
        (*all, unit.and_then(|unit| units.get(unit)).copied().unwrap_or_default())
    }
}

/// How often a rule is right, in thousandths: as if a few more verdicts had been given, by its handling, so that one verdict
/// decides nothing.
#[must_use]
pub fn precision(handling: Handling, (confirmed, dismissed): Said) -> i64 {
    let before = BEFORE.iter().find(|(known, _)| *known == handling).map_or(BEFORE_OTHERS, |(_, n)| *n);
    let all = u128::from(confirmed) + u128::from(dismissed) + u128::from(before);
    i64::try_from((u128::from(confirmed) + 1) * 1000 / all).unwrap_or(1000)
}

/// The same in a unit: as if its alerts had four more verdicts, as the rule's are.
#[must_use]
pub fn precision_in(handling: Handling, (rule, (confirmed, dismissed)): (Said, Said)) -> i64 {
    let rule = u128::from(precision(handling, rule).unsigned_abs());
    let all = u128::from(confirmed) + u128::from(dismissed) + OWN;
    i64::try_from((u128::from(confirmed) * 1000 + OWN * rule) / all).unwrap_or(1000)
}

/// What a precision counts for: its square, in thousandths.
const fn squared(precision: i64) -> i64 {
    precision * precision / 1000
}

fn weight(steps: &[(i64, i64)], value: i64) -> i64 {
    steps.iter().find(|(from, _)| value >= *from).map_or(1, |(_, weight)| *weight)
}

impl Worth {
    /// That of an alert with so many findings; `own` is how often its rule is right, `others` the same of each other rule that
    /// found something about the event of its latest finding.
    #[must_use]
    pub fn of(
        severity: Severity,
        amount: Option<Cents>,
        findings: u64,
        (own, others): (i64, &[i64]),
    ) -> Self {
        Self {
            severity: GRAVITY[severity.rank()],
            amount: weight(&AMOUNTS, amount.unwrap_or_default().saturating_i64()),
            repeated: weight(&REPEATED, i64::try_from(findings).unwrap_or(i64::MAX)),
            agreeing: if others.is_empty() { 1 } else { AGREEING },
            precision: others.iter().copied().fold(own, i64::max),
        }
    }

    /// The product of all parts, by which alerts are sorted.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.severity * self.amount * self.repeated * self.agreeing * squared(self.precision)
    }

    /// The same in SQL, over a row `a` with the columns `severity`, `amount`, `findings`, `rule_id`, `handling` and `unit_code`;
    /// `others` makes the query of the other rules `o` that found the same, each with what is told of it.
    #[must_use]
    pub fn sql(verdicts: &VerdictHistory, others: impl Fn(&str) -> String) -> String {
        let steps = |column: &str, steps: &[(i64, i64)]| {
            let when = steps.iter().map(|(from, weight)| format!(" WHEN {column} >= {from} THEN {weight}"));
            format!("(CASE{} ELSE 1 END)", when.collect::<String>())
        };
        let [critical, high, medium, low] = GRAVITY;
        let (own, of_others) = (verdicts.sql("a"), others(&format!("max({})", verdicts.sql("o"))));
        format!(
            "((CASE a.severity WHEN 'critical' THEN {critical} WHEN 'high' THEN {high} WHEN 'medium' THEN {medium} ELSE {low} END)
              * {} * {} * coalesce({AGREEING} * max({own}, ({of_others})), {own}))",
            steps("a.amount", &AMOUNTS),
            steps("a.findings", &REPEATED),
        )
    }
}

impl VerdictHistory {
    /// What the precision counts for in SQL, of a rule whose `rule_id` and `handling` stand in the row `of`, in the unit of the row `a`.
    fn sql(&self, of: &str) -> String {
        let when = BEFORE.map(|(word, _)| format!(" WHEN '{word}' THEN {}", self.sql_of(of, word)));
        // All others weigh the same.
        format!("(CASE {of}.handling{} ELSE {} END)", when.concat(), self.sql_of(of, Handling::Warn))
    }

    fn sql_of(&self, of: &str, handling: Handling) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let mut judged: Vec<(u64, &str, &str)> = Vec::new();
        for (rule, (_, units)) in &self.rules {
            judged.extend(units.iter().map(|(unit, said)| (said.0 + said.1, rule.as_str(), unit.as_str())));
        }
        judged.sort_by_key(|(verdicts, rule, unit)| (std::cmp::Reverse(*verdicts), *rule, *unit));
        judged.truncate(UNITS_MAX);
        let mut rules = String::new();
        for (rule, (all, units)) in &self.rules {
            let own = judged.iter().filter(|(_, of, _)| of == rule).map(|(_, _, unit)| {
                let said = units.get(*unit).copied().unwrap_or_default();
                format!(" WHEN {} THEN {}", quoted(unit), squared(precision_in(handling, (*all, said))))
            });
            let (own, all) = (own.collect::<String>(), squared(precision_in(handling, (*all, (0, 0)))));
            let permille = match own.is_empty() {
                true => all.to_string(),
                false => format!("(CASE a.unit_code{own} ELSE {all} END)"),
            };
            rules.push_str(&format!(" WHEN {} THEN {permille}", quoted(rule)));
        }
        let unknown = squared(precision_in(handling, Default::default()));
        match rules.is_empty() {
            true => unknown.to_string(),
            false => format!("(CASE {of}.rule_id{rules} ELSE {unknown} END)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worth_is_a_product_that_anybody_can_check() {
        let worth = Worth::of(
            Severity::Critical,
            Some(Cents::new(123_456_700)),
            3,
            (precision(Handling::Explain, (8, 0)), &[400]),
        );
        assert_eq!(worth, Worth { severity: 4, amount: 2, repeated: 5, agreeing: 2, precision: 900 });
        assert_eq!(worth.total(), 64_800);
        assert_eq!(Worth::of(Severity::Low, None, 1, (125, &[])).total(), 60);
        let of = |said| precision(Handling::Warn, said);
        assert_eq!((of((0, 0)), of((1, 0)), of((0, 12))), (500, 666, 71));
        assert_eq!((precision(Handling::Remind, (0, 0)), precision(Handling::Record, (0, 0))), (250, 125));
        assert!((999..=1000).contains(&of((u64::MAX, 0))));
    }

    #[test]
    fn what_is_said_of_a_unit_counts_the_more_the_more_it_is() {
        let rule = (50, 48);
        let of = |unit| precision_in(Handling::Warn, (rule, unit));
        assert_eq!(of((0, 0)), precision(Handling::Warn, rule));
        assert_eq!((of((0, 1)), of((0, 4)), of((0, 36)), of((4, 0))), (408, 255, 51, 755));
        let mut verdicts = VerdictHistory::default();
        verdicts.add(String::from("a"), Some(String::from("u1")), (3, 1));
        verdicts.add(String::from("a"), None, (1, 0));
        assert_eq!(verdicts.of("a", Some("u1")), ((4, 1), (3, 1)));
        assert_eq!(
            (verdicts.of("a", Some("u2")), verdicts.of("b", None)),
            (((4, 1), (0, 0)), ((0, 0), (0, 0)))
        );
    }

    /// In lists it is computed by SQL.
    #[test]
    fn names_are_texts_in_sql() {
        let mut verdicts = VerdictHistory::default();
        verdicts.add(String::from("it's"), Some(String::from("u'1")), (0, 9));
        verdicts.add(String::from("it's"), Some(String::from("u2")), (9, 1));
        let sql = Worth::sql(&verdicts, |told| format!("SELECT {told} FROM others o"));
        let told = "ELSE (CASE a.rule_id WHEN 'it''s' THEN (CASE a.unit_code WHEN 'u2' THEN 605 WHEN 'u''1' THEN 21 ELSE 226 END) ELSE 250 END)";
        assert!(sql.contains(told), "{sql}");
        assert!(sql.contains("SELECT max((CASE o.handling WHEN 'record' THEN (CASE o.rule_id WHEN"), "{sql}");
    }
}
