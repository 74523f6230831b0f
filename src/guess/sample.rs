//! The first rows of a file, whatever it is, as columns and texts.

use std::{
    collections::HashMap,
    fs::File,
    io::{Cursor, Read, Seek, SeekFrom},
    path::Path,
};

use anyhow::{Context, bail};
use serde_json::Value;

use super::names;
use crate::{
    inspect::shown,
    map::{self, Charset, MapShape},
    markup, say,
    source::{Encoding, Format, open},
    stream::Dialect,
    workbook,
};

/// Rows that are looked at.
const ROWS: usize = 500;
/// Bytes of a text that are looked at.
const BYTES: u64 = 4 << 20;
/// Rows above which a header is looked for.
const HEAD: usize = 30;
/// Columns that are looked at.
const COLUMNS: usize = 1000;

/// What a file holds.
#[derive(Debug)]
pub(crate) struct Sample {
    /// How its records are written.
    pub layout: FileLayout,
    /// The names of the columns, as a map names them.
    pub columns: Vec<String>,
    /// Rows by column, as they stand; an empty text is nothing.
    pub rows: Vec<Vec<String>>,
    /// What stands above the header.
    pub above: String,
}

/// How records are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileLayout {
    Text {
        /// What parts the cells.
        delimiter: u8,
        /// The row that names the columns, from 1.
        header_row: usize,
    },
    /// A sheet of a workbook.
    Workbook {
        sheet: String,
        /// The row that names the columns, from 1.
        header_row: u32,
    },
    /// Elements at a path.
    Markup { rows: String },
    /// Objects.
    Json,
}

impl Sample {
    /// Looks at a file.
    pub(crate) fn of(path: &Path, sheet: Option<&str>) -> anyhow::Result<Self> {
        let format = Format::of(path, None);
        let mut file = open(path)?;
        let mut head = [0; 8];
        let read = file.read(&mut head)?;
        file.seek(SeekFrom::Start(0))?;
        let sample = Self::rows_of(file, format, &head[..read], sheet)
            .with_context(|| path.display().to_string())?
            .without_totals();
        if sample.rows.is_empty() {
            bail!(say!("{file} has no rows", file = path.display()));
        }
        Ok(sample)
    }

    fn rows_of(file: File, format: Format, head: &[u8], sheet: Option<&str>) -> anyhow::Result<Self> {
        match head {
            [b'P', b'K', ..] | [0xD0, 0xCF, 0x11, 0xE0, ..] => Self::workbook(file, sheet),
            [b'P', b'A', b'R', b'1', ..] => bail!(say!(
                "a Parquet file has names and types already: give its columns a map by hand (docs/feeds.md)"
            )),
            [] => bail!(say!("an empty file")),
            // What is named a workbook and is none is told what it is.
            _ if format.encoding == Encoding::Excel => Self::workbook(file, sheet),
            _ => {
                let mut bytes = Vec::new();
                format.reader(file)?.take(BYTES).read_to_end(&mut bytes)?;
                Self::text(&bytes, format.encoding)
            }
        }
    }

    fn workbook(file: File, sheet: Option<&str>) -> anyhow::Result<Self> {
        let sheet = sheet.map(|name| match name.parse() {
            Ok(number) => workbook::SheetChoice::Number(number),
            Err(_) => workbook::SheetChoice::Name(name.to_owned()),
        });
        let mut lines = Vec::new();
        let summary =
            workbook::to_lines(file, &workbook::Options { sheet, header_row: None, skip: 0 }, &mut lines)?;
        let layout = FileLayout::Workbook { sheet: summary.sheet, header_row: summary.header_row };
        Ok(Self::objects(layout, summary.columns, &String::from_utf8_lossy(&lines)))
    }

    fn text(bytes: &[u8], encoding: Encoding) -> anyhow::Result<Self> {
        if bytes.trim_ascii_start().starts_with(b"<") || bytes.starts_with(b"\xEF\xBB\xBF<") {
            return Self::markup(&markup::decode(bytes, None)?);
        }
        let decoded = map::utf8(bytes, Charset::Auto);
        let text = String::from_utf8_lossy(decoded.as_deref().unwrap_or(bytes));
        let text = text.trim_start_matches('\u{feff}');
        if encoding == Encoding::Jsonl && text.trim_start().starts_with('{') {
            return Ok(Self::objects(FileLayout::Json, Vec::new(), text));
        }
        Self::rows(text)
    }

