use std::io::{Cursor, Write as _};

use calamine::{Data, Reader, Xlsx as Oracle};
use proptest::prelude::*;
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook, Worksheet};
use serde_json::{Value, json};
use zip::{ZipWriter, write::SimpleFileOptions};

use super::*;

/// A workbook of one sheet.
fn workbook(fill: impl FnOnce(&mut Worksheet)) -> Vec<u8> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.set_name("付款").unwrap();
    fill(sheet);
    workbook.save_to_buffer().unwrap()
}

fn read_with(bytes: &[u8], options: &Options) -> Result<(WorkbookSummary, Vec<Value>), String> {
    let mut out = Vec::new();
    let summary = to_lines(Cursor::new(bytes), options, &mut out).map_err(|fault| fault.to_string())?;
    let lines = std::str::from_utf8(&out).unwrap().split_terminator('\n');
    let row = |line: &str| if line.is_empty() { Value::Null } else { serde_json::from_str(line).unwrap() };
    Ok((summary, lines.map(row).collect()))
}

fn read(bytes: &[u8]) -> (WorkbookSummary, Vec<Value>) {
    read_with(bytes, &Options::default()).unwrap()
}

/// A workbook whose only sheet is this XML.
fn raw(sheet: &str, strings: &str) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let parts = [
        (
            "_rels/.rels",
            format!(
                "<Relationships><Relationship Id='r1' Type='{office}/officeDocument' Target='/xl/workbook.xml'/></Relationships>"
            ),
        ),
        ("xl/workbook.xml", "<workbook><sheets><sheet name='s' id='r1'/></sheets></workbook>".to_owned()),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                "<Relationships><Relationship Id='r1' Type='{office}/worksheet' Target='worksheets/one.xml'/><Relationship Id='r2' Type='{office}/sharedStrings' Target='../xl/strings.xml'/></Relationships>"
            ),
        ),
        ("XL\\worksheets\\One.xml", format!("<worksheet>{sheet}</worksheet>")),
        ("xl/strings.xml", format!("<sst uniqueCount='99999999999999'>{strings}</sst>")),
    ];
    for (name, text) in parts {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_sheet_as_people_make_them() {
    let day = Format::new().set_num_format("yyyy\"年\"m\"月\"d\"日\"");
    let bytes = workbook(|sheet| {
        sheet.merge_range(0, 0, 0, 4, "支付凭证明细", &Format::new()).unwrap();
        sheet.write(1, 4, "单位：元").unwrap();
        for (at, name) in ["凭证号", "支付日期", "收款人", "金额", "账号"].iter().enumerate() {
            sheet.write(2, at as u16, *name).unwrap();
        }
        sheet.write(3, 0, "001").unwrap();
        sheet.write_with_format(3, 1, ExcelDateTime::from_ymd(2026, 3, 5).unwrap(), &day).unwrap();
        sheet.write(3, 2, "甲公司").unwrap();
        sheet.write(3, 3, 123_456.78).unwrap();
        sheet.write(3, 4, 6_228_480_402_564_890_018_f64).unwrap();
        // A blank row, then a hidden one.
        sheet.write(5, 0, "002").unwrap();
        sheet.write(5, 3, 4.35).unwrap();
        sheet.set_row_hidden(5).unwrap();
    });
    let (summary, rows) = read(&bytes);
    assert_eq!(summary.columns, ["凭证号", "支付日期", "收款人", "金额", "账号"]);
    assert_eq!((summary.header_row, summary.rows, summary.blank, summary.hidden), (3, 2, 1, 1));
    assert_eq!(
        rows[0],
        json!({
            "凭证号": "001", "支付日期": "2026-03-05", "收款人": "甲公司", "金额": "123456.78",
            "账号": {"$fault": "inexact", "shown": "6228480402564890000"},
            "$place": "sheet 付款, row 4"
        })
    );
    assert_eq!(rows[1], Value::Null);
    assert_eq!(rows[2], json!({"凭证号": "002", "金额": "4.35", "$place": "sheet 付款, row 6"}));
}

#[test]
fn a_merged_amount_is_not_counted_twice() {
    let bytes = workbook(|sheet| {
        for (at, name) in ["号", "单位", "金额"].iter().enumerate() {
            sheet.write(0, at as u16, *name).unwrap();
        }
        for row in 1..=2 {
            sheet.write(row, 0, format!("p{row}")).unwrap();
        }
        sheet.merge_range(1, 1, 2, 1, "教育局", &Format::new()).unwrap();
        sheet.merge_range(1, 2, 2, 2, "100", &Format::new()).unwrap();
    });
    let (_, rows) = read(&bytes);
    assert_eq!(rows[0]["金额"], "100");
    assert_eq!(rows[1]["金额"], json!({"$fault": "merged", "shown": "100"}));
    assert_eq!(rows[1]["单位"], json!({"$fault": "merged", "shown": "教育局"}));
}

#[test]
fn cells_as_programs_write_them() {
    let bytes = raw(
        "<cols><col hidden='1'/></cols><sheetData>\
         <row r='1'><c t='inlineStr'><is><t>a</t></is></c><c t='s'><v>0</v></c><c r='C1' t='str'><f>X</f><v>c_x0041_</v></c></row>\
         <row><c><v>6228480402564890018</v></c><c><f>A1*2</f></c><c t='b'><v>1</v></c></row>\
         <row><c t='e'><v>#N/A</v></c><c t='d'><v>2026-03-05</v></c><c t='str'><v></v></c><c r='AA3'><v>1.50</v></c></row>\
         </sheetData>",
        "<si><r><t>b</t></r><rPh><t>ruby</t></rPh><r><t xml:space='preserve'> b</t></r></si>",
    );
    let (summary, rows) = read(&bytes);
    assert_eq!(summary.columns, ["a", "b b", "cA"]);
    let first = json!({
        "a": "6228480402564890018", "b b": {"$fault": "formula", "shown": "=A1*2"}, "cA": "TRUE", "$place": "sheet s, row 2"
    });
    assert_eq!(rows[0], first);
    assert_eq!(rows[1], json!({"a": "#N/A", "b b": "2026-03-05", "AA": "1.5", "$place": "sheet s, row 3"}));
}

#[test]
fn sheets_are_chosen() {
    let mut workbook = Workbook::new();
    for (at, name) in ["目录", "一月", "二月"].iter().enumerate() {
        let sheet = workbook.add_worksheet();
        sheet.set_name(*name).unwrap();
        sheet.write(0, 0, "号").unwrap();
        sheet.write(1, 0, at.to_string()).unwrap();
        if at == 0 {
            sheet.set_hidden(true);
        }
        if at == 1 {
            sheet.set_active(true);
        }
    }
    let bytes = workbook.save_to_buffer().unwrap();
    let choose = |sheet| read_with(&bytes, &Options { sheet, header_row: None, skip: 0 });
    assert_eq!(choose(None).unwrap().0.sheet, "一月");
    assert_eq!(choose(Some(SheetChoice::Name("二月".to_owned()))).unwrap().1[0]["号"], "2");
    assert_eq!(choose(Some(SheetChoice::Number(1))).unwrap().0.sheet, "目录");
    let told = choose(Some(SheetChoice::Name("三月".to_owned()))).unwrap_err();
    assert_eq!(told, "it has no sheet 三月. It has: 目录, 一月, 二月");
    assert!(choose(Some(SheetChoice::Number(0))).is_err());
}

#[test]
fn files_that_are_refused() {
    let bomb = {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("xl/workbook.xml", SimpleFileOptions::default()).unwrap();
        let zeros = vec![b' '; 1 << 20];
        for _ in 0..64 {
            zip.write_all(&zeros).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    let cell =
        |text: &str| format!("<sheetData><row><c t='inlineStr'><is><t>{text}</t></is></c></row></sheetData>");
    let cases = [
        (b"".to_vec(), "an empty file"),
        (b"a;b\n1;2\n".to_vec(), "a text (CSV"),
        (b"<html><table><tr><td>x".to_vec(), "a web page with a table"),
        (b"%PDF-1.4".to_vec(), "a PDF document"),
        (b"PK\x03\x04 broken".to_vec(), "damaged"),
        (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1 broken".to_vec(), "damaged"),
        (bomb, "too long"),
        (raw(&cell(&"x".repeat(5 << 20)), ""), "too long"),
        (raw("<!DOCTYPE x [<!ENTITY y 'z'>]>", ""), "document type"),
        (raw(&cell("&y;"), ""), "&y;"),
        (raw("<sheetData><row r='2'/><row r='1'/></sheetData>", ""), "row 1 stands in the wrong place"),
        (raw("<sheetData><row><c r='1A'><v>1</v></c></row></sheetData>", ""), "a cell at no place: `1A`"),
        (raw("<sheetData><row><c t='s'><v>9</v></c></row></sheetData>", ""), "names the text `9`"),
        (raw("<sheetData/>", ""), "it is empty"),
        (raw("<sheetData><row><c><v>1</v></c>", ""), "closed by"),
    ];
    for (bytes, told) in cases {
        let fault = read_with(&bytes, &Options::default()).unwrap_err();
        assert!(fault.contains(told), "{told}: {fault}");
    }
}

#[test]
fn many_covered_cells_are_refused() {
    let areas: String = (1..=30).map(|_| "<mergeCell ref='A1:XFD100'/>").collect();
    let bytes = raw(&format!("<sheetData/><mergeCells>{areas}</mergeCells>"), "");
    assert!(read_with(&bytes, &Options::default()).unwrap_err().contains("merged cells"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// What is read is what another reader reads, cell by cell, and what was written.
    #[test]
    fn another_reader_reads_the_same(
        rows in prop::collection::vec(
            (prop::option::of("[a-z甲乙<&\" ]{1,6}"), prop::option::of(-9_999_999_999_i64..9_999_999_999)),
            1..20,
        ),
    ) {
        let bytes = workbook(|sheet| {
            sheet.write(0, 0, "text").unwrap();
            sheet.write(0, 1, "number").unwrap();
            for (at, (text, cents)) in rows.iter().enumerate() {
                let row = at as u32 + 1;
                if let Some(text) = text {
                    sheet.write(row, 0, text).unwrap();
                }
                if let Some(cents) = cents {
                    let float: f64 = rust_decimal::Decimal::new(*cents, 2).to_string().parse().unwrap();
                    sheet.write(row, 1, float).unwrap();
                }
            }
        });
        let (_, read) = read(&bytes);
        let mut oracle: Oracle<_> = calamine::open_workbook_from_rs(Cursor::new(&bytes)).unwrap();
        let range = oracle.worksheet_range("付款").unwrap();
        for (at, (text, cents)) in rows.iter().enumerate() {
            let row = at as u32 + 1;
            let ours = |name: &str| read.get(at).and_then(|row| row.get(name)).and_then(Value::as_str);
            let text = text.as_deref().filter(|text| !text.trim().is_empty());
            prop_assert_eq!(ours("text"), text);
            let decimal = cents.map(|cents| rust_decimal::Decimal::new(cents, 2));
            prop_assert_eq!(ours("number").map(|text| text.parse().unwrap()), decimal);
            let theirs = range.get_value((row, 0));
            prop_assert_eq!(text, theirs.and_then(|data| match data {
                Data::String(text) => Some(text.as_str()).filter(|text| !text.trim().is_empty()),
                _ => None,
            }));
        }
    }
}
