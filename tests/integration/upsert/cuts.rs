//! What stands of a record does not depend on what shares a batch with it, also where a version is refused.

use crate::support::{Bench, file_lines, run, write};

/// Vouchers of several items under one number, which is no good id, and a folder with budgets among the payments.
const CONFIG: &str = "
sources:
  - name: items
    directory: { path: a, pattern: '*.csv' }
    map:
      columns: { no: event_id, line: budget_line_id, amt: amount, at: occurred_at, payee: payee_name }
      constants: { type: payment, fiscal_year: 2026, region_code: '330100000', unit_code: '101', function_code: '2050201', economic_code: '30201',
        payment_mode: direct, settlement: transfer, payee_account: '33010160006', payee_type: entity }
      when: st = 'P'
    mode: upsert
    upsert: { key: [no, item], version: ver }
  - name: mixed
    directory: { path: b, pattern: '*.csv' }
    map:
      columns: { no: event_id, ty: type, act: action, line: budget_line_id, amt: amount, at: occurred_at, payee: payee_name, ref: bank_ref }
      optional: [ref]
      constants: { fiscal_year: 2026, region_code: '330100000', unit_code: '101', function_code: '2050201', economic_code: '30201',
        payment_mode: direct, settlement: transfer, payee_account: '33010160006', payee_type: entity }
    mode: upsert
    upsert: { key: [no], version: ver, confirmed_at: cat }
";

/// What line L1 has, and what of the records is told, however the stream is cut.
fn ends(bench: &Bench, source: &str, rows: &str) -> (String, String) {
    write(bench.path(), "rows.csv", rows);
    let mut all: Vec<(String, String)> = Vec::new();
    for size in ["1", "2", "1000"] {
        let args = [
            "backtest",
            "--config",
            "fiscwatch.yaml",
            "--as",
            source,
            "--events",
            "rows.csv",
            "--batch-rows",
            size,
        ];
        let (_, _, err) = run(bench.path(), &[&args[..], &["--ledger", "ledger.jsonl"]].concat());
        let line =
            file_lines(&bench.path().join("ledger.jsonl")).into_iter().find(|line| line.contains("\"L1\""));
        let line: serde_json::Value = serde_json::from_str(&line.unwrap_or_else(|| panic!("{err}"))).unwrap();
        let told =
            err.lines().find(|line| line.contains("events") && line.contains("rejected")).unwrap_or(&err);
        let told = told.split("rejected").next().unwrap().split(',').next().unwrap().to_owned();
        all.push((line["executed"].as_str().unwrap().to_owned(), told));
    }
    assert!(all.iter().all(|one| one == &all[0]), "{rows}: {all:?}");
    all.remove(0)
}

#[test]
fn what_is_refused_leaves_nothing_standing_however_the_stream_is_cut() {
    let bench = Bench::new("", CONFIG.trim_start());
    let head = "no,item,line,amt,at,payee,st,ver\n";
    let row = |item: u8, amount: &str, payee: &str, state: &str, version: u8| {
        format!("V1,{item},L1,{amount},2026-03-01T10:00:00+08:00,{payee},{state},{version}\n")
    };
    let (one, two) = (row(1, "100.00", "A", "P", 1), row(2, "200.00", "B", "P", 1));
    let (executed, _) = ends(&bench, "items", &format!("{head}{one}{two}{}", row(2, "200.00", "B", "X", 2)));
    assert_eq!(executed, "100.00", "what was refused is not taken back");
    ends(&bench, "items", &format!("{head}{one}{two}{}", row(2, "300.00", "B", "P", 2)));

    let head = "no,ty,act,line,amt,at,payee,ref,ver,cat\n";
    let budgets = "B1,budget,approve,L1,1000.00,2026-01-01T10:00:00+08:00,,,1,\nB2,budget,approve,L2,1000.00,2026-01-01T10:00:00+08:00,,,1,\n";
    let pays = |year: u16, version: u8| {
        format!(
            "V1,payment,,L1,100.00,{year}-03-01T10:00:00+08:00,A,R1,{version},2026-03-02T10:00:00+08:00\n"
        )
    };
    let (executed, _) = ends(&bench, "mixed", &format!("{head}{budgets}{}{}", pays(2016, 1), pays(2026, 2)));
    assert_eq!(executed, "100.00");
    // Its time was judged when it was accepted: what takes it back is not judged again.
    let (executed, _) = ends(&bench, "mixed", &format!("{head}{}{budgets}{}", pays(2016, 1), pays(2026, 2)));
    assert_eq!(executed, "100.00");
}
