//! Other records name a record by its number, whatever versions of it came in between.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use crate::support::{Bench, file_lines, run, write};

/// Records of all types, which name others, and applications and payments of two systems.
const CONFIG: &str = "
rules: { paths: [found.yaml] }
state: { dir: state }
sources:
  - name: all
    directory: { path: all, pattern: '*.csv', settle: 0s }
    map: &map
      columns: { no: event_id, ty: type, line: budget_line_id, amt: amount, payee: payee_name, of: original_event_id, app: application_id, act: action, bk: status }
      constants: { occurred_at: '2026-03-04T10:00:00+08:00', fiscal_year: 2026, region_code: '330100000', unit_code: '101', function_code: '2050201',
        economic_code: '30201', payment_mode: direct, settlement: transfer, payee_account: '33010160006', payee_type: entity }
      when: st is null or st <> 'void'
    mode: upsert
    upsert: { key: [no], version: ver }
  - name: appended
    directory: { path: appended, pattern: '*.csv', settle: 0s }
    map: *map
";
const RULES: &str = "rules:
  - { id: no-original, title: t, severity: high, trigger: refund, when: original.amount is null, key: [event_id] }
  - { id: too-much, title: t, severity: high, trigger: refund, when: amount > original.amount, key: [event_id], summary: '{{ original.amount }}' }
  - { id: other-line, title: t, severity: high, trigger: refund, when: budget_line_id <> original.budget_line_id, key: [event_id] }
";
const HEAD: &str = "no,ver,ty,line,amt,payee,of,app,st,act,bk\n";

fn bench() -> Bench {
    let bench = Bench::new("", CONFIG.trim_start());
    write(bench.path(), "found.yaml", RULES);
    bench
}

/// The rows as a file; a confirmation says that it was paid.
fn with_head(rows: &str) -> String {
    let status = |row: &str| if row.contains("confirmation") { "paid" } else { "" };
    rows.lines().fold(HEAD.to_owned(), |file, row| file + row + "," + status(row) + "\n")
}

/// The amounts of a line that are not zero.
fn amounts(line: &Value) -> BTreeMap<String, String> {
    let amount = |name: &&str| line[*name].as_str().filter(|amount| *amount != "0.00");
    ["executed", "reserved"]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), amount(name)?.to_owned())))
        .collect()
}

/// What a backtest of these rows says of L1, which rules found something, and how many records it rejected; however they are
/// cut into batches.
fn judged(dir: &Path, rows: &str) -> (BTreeMap<String, String>, Vec<String>, bool) {
    write(dir, "rows.csv", &with_head(rows));
    let judge = |size: &str| {
        let args = ["backtest", "--config", "fiscwatch.yaml", "--as", "all", "--events", "rows.csv"];
        let outs = ["--ledger", "ledger", "--findings", "found", "--batch-rows", size];
        let (_, _, err) = run(dir, &[&args[..], &outs[..]].concat());
        let parsed = |file: &str| {
            file_lines(&dir.join(file)).into_iter().map(|line| serde_json::from_str(&line).unwrap())
        };
        let line: Value = parsed("ledger")
            .find(|line: &Value| line["budget_line_id"] == "L1")
            .unwrap_or_else(|| panic!("{err}"));
        let told = |finding: Value| {
            format!("{} {}", finding["rule_id"].as_str().unwrap(), finding["summary"].as_str().unwrap())
        };
        (amounts(&line), parsed("found").map(told).collect::<Vec<_>>(), err.contains("conflict"))
    };
    let all = ["1", "2", "1000"].map(judge);
    assert!(all.iter().all(|one| *one == all[0]), "{rows}: {all:?}");
    all.into_iter().next().unwrap()
}

fn of(amounts: &[(&str, &str)]) -> BTreeMap<String, String> {
    amounts.iter().map(|(name, amount)| ((*name).to_owned(), (*amount).to_owned())).collect()
}

