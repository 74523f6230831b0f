//! What a rule does wrong is that rule's error: counted, shown, and no other rule's business.

use serde_json::json;

use crate::support::{Bench, Daemon, lines, payment};

const RULES: &str = "
rules:
  - { id: divides, severity: low, trigger: payment, when: 100 / (amount - 3) > 0, key: [] }
  - { id: casts, severity: low, trigger: payment, where: cast(purpose as int) > 0, when: amount > 0, key: [] }
  - { id: measures, severity: low, trigger: payment, over: { by: [], last: 1d }, measure: { n: sum(cast(purpose as int)) }, when: n > 0, key: [] }
  - { id: overflows, severity: low, trigger: payment, over: { by: [], last: 1d }, measure: { n: sum(amount * 1000000000000000000000) }, when: n > 0, key: [] }
  - { id: divides-later, severity: low, trigger: payment, over: { by: [], last: 1d }, measure: { n: count(*) }, when: 1 / (n - 2) > -5, key: [] }
  - { id: closes, severity: low, trigger: window, of: payment, window: { by: [unit_code], size: 1d }, measure: { n: sum(amount) / (count(*) - 4) }, when: n > 0, key: [] }
  - { id: queries, severity: low, trigger: schedule, every: 1d, sql: \"SELECT cast(purpose AS int) AS n FROM payments WHERE purpose = 'paper'\", key: [n] }
  - { id: good, severity: low, trigger: payment, when: amount > 0, key: [] }
";

#[test]
fn errors_are_counted_by_rule_and_stop_nothing() {
    let events: Vec<_> = (1..=4)
        .map(|n| {
            let mut event = payment(&format!("e{n}"), "L", &format!("{n}.00"));
            event["purpose"] = json!(if n == 2 { "paper" } else { "7" });
            event["occurred_at"] = json!(format!("2026-03-04T1{n}:00:00+08:00"));
            event
        })
        .collect();
    let mut later = payment("later", "L", "9000000000000000.00");
    later["occurred_at"] = json!("2026-03-06T10:00:00+08:00");
    // Windows and ticks wait for a second event that says the same of time.
    let mut confirms = payment("confirms", "L", "5.00");
    confirms["type"] = json!("application");
    confirms["occurred_at"] = json!("2026-03-06T10:00:01+08:00");
    let bench = Bench::new("", "state: { dir: state }\n");
    std::fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    let daemon = Daemon::start(bench.path());
    // In one batch: a row that fails must not take its neighbours with it.
    let (status, answer) = daemon.post("/api/v1/events", &lines(&[&events[..], &[later, confirms]].concat()));
    assert_eq!((status, answer.as_str()), (200, "{\"accepted\":6,\"duplicates\":0,\"rejected\":0}"));
    crate::support::wait_until(|| daemon.json("/api/v1/status")["rule_errors"]["queries"]["errors"] == 2);
    let status = daemon.json("/api/v1/status");
    let errors = status["rule_errors"].as_object().unwrap();
    let counted: Vec<_> = errors.iter().map(|(id, e)| (id.as_str(), e["errors"].as_u64().unwrap())).collect();
    let expected = [
        ("casts", 1),
        ("closes", 1),
        ("divides", 1),
        ("divides-later", 1),
        ("measures", 1),
        ("overflows", 1),
        ("queries", 2),
    ];
    assert_eq!(counted, expected, "{status}");
    assert!(errors.values().all(|e| !e["last_error"].as_str().unwrap().is_empty()));
    let found = daemon.json("/api/v1/findings?limit=1000");
    let of =
        |rule: &str| found["findings"].as_array().unwrap().iter().filter(|f| f["rule_id"] == rule).count();
    assert_eq!(
        (of("good"), of("divides"), of("casts"), of("measures"), of("divides-later")),
        (5, 2, 3, 3, 4)
    );
    let metrics = daemon.get("/metrics").1;
    assert!(metrics.contains("fiscwatch_rule_errors_total{rule=\"divides\"} 1"), "{metrics}");
}
