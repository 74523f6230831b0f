//! Which row of a sheet names the columns, and how they are called.

use std::collections::HashMap;

use super::{Area, Content, Row, WorkbookFault, letters, sheet::COLUMNS_MAX};
use crate::{inspect::shown, say};

/// Rows that are looked at for the header.
pub(crate) const LOOKED_AT: usize = 50;
/// Rows that a header takes at most.
const LEVELS_MAX: u32 = 4;
/// Characters of a name that are kept.
const NAME_MAX: usize = 200;

/// The names of the columns, and where they stand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The first row of the header, from 1.
    pub row: u32,
    /// Its last row; a header may have names over names.
    pub last: u32,
    /// The names by column, in their order.
    pub names: Vec<(u32, String)>,
}

impl Header {
    /// Finds it among the first rows, or takes the row that is named.
    pub(crate) fn find(
        sheet: &str,
        head: &[Row],
        areas: &[Area],
        wanted: Option<u32>,
    ) -> Result<Self, WorkbookFault> {
        let row = match wanted {
            Some(wanted) => head.iter().find(|row| row.number == wanted && !row.cells.is_empty()),
            None => guess(head),
        };
        let Some(row) = row else {
            return Err(WorkbookFault::NoHeader { sheet: sheet.to_owned(), what: nothing(head, wanted) });
        };
        let starting = areas.iter().filter(|area| area.rows.0 == row.number);
        let last = starting.map(|area| area.rows.1).max().unwrap_or(row.number);
        let last = if last - row.number < LEVELS_MAX { last } else { row.number };
        let levels: Vec<&Row> =
            head.iter().filter(|other| (row.number..=last).contains(&other.number)).collect();
        let columns = levels.iter().flat_map(|row| &row.cells).map(|(column, _)| column + 1).max();
        let near = areas.iter().filter(|area| area.rows.0 <= last && area.rows.1 >= row.number);
        let near: Vec<Area> = near.take(COLUMNS_MAX as usize).copied().collect();
        let named = |column| Some((column, name(column, &levels, head, &near)?));
        let names = (0..columns.unwrap_or(0)).filter_map(named).collect();
        Ok(Self { row: row.number, last, names: told_apart(names) })
    }

    /// Whether a row names the columns once more, as on each printed page.
    pub(crate) fn is_repeated_by(&self, row: &Row) -> bool {
        let is_name = |(column, content): &(u32, Content)| {
            let name =
                self.names.binary_search_by_key(column, |(column, _)| *column).map(|at| &self.names[at].1);
            let Content::Text(text) = content else { return false };
            name.is_ok_and(|name| {
                let text = one_line(text);
                *name == text || name.ends_with(&format!("/{text}")) || name.starts_with(&format!("{text} ("))
            })
        };
        row.cells.len() > 1 && row.cells.iter().all(is_name)
    }

    /// The key of a column: its name, or its letters where it has none.
    pub(crate) fn key(&self, column: u32) -> String {
        match self.names.binary_search_by_key(&column, |(column, _)| *column) {
            Ok(at) => self.names[at].1.clone(),
            Err(_) => letters(column),
        }
    }
}

/// The first row that is mostly names: text in more than half of the columns, and few numbers.
fn guess(head: &[Row]) -> Option<&Row> {
    let width = head.iter().map(|row| row.cells.len()).max()?;
    head.iter().find(|row| {
        let texts = row.cells.iter().filter(|(_, content)| matches!(content, Content::Text(_))).count();
        let others = row.cells.len() - texts;
        texts * 2 > width && others * 4 <= texts
    })
}

/// The name of a column: the names over one another, joined by a slash.
fn name(column: u32, levels: &[&Row], head: &[Row], areas: &[Area]) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut own = false;
    for level in levels {
        let area = areas.iter().find(|area| area.covers(level.number, column));
        let (row, from) = area.map_or((level.number, column), |area| (area.rows.0, area.columns.0));
        let text = head.iter().find(|other| other.number == row).and_then(|row| text(row, from));
        let Some(text) = text.map(one_line).filter(|text| !text.is_empty()) else { continue };
        own |= from == column;
        if parts.last() != Some(&text) {
            parts.push(text);
        }
    }
    // A name that is written over several columns is that of the first.
    own.then(|| parts.join("/").chars().take(NAME_MAX).collect())
}

impl Area {
    /// Whether a cell is within it.
    pub(crate) fn covers(&self, row: u32, column: u32) -> bool {
        (self.rows.0..=self.rows.1).contains(&row) && (self.columns.0..=self.columns.1).contains(&column)
    }
}

fn text(row: &Row, column: u32) -> Option<&str> {
    let (_, content) = row.cells.iter().find(|(other, _)| *other == column)?;
    match content {
        Content::Text(text) | Content::Number(text) => Some(text),
        Content::Flawed(..) => None,
    }
}

