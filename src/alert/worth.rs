//! 预期价值: what an alert promises, so that the inbox can begin with what is most worth an officer's time. It is a product of
//! four whole numbers that anybody can check: how grave it is, how much money it is about, how often it was found, and how
//! often officers found its rule's alerts to be as suspected.

use super::policy::rank;

/// Weights of severities, worst first.
const GRAVITY: [i64; 4] = [8, 4, 2, 1];
/// Weights of amounts from so many cents on, the largest first; below, and where none is known, it is 1.
const AMOUNTS: [(i64, i64); 5] =
    [(10_000_000_000, 6), (1_000_000_000, 5), (100_000_000, 4), (10_000_000, 3), (1_000_000, 2)];
/// Weights of so many findings and more, the most first; for one it is 1.
const REPEATED: [(i64, i64); 2] = [(10, 3), (2, 2)];

/// What an alert promises, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worth {
    /// 8, 4, 2 or 1 by severity.
    pub severity: i64,
    /// 1 to 6 by amount.
    pub amount: i64,
    /// 1 to 3 by findings.
    pub repeated: i64,
    /// How often the rule is right, in thousandths.
    pub precision: i64,
}

/// How often a rule is right, in thousandths: as if one more alert had been confirmed and one more dismissed, so that a rule
/// of which nobody has judged an alert stands in the middle, and one verdict decides nothing.
#[must_use]
pub fn precision(confirmed: u64, dismissed: u64) -> i64 {
    let permille = (u128::from(confirmed) + 1) * 1000 / (u128::from(confirmed) + u128::from(dismissed) + 2);
    i64::try_from(permille).unwrap_or(1000)
}

fn weight(steps: &[(i64, i64)], value: i64) -> i64 {
    steps.iter().find(|(from, _)| value >= *from).map_or(1, |(_, weight)| *weight)
}

impl Worth {
    /// That of an alert.
    #[must_use]
    pub fn of(
        severity: &str,
        amount: Option<i64>,
        findings: u64,
        (confirmed, dismissed): (u64, u64),
    ) -> Self {
        Self {
            severity: GRAVITY[rank(severity)],
            amount: weight(&AMOUNTS, amount.unwrap_or(0)),
            repeated: weight(&REPEATED, i64::try_from(findings).unwrap_or(i64::MAX)),
            precision: precision(confirmed, dismissed),
        }
    }

    /// The product.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.severity * self.amount * self.repeated * self.precision
    }

    /// The same in SQL, over the columns `severity`, `amount`, `findings` and `rule_id`; `rules` are those with verdicts.
    #[must_use]
    pub fn sql<'r>(rules: impl Iterator<Item = (&'r str, (u64, u64))>) -> String {
        let steps = |column: &str, steps: &[(i64, i64)]| {
            let when = steps.iter().map(|(from, weight)| format!(" WHEN {column} >= {from} THEN {weight}"));
            format!("(CASE{} ELSE 1 END)", when.collect::<String>())
        };
        let [critical, high, medium, low] = GRAVITY;
        let rules: String = rules
            .map(|(rule, (confirmed, dismissed))| {
                format!(" WHEN '{}' THEN {}", rule.replace('\'', "''"), precision(confirmed, dismissed))
            })
            .collect();
        let of_rules = match rules.is_empty() {
            true => precision(0, 0).to_string(),
            false => format!("(CASE rule_id{rules} ELSE {} END)", precision(0, 0)),
        };
        format!(
            "((CASE severity WHEN 'critical' THEN {critical} WHEN 'high' THEN {high} WHEN 'medium' THEN {medium} ELSE {low} END)
              * {} * {} * {of_rules})",
            steps("amount", &AMOUNTS),
            steps("findings", &REPEATED),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worth_is_a_product_that_anybody_can_check() {
        let worth = Worth::of("critical", Some(123_456_700), 3, (8, 0));
        assert_eq!(worth, Worth { severity: 8, amount: 4, repeated: 2, precision: 900 });
        assert_eq!(worth.total(), 57_600);
        assert_eq!(Worth::of("low", None, 1, (0, 0)).total(), 500);
        assert_eq!((precision(0, 0), precision(1, 0), precision(0, 12)), (500, 666, 71));
        assert!((999..=1000).contains(&precision(u64::MAX, 0)));
    }

    #[test]
    fn a_rules_name_is_a_text_in_sql() {
        assert!(Worth::sql([("it's", (1, 0))].into_iter()).contains("WHEN 'it''s' THEN 666"));
    }
}
