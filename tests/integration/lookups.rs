//! What rows lack that name only their budget line (`lookup` of a map).

use std::collections::HashMap;

use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, assert_same, file_lines, lines, run, write};

/// A map of rows that may have all of an event, or only the line.
const MAP: &str = "
      columns: { no: event_id, ty: type, act: action, line: budget_line_id, amt: amount, at: occurred_at, payee: payee_name, year: fiscal_year,
        region: region_code, unit: unit_code, unit_name: unit_name, function: function_code, economic: economic_code, project: project_code, funds: fund_type }
      constants: { payment_mode: direct, settlement: transfer, payee_account: '33010160006', payee_type: entity }
      when: st <> 'void'
";
const LOOKUP: &str = "      lookup: { from: budget_line }\n";
const UPSERT: &str = "    mode: upsert\n    upsert: { key: [no], version: ver }\n";

/// Rules whose findings show what was looked up.
const RULES: &str = "
rules:
  - id: seen
    title: seen
    severity: low
    trigger: [payment, application, reversal]
    when: amount > 0
    key: [unit_code]
    summary: '{{ event_id }} {{ fiscal_year }} {{ region_code }} {{ unit_name }} {{ function_code }} {{ economic_code }} {{ project_code }} {{ fund_type }} {{ budget.total }}'
  - id: often
    title: often
    severity: low
    trigger: payment
    over: { by: [region_code, function_code], last: 30d }
    measure: { n: count(*), total: sum(amount) }
    when: n > 3
    key: [region_code, function_code]
    summary: '{{ n }} {{ total }}'
";

/// What a budget line is approved for.
const ATTRIBUTES: [&str; 8] =
    ["year", "region", "unit", "unit_name", "function", "economic", "project", "funds"];

/// Sources that differ in what they look up, and in whether their records come again.
fn bench() -> Bench {
    let source = |name: &str, more: &str| {
        format!(
            "  - name: {name}\n    directory: {{ path: {name}, pattern: '*.jsonl', settle: 0s }}\n    map:{MAP}{more}"
        )
    };
    let sources = [
        source("whole", ""),
        source("lines", LOOKUP),
        source("whole-changing", UPSERT),
        source("lines-changing", &format!("{LOOKUP}{UPSERT}")),
    ];
    let bench = Bench::new("", &format!("sources:\n{}", sources.concat()));
    write(bench.path(), "rules/rules.yaml", RULES);
    for folder in ["whole", "lines", "whole-changing", "lines-changing"] {
        std::fs::create_dir(bench.path().join(folder)).unwrap();
    }
    bench
}

fn attributes(rng: &mut ChaCha8Rng) -> Value {
    let unit = rng.random_range(101..106);
    let mut pick = |words: [&'static str; 2]| words[rng.random_range(0..2)];
    let (region, function) = (pick(["330100000", "330200000"]), pick(["2050201", "2080505"]));
    let economic = pick(["30201", "30101"]);
    let mut of = json!({ "year": 2026, "region": region, "unit": unit.to_string(), "function": function, "economic": economic });
    if rng.random_bool(0.7) {
        of["unit_name"] = format!("单位{unit}").into();
    }
    if rng.random_bool(0.5) {
        of["project"] = "XM1".into();
        of["funds"] = "11".into();
    }
    of
}

fn with(mut row: Value, of: &Value) -> Value {
    let Value::Object(of) = of else { unreachable!() };
    of.iter().for_each(|(name, value)| row[name] = value.clone());
    row
}

/// Rows that lack what their lines know, the same rows with it, and how many are on lines that are not approved yet.
fn streams(seed: u64, count: usize) -> (Vec<Value>, Vec<Value>, usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut known, mut short, mut whole, mut unknown) = (HashMap::new(), Vec::new(), Vec::new(), 0);
    let mut approvals: Vec<Value> = Vec::new();
    for n in 0..count {
        let line = format!("L{}", rng.random_range(0..12));
        let at = format!("2026-{:02}-{:02}T10:00:00+08:00", 1 + n * 11 / count, rng.random_range(1..28));
        let row = json!({ "no": format!("E{n}"), "line": line, "at": at, "amt": format!("{n}.50"), "ver": 1, "st": "in force" });
        match rng.random_range(0..10) {
            0 if !approvals.is_empty() => {
                // An approval once more, or with other content, which is a conflict: neither says anything new.
                let mut again = approvals.choose(&mut rng).unwrap().clone();
                if rng.random_bool(0.5) {
                    again["region"] = "339900000".into();
                }
                short.push(again.clone());
                whole.push(again);
            }
            1 => {
                let of = attributes(&mut rng);
                let mut row = with(row, &of);
                (row["ty"], row["act"]) = ("budget".into(), "approve".into());
                known.insert(line, of);
                approvals.push(row.clone());
                short.push(row.clone());
                whole.push(row);
            }
            kind => {
                let mut row = row;
                row["ty"] = if kind == 2 { "application" } else { "payment" }.into();
                row["payee"] = "甲公司".into();
                let Some(of) = known.get(&line) else {
                    short.push(row);
                    unknown += 1;
                    continue;
                };
                // What the row says itself stays, and the name of the line's unit is none of another one.
                let mut of = of.clone();
                if rng.random_bool(0.2) {
                    row["unit"] = "109".into();
                    of["unit"] = "109".into();
                    of["unit_name"] = Value::Null;
                }
                whole.push(with(row.clone(), &of));
                short.push(row);
            }
        }
    }
    (short, whole, unknown)
}

