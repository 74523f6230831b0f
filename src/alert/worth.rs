//! 预期价值: what an alert promises, so that the inbox can begin with what is most worth an officer's time. It is a product of
//! five whole numbers that anybody can check: how grave it is, how much money it is about, how often it was found, how many
//! other rules found the same, and how often officers found such alerts to be as suspected.

use std::collections::BTreeMap;

use super::policy::rank;

/// Weights of severities, worst first.
const GRAVITY: [i64; 4] = [8, 4, 2, 1];
/// Weights of amounts from so many cents on, the largest first; below, and where none is known, it is 1.
const AMOUNTS: [(i64, i64); 5] =
    [(10_000_000_000, 6), (1_000_000_000, 5), (100_000_000, 4), (10_000_000, 3), (1_000_000, 2)];
/// Weights of so many findings and more, the most first; for one it is 1.
const REPEATED: [(i64, i64); 2] = [(10, 3), (2, 2)];

/// Weights of so many other rules that found something about the same event, the most first; for none it is 1.
const AGREEING: [(i64, i64); 2] = [(2, 3), (1, 2)];
/// What a unit's alerts of a rule say by themselves counts as much as the rule's when there are so many verdicts on them.
const OWN: u128 = 4;
/// Units of rules whose own verdicts count in lists, those with the most verdicts.
const UNITS_MAX: usize = 1000;

/// What an alert promises, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worth {
    /// 8, 4, 2 or 1 by severity.
    pub severity: i64,
    /// 1 to 6 by amount.
    pub amount: i64,
    /// 1 to 3 by findings.
    pub repeated: i64,
    /// 1 to 3 by other rules.
    pub agreeing: i64,
    /// How often the rule is right, in the alert's unit above all, in thousandths.
    pub precision: i64,
}

/// How many of some alerts officers confirmed, and how many they dismissed.
pub type Said = (u64, u64);

/// What officers said of the alerts of each rule and unit.
#[derive(Debug, Clone, Default)]
pub struct Verdicts {
    rules: BTreeMap<String, (Said, BTreeMap<String, Said>)>,
}

impl Verdicts {
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

/// How often a rule is right, in thousandths: as if one more alert had been confirmed and one more dismissed, so that a rule
/// of which nobody has judged an alert stands in the middle, and one verdict decides nothing.
#[must_use]
pub fn precision((confirmed, dismissed): Said) -> i64 {
    let permille = (u128::from(confirmed) + 1) * 1000 / (u128::from(confirmed) + u128::from(dismissed) + 2);
    i64::try_from(permille).unwrap_or(1000)
}

/// The same in a unit: as if its alerts had four more verdicts, as the rule's are.
#[must_use]
pub fn precision_in(rule: Said, (confirmed, dismissed): Said) -> i64 {
    let rule = u128::from(precision(rule).unsigned_abs());
    let permille =
        (u128::from(confirmed) * 1000 + OWN * rule) / (u128::from(confirmed) + u128::from(dismissed) + OWN);
    i64::try_from(permille).unwrap_or(1000)
}

fn weight(steps: &[(i64, i64)], value: i64) -> i64 {
    steps.iter().find(|(from, _)| value >= *from).map_or(1, |(_, weight)| *weight)
}

impl Worth {
    /// That of an alert with so many findings and so many other rules that found the same; what was `said` of its rule, and of
    /// its rule and unit.
    #[must_use]
    pub fn of(
        severity: &str,
        amount: Option<i64>,
        (findings, others): (u64, u64),
        (rule, unit): (Said, Said),
    ) -> Self {
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Self {
            severity: GRAVITY[rank(severity)],
            amount: weight(&AMOUNTS, amount.unwrap_or(0)),
            repeated: weight(&REPEATED, count(findings)),
            agreeing: weight(&AGREEING, count(others)),
            precision: precision_in(rule, unit),
        }
    }

    /// The product.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.severity * self.amount * self.repeated * self.agreeing * self.precision
    }

