//! Rules on a schedule, against a plain model, and queries that must not do harm.

use serde_json::{Value, json};

use crate::support::{Bench, Daemon, append, assert_same, lines, payment, run, wait_until};

const RULES: &str = r#"
rules:
  - id: slow
    severity: high
    trigger: schedule
    every: 1d
    params: { gap: 0.05 }
    sql: |
      SELECT budget_line_id, unit_code, executed, executed_ratio, year_elapsed FROM budget_lines
      WHERE approved AND executed_ratio < year_elapsed - $gap
    key: [budget_line_id]
    exceptions: [{ name: reserve, when: "unit_code = 'u9'", reason: test }]
    summary: "{{ budget_line_id }} {{ executed }} {{ executed_ratio|percent }}"
  - id: busy
    severity: low
    trigger: schedule
    cron: "0 9 * * *"
    sql: |
      SELECT unit_code, count(*) AS n, sum(amount) AS total, now AS tick
      FROM payments WHERE occurred_at >= now - interval '2 days' AND occurred_at < now
      GROUP BY unit_code HAVING count(*) >= 3
    key: [unit_code]
    summary: "{{ unit_code }} {{ n }} {{ total }}"
  - id: many
    severity: low
    trigger: schedule
    every: 1w
    sql: |
      SELECT p.event_id AS payment, p.unit_code AS unit, substr(p.event_id, 1, 2) AS part, count(*) AS n
      FROM payments p JOIN payments q ON p.unit_code = q.unit_code GROUP BY 1, 2, 3
    key: [unit, part]
  - id: repeated
    severity: low
    trigger: schedule
    every: 1w
    sql: |
      SELECT f.rule_id, count(*) AS n FROM findings f WHERE f.rule_id = 'busy' GROUP BY f.rule_id
    key: [rule_id]
    summary: "{{ n }}"
"#;

fn at(day: i64, hour: i64, minute: i64) -> i64 {
    // 2026-01-01T00:00 in Shanghai, in milliseconds.
    1_767_196_800_000 + ((day * 24 + hour) * 60 + minute) * 60_000
}

fn approve(id: &str, line: &str, unit: &str, when: i64) -> Value {
    json!({"event_id": id, "type": "budget", "action": "approve", "occurred_at": when, "budget_line_id": line,
        "amount": "20000.00", "fiscal_year": 2026, "region_code": "r", "unit_code": unit, "function_code": "f", "economic_code": "e"})
}

fn stream() -> Vec<Value> {
    let mut events = vec![
        approve("b1", "L1", "u1", at(0, 8, 0)),
        approve("b2", "L2", "u2", at(0, 8, 1)),
        approve("b9", "L9", "u9", at(0, 8, 2)),
    ];
    for day in 0..40 {
        for n in 0..(day % 5) {
            let mut event = payment(&format!("p{day}-{n}"), if n % 2 == 0 { "L1" } else { "L2" }, "7.50");
            event["unit_code"] = json!(format!("u{}", 1 + n % 2));
            event["occurred_at"] = json!(at(day, 10, n));
            events.push(event);
        }
    }
    events
}

/// The sum of so many payments.
fn yuan(payments: usize) -> String {
    let cents = 750 * payments;
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn findings(lines: &[String], rule: &str) -> Vec<Value> {
    let all = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|f| f["rule_id"] == rule).collect()
}

