//! One wrong stamp stops nobody: an event of any time changes no finding about others, and costs no more than others.

use jiff::Timestamp;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::support::{Bench, lines, payment, run};

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 1440 * MINUTE;
const YEAR: i64 = 366 * DAY;

/// A rule of every kind, each of which sees events and lines of more than one unit.
const RULES: &str = r#"
rules:
  - { id: row, severity: low, trigger: payment, when: "amount > 400 and budget.executed_ratio > 0.2", key: [event_id] }
  - id: sliding
    severity: low
    trigger: payment
    over: { by: [unit_code], last: 3d }
    measure: { n: count(*), total: sum(amount) }
    when: n >= 9
    key: [unit_code]
    summary: "{{ n }} {{ total }}"
  - id: few
    severity: low
    trigger: window
    of: payment
    window: { by: [unit_code], size: 1d }
    measure: { n: count(*), total: sum(amount) }
    when: n < 4
    key: [unit_code]
    summary: "{{ n }} {{ total }} {{ window_start }}"
  - id: odd
    severity: low
    trigger: window
    of: payment
    window: { by: [unit_code], size: 1d }
    measure: { total: sum(amount) }
    anomaly: { of: total, method: mad, history: 10, min_history: 4 }
    when: score > 1.2
    key: [unit_code]
    summary: "{{ total }} {{ score }} {{ n_history }}"
  - id: tick
    severity: low
    trigger: schedule
    every: 1d
    sql: |
      SELECT b.budget_line_id, b.executed, b.year_elapsed, count(p.event_id) AS n FROM budget_lines b
      JOIN payments p ON p.budget_line_id = b.budget_line_id
      GROUP BY b.budget_line_id, b.executed, b.year_elapsed
    key: [budget_line_id]
    summary: "{{ executed }} {{ year_elapsed }} {{ n }}"
"#;

fn micros(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_microsecond()
}

fn approve(id: &str, line: &str, at: i64) -> Value {
    json!({"event_id": id, "type": "budget", "action": "approve", "occurred_at": stamp(at), "budget_line_id": line,
        "amount": "20000.00", "fiscal_year": 2026, "region_code": "r", "unit_code": "u", "function_code": "f",
        "economic_code": "e"})
}

fn stamp(at: i64) -> String {
    Timestamp::from_microsecond(at).unwrap().to_string()
}

/// Three weeks of two units, from January on so that the year is whole; some events come minutes late.
fn stream(rng: &mut ChaCha8Rng) -> Vec<(i64, Value)> {
    let start = micros("2026-01-05T00:30:00Z");
    let mut events =
        vec![(start, approve("b1", "L1", start)), (start + MINUTE, approve("b2", "L2", start + MINUTE))];
    for day in 0..21 {
        let mut times: Vec<i64> = (0..rng.random_range(4..14)).map(|_| rng.random_range(10..700)).collect();
        times.sort_unstable();
        for (n, minute) in times.into_iter().enumerate() {
            let unit = rng.random_range(1..3);
            let cents: u32 = rng.random_range(100..60_000);
            let at = start + day * DAY + (minute - rng.random_range(0..5)) * MINUTE;
            let id = format!("p{day}-{n}");
            let mut event = payment(&id, &format!("L{unit}"), &format!("{}.{:02}", cents / 100, cents % 100));
            event["unit_code"] = json!(format!("u{unit}"));
            event["occurred_at"] = json!(stamp(at));
            events.push((at, event));
        }
    }
    events
}

fn odd(at: i64) -> Value {
    let mut event = payment("x", "LX", "77777.00");
    event["unit_code"] = json!("ux");
    event["payee_account"] = json!("x");
    event["occurred_at"] = json!(stamp(at));
    event
}

/// The findings about others than the odd event, its unit and its line.
fn others(events: &[Value]) -> Vec<String> {
    let bench = Bench::new(&lines(events), "");
    std::fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    let (mut found, _) = bench.backtest(&["--batch-rows", "40"]);
    found.retain(|f| !["\"x\"", "\"ux\"", "\"LX\""].iter().any(|own| f.contains(own)));
    found.sort();
    found
}

#[test]
fn one_event_of_any_time_changes_no_finding_about_others() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let events = stream(&mut rng);
    let plain: Vec<Value> = events.iter().map(|(_, event)| event.clone()).collect();
    let expected = others(&plain);
    for rule in ["row", "sliding", "few", "odd", "tick"] {
        let has = |f: &&String| f.contains(&format!("\"rule_id\":\"{rule}\""));
        assert!(expected.iter().filter(has).count() > 3, "{rule} finds little");
    }
    let (from, to) = (micros("1900-01-02T00:00:00Z"), micros("2099-12-31T00:00:00Z"));
    let start = events[0].0;
    for round in 0..24 {
        let place = if round < 3 { 0 } else { rng.random_range(1..events.len()) };
        let now = events[..place].iter().map(|(at, _)| *at).max().unwrap_or(start);
        let at = match round % 4 {
            0 => rng.random_range(from..to),
            1 => now + rng.random_range(DAY + 1..YEAR),
            2 => now - rng.random_range(DAY..60 * YEAR),
            _ => rng.random_range(start..start + 21 * DAY),
        };
        // What schedules cannot tell from a stream that begins earlier or goes on (docs/rules.md).
        if now < at && at <= now + DAY || place == 0 && (start - YEAR..=start + DAY).contains(&at) {
            continue;
        }
        let mut with = plain.clone();
        with.insert(place, odd(at));
        // Where the stream comes within a day of it later, ticks of that day are early (docs/rules.md).
        let met = now < at && at <= start + 22 * DAY;
        let compared = |found: &[String]| -> Vec<String> {
            found.iter().filter(|f| !met || !f.contains("\"tick\"")).cloned().collect()
        };
        let (found, expected) = (compared(&others(&with)), compared(&expected));
        assert_eq!(found, expected, "at {} before event {place}", stamp(at));
    }
}