    fn markup(text: &str) -> anyhow::Result<Self> {
        let kinds = markup::elements(text)?;
        let Some(kind) = row_kind(&kinds) else {
            bail!(say!(
                "no element of it comes several times, or is known to be a row: name it with `rows` in a map"
            ));
        };
        let mut lines = Vec::new();
        markup::to_lines(text, &kind.path, &mut lines)?;
        let rows = kind.path.clone();
        Ok(Self::objects(FileLayout::Markup { rows }, Vec::new(), &String::from_utf8_lossy(&lines)))
    }

    /// Objects, whose keys are columns, and the keys within them paths.
    fn objects(layout: FileLayout, columns: Vec<String>, lines: &str) -> Self {
        let mut table = SampleTable { places: HashMap::new(), columns: Vec::new(), rows: Vec::new() };
        for column in columns {
            table.place(&column);
        }
        for line in lines.lines().filter(|line| !line.trim().is_empty()).take(ROWS) {
            let Ok(Value::Object(object)) = serde_json::from_str(line) else { continue };
            table.rows.push(Vec::new());
            for (key, value) in &object {
                table.take(key, value);
            }
        }
        table.sample(layout)
    }

    /// Rows of text: the delimiter is the one that parts most rows into as many cells.
    fn rows(text: &str) -> anyhow::Result<Self> {
        let lines = || text.split(['\n', '\r']).filter(|line| !line.trim().is_empty()).take(HEAD + ROWS);
        let parted = |delimiter: u8| {
            let dialect = Dialect { delimiter, ..Dialect::default() };
            let mut counts: HashMap<usize, usize> = HashMap::new();
            for line in lines() {
                *counts.entry(dialect.cells(line).len()).or_default() += 1;
            }
            let fitting = counts.into_iter().filter(|(cells, _)| *cells > 1);
            fitting.map(|(cells, rows)| (rows * 4 + cells.min(40), cells)).max()
        };
        let best = b",\t;|".iter().filter_map(|delimiter| Some((parted(*delimiter)?, *delimiter))).max();
        let Some((_, delimiter)) = best else {
            let line = shown(lines().next().unwrap_or_default());
            bail!(say!("no character parts its lines into columns; the first is {line}", line));
        };
        let dialect = Dialect { delimiter, ..Dialect::default() };
        let mut reader = dialect.reader(Cursor::new(text.as_bytes()));
        let records = reader.records().map_while(Result::ok).take(HEAD + ROWS);
        let mut row = 0;
        let all: Vec<(usize, Vec<String>)> = records
            .map(|record| {
                let begins = record.position().and_then(|position| usize::try_from(position.byte()).ok());
                row += 1 + blank_rows(text.as_bytes(), begins.unwrap_or(0));
                (row, record.iter().take(COLUMNS).map(|cell| cell.trim().to_owned()).collect())
            })
            .collect();
        let width = all.iter().take(HEAD).map(|(_, cells)| filled(cells)).max().unwrap_or(0);
        let names = |cells: &[String]| {
            let numbers = cells.iter().filter(|cell| is_number(cell)).count();
            filled(cells) * 2 > width && numbers == 0
        };
        let Some(at) = all.iter().take(HEAD).position(|(_, cells)| names(cells)) else {
            let line = shown(lines().next().unwrap_or_default());
            bail!(say!("no line names its columns; the first is {line}. Put one above the rows", line));
        };
        let header_row = all[at].0;
        let above: Vec<String> = all[..at].iter().map(|(_, cells)| cells.join(" ")).collect();
        let columns = all[at].1.clone();
        let rows = all[at + 1..].iter().map(|(_, cells)| cells.clone()).filter(|cells| filled(cells) > 0);
        let rows = rows.map(|mut cells| {
            cells.resize(columns.len(), String::new());
            cells
        });
        let rows = rows.take(ROWS).collect();
        Ok(Self { layout: FileLayout::Text { delimiter, header_row }, columns, rows, above: above.join(" ") })
    }
}

/// Rows without a sign at `at`, where the reader of records stands: it has read a carriage return and not the line feed
/// that belongs to it, and it passes over blank rows.
fn blank_rows(text: &[u8], at: usize) -> usize {
    let mut rest = text.get(at..).unwrap_or_default();
    if at > 0 && text.get(at - 1) == Some(&b'\r') {
        rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    }
    let mut rows = 0;
    while let Some(next) = [&b"\r\n"[..], b"\n", b"\r"].iter().find_map(|end| rest.strip_prefix(*end)) {
        (rest, rows) = (next, rows + 1);
    }
    rows
}

