//! 台账 and 月报 as workbooks: codes and accounts as text, money and counts as numbers, headers in Chinese, made to be
//! printed. `settle/sheet.rs` writes the year's.

use std::collections::BTreeSet;

use rust_xlsxwriter::{Color, Format, FormatAlign, FormatBorder, Workbook, Worksheet, XlsxError};

use super::{
    register::RegisterEntry,
    reports::{LineView, MonthView, TookView},
};

/// What a cell holds.
enum Cell<'c> {
    /// A text, codes and accounts among them.
    Text(&'c str),
    /// Money with two decimals, as the API writes it.
    Money(Option<&'c str>),
    Count(u64),
    /// A part of one.
    Share(Option<f64>),
}

struct Looks {
    head: Format,
    text: Format,
    money: Format,
    count: Format,
    share: Format,
    title: Format,
}

impl Looks {
    fn new() -> Self {
        let cell = || Format::new().set_border(FormatBorder::Thin).set_align(FormatAlign::Top);
        Self {
            head: cell()
                .set_bold()
                .set_background_color(Color::RGB(0xF2_F4_F7))
                .set_align(FormatAlign::Center)
                .set_text_wrap(),
            // `@`: a program that opens it makes no number of a code.
            text: cell().set_num_format("@").set_text_wrap(),
            money: cell().set_num_format("#,##0.00"),
            count: cell().set_num_format("0"),
            share: cell().set_num_format("0.0%"),
            title: Format::new().set_bold().set_font_size(14),
        }
    }

    fn write(
        &self,
        sheet: &mut Worksheet,
        (row, column): (u32, u16),
        cell: &Cell<'_>,
    ) -> Result<(), XlsxError> {
        match cell {
            Cell::Text(text) => {
                // A cell has 32,767 characters at most.
                let text: String = text.chars().take(32_000).collect();
                sheet.write_string_with_format(row, column, text, &self.text)?;
            }
            Cell::Money(text) => {
                let number = text.and_then(|text| text.replace(',', "").parse::<f64>().ok());
                match number {
                    Some(yuan) => sheet.write_number_with_format(row, column, yuan, &self.money)?,
                    None => sheet.write_blank(row, column, &self.money)?,
                };
            }
            #[allow(clippy::cast_precision_loss)] // Counts.
            Cell::Count(count) => {
                sheet.write_number_with_format(row, column, *count as f64, &self.count)?;
            }
            Cell::Share(share) => {
                match share {
                    Some(share) => sheet.write_number_with_format(row, column, *share, &self.share)?,
                    None => sheet.write_blank(row, column, &self.share)?,
                };
            }
        }
        Ok(())
    }

    fn heads(&self, sheet: &mut Worksheet, row: u32, heads: &[(&str, f64)]) -> Result<(), XlsxError> {
        for (column, (head, width)) in (0..).zip(heads) {
            sheet.write_string_with_format(row, column, *head, &self.head)?;
            if *width > 0.0 {
                sheet.set_column_width(column, *width)?;
            }
        }
        Ok(())
    }
}

/// A sheet that prints on as many pages as it takes, each one wide.
fn printed(sheet: &mut Worksheet, name: &str) -> Result<(), XlsxError> {
    sheet.set_name(name)?;
    sheet.set_landscape();
    sheet.set_paper_size(9);
    sheet.set_print_fit_to_pages(1, 0);
    sheet.set_footer("&C第 &P 页，共 &N 页");
    Ok(())
}

/// The columns of the register, with their widths.
const CASES: [(&str, f64); 27] = [
    ("序号", 6.0),
    ("预警编号", 18.0),
    ("规则编号", 18.0),
    ("监控规则", 22.0),
    ("等级", 8.0),
    ("状态", 8.0),
    ("地区代码", 10.0),
    ("单位代码", 12.0),
    ("指标编号", 18.0),
    ("事由", 40.0),
    ("涉及金额（元）", 16.0),
    ("疑点数", 8.0),
    ("发现时间", 20.0),
    ("受理时间", 20.0),
    ("经办人", 10.0),
    ("办结期限", 12.0),
    ("发函时间", 20.0),
    ("答复期限", 12.0),
    ("答复时间", 20.0),
    ("附件数", 8.0),
    ("处理结果", 12.0),
    ("处理金额（元）", 16.0),
    ("办结时间", 20.0),
    ("并入", 18.0),
    ("办理意见", 40.0),
    ("地区名称", 16.0),
    ("单位名称", 24.0),
];

/// The codes of a register with what they are called, on a sheet of their own.
const CODES: [(&str, f64); 3] = [("栏目", 18.0), ("代码", 20.0), ("名称", 40.0)];

/// The register of cases.
///
/// # Errors
/// If it is more than a workbook holds.
pub(crate) fn register(cases: &[RegisterEntry]) -> Result<Vec<u8>, XlsxError> {
    let (mut workbook, looks) = (Workbook::new(), Looks::new());
    let sheet = workbook.add_worksheet();
    printed(sheet, "台账")?;
    looks.heads(sheet, 0, &CASES)?;
    sheet.set_repeat_rows(0, 0)?;
    sheet.set_freeze_panes(1, 2)?;
    for (row, case) in (1..).zip(cases) {
        write_case(&looks, sheet, row, case)?;
    }
    let rows = u32::try_from(cases.len()).unwrap_or(u32::MAX);
    if rows > 0 {
        sheet.autofilter(0, 0, rows, u16::try_from(CASES.len() - 1).unwrap_or(0))?;
    }
    let named = cases.iter().flat_map(|case| &case.alert.names);
    let codes: BTreeSet<_> = named
        .flat_map(|(column, names)| names.iter().map(move |(code, name)| [&**column, &**code, &**name]))
        .collect();
    if !codes.is_empty() {
        let sheet = workbook.add_worksheet();
        printed(sheet, "代码")?;
        looks.heads(sheet, 0, &CODES)?;
        for (row, texts) in (1..).zip(&codes) {
            for (column, text) in (0..).zip(texts) {
                looks.write(sheet, (row, column), &Cell::Text(text))?;
            }
        }
    }
    workbook.save_to_buffer()
}

/// A case in its row of the register.
fn write_case(looks: &Looks, sheet: &mut Worksheet, row: u32, case: &RegisterEntry) -> Result<(), XlsxError> {
    let alert = &case.alert;
    let label = |name: &str| alert.labels.get(name).map(|values| values.join(" ")).unwrap_or_default();
    let (region, unit, line) = (label("region_code"), label("unit_code"), label("budget_line_id"));
    let called = |column: &str| {
        let names = alert.names.get(column).into_iter().flat_map(|names| names.values());
        names.map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    let letter = alert.inquiry.as_ref().filter(|letter| letter.by.is_some());
    let time = |text: Option<&str>| {
        text.map(|text| text.chars().take(19).collect::<String>().replace('T', " ")).unwrap_or_default()
    };
    let text = |text: Option<&'static str>| Cell::Text(text.unwrap_or_default());
    let maybe = |text: &'_ Option<String>| text.clone().unwrap_or_default();
    let (owner, due, merged) = (maybe(&alert.owner), maybe(&alert.due), maybe(&alert.merged_into));
    let answer_due = letter.map(|letter| maybe(&letter.due)).unwrap_or_default();
    let cells = [
        Cell::Count(u64::from(row)),
        Cell::Text(&alert.alert_id),
        Cell::Text(&alert.rule_id),
        Cell::Text(&alert.title),
        Cell::Text(case.severity),
        Cell::Text(alert.state.zh()),
        Cell::Text(&region),
        Cell::Text(&unit),
        Cell::Text(&line),
        Cell::Text(&alert.summary),
        Cell::Money(alert.amount.as_deref()),
        Cell::Count(alert.findings),
        Cell::Text(&time(Some(&alert.opened_at))),
        Cell::Text(&time(alert.acknowledged_at.as_deref())),
        Cell::Text(&owner),
        Cell::Text(&due),
        Cell::Text(&time(letter.map(|letter| &*letter.at))),
        Cell::Text(&answer_due),
        Cell::Text(&time(letter.and_then(|letter| letter.answered_at.as_deref()))),
        Cell::Count(case.files),
        text(alert.outcome.map(crate::alert::CaseOutcome::zh)),
        Cell::Money(alert.outcome_amount.as_deref()),
        Cell::Text(&time(alert.ended_at.as_deref())),
        Cell::Text(&merged),
        Cell::Text(&case.remarks),
        Cell::Text(&called("region_code")),
        Cell::Text(&called("unit_code")),
    ];
    (0..).zip(&cells).try_for_each(|(column, cell)| looks.write(sheet, (row, column), cell))
}

/// The columns of a month by rule or unit.
const LINES: [(&str, f64); 9] = [
    ("代码", 24.0),
    ("名称", 30.0),
    ("新增预警", 10.0),
    ("涉及金额（元）", 18.0),
    ("了结", 8.0),
    ("属实办结", 10.0),
    ("误报", 8.0),
    ("查准率", 10.0),
    ("追回资金（元）", 18.0),
];

fn lines(sheet: &mut Worksheet, looks: &Looks, first: u32, lines: &[&LineView]) -> Result<u32, XlsxError> {
    looks.heads(sheet, first, &LINES)?;
    let mut row = first;
    for line in lines {
        row += 1;
        let cells = [
            Cell::Text(&line.value),
            Cell::Text(line.title.as_deref().unwrap_or_default()),
            Cell::Count(line.opened),
            Cell::Money(Some(&line.amount)),
            Cell::Count(line.ended),
            Cell::Count(line.closed),
            Cell::Count(line.dismissed),
            Cell::Share(line.precision),
            Cell::Money(Some(&line.returned)),
        ];
        for (column, cell) in (0..).zip(&cells) {
            looks.write(sheet, (row, column), cell)?;
        }
    }
    Ok(row + 2)
}

/// A month's report.
///
/// # Errors
/// If it is more than a workbook holds.
pub(crate) fn month(month: &MonthView) -> Result<Vec<u8>, XlsxError> {
    let (mut workbook, looks) = (Workbook::new(), Looks::new());
    let sheet = workbook.add_worksheet();
    printed(sheet, "汇总")?;
    sheet.write_string_with_format(0, 0, format!("{} 预算执行监控月报", month.month), &looks.title)?;
    let mut row = lines(sheet, &looks, 2, &[&month.total])?;
    looks.heads(sheet, row, &[("处理结果", 0.0), ("", 0.0), ("件数", 0.0), ("金额（元）", 0.0)])?;
    for outcome in &month.outcomes {
        row += 1;
        let name = outcome.outcome.map_or("未写明", crate::alert::CaseOutcome::zh);
        let cells = [
            Cell::Text(name),
            Cell::Text(""),
            Cell::Count(outcome.cases),
            Cell::Money(Some(&outcome.amount)),
        ];
        for (column, cell) in (0..).zip(&cells) {
            looks.write(sheet, (row, column), cell)?;
        }
    }
    row += 2;
    looks.heads(
        sheet,
        row,
        &[("用时（小时）", 0.0), ("", 0.0), ("件数", 0.0), ("中位数", 0.0), ("九成不超过", 0.0)],
    )?;
    let times = &month.times;
    for (name, took) in [("受理", &times.acknowledge), ("答复", &times.answer), ("了结", &times.close)]
    {
        row += 1;
        let TookView { count, median_hours, most_hours } = took.clone().unwrap_or_default();
        let (median, most) = (format!("{median_hours:.2}"), format!("{most_hours:.2}"));
        let cells = [
            Cell::Text(name),
            Cell::Text(""),
            Cell::Count(count),
            Cell::Money(Some(&median)),
            Cell::Money(Some(&most)),
        ];
        for (column, cell) in (0..).zip(&cells) {
            looks.write(sheet, (row, column), cell)?;
        }
    }
    for (name, of) in [("按规则", &month.rules), ("按单位", &month.units)] {
        let sheet = workbook.add_worksheet();
        printed(sheet, name)?;
        sheet.set_repeat_rows(0, 0)?;
        lines(sheet, &looks, 0, &of.iter().collect::<Vec<_>>())?;
    }
    workbook.save_to_buffer()
}
