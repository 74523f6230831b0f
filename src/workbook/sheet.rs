//! A sheet of an `.xlsx` workbook, row by row.

use std::io::{Read, Seek};

use super::{
    Area, Content, EachRow, Flaw, Grid, Row, WorkbookFault, date,
    number::{self, Number},
    package::Package,
    parts::{Book, Strings, date_styles, missing, take},
};
use crate::{
    markup::{Tag, XmlToken},
    say,
};

/// Rows and columns that a sheet has at most.
pub(crate) const ROWS_MAX: u32 = 1_048_576;
/// See [`ROWS_MAX`].
pub(crate) const COLUMNS_MAX: u32 = 16_384;
/// Bytes of the texts of one row.
const ROW_MAX: usize = 4 << 20;
/// Merged areas of a sheet.
const AREAS_MAX: usize = 200_000;

/// A workbook of which one sheet is read.
pub(crate) struct Xlsx<R> {
    package: Package<R>,
    strings: Strings,
    dates: Vec<bool>,
    from_1904: bool,
    part: String,
}

impl<R: Read + Seek> Xlsx<R> {
    /// A sheet of a workbook, by the name of its part.
    pub(crate) fn open(mut package: Package<R>, book: &Book, part: &str) -> Result<Self, WorkbookFault> {
        let strings = Strings::read(&mut package, &book.strings)?;
        let dates = date_styles(&mut package, &book.styles)?;
        Ok(Self { package, strings, dates, from_1904: book.from_1904, part: part.to_owned() })
    }
}

impl<R: Read + Seek> Grid for Xlsx<R> {
    fn rows(&mut self, each: &mut EachRow<'_>) -> Result<(), WorkbookFault> {
        let told = |fault| WorkbookFault::of(&self.part, fault);
        let mut part = self.package.part(&self.part, None)?.ok_or_else(|| missing(&self.part))?;
        let context = Context { strings: &self.strings, dates: &self.dates, from_1904: self.from_1904 };
        let (mut row, mut cell, mut bytes, mut last) = (Row::default(), Cell::default(), 0, 0);
        loop {
            let fault = match part.next_token()? {
                XmlToken::Open(tag) => match tag.name() {
                    "row" => {
                        (row.hidden, row.number) = begin_row(&tag, row.number).map_err(told)?;
                        row.cells.clear();
                        (bytes, cell.next) = (0, 0);
                        (row.number <= last || row.number > ROWS_MAX)
                            .then(|| say!("row {n} stands in the wrong place", n = row.number))
                    }
                    "c" => cell.begin(&tag).map_err(told)?,
                    name => {
                        cell.enter(name);
                        None
                    }
                },
                XmlToken::Text(text) => {
                    bytes += cell.take(&text);
                    None
                }
                XmlToken::Close(tag) => match tag.local_name().as_ref() {
                    "c" => match cell.content(&context) {
                        Ok(None) => None,
                        Ok(Some(content)) => {
                            bytes += content.bytes();
                            row.cells.push((cell.column, content));
                            None
                        }
                        Err(what) => Some(what),
                    },
                    "row" => {
                        last = row.number;
                        if !each(&row)? {
                            return Ok(());
                        }
                        None
                    }
                    "sheetData" => return Ok(()),
                    name => {
                        cell.leave(name);
                        None
                    }
                },
                XmlToken::End => return Ok(()),
                XmlToken::Nothing => None,
            };
            if let Some(what) = fault {
                return Err(part.damaged(what));
            }
            if bytes > ROW_MAX || row.cells.len() > COLUMNS_MAX as usize {
                let what = say!("row {n} takes more than 4 MiB", n = row.number);
                return Err(WorkbookFault::TooLarge { what });
            }
        }
    }

    fn merged(&mut self) -> Result<Vec<Area>, WorkbookFault> {
        let mut part = self.package.part(&self.part, None)?.ok_or_else(|| missing(&self.part))?;
        let mut areas = Vec::new();
        loop {
            match part.next_token()? {
                XmlToken::Open(tag) if tag.name() == "mergeCell" => {
                    let [area] = take(&tag, ["ref"]).map_err(|fault| WorkbookFault::of(&self.part, fault))?;
                    areas.extend(area.as_deref().and_then(Area::of));
                    if areas.len() > AREAS_MAX {
                        return Err(WorkbookFault::TooLarge {
                            what: say!("more than {n} merged cells", n = AREAS_MAX),
                        });
                    }
                }
                XmlToken::End => return Ok(areas),
                _ => {}
            }
        }
    }
}

impl Area {
    /// `A1:C3`.
    fn of(text: &str) -> Option<Self> {
        let (from, to) = text.split_once(':')?;
        let ((first_column, first), (last_column, last)) = (place(from)?, place(to)?);
        (first <= last && first_column <= last_column)
            .then_some(Self { rows: (first, last), columns: (first_column, last_column) })
    }
}

/// Whether a row is hidden, and its number: what it says, or the one after the last.
fn begin_row(tag: &Tag<'_>, last: u32) -> Result<(bool, u32), crate::markup::DocumentFault> {
    let [number, hidden] = take(tag, ["r", "hidden"])?;
    let number = number.and_then(|number| number.parse().ok()).unwrap_or(last.saturating_add(1));
    Ok((matches!(hidden.as_deref(), Some("1" | "true")), number))
}

