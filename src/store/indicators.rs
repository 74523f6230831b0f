//! Indicators in the store: those stated since the last checkpoint, written inside a commit.

use rusqlite::{Connection, Row, Transaction, types::Type};

use super::{
    checksums::{self, Sum, SumUpdate},
    named::insert,
};
use crate::{
    event::number::{format_number, parse_number},
    ledger::{Indicator, Ledger},
};

/// Writes the statements of a checkpoint.
pub(crate) fn write(transaction: &Transaction<'_>, stated: &[(Box<str>, Indicator)]) -> rusqlite::Result<()> {
    let mut sum = SumUpdate::of(transaction, &checksums::INDICATORS);
    for (id, indicator) in stated {
        sum.before([&**id])?;
        insert!(transaction, "INSERT OR REPLACE INTO indicators", {
            indicator_id: &**id,
            indicator_name: indicator.name.as_deref(),
            fiscal_year: indicator.fiscal_year,
            project_code: &*indicator.project_code,
            region_code: indicator.region_code.as_deref(),
            unit_code: indicator.unit_code.as_deref(),
            unit_name: indicator.unit_name.as_deref(),
            budget_line_id: indicator.budget_line_id.as_deref(),
            target: format_number(indicator.target),
            actual: indicator.actual.map(format_number),
            at_most: indicator.at_most,
            due: indicator.due,
            stated_at: indicator.stated_at,
        })?;
        sum.after([&**id])?;
    }
    sum.end()
}

/// Puts the indicators of the last checkpoint into the ledger, and gives the sum of their rows.
pub(crate) fn restore(connection: &Connection, ledger: &mut Ledger) -> rusqlite::Result<Sum> {
    let columns = checksums::columns(&checksums::INDICATORS);
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM indicators"))?;
    let all = 0..statement.column_count();
    let mut sum = Sum::default();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        sum.add(row, all.clone())?;
        ledger.restore_indicator(&row.get::<_, String>("indicator_id")?, indicator(row)?);
    }
    Ok(sum)
}

fn indicator(row: &Row<'_>) -> rusqlite::Result<Indicator> {
    Ok(Indicator {
        name: row.get("indicator_name")?,
        fiscal_year: row.get("fiscal_year")?,
        project_code: row.get("project_code")?,
        region_code: row.get("region_code")?,
        unit_code: row.get("unit_code")?,
        unit_name: row.get("unit_name")?,
        budget_line_id: row.get("budget_line_id")?,
        target: number(row, "target", &row.get::<_, String>("target")?)?,
        actual: row
            .get::<_, Option<String>>("actual")?
            .map(|text| number(row, "actual", &text))
            .transpose()?,
        at_most: row.get("at_most")?,
        due: row.get("due")?,
        stated_at: row.get("stated_at")?,
    })
}

fn number(row: &Row<'_>, column: &str, text: &str) -> rusqlite::Result<i128> {
    let at = row.as_ref().column_index(column)?;
    parse_number(text).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(at, Type::Text, format!("{text:?}: {e}").into())
    })
}
