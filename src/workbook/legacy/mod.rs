//! Old workbooks (`.xls`), read by calamine. It reserves memory as such a file says, so the file is looked through first.

use std::{
    collections::{BTreeSet, HashMap},
    io::{Cursor, Read, Seek},
    panic::{AssertUnwindSafe, catch_unwind},
};

use calamine::{Data, Range, Reader, SheetVisible};

use super::{
    Area, Content, EachRow, Flaw, Grid, Row, Tab, WorkbookFault, date,
    number::{self, Number},
};
use crate::say;

/// Cells of all sheets, empty ones included: each takes memory.
const CELLS_MAX: u64 = 8_000_000;
/// Bytes of a file.
const FILE_MAX: u64 = 128 << 20;

pub(crate) struct Xls {
    workbook: calamine::Xls<Cursor<Vec<u8>>>,
    /// The hidden rows of each sheet, from 0, by the sheet's place in the file.
    hidden: Vec<BTreeSet<u32>>,
}

impl Xls {
    pub(crate) fn open(file: &mut (impl Read + Seek)) -> Result<Self, WorkbookFault> {
        let mut bytes = Vec::new();
        file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(WorkbookFault::Read)?;
        if bytes.len() as u64 > FILE_MAX {
            return Err(WorkbookFault::TooLarge { what: say!("an old workbook of more than 128 MiB") });
        }
        let stream = stream(&bytes)?;
        let hidden = survey(&stream)?;
        drop(stream);
        let opened = caught(|| calamine::Xls::new(Cursor::new(bytes)))?;
        let workbook = opened.map_err(|error| match error {
            calamine::XlsError::Password => WorkbookFault::Password,
            _ => damaged(),
        })?;
        Ok(Self { workbook, hidden })
    }

    pub(crate) fn tabs(&self) -> Vec<Tab> {
        let tab = |sheet: &calamine::Sheet| Tab {
            name: sheet.name.clone(),
            hidden: sheet.visible != SheetVisible::Visible,
        };
        self.workbook.sheets_metadata().iter().map(tab).collect()
    }

    /// A sheet by its number from 0.
    pub(crate) fn sheet(&mut self, at: usize) -> Result<LegacySheet, WorkbookFault> {
        let name = self.tabs().get(at).map(|tab| tab.name.clone()).unwrap_or_default();
        let workbook = &mut self.workbook;
        let range = caught(|| workbook.worksheet_range(&name))?.map_err(|_| damaged())?;
        let merged = workbook.merge_cells_by_sheet_name(&name).unwrap_or_default();
        let area = |area: &calamine::Dimensions| Area {
            rows: (area.start.0 + 1, area.end.0 + 1),
            columns: (area.start.1, area.end.1),
        };
        let sound = |area: &&calamine::Dimensions| area.start.0 <= area.end.0 && area.start.1 <= area.end.1;
        Ok(LegacySheet {
            merged: merged.iter().filter(sound).map(area).collect(),
            range,
            hidden: self.hidden.get(at).cloned().unwrap_or_default(),
            from_1904: workbook.has_1904_epoch(),
        })
    }
}

/// A sheet of an old workbook.
pub(crate) struct LegacySheet {
    range: Range<Data>,
    merged: Vec<Area>,
    hidden: BTreeSet<u32>,
    from_1904: bool,
}

impl Grid for LegacySheet {
    fn rows(&mut self, each: &mut EachRow<'_>) -> Result<(), WorkbookFault> {
        let (first_row, first_column) = self.range.start().unwrap_or_default();
        for (at, cells) in self.range.rows().enumerate() {
            let number = first_row + at as u32 + 1;
            let content =
                |(at, data): (usize, &Data)| Some((first_column + at as u32, content(data, self.from_1904)?));
            let cells = cells.iter().enumerate().filter_map(content).collect();
            if !each(&Row { number, hidden: self.hidden.contains(&(number - 1)), cells })? {
                break;
            }
        }
        Ok(())
    }

    fn merged(&mut self) -> Result<Vec<Area>, WorkbookFault> {
        Ok(self.merged.clone())
    }
}

fn content(data: &Data, from_1904: bool) -> Option<Content> {
    let number = |float: f64| match number::of_float(float) {
        Number::Exact(text) => Content::Number(text),
        Number::Inexact | Number::None => Content::Flawed(Flaw::Inexact, float.to_string()),
    };
    Some(match data {
        Data::Empty => return None,
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => {
            if text.trim().is_empty() {
                return None;
            }
            Content::Text(text.clone())
        }
        Data::Int(whole) => Content::Number(whole.to_string()),
        Data::Float(float) => number(*float),
        Data::DateTime(serial) => match date::iso(serial.as_f64(), from_1904) {
            Some(day) => Content::Number(day),
            None => number(serial.as_f64()),
        },
        Data::Bool(value) => Content::Number(if *value { "TRUE" } else { "FALSE" }.to_owned()),
        Data::Error(error) => Content::Text(error.to_string()),
    })
}

