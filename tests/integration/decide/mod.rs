//! 事前校验: applications are decided before money moves, by the same rules, exactly once, whatever happens in between.

mod answers;
mod in_list;
mod lasting;
mod together;

use serde_json::{Value, json};

use crate::support::{Bench, Daemon, lines, payment};

const RULES: &str = "
rules:
  - id: over-line
    title: { zh: 指标余额不足, en: Beyond the line }
    severity: critical
    handling: block
    trigger: [application, payment]
    params: { least: 0 }
    when: budget.available < 0 and amount > $least
    key: [budget_line_id]
    summary: '{{ budget_line_id }} lacks {{ budget.available }}'
  - id: many
    title: Many to one account
    severity: medium
    handling: explain
    basis: a basis
    trigger: [application, payment]
    over: { by: [payee_account], last: 7d }
    measure: { n: count(*), names: 'count(distinct payee_name)', least: min(amount), most: max(amount), middle: median(amount), sum: sum(amount), first: first_value(amount) }
    when: n >= 3
    key: [payee_account]
    summary: '{{ n }} times to {{ payee_name }} at {{ payee_account }}'
  - { id: tried, title: t, severity: low, handling: block, mode: shadow, trigger: application, when: amount > 0, key: [unit_code] }
  - { id: daily, title: t, severity: low, trigger: window, of: application, window: { by: [unit_code], size: 1d }, measure: { n: count(*) }, when: n > 1000, key: [unit_code] }
  - { id: monthly, title: t, severity: low, trigger: schedule, every: 1d, sql: SELECT unit_code FROM payments WHERE amount < 0, key: [unit_code] }
";

fn bench(config: &str) -> Bench {
    let bench = Bench::new("", "");
    std::fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    std::fs::write(
        bench.path().join("fiscwatch.yaml"),
        format!("state: {{ dir: state }}\nlanguage: en\n{config}"),
    )
    .unwrap();
    bench
}

pub fn approve(line: &str, amount: &str) -> Value {
    json!({"event_id": format!("approve-{line}"), "type": "budget", "action": "approve", "occurred_at": "2026-01-02", "budget_line_id": line,
        "amount": amount, "fiscal_year": 2026, "region_code": "330100000", "unit_code": "101001", "function_code": "2050201", "economic_code": "30201"})
}

pub fn application(id: &str, amount: &str, account: &str) -> Value {
    let mut event = payment(id, "L1", amount);
    event["type"] = json!("application");
    event["payee_account"] = json!(account);
    event
}

fn ask(daemon: &Daemon, query: &str, body: &Value) -> (u16, Value) {
    let (status, text) = daemon.post(&format!("/api/v1/decide{query}"), &body.to_string());
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}")))
}

fn decide(daemon: &Daemon, query: &str, body: &Value) -> Value {
    let (status, answer) = ask(daemon, query, body);
    assert_eq!(status, 200, "{answer}");
    answer
}

fn accepts(daemon: &Daemon, events: &[Value]) {
    let (status, answer) = daemon.post("/api/v1/events", &lines(events));
    assert_eq!(status, 200, "{answer}");
}

fn reserved(daemon: &Daemon) -> String {
    daemon.json("/api/v1/budget-lines/L1")["reserved"].as_str().unwrap().to_owned()
}

fn events(daemon: &Daemon) -> u64 {
    daemon.json("/api/v1/status")["journal_events"].as_u64().unwrap()
}
