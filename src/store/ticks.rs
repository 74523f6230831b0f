//! When rules on a schedule were evaluated: after which block of the journal. Where several sources came together, only
//! this tells what a tick saw.

use rusqlite::{Connection, params};

use super::{
    JournalView, StoreError,
    checksums::{self, SumUpdate, meta, set_meta},
    explain,
    named::insert,
};
use crate::engine::Ticked;

/// The number of the last block whose ticks were not noted: a state of before was brought to this version after it.
const UNTIL: &str = "ticks_unknown_until";

/// A state that has events already does not know their ticks.
pub(crate) fn begin(connection: &Connection) -> rusqlite::Result<()> {
    match super::commit::last_seq(connection)? {
        0 => Ok(()),
        last => set_meta(connection, UNTIL, last),
    }
}

/// Notes ticks; `before` is the last block before those that they count.
pub(crate) fn write(connection: &Connection, ticks: &[Ticked], before: i64) -> rusqlite::Result<()> {
    let mut change = SumUpdate::of(connection, &checksums::TICKS);
    for Ticked { at, rule_id, block } in ticks {
        // One that an earlier process did is evaluated again where its rule was gone meanwhile; the first one counts.
        if insert!(connection, "INSERT OR IGNORE INTO ticks", { at, rule_id, block: before + block })? > 0 {
            change.after(params![at, rule_id])?;
        }
    }
    change.end()
}

impl JournalView {
    /// When rules on a schedule were evaluated, in the order in which it happened; `None` where that is not known of all
    /// of the journal.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn ticks(&self) -> Result<Option<Vec<Ticked>>, StoreError> {
        let connection = self.snapshot.connection();
        let read = || {
            if meta(&connection, UNTIL)? > 0 {
                return Ok(None);
            }
            let sql = "SELECT at, rule_id, block FROM ticks ORDER BY block, at, rule_id";
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                Ok(Ticked { at: row.get("at")?, rule_id: row.get("rule_id")?, block: row.get("block")? })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>().map(Some)
        };
        read().map_err(|error| explain(&self.snapshot.dir, error))
    }
}