fn damaged() -> WorkbookFault {
    WorkbookFault::Damaged { part: "Workbook".to_owned(), what: say!("it is not what an old workbook holds") }
}

/// Readers of old workbooks panic over some damaged files, which must not stop the stream: it is an error of the file.
fn caught<T>(read: impl FnOnce() -> T) -> Result<T, WorkbookFault> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| damaged())
}

/// The stream of records within the file.
fn stream(bytes: &[u8]) -> Result<Vec<u8>, WorkbookFault> {
    let read = || {
        let mut file = cfb::CompoundFile::open(Cursor::new(bytes)).map_err(|_| damaged())?;
        if file.exists("EncryptedPackage") {
            return Err(WorkbookFault::Password);
        }
        let name = ["Workbook", "Book"].into_iter().find(|name| file.exists(name));
        let Some(name) = name else {
            return Err(WorkbookFault::Other { what: say!("an old Office document that is no workbook") });
        };
        let mut stream = Vec::new();
        let opened = file.open_stream(name).map_err(|_| damaged())?;
        opened.take(FILE_MAX).read_to_end(&mut stream).map_err(|_| damaged())?;
        Ok(stream)
    };
    caught(read)?
}

/// Looks through the records: how far cells reach on each sheet, and which rows are hidden.
fn survey(stream: &[u8]) -> Result<Vec<BTreeSet<u32>>, WorkbookFault> {
    let mut sheets: Vec<usize> = Vec::new();
    let mut found: HashMap<usize, Extent> = HashMap::new();
    let (mut at, mut sheet) = (0, 0);
    while let Some(record) = Record::at(stream, at) {
        match record.kind {
            0x0809 => sheet = at,
            0x0085 => sheets.push(record.long(0).ok_or_else(damaged)? as usize),
            0x002F if record.short(0) != Some(0) => return Err(WorkbookFault::Password),
            _ => found.entry(sheet).or_default().take(&record).ok_or_else(damaged)?,
        }
        at += 4 + record.data.len();
    }
    if sheets.iter().any(|at| *at >= stream.len()) {
        return Err(damaged());
    }
    if found.values().map(Extent::cells).sum::<u64>() > CELLS_MAX {
        return Err(WorkbookFault::TooLarge { what: say!("sheets of more than {n} cells", n = CELLS_MAX) });
    }
    Ok(sheets.iter().map(|at| found.remove(at).unwrap_or_default().hidden).collect())
}

/// A record of the stream.
struct Record<'s> {
    kind: u16,
    data: &'s [u8],
}

impl<'s> Record<'s> {
    fn at(stream: &'s [u8], at: usize) -> Option<Self> {
        let head = stream.get(at..at + 4)?;
        let kind = u16::from_le_bytes([head[0], head[1]]);
        let bytes = usize::from(u16::from_le_bytes([head[2], head[3]]));
        Some(Self { kind, data: stream.get(at + 4..at + 4 + bytes)? })
    }

    fn short(&self, at: usize) -> Option<u16> {
        Some(u16::from_le_bytes(self.data.get(at..at + 2)?.try_into().ok()?))
    }

    fn long(&self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(self.data.get(at..at + 4)?.try_into().ok()?))
    }
}

/// How far the cells of a sheet reach.
#[derive(Debug, Default)]
struct Extent {
    rows: u64,
    columns: u64,
    /// What the sheet says of itself.
    said: u64,
    hidden: BTreeSet<u32>,
}

impl Extent {
    /// Takes a record; `None` if it is shorter than its kind is.
    fn take(&mut self, record: &Record<'_>) -> Option<()> {
        match record.kind {
            // Dimensions, of which old ones are shorter.
            0x0200 if record.data.len() >= 14 => {
                let rows = u64::from(record.long(4)?.saturating_sub(record.long(0)?)) + 1;
                let columns = u64::from(record.short(10)?) + 1;
                self.said = self.said.max(rows * columns);
            }
            0x0200 => {
                let rows = u64::from(record.short(2)?.saturating_sub(record.short(0)?)) + 1;
                self.said = self.said.max(rows * (u64::from(record.short(6)?) + 1));
            }
            // Number, labels, truth values, short numbers, formulas.
            0x0203 | 0x0204 | 0x00D6 | 0x0205 | 0x027E | 0x00FD | 0x0006 => {
                self.reach(record.short(0)?, record.short(2)?);
            }
            // Short numbers side by side: the last column stands at the end.
            0x00BD => self.reach(record.short(0)?, record.short(record.data.len().checked_sub(2)?)?),
            // A row: a bit says that it is not shown.
            0x0208 if record.short(12)? & 0x20 != 0 => {
                self.hidden.insert(u32::from(record.short(0)?));
            }
            _ => {}
        }
        Some(())
    }

    fn reach(&mut self, row: u16, column: u16) {
        self.rows = self.rows.max(u64::from(row) + 1);
        self.columns = self.columns.max(u64::from(column) + 1);
    }

    fn cells(&self) -> u64 {
        self.said.max(self.rows * self.columns)
    }
}

#[cfg(test)]
mod tests;
