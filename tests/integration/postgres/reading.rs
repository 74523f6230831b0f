//! Rows become events, each once.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{bench, config, schema, server, server::Server};
use crate::support::{Bench, Daemon, assert_same, lines, random_events, run, wait_until};

fn journal(daemon: &Daemon) -> i64 {
    daemon.json("/api/v1/status")["journal_events"].as_i64().unwrap()
}

fn source(daemon: &Daemon) -> Value {
    daemon.json("/api/v1/status")["sources"]["core"].clone()
}

fn rejects(bench: &Bench) -> Vec<(String, String, String)> {
    let all = ["rejects", "list", "--limit", "100000", "--json", "--config", "fiscwatch.yaml"];
    let (code, out, err) = run(bench.path(), &all);
    assert_eq!(code, Some(0), "{err}");
    let parse = |line: &str| -> (String, String, String) {
        let reject: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| reject[name].as_str().unwrap_or_default().to_owned();
        (text("reason"), text("detail"), text("raw"))
    };
    out.lines().map(parse).collect()
}

/// Events that a table with typed columns can hold: times as times, amounts as numbers.
pub fn events(seed: u64, count: usize) -> Vec<Value> {
    let mut events = random_events(seed, count);
    events.retain(|event| event["amount"] != "many");
    for (n, event) in events.iter_mut().enumerate() {
        if let Some(millis) = event["occurred_at"].as_i64() {
            event["occurred_at"] = json!(jiff::Timestamp::from_millisecond(millis).unwrap().to_string());
        }
        event["seq"] = json!(n);
    }
    events
}

/// A table for them.
pub fn make_table(server: &Server, table: &str, events: &[Value]) {
    let names: BTreeSet<&str> =
        events.iter().flat_map(|event| event.as_object().unwrap().keys()).map(String::as_str).collect();
    let columns: Vec<_> = names
        .into_iter()
        .map(|name| match name {
            "seq" => String::from("seq bigint PRIMARY KEY"),
            "amount" | "target" | "actual" => format!("{name} numeric"),
            "fiscal_year" => format!("{name} integer"),
            "occurred_at" => format!("{name} timestamptz"),
            _ => format!("{name} text"),
        })
        .collect();
    server.sql(&format!("CREATE TABLE {table} ({})", columns.join(", ")));
}

pub fn insert(server: &Server, table: &str, events: &[Value]) {
    let rows = Value::from(events.to_vec()).to_string().replace('\'', "''");
    server
        .sql(&format!("INSERT INTO {table} SELECT * FROM json_populate_recordset(null::{table}, '{rows}')"));
}

