//! What is said: mistakes in the configuration, and records that cannot be compared.

use crate::support::{Bench, run};

use super::daemon::{bench, drop_file, once};

fn check(config: &str) -> String {
    let bench = Bench::new("", config);
    let (code, out, err) = run(bench.path(), &["check", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1), "{out}{err}");
    format!("{out}{err}").replace(&bench.path().display().to_string(), "")
}

#[test]
fn every_mistake_is_told_where_it_stands() {
    let map = "map: { columns: { 号: event_id, 日: occurred_at }, constants: { type: payment }, when: 状态 = '已支付' }";
    let source = |more: &str| format!("sources:\n  - name: vouchers\n    directory: {{ path: . }}\n{more}");
    let told = [
        source("    mode: upsert\n    upsert: { key: [号], version: 更新 }\n"),
        source(&format!("    {map}\n    mode: upsert\n")),
        source(&format!("    {map}\n    mode: upsert\n    upsert: {{ key: [更新], version: 更新 }}\n")),
        source(&format!("    {map}\n    upsert: {{ key: [号], version: 更新 }}\n")),
        source(&format!("    {map}\n    mode: replace\n")),
    ]
    .map(|config| check(&config));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_record_that_cannot_be_compared_is_in_quarantine_with_the_reason() {
    let bench = bench("");
    let row = |state: &str, version: &str, cents: &str, more: &str| {
        format!("V1,{state},{version},2026-03-01T10:00:00+08:00,L1,{cents},甲公司,,,{more}\n")
    };
    drop_file(
        &bench,
        "1.csv",
        &[
            row("支付", "7", "5.00", ",,"),
            row("支付", "7", "6.00", ",,"),
            row("支付", "2026-03-08", "6.00", ",,"),
            row("支付", "", "6.00", ",,"),
            row("作废", "", "6.00", ",,"),
            row("支付", "8", "6.001", ",,"),
            row("支付", "8", "5.00", "甲公司,B,不明"),
            row("支付", "6", "9.00", ",,"),
            row("支付", "8", "5.00", ",,"),
        ],
    );
    once(bench.path());
    let (code, out, err) = run(bench.path(), &["rejects", "list", "--json", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    let told = out.lines().map(|line| {
        let reject: serde_json::Value = serde_json::from_str(line).unwrap();
        format!("{} {}: {}", reject["record"], reject["reason"], reject["detail"])
    });
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"));
    let (_, ledger) = bench.state();
    assert!(ledger[0].contains(r#""executed":"5.00""#), "{ledger:?}");
    // Read again, they are what they were.
    let (code, out, err) = run(bench.path(), &["rejects", "replay", "--config", "fiscwatch.yaml"]);
    assert!(code == Some(0) || code == Some(1), "{out}{err}");
    assert_eq!(bench.state().1, ledger);
}
