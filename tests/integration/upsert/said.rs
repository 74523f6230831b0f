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

#[test]
fn a_key_of_more_columns_than_the_id_is_warned_of() {
    let map = "map: { columns: { no: event_id, line: budget_line_id, at: occurred_at, amt: amount, by: payee_name, acc: payee_account }, lookup: { from: budget_line },
      constants: { type: payment, payment_mode: direct, settlement: transfer, payee_type: entity } }";
    let config = |key: &str, id: &str| {
        let map = map.replace("no: event_id", if id.is_empty() { "no: event_id" } else { "no: purpose" });
        let map = map.replace("lookup:", &format!("{id}lookup:"));
        format!(
            "sources:\n  - name: vouchers\n    directory: {{ path: . }}\n    {map}\n    mode: upsert\n    upsert: {{ key: [{key}], version: ver }}\n"
        )
    };
    let told = |key: &str, id: &str| {
        let bench = Bench::new("", &config(key, id));
        let (code, out, err) = run(bench.path(), &["check", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(0), "{out}{err}");
        err.trim_end().to_owned()
    };
    insta::assert_snapshot!(told("no, item", ""));
    for (key, id) in
        [("no", ""), ("no, item", "id: [no, item], "), ("pk", ""), ("no, item", "id: [item, no, kind], ")]
    {
        assert_eq!(told(key, id), "", "{key} {id}");
    }
}

/// Rows through a backtest with these words about times: what is executed, what the confirmations are, what is refused.
fn versions(said: &str, rows: &[&str]) -> (String, Vec<String>, String) {
    let map = "map: { columns: { no: event_id, at: occurred_at, got: actual_payee_name, ref: bank_ref, bank: status },
      constants: { type: payment, budget_line_id: L1, amount: '60.00', payee_name: A, payee_account: '1', payment_mode: direct, settlement: transfer,
        payee_type: entity, fiscal_year: 2026, region_code: '33', unit_code: '101', function_code: '205', economic_code: '302' }";
    let bench = Bench::new(
        "",
        &format!(
            "sources:\n  - name: vouchers\n    directory: {{ path: . }}\n    {map}{said} }}\n    mode: upsert\n    upsert: {{ key: [no], version: ver }}\n"
        ),
    );
    let rules = "rules:\n  - id: answers\n    title: answers\n    severity: low\n    trigger: confirmation\n    when: amount > 0\n    key: [event_id]\n    summary: '{{ status }} {{ bank_ref }} {{ budget.cleared }}'\n";
    crate::support::write(bench.path(), "rules/rules.yaml", rules);
    crate::support::write(
        bench.path(),
        "rows.csv",
        &format!("no,at,ver,got,ref,bank\n{}\n", rows.join("\n")),
    );
    let args = [
        "backtest",
        "--config",
        "fiscwatch.yaml",
        "--as",
        "vouchers",
        "--events",
        "rows.csv",
        "--findings",
        "f",
        "--ledger",
        "l",
    ];
    let (code, _, err) = run(bench.path(), &args);
    assert_eq!(code, Some(0), "{err}");
    let summary = |line: String| {
        serde_json::from_str::<serde_json::Value>(&line).unwrap()["summary"].as_str().unwrap().to_owned()
    };
    let found = crate::support::file_lines(&bench.path().join("f")).into_iter().map(summary).collect();
    let ledger = crate::support::file_lines(&bench.path().join("l")).remove(0);
    let ledger: serde_json::Value = serde_json::from_str(&ledger).unwrap();
    (format!("{} {}", ledger["executed"], ledger["cleared"]), found, err)
}

#[test]
fn a_return_that_is_told_otherwise_moves_no_money() {
    let at = "2026-03-05T10:00:00+08:00";
    let row = |version: u8, bank: &str| format!("V1,{at},{version},{bank}");
    let rows = [
        row(1, ",,"),
        row(2, "A,B1,paid"),
        row(3, "A,B2,returned"),
        row(4, "A,B3,returned"),
        row(5, "B,B4,returned"),
    ];
    let (ledger, found, _) = versions("", &rows.each_ref().map(String::as_str));
    assert_eq!(
        (ledger.as_str(), found.join("; ").as_str()),
        ("\"60.00\" \"0.00\"", "paid B1 60.00; returned B2 0.00")
    );
    // And paid after all, by what the bank says last.
    let rows = [&rows[..], &[row(6, "A,B5,paid")]].concat();
    let (ledger, found, _) = versions("", &rows.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((ledger.as_str(), found.last().unwrap().as_str()), ("\"60.00\" \"60.00\"", "paid B5 60.00"));
}

#[test]
fn versions_of_a_clock_that_is_put_forward_or_back_are_in_order() {
    let row =
        |version: &str, reference: &str| format!("V1,2026-03-05T10:00:00+01:00,{version},A,{reference},paid");
    // In Berlin there is no 02:30 on this day; 03:15 comes a quarter of an hour after 01:59.
    let spring = [
        row("2026-03-29 01:59:00", "B1"),
        row("2026-03-29 02:30:00", "B2"),
        row("2026-03-29 03:15:00", "B3"),
    ];
    let spring = spring.each_ref().map(String::as_str);
    let (_, found, err) = versions(", zone: Europe/Berlin", &spring);
    assert_eq!(found.last().unwrap(), "paid B3 60.00", "{err}");
    assert!(
        err.contains("bad_time") && err.contains("ver \"2026-03-29 02:30:00\": there was no such time"),
        "{err}"
    );
    // 02:30 comes twice, and 02:15 after the first of them.
    let autumn = [
        row("2026-10-25 01:59:00", "B1"),
        row("2026-10-25 02:30:00", "B2"),
        row("2026-10-25 03:00:00", "B3"),
    ];
    let (_, found, err) = versions(", zone: Europe/Berlin", &autumn.each_ref().map(String::as_str));
    assert_eq!(found.last().unwrap(), "paid B3 60.00", "{err}");
    assert!(err.contains("ver \"2026-10-25 02:30:00\": this time was there twice"), "{err}");
    // Without a zone the clock itself orders.
    let (_, found, err) = versions("", &spring);
    assert_eq!((found.len(), found.last().unwrap().as_str()), (5, "paid B3 60.00"), "{err}");
}
