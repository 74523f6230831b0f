//! The table `alerts` of schedules: the same in the daemon, whatever the clock says, and in a backtest.

use serde_json::json;

use super::{ids, post, transitions};
use crate::support::{Bench, Daemon, lines, payment};

const RULE: &str = "
rules:
  - id: over-budget
    title: over budget
    severity: critical
    trigger: payment
    when: budget.available < 0
    key: [budget_line_id]
  - id: often
    title: often over budget
    severity: high
    trigger: schedule
    every: 1d
    sql: |
      SELECT alert_id, rule_id, key, severity, handling, state, unit_code, region_code, budget_line_id, summary,
             previous, findings, first_at, last_at
      FROM alerts WHERE findings >= 2 AND state <> 'dismissed'
    key: [alert_id]
    summary: '{{ rule_id }} {{ budget_line_id }} {{ state }} {{ findings }} {{ first_at }}'
";

/// Two payments on L1 and three on L2 on one day, and one on L1 two days later.
fn events() -> String {
    let mut events = Vec::new();
    for (n, (line, day)) in
        [("L1", 2), ("L2", 2), ("L1", 2), ("L2", 2), ("L2", 2), ("L1", 4)].iter().enumerate()
    {
        let mut event = payment(&format!("p{n}"), line, "10.00");
        event["occurred_at"] = json!(format!("2026-03-0{day}T1{n}:00:00+08:00"));
        events.push(event);
    }
    lines(&events)
}

#[test]
fn a_rule_over_alerts_finds_the_same_in_a_backtest_and_in_the_daemon() {
    // Two days on, a second event says that the time of the first one is right.
    let mut confirms = payment("p6", "L3", "10.00");
    confirms["occurred_at"] = json!("2026-03-04T16:00:00+08:00");
    let events = events() + &lines(&[confirms]);
    let bench = Bench::new(&events, "state: { dir: state }\n");
    std::fs::write(bench.path().join("rules/rules.yaml"), RULE).unwrap();
    let (tested, _) = bench.backtest(&[]);
    let daemon = Daemon::start(bench.path());
    let (status, body) = daemon.post("/api/v1/events", &events);
    assert_eq!(status, 200, "{body}");
    assert_eq!(daemon.stop("-TERM"), Some(0));
    // The daemon's input has not ended: the backtest has one tick more at most.
    let (found, _) = bench.state();
    assert_eq!(found, tested[..found.len()], "{tested:#?}");
    let often: Vec<_> = found.iter().filter(|f| f.contains("\"rule_id\":\"often\"")).collect();
    assert_eq!(often.len(), 4, "{found:#?}");
    // A tick takes place after the event that made it due, and sees it, once another one confirms its time.
    for line in ["L1", "L2"] {
        let says = format!("over-budget {line} open 3 2026-03-02T1");
        assert_eq!(often.iter().filter(|f| f.contains(&says)).count(), 2, "{often:#?}");
    }
}

#[test]
fn what_officers_decide_is_seen_by_rules() {
    let bench = Bench::new("", "state: { dir: state }\n");
    std::fs::write(bench.path().join("rules/rules.yaml"), RULE).unwrap();
    let daemon = Daemon::start(bench.path());
    let all = events();
    let all: Vec<_> = all.lines().collect();
    assert_eq!(daemon.post("/api/v1/events", &all[..5].join("\n")).0, 200);
    for id in ids(&daemon) {
        for action in ["acknowledge", "dismiss"] {
            let done = post(&daemon, &transitions(&id), &json!({"action": action, "who": "a", "why": "b"}));
            assert_eq!(done.status, 200);
        }
    }
    assert_eq!(daemon.post("/api/v1/events", all[5]).0, 200);
    assert_eq!(daemon.json("/api/v1/findings?rule=often")["findings"], json!([]));
    assert_eq!(daemon.json("/api/v1/findings?rule=over-budget")["findings"].as_array().unwrap().len(), 6);
}