#[test]
fn a_table_gives_what_its_lines_give_whoever_is_killed() {
    let Some(mut server) = Server::start() else { return };
    schema(&server, "pay");
    let events = events(31, 3000);
    make_table(&server, "pay.event", &events);
    let bench = bench(&lines(&events), &config(&server, "table: pay.event, cursor: seq", ", page_rows: 300"));
    let expected = bench.backtest(&[]);
    // Daemon and database die in turn, mostly while rows are on their way.
    for (n, part) in events.chunks(400).enumerate() {
        let daemon = Daemon::launch(bench.path());
        let before = journal(&daemon);
        insert(&server, "pay.event", part);
        wait_until(|| journal(&daemon) > before);
        if n % 3 == 1 {
            server.kill();
            wait_until(|| !source(&daemon)["troubles"].as_object().unwrap().is_empty());
            server.restart();
            wait_until(|| source(&daemon)["troubles"] == json!({}));
        }
        // The drop is a kill -9.
    }
    let daemon = Daemon::start(bench.path());
    wait_until(|| source(&daemon)["partitions"]["pay.event"]["next"] == events.len());
    assert_eq!(daemon.stop("-TERM"), Some(0));
    assert_same(&bench.state(), &expected, "the table after kills");

    // A run that nobody disturbs: nothing is in quarantine twice.
    let once = super::bench("", &config(&server, "table: pay.event, cursor: seq", ""));
    let (code, _, err) = run(once.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    assert_same(&once.state(), &expected, "the table read once");
    // Within a commit their order is that of the reasons, and who has forgotten an event cannot say where another differs.
    let sorted = |bench: &Bench| {
        let mut rejects: Vec<_> = rejects(bench).into_iter().map(|(reason, _, raw)| (reason, raw)).collect();
        rejects.sort();
        rejects
    };
    assert!(sorted(&once).len() > 20);
    assert_eq!(sorted(&bench), sorted(&once));
}

/// A row of a payment, for a table that `payments_table` has made.
fn payment(n: usize, at: &str) -> String {
    format!(
        "('p{n}', 'payment', '2026-03-04 10:00:00+08', 'L', 2026, '330100000', '101001', '2050201', '30201', 'direct', \
         'transfer', '杭州某公司', '33010160006', 'entity', 1.00, {at})"
    )
}

fn payments_table(server: &Server, name: &str) {
    server.sql(&format!(
        "CREATE TABLE {name} (event_id text PRIMARY KEY, type text, occurred_at timestamptz, budget_line_id text, \
         fiscal_year int, region_code text, unit_code text, function_code text, economic_code text, payment_mode text, \
         settlement text, payee_name text, payee_account text, payee_type text, amount numeric(18, 2), written timestamptz)"
    ));
}

#[test]
fn rows_with_equal_cursors_and_rows_that_are_committed_late_come_once() {
    let Some(server) = server::shared() else { return };
    schema(server, "late");
    payments_table(server, "late.p");
    let config = config(server, "table: late.p, cursor: written", ", page_rows: 100");
    let bench = bench("", &config);
    let daemon = Daemon::start(bench.path());
    let rows = |numbers: std::ops::Range<usize>, at: &str| {
        let rows: Vec<_> = numbers.map(|n| payment(n, at)).collect();
        format!("INSERT INTO late.p VALUES {}", rows.join(", "))
    };
    // Ten pages with one value, some of them later.
    server.sql(&rows(0..1000, "'2026-03-04 10:00:00+08'"));
    wait_until(|| journal(&daemon) == 1000);
    server.sql(&rows(1000..1001, "'2026-03-04 10:00:00+08'"));
    wait_until(|| journal(&daemon) == 1001);
    // A transaction that is open while later ones are committed and read.
    let slow = server.session();
    slow.sql("BEGIN");
    slow.sql(&rows(1001..1002, "'2026-03-04 10:00:01+08'"));
    server.sql(&rows(1002..1003, "'2026-03-04 10:05:00+08'"));
    wait_until(|| journal(&daemon) == 1002);
    slow.sql("COMMIT");
    wait_until(|| journal(&daemon) == 1003);
    // What lies further back than the overlap is not read any more.
    server.sql(&rows(1003..1004, "'2026-03-04 09:54:59+08'"));
    server.sql(&rows(1004..1005, "'2026-03-04 09:55:01+08'"));
    wait_until(|| journal(&daemon) == 1004);
    let told = source(&daemon);
    assert_eq!(told["rows_late"], 3, "{told}");
    assert!(told["rows_again"].as_u64().unwrap() > 1000, "{told}");
    assert_eq!(daemon.json("/api/v1/status")["since_start"]["duplicates"], 0);
    let metrics = daemon.get("/metrics").1;
    assert!(
        metrics.contains("fiscwatch_source_overlap_rows_total{kind=\"late\",source=\"core\"} 3"),
        "{metrics}"
    );
    drop(daemon);

    // A restart knows the latest rows, and the ids of all others.
    let daemon = Daemon::start(bench.path());
    server.sql(&rows(1005..1006, "'2026-03-04 10:06:00+08'"));
    wait_until(|| journal(&daemon) == 1005);
    let duplicates = daemon.json("/api/v1/status")["since_start"]["duplicates"].as_u64().unwrap();
    assert!(duplicates <= 4, "{duplicates} rows were taken for new ones");
    assert_eq!(daemon.stop("-TERM"), Some(0));
    assert_eq!(rejects(&bench), []);
}

#[test]
fn a_row_in_quarantine_is_there_once_and_a_row_that_changes_is_a_conflict() {
    let Some(server) = server::shared() else { return };
    schema(server, "quarantine");
    payments_table(server, "quarantine.p");
    let bench = bench("", &config(server, "table: quarantine.p, cursor: written", ""));
    let wrong = payment(1, "now()").replace("'direct'", "'by hand'");
    server.sql(&format!("INSERT INTO quarantine.p VALUES {wrong}, {}", payment(2, "now()")));
    for _ in 0..3 {
        let daemon = Daemon::start(bench.path());
        wait_until(|| source(&daemon)["rows_again"].as_u64().unwrap() > 4);
        // The drop is a kill -9.
    }
    let daemon = Daemon::start(bench.path());
    server.sql("UPDATE quarantine.p SET amount = 2, written = now() WHERE event_id = 'p2'");
    wait_until(|| daemon.json("/api/v1/status")["since_start"]["rejected"] == 1);
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let rejects = rejects(&bench);
    let reasons: Vec<_> = rejects.iter().map(|(reason, ..)| reason.as_str()).collect();
    assert_eq!(reasons, ["unknown_value", "conflict"]);
    assert!(rejects[0].2.contains("table quarantine.p, row with event_id p1"), "{}", rejects[0].2);
}

#[test]
fn values_stay_as_the_database_has_them() {
    let Some(server) = server::shared() else { return };
    schema(server, "kinds");
    server.sql(
        "CREATE DOMAIN kinds.cents AS numeric(20, 2);
         CREATE TABLE kinds.\"支付凭证\" (\"序号\" serial, \"凭证号\" bigint, \"金额\" kinds.cents, \"浮点\" double precision, \
         \"时间\" timestamp, \"标签\" text[], \"摘要\" varchar(200), \"年度\" smallint)",
    );
    let query = "SELECT \"序号\" AS n, \"凭证号\" AS event_id, 'payment' AS type, \"时间\" AS occurred_at, 'L' AS budget_line_id, \
         \"年度\" AS fiscal_year, '330100000' AS region_code, '101001' AS unit_code, '2050201' AS function_code, \
         '30201' AS economic_code, 'direct' AS payment_mode, 'transfer' AS settlement, \"摘要\" AS payee_name, \
         '33010160006' AS payee_account, 'entity' AS payee_type, coalesce(\"金额\"::text, \"浮点\"::text) AS amount, \
         \"标签\" AS tags FROM kinds.\"支付凭证\" -- 全部";
    let floats = query.replace("coalesce(\"金额\"::text, \"浮点\"::text)", "\"浮点\"");
    server.sql(
        "INSERT INTO kinds.\"支付凭证\" (\"凭证号\", \"金额\", \"浮点\", \"时间\", \"标签\", \"摘要\", \"年度\") VALUES
         (1, 123456789012345.67, 1.25, '2026-03-04 10:00:00', '{直达,三保}', E'甲\"乙\\\\丙\\n公司', 2026),
         (2, 0.01, 0.1::float8 + 0.2::float8, '2026-03-04 10:00:00.25', NULL, '乙', 2026),
         (3, 'NaN', 'NaN', '2026-03-04 10:00:00', NULL, '丙', 2026)",
    );
    let yaml = |query: &str| format!("query: |-\n      {query}\n    cursor: n");
    let block = |query: &str| {
        format!(
            "sources:\n- name: core\n  zone: Asia/Shanghai\n  postgres:\n    url: '{}'\n    password_file: secret\n    tls: off\n    {}\nstate: {{ dir: state }}\n",
            server.url(),
            yaml(query)
        )
    };
    let once = |query: &str| {
        let bench = bench("", &block(query));
        let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(0), "{err}");
        bench
    };
    let numerics = once(query);
    let (_, out, _) = run(
        numerics.path(),
        &[
            "state",
            "query",
            "SELECT event_id, amount, occurred_at, tags, payee_name FROM payments ORDER BY event_id",
            "--json",
            "--config",
            "fiscwatch.yaml",
        ],
    );
    let rows: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2, "{out}");
    assert_eq!(rows[0]["amount"], "123456789012345.67", "{out}");
    assert_eq!(
        (&rows[0]["tags"], &rows[0]["payee_name"]),
        (&json!(["直达", "三保"]), &json!("甲\"乙\\丙\n公司")),
        "{out}"
    );
    assert_eq!(rows[1]["occurred_at"], "2026-03-04T10:00:00.25+08:00", "{out}");
    let found = |bench: &Bench| {
        rejects(bench).into_iter().map(|(reason, detail, _)| (reason, detail)).collect::<Vec<_>>()
    };
    // What is not a number is a word for nothing.
    assert!(matches!(&found(&numerics)[..], [(reason, _)] if reason == "missing_field"));

    // A float of up to 15 digits shows what was put into it; another one does not.
    let floats = once(&floats);
    let reasons: Vec<_> = found(&floats);
    assert!(
        matches!(&reasons[..], [(first, detail), (second, _)] if first == "inexact" && second == "inexact"
        && detail.contains("amount is a floating-point number")),
        "{reasons:?}"
    );
}
