//! A journal that begins within a year: with openings it finds what the whole year finds, without them it is silent.

use serde_json::{Value, json};

use crate::support::{Bench, Daemon, lines, payment, run};

const RULES: &str = r#"
rules:
  - id: slow
    severity: low
    trigger: schedule
    every: month
    sql: |
      SELECT budget_line_id, executed, executed_ratio, year_elapsed FROM budget_lines
      WHERE approved AND executed_ratio < year_elapsed - 0.1
    key: [budget_line_id]
    summary: "{{ executed }} {{ executed_ratio }} {{ year_elapsed }}"
  - id: fast
    severity: low
    trigger: payment
    when: budget.executed_ratio > budget.year_elapsed + 0.1
    key: [budget_line_id]
    summary: "{{ budget.executed }} {{ budget.year_elapsed }} {{ event_id }}"
  - id: whole-year
    severity: low
    trigger: window
    of: payment
    window: { by: [unit_code], size: year }
    measure: { total: sum(amount) }
    when: total > 0
    key: [unit_code]
    summary: "{{ total }}"
"#;

/// 2026-07-01 in Shanghai, in milliseconds.
const JULY: i64 = 1_782_835_200_000;
const JANUARY: i64 = 1_767_196_800_000;
const HOUR: i64 = 3_600_000;

fn budget(action: &str, line: usize, cents: i64, at: i64) -> Value {
    json!({"event_id": format!("{action}{line}-{at}"), "type": "budget", "action": action, "occurred_at": at,
        "budget_line_id": format!("L{line}"), "amount": format!("{}.{:02}", cents / 100, cents % 100), "fiscal_year": 2026,
        "region_code": "r", "unit_code": format!("u{line}"), "function_code": "f", "economic_code": "e"})
}

/// Lines that are as fast as the year, slower and faster, and one that spends nothing before October.
fn payments() -> Vec<(i64, usize, Value, i64)> {
    let mut all = Vec::new();
    for half_day in 0..720 {
        let at = JANUARY + 9 * HOUR + half_day * 12 * HOUR;
        let line = usize::try_from(half_day % 4).unwrap();
        let cents = [0, 40_000, 55_011, 80_003][line];
        let cents = if line == 0 && half_day > 560 { 90_000 } else { cents };
        if cents > 0 {
            let mut event = payment(
                &format!("p{half_day}"),
                &format!("L{line}"),
                &format!("{}.{:02}", cents / 100, cents % 100),
            );
            event["occurred_at"] = json!(at);
            event["unit_code"] = json!(format!("u{line}"));
            all.push((at, line, event, cents));
        }
    }
    all
}

const TOTAL: i64 = 10_000_000;

fn year() -> Vec<Value> {
    let mut events: Vec<Value> =
        (0..4).map(|line| budget("approve", line, TOTAL, JANUARY + 8 * HOUR)).collect();
    events.extend(payments().into_iter().map(|(_, _, event, _)| event));
    events
}

/// The same from July on.
fn half(with_openings: bool) -> Vec<Value> {
    let mut events: Vec<Value> = (0..4).map(|line| budget("approve", line, TOTAL, JULY)).collect();
    if with_openings {
        for line in 0..4 {
            let before = payments().into_iter().filter(|(at, of, ..)| *at < JULY && *of == line);
            let cents = before.map(|(.., cents)| cents).sum();
            events.extend((cents > 0).then(|| budget("opening", line, cents, JULY + 1000)));
        }
    }
    events.extend(payments().into_iter().filter(|(at, ..)| *at >= JULY).map(|(_, _, event, _)| event));
    events
}

fn bench(events: &[Value], config: &str) -> Bench {
    let bench = Bench::new(&lines(events), config);
    std::fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    bench
}

