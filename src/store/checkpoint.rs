//! Balances in the store: the lines changed since the last checkpoint, written inside a commit.

use std::path::Path;

use rusqlite::{Connection, Row, Transaction, params, types::Type};

use super::{
    StoreError, confirmations, explain, indicators,
    sums::{self, Change, Sum, set_meta},
};
use crate::{
    event::{Column, money::format_cents, schema::LINE_ATTRIBUTES},
    ledger::{Attributes, Balances, Changes, Ledger, Line, SavedApplication},
    say,
    text::quoted,
};

/// Writes the changes; `seq` is the last journal block they include.
pub fn write(transaction: &Transaction<'_>, changes: &Changes, seq: i64) -> rusqlite::Result<()> {
    let mut line_sql = transaction.prepare_cached(
        "INSERT OR REPLACE INTO lines VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)",
    )?;
    let mut sum = Change::of(transaction, &sums::LINES);
    for (number, line, attributes) in &changes.lines {
        sum.before([&*line.id])?;
        let text = |column: Column| attributes.text(column);
        let b = &line.balances;
        line_sql.execute(params![
            &*line.id,
            number,
            attributes.approved,
            attributes.fiscal_year,
            text(Column::RegionCode),
            text(Column::UnitCode),
            text(Column::UnitName),
            text(Column::FunctionCode),
            text(Column::EconomicCode),
            text(Column::ProjectCode),
            text(Column::FundType),
            format_cents(b.total),
            format_cents(b.executed),
            format_cents(b.frozen),
            format_cents(b.reserved),
            format_cents(b.planned),
            format_cents(b.transferred),
            format_cents(b.corrected),
            line.last_event_at,
            format_cents(b.opening),
            format_cents(b.refunded),
            format_cents(b.cleared),
        ])?;
        sum.after([&*line.id])?;
    }
    sum.end()?;
    reach("checkpoint.lines")?;
    let mut open = transaction.prepare_cached("INSERT OR REPLACE INTO applications VALUES (?1, ?2, ?3)")?;
    let mut over = transaction.prepare_cached("DELETE FROM applications WHERE event_id = ?1")?;
    let mut sum = Change::of(transaction, &sums::APPLICATIONS);
    for (id, saved) in &changes.applications {
        sum.before([&**id])?;
        match saved {
            Some(SavedApplication { reserves }) => {
                let (line, amount) = match reserves {
                    Some((line, amount)) => (Some(&**line), Some(format_cents(*amount))),
                    None => (None, None),
                };
                open.execute(params![&**id, line, amount])?;
            }
            None => {
                over.execute([&**id])?;
            }
        }
        sum.after([&**id])?;
    }
    sum.end()?;
    reach("checkpoint.applications")?;
    indicators::write(transaction, &changes.indicators)?;
    confirmations::write(transaction, &changes.confirmations)?;
    reach("checkpoint.confirmations")?;
    set_meta(transaction, "checkpoint", seq)
}

fn reach(name: &str) -> rusqlite::Result<()> {
    crate::failpoint::reach(name).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
}

/// Reads the ledger as of the last checkpoint.
///
/// # Errors
/// If it is damaged or cannot be read.
pub fn read(dir: &Path, connection: &Connection) -> Result<Ledger, StoreError> {
    let mut ledger = Ledger::default();
    let mut lines = Sum::default();
    let mut applications = Sum::default();
    restore(connection, &mut ledger, &mut lines, &mut applications).map_err(|e| explain(dir, e))?;
    let indicators = indicators::restore(connection, &mut ledger).map_err(|e| explain(dir, e))?;
    sums::expect(dir, connection, &sums::LINES, lines)?;
    sums::expect(dir, connection, &sums::APPLICATIONS, applications)?;
    let confirmations = confirmations::restore(connection, &mut ledger).map_err(|e| explain(dir, e))?;
    sums::expect(dir, connection, &sums::INDICATORS, indicators)?;
    sums::expect(dir, connection, &sums::CONFIRMATIONS, confirmations)?;
    Ok(ledger)
}

/// The same without its checksums, for who compares it with the journal line by line.
pub fn read_unchecked(dir: &Path, connection: &Connection) -> Result<Ledger, StoreError> {
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
    lines: &mut Sum,
    applications: &mut Sum,
) -> rusqlite::Result<()> {
    let columns = sums::columns(&sums::LINES);
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM lines ORDER BY number"))?;
    let all = 0..statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        lines.add(row, all.clone())?;
        let (line, attributes) = line(row)?;
        ledger.restore_line(line, attributes);
    }
    let columns = sums::columns(&sums::APPLICATIONS);
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM applications"))?;
    let all = 0..statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        applications.add(row, all.clone())?;
        let id: String = row.get(0)?;
        let line: Option<String> = row.get(1)?;
        let reserves = match line {
            Some(line) => Some((line.into(), cents(row, 2)?)),
            None => None,
        };
        ledger.restore_application(&id, &SavedApplication { reserves });
    }
    Ok(())
}

fn line(row: &Row<'_>) -> rusqlite::Result<(Line, Attributes)> {
    let id: String = row.get(0)?;
    let texts: Vec<Option<String>> =
        (4..4 + LINE_ATTRIBUTES.len() - 1).map(|at| row.get(at)).collect::<Result<_, _>>()?;
    let texts = std::array::from_fn(|at| texts[at].as_deref());
    let attributes = Attributes::new(row.get(2)?, row.get(3)?, texts);
    let balances = Balances {
        total: cents(row, 11)?,
        executed: cents(row, 12)?,
        frozen: cents(row, 13)?,
        reserved: cents(row, 14)?,
        planned: cents(row, 15)?,
        transferred: cents(row, 16)?,
        corrected: cents(row, 17)?,
        opening: cents(row, 19)?,
        refunded: cents(row, 20)?,
        cleared: cents(row, 21)?,
    };
    let mut line = Line::new(&id, 0);
    line.balances = balances;
    line.last_event_at = row.get(18)?;
    Ok((line, attributes))
}

pub fn cents(row: &Row<'_>, column: usize) -> rusqlite::Result<i128> {
    let text: String = row.get(column)?;
    let broken = || {
        let error = say!("{text} is not a sum of money", text = quoted(&text));
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    };
    let (whole, fraction) = text.split_once('.').filter(|(_, f)| f.len() == 2).ok_or_else(broken)?;
    format!("{whole}{fraction}").parse().map_err(|_| broken())
}
