//! `fiscwatch import` on files that it was not made for: layouts that bureaus, banks and councils publish.

use encoding_rs::GB18030;
use rust_xlsxwriter::Workbook;

use crate::support::{Bench, Daemon, fiscwatch, run, write};

/// A bank's statement of an account, in GBK, with what banks put above it.
const STATEMENT: &str = "中国某某银行股份有限公司对账单\n账号：33010000000000001,,币种：人民币,,,\n交易日期,交易流水号,借方发生额,贷方发生额,对方户名,对方账号,摘要\n\
20260304,S0000001,\"1,234.50\",,丰华建材有限公司,6222021234567890123,货款\n20260305,S0000002,\"12,000.00\",,宏远商贸公司,6222021234567890124,印刷费\n\
合计,,\"13,234.50\",,,,\n";

/// Spending over £500 as councils in the United Kingdom publish it.
const COUNCIL: &str = "Body Name,Organisation Unit,Expense Type,Transaction Number,Amount (£),Supplier Name,Date Paid\n\
Clearwater,Children's Services,Supplies,5100001,\"1,234.50\",Fenghua Ltd,25/03/2026\n\
Clearwater,Highways,Works,5100002,-500.00,Hongyuan plc,26/03/2026\n";

/// A city's checkbook as it is published in the United States.
const CHECKBOOK: &str = "fiscal_year,agency_name,vendor_name,check_date,check_number,amount\n\
2026,Parks,Fenghua Inc,03/25/2026,100001,$1234.50\n2026,Police,Hongyuan LLC,03/26/2026,100002,$75.00\n";

fn rest() -> Vec<&'static str> {
    vec![
        "--set",
        "budget_line_id=L1",
        "--set",
        "fiscal_year=2026",
        "--set",
        "region_code=330100000",
        "--set",
        "unit_code=101001",
        "--set",
        "function_code=2050201",
        "--set",
        "economic_code=30201",
        "--set",
        "payee_account=unknown",
    ]
}

#[test]
fn files_of_others_are_understood() {
    let bench = Bench::new("", "");
    std::fs::write(bench.path().join("statement.csv"), GB18030.encode(STATEMENT).0).unwrap();
    write(bench.path(), "council.csv", COUNCIL);
    write(bench.path(), "checkbook.csv", CHECKBOOK);
    // Dollars are not booked as the configured currency.
    for (file, known, ends) in
        [("statement.csv", "payee_account", 0), ("council.csv", "", 0), ("checkbook.csv", "fiscal_year", 1)]
    {
        let mut args = vec!["import", file, "--out", "map.yaml"];
        let rest = rest();
        // What the file tells is not said again.
        rest.chunks(2)
            .filter(|set| known.is_empty() || !set[1].starts_with(known))
            .for_each(|set| args.extend(set));
        let (code, out, err) = run(bench.path(), &args);
        assert_eq!(code, Some(0), "{file}: {out}{err}");
        let map = std::fs::read_to_string(bench.path().join("map.yaml")).unwrap();
        insta::assert_snapshot!(file, format!("{out}\n{map}"));
        let (code, _, err) = run(bench.path(), &["backtest", "--events", file, "--map", "map.yaml"]);
        assert_eq!(code, Some(ends), "{err}");
    }
}

/// The row of the header is the one that the daemon counts, whatever ends a line and stands above.
#[test]
fn the_header_is_found_however_lines_end_and_whatever_stands_above_it() {
    let bench = Bench::new("", "");
    for end in ["\n", "\r\n", "\r"] {
        for above in ["", "Spending\n", "\n", "Spending\n\n", "\n\nSpending,,\n\n"] {
            let text = format!("{above}{COUNCIL}").replace('\n', end);
            write(bench.path(), "council.csv", &text);
            let mut args = vec!["import", "council.csv", "--into", "backtest"];
            let rest = rest();
            args.extend(&rest);
            let (_, out, err) = run(bench.path(), &args);
            let row = above.lines().count() + 1;
            assert!(err.contains("2 events") && err.contains("0 rejected"), "{text:?}: {out}{err}");
            assert!(out.contains(&format!("named in row {row};")), "{text:?}: {out}");
        }
    }
}

