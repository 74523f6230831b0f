//! A statement as a workbook: codes as text, money as numbers. The same statement is the same bytes.

use rust_decimal::Decimal;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, FormatAlign, Workbook, Worksheet, XlsxError};

use super::{
    COLUMNS, Figures, Statement, StatementLevel, StatementRow,
    propose::{BudgetProposal, COLUMNS as PROPOSED},
};
use crate::event::{Cents, money::decimal};

/// The sheets: their names, and what the first column is called.
const SHEETS: [(StatementLevel, &str, &str); 4] = [
    (StatementLevel::Line, "按指标", "指标"),
    (StatementLevel::Unit, "按单位", "单位编码"),
    (StatementLevel::Function, "按功能分类", "功能分类"),
    (StatementLevel::Class, "按经济分类", "经济分类"),
];

/// The columns of a proposal that are money, and the longest amounts that a number of a workbook has exactly.
const MONEY: std::ops::Range<u16> = 7..11;
const EXACT_DIGITS: usize = 16;
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

fn write(
    sheet: &mut Worksheet,
    statement: &Statement,
    group: StatementLevel,
    first: &str,
) -> Result<(), XlsxError> {
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

fn line(sheet: &mut Worksheet, at: u32, row: &StatementRow) -> Result<(), XlsxError> {
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
    const EXACT: Cents = Cents::new(1_000_000_000_000_000);
    let format = Format::new().set_num_format("#,##0.00");
    for (column, cents) in (TEXTS..).zip(figures.cents()) {
        let number =
            decimal(cents).filter(|_| cents.abs() < EXACT).and_then(|exact| f64::try_from(exact).ok());
        match number {
            Some(number) => sheet.write_number_with_format(at, column, number, &format)?,
            None => sheet.write_string(at, column, cents.to_string())?,
        };
    }
    Ok(())
}

/// A proposal as a workbook, money as numbers; the same proposal is the same bytes.
///
/// # Errors
/// If it has more rows than a sheet takes.
pub(crate) fn proposal_workbook(proposal: &BudgetProposal) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let made = ExcelDateTime::from_ymd(2000, 1, 1)?;
    book.set_properties(&DocProperties::new().set_creation_datetime(&made));
    let (bold, text) = (Format::new().set_bold(), Format::new().set_num_format("@"));
    let number = Format::new().set_num_format("#,##0.00");
    let sheet = book.add_worksheet();
    sheet.set_name("预算建议")?;
    sheet.write_with_format(0, 0, format!("{}年度预算建议表", proposal.fiscal_year), &bold)?;
    for (column, (_, title)) in (0..).zip(PROPOSED) {
        sheet.write_with_format(1, column, title, &bold)?;
    }
    sheet.set_freeze_panes(2, 2)?;
    sheet.set_column_range_width(0, 10, 16)?;
    sheet.set_column_width(11, 80)?;
    let mut at = 2;
    for line in &proposal.lines {
        for (column, cell) in (0..).zip(line.cells(proposal.fiscal_year)) {
            let is_money = MONEY.contains(&column) && cell.len() <= EXACT_DIGITS;
            let exact = Decimal::from_str_exact(&cell).ok().filter(|_| is_money);
            match exact.and_then(|exact| f64::try_from(exact).ok()) {
                Some(amount) => sheet.write_number_with_format(at, column, amount, &number)?,
                None => sheet.write_string_with_format(at, column, cell, &text)?,
            };
        }
        at += 1;
    }
    sheet.write_with_format(at, 0, "合计", &bold)?;
    sheet.write_with_format(at, 10, &proposal.sum, &bold)?;
    book.save_to_buffer()
}
