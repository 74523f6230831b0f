//! A statement against the table of somebody else: each figure that both have, to the cent.

use std::{collections::BTreeMap, fs::File, io::BufReader, path::Path};

use anyhow::Context;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{COLUMNS, Statement, StatementLevel, StatementRow};
use crate::{
    event::Cents,
    say,
    workbook::{Options, to_lines},
};

/// A figure that differs, or a row that only one table has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FigureDifference {
    pub code: String,
    /// The column; empty where the row itself is missing.
    pub column: &'static str,
    /// What the statement says; nothing where it has no such row.
    pub ours: Option<String>,
    /// What the other table says.
    pub theirs: Option<String>,
}

/// What two tables were compared by.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TableComparison {
    /// Figures that both have.
    pub figures: usize,
    pub rows: usize,
    pub differences: Vec<FigureDifference>,
}

/// The names that the first column goes by in such tables.
const CODES: [(StatementLevel, &[&str]); 4] = [
    (StatementLevel::Line, &["budget_line_id", "指标", "指标编码", "code"]),
    (StatementLevel::Unit, &["unit_code", "单位编码", "预算单位编码"]),
    (StatementLevel::Function, &["function_code", "功能分类", "功能科目编码"]),
    (StatementLevel::Class, &["economic_code", "经济分类", "经济科目编码"]),
];

/// Compares the rows of a file, CSV or Excel, with those of a statement.
///
/// # Errors
/// If the file cannot be read, or it has no column that names its rows, or none with figures.
pub(crate) fn against(
    statement: &Statement,
    group: StatementLevel,
    path: &Path,
) -> anyhow::Result<TableComparison> {
    let rows = read(path).with_context(|| path.display().to_string())?;
    compare(statement.rows(group), group, &rows).with_context(|| path.display().to_string())
}

pub(super) fn compare(
    ours: &[StatementRow],
    group: StatementLevel,
    rows: &[Map<String, Value>],
) -> anyhow::Result<TableComparison> {
    let names: Vec<&str> = rows.iter().flat_map(Map::keys).map(String::as_str).collect();
    let known = CODES.iter().find(|(of, _)| *of == group).map(|(_, names)| *names).unwrap_or_default();
    let code = known.iter().find(|name| names.contains(*name));
    let code = *code.with_context(|| {
        say!("no column names the rows; one of these is looked for: {names}", names = known.join(", "))
    })?;
    let columns: Vec<(usize, &'static str, &str)> = (0..)
        .zip(COLUMNS)
        .filter_map(|(at, (name, title))| {
            Some((at, name, [name, title].into_iter().find(|n| names.contains(n))?))
        })
        .collect();
    let wanted = || COLUMNS.map(|(name, title)| format!("{name} {title}")).join(", ");
    anyhow::ensure!(
        !columns.is_empty(),
        say!("no column has figures; these are looked for: {names}", names = wanted())
    );
    let mut left: BTreeMap<&str, &StatementRow> = ours.iter().map(|row| (row.code.as_str(), row)).collect();
    let mut compared = TableComparison { figures: 0, rows: 0, differences: Vec::new() };
    for row in rows {
        let Some(code) = row.get(code).and_then(Value::as_str).map(str::trim).filter(|code| !is_sum(code))
        else {
            continue;
        };
        compared.rows += 1;
        let own = left.remove(code);
        for (at, column, name) in &columns {
            let theirs =
                row.get(*name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
            let ours = own.map(|own| own.figures.cents()[*at]);
            let cents = theirs.map(|text| {
                cents(text).with_context(|| say!("{code}, {name}: {text} is no amount", code, name, text))
            });
            let cents = cents.transpose()?;
            compared.figures += usize::from(ours.is_some() && cents.is_some());
            // An empty cell says nothing of a row that there is.
            if ours != cents && cents.is_some() {
                compared.differences.push(FigureDifference {
                    code: code.to_owned(),
                    column,
                    ours: ours.map(|cents| cents.to_string()),
                    theirs: cents.map(|cents| cents.to_string()),
                });
            }
        }
    }
    let missing = left.into_values().map(|row| FigureDifference {
        code: row.code.clone(),
        column: "",
        ours: Some(row.figures.executed.to_string()),
        theirs: None,
    });
    compared.differences.extend(missing);
    Ok(compared)
}

/// A row that adds up others.
fn is_sum(code: &str) -> bool {
    code.is_empty() || ["合计", "总计", "小计", "total"].contains(&code)
}

/// An amount as people write it: with commas, in brackets if it is negative.
fn cents(text: &str) -> Option<Cents> {
    let plain = text.replace([',', '，', ' ', '¥', '￥'], "");
    let (negative, plain) = match plain.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => (true, inner.to_owned()),
        None => (false, plain),
    };
    let exact = rust_decimal::Decimal::from_str_exact(&plain).ok()?.normalize();
    if exact.scale() > 2 {
        return None;
    }
    let cents = exact.mantissa().checked_mul(10_i128.pow(2 - exact.scale()))?;
    Some(Cents::new(if negative { -cents } else { cents }))
}

fn read(path: &Path) -> anyhow::Result<Vec<Map<String, Value>>> {
    let file = BufReader::new(File::open(path)?);
    let is_book = path
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("xlsx") || end.eq_ignore_ascii_case("xls"));
    if is_book {
        let mut lines = Vec::new();
        to_lines(file, &Options::default(), &mut lines)?;
        let rows = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        return Ok(rows.map(serde_json::from_slice).collect::<Result<_, _>>()?);
    }
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(file);
    let header = reader.headers()?.clone();
    let names = header.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned());
    let names: Vec<String> = names.collect();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record?;
        let cells = names.iter().cloned().zip(record.iter().map(Value::from));
        rows.push(cells.collect());
    }
    Ok(rows)
}
