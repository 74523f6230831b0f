//! Lists from their files: CSV, row by row, or JSON Lines.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use super::{
    ColumnKind, List,
    rows::{TextTable, TooLarge},
};
use crate::{
    diagnostic::{json_fault, os_reason},
    event::dress::{is_collapsed, lost_digits, naked},
    say,
    stream::lines,
    text::quoted,
};

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The file cannot be read.
    #[error("{path}: {}", os_reason(error))]
    Io {
        /// The file, as the configuration names it.
        path: String,
        /// What the operating system says of it.
        error: std::io::Error,
    },
    /// A row cannot be read.
    #[error("{path}:{line}: {message}")]
    Row {
        /// The file, as the configuration names it.
        path: String,
        /// The line in the file, counted from 1.
        line: u64,
        /// What is wrong with the row, for people.
        message: String,
    },
}

impl List {
    /// Reads a list. The key is the column `key`, or the first one; a key that comes again replaces the row before.
    ///
    /// # Errors
    /// If the file cannot be read, a row has another shape than the header, or a value is not of its column's kind.
    pub fn read(
        path: &Path,
        key: Option<&str>,
        kinds: &BTreeMap<String, ColumnKind>,
    ) -> Result<Self, ListError> {
        let shown = path.display().to_string();
        let fail = |line, message| ListError::Row { path: shown.clone(), line, message };
        let io = |error| ListError::Io { path: shown.clone(), error };
        let mut file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_dir() {
            return Err(io(std::io::ErrorKind::IsADirectory.into()));
        }
        let bytes = usize::try_from(metadata.len()).unwrap_or(0);
        let json = path.extension().is_some_and(|e| e == "jsonl" || e == "ndjson");
        let mut reading = Reading { key, kinds, bytes, list: Self::default() };
        if json {
            let mut text = String::with_capacity(bytes);
            file.read_to_string(&mut text).map_err(io)?;
            json_rows(&text, &mut reading)
        } else {
            csv_rows(file, &mut reading)
        }
        .map_err(|(line, message)| fail(line, message))?;
        Ok(reading.list.indexed())
    }
}

impl List {
    /// A list of the rows of a sheet, as JSON Lines with these columns; the line with their names has this number.
    ///
    /// # Errors
    /// As [`List::read`]; and if a cell cannot be read exactly.
    pub(crate) fn of_lines(
        (path, header_row): (&Path, u64),
        columns: &[String],
        text: &str,
        key: Option<&str>,
        kinds: &BTreeMap<String, ColumnKind>,
    ) -> Result<Self, ListError> {
        let fail = |(line, message)| ListError::Row { path: path.display().to_string(), line, message };
        let mut reading = Reading { key, kinds, bytes: text.len(), list: Self::default() };
        reading.header(columns.to_vec()).map_err(fail)?;
        for (number, line) in (header_row + 1..).zip(lines(text)).filter(|(_, line)| !line.trim().is_empty())
        {
            let row: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(line).map_err(|e| fail((number, json_fault(&e))))?;
            let cell = |name: &String| match row.get(name) {
                None => Ok(String::new()),
                Some(serde_json::Value::String(text)) => Ok(text.trim().to_owned()),
                Some(_) => Err(fail((number, say!("the cell of {name} cannot be read exactly", name)))),
            };
            let cells = columns.iter().map(cell).collect::<Result<Vec<_>, _>>()?;
            reading.row(number, cells.iter().map(String::as_str)).map_err(fail)?;
        }
        Ok(reading.list.indexed())
    }
}

type RowFault = (u64, String);

/// A list that is being read.
struct Reading<'r> {
    key: Option<&'r str>,
    kinds: &'r BTreeMap<String, ColumnKind>,
    bytes: usize,
    list: List,
}

impl Reading<'_> {
    fn header(&mut self, names: Vec<String>) -> Result<(), RowFault> {
        let asked = self.kinds.keys().map(String::as_str).chain(self.key);
        let unknown = asked.into_iter().find(|name| !names.iter().any(|known| known == name));
        if let Some(name) = unknown {
            let message = say!(
                "there is no column {name}; there are {names}",
                name = quoted(name),
                names = names.join(", ")
            );
            return Err((1, message));
        }
        let kind = |name: &str| self.kinds.get(name).copied().unwrap_or_else(|| ColumnKind::by_name(name));
        self.list.rows = TextTable::new(names.len(), self.bytes);
        self.list.columns = names.into_iter().map(|name| (kind(&name), name)).map(|(k, n)| (n, k)).collect();
        self.list.key = self.key.and_then(|key| self.list.column(key)).map_or(0, |(at, _)| at);
        Ok(())
    }

    fn row<'c>(&mut self, line: u64, cells: impl Iterator<Item = &'c str>) -> Result<(), RowFault> {
        let columns = || self.list.columns.iter();
        let cells: Vec<_> = columns().zip(cells).map(|((_, kind), cell)| meant(*kind, cell)).collect();
        for ((name, kind), value) in columns().zip(&cells) {
            if kind.is_text() && *kind != ColumnKind::Name && is_collapsed(value) {
                return Err((line, lost_digits(name, &quoted(value))));
            }
            if !kind.is_text() && !value.is_empty() && kind.parse(value).is_none() {
                return Err((
                    line,
                    say!("{name} {value} is not an exact decimal", name, value = quoted(value)),
                ));
            }
        }
        let too_large = |_: TooLarge| (line, say!("the list is larger than 4 GiB; take rows or columns out"));
        self.list.rows.push(cells.iter().map(AsRef::as_ref)).map_err(too_large)
    }
}

