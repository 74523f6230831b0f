//! XML documents and Excel workbooks, from the file to rows.

use std::io::{Cursor, Write};

use fiscwatch::{markup, workbook};
use serde_json::Value;
use zip::{ZipWriter, write::SimpleFileOptions};

use super::{fuzz, seeds};

const ROWS: &str = "MOF/VoucherBody/Voucher/DetailList/Detail";

/// The rows as objects; an empty line is a row that holds nothing.
fn objects(lines: &[u8]) -> Vec<Option<Value>> {
    let text = std::str::from_utf8(lines).expect("rows are UTF-8");
    let object = |line: &str| (!line.is_empty()).then(|| serde_json::from_str(line).expect("a row is JSON"));
    text.split_terminator('\n').map(object).collect()
}

#[test]
fn xml_is_refused_or_has_all_of_its_rows() {
    fuzz("xml", 3000, &seeds("xml"), |input, _| {
        let Ok(text) = markup::decode(input, None) else { return };
        let mut lines = Vec::new();
        let Ok(summary) = markup::to_lines(&text, ROWS, &mut lines) else {
            assert!(lines.is_empty(), "a document that is refused leaves nothing");
            return;
        };
        let rows = objects(&lines);
        assert_eq!(rows.len() as u64, summary.rows);
        for row in rows {
            assert!(row.expect("no empty row")["$place"].is_string());
        }
        // Another count of the same document.
        let kinds = markup::elements(&text).expect("it was read before");
        if kinds[0].path == "MOF" {
            let count = kinds.iter().find(|kind| kind.path == ROWS).map_or(0, |kind| kind.count);
            assert_eq!(summary.rows - summary.incomplete, count);
        }
    });
}

/// A workbook with this sheet.
fn package(sheet: &[u8]) -> Vec<u8> {
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let relations = format!(
        "<Relationships><Relationship Id='r1' Type='{office}/worksheet' Target='sheet.xml'/><Relationship Id='r2' Type='{office}/sharedStrings' Target='strings.xml'/><Relationship Id='r3' Type='{office}/styles' Target='styles.xml'/></Relationships>"
    );
    let parts: [(&str, &[u8]); 5] = [
        ("xl/workbook.xml", b"<workbook><sheets><sheet name='s' id='r1'/></sheets></workbook>"),
        ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
        ("xl/strings.xml", "<sst><si><t>金额</t></si></sst>".as_bytes()),
        (
            "xl/styles.xml",
            b"<styleSheet><cellXfs><xf numFmtId='0'/><xf numFmtId='14'/></cellXfs></styleSheet>",
        ),
        ("xl/sheet.xml", sheet),
    ];
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Reads a workbook; whatever it is, each row that is told of is there, in its place.
fn check(bytes: &[u8]) -> bool {
    let mut lines = Vec::new();
    let read = workbook::to_lines(Cursor::new(bytes), &workbook::Options::default(), &mut lines);
    let Ok(summary) = read else { return false };
    let rows = objects(&lines);
    assert_eq!(rows.len() as u64, summary.rows + summary.blank);
    assert_eq!(rows.iter().flatten().count() as u64, summary.rows);
    let number = |row: &Value| -> u64 {
        row["$place"].as_str().and_then(|place| place.rsplit(' ').next()?.parse().ok()).expect("a place")
    };
    let numbers: Vec<u64> = rows.iter().flatten().map(number).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b));
    true
}

#[test]
fn sheets_are_refused_or_have_all_of_their_rows() {
    fuzz("sheet", 1500, &seeds("sheet"), |input, _| {
        check(&package(input));
    });
}

#[test]
fn damaged_workbooks_are_read_or_refused() {
    let whole: Vec<_> = seeds("sheet").iter().map(|sheet| package(sheet)).chain(seeds("xls")).collect();
    assert!(whole.iter().all(|bytes| check(bytes)), "the seeds are workbooks");
    fuzz("workbook", 1500, &whole, |input, _| {
        check(input);
    });
}
