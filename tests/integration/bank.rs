//! What the bank says: confirmations and receipts from the wire to the ledger, the API, rules and the statement of a day, in any
//! order and over restarts.

use serde_json::{Value, json};

use crate::support::{Bench, Daemon, file_lines, lines, payment, run, wait_until};

const RULES: &str = "
rules:
  - id: underpaid
    title: underpaid
    severity: high
    trigger: confirmation
    when: original.cleared <> original.amount
    key: [budget_line_id, original.payee_account]
    summary: '{{ original.cleared }} of {{ original.amount }}, {{ budget.uncleared }} open'
  - id: received
    title: received
    severity: low
    trigger: receipt
    when: amount > 1
    key: [account]
  - id: told
    title: told
    severity: low
    trigger: schedule
    every: 1d
    sql: >-
      SELECT c.event_id, c.budget_line_id, l.cleared, l.uncleared FROM confirmations c
      JOIN budget_lines l ON l.budget_line_id = c.budget_line_id CROSS JOIN (SELECT count(*) AS n FROM receipts) r
      WHERE r.n > 0
    key: [event_id]
";
const CONFIG: &str =
    "sources: [{ name: feed, file: { path: events.jsonl } }]\nengine: { max_future: 9999d }\n";

fn confirmation(id: &str, of: &str, status: &str, amount: &str, more: &Value) -> Value {
    let mut event = json!({"event_id": id, "type": "confirmation", "occurred_at": "2026-03-05T15:00:00+08:00",
        "original_event_id": of, "status": status, "amount": amount, "bank_ref": format!("B-{id}")});
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

fn paid(id: &str, line: &str, amount: &str) -> Value {
    let mut event = payment(id, line, amount);
    event["occurred_at"] = json!("2026-03-05T10:00:00+08:00");
    event
}

fn events() -> Vec<Value> {
    let receipt = json!({"event_id": "r1", "type": "receipt", "occurred_at": "2026-03-05T16:00:00+08:00", "account": "A1",
        "payer_name": "省财政厅", "payer_account": "3300", "amount": "500"});
    vec![
        paid("p1", "L1", "100"),
        paid("p2", "L2", "40"),
        confirmation("k1", "p1", "partial", "60", &json!({})),
        // Before its payment, on a line that only the bank names, and of a payment that never comes.
        confirmation("k2", "p3", "paid", "7", &json!({})),
        confirmation("k3", "p2", "paid", "40", &json!({"budget_line_id": "L1"})),
        confirmation("k4", "nobodys", "paid", "9.5", &json!({})),
        confirmation("k5", "nobodys", "returned", "0.5", &json!({})),
        receipt,
        paid("p3", "L2", "7"),
        confirmation("k6", "p1", "returned", "10", &json!({"occurred_at": "2026-03-06T09:00:00+08:00"})),
        // The same once more, and a status that there is not.
        confirmation("k1", "p1", "partial", "60.00", &json!({})),
        confirmation("k9", "p1", "lost", "1", &json!({})),
    ]
}

fn command(bench: &Bench, args: &[&str]) -> String {
    let (code, out, err) = run(bench.path(), &[args, &["--config", "fiscwatch.yaml"]].concat());
    assert_eq!(code, Some(0), "{args:?}: {out}{err}");
    out
}

fn bench(events: &[Value]) -> Bench {
    let bench = Bench::new(&lines(events), CONFIG);
    std::fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    bench
}

fn cleared(bench: &Bench) -> Vec<(String, String, String, String)> {
    let text = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    let lines = command(bench, &["budget", "export"]);
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|l| {
            (text(&l, "budget_line_id"), text(&l, "executed"), text(&l, "cleared"), text(&l, "uncleared"))
        })
        .collect()
}

#[test]
fn what_the_bank_says_is_booked_judged_and_told() {
    let bench = bench(&events());
    command(&bench, &["run", "--once"]);
    let of = |line: &str, executed: &str, cleared: &str, uncleared: &str| {
        (line.to_owned(), executed.to_owned(), cleared.to_owned(), uncleared.to_owned())
    };
    let expected = [of("L1", "100.00", "90.00", "10.00"), of("L2", "47.00", "7.00", "40.00")];
    assert_eq!(cleared(&bench), expected);
    let rejects = command(&bench, &["rejects", "list", "--json"]);
    assert!(rejects.lines().count() == 1 && rejects.contains("unknown_value"), "{rejects}");

    command(&bench, &["backtest", "--events", "events.jsonl", "--findings", "f", "--ledger", "l"]);
    let findings = command(&bench, &["findings", "export"]);
    assert_eq!(findings.lines().collect::<Vec<_>>(), file_lines(&bench.path().join("f")));
    let found: Vec<Value> = findings.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_rule = |rule: &str| found.iter().filter(|f| f["rule_id"] == rule).collect::<Vec<_>>();
    let underpaid: Vec<_> = of_rule("underpaid").iter().map(|f| f["summary"].as_str().unwrap()).collect();
    assert_eq!(underpaid, ["60.00 of 100.00, 40.00 open", "50.00 of 100.00, 10.00 open"]);
    assert_eq!(of_rule("underpaid")[0]["key"]["budget_line_id"], "L1", "the line of its payment");
    assert_eq!((of_rule("received").len(), of_rule("told").len()), (1, 3), "{findings}");
    command(&bench, &["state", "verify", "--findings"]);
}

