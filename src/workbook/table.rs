//! The rows of a sheet as JSON Lines.

use std::io::{Read, Seek, Write};

use super::{
    Area, Container, Content, Flaw, Grid, Options, Row, SheetChoice, Tab, WorkbookFault,
    header::{Header, LOOKED_AT},
    legacy::Xls,
    package::{Package, check_size},
    parts::Book,
    sheet::Xlsx,
};
use crate::say;

/// Bytes that may be made of a workbook.
const OUTPUT_MAX: u64 = 1 << 30;
/// Cells that are covered by others, in all.
const COVERED_MAX: u64 = 20_000_000;

/// What was made of a workbook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkbookSummary {
    /// The sheet that was read.
    pub sheet: String,
    /// The first row of its header, from 1.
    pub header_row: u32,
    /// The names of its columns.
    pub columns: Vec<String>,
    /// Rows with something in them.
    pub rows: u64,
    /// Rows between them that hold nothing, or the names of the columns once more; each is an empty line.
    pub blank: u64,
    /// Rows that are hidden, and read like the others.
    pub hidden: u64,
    /// All sheets of the workbook.
    pub tabs: Vec<Tab>,
}

/// Writes the rows of a sheet as JSON Lines.
///
/// # Errors
/// If the workbook is refused, which may be known only after some rows; what was written then is to be thrown away.
pub fn to_lines(
    mut file: impl Read + Seek,
    options: &Options,
    out: &mut impl Write,
) -> Result<WorkbookSummary, WorkbookFault> {
    check_size(&mut file)?;
    match Container::of(&mut file)? {
        Container::Zip => {
            let mut package = Package::open(file)?;
            let book = Book::read(&mut package)?;
            let tabs: Vec<Tab> = book.sheets.iter().map(|(tab, _)| tab.clone()).collect();
            let at = choose(&tabs, options.sheet.as_ref())?;
            let grid = Xlsx::open(package, &book, &book.sheets[at].1)?;
            write(grid, tabs, at, options, out)
        }
        Container::Compound => {
            let mut workbook = Xls::open(&mut file)?;
            let tabs = workbook.tabs();
            let at = choose(&tabs, options.sheet.as_ref())?;
            write(workbook.sheet(at)?, tabs, at, options, out)
        }
    }
}

/// The sheet that is meant: the one that is named, or the first that is shown.
fn choose(tabs: &[Tab], wanted: Option<&SheetChoice>) -> Result<usize, WorkbookFault> {
    let found = match wanted {
        None => tabs.iter().position(|tab| !tab.hidden),
        Some(SheetChoice::Name(name)) => tabs.iter().position(|tab| tab.name.trim() == name.trim()),
        Some(SheetChoice::Number(number)) => number.checked_sub(1).filter(|at| *at < tabs.len()),
    };
    found.ok_or_else(|| {
        let wanted = match wanted {
            None => say!("that is shown"),
            Some(SheetChoice::Name(name)) => name.clone(),
            Some(SheetChoice::Number(number)) => number.to_string(),
        };
        let there: Vec<_> = tabs.iter().map(|tab| tab.name.as_str()).collect();
        WorkbookFault::NoSheet { wanted, there: there.join(", ") }
    })
}

fn write(
    mut grid: impl Grid,
    tabs: Vec<Tab>,
    at: usize,
    options: &Options,
    out: &mut impl Write,
) -> Result<WorkbookSummary, WorkbookFault> {
    let sheet = tabs[at].name.clone();
    let mut areas = grid.merged()?;
    let covered = |area: &Area| {
        u64::from(area.rows.1 - area.rows.0 + 1) * u64::from(area.columns.1 - area.columns.0 + 1)
    };
    if areas.iter().map(covered).sum::<u64>() > COVERED_MAX {
        return Err(WorkbookFault::TooLarge {
            what: say!("merged cells over more than {n} cells", n = COVERED_MAX),
        });
    }
    areas.sort_by_key(|area| area.rows.0);
    let head = head(&mut grid, options.header_row)?;
    let header = Header::find(&sheet, &head, &areas, options.header_row)?;
    drop(head);
    let columns = header.names.iter().map(|(_, name)| name.clone()).collect();
    let summary =
        WorkbookSummary { sheet, header_row: header.row, columns, tabs, ..WorkbookSummary::default() };
    let last = header.last.saturating_add(options.skip);
    let mut lines = Lines { header, summary, line: Vec::new(), left: OUTPUT_MAX, last };
    let mut covers = Covers { areas: &areas, next: 0, open: Vec::new() };
    grid.rows(&mut |row| {
        let covered = covers.of(row);
        if row.number > last && !row.cells.is_empty() {
            lines.write(row, covered, out)?;
        }
        Ok(true)
    })?;
    Ok(lines.summary)
}