    /// The same in SQL, over the columns `severity`, `amount`, `findings`, `rule_id` and `unit_code`; `others` is how many
    /// other rules found the same.
    #[must_use]
    pub fn sql(verdicts: &Verdicts, others: &str) -> String {
        let steps = |column: &str, steps: &[(i64, i64)]| {
            let when = steps.iter().map(|(from, weight)| format!(" WHEN {column} >= {from} THEN {weight}"));
            format!("(CASE{} ELSE 1 END)", when.collect::<String>())
        };
        // What counts for one alert alone is looked up once.
        let agreeing = AGREEING.iter().map(|(from, weight)| format!(" WHEN {from} THEN {weight}"));
        let most = AGREEING[0];
        let agreeing = format!("(CASE min({others}, {}){} ELSE 1 END)", most.0, agreeing.collect::<String>());
        let [critical, high, medium, low] = GRAVITY;
        format!(
            "((CASE severity WHEN 'critical' THEN {critical} WHEN 'high' THEN {high} WHEN 'medium' THEN {medium} ELSE {low} END)
              * {} * {} * {agreeing} * {})",
            steps("amount", &AMOUNTS),
            steps("findings", &REPEATED),
            verdicts.sql(),
        )
    }
}

impl Verdicts {
    /// The precision in SQL, over the columns `rule_id` and `unit_code`.
    fn sql(&self) -> String {
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
                let permille = precision_in(*all, units.get(*unit).copied().unwrap_or_default());
                format!(" WHEN {} THEN {permille}", quoted(unit))
            });
            let (own, all) = (own.collect::<String>(), precision_in(*all, (0, 0)));
            let permille = match own.is_empty() {
                true => all.to_string(),
                false => format!("(CASE unit_code{own} ELSE {all} END)"),
            };
            rules.push_str(&format!(" WHEN {} THEN {permille}", quoted(rule)));
        }
        let unknown = precision_in((0, 0), (0, 0));
        match rules.is_empty() {
            true => unknown.to_string(),
            false => format!("(CASE rule_id{rules} ELSE {unknown} END)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worth_is_a_product_that_anybody_can_check() {
        let worth = Worth::of("critical", Some(123_456_700), (3, 1), ((8, 0), (0, 0)));
        assert_eq!(worth, Worth { severity: 8, amount: 4, repeated: 2, agreeing: 2, precision: 900 });
        assert_eq!(worth.total(), 115_200);
        assert_eq!(Worth::of("low", None, (1, 0), ((0, 0), (0, 0))).total(), 500);
        assert_eq!((precision((0, 0)), precision((1, 0)), precision((0, 12))), (500, 666, 71));
        assert!((999..=1000).contains(&precision((u64::MAX, 0))));
    }

    #[test]
    fn what_is_said_of_a_unit_counts_the_more_the_more_it_is() {
        let rule = (50, 48);
        let of = |unit| precision_in(rule, unit);
        assert_eq!(of((0, 0)), precision(rule));
        assert_eq!((of((0, 1)), of((0, 4)), of((0, 36)), of((4, 0))), (408, 255, 51, 755));
        let mut verdicts = Verdicts::default();
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
    fn the_product_is_the_same_in_sql() {
        let mut verdicts = Verdicts::default();
        verdicts.add(String::from("it's"), Some(String::from("u'1")), (0, 9));
        verdicts.add(String::from("it's"), Some(String::from("u2")), (9, 1));
        let sql = Worth::sql(&verdicts, "others");
        assert!(
            sql.contains(
                "WHEN 'it''s' THEN (CASE unit_code WHEN 'u''1' THEN 141 WHEN 'u2' THEN 772 ELSE 476 END)"
            ),
            "{sql}"
        );
        assert!(sql.contains("(CASE min(others, 2) WHEN 2 THEN 3 WHEN 1 THEN 2 ELSE 1 END)"), "{sql}");
    }
}