#[test]
fn a_file_is_tried_with_the_rules_at_once() {
    let bench = Bench::new("", "");
    write(bench.path(), "council.csv", COUNCIL);
    let mut args = vec!["import", "council.csv", "--into", "backtest"];
    let rest = rest();
    args.extend(&rest);
    let (code, out, err) = run(bench.path(), &args);
    // 1,234.50 without a budget; the credit note names no payment that it takes back, and is taken.
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(err.lines().any(|line| line.starts_with("over-budget") && line.contains("1,234.50")), "{err}");
    assert!(err.contains("2 events") && err.contains("0 rejected"), "{err}");
}

#[test]
fn what_is_missing_is_named() {
    let bench = Bench::new("", "");
    write(bench.path(), "council.csv", COUNCIL);
    let (code, out, err) = run(bench.path(), &["import", "council.csv"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(err.contains("missing: budget_line_id, fiscal_year, region_code"), "{err}");
    assert!(out.contains("# budget_line_id: ?"), "{out}");
    for (set, told) in
        [("amuont=5", "amount"), ("amount=@Amont (£)", "Amount (£)"), ("amount", "FIELD=@COLUMN")]
    {
        let (code, _, err) = run(bench.path(), &["import", "council.csv", "--set", set]);
        assert!(code == Some(1) && err.contains(told), "{err}");
    }
    write(bench.path(), "map.yaml", "columns: { a: event_id }\nmonye: { unit: 万元 }\n");
    let (code, _, err) = run(bench.path(), &["backtest", "--events", "council.csv", "--map", "map.yaml"]);
    assert!(code == Some(1) && err.contains("map.yaml:2:1: unknown key \"monye\" in the map"), "{err}");
    for (file, text, told) in [
        ("a.csv", "", "an empty file"),
        ("b.csv", "a,b\n", "has no rows"),
        ("c.xml", "<a><b/></a>", "no element"),
    ] {
        write(bench.path(), file, text);
        let (code, _, err) = run(bench.path(), &["import", file]);
        assert!(code == Some(1) && err.contains(told), "{file}: {err}");
    }
}

#[test]
fn a_workbook_comes_to_a_daemon() {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.write(0, 0, "金额单位：万元").unwrap();
    let header =
        ["支付凭证号", "支付日期", "预算单位编码", "收款人全称", "收款人账号", "支付金额（万元）", "用途"];
    let row = ["PZ1", "20260305", "101001", "丰华建材有限公司", "6222021234567890123", "1.2345", "货款"];
    for (at, (name, text)) in (0..).zip(header.iter().zip(row)) {
        sheet.write(1, at, *name).unwrap();
        sheet.write(2, at, text).unwrap();
    }
    let bench = Bench::new("", "");
    std::fs::write(bench.path().join("三月.xlsx"), workbook.save_to_buffer().unwrap()).unwrap();
    let daemon = Daemon::start(bench.path());
    let url = daemon.address.clone();
    let mut args = vec!["import", "三月.xlsx", "--into", &url];
    let rest = rest();
    let known = ["unit_code", "payee_account"];
    rest.chunks(2)
        .filter(|set| !known.iter().any(|name| set[1].starts_with(name)))
        .for_each(|set| args.extend(set));
    let (code, out, err) = run(bench.path(), &args);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("1 records: 1 accepted") && out.contains("12345.00"), "{out}");
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

/// A daemon that asks who posts is told by a token in a variable, which no list of processes shows.
#[test]
fn a_daemon_that_asks_gets_a_token() {
    let bench = Bench::new("", "");
    write(bench.path(), "fiscwatch.yaml", "http: { listen: '127.0.0.1:0', auth: true }\n");
    write(bench.path(), "council.csv", COUNCIL.split_inclusive('\n').take(2).collect::<String>().as_str());
    let daemon = Daemon::start(bench.path());
    let token = ["token", "add", "feeder", "--role", "ingest", "--config", "fiscwatch.yaml"];
    let (code, token, err) = run(bench.path(), &token);
    assert_eq!(code, Some(0), "{err}");
    let mut args = vec!["import", "council.csv", "--into", &daemon.address];
    let rest = rest();
    args.extend(&rest);
    let (code, _, err) = run(bench.path(), &args);
    assert_eq!(code, Some(1));
    assert!(err.contains("FISCWATCH_TOKEN"), "{err}");
    let mut command = fiscwatch();
    let output =
        command.current_dir(bench.path()).args(&args).env("FISCWATCH_TOKEN", token.trim()).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && out.contains("1 records: 1 accepted"), "{out}");
}
