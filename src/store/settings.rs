//! What a state was made with and cannot be changed under it: where days begin, and years. Windows, sealed days, ticks
//! and balances of years are counted by both, so another zone would make other findings of the same events.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::{
    JournalView, Reader, Store, StoreError,
    checksums::{self, SumChanges},
    explain,
    named::insert,
};
use crate::event::time::Calendar;

/// A key in the configuration, and how a calendar tells its value.
type Setting = (&'static str, fn(&Calendar) -> String);

const SETTINGS: [Setting; 3] = [
    ("time_zone", |calendar| calendar.zone_name.clone()),
    ("fiscal_year_start", Calendar::fiscal_year_start_text),
    ("fiscal_year_named_by", Calendar::fiscal_year_named_by_text),
];

impl Store {
    /// Holds the state to a calendar: the first one that it is opened with stays. Another program that holds the database
    /// is waited for.
    ///
    /// # Errors
    /// If it was made with another one; nothing is changed then.
    pub fn settle(&mut self, calendar: &Calendar) -> Result<(), StoreError> {
        let dir = &self.dir;
        self.turns.write(dir, &self.connection, None, |transaction| {
        checksums::check(dir, transaction, &checksums::SETTINGS)?;
        agree(dir, transaction, calendar)?;
        let changes = SumChanges::default();
        for (name, value) in SETTINGS {
            let write =
                || insert!(transaction, "INSERT OR IGNORE INTO settings", { name, value: value(calendar) });
            changes.within(transaction).change(&checksums::SETTINGS, [name], write)?;
        }
        Ok(changes.end(transaction)?)
        })
    }
}

impl Reader {
    /// Whether the state was made with this calendar.
    ///
    /// # Errors
    /// If it was made with another one.
    pub fn agrees(&self, calendar: &Calendar) -> Result<(), StoreError> {
        agree(&self.dir, &self.connection, calendar)
    }
}

impl JournalView {
    /// Whether the state was made with this calendar.
    ///
    /// # Errors
    /// If it was made with another one.
    pub fn agrees(&self, calendar: &Calendar) -> Result<(), StoreError> {
        agree(&self.snapshot.dir, &self.snapshot.connection(), calendar)
    }
}

fn agree(dir: &Path, connection: &Connection, calendar: &Calendar) -> Result<(), StoreError> {
    for (name, value) in SETTINGS {
        let sql = "SELECT value FROM settings WHERE name = ?1";
        let stored = connection.query_row(sql, [name], |row| row.get::<_, String>(0)).optional();
        let (stored, configured) = (stored.map_err(|error| explain(dir, error))?, value(calendar));
        if let Some(stored) = stored.filter(|stored| *stored != configured) {
            return Err(StoreError::Setting { path: dir.to_owned(), name, stored, configured });
        }
    }
    Ok(())
}
