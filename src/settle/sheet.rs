//! A statement as a workbook: codes as text, money as numbers. The same statement is the same bytes.

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, FormatAlign, Workbook, Worksheet, XlsxError};

use super::{COLUMNS, Figures, Group, Row, Statement};
use crate::event::money::decimal;

/// The sheets: their names, and what the first column is called.
const SHEETS: [(Group, &str, &str); 4] = [
    (Group::Line, "按指标", "指标"),
    (Group::Unit, "按单位", "单位编码"),
    (Group::Function, "按功能分类", "功能分类"),
    (Group::Class, "按经济分类", "经济分类"),
];

/// Columns of text before the money.
const TEXTS: u16 = 6;

/// Writes it.
///
/// # Errors
/// If it has more rows than a sheet takes.
pub(crate) fn workbook(statement: &Statement) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    // When it was written is no part of it.
    let made = ExcelDateTime::from_ymd(2000, 1, 1)?;
    book.set_properties(&DocProperties::new().set_creation_datetime(&made));
    for (group, name, first) in SHEETS {
        let sheet = book.add_worksheet();
        sheet.set_name(name)?;
        write(sheet, statement, group, first)?;
    }
    book.save_to_buffer()
}

fn write(sheet: &mut Worksheet, statement: &Statement, group: Group, first: &str) -> Result<(), XlsxError> {
    let bold = Format::new().set_bold();
    let title = format!("{}年度财政支出决算表", statement.fiscal_year);
    sheet.write_with_format(0, 0, title, &bold)?;
    sheet.write(
        1,
        0,
        format!("{} — {}，日志至第 {} 块", statement.from, statement.to, statement.last_block),
    )?;
    let head = bold.clone().set_align(FormatAlign::Center);
    let texts = [first, "单位编码", "单位名称", "功能分类", "经济分类", "指标数"];
    let titles = texts.into_iter().chain(COLUMNS.iter().map(|(_, title)| *title));
    for (column, title) in (0..).zip(titles) {
        sheet.write_with_format(2, column, title, &head)?;
    }
    sheet.set_freeze_panes(3, 1)?;
    sheet.set_column_range_width(0, TEXTS + 8, 16)?;
    let mut at = 3;
    for row in statement.rows(group) {
        line(sheet, at, row)?;
        at += 1;
    }
    sheet.write_with_format(at, 0, "合计", &bold)?;
    money(sheet, at, &statement.sum)
}

fn line(sheet: &mut Worksheet, at: u32, row: &Row) -> Result<(), XlsxError> {
    let text = Format::new().set_num_format("@");
    let cells = [&row.code, &row.unit_code, &row.unit_name, &row.function_code, &row.economic_code];
    for (column, cell) in (0..).zip(cells) {
        sheet.write_string_with_format(at, column, cell, &text)?;
    }
    sheet.write_number(at, TEXTS - 1, f64::from(u32::try_from(row.lines).unwrap_or(u32::MAX)))?;
    money(sheet, at, &row.figures)
}

/// A number of a workbook has fifteen digits that are exact; a larger amount is written as text.
fn money(sheet: &mut Worksheet, at: u32, figures: &Figures) -> Result<(), XlsxError> {
    const EXACT: i128 = 1_000_000_000_000_000;
    let format = Format::new().set_num_format("#,##0.00");
    for (column, cents) in (TEXTS..).zip(figures.cents()) {
        let number =
            decimal(cents).filter(|_| cents.abs() < EXACT).and_then(|exact| f64::try_from(exact).ok());
        match number {
            Some(number) => sheet.write_number_with_format(at, column, number, &format)?,
            None => sheet.write_string(at, column, crate::event::money::format_cents(cents))?,
        };
    }
    Ok(())
}
