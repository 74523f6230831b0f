//! Alerts from their first finding to their end: what opens, joins, resolves and reopens them, whatever the batches are.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Bench, lines, payment, random_events, run_once};

const CONFIG: &str = "
sources: [{ name: feed, file: { path: events.jsonl } }]
state: { dir: state }
sinks: [{ name: console, log: {} }]
routes: { group_wait: 0s }
";

fn budget(id: &str, action: &str, line: &str, amount: &str) -> Value {
    json!({"event_id": id, "type": "budget", "action": action, "occurred_at": "2026-03-04T09:00:00+08:00",
        "budget_line_id": line, "amount": amount, "fiscal_year": 2026, "region_code": "330100000",
        "unit_code": "101001", "function_code": "2050201", "economic_code": "30201"})
}

/// What one run leaves: for each alert its rule, key, state, number of findings and history.
fn alerts(events: &[Value], batch_rows: usize) -> Vec<String> {
    let config = format!("{CONFIG}engine: {{ batch_rows: {batch_rows} }}\n");
    let bench = Bench::new(&lines(events), &config);
    assert!(run_once(&bench).wait().unwrap().success());
    told(&bench)
}

fn told(bench: &Bench) -> Vec<String> {
    let connection = Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    let sql = "SELECT a.alert_id, a.rule_id || ' ' || a.key || ' ' || a.state || ' ' || json_extract(a.body, '$.findings')
                 || coalesce(' after ' || json_extract(a.body, '$.previous'), '')
                 || ': ' || (SELECT group_concat(h.action || coalesce(' (' || h.why || ')', ''), ', ')
                             FROM (SELECT * FROM alert_history WHERE alert_id = a.alert_id ORDER BY seq) h)
               FROM alerts a ORDER BY json_extract(a.body, '$.first_at'), a.alert_id";
    let mut statement = connection.prepare(sql).unwrap();
    let rows =
        statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
    let rows: Vec<_> = rows.map(Result::unwrap).collect();
    // Ids are digests; numbers in the order of the alerts read better.
    let name = |text: String| {
        rows.iter().enumerate().fold(text, |text, (n, (id, _))| text.replace(id.as_str(), &format!("#{n}")))
    };
    rows.iter().map(|(_, text)| name(text.clone())).collect()
}

#[test]
fn a_condition_that_stops_being_true_resolves_its_alert() {
    let at = |mut event: Value, minute: u32| {
        event["occurred_at"] = json!(format!("2026-03-04T10:{minute:02}:00+08:00"));
        event
    };
    let mut transfer = budget("b3", "transfer", "L2", "300");
    transfer["to_budget_line_id"] = json!("L1");
    let events = [
        at(budget("b1", "approve", "L1", "100"), 0),
        at(budget("b2", "approve", "L2", "1000"), 1),
        // Over, and over again: one alert with two findings.
        at(payment("p1", "L1", "150"), 2),
        at(payment("p2", "L1", "10"), 3),
        // An adjustment from another line ends it, though that event is not about this line.
        at(transfer, 4),
        // Over once more: another alert, linked to the last.
        at(payment("p3", "L1", "500"), 5),
        // A little more does not suffice, and then it does.
        at(budget("b4", "supplement", "L1", "10"), 6),
        at(budget("b5", "supplement", "L1", "250"), 7),
    ];
    let expected = [
        "over-budget {\"budget_line_id\":\"L1\"} resolved 2: opened, resolve (L1 b3)",
        "over-budget {\"budget_line_id\":\"L1\"} resolved 1 after #0: opened, resolve (L1 b5)",
    ];
    for batch_rows in [1, 3, 1000] {
        assert_eq!(alerts(&events, batch_rows), expected, "{batch_rows} rows a batch");
    }
}

#[test]
fn alerts_do_not_depend_on_how_the_stream_is_cut() {
    let events = random_events(11, 1500);
    let expected = alerts(&events, 1000);
    assert!(expected.iter().any(|alert| alert.contains(" resolved ")), "{expected:?}");
    assert!(expected.iter().any(|alert| alert.contains(" after #")));
    for batch_rows in [1, 37] {
        assert_eq!(alerts(&events, batch_rows), expected, "{batch_rows} rows a batch");
    }
}

/// An alert holds as many findings as there are of its rule and key until it is over, and shadow rules have none.
#[test]
fn every_live_finding_is_in_exactly_one_alert() {
    let bench = Bench::new(&lines(&random_events(12, 1500)), CONFIG);
    assert!(run_once(&bench).wait().unwrap().success());
    let connection = Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert!(count("SELECT count(*) FROM findings WHERE mode = 'live'") > 50);
    assert!(count("SELECT count(*) FROM findings WHERE mode = 'shadow'") > 50);
    assert_eq!(
        count(
            "SELECT count(*) FROM findings f WHERE (mode = 'live') <> ((SELECT count(*) FROM alert_findings WHERE finding = f.seq) = 1)"
        ),
        0
    );
    let wrong = "SELECT count(*) FROM alerts a WHERE json_extract(body, '$.findings') <>
                 (SELECT count(*) FROM alert_findings WHERE alert_id = a.alert_id)";
    assert_eq!(count(wrong), 0);
    let twice = "SELECT count(*) FROM (SELECT rule_id, key FROM alerts WHERE state = 'open' GROUP BY 1, 2 HAVING count(*) > 1)";
    assert_eq!(count(twice), 0);
    // Everything that is open was told, once.
    assert_eq!(count("SELECT count(*) FROM outbox"), 0);
    assert_eq!(count("SELECT count(*) FROM notifications WHERE state <> 'sent'"), 0);
}