#[test]
fn schedules_see_what_arrived_before_their_tick() {
    let events = stream();
    let bench = Bench::new(&lines(&events), "");
    std::fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    let (found, _) = bench.backtest(&["--batch-rows", "50"]);

    // busy: at nine o'clock, over the two days before; the tick happens after the event that moved the watermark past it.
    let payments: Vec<(i64, String, usize)> = events
        .iter()
        .enumerate()
        .filter(|(_, e)| e["type"] == "payment")
        .map(|(n, e)| (e["occurred_at"].as_i64().unwrap(), e["unit_code"].as_str().unwrap().to_owned(), n))
        .collect();
    let times: Vec<i64> = events.iter().map(|e| e["occurred_at"].as_i64().unwrap()).collect();
    let last = *times.iter().max().unwrap();
    let mut expected = Vec::new();
    for day in 1.. {
        let tick = at(day, 9, 0);
        if tick > last {
            break;
        }
        // Up to the first event that is ten minutes past the tick, or all of them at the end.
        let seen = times.iter().position(|t| *t - 600_000 >= tick).unwrap_or(times.len() - 1);
        for unit in ["u1", "u2"] {
            let n = payments
                .iter()
                .filter(|(t, u, at)| u == unit && *at <= seen && *t >= tick - 2 * 86_400_000 && *t < tick)
                .count();
            if n >= 3 {
                expected.push((tick, unit.to_owned(), n, yuan(n)));
            }
        }
    }
    assert!(expected.len() > 10);
    let mut busy: Vec<_> = findings(&found, "busy")
        .iter()
        .map(|f| {
            let at = f["at"].as_str().unwrap();
            assert_eq!(f["values"]["tick"], *at);
            assert!(f.get("event_id").is_none() && f.get("window").is_none());
            let tick = at.parse::<jiff::Timestamp>().unwrap().as_millisecond();
            let v = &f["values"];
            (
                tick,
                v["unit_code"].as_str().unwrap().to_owned(),
                usize::try_from(v["n"].as_u64().unwrap()).unwrap(),
                v["total"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    busy.sort();
    assert_eq!(busy, expected);

    // slow: the balances at the tick, not those at the end of the batch.
    let slow = findings(&found, "slow");
    assert!(!slow.is_empty() && slow.iter().all(|f| f["key"]["budget_line_id"] != "L9"));
    for f in &slow {
        let tick = f["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let seen = times.iter().position(|t| *t - 600_000 >= tick).unwrap_or(times.len() - 1);
        let line = f["key"]["budget_line_id"].as_str().unwrap();
        let paid =
            events[..=seen].iter().filter(|e| e["type"] == "payment" && e["budget_line_id"] == line).count();
        assert_eq!(f["values"]["executed"], yuan(paid), "{f}");
    }
    // repeated: counts findings that an earlier schedule made.
    let repeated = findings(&found, "repeated");
    assert!(!repeated.is_empty());
    for f in &repeated {
        let tick = f["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let before = busy.iter().filter(|(t, ..)| *t <= tick).count() as u64;
        assert_eq!(f["values"]["n"].as_u64().unwrap(), before);
    }
}

#[test]
fn schedules_do_not_depend_on_batches_or_restarts() {
    let events = stream();
    let config =
        "sources: [{ name: feed, file: { path: feed.jsonl, follow: true } }]\nstate: { dir: state }\n";
    let bench = Bench::new(&lines(&events), config);
    std::fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    let expected = bench.backtest(&["--batch-rows", "65536"]);
    for rows in ["1", "7", "1000"] {
        assert_same(&bench.backtest(&["--batch-rows", rows]), &expected, rows);
    }
    let mut sent = 0;
    for part in events.chunks(19) {
        append(&bench.path().join("feed.jsonl"), &lines(part));
        let daemon = Daemon::start(bench.path());
        sent += part.len();
        wait_until(|| daemon.json("/api/v1/status")["journal_events"] == sent);
    }
    let path = bench.path().join("fiscwatch.yaml");
    let once = std::fs::read_to_string(&path).unwrap().replace(", follow: true", "");
    std::fs::write(&path, once).unwrap();
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    assert_same(&bench.state(), &expected, "restarts");
}

#[test]
fn queries_that_could_do_harm_are_refused_at_load() {
    let bench = Bench::new("", "");
    let check = |sql: &str| {
        let rule = format!(
            "rules:\n  - {{ id: a, severity: low, trigger: schedule, every: 1d, key: [], sql: \"{sql}\" }}\n"
        );
        std::fs::write(bench.path().join("rules/rules.yaml"), rule).unwrap();
        let (code, _, err) = run(bench.path(), &["check", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(1), "{sql}: {err}");
        format!("{sql}\n{}", err.replace(&bench.path().display().to_string(), ""))
    };
    let told: Vec<_> = [
        "DROP TABLE payments",
        "INSERT INTO payments SELECT * FROM payments",
        "COPY payments TO '/tmp/x.csv'",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "SET datafusion.execution.batch_size = 1",
        "SELECT * FROM '/etc/passwd'",
        "SELECT 1; SELECT 2",
        "SELECT amount FROM paymets",
        "SELECT amont FROM payments",
        "SELECT random() FROM payments",
        "SELECT amount FROM payments WHERE amount > $limit",
        "SELECT count(*) FROM payments WHERE amount > 'x' + 1",
    ]
    .map(check)
    .into();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_query_without_end_is_that_rules_error() {
    let events = stream();
    let bench = Bench::new(&lines(&events), "");
    let rules = "
rules:
  - id: endless
    severity: low
    trigger: schedule
    every: month
    sql: 'SELECT count(*) AS n FROM generate_series(1, 4000000000) a, generate_series(1, 4000000000) b'
    key: []
  - id: hungry
    severity: low
    trigger: schedule
    every: month
    sql: 'SELECT count(*) AS n FROM (SELECT DISTINCT a.value * 100000 + b.value AS v FROM generate_series(1, 60000) a, generate_series(1, 60000) b)'
    key: []
  - id: many
    severity: low
    trigger: schedule
    every: month
    sql: 'SELECT value FROM generate_series(1, 200000)'
    key: [value]
  - id: good
    severity: low
    trigger: schedule
    every: month
    sql: 'SELECT count(*) AS n FROM payments'
    key: []
";
    std::fs::write(bench.path().join("rules/rules.yaml"), rules).unwrap();
    let args =
        ["backtest", "--config", "fiscwatch.yaml", "--events", "events.jsonl", "--findings", "f.jsonl"];
    let output = crate::support::fiscwatch()
        .current_dir(bench.path())
        .args(args)
        .env("FISCWATCH_ENGINE__QUERY_TIME", "4s")
        .env("FISCWATCH_ENGINE__QUERY_MEMORY_MIB", "4")
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{err}");
    assert!(
        err.contains(
            "rule endless: 1 events could not be evaluated, the last because: the query took more than 4s"
        ),
        "{err}"
    );
    assert!(
        err.contains("rule hungry: 1") && err.contains("the query needs more memory than it may use"),
        "{err}"
    );
    assert!(err.contains("rule many: 1") && err.contains("the query returns more than 100000 rows"), "{err}");
    let found = std::fs::read_to_string(bench.path().join("f.jsonl")).unwrap();
    assert_eq!(found.lines().count(), 1);
    assert!(found.lines().all(|line| line.contains("\"rule_id\":\"good\"")));
}

#[test]
fn a_wrong_schedule_is_told_what_is_wrong_and_nothing_else() {
    let bench = Bench::new("", "");
    let rule = "rules: [{ id: a, severity: low, trigger: schedule, cron: x, sql: SELECT 1, key: [] }]";
    std::fs::write(bench.path().join("rules/rules.yaml"), rule).unwrap();
    let (code, _, err) = run(bench.path(), &["check", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("\"x\" is not a cron expression") && err.contains("1 problem found"), "{err}");
}
