//! Findings and balances depend on the events and their order, and on nothing else.

use serde_json::Value;

use crate::support::{Bench, lines, payment, random_events, run};

const SOURCE: &str = "sources: [{ name: feed, file: { path: events.jsonl } }]\nstate: { dir: state, checkpoint_events: 700 }\n";

/// Reads everything into a state of its own, so many rows a batch.
fn run_once(bench: &Bench, rows: &str) {
    let _ = std::fs::remove_dir_all(bench.path().join("state"));
    let mut command = crate::support::fiscwatch();
    command.current_dir(bench.path()).args(["run", "--once", "--config", "fiscwatch.yaml"]);
    let output = command.env("FISCWATCH_ENGINE__BATCH_ROWS", rows).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn batch_sizes_and_the_daemon_give_what_one_batch_gives() {
    let bench = Bench::new(&lines(&random_events(11, 4000)), SOURCE);
    let expected = bench.backtest(&["--batch-rows", "65536"]);
    assert!(expected.0.len() > 200, "the rules must find something");
    for rows in ["1", "7", "1000"] {
        assert_eq!(bench.backtest(&["--batch-rows", rows]), expected, "--batch-rows {rows}");
    }
    for rows in ["1", "7", "1000", "65536"] {
        run_once(&bench, rows);
        assert_eq!(bench.state(), expected, "run with batch_rows {rows}");
    }
}

/// A rule that is due every noon cuts batches; those on events and windows judge what lies between the cuts as one.
const CUTTING: &str = "
rules:
  - id: busy
    severity: low
    trigger: schedule
    cron: '15 12 * * *'
    sql: >
      SELECT p.unit_code, count(*) AS n, sum(p.amount) AS total, max(l.executed) AS executed,
             (SELECT count(*) FROM findings) AS before
      FROM payments p JOIN budget_lines l ON l.budget_line_id = p.budget_line_id
      WHERE p.occurred_at >= now - interval '2 days' GROUP BY p.unit_code HAVING count(*) >= 2
    key: [unit_code]
    summary: '{{ unit_code }} {{ n }} {{ total }} {{ executed }} {{ before }}'
  - id: daily
    severity: low
    trigger: window
    of: payment
    window: { by: [unit_code], size: 1d }
    measure: { n: count(*), total: sum(amount) }
    when: n >= 2
    key: [unit_code]
    summary: '{{ n }} {{ total }}'
  - id: before
    severity: medium
    trigger: payment
    over: { by: [budget_line_id], last: 3d }
    measure: { n: count(*), total: sum(amount) }
    when: n >= 2 and budget.executed > total
    key: [budget_line_id]
    summary: '{{ n }} {{ total }}'
";

#[test]
fn schedules_that_are_due_within_a_batch_change_nothing_for_other_rules() {
    let mut events = random_events(14, 600);
    events.retain(|event| event["occurred_at"].is_i64());
    events.sort_by_key(|event| event["occurred_at"].as_i64());
    // Some come late.
    for late in (7..events.len()).step_by(13) {
        events.swap(late - 5, late);
    }
    let config = format!("{SOURCE}engine: {{ keep_late: 2d }}\n");
    let bench = Bench::new(&lines(&events), &config);
    std::fs::write(bench.path().join("rules/cutting.yaml"), CUTTING).unwrap();
    let expected = bench.backtest(&["--batch-rows", "1"]);
    for rule in ["busy", "daily", "before", "over-budget"] {
        let of_rule =
            expected.0.iter().filter(|finding| finding.contains(&format!("\"rule_id\":\"{rule}\"")));
        assert!(of_rule.count() > 5, "{rule}");
    }
    assert_eq!(bench.backtest(&["--batch-rows", "65536"]), expected);
    let mut alerts: Vec<Vec<(Value, Value, Value)>> = Vec::new();
    for rows in ["1", "65536"] {
        run_once(&bench, rows);
        assert_eq!(bench.state(), expected, "run with batch_rows {rows}");
        let all = ["alerts", "list", "--state", "all", "-n", "1000", "--json", "--config", "fiscwatch.yaml"];
        let (code, told, err) = run(bench.path(), &all);
        assert_eq!(code, Some(0), "{err}");
        let told = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let of = |alert: Value| (alert["rule_id"].clone(), alert["state"].clone(), alert["findings"].clone());
        alerts.push(told.map(of).collect());
    }
    // An alert whose condition stops being true resolves after the event that says so, wherever the batch is cut.
    assert!(alerts[0].iter().any(|(_, state, _)| state == "resolved"), "{:?}", alerts[0]);
    assert!(alerts.iter().all(|those| *those == alerts[0]), "{alerts:#?}");
}

#[test]
fn events_known_already_change_nothing() {
    let bench = Bench::new(&lines(&random_events(12, 1000)), SOURCE);
    let once = bench.backtest(&[]);
    let args = [
        "backtest",
        "--config",
        "fiscwatch.yaml",
        "--findings",
        "f2.jsonl",
        "--ledger",
        "l2.jsonl",
        "--events",
        "events.jsonl",
        "events.jsonl",
    ];
    let (code, _, err) = run(bench.path(), &args);
    assert_eq!(code, Some(0));
    assert_eq!(crate::support::file_lines(&bench.path().join("f2.jsonl")), once.0);
    assert_eq!(crate::support::file_lines(&bench.path().join("l2.jsonl")), once.1);
    assert!(!err.contains(" 0 duplicates"), "{err}");
}

#[test]
fn from_and_to_limit_the_findings_and_not_the_events() {
    let bench = Bench::new(&lines(&random_events(13, 2000)), SOURCE);
    let (all, ledger) = bench.backtest(&[]);
    let (some, same) = bench.backtest(&["--from", "2025-04-01", "--to", "2025-05-01"]);
    let april = |f: &&String| f.contains("\"at\":\"2025-04");
    assert_eq!(some, all.iter().filter(april).cloned().collect::<Vec<_>>());
    assert!(!some.is_empty());
    assert_eq!(ledger, same);
}

/// A finding about an application is no share of the payments.
#[test]
fn the_share_of_payments_counts_payments() {
    let mut events: Vec<Value> = (0..5).map(|n| payment(&format!("a{n}"), "L1", "5.00")).collect();
    events.iter_mut().for_each(|event| event["type"] = "application".into());
    events.extend([payment("p1", "L1", "5.00"), payment("p2", "L1", "5.00")]);
    let bench = Bench::new(&lines(&events), "");
    let args = ["backtest", "--config", "fiscwatch.yaml", "--events", "events.jsonl"];
    let (code, _, err) = run(bench.path(), &args);
    assert_eq!(code, Some(0), "{err}");
    let row = err.lines().find(|line| line.starts_with("over-budget")).unwrap();
    assert!(row.contains(" 7 ") && row.contains("100.000 %"), "{row}");
}
