//! The daemon with files of vouchers: a day that is sent three times, deaths at every step of a commit, the tries beforehand.

use std::path::Path;

use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::model::{HEADER, MAP};
use crate::support::{Bench, assert_same, fiscwatch, lines, payment, run};

/// A configuration with a folder of vouchers.
pub fn config(more: &str) -> String {
    let map = MAP.trim_start().replace('\n', "\n      ");
    format!(
        "sources:\n  - name: vouchers\n    directory: {{ path: drop, pattern: '*.csv', settle: 0s }}\n    map:\n      {map}\n    mode: upsert\n    upsert: {{ key: [凭证号], version: 更新 }}\n\
         engine: {{ batch_rows: 16, min_time: 2020-01-01, max_future: 9999d }}\n{more}"
    )
}

pub const RULES: &str = "
rules:
  - id: large
    title: large
    severity: high
    trigger: [payment, application]
    when: amount > 900000
    key: [budget_line_id]
    summary: '{{ amount }} leaves {{ budget.executed }}'
  - id: other-payee
    title: other payee
    severity: critical
    trigger: confirmation
    when: status = 'paid' and actual_payee_name <> original.payee_name
    key: [original_event_id]
    summary: '{{ actual_payee_name }} for {{ original.payee_name }}: {{ original.amount }}'
  - id: twice
    title: twice
    severity: high
    trigger: [payment, reversal]
    over: { by: [payee_name, amount], last: 30d }
    measure: { n: \"count(*) filter (where type = 'payment') - count(*) filter (where type = 'reversal')\" }
    when: type = 'payment' and n = 2
    key: [payee_name]
    summary: '{{ n }}'
  - id: told
    title: told
    severity: low
    trigger: schedule
    every: 1d
    sql: SELECT budget_line_id, executed, cleared FROM budget_lines WHERE executed > 0
    key: [budget_line_id]
";

pub fn bench(more: &str) -> Bench {
    let bench = Bench::new("", &config(more));
    std::fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    std::fs::create_dir(bench.path().join("drop")).unwrap();
    bench
}

pub fn drop_file(bench: &Bench, name: &str, rows: &[String]) {
    std::fs::write(bench.path().join("drop").join(name), format!("{HEADER}{}", rows.concat())).unwrap();
}

pub fn once(dir: &Path) {
    let (code, out, err) = run(dir, &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
}

fn rejects(bench: &Bench) -> Vec<Value> {
    let (code, out, err) = run(bench.path(), &["rejects", "list", "--json", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A row of a voucher.
fn row(key: usize, state: &str, version: &str, bank: &str) -> String {
    let cents = 100_000_000 / (key + 1);
    let payee = if key.is_multiple_of(4) { "甲公司" } else { "乙公司" };
    format!(
        "V{key},{state},{version},2026-03-0{day}T10:00:00+08:00,L{line},{}.{:02},{payee},,,{bank}\n",
        cents / 100,
        cents % 100,
        day = 1 + key % 7,
        line = key % 3,
    )
}

#[test]
fn a_day_of_vouchers_sent_three_times_is_the_clean_stream() {
    let sent = bench("");
    let keys = 0..40;
    let applied = |key| row(key, "申请", "2026-03-08T09:00:00+08:00", ",,");
    let paid = |key| row(key, "支付", "2026-03-08T10:00:00+08:00", ",,");
    let cleared = |key| {
        let actual = if key == 7 {
            "丙公司"
        } else if usize::is_multiple_of(key, 4) {
            "甲公司"
        } else {
            "乙公司"
        };
        row(key, "支付", "2026-03-08T11:00:00+08:00", &format!("{actual},B{key},成功"))
    };
    drop_file(&sent, "1.csv", &keys.clone().map(applied).collect::<Vec<_>>());
    drop_file(&sent, "2.csv", &keys.clone().map(paid).collect::<Vec<_>>());
    drop_file(&sent, "3.csv", &keys.clone().map(cleared).collect::<Vec<_>>());
    once(sent.path());
    assert_eq!(rejects(&sent), [] as [Value; 0]);

    // The same as events, as a system would send that knows what changes.
    let event = |key: usize, id: &str, kind: &str| {
        let cents = 100_000_000 / (key + 1);
        let mut event = payment(id, &format!("L{}", key % 3), &format!("{}.{:02}", cents / 100, cents % 100));
        event["type"] = json!(kind);
        event["occurred_at"] = json!(format!("2026-03-0{}T10:00:00+08:00", 1 + key % 7));
        event["payee_name"] = json!(if key.is_multiple_of(4) { "甲公司" } else { "乙公司" });
        event
    };
    let mut events: Vec<Value> =
        keys.clone().map(|key| event(key, &format!("V{key}/application"), "application")).collect();
    events.extend(keys.clone().map(|key| {
        let mut event = event(key, &format!("V{key}"), "payment");
        event["application_id"] = json!(format!("V{key}/application"));
        event
    }));
    events.extend(keys.map(|key| {
        let cents = 100_000_000 / (key + 1);
        let actual = if key == 7 { "丙公司" } else if key.is_multiple_of(4) { "甲公司" } else { "乙公司" };
        json!({"event_id": format!("V{key}@2026-03-08T11:00:00+08:00/paid"), "type": "confirmation", "occurred_at": "2026-03-08T11:00:00+08:00",
            "original_event_id": format!("V{key}"), "amount": format!("{}.{:02}", cents / 100, cents % 100), "status": "paid",
            "actual_payee_name": actual, "bank_ref": format!("B{key}")})
    }));
    let clean = Bench::new(
        &lines(&events),
        "sources: [{ name: vouchers, file: { path: events.jsonl } }]\nengine: { batch_rows: 16, min_time: 2020-01-01, max_future: 9999d }\n",
    );
    std::fs::write(clean.path().join("rules/rules.yaml"), RULES).unwrap();
    once(clean.path());
    let expected = clean.state();
    assert!(expected.0.iter().any(|finding| finding.contains("other-payee")), "{:?}", expected.0);
    assert_same(&sent.state(), &expected, "sent three times");

    // Once more changes nothing, nor does what a backtest makes of the files.
    let files = ["drop/1.csv", "drop/2.csv", "drop/3.csv"];
    let tried = |files: &[&str]| {
        let ledger = [
            "--as",
            "vouchers",
            "--config",
            "fiscwatch.yaml",
            "--findings",
            "found.jsonl",
            "--ledger",
            "ledger.jsonl",
        ];
        let (code, out, err) = run(sent.path(), &[&["backtest", "--events"], files, &ledger[..]].concat());
        assert_eq!(code, Some(0), "{out}{err}");
        let read = |name: &str| crate::support::file_lines(&sent.path().join(name));
        (read("found.jsonl"), read("ledger.jsonl"))
    };
    let mut found = tried(&files);
    found.0.sort();
    let mut sorted = expected.clone();
    sorted.0.sort();
    assert_eq!(found.1, sorted.1, "a backtest of the files");
    assert_eq!(found.0.len(), sorted.0.len(), "a backtest of the files");
    for (from, to) in [("1.csv", "4.csv"), ("2.csv", "5.csv"), ("3.csv", "6.csv")] {
        std::fs::copy(sent.path().join("drop").join(from), sent.path().join("drop").join(to)).unwrap();
    }
    once(sent.path());
    assert_same(&sent.state(), &expected, "sent six times");
    assert_eq!(rejects(&sent), [] as [Value; 0]);
}

/// Random versions of vouchers, in files.
fn changing(seed: u64, keys: usize) -> Vec<Vec<String>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut rows = Vec::new();
    for key in 0..keys {
        for version in 1..=rng.random_range(1..5) {
            let state = ["申请", "支付", "支付", "支付", "作废"][rng.random_range(0..5)];
            let bank =
                [",,", ",,", "甲公司,B1,成功", "丙公司,B2,成功", "甲公司,B3,退汇"][rng.random_range(0..5)];
            let mut row = row(key, state, &format!("{version}"), bank);
            if rng.random_ratio(1, 3) {
                row = row.replace(&format!(",L{},", key % 3), ",L9,");
            }
            rows.push(row);
        }
    }
    rows.shuffle(&mut rng);
    rows.chunks(rows.len().div_ceil(5)).map(<[String]>::to_vec).collect()
}

#[test]
fn deaths_at_every_step_of_a_commit_change_nothing() {
    let files = changing(11, 120);
    let fill = |bench: &Bench| {
        for (number, rows) in files.iter().enumerate() {
            drop_file(bench, &format!("{number}.csv"), rows);
        }
    };
    let whole = bench("");
    fill(&whole);
    once(whole.path());
    let expected = whole.state();
    assert!(expected.1.len() > 3, "{expected:?}");
    assert_eq!(rejects(&whole), [] as [Value; 0]);
    for step in ["commit.begun", "commit.journal", "commit.versions", "commit.ready", "commit.done"] {
        let killed = bench("state: { dir: state, checkpoint_events: 60 }\n");
        fill(&killed);
        for death in 1..5 {
            let status = fiscwatch()
                .current_dir(killed.path())
                .args(["run", "--once", "--config", "fiscwatch.yaml"])
                .env("FAILPOINT", format!("{step}=abort@{death}"))
                .output()
                .unwrap();
            assert_eq!(status.status.code(), None, "{step} {death}: {status:?}");
        }
        once(killed.path());
        assert_eq!(rejects(&killed), [] as [Value; 0], "{step}");
        let found = killed.state();
        assert_eq!(found.1, expected.1, "{step}: the ledger");
        assert_same(&found, &expected, step);
        let (code, out, err) = run(killed.path(), &["state", "verify", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(0), "{step}: {out}{err}");
    }
}
