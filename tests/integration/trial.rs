//! Trying rules on recorded events: labels, comparisons, other constants.

use std::path::Path;

use serde_json::Value;

use crate::support::{Bench, lines, payment, run, write};

const LABELS: &str = r#"
{"kind":"cash","rule_ids":["large-cash"],"event_ids":["e2"],"from":"2026-03-04","to":"2026-03-04","key":{"unit_code":"1"}}
{"kind":"cash","rule_ids":["large-cash"],"event_ids":["e9"],"from":"2026-03-04","to":"2026-03-04","key":{"unit_code":"1"}}
"#;

/// Four payments in cash of 10,000 to 40,000: the rule finds those above 20,000.
fn bench() -> Bench {
    let cash = |n: u32| {
        let mut event = payment(&format!("e{n}"), "L", &format!("{n}0000"));
        event["settlement"] = "cash".into();
        event["payee_account"] = format!("{n}").into();
        event
    };
    Bench::new(&lines(&(1..=4).map(cash).collect::<Vec<_>>()), "")
}

fn succeeds(dir: &Path, args: &[&str]) -> (String, String) {
    let (code, out, err) = run(dir, args);
    assert_eq!(code, Some(0), "{err}");
    (out, err)
}

#[test]
fn labels_give_precision_and_recall() {
    let bench = bench();
    let dir = bench.path();
    write(dir, "labels.jsonl", &LABELS.replace("e2", "e3"));
    let args = ["backtest", "--events", "events.jsonl", "--labels", "labels.jsonl", "--scores", "s.json"];
    let (_, err) = succeeds(dir, &args);
    assert!(err.contains("the configuration fiscwatch.yaml is used"), "{err}");
    assert!(err.contains("1 of 2 anomalies found, recall 0.500; missed: cash 1"), "{err}");
    let scores: Value = serde_json::from_str(&std::fs::read_to_string(dir.join("s.json")).unwrap()).unwrap();
    let rule = &scores["rules"]["large-cash"];
    assert_eq!((&rule["right"], &rule["wrong"]), (&1.into(), &1.into()));
    assert_eq!((&rule["planted"], &rule["found"]), (&2.into(), &1.into()));
    assert_eq!(rule["precision"], 0.5);
    assert_eq!(scores["recall"], 0.5);
    // The rule in shadow finds something too, and is not in the sums.
    let live = scores["live"]["findings"].as_u64().unwrap();
    let all: u64 = scores["rules"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(id, _)| *id != "late-in-the-day")
        .map(|(_, rule)| rule["right"].as_u64().unwrap() + rule["wrong"].as_u64().unwrap())
        .sum();
    assert_eq!(live, all);
}

#[test]
fn labels_that_are_none_are_told() {
    let bench = bench();
    write(bench.path(), "labels.jsonl", "{}");
    let args = ["backtest", "--events", "events.jsonl", "--labels", "labels.jsonl"];
    let (code, _, err) = run(bench.path(), &args);
    assert_eq!(code, Some(1));
    assert!(err.contains("labels.jsonl: line 1 is no label: kind is missing"), "{err}");
}

#[test]
fn a_comparison_shows_what_a_change_adds_and_removes() {
    let bench = bench();
    let dir = bench.path();
    let old = std::fs::read_to_string(dir.join("rules/rules.yaml")).unwrap();
    write(dir, "new.yaml", &old.replace("limit: 20000", "limit: 30000"));
    let compare = |old: &str, new: &str| {
        succeeds(dir, &["backtest", "--events", "events.jsonl", "--compare", old, new]).0
    };
    let out = compare("rules", "new.yaml");
    let row = out.lines().find(|line| line.trim_start().starts_with("large-cash")).unwrap();
    let cells: Vec<_> = row.split_whitespace().collect();
    assert_eq!(cells, ["large-cash", "2", "1", "1", "0", "1"], "{out}");
    assert!(out.contains("- large-cash 2026-"), "{out}");
    assert!(compare("new.yaml", "rules").contains("+ large-cash 2026-"));
    assert!(compare("rules", "rules").starts_with("both find the same: "));
}

#[test]
fn tuning_counts_what_each_value_finds_and_proposes_one() {
    let bench = bench();
    let dir = bench.path();
    let args = ["tune", "large-cash", "--events", "events.jsonl", "--json", "--alerts-a-day", "1"];
    let (out, _) = succeeds(dir, &[&args[..], &["--values", "5000,35000,40000"]].concat());
    let tuned: Value = serde_json::from_str(&out).unwrap();
    let row = |value: &str| {
        let rows = tuned["values"].as_array().unwrap();
        rows.iter().find(|row| row["value"] == value).unwrap()["findings"].as_u64().unwrap()
    };
    assert_eq!([row("5000"), row("20000"), row("35000"), row("40000")], [4, 2, 1, 0]);
    assert_eq!(tuned["present"], "20000");
    let (out, _) = succeeds(dir, &["tune", "large-cash", "--events", "events.jsonl"]);
    assert!(out.lines().any(|row| row.contains(" 20000 ") && row.contains(" now  █")), "{out}");
    let (code, _, err) = run(dir, &["tune", "large-cahs", "--events", "events.jsonl"]);
    assert_eq!((code, err.contains("did you mean \"large-cash\"?")), (Some(1), true), "{err}");
    let (code, _, err) = run(dir, &["tune", "over-budget", "--events", "events.jsonl"]);
    assert_eq!((code, err.contains("has no constant that is a number")), (Some(1), true), "{err}");
}

