//! Balances in the store: the lines changed since the last checkpoint, written inside a commit.

use rusqlite::{Connection, Row, Transaction, params, types::Type};

use crate::{
    event::{Column, money::format_cents, schema::LINE_ATTRIBUTES},
    ledger::{Attributes, Balances, Changes, Ledger, Line, SavedApplication},
};

/// Writes the changes; `seq` is the last journal block they include.
pub fn write(transaction: &Transaction<'_>, changes: &Changes, seq: i64) -> rusqlite::Result<()> {
    let mut line_sql = transaction.prepare_cached(
        "INSERT OR REPLACE INTO lines VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
    )?;
    for (number, line, attributes) in &changes.lines {
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
        ])?;
    }
    let mut open = transaction.prepare_cached("INSERT OR REPLACE INTO applications VALUES (?1, ?2, ?3)")?;
    let mut over = transaction.prepare_cached("DELETE FROM applications WHERE event_id = ?1")?;
    for (id, saved) in &changes.applications {
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
    }
    transaction.execute("UPDATE meta SET value = ?1 WHERE name = 'checkpoint'", [seq])?;
    Ok(())
}

/// Reads the ledger as of the last checkpoint.
pub fn read(connection: &Connection) -> rusqlite::Result<Ledger> {
    let mut ledger = Ledger::default();
    let mut lines = connection.prepare("SELECT * FROM lines ORDER BY number")?;
    let mut rows = lines.query([])?;
    while let Some(row) = rows.next()? {
        let (line, attributes) = line(row)?;
        ledger.restore_line(line, attributes);
    }
    let mut applications = connection.prepare("SELECT event_id, budget_line_id, amount FROM applications")?;
    let mut rows = applications.query([])?;
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let line: Option<String> = row.get(1)?;
        let reserves = match line {
            Some(line) => Some((line.into(), cents(row, 2)?)),
            None => None,
        };
        ledger.restore_application(&id, &SavedApplication { reserves });
    }
    Ok(ledger)
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
    };
    let mut line = Line::new(&id, 0);
    line.balances = balances;
    line.last_event_at = row.get(18)?;
    Ok((line, attributes))
}

fn cents(row: &Row<'_>, column: usize) -> rusqlite::Result<i128> {
    let text: String = row.get(column)?;
    let broken = || {
        let error = format!("{text:?} is not a sum of money");
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    };
    let (whole, fraction) = text.split_once('.').filter(|(_, f)| f.len() == 2).ok_or_else(broken)?;
    format!("{whole}{fraction}").parse().map_err(|_| broken())
}
