//! The rules of the simulation, compiled once for all seeds.

use std::sync::{Arc, LazyLock};

use fiscwatch::{
    lists::Lists,
    rule::{Language, RuleSet, compile::Compiler},
};

use crate::support::calendar;

/// Rules that the model ([`super::model`]) knows too; they are in every set.
const PLAIN: &str = "
rules:
  - id: over-budget
    severity: critical
    trigger: [payment, application]
    when: budget.available < 0
    key: [budget_line_id]
    summary: '{{ budget_line_id }} {{ amount }} leaves {{ budget.available }}'
  - id: large-cash
    severity: medium
    trigger: payment
    where: settlement = 'cash'
    when: amount > 20000
    key: [unit_code]
  - id: burst
    severity: high
    trigger: payment
    over: { by: [payee_account], last: 6h }
    measure: { n: count(*), total: sum(amount) }
    when: n >= 3
    key: [payee_account]
  - id: split
    severity: high
    trigger: payment
    over: { by: [unit_code, payee_account], last: 3d }
    measure: { total: sum(amount) }
    when: total > 90000
    key: [unit_code, payee_account]
  - id: taken-back
    severity: high
    trigger: [refund, correction]
    when: original.left < 0
    key: [original_event_id]
    summary: '{{ original.payee_account }} had {{ original.amount }}, {{ original.refunds }} refunds'
  - id: of-nothing
    severity: high
    trigger: [refund, correction, withdrawal]
    when: original.type is null or original.withdrawals > 1
    key: [original_event_id]
  - id: cleared-beyond
    severity: high
    trigger: confirmation
    when: original.type = 'payment' and original.cleared > original.amount
    key: [original_event_id]
  - id: cleared-nothing
    severity: high
    trigger: confirmation
    when: original.type is null
    key: [original_event_id]
  - id: cleared-line
    severity: high
    trigger: confirmation
    when: budget.uncleared < 0
    key: [budget_line_id]
    summary: '{{ budget_line_id }} {{ budget.cleared }}'
  - id: unit-day
    severity: low
    trigger: window
    of: payment
    window: { by: [unit_code], size: 1d }
    measure: { n: count(*), total: sum(amount) }
    when: total > 60000
    key: [unit_code]
";

/// Rules that only a run without faults is asked about.
const MORE: &str = "
  - id: month-to-date
    severity: low
    trigger: [payment, refund]
    over: { by: [budget_line_id], to_date: month }
    measure: { n: count(*), largest: max(amount), accounts: count(distinct payee_account) }
    when: n >= 6 and amount = largest
    key: [budget_line_id]
  - id: overdrawn-often
    severity: high
    trigger: payment
    where: budget.available < 0
    over: { by: [budget_line_id], last: 2d }
    measure: { n: count(*) }
    when: n >= 3
    key: [budget_line_id]
  - id: new-payee
    severity: low
    trigger: payment
    over: { by: [unit_code, payee_account], last: 10d, current: exclude }
    measure: { n: count(*) }
    when: n = 0
    key: [unit_code, payee_account]
";

const HOP: &str = "
  - id: week
    severity: medium
    trigger: window
    of: [payment, refund]
    window: { by: [unit_code], size: 3d, slide: 1d }
    measure: { n: count(*), mean: avg(amount), latest: last_value(amount) }
    when: n >= 5
    key: [unit_code]
  - id: odd-day
    severity: medium
    trigger: window
    of: payment
    window: { by: [unit_code], size: 1d }
    measure: { total: sum(amount) }
    anomaly: { of: total, method: mad, history: 10, min_history: 3, direction: both }
    when: score > 1.5
    key: [unit_code]
";

/// What a reload brings: other windows, and none of the hops.
const OTHERS: &str = "
  - id: half-day
    severity: high
    trigger: payment
    over: { by: [payee_account], last: 12h }
    measure: { n: count(*) }
    when: n >= 3
    key: [payee_account]
  - id: two-days
    severity: low
    trigger: window
    of: payment
    window: { by: [payee_account], size: 2d }
    measure: { n: count(*) }
    when: n >= 3
    key: [payee_account]
";

const SCHEDULES: &str = "
  - id: overspent
    severity: high
    trigger: schedule
    every: 7d
    sql: SELECT budget_line_id, executed, total FROM budget_lines WHERE executed > total
    key: [budget_line_id]
  - id: busy-payee
    severity: low
    trigger: schedule
    every: 7d
    sql: |
      SELECT payee_account, count(*) AS n, sum(amount) AS total FROM payments
      WHERE occurred_at > now - INTERVAL '7 days' GROUP BY payee_account HAVING count(*) >= 4
    key: [payee_account]
  - id: much-found
    severity: low
    trigger: schedule
    cron: '0 9 1 * *'
    sql: SELECT rule_id, count(*) AS n FROM findings WHERE rule_id <> 'much-found' GROUP BY rule_id HAVING count(*) > 3
    key: [rule_id]
";

/// Which rules are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// Rules on events and windows.
    Windows,
    /// Some of them, and others.
    Others,
    /// With schedules.
    Schedules,
}

impl Set {
    /// The compiled rules.
    pub fn rules(self) -> Arc<RuleSet> {
        static WINDOWS: LazyLock<Arc<RuleSet>> = LazyLock::new(|| compile(&[PLAIN, MORE, HOP]));
        static OTHER: LazyLock<Arc<RuleSet>> = LazyLock::new(|| compile(&[PLAIN, MORE, OTHERS]));
        static SCHEDULED: LazyLock<Arc<RuleSet>> = LazyLock::new(|| compile(&[PLAIN, MORE, SCHEDULES]));
        Arc::clone(match self {
            Self::Windows => &WINDOWS,
            Self::Others => &OTHER,
            Self::Schedules => &SCHEDULED,
        })
    }
}

fn compile(parts: &[&str]) -> Arc<RuleSet> {
    let text = parts.concat().replace("    severity:", "    title: simulated\n    severity:");
    let calendar = calendar();
    let compiler = Compiler::new(&calendar, Lists::default(), Language::default());
    RuleSet::from_text(&text, &compiler, &calendar).unwrap_or_else(|problems| {
        panic!(
            "the rules of the simulation: {}",
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        )
    })
}
