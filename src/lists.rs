//! Reference lists: CSV or JSON Lines files that rules look things up in.

mod codes;
mod kind;
mod read;
mod rows;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

use xxhash_rust::xxh3::Xxh3;

use self::rows::{Index, TextTable};
use crate::event::{Instant, normal_name};

pub use codes::{CODE_COLUMNS, CodeColumns};
pub(crate) use codes::{CodeRow, key_of, list_name};
pub use kind::ColumnKind;
pub use read::ListError;

/// All lists of a configuration, by name.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    lists: BTreeMap<String, Arc<List>>,
    unreadable: BTreeSet<String>,
}

/// A table with a key.
#[derive(Debug, Default)]
pub struct List {
    columns: Vec<(String, ColumnKind)>,
    /// The place of the key among the columns.
    key: usize,
    rows: TextTable,
    by_key: Index,
    /// What it holds, as a number: another list has another one.
    print: u64,
    /// The keys as [`normal_name`]s, made when first asked for: most lists are not of names.
    names: OnceLock<Index>,
    /// What makes it a table of codes, if it is one.
    codes: Option<codes::Codes>,
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

impl Lists {
    /// Adds a list, or puts it in the place of its namesake.
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

    /// The table of the codes in this column of events, if there is one.
    #[must_use]
    pub(crate) fn codes(&self, column: &str) -> Option<&List> {
        self.lists.get(&codes::list_name(column)).map(AsRef::as_ref).filter(|list| list.is_of_codes())
    }

    /// What a code of this column is called at an instant, if a table says it.
    #[must_use]
    pub(crate) fn code_name(&self, column: &str, code: &str, at: Instant) -> Option<&str> {
        // `original.unit_code` is a code of the same table.
        let column = column.rsplit('.').next().unwrap_or(column);
        self.codes(column)?.code_name(code, at)
    }

    /// The names of all lists.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lists.keys().map(String::as_str)
    }
}

impl List {
    /// A list made of rows of text, keyed by its first column.
    #[must_use]
    pub fn of(columns: &[&str], rows: &[&[&str]]) -> Self {
        let mut list = Self {
            columns: columns.iter().map(|name| ((*name).to_owned(), ColumnKind::by_name(name))).collect(),
            rows: TextTable::new(columns.len(), 0),
            ..Self::default()
        };
        for row in rows {
            let cells = (0..columns.len()).map(|at| row.get(at).copied().unwrap_or_default());
            list.rows.push(cells).expect("a list in memory is small");
        }
        list.indexed()
    }

    /// A list of these columns, keyed by one of them; `None` if there is no such column, or it is too large.
    #[must_use]
    pub(crate) fn made(
        columns: Vec<(String, ColumnKind)>,
        key: usize,
        rows: impl Iterator<Item = Vec<String>>,
    ) -> Option<Self> {
        let width = columns.len();
        let mut list = Self { columns, key, rows: TextTable::new(width, 0), ..Self::default() };
        for row in rows {
            list.rows.push((0..width).map(|at| row.get(at).map_or("", String::as_str))).ok()?;
        }
        (key < width).then(|| list.indexed())
    }

    /// What its columns are called and hold, and the place of its key among them.
    #[must_use]
    pub fn shape(&self) -> (&[(String, ColumnKind)], usize) {
        (&self.columns, self.key)
    }

    /// Its rows, in the order of its file.
    pub fn rows(&self) -> impl Iterator<Item = Vec<&str>> {
        (0..self.rows.len()).map(|row| self.rows.row(row).collect())
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
        assert!(error.ends_with(": it is a folder"), "{error}");
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