/// A statement of a day, and its sums.
#[test]
fn a_day_ties() {
    let bench = bench(&events());
    command(&bench, &["run", "--once"]);
    let day = |day: &str| -> Value {
        serde_json::from_str(&command(&bench, &["completeness", "--day", day, "--json"])).unwrap()
    };
    let figure = |count: u64, amount: &str| json!({"count": count, "amount": amount});
    let fifth = day("2026-03-05");
    let expected = [
        ("ordered", figure(3, "147.00")),
        ("cleared", figure(2, "97.00")),
        ("open", figure(1, "50.00")),
        ("budgeted", figure(0, "0.00")),
        ("unbudgeted", figure(3, "147.00")),
        ("confirmed", figure(5, "116.00")),
        ("matched", figure(3, "107.00")),
        ("without_order", figure(2, "9.00")),
    ];
    for (name, expected) in expected {
        assert_eq!(fifth[name], expected, "{name}: {fifth}");
    }
    let sixth = day("2026-03-06");
    assert_eq!((&sixth["ordered"], &sixth["matched"]), (&figure(0, "0.00"), &figure(1, "-10.00")), "{sixth}");
    let shown = command(&bench, &["completeness", "--day", "2026-03-05"]);
    assert!(shown.lines().all(|line| line.chars().count() <= 130), "{shown}");
    let (code, _, err) = run(bench.path(), &["completeness", "--day", "5.3.", "--config", "fiscwatch.yaml"]);
    assert!(code == Some(1) && err.contains("write it as 2026-03-05"), "{err}");
}

/// Wherever the daemon is started again, the books are the same, and so is what waits.
#[test]
fn a_restart_between_a_confirmation_and_its_payment_changes_nothing() {
    let all = events();
    let whole = bench(&all);
    command(&whole, &["run", "--once"]);
    let expected = cleared(&whole);
    let sent = bench(&[]);
    std::fs::write(sent.path().join("events.jsonl"), lines(&all[..1])).unwrap();
    for cut in 1..all.len() {
        command(&sent, &["run", "--once"]);
        crate::support::append(&sent.path().join("events.jsonl"), &lines(&all[cut..=cut]));
    }
    let daemon = Daemon::start(sent.path());
    crate::support::wait_until(|| daemon.json("/api/v1/status")["journal_events"] == 10);
    let status = daemon.json("/api/v1/status");
    assert_eq!(status["payments_awaited"], 1, "{status}");
    let (code, metrics) = daemon.get("/metrics");
    assert!(code == 200 && metrics.contains("fiscwatch_payments_awaited 1"), "{metrics}");
    let told = daemon.json("/api/v1/completeness?day=2026-03-05");
    assert_eq!(told["without_order"], json!({"count": 2, "amount": "9.00"}), "{told}");
    let line = daemon.json("/api/v1/budget-lines/L1");
    assert_eq!((&line["cleared"], &line["uncleared"]), (&json!("90.00"), &json!("10.00")));
    assert_eq!(daemon.get("/api/v1/completeness?day=x").0, 400);
    daemon.stop("-TERM");
    assert_eq!(cleared(&sent), expected);
}

#[test]
fn the_statement_of_yesterday_is_a_metric() {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let now = jiff::Timestamp::from_second(i64::try_from(now).unwrap()).unwrap();
    let today = jiff::tz::TimeZone::get("Asia/Shanghai").unwrap().to_datetime(now).date();
    let at = json!(format!("{}T10:00:00+08:00", today.yesterday().unwrap()));
    let mut events = [
        payment("p1", "L1", "100"),
        payment("p2", "L1", "50.5"),
        confirmation("k1", "p1", "paid", "100", &json!({})),
    ];
    events.iter_mut().for_each(|event| event["occurred_at"] = at.clone());
    let bench = bench(&events);
    command(&bench, &["run", "--once"]);
    let daemon = Daemon::start(bench.path());
    let metrics = || daemon.get("/metrics").1;
    wait_until(|| metrics().contains("fiscwatch_completeness_records{figure=\"ordered\"} 2"));
    for figure in
        ["ordered\"} 150.5", "cleared\"} 100", "open\"} 50.5", "matched\"} 100", "without_order\"} 0"]
    {
        let line = format!("fiscwatch_completeness_amount{{figure=\"{figure}\n");
        assert!(metrics().contains(&line), "{line}{}", metrics());
    }
    assert_eq!(daemon.stop("-TERM"), Some(0));
}