fn backtest(bench: &Bench, source: &str, rows: &[Value], size: &str) -> ((Vec<String>, Vec<String>), String) {
    write(bench.path(), "rows.jsonl", &lines(rows));
    let (dir, config) = (bench.path(), ["--config", "fiscwatch.yaml", "--as", source]);
    let files = ["--events", "rows.jsonl", "--findings", "f", "--ledger", "l", "--batch-rows", size];
    let (code, _, err) = run(dir, &[&["backtest"][..], &config, &files].concat());
    assert_eq!(code, Some(0), "{err}");
    ((file_lines(&dir.join("f")), file_lines(&dir.join("l"))), err)
}

#[test]
fn rows_with_only_their_line_are_those_that_have_all() {
    let bench = bench();
    for seed in 0..4 {
        let (short, whole, unknown) = streams(seed, 400);
        assert!(
            unknown > 0 && ATTRIBUTES.iter().all(|name| whole.iter().any(|row| row[name] != Value::Null))
        );
        for (source, plain) in [("lines", "whole"), ("lines-changing", "whole-changing")] {
            let (expected, _) = backtest(&bench, plain, &whole, "1000");
            for size in ["1", "7", "1000"] {
                let (found, told) = backtest(&bench, source, &short, size);
                assert_same(&found, &expected, &format!("{source}, seed {seed}, batches of {size}"));
                assert!(told.contains(&format!("unknown_line {unknown})")), "{unknown}: {told}");
            }
        }
    }
}

fn approval(line: &str, region: &str) -> Value {
    json!({ "no": format!("B{line}{region}"), "ty": "budget", "act": "approve", "line": line, "amt": "100.00", "at": "2026-01-05", "year": 2026,
        "region": region, "unit": "101", "unit_name": "第一中学", "function": "2050201", "economic": "30201", "ver": 1, "st": "in force" })
}

fn paid(no: &str, line: &str, amount: &str, version: u8) -> Value {
    json!({ "no": no, "ty": "payment", "line": line, "amt": amount, "at": "2026-03-05", "payee": "甲公司", "ver": version, "st": "in force" })
}

#[test]
fn a_reversal_has_what_was_looked_up_and_later_approvals_change_nothing() {
    let bench = bench();
    let mut void = paid("V1", "L1", "50.00", 3);
    void["st"] = "void".into();
    let rows = [
        approval("L1", "330100000"),
        paid("V1", "L1", "60.00", 1),
        approval("L1", "330200000"),
        // The same again, and then with another amount, by which the new payment is of the line as it is now.
        paid("V1", "L1", "60.00", 1),
        paid("V1", "L1", "50.00", 2),
        // Another line, which nobody knows: nothing of this version holds.
        paid("V1", "L9", "50.00", 3),
        paid("V2", "L1", "7.00", 1),
        void,
    ];
    for size in ["1", "1000"] {
        let ((findings, ledger), told) = backtest(&bench, "lines-changing", &rows, size);
        let summaries: Vec<_> = findings
            .iter()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["summary"].as_str().unwrap().to_owned())
            .collect();
        let region = |at: usize| summaries[at].split(' ').nth(2).unwrap();
        let regions: Vec<_> = (0..summaries.len()).map(region).collect();
        assert_eq!(
            regions,
            ["330100000", "330100000", "330200000", "330200000", "330200000"],
            "{summaries:?} {told}"
        );
        assert!(
            ledger.iter().any(|line| line.contains("\"7.00\"")) && told.contains("unknown_line"),
            "{told}"
        );
    }
}

#[test]
fn what_comes_before_its_budget_waits_in_quarantine_and_is_read_again() {
    let bench = bench();
    write(
        bench.path(),
        "lines/a.jsonl",
        &lines(&[paid("V1", "L1", "60.00", 1), approval("L2", "330100000")]),
    );
    write(bench.path(), "lines/b.jsonl", &lines(&[approval("L1", "330100000"), paid("V2", "L1", "1.00", 1)]));
    let daemon = Daemon::start(bench.path());
    crate::support::wait_until(|| daemon.get("/api/v1/budget-lines/L1").1.contains("\"1.00\""));
    let counted = "fiscwatch_quarantined_total{reason=\"unknown_line\",source=\"lines\"} 1";
    crate::support::wait_until(|| daemon.get("/metrics").1.contains(counted));
    let (code, out, err) = run(bench.path(), &["rejects", "list", "--json", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    let reject: Value = serde_json::from_str(&out).unwrap();
    insta::assert_snapshot!(reject["detail"].as_str().unwrap());
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let args = ["rejects", "replay", "--reason", "unknown_line", "--config", "fiscwatch.yaml"];
    let (code, out, err) = run(bench.path(), &args);
    assert_eq!(code, Some(0), "{out}{err}");
    let (code, out, err) =
        run(bench.path(), &["budget", "show", "L1", "--json", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("\"61.00\""), "{out}");
}
