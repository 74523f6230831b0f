//! Indicators in the store: those stated since the last checkpoint, written inside a commit.

use rusqlite::{Connection, Row, Transaction, params, types::Type};

use super::sums::{self, Change, Sum};
use crate::{
    event::number::{format_number, parse_number},
    ledger::{Indicator, Ledger},
};

/// Writes the statements of a checkpoint.
pub fn write(transaction: &Transaction<'_>, stated: &[(Box<str>, Indicator)]) -> rusqlite::Result<()> {
    let mut sql = transaction.prepare_cached(
        "INSERT OR REPLACE INTO indicators VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    let mut sum = Change::of(transaction, &sums::INDICATORS);
    for (id, indicator) in stated {
        sum.before([&**id])?;
        sql.execute(params![
            &**id,
            indicator.name.as_deref(),
            indicator.fiscal_year,
            &*indicator.project_code,
            indicator.region_code.as_deref(),
            indicator.unit_code.as_deref(),
            indicator.unit_name.as_deref(),
            indicator.budget_line_id.as_deref(),
            format_number(indicator.target),
            indicator.actual.map(format_number),
            indicator.at_most,
            indicator.due,
            indicator.stated_at,
        ])?;
        sum.after([&**id])?;
    }
    sum.end()
}

/// Puts the indicators of the last checkpoint into the ledger, and gives the sum of their rows.
pub fn restore(connection: &Connection, ledger: &mut Ledger) -> rusqlite::Result<Sum> {
    let columns = sums::columns(&sums::INDICATORS);
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM indicators"))?;
    let all = 0..statement.column_count();
    let mut sum = Sum::default();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        sum.add(row, all.clone())?;
        ledger.restore_indicator(&row.get::<_, String>(0)?, indicator(row)?);
    }
    Ok(sum)
}

fn indicator(row: &Row<'_>) -> rusqlite::Result<Indicator> {
    let text = |at: usize| row.get::<_, Option<Box<str>>>(at);
    Ok(Indicator {
        name: text(1)?,
        fiscal_year: row.get(2)?,
        project_code: row.get(3)?,
        region_code: text(4)?,
        unit_code: text(5)?,
        unit_name: text(6)?,
        budget_line_id: text(7)?,
        target: number(&row.get::<_, String>(8)?, 8)?,
        actual: row.get::<_, Option<String>>(9)?.map(|text| number(&text, 9)).transpose()?,
        at_most: row.get(10)?,
        due: row.get(11)?,
        stated_at: row.get(12)?,
    })
}

fn number(text: &str, column: usize) -> rusqlite::Result<i128> {
    parse_number(text).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, format!("{text:?}: {e}").into())
    })
}