#[test]
fn a_record_is_named_by_its_number_however_it_has_changed() {
    let bench = bench();
    let none: Vec<String> = Vec::new();
    let judged = |rows: &str| judged(bench.path(), rows);
    let paid = of(&[("executed", "5.00")]);
    let nothing = of(&[]);
    for (rows, amounts, found) in [
        // An application and its payment, and the same after a correction.
        ("S1,1,application,L1,5,甲,,,,\nP1,1,payment,L1,5,甲,,S1,,\n", &paid, &none),
        (
            "S1,1,application,L1,7,甲,,,,\nS1,2,application,L1,5,甲,,,,\nP1,1,payment,L1,5,甲,,S1,,\n",
            &paid,
            &none,
        ),
        // The payment comes first, or the application is corrected when it is paid already.
        ("P1,1,payment,L1,5,甲,,S1,,\nS1,1,application,L1,5,甲,,,,\n", &paid, &none),
        (
            "P1,1,payment,L1,5,甲,,S1,,\nS1,1,application,L1,7,甲,,,,\nS1,2,application,L1,5,甲,,,,\n",
            &paid,
            &none,
        ),
        (
            "S1,1,application,L1,5,甲,,,,\nP1,1,payment,L1,5,甲,,S1,,\nS1,2,application,L1,7,甲,,,,\n",
            &paid,
            &none,
        ),
        (
            "S1,1,application,L1,6,甲,,,,\nS1,2,application,L1,5,甲,,,,\nP1,1,payment,L1,5,甲,,S1,,\nS1,3,application,L1,7,甲,,,,\n",
            &paid,
            &none,
        ),
        // A payment that is corrected itself.
        (
            "S1,1,application,L1,5,甲,,,,\nP1,1,payment,L1,9,甲,,S1,,\nP1,2,payment,L1,5,甲,,S1,,\n",
            &paid,
            &none,
        ),
        (
            "S1,1,application,L1,5,甲,,,,\nS1,2,application,L1,6,甲,,,,\nW1,1,withdrawal,L1,,,S1,,,\n",
            &nothing,
            &none,
        ),
        // Refunds of payments whose payee, amount or line was corrected.
        ("1,1,payment,L1,5,甲,,,,\n1,2,payment,L1,5,乙,,,,\n2,1,refund,L1,5,,1,,,\n", &nothing, &none),
        ("1,1,payment,L1,5,甲,,,,\n1,2,payment,L1,7,甲,,,,\n2,1,refund,L1,7,,1,,,\n", &nothing, &none),
        (
            "1,1,payment,L1,7,甲,,,,\n1,2,payment,L1,5,甲,,,,\n2,1,refund,L1,7,,1,,,\n",
            &of(&[("executed", "-2.00")]),
            &vec!["too-much 5.00".to_owned()],
        ),
        (
            "0,1,payment,L1,1,甲,,,,\n1,1,payment,L1,5,甲,,,,\n1,2,payment,L2,5,甲,,,,\n2,1,refund,L2,5,,1,,,\n",
            &of(&[("executed", "1.00")]),
            &none,
        ),
    ] {
        let (line, told, conflict) = judged(rows);
        assert_eq!((&line, &told, conflict), (amounts, found, false), "{rows}");
    }
}

/// The bank's answer of another record is booked where the payment is now.
#[test]
fn an_answer_of_the_bank_follows_a_payment_to_its_line() {
    let bench = bench();
    let rows = "0,1,payment,L2,1,甲,,,,\n1,1,payment,L2,5,甲,,,,\n1,2,payment,L1,5,甲,,,,\n2,1,confirmation,,5,,1,,,\n";
    judged(bench.path(), rows);
    let lines = file_lines(&bench.path().join("ledger"));
    let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let uncleared: Vec<_> = lines.map(|line| line["uncleared"].as_str().unwrap().to_owned()).collect();
    assert_eq!(uncleared, ["0.00", "1.00"]);
}

#[test]
fn what_cannot_be_taken_back_is_told() {
    let bench = bench();
    let refunded = of(&[]);
    let pay = "1,1,payment,L1,5,甲,,,,\n";
    let refund = "2,1,refund,L1,5,,1,,,\n";
    for (rows, amounts) in [
        // A refund is voided, changed, or becomes a payment.
        (format!("{pay}{refund}2,2,refund,L1,5,,1,,void,\n"), &refunded),
        (format!("{pay}{refund}2,2,refund,L1,4,,1,,,\n"), &refunded),
        (format!("{pay}{refund}2,2,payment,L1,5,甲,,,,\n"), &refunded),
        // A payment becomes a refund.
        (format!("{pay}1,2,refund,L1,5,,,,,\n"), &of(&[("executed", "5.00")])),
    ] {
        let (line, _, conflict) = judged(bench.path(), &rows);
        assert_eq!((&line, conflict), (amounts, true), "{rows}");
    }
    // What is said again is no conflict.
    let (line, _, conflict) = judged(bench.path(), &format!("{pay}{refund}{refund}2,2,refund,L1,5,,1,,,\n"));
    assert_eq!((line, conflict), (refunded, false));
}

/// Each source and each version in a process of its own: what stands of a record is found in the store.
#[test]
fn a_record_is_found_after_a_restart_and_from_another_source() {
    let bench = bench();
    let dir = bench.path();
    let once = |folder: &str, rows: &str| {
        write(dir, &format!("{folder}/{}.csv", rows.len()), &with_head(rows));
        let (code, out, err) = run(dir, &["run", "--once", "--keep-open", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(0), "{out}{err}");
    };
    std::fs::create_dir_all(dir.join("appended")).unwrap();
    once("all", "S1,1,application,L1,7,甲,,,,\n");
    once("all", "S1,2,application,L1,5,甲,,,,\n1,1,payment,L1,8,甲,,,,\n");
    once("all", "1,02,payment,L1,9,甲,,,,\n");
    once("appended", "P1,1,payment,L1,5,甲,,S1,,\nR1,1,refund,L1,9,,1,,,\n");
    // The same again is known.
    once("appended", "P1,1,payment,L1,5,甲,,S1,,\nR1,1,refund,L1,9,,1,,,\n\n");
    let (_, out, _) = run(dir, &["budget", "export", "--json", "--config", "fiscwatch.yaml"]);
    let line: Value =
        serde_json::from_str(out.lines().find(|line| line.contains("\"L1\"")).unwrap()).unwrap();
    assert_eq!(amounts(&line), of(&[("executed", "5.00")]));
    let (_, found, _) = run(dir, &["findings", "list", "--json", "--config", "fiscwatch.yaml"]);
    assert!(!found.contains("too-much") && !found.contains("no-original"), "{found}");
    let (code, out, _) = run(dir, &["state", "verify", "--findings", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}");
}
