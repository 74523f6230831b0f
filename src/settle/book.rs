//! 调整台账: every action on the budget lines, in the order in which it was recorded, with the total before and after it.

use arrow::{
    array::{Array, AsArray},
    datatypes::{Decimal128Type, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use serde::Serialize;

use super::statement::text;
use crate::{
    event::{BudgetAction, Cents, Column, EventType, Instant, time::Calendar},
    journal::layout::{block_of, row_of},
    ledger::{LEDGER_COLUMNS, Ledger},
    store::{JournalView, Select, StoreError},
};

/// An action on a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Adjustment {
    pub occurred_at: String,
    pub event_id: String,
    pub budget_line_id: String,
    pub fiscal_year: Option<i32>,
    pub unit_code: Option<String>,
    pub action: &'static str,
    /// The line that a transfer brings money to.
    pub to_budget_line_id: Option<String>,
    pub amount: String,
    /// The total of the line before it and after it.
    pub before: String,
    pub after: String,
    /// What is executed and reserved then.
    pub executed: String,
    pub reserved: String,
    pub block: i64,
    pub row: i64,
}

/// Which actions are listed.
#[derive(Debug, Default)]
pub(crate) struct AdjustmentFilter {
    pub year: Option<i32>,
    pub line: Option<String>,
    pub unit: Option<String>,
}

impl AdjustmentFilter {
    fn has(&self, entry: &Adjustment) -> bool {
        let is =
            |wanted: &Option<String>, value: Option<&str>| wanted.is_none() || wanted.as_deref() == value;
        let of_line =
            is(&self.line, Some(&entry.budget_line_id)) || is(&self.line, entry.to_budget_line_id.as_deref());
        of_line
            && is(&self.unit, entry.unit_code.as_deref())
            && self.year.is_none_or(|year| entry.fiscal_year == Some(year))
    }
}

/// What changes how much a line has; plans say when, and openings what was before.
fn adjusts(action: BudgetAction) -> bool {
    !matches!(action, BudgetAction::Plan | BudgetAction::PlanReduce | BudgetAction::Opening)
}

/// Reads the book.
///
/// # Errors
/// If the journal cannot be read.
pub(crate) fn book(
    history: &JournalView,
    wanted: &AdjustmentFilter,
    calendar: &Calendar,
) -> Result<Vec<Adjustment>, StoreError> {
    let columns: Vec<usize> = LEDGER_COLUMNS.iter().map(|column| column.index()).collect();
    let (mut ledger, mut entries) = (Ledger::default(), Vec::new());
    history.replay_part(&Select::default(), &columns, &mut |batch, types, arrivals| {
        // Only rows of budget actions are applied one by one; balances are needed around these.
        let mut from = 0;
        for row in (0..batch.num_rows()).filter(|row| types[*row] == EventType::Budget) {
            ledger.apply(&batch.slice(from, row - from), &types[from..row]);
            from = row + 1;
            let before = total(&ledger, batch, row);
            ledger.apply(&batch.slice(row, 1), &types[row..=row]);
            entries.extend(
                entry(&ledger, batch, row, (before, arrivals[row]), calendar).filter(|e| wanted.has(e)),
            );
        }
        ledger.apply(&batch.slice(from, batch.num_rows() - from), &types[from..]);
        let _ = ledger.take_changes();
    })?;
    Ok(entries)
}

fn total(ledger: &Ledger, batch: &RecordBatch, row: usize) -> Cents {
    let line = text(batch, Column::BudgetLineId, row).and_then(|line| ledger.line(line));
    line.map_or(Cents::ZERO, |(line, _)| line.balances.total)
}

fn entry(
    ledger: &Ledger,
    batch: &RecordBatch,
    row: usize,
    (before, arrival): (Cents, i64),
    calendar: &Calendar,
) -> Option<Adjustment> {
    let action = text(batch, Column::Action, row).and_then(BudgetAction::parse).filter(|of| adjusts(*of))?;
    let id = text(batch, Column::BudgetLineId, row)?;
    let (line, attributes) = ledger.line(id)?;
    let owned = |column| text(batch, column, row).map(str::to_owned);
    let times = batch.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>();
    let amounts = batch.column(Column::Amount.index()).as_primitive::<Decimal128Type>();
    Some(Adjustment {
        occurred_at: calendar.format(Instant::from_micros(times.value(row))),
        event_id: owned(Column::EventId).unwrap_or_default(),
        budget_line_id: id.to_owned(),
        fiscal_year: attributes.fiscal_year,
        unit_code: attributes.text(Column::UnitCode).map(str::to_owned),
        action: action.name(),
        to_budget_line_id: owned(Column::ToBudgetLineId),
        amount: Cents::new(if amounts.is_valid(row) { amounts.value(row) } else { 0 }).to_string(),
        before: before.to_string(),
        after: line.balances.total.to_string(),
        executed: line.balances.executed.to_string(),
        reserved: line.balances.reserved.to_string(),
        block: block_of(arrival),
        row: row_of(arrival),
    })
}
