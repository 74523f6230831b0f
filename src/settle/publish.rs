//! 公开: the settlement of a year as anybody may have it: CSV files and a Fiscal Data Package that describes them. Cells from
//! which something of natural persons could be told are left out, with others so that they cannot be computed.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    COLUMNS, Figures, Statement,
    page::{PageRow, page},
    persons::PaidPersons,
    suppress::{Hidden, TableCell, hidden},
};
use crate::{
    event::{Cents, Instant, TimeDelta, time::Calendar},
    say,
    spreadsheet::GuardedCsv,
    text::hex,
};

/// What must not be told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DisclosureLimits {
    /// A cell that pays fewer natural persons than this, and at least one, is left out.
    pub persons: usize,
    /// One with less executed than this is left out.
    pub least: Cents,
}

/// A unit's money of an economic class.
#[derive(Debug, Default)]
struct Amounts<'s> {
    figures: Figures,
    /// Their budget lines.
    lines: Vec<&'s str>,
    /// The natural persons that they paid.
    persons: usize,
}

#[derive(Debug)]
pub(crate) struct Publication {
    /// The files by their names.
    pub files: BTreeMap<String, Vec<u8>>,
    pub cells: usize,
    /// Cells that must not be told, and those that are left out because of them.
    pub sensitive: usize,
    pub besides: usize,
    /// Sums that had to be left out too.
    pub sums: usize,
}

/// Makes the files.
///
/// # Errors
/// In words, if a cell cannot be kept from being computed, or the files do not add up to the statement.
pub(crate) fn published(
    statement: &Statement,
    persons: &PaidPersons,
    limits: DisclosureLimits,
    (calendar, currency): (&Calendar, &str),
) -> Result<Publication, String> {
    let mut cells: BTreeMap<(&str, &str), Amounts<'_>> = BTreeMap::new();
    for line in &statement.lines {
        let amounts = cells.entry((line.unit_code.as_str(), line.economic_code.as_str())).or_default();
        amounts.figures += line.figures;
        amounts.lines.push(&line.code);
    }
    cells.values_mut().for_each(|of| of.persons = persons.count(of.lines.iter().copied()));
    let place = |codes: &[super::StatementRow]| -> BTreeMap<String, usize> {
        codes.iter().enumerate().map(|(at, row)| (row.code.clone(), at)).collect()
    };
    let (units, classes) = (place(&statement.units), place(&statement.classes));
    let is_sensitive = |of: &Amounts<'_>| {
        (1..limits.persons).contains(&of.persons) || of.figures.executed.abs() < limits.least
    };
    let table: Vec<TableCell> = cells
        .iter()
        .map(|((unit, class), of)| TableCell {
            row: units.get(*unit).copied().unwrap_or(0),
            column: classes.get(*class).copied().unwrap_or(0),
            worth: of.figures.executed.as_i128().unsigned_abs(),
            sensitive: is_sensitive(of),
        })
        .collect();
    let hidden = hidden(&table, units.len(), classes.len()).ok_or_else(|| {
        say!(
            "a cell that must not be told is the sum of what is published: there are too few units or classes"
        )
    })?;
    let sheets = Sheets { statement, cells: &cells, hidden: &hidden, currency };
    let mut files = sheets.files().map_err(|error| error.to_string())?;
    let package = sheets.package(&files, calendar);
    files.insert(String::from("datapackage.json"), (format!("{package:#}\n")).into_bytes());
    files.insert(String::from("index.html"), sheets.page().into_bytes());
    let sensitive = table.iter().filter(|cell| cell.sensitive).count();
    let left_out = hidden.cells.iter().filter(|hidden| **hidden).count();
    let sums = hidden.rows.iter().chain(&hidden.columns).filter(|hidden| **hidden).count();
    Ok(Publication { files, cells: table.len(), sensitive, besides: left_out - sensitive, sums })
}

/// The files that are written.
struct Sheets<'s> {
    statement: &'s Statement,
    cells: &'s BTreeMap<(&'s str, &'s str), Amounts<'s>>,
    hidden: &'s Hidden,
    currency: &'s str,
}

/// The files: names, and the columns before those that all have.
const FILES: [(&str, &[&str]); 4] = [
    ("cells.csv", &["unit_code", "unit_name", "economic_code"]),
    ("units.csv", &["unit_code", "unit_name"]),
    ("classes.csv", &["economic_code"]),
    ("total.csv", &[]),
];

