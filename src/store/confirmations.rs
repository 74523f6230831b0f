//! What is cleared of payments that have not come, in the store: what changed since the last checkpoint, written inside a
//! commit.

use rusqlite::{Connection, Transaction};

use super::{
    checkpoint::cents,
    checksums::{self, Sum, SumUpdate},
    named::insert,
};
use crate::{event::Cents, ledger::Ledger};

/// Writes the changes of a checkpoint.
pub(crate) fn write(
    transaction: &Transaction<'_>,
    changes: &[(Box<str>, Option<Cents>)],
) -> rusqlite::Result<()> {
    let mut came = transaction.prepare_cached("DELETE FROM confirmations WHERE event_id = ?1")?;
    let mut sum = SumUpdate::of(transaction, &checksums::CONFIRMATIONS);
    for (payment, cleared) in changes {
        sum.before([&**payment])?;
        match cleared {
            Some(cleared) => insert!(transaction, "INSERT OR REPLACE INTO confirmations", {
                event_id: &**payment, cleared: cleared.to_string(),
            })?,
            None => came.execute([&**payment])?,
        };
        sum.after([&**payment])?;
    }
    sum.end()
}

/// Puts those of the last checkpoint into the ledger, and gives the sum of their rows.
pub(crate) fn restore(connection: &Connection, ledger: &mut Ledger) -> rusqlite::Result<Sum> {
    let columns = checksums::columns(&checksums::CONFIRMATIONS);
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM confirmations"))?;
    let all = 0..statement.column_count();
    let mut sum = Sum::default();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        sum.add(row, all.clone())?;
        ledger.restore_confirmation(&row.get::<_, String>(0)?, cents(row, 1)?);
    }
    Ok(sum)
}
