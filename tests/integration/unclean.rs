//! Files as clerks and programs leave them, through a folder, a backtest and `import`: one clear line for each thing that is
//! wrong, with its place, and the rest goes on.

use encoding_rs::GB18030;
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};

use crate::support::{Bench, run, write};

const HEADER: [&str; 11] = [
    "凭证号",
    "支付日期",
    "指标编号",
    "年度",
    "行政区划",
    "单位编码",
    "功能分类",
    "经济分类",
    "收款人",
    "收款人账号",
    "支付金额",
];
const MAP: &str = "
columns: { 支付日期: occurred_at, 指标编号: budget_line_id, 年度: fiscal_year, 行政区划: region_code, 单位编码: unit_code, 功能分类: function_code,
  经济分类: economic_code, 收款人: payee_name, 收款人账号: payee_account, 支付金额: amount }
id: [凭证号]
constants: { type: payment, payment_mode: direct, payee_type: entity, settlement: transfer }
dates: ['%Y%m%d', '%Y-%m-%d']
zone: Asia/Shanghai
money: { thousands: ',', negative: refund }
";
const DOCUMENTS: &str = "
rows: root/r
columns: { at: occurred_at, line: budget_line_id, payee: payee_name, acct: payee_account, amt: amount }
id: [no]
constants: { type: payment, payment_mode: direct, payee_type: entity, settlement: transfer, fiscal_year: 2026, region_code: '330100000', unit_code: '101001',
  function_code: '2050201', economic_code: '30201' }
";

fn bench() -> Bench {
    let source = |name: &str, files: &str, map: &str| {
        let map = map.trim_start().replace('\n', "\n      ");
        format!(
            "  - name: {name}\n    directory: {{ path: drop, pattern: '{files}', settle: 0s }}\n    map:\n      {map}\n"
        )
    };
    let config = ["*.csv", "*.xlsx"].map(|files| source(&files[2..], files, MAP)).concat();
    let bench = Bench::new("", &format!("sources:\n{config}{}", source("xml", "*.xml", DOCUMENTS)));
    write(bench.path(), "map.yaml", MAP.trim_start());
    std::fs::create_dir(bench.path().join("drop")).unwrap();
    bench
}

/// Cells of a row, with another value in the column of this name.
fn row(id: &str, other: (&str, &str)) -> Vec<String> {
    let usual = [
        id,
        "2026-03-05",
        "L1",
        "2026",
        "330100000",
        "101001",
        "2050201",
        "30201",
        "丰华建材有限公司",
        "6222021234567890123",
        "5.00",
    ];
    HEADER
        .iter()
        .zip(usual)
        .map(|(name, value)| if *name == other.0 { other.1 } else { value }.to_owned())
        .collect()
}