/// A name on one line: where it is wrapped, Latin words get a blank, and Chinese ones none.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        let latin = |c: Option<char>| c.is_some_and(|c| c.is_ascii());
        if latin(line.chars().last()) || (!line.is_empty() && latin(word.chars().next())) {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// Names that stand several times are numbered, all of them: which one is meant is not for us to say.
fn told_apart(names: Vec<(u32, String)>) -> Vec<(u32, String)> {
    let mut times: HashMap<String, (usize, usize)> = HashMap::new();
    for (_, name) in &names {
        times.entry(name.clone()).or_default().0 += 1;
    }
    let numbered = |(column, name): (u32, String)| match times.get_mut(&name) {
        Some((count, seen)) if *count > 1 => {
            *seen += 1;
            (column, format!("{name} ({seen})"))
        }
        _ => (column, name),
    };
    names.into_iter().map(numbered).collect()
}

fn nothing(head: &[Row], wanted: Option<u32>) -> String {
    let filled = head.iter().find(|row| !row.cells.is_empty());
    match (wanted, filled) {
        (Some(row), _) => say!("row {row} is empty, or not among the first {n}", row, n = LOOKED_AT),
        (None, None) => say!("it is empty"),
        (None, Some(row)) => {
            let cells: Vec<_> = row.cells.iter().filter_map(|(column, _)| text(row, *column)).collect();
            say!(
                "none of its first rows names the columns; row {row} reads {text}",
                row = row.number,
                text = shown(&cells.join(" | "))
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u32, cells: &[&str]) -> Row {
        let content = |text: &&str| match text.parse::<f64>() {
            Ok(_) => Content::Number((*text).to_owned()),
            Err(_) => Content::Text((*text).to_owned()),
        };
        let cells = cells.iter().enumerate().filter(|(_, text)| !text.is_empty());
        Row { number, hidden: false, cells: cells.map(|(at, text)| (at as u32, content(text))).collect() }
    }

    fn names(head: &[Row], areas: &[Area]) -> Vec<String> {
        let header = Header::find("s", head, areas, None).unwrap();
        header.names.into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn titles_above_are_passed_over() {
        let head = [
            row(1, &["支付明细表"]),
            row(2, &["单位：元", "", "", "2026年3月"]),
            row(4, &["凭证号", "日期", "收款人\n名称", "金额", "Invoice\nDate"]),
            row(5, &["1", "2026-03-04", "甲", "100", "x"]),
        ];
        let header = Header::find("s", &head, &[], None).unwrap();
        assert_eq!((header.row, header.last), (4, 4));
        assert_eq!(names(&head, &[]), ["凭证号", "日期", "收款人名称", "金额", "Invoice Date"]);
        assert_eq!(header.key(7), "H");
    }

    #[test]
    fn names_over_names_are_joined() {
        let head = [
            row(1, &["号", "收款人", "", "金额"]),
            row(2, &["", "全称", "账号", ""]),
            row(3, &["1", "甲", "62", "5"]),
        ];
        let area = |rows, columns| Area { rows, columns };
        let areas = [area((1, 2), (0, 0)), area((1, 1), (1, 2)), area((1, 2), (3, 3))];
        assert_eq!(names(&head, &areas), ["号", "收款人/全称", "收款人/账号", "金额"]);
        // A name over two columns without names below it is that of the first.
        let head = [row(1, &["号", "用途", "", "金额"]), row(2, &["1", "甲", "乙", "5"])];
        assert_eq!(names(&head, &[area((1, 1), (1, 2))]), ["号", "用途", "金额"]);
    }

    #[test]
    fn a_header_on_each_page_is_known() {
        let head = [row(1, &["号", "金额", "金额"]), row(2, &["1", "2", "3"])];
        let header = Header::find("s", &head, &[], None).unwrap();
        assert!(header.is_repeated_by(&row(9, &["号", "金额", "金额"])));
        assert!(!header.is_repeated_by(&row(9, &["号", "金额", "7"])));
        assert!(!header.is_repeated_by(&row(9, &["号"])));
    }

    #[test]
    fn a_name_that_stands_twice_is_numbered() {
        let head = [row(1, &["号", "金额", "金额"]), row(2, &["1", "2", "3"])];
        assert_eq!(names(&head, &[]), ["号", "金额 (1)", "金额 (2)"]);
    }

    #[test]
    fn no_header_is_told_with_what_is_there() {
        let head = [row(1, &["1", "2026", "100.00"]), row(2, &["2", "2026", "100.00"])];
        let told = Header::find("付款", &head, &[], None).unwrap_err().to_string();
        assert!(told.contains("row 1 reads `1 | 2026 | 100.00`"), "{told}");
        assert!(Header::find("s", &[], &[], None).unwrap_err().to_string().contains("it is empty"));
    }
}
