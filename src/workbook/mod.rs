//! Excel workbooks into rows: one JSON object a row, its cells by the names in the header, as texts exactly as they stand.
//!
//! `.xlsx` is read here and not by a library: one that takes every number for a float loses digits that other programs
//! wrote, and reserves memory as the file says. Old `.xls` files, whose numbers are floats, are read by calamine after a look.

mod date;
mod header;
mod legacy;
mod number;
mod package;
mod parts;
mod sheet;
mod table;

use std::io::{self, Read, Seek};

use crate::{diagnostic::os_reason, markup, say};

pub use table::{WorkbookSummary, to_lines};

/// Which sheet is read, and where its header is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The sheet; without one the first that is not hidden.
    pub sheet: Option<SheetChoice>,
    /// The row with the names, from 1; without one it is looked for.
    pub header_row: Option<u32>,
    /// Rows below it that are no records.
    pub skip: u32,
}

/// A sheet, named in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SheetChoice {
    /// The sheet of this name.
    Name(String),
    /// By its number from 1, in the order of the tabs.
    Number(usize),
}

/// A sheet of a workbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tab {
    pub(crate) name: String,
    /// Whether it is shown.
    pub hidden: bool,
}

/// What a workbook is refused for, as a whole.
#[derive(Debug, thiserror::Error)]
pub enum WorkbookFault {
    /// It is something else.
    #[error("{}", say!("it is {what}, whatever its name says. Open it in Excel and save it as an Excel workbook (.xlsx), or say by `format:` what it is", what))]
    Other {
        /// What was found instead, as a part of the message.
        what: String,
    },
    /// It asks for a password.
    #[error("{}", say!("it is protected by a password. Save it without one"))]
    Password,
    /// It is larger than is read.
    #[error("{}", say!("{what}. Nothing of it is read; have it split, or look whether it is what it says it is", what))]
    TooLarge {
        /// What is too large.
        what: String,
    },
    /// A part of it cannot be read.
    #[error("{}", say!("its part {part} is damaged: {what}. Open it in Excel, which repairs what can be repaired, and save it again", part, what))]
    Damaged {
        /// The part of the package, by its path.
        part: String,
        /// What was found instead, as a part of the message.
        what: String,
    },
    /// There is no such sheet.
    #[error("{}", say!("it has no sheet {wanted}. It has: {there}", wanted, there))]
    NoSheet {
        /// What the configuration names.
        wanted: String,
        /// The sheets that there are, as a part of the message.
        there: String,
    },
    /// No row names the columns.
    #[error("{}", say!("sheet {sheet}: {what}. Say with `header_row:` which row names the columns", sheet, what))]
    NoHeader {
        /// The name of the sheet that was asked for.
        sheet: String,
        /// What was found instead.
        what: String,
    },
    /// It cannot be read.
    #[error("{}", os_reason(.0))]
    Read(io::Error),
    /// What is made of it cannot be written.
    #[error("{}", say!("what is read of it cannot be kept: {reason}", reason = os_reason(.0)))]
    Write(io::Error),
}

impl WorkbookFault {
    /// What is wrong with a part.
    fn of(part: &str, fault: markup::DocumentFault) -> Self {
        let part = part.to_owned();
        match fault {
            markup::DocumentFault::TooLarge { line, what } => {
                Self::TooLarge { what: say!("{part}, line {line}: {what}", part, line, what) }
            }
            markup::DocumentFault::Read(error) => Self::Read(io::Error::new(error.kind(), error.to_string())),
            other => Self::Damaged { part, what: other.to_string() },
        }
    }
}

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    /// Text as it stands.
    Text(String),
    /// A number, a date or a truth value as text.
    Number(String),
    /// What cannot be read exactly.
    Flawed(Flaw, String),
}

/// Why a cell cannot be read exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    /// A number with more digits than the float that holds it, so that some of them are made up.
    Inexact,
    /// A formula that nobody has calculated.
    Formula,
    /// It is covered by a merged cell: what stands there belongs to several rows.
    Merged,
}

impl Flaw {
    fn word(self) -> &'static str {
        match self {
            Self::Inexact => "inexact",
            Self::Formula => "formula",
            Self::Merged => "merged",
        }
    }
}

/// A row of a sheet.
#[derive(Debug, Default)]
struct Row {
    /// From 1.
    number: u32,
    hidden: bool,
    /// The cells that hold something, by their columns from 0.
    cells: Vec<(u32, Content)>,
}

/// A rectangle of cells, its last row and column included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Area {
    rows: (u32, u32),
    columns: (u32, u32),
}

/// What is given each row of a sheet, and says whether it wants the next.
type EachRow<'e> = dyn FnMut(&Row) -> Result<bool, WorkbookFault> + 'e;

/// A sheet that can be gone through, as often as is needed.
trait Grid {
    /// Calls `each` for the rows in their order until it says `false`.
    fn rows(&mut self, each: &mut EachRow<'_>) -> Result<(), WorkbookFault>;

    /// The merged cells.
    fn merged(&mut self) -> Result<Vec<Area>, WorkbookFault>;
}

/// The letters of a column: 0 is A.
fn letters(column: u32) -> String {
    let mut rest = column + 1;
    let mut letters = Vec::new();
    while rest > 0 {
        rest -= 1;
        letters.push(char::from(b'A' + (rest % 26) as u8));
        rest /= 26;
    }
    letters.iter().rev().collect()
}

/// What the first bytes of a file say that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    /// A ZIP archive: `.xlsx`.
    Zip,
    /// A compound file: `.xls`, or a workbook with a password.
    Compound,
}

impl Container {
    fn of(file: &mut (impl Read + Seek)) -> Result<Self, WorkbookFault> {
        let mut head = Vec::new();
        file.seek(io::SeekFrom::Start(0)).map_err(WorkbookFault::Read)?;
        file.by_ref().take(512).read_to_end(&mut head).map_err(WorkbookFault::Read)?;
        file.seek(io::SeekFrom::Start(0)).map_err(WorkbookFault::Read)?;
        let text = String::from_utf8_lossy(&head).trim_start_matches('\u{feff}').trim_start().to_lowercase();
        let what = match head.as_slice() {
            [b'P', b'K', 3, 4, ..] => return Ok(Self::Zip),
            [0xD0, 0xCF, 0x11, 0xE0, ..] => return Ok(Self::Compound),
            [] => say!("an empty file"),
            _ if text.contains("schemas-microsoft-com:office:spreadsheet") => {
                say!("a table in XML (\"XML Spreadsheet 2003\")")
            }
            _ if text.starts_with("<!doctype html") || text.contains("<html") || text.contains("<table") => {
                say!("a web page with a table (HTML)")
            }
            _ if text.starts_with('<') => say!("an XML document"),
            _ if text.starts_with("%pdf") => say!("a PDF document"),
            _ if !head.contains(&0) => say!("a text (CSV or the like)"),
            _ => say!("no workbook"),
        };
        Err(WorkbookFault::Other { what })
    }
}

#[cfg(test)]
mod tests;
