//! Balances in the store: the lines changed since the last checkpoint, written inside a commit.

use std::path::Path;

use rusqlite::{Connection, Row, Statement, Transaction, types::Type};

use super::{
    StoreError,
    checksums::{self, Sum, SumUpdate, set_meta},
    confirmations, explain, indicators,
    named::insert,
};
use crate::{
    event::{Cents, Column, money::format_cents, schema::LINE_ATTRIBUTES},
    ledger::{Attributes, Balances, Changes, Ledger, Line, SavedApplication},
    say,
    text::quoted,
};

/// Writes the changes; `seq` is the last journal block they include.
pub(crate) fn write(transaction: &Transaction<'_>, changes: &Changes, seq: i64) -> rusqlite::Result<()> {
    write_lines(transaction, changes)?;
    reach("checkpoint.lines")?;
    write_applications(transaction, changes)?;
    reach("checkpoint.applications")?;
    indicators::write(transaction, &changes.indicators)?;
    confirmations::write(transaction, &changes.confirmations)?;
    reach("checkpoint.confirmations")?;
    set_meta(transaction, "checkpoint", seq)
}

fn write_lines(transaction: &Transaction<'_>, changes: &Changes) -> rusqlite::Result<()> {
    let mut sum = SumUpdate::of(transaction, &checksums::LINES);
    for (number, line, attributes) in &changes.lines {
        sum.before([&*line.id])?;
        let text = |column: Column| attributes.text(column);
        let b = &line.balances;
        insert!(transaction, "INSERT OR REPLACE INTO lines", {
            budget_line_id: &*line.id,
            number,
            approved: attributes.approved,
            fiscal_year: attributes.fiscal_year,
            region_code: text(Column::RegionCode),
            unit_code: text(Column::UnitCode),
            unit_name: text(Column::UnitName),
            function_code: text(Column::FunctionCode),
            economic_code: text(Column::EconomicCode),
            project_code: text(Column::ProjectCode),
            fund_type: text(Column::FundType),
            total: format_cents(b.total),
            executed: format_cents(b.executed),
            frozen: format_cents(b.frozen),
            reserved: format_cents(b.reserved),
            planned: format_cents(b.planned),
            transferred: format_cents(b.transferred),
            corrected: format_cents(b.corrected),
            last_event_at: line.last_event_at,
            opening: format_cents(b.opening),
            refunded: format_cents(b.refunded),
            cleared: format_cents(b.cleared),
        })?;
        sum.after([&*line.id])?;
    }
    sum.end()
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
    lines: &mut Sum,
    applications: &mut Sum,
) -> rusqlite::Result<()> {
    let columns = checksums::columns(&checksums::LINES);
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM lines ORDER BY number"))?;
    let all = 0..statement.column_count();
    let places = LinePlaces::of(&statement)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        lines.add(row, all.clone())?;
        let (line, attributes) = places.line(row)?;
        ledger.restore_line(line, attributes);
    }
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

/// A column of a line, and the amount that stands in it.
type Amount = (&'static str, fn(&mut Balances) -> &mut Cents);

/// The amounts of a line.
const AMOUNTS: [Amount; 10] = [
    ("total", |b| &mut b.total),
    ("executed", |b| &mut b.executed),
    ("frozen", |b| &mut b.frozen),
    ("reserved", |b| &mut b.reserved),
    ("planned", |b| &mut b.planned),
    ("transferred", |b| &mut b.transferred),
    ("corrected", |b| &mut b.corrected),
    ("opening", |b| &mut b.opening),
    ("refunded", |b| &mut b.refunded),
    ("cleared", |b| &mut b.cleared),
];

/// Where the columns of a line stand, found by their names once for millions of rows.
struct LinePlaces {
    id: usize,
    approved: usize,
    fiscal_year: usize,
    last_event_at: usize,
    texts: [usize; LINE_ATTRIBUTES.len() - 1],
    amounts: [usize; AMOUNTS.len()],
}

impl LinePlaces {
    fn of(statement: &Statement<'_>) -> rusqlite::Result<Self> {
        let place = |name: &str| statement.column_index(name);
        let mut places = Self {
            id: place("budget_line_id")?,
            approved: place("approved")?,
            fiscal_year: place("fiscal_year")?,
            last_event_at: place("last_event_at")?,
            texts: [0; LINE_ATTRIBUTES.len() - 1],
            amounts: [0; AMOUNTS.len()],
        };
        for (at, column) in places.texts.iter_mut().zip(&LINE_ATTRIBUTES[1..]) {
            *at = place(column.spec().name)?;
        }
        for (at, (name, _)) in places.amounts.iter_mut().zip(AMOUNTS) {
            *at = place(name)?;
        }
        Ok(places)
    }

    fn line(&self, row: &Row<'_>) -> rusqlite::Result<(Line, Attributes)> {
        let id: String = row.get(self.id)?;
        let texts: Vec<Option<String>> =
            self.texts.iter().map(|at| row.get(*at)).collect::<Result<_, _>>()?;
        let texts = std::array::from_fn(|at| texts[at].as_deref());
        let attributes = Attributes::new(row.get(self.approved)?, row.get(self.fiscal_year)?, texts);
        let mut line = Line::new(&id, 0);
        for (at, (_, amount)) in self.amounts.iter().zip(AMOUNTS) {
            *amount(&mut line.balances) = cents(row, *at)?;
        }
        line.last_event_at = row.get(self.last_event_at)?;
        Ok((line, attributes))
    }
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