impl Sheets<'_> {
    fn files(&self) -> std::io::Result<BTreeMap<String, Vec<u8>>> {
        let names: BTreeMap<&str, &str> =
            self.statement.units.iter().map(|unit| (unit.code.as_str(), unit.unit_name.as_str())).collect();
        let name = |unit: &str| names.get(unit).copied().unwrap_or_default();
        let cells = self.cells.iter().zip(&self.hidden.cells);
        let cells = cells.map(|(((unit, class), of), h)| (vec![*unit, name(unit), *class], of.figures, *h));
        let units = self.statement.units.iter().zip(&self.hidden.rows);
        let units = units.map(|(row, h)| (vec![row.code.as_str(), row.unit_name.as_str()], row.figures, *h));
        let classes = self.statement.classes.iter().zip(&self.hidden.columns);
        let classes = classes.map(|(row, h)| (vec![row.code.as_str()], row.figures, *h));
        let [of_cells, of_units, of_classes, of_all] = FILES;
        Ok(BTreeMap::from([
            self.file(of_cells, cells)?,
            self.file(of_units, units)?,
            self.file(of_classes, classes)?,
            self.file(of_all, std::iter::once((Vec::new(), self.statement.sum, false)))?,
        ]))
    }

    /// A row an amount: what it is of, the column of the settlement, and whether it is left out.
    fn file<'r>(
        &self,
        (name, columns): (&str, &[&str]),
        rows: impl Iterator<Item = (Vec<&'r str>, Figures, bool)>,
    ) -> std::io::Result<(String, Vec<u8>)> {
        let mut out = Vec::new();
        let mut file = GuardedCsv::plain(&mut out);
        let common = ["phase", "currency", "amount", "suppressed"];
        file.row(["fiscal_year"].iter().chain(columns).chain(&common))?;
        let year = self.statement.fiscal_year.to_string();
        for (of, figures, is_hidden) in rows {
            for ((phase, _), cents) in COLUMNS.iter().zip(figures.cents()) {
                let amount = if is_hidden { String::new() } else { cents.to_string() };
                let told = if is_hidden { "true" } else { "false" };
                let cells = [year.as_str()].into_iter().chain(of.iter().copied());
                file.row(cells.chain([*phase, self.currency, amount.as_str(), told]))?;
            }
        }
        file.flush()?;
        drop(file);
        Ok((name.to_owned(), out))
    }

    /// The page that shows units and classes with charts, and names the files.
    fn page(&self) -> String {
        let units = shown(&self.statement.units, &self.hidden.rows);
        let classes = shown(&self.statement.classes, &self.hidden.columns);
        let mut files: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        files.push("datapackage.json");
        let of = (self.statement.fiscal_year, self.currency);
        page(of, &self.statement.sum, (&units, &classes), &files)
    }

    /// The description: Fiscal Data Package 1.0-rc.1.
    fn package(&self, files: &BTreeMap<String, Vec<u8>>, calendar: &Calendar) -> Value {
        let year = self.statement.fiscal_year;
        let day = |at: Instant| calendar.local(at).date().to_string();
        let span =
            calendar.fiscal_year(year).map(|year| (day(year.start), day(year.end - TimeDelta::MICROSECOND)));
        let (start, end) = span.unwrap_or_default();
        let resources = FILES.iter().map(|(name, columns)| {
            let bytes = files.get(*name).map(Vec::as_slice).unwrap_or_default();
            let digest = hex(&Sha256::digest(bytes));
            let all = ["fiscal_year"].iter().chain(*columns).chain(&["phase", "currency", "amount", "suppressed"]);
            json!({
                "name": name.trim_end_matches(".csv"), "path": name, "profile": "tabular-data-resource", "format": "csv",
                "mediatype": "text/csv", "encoding": "utf-8", "bytes": bytes.len(), "hash": format!("sha256:{digest}"),
                "schema": { "fields": all.map(|name| field(name)).collect::<Vec<_>>(), "missingValues": [""] },
            })
        });
        json!({
            "profile": "fiscal-data-package",
            "name": format!("settlement-{year}"),
            "title": format!("{year}年度财政支出决算"),
            "countryCode": "CN",
            "granularity": "aggregated",
            "fiscalPeriod": { "start": start, "end": end },
            "resources": resources.collect::<Vec<_>>(),
        })
    }
}

/// Rows as the page shows them, without the figures that are left out.
fn shown<'r>(rows: &'r [super::StatementRow], hidden: &[bool]) -> Vec<PageRow<'r>> {
    let row = |(row, hidden): (&'r super::StatementRow, &bool)| PageRow {
        code: &row.code,
        name: &row.unit_name,
        figures: (!hidden).then_some(row.figures),
    };
    rows.iter().zip(hidden).map(row).collect()
}

/// A column with its type in the budget taxonomy of the standard; `suppressed` has none there.
fn field(name: &str) -> Value {
    let (kind, column_type) = match name {
        "fiscal_year" => ("integer", Some("date:fiscal-year")),
        "unit_code" => ("string", Some("administrative-classification:generic:code")),
        "unit_name" => ("string", Some("administrative-classification:generic:label")),
        "economic_code" => ("string", Some("economic-classification:generic:code")),
        "phase" => ("string", Some("phase:id")),
        "currency" => ("string", Some("value-currency:code")),
        "amount" => ("number", Some("value")),
        _ => ("boolean", None),
    };
    match column_type {
        Some(of) => json!({ "name": name, "type": kind, "columnType": of }),
        None => json!({ "name": name, "type": kind }),
    }
}