/// What is meant by a cell, as it is read of events: without the marks by which spreadsheets keep digits, codes narrow. Where
/// nobody says what a column holds, its cell is a code if it has digits and nothing but characters of codes.
fn meant(kind: ColumnKind, cell: &str) -> Cow<'_, str> {
    let is_code = |text: &str| {
        let of_codes = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b'+');
        text.bytes().all(of_codes) && text.bytes().any(|b| b.is_ascii_digit())
    };
    match kind {
        ColumnKind::Name => naked(cell, true),
        ColumnKind::Text => {
            Some(naked(cell, false)).filter(|code| is_code(code)).unwrap_or_else(|| naked(cell, true))
        }
        _ => naked(cell, false),
    }
}

/// Reads CSV row by row: the file is never in memory beside the list.
fn csv_rows(file: File, reading: &mut Reading<'_>) -> Result<(), RowFault> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(BufReader::with_capacity(1 << 16, file));
    let header = reader.headers().map_err(|e| csv_fault(&e))?;
    let header: Vec<_> = header.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
    if header.iter().all(String::is_empty) {
        return Err((1, say!("the first line must name the columns")));
    }
    reading.header(header)?;
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|e| csv_fault(&e))? {
        let line = record.position().map_or(0, csv::Position::line);
        reading.row(line, record.iter())?;
    }
    Ok(())
}

/// What is wrong with a row of CSV, in our words.
fn csv_fault(error: &csv::Error) -> RowFault {
    let line = error.position().map_or(1, csv::Position::line);
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            say!("this row has {found} cells and the first line {wanted}", found = len, wanted = expected_len)
        }
        csv::ErrorKind::Utf8 { .. } => say!("the text is not UTF-8; save the list as UTF-8"),
        csv::ErrorKind::Io(e) => os_reason(e),
        _ => say!("this row is not CSV"),
    };
    (line, message)
}

fn json_rows(text: &str, reading: &mut Reading<'_>) -> Result<(), RowFault> {
    let mut header: Vec<String> = Vec::new();
    for (number, line) in (1u64..).zip(lines(text)) {
        if line.trim().is_empty() {
            continue;
        }
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(line).map_err(|e| (number, json_fault(&e)))?;
        if header.is_empty() {
            header = object.keys().cloned().collect();
            reading.header(header.clone())?;
        }
        let value = |name: &String| match object.get(name) {
            None | Some(serde_json::Value::Null) => String::new(),
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let cells: Vec<String> = header.iter().map(value).collect();
        reading.row(number, cells.iter().map(String::as_str))?;
    }
    if header.is_empty() { Err((1, say!("the file is empty"))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<List, String> {
        let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
        std::fs::write(file.path(), text).unwrap();
        List::read(file.path(), None, &BTreeMap::new()).map_err(|error| error.to_string())
    }

    /// Events lose these marks too: a list that keeps them matches nothing, and nobody is told.
    #[test]
    fn what_spreadsheets_put_around_codes_is_taken_off() {
        let list = read("payee_account,note\n=\"002\",x\n'003,x\n００５,x\n").unwrap();
        assert!(["002", "003", "005"].iter().all(|account| list.contains(account)));
        // A column of which nobody says what it holds, and names, which stay as people write them.
        let list = read("单位\n'101\n１０２\nO'Brien\n'Tis 1\n").unwrap();
        assert!(["101", "102", "O'Brien", "'Tis 1"].iter().all(|key| list.contains(key)));
        let list = read("payee_name\n'10 号\n").unwrap();
        assert!(list.contains("'10 号"));
    }

    #[test]
    fn an_account_that_lost_its_digits_is_refused_with_its_line() {
        for column in ["payee_account", "单位"] {
            let error = read(&format!("{column}\n1\n6.22E+18\n")).unwrap_err();
            assert!(error.contains(":3: ") && error.contains("has lost its digits"), "{error}");
        }
        assert!(read("payee_account\n1E5\n").unwrap().contains("1E5"));
    }
}
