//! In which form a list is given: a table for people, JSON Lines for programs, CSV for spreadsheets.

use std::io::{BufWriter, Write};

use clap::Args;
use serde::Serialize;

use super::{Screen, Table};
use crate::{say, spreadsheet::GuardedCsv};

/// The form of a list.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct ListFormat {
    /// JSON Lines instead of a table
    #[arg(long, conflicts_with_all = ["csv", "excel"])]
    pub json: bool,
    /// CSV instead of a table, for programs: names of columns as in the API, exact times
    #[arg(long, conflicts_with = "excel")]
    pub csv: bool,
    /// CSV instead of a table, for spreadsheets: a byte order mark, titles and words in your language, local times
    #[arg(long)]
    pub excel: bool,
}

impl ListFormat {
    /// Prints a list: `objects` a line each as JSON, else the table, with notes below it where people read it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn print<T: Serialize>(
        self,
        table: &Table,
        objects: impl IntoIterator<Item = T>,
        notes: &[String],
    ) -> anyhow::Result<()> {
        let mut out = BufWriter::new(std::io::stdout().lock());
        if self.json {
            for object in objects {
                writeln!(out, "{}", serde_json::to_string(&object)?)?;
            }
        } else if self.csv || self.excel {
            table.write_csv(&mut out, self.excel)?;
        } else if table.is_empty() && notes.is_empty() {
            // Not on standard output: a program that reads no rows shall read no words either.
            eprintln!("{}", say!("nothing to show"));
        } else {
            out.write_all(table.render(Screen::stdout()).as_bytes())?;
            notes.iter().try_for_each(|note| writeln!(out, "{note}"))?;
        }
        Ok(out.flush()?)
    }
}

/// How many more there are than a list shows; nothing if it shows all.
pub(crate) fn more(shown: usize, all: u64) -> Option<String> {
    let left = all.checked_sub(shown as u64).filter(|left| *left > 0)?;
    Some(say!("{left} more: narrow the list, or show more of it with --limit", left))
}

impl Table {
    fn write_csv(&self, out: impl Write, for_people: bool) -> std::io::Result<()> {
        let mut rows = if for_people { GuardedCsv::marked(out)? } else { GuardedCsv::plain(out) };
        let head =
            |column: &super::TableColumn| if for_people { column.title.clone() } else { column.name.clone() };
        rows.row(self.columns.iter().map(head))?;
        for row in &self.rows {
            match for_people {
                true => rows.row(row.iter().map(super::Cell::on_sheet))?,
                false => rows.row(row.iter().map(super::Cell::plain))?,
            }
        }
        rows.flush()
    }
}