/// The first rows that hold something, and the one that is named.
fn head(grid: &mut impl Grid, wanted: Option<u32>) -> Result<Vec<Row>, WorkbookFault> {
    let mut head = Vec::new();
    grid.rows(&mut |row| {
        let beyond = wanted.is_some_and(|wanted| row.number > wanted + 4);
        let near = wanted.is_none_or(|wanted| row.number >= wanted.saturating_sub(4));
        if near && !row.cells.is_empty() {
            head.push(Row { number: row.number, hidden: row.hidden, cells: row.cells.clone() });
        }
        Ok(head.len() < LOOKED_AT && !beyond)
    })?;
    Ok(head)
}

/// The merged cells that reach a row.
struct Covers<'a> {
    areas: &'a [Area],
    next: usize,
    /// With the text of their first cell, if it has one.
    open: Vec<(Area, Option<String>)>,
}

impl Covers<'_> {
    /// The cells of a row that a merged cell covers, with what stands in that one.
    fn of(&mut self, row: &Row) -> Vec<(u32, Content)> {
        self.open.retain(|(area, _)| area.rows.1 >= row.number);
        while let Some(area) = self.areas.get(self.next).filter(|area| area.rows.0 <= row.number) {
            let first = row.cells.iter().find(|(column, _)| *column == area.columns.0);
            let text = first.filter(|_| area.rows.0 == row.number).map(|(_, content)| match content {
                Content::Text(text) | Content::Number(text) | Content::Flawed(_, text) => text.clone(),
            });
            if area.rows.1 >= row.number && text.is_some() {
                self.open.push((*area, text));
            }
            self.next += 1;
        }
        let mut covered = Vec::new();
        for (area, text) in &self.open {
            let Some(text) = text else { continue };
            for column in area.columns.0..=area.columns.1 {
                if (row.number, column) != (area.rows.0, area.columns.0) {
                    covered.push((column, Content::Flawed(Flaw::Merged, text.clone())));
                }
            }
        }
        covered
    }
}

struct Lines {
    header: Header,
    summary: WorkbookSummary,
    line: Vec<u8>,
    left: u64,
    /// The last row that was written, or that of the header.
    last: u32,
}

impl Lines {
    fn write(
        &mut self,
        row: &Row,
        covered: Vec<(u32, Content)>,
        out: &mut impl Write,
    ) -> Result<(), WorkbookFault> {
        if self.header.is_repeated_by(row) {
            return Ok(());
        }
        self.line.clear();
        for _ in self.last + 1..row.number {
            self.line.push(b'\n');
            self.summary.blank += 1;
        }
        self.last = row.number;
        self.summary.rows += 1;
        self.summary.hidden += u64::from(row.hidden);
        self.line.push(b'{');
        for (column, content) in &row.cells {
            self.cell(*column, content);
        }
        for (column, content) in covered {
            if row.cells.iter().all(|(other, _)| *other != column) {
                self.cell(column, &content);
            }
        }
        let place = say!("sheet {sheet}, row {row}", sheet = self.summary.sheet, row = row.number);
        self.line.extend_from_slice(b"\"$place\":");
        json(&mut self.line, &place);
        self.line.extend_from_slice(b"}\n");
        self.left = self
            .left
            .checked_sub(self.line.len() as u64)
            .ok_or_else(|| WorkbookFault::TooLarge { what: say!("more than 1 GiB would be made of it") })?;
        out.write_all(&self.line).map_err(WorkbookFault::Write)
    }

    fn cell(&mut self, column: u32, content: &Content) {
        json(&mut self.line, &self.header.key(column));
        self.line.push(b':');
        match content {
            Content::Text(text) | Content::Number(text) => json(&mut self.line, text),
            Content::Flawed(flaw, shown) => {
                self.line
                    .extend_from_slice(format!("{{\"$fault\":\"{}\",\"shown\":", flaw.word()).as_bytes());
                json(&mut self.line, shown);
                self.line.push(b'}');
            }
        }
        self.line.push(b',');
    }
}

/// A text as JSON.
fn json(line: &mut Vec<u8>, text: &str) {
    line.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
}
