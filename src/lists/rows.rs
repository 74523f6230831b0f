//! The rows of a list in one text, with an index by key: a list of many rows takes little more than its file.

use hashbrown::{HashTable, hash_table::Entry};
use xxhash_rust::xxh3::xxh3_64;

/// A table of text.
#[derive(Debug, Default)]
pub(crate) struct TextTable {
    columns: usize,
    text: String,
    /// Where each cell ends in the text.
    ends: Vec<u32>,
}

/// The text of a list has four gibibytes at most.
#[derive(Debug)]
pub(crate) struct TooLarge;

impl TextTable {
    /// No rows yet, of so many columns; about so many bytes will come.
    pub(crate) fn new(columns: usize, bytes: usize) -> Self {
        Self { columns, text: String::with_capacity(bytes), ends: Vec::new() }
    }

    pub(crate) fn push<'c>(&mut self, cells: impl Iterator<Item = &'c str>) -> Result<(), TooLarge> {
        for cell in cells {
            self.text.push_str(cell);
            self.ends.push(u32::try_from(self.text.len()).map_err(|_| TooLarge)?);
        }
        debug_assert!(self.ends.len().is_multiple_of(self.columns.max(1)));
        Ok(())
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.ends.len().checked_div(self.columns).unwrap_or(0)
    }

    pub(crate) fn cell(&self, row: usize, column: usize) -> &str {
        let at = row * self.columns + column;
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        &self.text[start..self.ends[at] as usize]
    }

    /// The cells of a row.
    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = &str> {
        (0..self.columns).map(move |column| self.cell(row, column))
    }

    /// Gives back the room that was not needed.
    pub(crate) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

/// Rows by a text of theirs: the last one of each.
#[derive(Debug, Default)]
pub(crate) struct Index(HashTable<u32>);

impl Index {
    /// The index of so many rows by what `text` gives for each.
    pub(crate) fn new<'t, T: AsRef<str> + 't>(rows: usize, text: impl Fn(usize) -> T) -> Self {
        let mut table = HashTable::with_capacity(rows);
        for row in 0..rows {
            let own = text(row);
            let same = |other: &u32| text(*other as usize).as_ref() == own.as_ref();
            let hash = |row: &u32| hash(text(*row as usize).as_ref());
            let number = u32::try_from(row).unwrap_or(u32::MAX);
            match table.entry(self::hash(own.as_ref()), same, hash) {
                Entry::Occupied(mut entry) => *entry.get_mut() = number,
                Entry::Vacant(entry) => {
                    entry.insert(number);
                }
            }
        }
        Self(table)
    }

    /// The row with this text.
    pub(crate) fn find<T: AsRef<str>>(&self, wanted: &str, text: impl Fn(usize) -> T) -> Option<usize> {
        let same = |row: &u32| text(*row as usize).as_ref() == wanted;
        self.0.find(hash(wanted), same).map(|row| *row as usize)
    }

    /// The rows, in no order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|row| *row as usize)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}