fn filled(cells: &[String]) -> usize {
    cells.iter().filter(|cell| !cell.is_empty()).count()
}

fn is_number(cell: &str) -> bool {
    let digits = cell.chars().filter(char::is_ascii_digit).count();
    digits > 0 && cell.chars().all(|c| c.is_ascii_digit() || ",.-+£$¥￥ ()/:".contains(c))
}

/// Elements that are rows in messages that are known, by the ends of their paths.
const KNOWN_ROWS: &[&str] = &[
    "CdtTrfTxInf",
    "PmtInf/DrctDbtTxInf",
    "TxInf",
    "NtryDtls/TxDtls",
    "Ntry",
    "VoucherBody/Voucher/DetailList/Detail",
    "Detail",
];

/// The elements that are rows: those of a message that is known, or those that come most often and hold several others.
fn row_kind(kinds: &[markup::ElementKind]) -> Option<&markup::ElementKind> {
    let ends = |kind: &&markup::ElementKind, end: &str| {
        kind.path.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    };
    for end in KNOWN_ROWS {
        if let Some(kind) = kinds.iter().find(|kind| kind.children > 0 && ends(kind, end)) {
            return Some(kind);
        }
    }
    let holds = |kind: &&markup::ElementKind| kind.children >= 2 * kind.count && kind.path.contains('/');
    // Of those that come as often, the outer one stands first.
    kinds.iter().filter(holds).rev().max_by_key(|kind| kind.count)
}

/// Columns as they come.
struct SampleTable {
    places: HashMap<String, usize>,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl SampleTable {
    fn place(&mut self, column: &str) -> Option<usize> {
        if let Some(place) = self.places.get(column) {
            return Some(*place);
        }
        if self.columns.len() == COLUMNS {
            return None;
        }
        self.places.insert(column.to_owned(), self.columns.len());
        self.columns.push(column.to_owned());
        Some(self.columns.len() - 1)
    }

    fn take(&mut self, path: &str, value: &Value) {
        let text = match value {
            Value::Null => return,
            Value::Object(object) => match object.get("shown").filter(|_| object.contains_key("$fault")) {
                Some(shown) => shown.as_str().unwrap_or_default().to_owned(),
                None => {
                    for (key, value) in object {
                        self.take(&format!("{path}.{key}"), value);
                    }
                    return;
                }
            },
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if path == "$place" {
            return;
        }
        let Some(place) = self.place(path) else { return };
        if let Some(row) = self.rows.last_mut() {
            if row.len() <= place {
                row.resize(place + 1, String::new());
            }
            row[place] = text;
        }
    }

    fn sample(mut self, layout: FileLayout) -> Sample {
        for row in &mut self.rows {
            row.resize(self.columns.len(), String::new());
        }
        self.rows.retain(|row| filled(row) > 0);
        Sample { layout, columns: self.columns, rows: self.rows, above: String::new() }
    }
}

impl Sample {
    /// Rows of totals and headers once more are no records, as maps have it: their columns hold other things.
    fn without_totals(mut self) -> Self {
        let columns = std::mem::take(&mut self.columns);
        self.rows.retain(|row| *row != columns);
        self.columns = columns;
        let words = MapShape::default().totals;
        let begins = |row: &Vec<String>| {
            let first = row.iter().find(|cell| !cell.is_empty()).map(|cell| cell.to_lowercase());
            first.is_some_and(|first| words.iter().any(|word| first.starts_with(word.as_str())))
        };
        self.rows.retain(|row| !begins(row));
        self
    }

    /// The texts of a column that hold something.
    pub(crate) fn values(&self, column: usize) -> impl Iterator<Item = &str> {
        self.rows.iter().map(move |row| row[column].trim()).filter(|text| !text.is_empty())
    }

    /// Whether a header, or what stands above it, says that amounts are in ten thousands.
    pub(crate) fn says_ten_thousands(&self, column: usize) -> bool {
        let above = names::squeezed(&self.above);
        self.columns[column].contains("万元") || above.contains("单位万元") || above.contains("金额单位万元")
    }
}
