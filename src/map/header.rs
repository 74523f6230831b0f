//! What stands above the rows of a text: titles, the names of the columns, rows that are no records.

use std::sync::Arc;

use encoding_rs::{Encoding, GB18030, UTF_8};

use super::{Charset, Map, numbered};
use crate::{inspect::shown, say};

/// Rows below a wrong header in which the right one is looked for.
const BELOW: usize = 20;

impl Map {
    /// The columns that a row names; `below` is the start of what follows it, for a better message.
    ///
    /// # Errors
    /// If they are not the map's.
    pub fn header(&self, row: &str, below: &str) -> Result<Arc<[String]>, String> {
        let row = row.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
        let names = self.dialect.cells(row);
        if self.header_row == 0 {
            let header = numbered(names.len());
            self.slots.check(&header)?;
            return Ok(header);
        }
        let Err(fault) = self.slots.check(&names) else { return Ok(names.into()) };
        let found = self.slots.among(&names);
        let lines = crate::stream::lines(below).take(BELOW).enumerate();
        let better = lines.map(|(at, line)| (at, self.slots.among(&self.dialect.cells(line))));
        let better =
            better.filter(|(_, count)| *count > found).max_by_key(|(at, count)| (*count, BELOW - at));
        let hint = match better {
            Some((at, _)) => Some(say!(
                "Row {row} names more of them: write `header_row: {row}`",
                row = self.header_row + at + 1
            )),
            None if let Some(encoding) = self.other_encoding(row, found) => Some(say!(
                "In {encoding} it names more of them: write `encoding: auto`, or leave it out",
                encoding
            )),
            None if names.len() <= 1 => Some(Self::delimiter_hint(row)),
            None => None,
        };
        let told =
            say!("row {number} reads {row}: {fault}", number = self.header_row, row = shown(row), fault);
        Err(hint.map_or(told.clone(), |hint| format!("{told}. {hint}")))
    }

    /// The encoding in which a header names more columns of the map than in the one that the map names.
    fn other_encoding(&self, row: &str, found: usize) -> Option<&'static str> {
        let Charset::Named(named) = self.charset else { return None };
        let bytes = named.encode(row).0;
        let names = |other: &'static Encoding| {
            let text = other.decode_without_bom_handling(&bytes).0;
            self.slots.among(&self.dialect.cells(&text))
        };
        let others =
            [UTF_8, GB18030].into_iter().filter(|other| *other != named && named.is_ascii_compatible());
        others
            .map(|other| (names(other), other.name()))
            .filter(|(count, _)| *count > found)
            .max()
            .map(|(_, name)| name)
    }

    /// What to do about a header that is one cell.
    fn delimiter_hint(row: &str) -> String {
        let signs = [(',', ","), (';', ";"), ('\t', "tab"), ('|', "|")];
        let most = signs.iter().max_by_key(|(sign, _)| row.matches(*sign).count());
        match most.filter(|(sign, _)| row.contains(*sign)) {
            Some((_, name)) => say!(
                "Its cells look parted by {delimiter}: write `delimiter: \"{delimiter}\"`",
                delimiter = name
            ),
            None => say!("Check `header_row`, `delimiter` and `encoding` of the map"),
        }
    }
}
