//! Reference lists (SPEC §3.4): CSV or JSON Lines files that rules look things up in.

mod rows;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufReader, Read},
    path::Path,
    sync::{Arc, OnceLock},
};

use xxhash_rust::xxh3::Xxh3;

use self::rows::{Index, Rows, TooLarge};
use crate::{
    diagnostic::{json_fault, os_reason},
    event::normal_name,
    personal::Kind,
    say,
    stream::lines,
    text::quoted,
};

/// All lists of a configuration, by name.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    lists: BTreeMap<String, Arc<List>>,
    unreadable: BTreeSet<String>,
}

/// What a list's column holds, which decides the type of `lookup`, and whether its values are masked.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ColumnKind {
    /// Free text: `Utf8View`.
    #[default]
    Text,
    /// Codes and ids, which are never masked: `Utf8View`.
    Code,
    /// Numbers of accounts, cards, identity cards or telephones: `Utf8View`.
    Account,
    /// Names that may be natural persons': `Utf8View`.
    Name,
    /// Money: `Decimal128(28, 2)`.
    Money,
    /// An exact decimal: `Decimal128(38, 18)`.
    Decimal,
}

/// A table with a key.
#[derive(Debug, Default)]
pub struct List {
    columns: Vec<(String, ColumnKind)>,
    /// The place of the key among the columns.
    key: usize,
    rows: Rows,
    by_key: Index,
    /// What it holds, as a number: another list has another one.
    print: u64,
    /// The keys as [`normal_name`]s, made when first asked for: most lists are not of names.
    names: OnceLock<Index>,
}

/// How a list differs from an older one, in rows told by their keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowChanges {
    /// Keys that were not there.
    pub added: u64,
    /// Keys that are gone.
    pub removed: u64,
    /// Keys of which another cell differs.
    pub changed: u64,
}

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// A row cannot be read.
    #[error("{path}:{line}: {message}")]
    Row {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// What is wrong.
        message: String,
    },
}

impl Lists {
    /// Adds a list.
    pub fn insert(&mut self, name: &str, list: List) {
        self.lists.insert(name.to_owned(), Arc::new(list));
    }

    /// A list that is configured and could not be read: rules that use it cannot be judged.
    pub fn insert_unreadable(&mut self, name: &str) {
        self.unreadable.insert(name.to_owned());
    }

    /// The names of the lists that could not be read.
    pub fn unreadable(&self) -> impl Iterator<Item = &str> {
        self.unreadable.iter().map(String::as_str)
    }

    /// Puts a list in that there is already.
    pub fn share(&mut self, name: &str, list: Arc<List>) {
        self.lists.insert(name.to_owned(), list);
    }

    /// What the lists are, by name: what they hold as a number, and how many rows.
    pub fn prints(&self) -> impl Iterator<Item = (&str, u64, usize)> {
        self.lists.iter().map(|(name, list)| (name.as_str(), list.print(), list.len()))
    }

