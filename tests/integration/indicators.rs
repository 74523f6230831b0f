//! 绩效: statements about indicators from the wire to the ledger, the API, rules and queries, and over restarts.

use serde_json::{Value, json};

use crate::support::{Bench, Daemon, file_lines, lines, payment, run};

const RULES: &str = "
rules:
  - id: behind
    title: behind
    severity: medium
    trigger: indicator
    when: achievement(target, actual, direction) < 0.5 and budget.executed > 0
    key: [indicator_id]
    summary: '{{ indicator_name }} {{ actual|number }} of {{ target|number }}, {{ budget.executed }} spent'
  - id: results
    title: results
    severity: low
    trigger: schedule
    every: 1d
    sql: SELECT indicator_id, target, actual, achievement, due FROM indicators WHERE achievement < 0.9
    key: [indicator_id]
";
const CONFIG: &str =
    "sources: [{ name: feed, file: { path: events.jsonl } }]\nengine: { max_future: 9999d }\n";

fn statement(id: &str, at: &str, more: &Value) -> Value {
    let mut event = json!({"event_id": id, "type": "indicator", "occurred_at": at, "indicator_id": "I1", "indicator_name": "培训人次",
        "fiscal_year": 2026, "project_code": "X1", "unit_code": "101001", "budget_line_id": "L1", "target": "400"});
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

fn events() -> Vec<Value> {
    vec![
        statement("s1", "2026-01-05T09:00:00+08:00", &json!({})),
        payment("p1", "L1", "100.00"),
        statement("s2", "2026-07-01T09:00:00+08:00", &json!({"actual": "180.5"})),
        // Arrives late and is older: it is judged at its own time, and the ledger keeps the later one.
        statement("s3", "2026-06-01T09:00:00+08:00", &json!({"actual": 20})),
        statement(
            "s4",
            "2026-07-02T09:00:00+08:00",
            &json!({"indicator_id": "I2", "budget_line_id": null, "target": 10, "actual": 20, "direction": "at_most"}),
        ),
        // The same record again, and the same id with another target.
        statement("s2", "2026-07-01T01:00:00Z", &json!({"actual": "180.500"})),
        statement("s2", "2026-07-01T09:00:00+08:00", &json!({"target": "401", "actual": "180.5"})),
        statement("s5", "2026-07-05T09:00:00+08:00", &json!({"indicator_id": "I3", "target": "0.0000001"})),
    ]
}

fn bench() -> Bench {
    let bench = Bench::new(&lines(&events()), CONFIG);
    std::fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    bench
}

fn command(bench: &Bench, args: &[&str]) -> String {
    let (code, out, err) = run(bench.path(), &[args, &["--config", "fiscwatch.yaml"]].concat());
    assert_eq!(code, Some(0), "{args:?}: {out}{err}");
    out
}

#[test]
fn statements_are_kept_judged_and_shown() {
    let bench = bench();
    command(&bench, &["run", "--once"]);
    let listed = command(&bench, &["budget", "indicators", "--json"]);
    let listed: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = json!({"indicator_id": "I1", "indicator_name": "培训人次", "fiscal_year": 2026, "project_code": "X1", "region_code": null,
        "unit_code": "101001", "unit_name": null, "budget_line_id": "L1", "direction": "at_least", "target": "400", "actual": "180.5",
        "achievement": "0.45125", "due": "2027-01-01T00:00:00+08:00", "stated_at": "2026-07-01T09:00:00+08:00"});
    assert_eq!(listed[0], expected);
    assert_eq!((listed.len(), &listed[1]["achievement"]), (2, &json!("0.5")));
    assert_eq!(command(&bench, &["budget", "indicators", "--json", "--project", "X9"]), "");
    let rejects = command(&bench, &["rejects", "list", "--json"]);
    let reasons: Vec<&str> =
        ["bad_number", "conflict"].into_iter().filter(|reason| rejects.contains(reason)).collect();
    assert_eq!((reasons, rejects.lines().count()), (vec!["bad_number", "conflict"], 2), "{rejects}");
    assert!(rejects.contains(r#"target \"0.0000001\": more than 6 decimals"#), "{rejects}");

    command(&bench, &["backtest", "--events", "events.jsonl", "--findings", "f", "--ledger", "l"]);
    let findings = command(&bench, &["findings", "export"]);
    assert_eq!(findings.lines().collect::<Vec<_>>(), file_lines(&bench.path().join("f")));
    let summaries: Vec<String> = findings
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|finding| finding["rule_id"] == "behind")
        .map(|finding| finding["summary"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(summaries, ["培训人次 180.5 of 400, 100.00 spent", "培训人次 20 of 400, 100.00 spent"]);
    // No statement is a budget line, or opens one.
    assert_eq!(file_lines(&bench.path().join("l")).len(), 1);
    let query = "SELECT i.indicator_id, count(*) AS n FROM indicators i JOIN indicator_statements s ON s.indicator_id = i.indicator_id GROUP BY 1 ORDER BY 1";
    let counted = command(&bench, &["state", "query", query, "--json"]);
    let counted: Vec<Value> = counted.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(counted, [json!({"indicator_id": "I1", "n": 3}), json!({"indicator_id": "I2", "n": 1})]);
    assert!(command(&bench, &["state", "verify"]).contains("2 indicators"));
}

#[test]
fn indicators_outlive_the_daemon_and_damage_to_them_is_named() {
    let bench = bench();
    let show = |daemon: &Daemon| daemon.json("/api/v1/indicators?limit=1");
    let daemon = Daemon::start(bench.path());
    crate::support::wait_until(|| daemon.json("/api/v1/indicators/I2")["actual"] == "20");
    let before = show(&daemon);
    assert_eq!(
        (before["indicators"][0]["actual"].as_str(), before["next"].as_str()),
        (Some("180.5"), Some("I1"))
    );
    assert_eq!(daemon.json("/api/v1/indicators?after=I1")["indicators"][0]["indicator_id"], "I2");
    assert_eq!(daemon.get("/api/v1/indicators/none").0, 404);
    drop(daemon);
    let daemon = Daemon::start(bench.path());
    // The first one may have died before it committed what it showed.
    crate::support::wait_until(|| show(&daemon) == before);
    drop(daemon);
    // The end of a bounded run makes a checkpoint.
    command(&bench, &["run", "--once"]);
    let database = bench.path().join("state/fiscwatch.db");
    let connection = rusqlite::Connection::open(database).unwrap();
    assert_eq!(
        connection.execute("UPDATE indicators SET actual = '181' WHERE indicator_id = 'I1'", []).unwrap(),
        1
    );
    drop(connection);
    let (code, out, err) = run(bench.path(), &["state", "verify", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("indicator I1 is not as the journal gives it"), "{out}{err}");
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert!(code == Some(1) && err.contains("indicators"), "{err}");
}
