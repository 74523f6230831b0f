//! Reference lists (SPEC §3.4): CSV or JSON Lines files that rules look things up in.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, OnceLock},
};

use hashbrown::{HashMap, HashSet};

use crate::{diagnostic::json_fault, event::normal_name, personal::Kind, say, stream::lines, text::quoted};

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
    rows: Vec<Vec<String>>,
    by_key: HashMap<String, usize>,
    /// The keys as [`normal_name`]s, made when first asked for: most lists are not of names.
    names: OnceLock<HashSet<String>>,
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
        let text =
            std::fs::read_to_string(path).map_err(|error| ListError::Io { path: shown.clone(), error })?;
        let fail = |line, message| ListError::Row { path: shown.clone(), line, message };
        let json = path.extension().is_some_and(|e| e == "jsonl" || e == "ndjson");
        let (header, rows) = if json { json_rows(&text) } else { csv_rows(&text) }
            .map_err(|(line, message)| fail(line, message))?;
        let unknown =
            kinds.keys().map(String::as_str).chain(key).find(|name| !header.iter().any(|h| h == name));
        if let Some(name) = unknown {
            return Err(fail(
                1,
                say!(
                    "there is no column {name}; there are {names}",
                    name = quoted(name),
                    names = header.join(", ")
                ),
            ));
        }
        let kind = |name: &str| kinds.get(name).copied().unwrap_or_else(|| ColumnKind::by_name(name));
        let columns = header.into_iter().map(|name| (kind(&name), name));
        let mut list =
            Self { columns: columns.map(|(kind, name)| (name, kind)).collect(), ..Self::default() };
        let key = key.and_then(|key| list.column(key)).map_or(0, |(at, _)| at);
        for (line, row) in rows {
            for ((name, kind), value) in list.columns.iter().zip(&row) {
                if !kind.is_text() && !value.is_empty() && kind.parse(value).is_none() {
                    return Err(fail(
                        line,
                        say!("{name} {value} is not an exact decimal", name, value = quoted(value)),
                    ));
                }
            }
            list.by_key.insert(row[key].clone(), list.rows.len());
            list.rows.push(row);
        }
        Ok(list)
    }

    /// A list made of rows of text, keyed by its first column.
    #[must_use]
    pub fn of(columns: &[&str], rows: &[&[&str]]) -> Self {
        let mut list = Self {
            columns: columns.iter().map(|name| ((*name).to_owned(), ColumnKind::by_name(name))).collect(),
            ..Self::default()
        };
        for row in rows {
            list.by_key.insert(row[0].to_owned(), list.rows.len());
            list.rows.push(row.iter().map(|&value| value.to_owned()).collect());
        }
        list
    }

    /// Whether the key is in the list.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    /// Whether the name is in the list, both compared as [`normal_name`]s.
    #[must_use]
    pub fn contains_name(&self, name: &str) -> bool {
        let names = self.names.get_or_init(|| self.keys().map(|key| normal_name(key).into_owned()).collect());
        !names.is_empty() && names.contains(normal_name(name).as_ref())
    }

    /// All keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.by_key.keys().map(String::as_str)
    }

    /// The position and kind of a column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<(usize, ColumnKind)> {
        self.columns.iter().position(|(column, _)| column == name).map(|at| (at, self.columns[at].1))
    }

    /// The rows, each with a cell for every column.
    pub fn rows(&self) -> impl Iterator<Item = &[String]> {
        self.rows.iter().map(Vec::as_slice)
    }

    /// The names of the columns.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// A value of the row with this key; `None` where there is no row, or the value is empty.
    #[must_use]
    pub fn value(&self, key: &str, column: usize) -> Option<&str> {
        let row = &self.rows[*self.by_key.get(key)?];
        row.get(column).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether the list has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
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

type Rows = (Vec<String>, Vec<(u64, Vec<String>)>);
type RowFault = (u64, String);

fn csv_rows(text: &str) -> Result<Rows, RowFault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let fault = |e: &csv::Error| (e.position().map_or(1, csv::Position::line), csv_fault(e));
    let header: Vec<_> = reader.headers().map_err(|e| fault(&e))?.iter().map(str::to_owned).collect();
    if header.iter().all(String::is_empty) {
        return Err((1, say!("the first line must name the columns")));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| fault(&e))?;
        let line = record.position().map_or(0, csv::Position::line);
        rows.push((line, record.iter().map(str::to_owned).collect()));
    }
    Ok((header, rows))
}

/// Why a row of CSV cannot be read.
fn csv_fault(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            say!("this row has {found} cells and the first line {wanted}", found = len, wanted = expected_len)
        }
        csv::ErrorKind::Utf8 { .. } => say!("it is not UTF-8 text"),
        _ => say!("this row is not CSV"),
    }
}

fn json_rows(text: &str) -> Result<Rows, RowFault> {
    let mut header: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    for (number, line) in (1u64..).zip(lines(text)) {
        if line.trim().is_empty() {
            continue;
        }
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(line).map_err(|e| (number, json_fault(&e)))?;
        if header.is_empty() {
            header = object.keys().cloned().collect();
        }
        let value = |name: &String| match object.get(name) {
            None | Some(serde_json::Value::Null) => String::new(),
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        rows.push((number, header.iter().map(value).collect()));
    }
    if header.is_empty() { Err((1, say!("the file is empty"))) } else { Ok((header, rows)) }
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
    }
}
