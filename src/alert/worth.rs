//! 预期价值: what an alert promises, so that the inbox can begin with what is most worth an officer's time. It is a product of
//! whole numbers that anybody can check: how grave it is, how much money it is about, how often it was found, how many
//! other rules found the same, and, three times, how often officers found such alerts to be as suspected: what the rule says of
//! itself otherwise outweighs what officers said.

use std::collections::BTreeMap;

use crate::{
    event::Cents,
    rule::{Handling, Severity},
};

/// Weights of severities, worst first.
const GRAVITY: [i64; 4] = [4, 3, 2, 1];
/// What weighs nothing, so that what follows is told in tenths: on ledgers with known anomalies these say less than verdicts do.
const PLAIN: i64 = 10;
/// Weights of amounts from so many cents on, the largest first.
const AMOUNTS: [(i64, i64); 2] = [(1_000_000_000, 12), (10_000_000, 11)];
/// Weights of so many findings and more, the most first.
const REPEATED: [(i64, i64); 2] = [(10, 12), (2, 11)];
/// What an alert weighs that another rule agrees with.
const AGREEING: i64 = 11;
/// As if there had been so many verdicts of each kind before the first.
const BEFORE: u64 = 4;
/// So many times as often as others are dismissed what asks nothing of anybody.
const LESSER: [(Handling, u64); 2] = [(Handling::Record, 7), (Handling::Remind, 3)];
/// What worth is told in, of the product.
const FRACTION: i64 = 1_000_000;
/// What all verdicts say counts as much as a rule's own when there are so many of its own.
const RULE: u128 = 2;
/// What a unit's alerts of a rule say by themselves counts as much as the rule's when there are so many verdicts on them.
const OWN: u128 = 4;
/// Units of rules whose own verdicts count in lists, those with the most verdicts.
const UNITS_MAX: usize = 1000;

/// What an alert promises, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worth {
    /// 4 to 1 by severity.
    pub severity: i64,
    /// 10 to 12 by amount.
    pub amount: i64,
    /// 10 to 12 by findings.
    pub repeated: i64,
    /// 11 if another rule found something about the same event, else 10.
    pub agreeing: i64,
    /// How often the most right of these rules is right, in the alert's unit above all, in thousandths.
    pub precision: i64,
}

/// How many of some alerts officers confirmed, and how many they dismissed.
pub type Said = (u64, u64);

/// What officers said of the alerts of each rule and unit.
#[derive(Debug, Clone, Default)]
pub struct VerdictHistory {
    all: Said,
    rules: BTreeMap<String, (Said, BTreeMap<String, Said>)>,
}

impl VerdictHistory {
    /// Adds what was said of the alerts of a rule and unit, if they have one.
    pub fn add(&mut self, rule: String, unit: Option<String>, said: Said) {
        let (of_rule, units) = self.rules.entry(rule).or_default();
        let sum = |to: &mut Said| *to = (to.0 + said.0, to.1 + said.1);
        sum(&mut self.all);
        sum(of_rule);
        if let Some(unit) = unit {
            sum(units.entry(unit).or_default());
        }
    }

    /// What was said of each rule's alerts.
    pub fn by_rule(&self) -> impl Iterator<Item = (&str, Said)> {
        self.rules.iter().map(|(rule, (said, _))| (rule.as_str(), *said))
    }

    /// What was said of all alerts, of a rule's, and of those of one unit.
    #[must_use]
    pub fn of(&self, rule: &str, unit: Option<&str>) -> Verdicts {
        let Some((of_rule, units)) = self.rules.get(rule) else {
            return Verdicts { all: self.all, ..Default::default() };
        };
        let unit = unit.and_then(|unit| units.get(unit)).copied().unwrap_or_default();
        Verdicts { all: self.all, rule: *of_rule, unit }
    }
}

/// What officers said that bears on an alert.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Of all alerts.
    pub all: Said,
    /// Of those of its rule.
    pub rule: Said,
    /// Of those of its rule in its unit.
    pub unit: Said,
}

impl Verdicts {
    /// How often such an alert is right, in thousandths. What is known of few is filled up with what is known of more: of the
    /// unit's alerts with the rule's, of the rule's with all (empirical Bayes), so that one verdict decides nothing.
    #[must_use]
    pub fn precision(&self, handling: Handling) -> i64 {
        let rule = filled_up(self.rule, RULE, usual(handling, self.all));
        i64::try_from(filled_up(self.unit, OWN, rule)).unwrap_or(1000)
    }
}

/// How often alerts with this handling are right, by all verdicts.
fn usual(handling: Handling, (confirmed, dismissed): Said) -> u128 {
    let times = LESSER.iter().find(|(known, _)| *known == handling).map_or(1, |(_, times)| *times);
    let right = u128::from(confirmed) + u128::from(BEFORE);
    let wrong = (u128::from(dismissed) + u128::from(BEFORE)) * u128::from(times);
    right * 1000 / (right + wrong)
}

/// As if there had been `more` verdicts that are right so often.
fn filled_up((confirmed, dismissed): Said, more: u128, permille: u128) -> u128 {
    let all = u128::from(confirmed) + u128::from(dismissed) + more;
    (u128::from(confirmed) * 1000 + more * permille) / all
}

/// What a precision counts for.
const fn cubed(precision: i64) -> i64 {
    precision.pow(3)
}

