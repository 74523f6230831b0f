//! What takes back is held against what it takes back: with the shipped rules, whatever the batches, restarts and sealing
//! are; and fiscal years that are named by their end.

use serde_json::{Value, json};

use crate::support::{Bench, append, assert_same, lines, payment, run, write};

fn event(id: &str, event_type: &str, day: i64, rest: &Value) -> Value {
    let mut event = json!({ "event_id": id, "type": event_type, "budget_line_id": "L1" });
    event["occurred_at"] = json!(1_767_400_000_000i64 + day * 86_400_000);
    for (name, value) in rest.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

fn paid(id: &str, day: i64, amount: &str) -> Value {
    let mut event = payment(id, "L1", amount);
    event["occurred_at"] = json!(1_767_400_000_000i64 + day * 86_400_000);
    event["fiscal_year"] = json!(2026);
    event
}

fn refund(id: &str, day: i64, original: &str, amount: &str) -> Value {
    event(id, "refund", day, &json!({ "original_event_id": original, "amount": amount }))
}

fn approval(day: i64) -> Value {
    let rest = json!({ "action": "approve", "amount": "1000.00", "fiscal_year": 2026, "region_code": "330100000",
        "unit_code": "101001", "function_code": "2050201", "economic_code": "30201" });
    event("B1", "budget", day, &rest)
}

/// Rule and event of findings.
fn subjects(findings: &[String]) -> Vec<(String, String)> {
    let parse = |line: &String| -> Value { serde_json::from_str(line).unwrap() };
    let text = |f: &Value, name: &str| f[name].as_str().unwrap_or_default().to_owned();
    findings.iter().map(parse).map(|f| (text(&f, "rule_id"), text(&f, "event_id"))).collect()
}

fn shipped(bench: &Bench, names: &[&str]) {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::remove_file(bench.path().join("rules/rules.yaml")).unwrap();
    for name in names {
        std::fs::copy(root.join("rules").join(name), bench.path().join("rules").join(name)).unwrap();
    }
}

/// A payment that is refunded, refunded again, and a refund of nobody's payment: the line would have nearly twice its
/// money, and nobody would know.
#[test]
fn refunds_beyond_their_payment_are_found_by_the_shipped_rules() {
    let events = [
        approval(2),
        paid("p1", 58, "900.00"),
        refund("r1", 59, "p1", "900.00"),
        refund("r2", 60, "p1", "900.00"),
        refund("r3", 61, "nosuch", "50.00"),
    ];
    let bench = Bench::new(&lines(&events), "");
    shipped(&bench, &["reversals.yaml"]);
    let (findings, ledger) = bench.backtest(&[]);
    let expected = [
        ("reversed-beyond-original", "r2"),
        ("executed-below-zero", "r2"),
        ("reversal-without-original", "r3"),
        ("executed-below-zero", "r3"),
    ];
    assert_eq!(subjects(&findings), expected.map(|(rule, id)| (rule.to_owned(), id.to_owned())));
    assert!(findings[0].contains("900.00") && ledger[0].contains("\"executed\":\"-950.00\""), "{ledger:?}");
}

/// An original is found however far back it lies: in the batch, at hand, in a journal block, in a sealed file, remembered
/// as a duplicate or not. The daemon is started for each stretch, so that nothing is at hand.
#[test]
fn originals_are_found_wherever_they_lie() {
    let mut events = vec![approval(0)];
    for day in 0..60 {
        let (p, r) = (format!("p{day}"), format!("r{day}"));
        events.push(paid(&p, day, "10.00"));
        // Of the same day, of the day before, of long ago, and of a payment that is still to come.
        let of = match day % 4 {
            0 => day,
            1 => day - 1,
            2 => day / 3,
            _ => day + 1,
        };
        events.push(refund(&r, day, &format!("p{of}"), "6.00"));
        if day % 10 == 9 {
            events.push(event(
                &format!("c{day}"),
                "correction",
                day,
                &json!({ "original_event_id": format!("p{}", day - 5),
                "to_budget_line_id": "L2", "amount": "6.00" }),
            ));
        }
    }
    let config = "state: { dir: state, seal_after: 0s, duplicate_horizon: 10d, checkpoint_events: 20 }\nsources: [{ name: feed, file: { path: feed.jsonl } }]\nengine: { max_future: 9999d }\n";
    let bench = Bench::new(&lines(&events), config);
    shipped(&bench, &["reversals.yaml"]);
    let expected = bench.backtest(&[]);
    assert!(expected.0.iter().any(|f| f.contains("reversed-beyond-original")));
    assert!(expected.0.iter().any(|f| f.contains("reversal-without-original")));
    assert_same(&bench.backtest(&["--batch-rows", "1"]), &expected, "a batch an event");
    write(bench.path(), "feed.jsonl", "");
    for part in events.chunks(23) {
        append(&bench.path().join("feed.jsonl"), &lines(part));
        let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(0), "{err}");
    }
    assert!(bench.path().join("state/sealed").read_dir().unwrap().count() > 10);
    assert_same(&bench.state(), &expected, "a start a stretch");
    let (code, out, err) =
        run(bench.path(), &["state", "verify", "--findings", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
}

/// The year from 1 October 2025 is 2026 where years are named by their end: no payment of it is of another year.
#[test]
fn fiscal_years_are_named_by_their_end_where_the_configuration_says_so() {
    let start = "2025-10-01T04:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let mut events = vec![approval(0)];
    events[0]["occurred_at"] = json!(start);
    for (n, days) in [(1, 0), (2, 91), (3, 92), (4, 364), (5, 365)] {
        let mut event = paid(&format!("p{n}"), 0, "1.00");
        event["occurred_at"] = json!(start + days * 86_400_000);
        events.push(event);
    }
    let zone = "time_zone: America/New_York\nfiscal_year_start: 10-01\n";
    let found = |more: &str| {
        let bench = Bench::new(&lines(&events), &format!("{zone}{more}"));
        shipped(&bench, &["budget.yaml"]);
        let (findings, ledger) = bench.backtest(&[]);
        let wrong = subjects(&findings).into_iter().filter(|(rule, _)| rule == "wrong-fiscal-year");
        let elapsed = serde_json::from_str::<Value>(&ledger[0]).unwrap()["year_elapsed"].clone();
        (wrong.map(|(_, id)| id).collect::<Vec<_>>(), elapsed)
    };
    let (wrong, elapsed) = found("fiscal_year_named_by: end\n");
    assert_eq!((wrong, elapsed), (vec![String::from("p5")], json!("1")));
    let (wrong, _) = found("");
    assert_eq!(wrong, ["p1", "p2", "p3", "p4"]);
    // A state keeps what it was made with.
    let bench = Bench::new(
        &lines(&events),
        &format!(
            "{zone}state: {{ dir: state }}\nsources: [{{ name: feed, file: {{ path: events.jsonl }} }}]\n"
        ),
    );
    let once = |bench: &Bench| run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(once(&bench).0, Some(0));
    let config = std::fs::read_to_string(bench.path().join("fiscwatch.yaml")).unwrap();
    write(bench.path(), "fiscwatch.yaml", &format!("{config}fiscal_year_named_by: end\n"));
    let (code, _, err) = once(&bench);
    assert!(code == Some(1) && err.contains("fiscal_year_named_by beginning"), "{err}");
    write(bench.path(), "fiscwatch.yaml", &format!("{config}fiscal_year_named_by: last\n"));
    let (code, _, err) = once(&bench);
    assert!(code != Some(0) && err.contains("beginning"), "{err}");
}