/// A rule that cannot be evaluated finds nothing, and is no quiet rule.
#[test]
fn tuning_proposes_no_value_on_which_the_rule_fails() {
    let bench = bench();
    let dir = bench.path();
    let rule = "rules:\n  - { id: share, title: t, severity: low, trigger: payment, params: { d: 2 }, when: amount / $d > 100, key: [event_id] }\n";
    write(dir, "share.yaml", rule);
    let args = ["tune", "share", "--rules", "share.yaml", "--events", "events.jsonl", "--alerts-a-day", "1"];
    let (out, _) = succeeds(dir, &[&args[..], &["--values", "0,1,1.0,2.0,300", "--json"]].concat());
    let tuned: Value = serde_json::from_str(&out).unwrap();
    let row = |row: &Value| {
        (row["value"].as_str().unwrap().to_owned(), row["findings"].as_u64(), row["errors"].as_u64())
    };
    let rows: Vec<_> = tuned["values"].as_array().unwrap().iter().map(row).collect();
    let expected = [("0", 0, 4), ("1", 4, 0), ("2", 4, 0), ("300", 1, 0)];
    let expected = expected.map(|(value, found, errors)| (value.to_owned(), Some(found), Some(errors)));
    assert_eq!(rows, expected);
    assert_eq!((&tuned["proposed"], &tuned["days"]), (&"300".into(), &1.0.into()));
    let (out, _) = succeeds(dir, &[&args[..], &["--values", "0,300"]].concat());
    assert!(out.lines().any(|line| line.contains("fails on 4 events")), "{out}");
    let (code, _, err) = run(dir, &[&args[..], &["--values", "500 or true"]].concat());
    assert_eq!((code, err.contains("is no number, and the constant is one")), (Some(1), true), "{err}");
    for wanted in ["nan", "inf", "-1"] {
        let asked = format!("--alerts-a-day={wanted}");
        let (code, _, err) = run(dir, &["tune", "share", "--events", "events.jsonl", &asked]);
        assert_eq!((code, err.contains("must be a number")), (Some(2), true), "{err}");
    }
}

#[test]
fn nothing_that_is_read_is_written_over() {
    let bench = bench();
    let dir = bench.path();
    let before = std::fs::read_to_string(dir.join("events.jsonl")).unwrap();
    let refused = |args: &[&str], why: &str| {
        let (code, _, err) = run(dir, &[&["backtest", "--events", "events.jsonl"], args].concat());
        assert_eq!((code, err.contains(why)), (Some(2), true), "{args:?}: {err}");
        assert_eq!(std::fs::read_to_string(dir.join("events.jsonl")).unwrap(), before);
    };
    refused(&["--findings", "events.jsonl"], "--findings would write over events.jsonl, which is read");
    refused(&["--ledger", "./events.jsonl"], "which is read");
    refused(&["--ledger", "fiscwatch.yaml"], "which is read");
    refused(&["--findings", "x", "--ledger", "x"], "--ledger and --findings name one file");
    refused(&["--from", "2026-13-01"], "--from");
    refused(&["--from", "2026-03-05", "--to", "2026-03-05"], "--to is not after --from");
    refused(&["--batch-rows", "0"], "--batch-rows");
}

#[test]
fn a_simulated_year_comes_with_what_is_needed_to_score_it() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["generate", "--payments", "3000", "--units", "20", "--out", "year", "--anomalies"];
    let (out, _) = succeeds(dir.path(), &args);
    assert!(
        out.contains("backtest --rules rules --events year/events.jsonl --labels year/labels.jsonl"),
        "{out}"
    );
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/rules");
    let args =
        ["backtest", "--rules", rules, "--events", "year/events.jsonl", "--labels", "year/labels.jsonl"];
    let (_, err) = succeeds(dir.path(), &[&args[..], &["--scores", "s.json"]].concat());
    assert!(err.contains("the configuration year/fiscwatch.yaml is used"), "{err}");
    let text = std::fs::read_to_string(dir.path().join("s.json")).unwrap();
    let scores: Value = serde_json::from_str(&text).unwrap();
    assert!(scores["planted"].as_u64().unwrap() >= 2, "{scores}");
    assert_eq!(scores["planted"], scores["found"], "{scores}");
}