/// Windows wait for a second event however near the first one is.
#[test]
fn a_stray_event_of_tomorrow_judges_no_window_of_today() {
    let day = micros("2026-03-02T01:00:00Z");
    let mut events = Vec::new();
    for n in 0..16 {
        let at = day + n / 4 * DAY + n % 4 * 60 * MINUTE;
        let mut event = payment(&format!("p{n}"), "L1", "100.00");
        event["occurred_at"] = json!(stamp(at));
        events.push(event);
    }
    let few =
        |events: &[Value]| others(events).into_iter().filter(|f| f.contains("\"few\"")).collect::<Vec<_>>();
    assert_eq!(few(&events), [""; 0]);
    for stray in ["2026-03-03T16:20:00Z", "2026-03-04T02:00:00Z", "2062-03-03T02:30:00Z"] {
        let mut with = events.clone();
        // In the same unit, so that its own window holds one event too few.
        let mut event = odd(micros(stray));
        event["unit_code"] = events[0]["unit_code"].clone();
        with.insert(5, event);
        let own = stamp(micros(stray));
        let found = few(&with);
        assert!(found.len() <= 1, "{found:?}");
        assert!(found.iter().all(|f| f.contains("2062")), "{own}: {found:?}");
    }
}

/// Batches, the daemon and a backtest agree about what waits for a second event.
#[test]
fn a_backtest_and_the_daemon_agree_about_stray_events() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    let mut events: Vec<Value> = stream(&mut rng).into_iter().map(|(_, event)| event).collect();
    events.insert(90, odd(micros("2026-09-01T00:00:00Z")));
    events.insert(30, {
        let mut event = odd(micros("2024-02-01T00:00:00Z"));
        event["event_id"] = json!("x2");
        event
    });
    events.insert(0, {
        let mut event = odd(micros("2020-02-01T00:00:00Z"));
        event["event_id"] = json!("x3");
        event
    });
    let sources = "sources: [{ name: feed, file: { path: events.jsonl } }]\nstate: { dir: state }\n";
    let bench = Bench::new(&lines(&events), sources);
    std::fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    let (expected, _) = bench.backtest(&["--batch-rows", "1000"]);
    for rows in ["1", "7"] {
        assert_eq!(bench.backtest(&["--batch-rows", rows]).0, expected, "{rows} rows a batch");
    }
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(bench.state().0, expected);
}

/// A gap of decades costs a year of ticks: schedules rest while nothing happens.
#[test]
fn schedules_rest_in_a_gap() {
    let mut events = Vec::new();
    for (n, at) in
        ["2003-01-06T01:00:00Z", "2003-01-06T02:00:00Z", "2026-01-06T01:00:00Z", "2026-01-06T02:00:00Z"]
            .into_iter()
            .enumerate()
    {
        let mut event = payment(&format!("p{n}"), "L1", "1.00");
        event["occurred_at"] = json!(at);
        events.push(event);
    }
    let ticks = others(&events).into_iter().filter(|f| f.contains("\"tick\"")).count();
    assert_eq!(ticks, 366);
}

#[test]
fn times_that_cannot_be_are_refused_with_the_likely_unit() {
    let mut events = vec![
        approve("b1", "L1", micros("2026-01-05T00:00:00Z")),
        approve("b2", "L2", micros("2026-01-05T00:00:00Z")),
    ];
    for (n, at) in [
        json!(1_772_600_000),
        json!("1970-01-21T20:23:20+08:00"),
        json!("2022-12-31T00:00:00+08:00"),
        json!(1_772_600_000_000_000_i64),
        json!(1_772_600_000_000_i64),
        json!("2023-01-01"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut event = payment(&format!("p{n}"), "L1", "1.00");
        event["occurred_at"] = at;
        events.push(event);
    }
    let bench = Bench::new(&lines(&events), "");
    let args = ["backtest", "--config", "fiscwatch.yaml", "--events", "events.jsonl"];
    let (code, _, err) = run(bench.path(), &args);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("4 events (2 payments of 2.00), 0 duplicates, 4 rejected (bad_time 4)"), "{err}");
    for told in [
        "as seconds it would be 2026-03-04T12:53:20+08:00",
        "as microseconds it would be 2026-03-04",
        "is before 2000-01-01",
        "is before 2023-01-01",
    ] {
        assert!(err.contains(told), "{told}: {err}");
    }
    // A site that has older events says so.
    std::fs::write(bench.path().join("fiscwatch.yaml"), "engine: { min_time: 1960-01-01 }\n").unwrap();
    let (_, _, err) = run(bench.path(), &args);
    assert!(err.contains("7 events"), "{err}");
}