fn csv(rows: &[Vec<String>]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    rows.iter().for_each(|row| writer.write_record(row).unwrap());
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

fn header() -> Vec<String> {
    HEADER.map(String::from).to_vec()
}

/// Amounts and days as they are written where nobody looks.
fn cells() -> String {
    let amounts = ["1.23E+05", "１２３４．５０", "￥5.00", "$5.00", "(1,234.50)", "5.00-", "1.005", "五元"];
    let days = ["20260305", "46086", "2026/03/05", "昨天"];
    let amounts = amounts.iter().zip(0..).map(|(text, n)| row(&format!("A{n}"), ("支付金额", text)));
    let days = days.iter().zip(0..).map(|(text, n)| row(&format!("D{n}"), ("支付日期", text)));
    csv(&[vec![header()], amounts.collect(), days.collect()].concat())
}

fn workbook(path: &std::path::Path) {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for (name, column) in HEADER.iter().zip(0..) {
        sheet.write(0, column, *name).unwrap();
    }
    for line in 1..8u32 {
        let cells = row(&format!("X{line}"), ("", ""));
        for (cell, column) in cells.iter().zip(0..) {
            sheet.write(line, column, cell).unwrap();
        }
    }
    let (day, time) =
        (Format::new().set_num_format("yyyy-mm-dd"), Format::new().set_num_format("yyyy-mm-dd hh:mm:ss"));
    let at = |text: &str| ExcelDateTime::parse_from_str(text).unwrap();
    sheet.write_with_format(1, 1, at("2026-03-05"), &day).unwrap();
    sheet.write_with_format(2, 1, at("2026-03-05T10:30:00"), &time).unwrap();
    sheet.write(3, 9, 6_222_021_234_567_890_123_f64).unwrap();
    sheet.write(4, 10, 0.1 + 0.2).unwrap();
    sheet.write_formula(5, 10, rust_xlsxwriter::Formula::new("=1+4").set_result("")).unwrap();
    sheet.merge_range(6, 10, 7, 10, "5.00", &Format::new()).unwrap();
    sheet.set_row_hidden(2).unwrap();
    sheet.write(9, 0, "合计").unwrap();
    sheet.write(9, 10, 35).unwrap();
    book.save(path).unwrap();
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_the_rest_goes_on() {
    let bench = bench();
    let drop =
        |name: &str, bytes: &[u8]| std::fs::write(bench.path().join("drop").join(name), bytes).unwrap();
    drop("a-cells.csv", cells().as_bytes());
    // A row of another encoding, the header once more, blank rows, totals at the end.
    let whole = csv(&[header(), row("M1", ("", "")), row("M2", ("", "")), row("M3", ("", ""))]);
    let lines: Vec<_> = whole.split_inclusive('\n').collect();
    let mixed = [
        lines[0].as_bytes(),
        lines[1].as_bytes(),
        &GB18030.encode(lines[2]).0,
        lines[0].as_bytes(),
        b"\n,,,,,,,,,,\n",
        lines[3].as_bytes(),
    ];
    drop("b-mixed.csv", &[&mixed.concat()[..], "合计,,,,,,,,,,15.00\n".as_bytes()].concat());
    // A column that moves between two files of a day, and 300 of them.
    let mut moved = [header(), row("C1", ("", ""))];
    moved.iter_mut().for_each(|cells| cells.swap(8, 10));
    drop("c-moved.csv", csv(&moved).as_bytes());
    let mut wide = [header(), row("W1", ("", ""))];
    (0..289).for_each(|n| wide.iter_mut().for_each(|cells| cells.push(format!("列{n}"))));
    drop("d-wide.csv", csv(&wide).as_bytes());
    drop("e-renamed.csv", csv(&[header(), row("R1", ("", ""))]).replace("支付金额", "金额").as_bytes());
    workbook(&bench.path().join("drop/f.xlsx"));
    drop("g.xlsx", b"<html><table><tr><td>1</td></tr></table></html>");
    let element = |id: &str, amount: &str| {
        format!(
            "<r><no>{id}</no><at>2026-03-05</at><line>L1</line><payee>A</payee><acct>6</acct><amt>{amount}</amt></r>"
        )
    };
    let document = |kind: &str, rows: &str| {
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{kind}<root>{rows}</root>")
    };
    drop("h.xml", document("", &[element("H1", "5.00"), element("H2", "1.005")].concat()).as_bytes());
    let bomb = "<!DOCTYPE r [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">]>\n";
    drop("i-bomb.xml", document(bomb, &element("&b;", "5.00")).as_bytes());
    drop("j-entity.xml", document("", &element("&x;", "5.00")).as_bytes());

    let (code, out, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    let clean = |text: &str| text.replace(&bench.path().display().to_string(), "");
    let mut told = format!("{}\n", clean(&out));
    let (_, rejects, _) = run(bench.path(), &["rejects", "list", "--json", "--config", "fiscwatch.yaml"]);
    let mut lines = Vec::new();
    for line in rejects.lines() {
        let reject: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| reject[name].as_str().unwrap_or_default().to_owned();
        let file = clean(&text("partition")).trim_start_matches("/drop/").to_owned();
        lines.push(format!("{file} {:>2} {}: {}", reject["record"], text("reason"), clean(&text("detail"))));
    }
    // Sources are read side by side.
    lines.sort();
    told += &lines.join("\n");
    insta::assert_snapshot!(told);
    // Files that are wrong as a whole stay where they are, and end such a run with 1.
    assert_eq!(code, Some(1), "{out}{err}");
    let left: Vec<_> = ["e-renamed.csv", "g.xlsx", "i-bomb.xml", "j-entity.xml"]
        .map(|name| bench.path().join("drop").join(name).exists())
        .into();
    assert_eq!(left, [true; 4]);
}

#[test]
fn a_backtest_tells_what_it_skips_and_which_encoding_a_file_is_in() {
    let bench = bench();
    let rows =
        csv(&[header(), row("M1", ("", "")), header(), row("M2", ("支付日期", "2026-03-05 10:30:00"))]);
    write(bench.path(), "twice.csv", &rows);
    let backtest = |file: &str, map: &str| run(bench.path(), &["backtest", "--events", file, "--map", map]);
    let (code, _, err) = backtest("twice.csv", "map.yaml");
    assert!(code == Some(0) && err.contains("2 events") && err.contains("\n1 rows are no events"), "{err}");
    std::fs::write(bench.path().join("gbk.csv"), GB18030.encode(&rows).0).unwrap();
    write(bench.path(), "big5.yaml", &format!("{}encoding: big5\n", MAP.trim_start()));
    let (code, _, err) = backtest("gbk.csv", "big5.yaml");
    assert!(
        code == Some(1) && err.contains("In gb18030 it names more of them: write `encoding: auto`"),
        "{err}"
    );
}

#[test]
fn import_sees_past_what_is_wrong_in_a_few_rows() {
    let bench = bench();
    let told = |name: &str| {
        let (code, out, err) = run(bench.path(), &["import", name]);
        (code, format!("{out}{err}"))
    };
    // The header once more, a total, and amounts and days of which half are wrong.
    let rows = [
        header(),
        row("M1", ("", "")),
        header(),
        row("M2", ("支付金额", "五元")),
        row("M3", ("", "")),
        row("M4", ("支付日期", "46086")),
        row("M5", ("支付日期", "2026-03-05 10:00:00")),
        row("M6", ("", "")),
    ];
    write(bench.path(), "rows.csv", &csv(&rows));
    let (code, out) = told("rows.csv");
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("of the first rows 4 are events, 2 are refused, 1 are skipped"), "{out}");
    assert!(out.contains("zone: Asia/Shanghai") && out.contains("note: times without an offset"), "{out}");
    // What is wrong with a file as a whole is told with its name.
    write(bench.path(), "empty.csv", "");
    write(bench.path(), "page.xls", "<html><table><tr><td>1</td></tr></table></html>");
    write(bench.path(), "entity.xml", "<root><r><a>&x;</a></r></root>");
    let whole = ["empty.csv", "page.xls", "entity.xml"].map(|name| told(name).1);
    insta::assert_snapshot!(whole.concat());
}
