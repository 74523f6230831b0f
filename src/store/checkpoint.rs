//! Balances in the store: the lines changed since the last checkpoint, written inside a commit.

mod lines;

use std::path::Path;

use rusqlite::{Connection, Row, Transaction, types::Type};

use super::{
    StoreError,
    checksums::{self, Sum, SumUpdate, set_meta},
    confirmations, explain, indicators,
    named::insert,
};
pub(super) use lines::LineSums;

use crate::{
    event::{Cents, money::format_cents},
    ledger::{Changes, Ledger, SavedApplication},
    say,
    text::quoted,
};

/// Writes the changes; `seq` is the last journal block they include.
pub(super) fn write(
    transaction: &Transaction<'_>,
    changes: &Changes,
    sums: &mut LineSums,
    seq: i64,
) -> rusqlite::Result<()> {
    lines::write(transaction, &changes.lines, sums)?;
    reach("checkpoint.lines")?;
    write_applications(transaction, changes)?;
    reach("checkpoint.applications")?;
    indicators::write(transaction, &changes.indicators)?;
    confirmations::write(transaction, &changes.confirmations)?;
    reach("checkpoint.confirmations")?;
    set_meta(transaction, "checkpoint", seq)
}

/// Writes those that reserve something, and deletes those that are over.
fn write_applications(transaction: &Transaction<'_>, changes: &Changes) -> rusqlite::Result<()> {
    let mut over = transaction.prepare_cached("DELETE FROM applications WHERE event_id = ?1")?;
    let mut sum = SumUpdate::of(transaction, &checksums::APPLICATIONS);
    for (id, saved) in &changes.applications {
        sum.before([&**id])?;
        match saved {
            Some(SavedApplication { reserves }) => {
                let (line, amount) = match reserves {
                    Some((line, amount)) => (Some(&**line), Some(format_cents(*amount))),
                    None => (None, None),
                };
                insert!(transaction, "INSERT OR REPLACE INTO applications", {
                    event_id: &**id, budget_line_id: line, amount,
                })?;
            }
            None => {
                over.execute([&**id])?;
            }
        }
        sum.after([&**id])?;
    }
    sum.end()
}

fn reach(name: &str) -> rusqlite::Result<()> {
    crate::failpoint::reach(name).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
}

/// Reads the ledger as of the last checkpoint.
///
/// # Errors
/// If it is damaged or cannot be read.
pub(crate) fn read(dir: &Path, connection: &Connection) -> Result<Ledger, StoreError> {
    let mut ledger = Ledger::default();
    let mut lines = Sum::default();
    let mut applications = Sum::default();
    restore(connection, &mut ledger, &mut lines, &mut applications).map_err(|e| explain(dir, e))?;
    let indicators = indicators::restore(connection, &mut ledger).map_err(|e| explain(dir, e))?;
    checksums::expect(dir, connection, &checksums::LINES, lines)?;
    checksums::expect(dir, connection, &checksums::APPLICATIONS, applications)?;
    let confirmations = confirmations::restore(connection, &mut ledger).map_err(|e| explain(dir, e))?;
    checksums::expect(dir, connection, &checksums::INDICATORS, indicators)?;
    checksums::expect(dir, connection, &checksums::CONFIRMATIONS, confirmations)?;
    Ok(ledger)
}

/// The same without its checksums, for who compares it with the journal line by line.
pub(crate) fn read_unchecked(dir: &Path, connection: &Connection) -> Result<Ledger, StoreError> {
    let mut ledger = Ledger::default();
    restore(connection, &mut ledger, &mut Sum::default(), &mut Sum::default())
        .map_err(|e| explain(dir, e))?;
    indicators::restore(connection, &mut ledger).map_err(|e| explain(dir, e))?;
    confirmations::restore(connection, &mut ledger).map_err(|e| explain(dir, e))?;
    Ok(ledger)
}

fn restore(
    connection: &Connection,
    ledger: &mut Ledger,
    of_lines: &mut Sum,
    applications: &mut Sum,
) -> rusqlite::Result<()> {
    lines::restore(connection, ledger, of_lines)?;
    let columns = checksums::columns(&checksums::APPLICATIONS);
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM applications"))?;
    let all = 0..statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        applications.add(row, all.clone())?;
        let id: String = row.get("event_id")?;
        let line: Option<String> = row.get("budget_line_id")?;
        let amount = row.as_ref().column_index("amount")?;
        let reserves = match line {
            Some(line) => Some((line.into(), cents(row, amount)?)),
            None => None,
        };
        ledger.restore_application(&id, &SavedApplication { reserves });
    }
    Ok(())
}

pub(crate) fn cents(row: &Row<'_>, column: usize) -> rusqlite::Result<Cents> {
    let text: String = row.get(column)?;
    let broken = || {
        let error = say!("{text} is not a sum of money", text = quoted(&text));
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    };
    let (whole, fraction) = text.split_once('.').filter(|(_, f)| f.len() == 2).ok_or_else(broken)?;
    format!("{whole}{fraction}").parse().map(Cents::new).map_err(|_| broken())
}