    /// Whether there is no list.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// A list by name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<List>> {
        self.lists.get(name)
    }

    /// The names of all lists.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lists.keys().map(String::as_str)
    }
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

    /// A list made of rows of text, keyed by its first column.
    #[must_use]
    pub fn of(columns: &[&str], rows: &[&[&str]]) -> Self {
        let mut list = Self {
            columns: columns.iter().map(|name| ((*name).to_owned(), ColumnKind::by_name(name))).collect(),
            rows: Rows::new(columns.len(), 0),
            ..Self::default()
        };
        for row in rows {
            let cells = (0..columns.len()).map(|at| row.get(at).copied().unwrap_or_default());
            list.rows.push(cells).expect("a list in memory is small");
        }
        list.indexed()
    }

    /// The list when all of its rows are there.
    fn indexed(mut self) -> Self {
        self.rows.shrink();
        self.by_key = Index::new(self.rows.len(), |row| self.rows.cell(row, self.key));
        self.print = self.hash();
        self
    }

    fn row_of(&self, key: &str) -> Option<usize> {
        self.by_key.find(key, |row| self.rows.cell(row, self.key))
    }

    /// Whether the key is in the list.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.row_of(key).is_some()
    }

    /// Whether the name is in the list, both compared as [`normal_name`]s.
    #[must_use]
    pub fn contains_name(&self, name: &str) -> bool {
        let normal = |row: usize| normal_name(self.rows.cell(row, self.key));
        let names = self.names.get_or_init(|| Index::new(self.rows.len(), normal));
        names.len() > 0 && names.find(normal_name(name).as_ref(), normal).is_some()
    }

    /// What the list holds, as a number: another list has another one.
    #[must_use]
    pub fn print(&self) -> u64 {
        self.print
    }

    fn hash(&self) -> u64 {
        let mut hash = Xxh3::new();
        let mut add = |text: &str| {
            hash.update(&text.len().to_le_bytes());
            hash.update(text.as_bytes());
        };
        for (name, kind) in &self.columns {
            add(name);
            add(&format!("{kind:?}"));
        }
        add(&self.key.to_string());
        (0..self.len()).for_each(|row| self.rows.row(row).for_each(&mut add));
        hash.digest()
    }

    /// How it differs from an older list of the same name.
    #[must_use]
    pub fn changes(&self, older: &Self) -> RowChanges {
        let mut changes = RowChanges::default();
        for row in self.by_key.rows() {
            match older.row_of(self.rows.cell(row, self.key)) {
                None => changes.added += 1,
                Some(before) => changes.changed += u64::from(!self.rows.row(row).eq(older.rows.row(before))),
            }
        }
        let gone = |row: &usize| !self.contains(older.rows.cell(*row, older.key));
        changes.removed = older.by_key.rows().filter(gone).count() as u64;
        changes
    }

    /// All keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.by_key.rows().map(|row| self.rows.cell(row, self.key))
    }

    /// The position and kind of a column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<(usize, ColumnKind)> {
        self.columns.iter().position(|(column, _)| column == name).map(|at| (at, self.columns[at].1))
    }

    /// The cells of a column, from the first row to the last.
    pub fn cells(&self, column: usize) -> impl Iterator<Item = &str> {
        (0..self.len()).map(move |row| self.rows.cell(row, column))
    }

    /// The names of the columns.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// A value of the row with this key; `None` where there is no row, or the value is empty.
    #[must_use]
    pub fn value(&self, key: &str, column: usize) -> Option<&str> {
        Some(self.rows.cell(self.row_of(key)?, column)).filter(|value| !value.is_empty())
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether the list has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What the names of columns with personal numbers contain.
const NUMBER_WORDS: &[&str] = &[
    "account",
    "card",
    "iban",
    "id_no",
    "identity",
    "phone",
    "mobile",
    "账号",
    "帐号",
    "账户",
    "卡号",
    "身份证",
    "证件号",
    "电话",
    "手机",
];
/// The same for names.
const NAME_WORDS: &[&str] = &[
    "name",
    "payee",
    "payer",
    "person",
    "owner",
    "姓名",
    "户名",
    "名称",
    "收款人",
    "付款人",
    "联系人",
    "负责人",
];

impl ColumnKind {
    /// The kind of a column of which the configuration says nothing: that of the data dictionary's column of this name,
    /// else what the name says.
    #[must_use]
    pub fn by_name(name: &str) -> Self {
        let name = name.to_lowercase();
        let contains = |words: &[&str]| words.iter().any(|word| name.contains(word));
        match Kind::of_column(&name) {
            Some(kind) if kind.is_ordinary() => Self::Code,
            Some(kind) if kind.has(Kind::ACCOUNT) => Self::Account,
            Some(kind) if kind.has(Kind::NAME) => Self::Name,
            None if contains(NUMBER_WORDS) => Self::Account,
            None if contains(NAME_WORDS) => Self::Name,
            _ => Self::Text,
        }
    }

    /// What values of such a column tell of a person.
    #[must_use]
    pub const fn personal(self) -> Kind {
        match self {
            Self::Text => Kind::TEXT,
            Self::Account => Kind::ACCOUNT,
            Self::Name => Kind::NAME,
            Self::Code | Self::Money | Self::Decimal => Kind::ORDINARY,
        }
    }

    /// Whether its values are text and no numbers.
    #[must_use]
    pub const fn is_text(self) -> bool {
        !matches!(self, Self::Money | Self::Decimal)
    }

    /// Digits after the point.
    #[must_use]
    pub const fn scale(self) -> u32 {
        if matches!(self, Self::Decimal) { 18 } else { 2 }
    }

    /// A value at [`Self::scale`], if it is a decimal that fits.
    #[must_use]
    pub fn parse(self, text: &str) -> Option<i128> {
        let mut value: rust_decimal::Decimal = rust_decimal::Decimal::from_str_exact(text).ok()?.normalize();
        if value.scale() > self.scale() {
            return None;
        }
        let zeros = self.scale() - value.scale();
        value.normalize_assign();
        value.mantissa().checked_mul(10i128.checked_pow(zeros)?)
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
        self.list.rows = Rows::new(names.len(), self.bytes);
        self.list.columns = names.into_iter().map(|name| (kind(&name), name)).map(|(k, n)| (n, k)).collect();
        self.list.key = self.key.and_then(|key| self.list.column(key)).map_or(0, |(at, _)| at);
        Ok(())
    }

    fn row<'c>(&mut self, line: u64, cells: impl Iterator<Item = &'c str> + Clone) -> Result<(), RowFault> {
        for ((name, kind), value) in self.list.columns.iter().zip(cells.clone()) {
            if !kind.is_text() && !value.is_empty() && kind.parse(value).is_none() {
                return Err((
                    line,
                    say!("{name} {value} is not an exact decimal", name, value = quoted(value)),
                ));
            }
        }
        let too_large = |_: TooLarge| (line, say!("the list is larger than 4 GiB; take rows or columns out"));
        self.list.rows.push(cells).map_err(too_large)
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

    #[test]
    fn reads_csv_and_json_lines() {
        let dir = tempfile::tempdir().unwrap();
        let csv = dir.path().join("limits.csv");
        std::fs::write(&csv, "unit_code,cap\n001, 12.5\n002,\n").unwrap();
        let kinds = BTreeMap::from([(String::from("cap"), ColumnKind::Money)]);
        let list = List::read(&csv, None, &kinds).unwrap();
        assert!(list.contains("001") && !list.contains("003"));
        assert_eq!(list.value("001", 1), Some("12.5"));
        assert_eq!(list.value("002", 1), None);
        assert_eq!(ColumnKind::Money.parse("12.5"), Some(1250));
        assert_eq!(ColumnKind::Money.parse("12.505"), None);

        let jsonl = dir.path().join("black.jsonl");
        std::fs::write(&jsonl, "{\"name\":\"甲\",\"why\":1}\n\n{\"name\":\"乙\"}\n").unwrap();
        let list = List::read(&jsonl, Some("name"), &BTreeMap::new()).unwrap();
        assert!(list.contains("乙"));
        assert_eq!(list.len(), 2);
    }

    #[test]
    fn problems_name_the_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l.csv");
        std::fs::write(&path, "a,cap\nx,1\ny,zwei\n").unwrap();
        let kinds = BTreeMap::from([(String::from("cap"), ColumnKind::Money)]);
        let error = List::read(&path, None, &kinds).unwrap_err().to_string();
        assert!(error.ends_with("l.csv:3: cap \"zwei\" is not an exact decimal"), "{error}");
        let error = List::read(&path, Some("b"), &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.contains("there is no column \"b\"; there are a, cap"), "{error}");
        let error = List::read(dir.path(), None, &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.contains("directory"), "{error}");
        std::fs::write(&path, "a,cap\nx,1,2\n").unwrap();
        let error = List::read(&path, None, &kinds).unwrap_err().to_string();
        assert!(error.ends_with("l.csv:2: this row has 3 cells and the first line 2"), "{error}");
    }

    #[test]
    fn lists_are_compared_by_their_keys() {
        let list = |rows: &[&[&str]]| List::of(&["id", "why"], rows);
        let old = list(&[&["a", "1"], &["b", "2"], &["c", "3"], &["a", "9"]]);
        let new = list(&[&["d", "4"], &["c", "3"], &["a", "8"]]);
        assert_eq!(new.changes(&old), RowChanges { added: 1, removed: 1, changed: 1 });
        assert_eq!(old.value("a", 1), Some("9"));
        assert_eq!(new.changes(&new), RowChanges::default());
        assert_eq!(old.print(), list(&[&["a", "1"], &["b", "2"], &["c", "3"], &["a", "9"]]).print());
        // The same text in other cells is another list.
        assert_ne!(list(&[&["ab", "c"]]).print(), list(&[&["a", "bc"]]).print());
        assert_ne!(old.print(), new.print());
        // So it is with another key, and with a column of another kind.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l.csv");
        std::fs::write(&path, "a,b\n1,2\n").unwrap();
        let print = |key, kind| {
            let kinds = BTreeMap::from([(String::from("b"), kind)]);
            List::read(&path, Some(key), &kinds).unwrap().print()
        };
        assert_ne!(print("a", ColumnKind::Text), print("b", ColumnKind::Text));
        assert_ne!(print("a", ColumnKind::Text), print("a", ColumnKind::Money));
    }
}