/// The column from 0 and the row from 1 of `C12`.
fn place(text: &str) -> Option<(u32, u32)> {
    let digits = text.find(|c: char| c.is_ascii_digit())?;
    let (letters, row) = text.split_at(digits);
    let mut column = 0_u32;
    for letter in letters.bytes() {
        let value = u32::from(letter.to_ascii_uppercase().checked_sub(b'A').filter(|value| *value < 26)?);
        column = column.checked_mul(26)?.checked_add(value + 1)?;
    }
    let row = row.parse().ok().filter(|row| (1..=ROWS_MAX).contains(row))?;
    Some((column.checked_sub(1).filter(|column| *column < COLUMNS_MAX)?, row))
}

impl Content {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) | Self::Number(text) | Self::Flawed(_, text) => text.len(),
        }
    }
}

struct Context<'x> {
    strings: &'x Strings,
    dates: &'x [bool],
    from_1904: bool,
}

/// What the characters that come belong to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Into {
    #[default]
    Nothing,
    Value,
    Formula,
}

/// The cell that is being read.
#[derive(Debug, Default)]
struct Cell {
    column: u32,
    /// The column of the next one that does not say its own.
    next: u32,
    kind: String,
    style: usize,
    value: String,
    formula: Option<String>,
    has_value: bool,
    phonetic: bool,
    into: Into,
}

impl Cell {
    /// Begins a cell; what is wrong with its place.
    fn begin(&mut self, tag: &Tag<'_>) -> Result<Option<String>, crate::markup::DocumentFault> {
        let [place_of, style, kind] = take(tag, ["r", "s", "t"])?;
        let column = match place_of.as_deref() {
            Some(text) => place(text).map(|(column, _)| column),
            None => Some(self.next).filter(|column| *column < COLUMNS_MAX),
        };
        let style = style.and_then(|style| style.parse().ok()).unwrap_or(0);
        *self = Self { style, kind: kind.unwrap_or_default(), ..Self::default() };
        let Some(column) = column else {
            return Ok(Some(say!(
                "a cell at no place: {place}",
                place = crate::inspect::shown(&place_of.unwrap_or_default())
            )));
        };
        (self.column, self.next) = (column, column + 1);
        Ok(None)
    }

    fn enter(&mut self, name: &str) {
        match name {
            "v" => (self.into, self.has_value) = (Into::Value, true),
            "t" if !self.phonetic => (self.into, self.has_value) = (Into::Value, true),
            "f" => (self.into, self.formula) = (Into::Formula, Some(String::new())),
            "rPh" => self.phonetic = true,
            _ => {}
        }
    }

    fn leave(&mut self, name: &str) {
        match name {
            "v" | "t" | "f" => self.into = Into::Nothing,
            "rPh" => self.phonetic = false,
            _ => {}
        }
    }

    /// Takes characters; how many bytes of them.
    fn take(&mut self, text: &str) -> usize {
        match (self.into, &mut self.formula) {
            (Into::Value, _) => self.value.push_str(text),
            (Into::Formula, Some(formula)) => formula.push_str(text),
            _ => return 0,
        }
        text.len()
    }

    /// What stands in it, if anything does; otherwise what is wrong with it.
    fn content(&mut self, context: &Context<'_>) -> Result<Option<Content>, String> {
        if !self.has_value || self.value.trim().is_empty() && self.kind.is_empty() {
            return Ok(self
                .formula
                .take()
                .map(|formula| Content::Flawed(Flaw::Formula, format!("={formula}"))));
        }
        let value = self.value.as_str();
        let content = match self.kind.as_str() {
            "s" => {
                let text = value.trim().parse().ok().and_then(|number| context.strings.get(number));
                let Some(text) = text else {
                    return Err(say!(
                        "a cell names the text {n}, which is not there",
                        n = crate::inspect::shown(value)
                    ));
                };
                Content::Text(unescaped(text))
            }
            "b" => Content::Number(
                if matches!(value.trim(), "1" | "true") { "TRUE" } else { "FALSE" }.to_owned(),
            ),
            "d" => Content::Number(value.trim().to_owned()),
            "str" | "inlineStr" | "e" => Content::Text(unescaped(value)),
            _ => numeric(value.trim(), context.dates.get(self.style) == Some(&true), context.from_1904),
        };
        let blank = matches!(&content, Content::Text(text) if text.trim().is_empty());
        Ok((!blank).then_some(content))
    }
}

/// A number, as a date if it is shown as one.
fn numeric(value: &str, is_date: bool, from_1904: bool) -> Content {
    if is_date
        && let Ok(serial) = value.parse()
        && let Some(day) = date::iso(serial, from_1904)
    {
        return Content::Number(day);
    }
    match number::exact(value) {
        Number::Exact(text) => Content::Number(text),
        Number::Inexact => Content::Flawed(Flaw::Inexact, value.to_owned()),
        Number::None => Content::Text(value.to_owned()),
    }
}

/// A text without `_x000D_`, which is how a workbook writes characters that XML does not have.
fn unescaped(text: &str) -> String {
    if !text.contains("_x") {
        return text.to_owned();
    }
    let mut left = text;
    let mut plain = String::with_capacity(text.len());
    while let Some(at) = left.find("_x") {
        plain.push_str(&left[..at]);
        let code = left.get(at + 2..at + 6).filter(|_| left.as_bytes().get(at + 6) == Some(&b'_'));
        match code.and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32) {
            Some(character) => {
                plain.push(character);
                left = &left[at + 7..];
            }
            None => {
                plain.push_str("_x");
                left = &left[at + 2..];
            }
        }
    }
    plain.push_str(left);
    plain
}