fn weight(steps: &[(i64, i64)], value: i64) -> i64 {
    steps.iter().find(|(from, _)| value >= *from).map_or(PLAIN, |(_, weight)| *weight)
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
            agreeing: if others.is_empty() { PLAIN } else { AGREEING },
            precision: others.iter().copied().fold(own, i64::max),
        }
    }

    /// The product of all parts over a million, by which alerts are sorted.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.severity * self.amount * self.repeated * self.agreeing * cubed(self.precision) / FRACTION
    }

    /// The same in SQL, over a row `a` with the columns `severity`, `amount`, `findings`, `rule_id`, `handling` and `unit_code`;
    /// `others` makes the query of the other rules `o` that found the same, each with what is told of it.
    #[must_use]
    pub fn sql(verdicts: &VerdictHistory, others: impl Fn(&str) -> String) -> String {
        let steps = |column: &str, steps: &[(i64, i64)]| {
            let when = steps.iter().map(|(from, weight)| format!(" WHEN {column} >= {from} THEN {weight}"));
            format!("(CASE{} ELSE {PLAIN} END)", when.collect::<String>())
        };
        let [critical, high, medium, low] = GRAVITY;
        let (own, of_others) = (verdicts.sql("a"), others(&format!("max({})", verdicts.sql("o"))));
        format!(
            "((CASE a.severity WHEN 'critical' THEN {critical} WHEN 'high' THEN {high} WHEN 'medium' THEN {medium} ELSE {low} END)
              * {} * {} * coalesce({AGREEING} * max({own}, ({of_others})), {PLAIN} * {own}) / {FRACTION})",
            steps("a.amount", &AMOUNTS),
            steps("a.findings", &REPEATED),
        )
    }
}

impl VerdictHistory {
    /// What the precision counts for in SQL, of a rule whose `rule_id` and `handling` stand in the row `of`, in the unit of the row `a`.
    fn sql(&self, of: &str) -> String {
        let when = LESSER.map(|(word, _)| format!(" WHEN '{word}' THEN {}", self.sql_of(of, word)));
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
        for (rule, (of_rule, units)) in &self.rules {
            let of = |unit| Verdicts { all: self.all, rule: *of_rule, unit }.precision(handling);
            let own = judged.iter().filter(|(_, judged, _)| judged == rule).map(|(_, _, unit)| {
                let said = units.get(*unit).copied().unwrap_or_default();
                format!(" WHEN {} THEN {}", quoted(unit), cubed(of(said)))
            });
            let (own, all) = (own.collect::<String>(), cubed(of((0, 0))));
            let permille = match own.is_empty() {
                true => all.to_string(),
                false => format!("(CASE a.unit_code{own} ELSE {all} END)"),
            };
            rules.push_str(&format!(" WHEN {} THEN {permille}", quoted(rule)));
        }
        let unknown = cubed(Verdicts { all: self.all, ..Default::default() }.precision(handling));
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
        let worth = Worth::of(Severity::Critical, Some(Cents::new(123_456_700)), 3, (900, &[400]));
        assert_eq!(worth, Worth { severity: 4, amount: 11, repeated: 11, agreeing: 11, precision: 900 });
        assert_eq!(worth.total(), 3_881_196);
        assert_eq!(Worth::of(Severity::Low, None, 1, (125, &[])).total(), 1953);
    }

    #[test]
    fn what_is_said_of_a_few_alerts_is_filled_up_with_what_is_said_of_more() {
        let of = |all, rule, unit| Verdicts { all, rule, unit }.precision(Handling::Warn);
        let none = (0, 0);
        assert_eq!(
            (of(none, none, none), of((1, 0), (1, 0), none), of((0, 12), (0, 12), none)),
            (500, 703, 28)
        );
        let silent = |all, handling| Verdicts { all, ..Default::default() }.precision(handling);
        assert_eq!((silent(none, Handling::Remind), silent(none, Handling::Record)), (250, 125));
        // A rule that nobody judged is as right as others of its handling are in this treasury.
        assert_eq!((silent((16, 76), Handling::Warn), silent((16, 76), Handling::Remind)), (200, 76));
        let (all, rule) = ((50, 48), (50, 48));
        assert_eq!(of(all, rule, none), 510);
        assert_eq!(
            (of(all, rule, (0, 1)), of(all, rule, (0, 4)), of(all, rule, (0, 36)), of(all, rule, (4, 0))),
            (408, 255, 51, 755)
        );
        assert!((999..=1000).contains(&of((u64::MAX, 0), (u64::MAX, 0), none)));
    }

    #[test]
    fn verdicts_are_of_all_of_a_rule_and_of_a_unit() {
        let mut verdicts = VerdictHistory::default();
        verdicts.add(String::from("a"), Some(String::from("u1")), (3, 1));
        verdicts.add(String::from("a"), None, (1, 0));
        let (all, none) = ((4, 1), (0, 0));
        assert_eq!(verdicts.of("a", Some("u1")), Verdicts { all, rule: all, unit: (3, 1) });
        assert_eq!(verdicts.of("a", Some("u2")), Verdicts { all, rule: all, unit: none });
        assert_eq!(verdicts.of("b", None), Verdicts { all, rule: none, unit: none });
    }

    /// In lists it is computed by SQL.
    #[test]
    fn names_are_texts_in_sql() {
        let mut verdicts = VerdictHistory::default();
        verdicts.add(String::from("it's"), Some(String::from("u'1")), (0, 9));
        verdicts.add(String::from("it's"), Some(String::from("u2")), (9, 1));
        let sql = Worth::sql(&verdicts, |told| format!("SELECT {told} FROM others o"));
        let told = "ELSE (CASE a.rule_id WHEN 'it''s' THEN (CASE a.unit_code WHEN 'u2' THEN 470910952 WHEN 'u''1' THEN 3048625 ELSE 106496424 END) ELSE 111284641 END)";
        assert!(sql.contains(told), "{sql}");
        assert!(sql.contains("SELECT max((CASE o.handling WHEN 'record' THEN (CASE o.rule_id WHEN"), "{sql}");
    }
}
