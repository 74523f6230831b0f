use std::io::{Cursor, Write as _};

use serde_json::{Value, json};

use crate::workbook::{Options, SheetChoice, WorkbookSummary, to_lines};

/// Records of an old workbook, written by hand after the public description of its format.
#[derive(Default)]
struct Records(Vec<u8>);

impl Records {
    fn add(mut self, kind: u16, data: &[u8]) -> Self {
        self.0.extend(kind.to_le_bytes());
        self.0.extend(u16::try_from(data.len()).unwrap().to_le_bytes());
        self.0.extend(data);
        self
    }

    fn shorts(self, kind: u16, data: &[u16]) -> Self {
        self.add(kind, &data.iter().flat_map(|short| short.to_le_bytes()).collect::<Vec<_>>())
    }

    /// A text in a cell.
    fn label(self, row: u16, column: u16, text: &str) -> Self {
        let wide: Vec<u16> = text.encode_utf16().collect();
        let mut data: Vec<u8> =
            [row, column, 0, wide.len() as u16].iter().flat_map(|s| s.to_le_bytes()).collect();
        data.push(1);
        data.extend(wide.iter().flat_map(|short| short.to_le_bytes()));
        self.add(0x0204, &data)
    }

    fn number(self, row: u16, column: u16, style: u16, value: f64) -> Self {
        let mut data: Vec<u8> = [row, column, style].iter().flat_map(|s| s.to_le_bytes()).collect();
        data.extend(value.to_le_bytes());
        self.add(0x0203, &data)
    }

    fn dimensions(self, rows: u32, columns: u16) -> Self {
        let mut data = [0_u32.to_le_bytes(), rows.to_le_bytes()].concat();
        data.extend([0, columns, 0].iter().flat_map(|short: &u16| short.to_le_bytes()));
        self.add(0x0200, &data)
    }
}

/// A workbook of one sheet with these records, and two styles: plain and date.
fn xls(sheet: Records) -> Vec<u8> {
    let globals = |position: u32| {
        let name: Vec<u8> = "付款".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let bound = [&position.to_le_bytes()[..], &[0, 0, 2, 1], &name].concat();
        let style = |format: u16| [0_u16, format, 0, 0, 0, 0, 0, 0, 0, 0].map(u16::to_le_bytes).concat();
        Records::default()
            .shorts(0x0809, &[0x0600, 0x0005, 0, 0, 0, 0, 0, 0])
            .shorts(0x0042, &[1200])
            .add(0x00E0, &style(0))
            .add(0x00E0, &style(14))
            .add(0x0085, &bound)
            .add(0x000A, &[])
            .0
    };
    let position = globals(0).len() as u32;
    let mut stream = globals(position);
    stream.extend(Records::default().shorts(0x0809, &[0x0600, 0x0010, 0, 0, 0, 0, 0, 0]).0);
    stream.extend(sheet.add(0x000A, &[]).0);
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    file.create_stream("Workbook").unwrap().write_all(&stream).unwrap();
    file.flush().unwrap();
    file.into_inner().into_inner()
}

fn read(bytes: &[u8]) -> Result<(WorkbookSummary, Vec<Value>), String> {
    let mut out = Vec::new();
    let options = Options { sheet: Some(SheetChoice::Name("付款".to_owned())), header_row: None, skip: 0 };
    let summary = to_lines(Cursor::new(bytes), &options, &mut out).map_err(|fault| fault.to_string())?;
    let lines = std::str::from_utf8(&out).unwrap().lines();
    Ok((summary, lines.map(|line| serde_json::from_str(line).unwrap()).collect()))
}

#[test]
fn an_old_workbook_is_read_like_a_new_one() {
    let records = Records::default()
        .dimensions(4, 3)
        .shorts(0x0208, &[2, 0, 4, 0x00FF, 0, 0, 0x0020, 0x000F])
        .label(0, 0, "凭证号")
        .label(0, 1, "日期")
        .label(0, 2, "金额")
        .label(1, 0, "P1")
        .number(1, 1, 1, 46086.0)
        .number(1, 2, 0, 123_456.78)
        .label(2, 0, "P2")
        .number(2, 1, 0, 20_260_305.0)
        .number(2, 2, 0, 0.1 + 0.2)
        .label(3, 0, "P3")
        .shorts(0x00E5, &[1, 2, 3, 2, 2]);
    let (summary, rows) = read(&xls(records)).unwrap();
    assert_eq!(
        (summary.columns, summary.rows, summary.hidden),
        (vec!["凭证号".into(), "日期".into(), "金额".into()], 3, 1)
    );
    assert_eq!(
        rows[0],
        json!({"凭证号": "P1", "日期": "2026-03-05", "金额": "123456.78", "$place": "sheet 付款, row 2"})
    );
    assert_eq!(rows[1]["日期"], "20260305");
    assert_eq!(rows[1]["金额"], json!({"$fault": "inexact", "shown": "0.30000000000000004"}));
    assert_eq!(rows[2]["金额"]["$fault"], "merged");
}

#[test]
fn what_would_take_all_memory_is_refused() {
    let far = Records::default().label(0, 0, "a").label(65_535, 255, "b");
    let said = Records::default().dimensions(u32::MAX, 255).label(0, 0, "a");
    for records in [far, said] {
        assert!(read(&xls(records)).unwrap_err().contains("cells"));
    }
    let secret = Records::default().shorts(0x002F, &[1, 0, 0]);
    assert!(read(&xls(secret)).unwrap_err().contains("password"));
    // Records that are cut short.
    for kind in [0x0200, 0x0203, 0x0204, 0x00BD, 0x0006, 0x0208, 0x027E] {
        assert!(read(&xls(Records::default().label(0, 0, "a").add(kind, &[1]))).is_err(), "{kind:x}");
    }
}

#[test]
fn other_office_documents_are_told_apart() {
    let document = |stream: &str| {
        let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
        file.create_stream(stream).unwrap().write_all(b"x").unwrap();
        file.flush().unwrap();
        read(&file.into_inner().into_inner()).unwrap_err()
    };
    assert!(document("WordDocument").contains("no workbook"));
    assert!(document("EncryptedPackage").contains("password"));
}