/// Findings after the first of July, sorted, and the ledger.
fn late(events: &[Value], config: &str) -> (Vec<String>, Vec<Value>) {
    let (mut found, ledger) = bench(events, config).backtest(&[]);
    found.retain(|line| serde_json::from_str::<Value>(line).unwrap()["at"].as_str().unwrap() > "2026-07-02");
    found.sort();
    (found, ledger.iter().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn of_lines(found: Vec<String>) -> Vec<String> {
    found.into_iter().filter(|f| !f.contains("\"whole-year\"")).collect()
}

#[test]
fn half_a_year_with_openings_finds_what_the_whole_year_finds() {
    let (whole, whole_ledger) = late(&year(), "");
    assert!(whole.iter().any(|f| f.contains("\"whole-year\"")));
    let whole = of_lines(whole);
    for rule in ["slow", "fast"] {
        assert!(
            whole.iter().filter(|f| f.contains(&format!("\"{rule}\""))).count() > 4,
            "{rule} finds little"
        );
    }
    let (half, ledger) = late(&half(true), "");
    // Half a year of payments is no year, whatever the balances are.
    assert_eq!(half, whole);
    for (whole, half) in whole_ledger.iter().zip(&ledger) {
        assert_eq!((&whole["executed"], &whole["available"]), (&half["executed"], &half["available"]));
        assert_eq!(whole["opening"], "0.00");
    }
    let opening: Vec<_> = ledger.iter().map(|line| line["opening"].as_str().unwrap()).collect();
    assert_eq!(opening[0], "0.00");
    assert_ne!(opening[3], "0.00");
}

#[test]
fn half_a_year_without_openings_is_silent_and_says_so() {
    assert_eq!(late(&half(false), "").0, [""; 0]);
    let bench = bench(&half(false), "");
    let args = ["backtest", "--config", "fiscwatch.yaml", "--events", "events.jsonl"];
    let (_, _, err) = run(bench.path(), &args);
    assert!(err.contains("2026-07-01") && err.contains("opening"), "{err}");
    let (code, out, _) = run(bench.path(), &["check", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("3 rules compare with the calendar") || out.contains("3 条规则"), "{out}");
    // The next fiscal year is whole.
    let mut events = half(false);
    for n in 0..6 {
        let at = JANUARY + (366 + n * 40) * 24 * HOUR;
        let mut event = budget("approve", 9, TOTAL, at);
        event["fiscal_year"] = json!(2027);
        event["event_id"] = json!(format!("next{n}"));
        let mut again = event.clone();
        (again["event_id"], again["occurred_at"]) = (json!(format!("again{n}")), json!(at + HOUR));
        events.extend([event, again]);
    }
    let found = late(&events, "").0;
    assert!(!found.is_empty() && found.iter().all(|f| f.contains("\"L9\"")), "{found:?}");
}

/// Budgets of January before payments from July on: only the configuration can tell.
#[test]
fn the_configuration_can_say_where_the_journal_begins() {
    let mut events: Vec<Value> =
        (0..4).map(|line| budget("approve", line, TOTAL, JANUARY + 8 * HOUR)).collect();
    events.extend(half(false).into_iter().skip(4));
    assert!(!late(&events, "").0.is_empty());
    assert_eq!(late(&events, "engine: { journal_from: 2026-07-01 }\n").0, [""; 0]);
}

/// The daemon keeps the openings over a restart, and tells where its journal begins.
#[test]
fn a_daemon_keeps_openings_and_tells_where_its_journal_begins() {
    let events = half(true);
    let config = "sources: [{ name: feed, file: { path: events.jsonl } }]\nstate: { dir: state }\nengine: { max_future: 9999d }\n";
    let bench = bench(&events, config);
    let expected = bench.backtest(&[]);
    let all = std::fs::read_to_string(bench.path().join("events.jsonl")).unwrap();
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(bench.state(), expected);
    std::fs::write(bench.path().join("events.jsonl"), all).unwrap();
    let daemon = Daemon::start(bench.path());
    let status: Value = serde_json::from_str(&daemon.get("/api/v1/status").1).unwrap();
    assert_eq!(status["journal_from"], "2026-07-01T00:00:00+08:00");
    let line: Value = serde_json::from_str(&daemon.get("/api/v1/budget-lines/L3").1).unwrap();
    assert_ne!(line["opening"], "0.00");
    assert!(daemon.get("/metrics").1.contains("fiscwatch_journal_start_timestamp_seconds 1782835200"));
    drop(daemon);
    let (code, out, err) = run(bench.path(), &["state", "verify", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
}

/// The year's end is where the fiscal year ends, whatever the calendar's is.
#[test]
fn the_rush_is_found_at_the_end_of_the_fiscal_year() {
    let start = "2024-04-01T00:30:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let rush = |month: i64| {
        let mut events = vec![budget("approve", 1, 900_000_000, start)];
        events[0]["fiscal_year"] = json!(2024);
        for n in 0..40 {
            // A steady year, and twelve larger payments after the 20th of one month.
            let day = if n < 28 { n * 12 } else { month + (n - 28) % 6 };
            let mut event = payment(&format!("p{n}"), "L1", if n < 28 { "20000.10" } else { "80000.10" });
            event["occurred_at"] = json!(start + day * 24 * HOUR + n * 60_000);
            event["fiscal_year"] = json!(2024);
            event["unit_code"] = json!("u1");
            events.push(event);
        }
        events.sort_by_key(|event| event["occurred_at"].as_i64());
        let config = "time_zone: Europe/London\nfiscal_year_start: 04-01\nrules: { paths: [pace.yaml] }\n";
        let bench = bench(&events, config);
        let pace = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/pace.yaml");
        let rules = std::fs::read_to_string(pace).unwrap();
        // Without the rule on a list that this bench lacks.
        let rules = rules.split("  - id: growth-below-reference").next().unwrap();
        std::fs::write(bench.path().join("pace.yaml"), rules).unwrap();
        let (found, _) = bench.backtest(&[]);
        found.iter().filter(|f| f.contains("\"year-end-rush\"") || f.contains("\"late-december\"")).count()
    };
    // From 23 March 2025, in the last month, and from 23 December 2024, in the ninth.
    assert_eq!((rush(356), rush(266)), (2, 0));
}
