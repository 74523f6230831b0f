//! What happened on one budget line, with its balances after each event: its part of the journal, applied once more.

use std::{path::Path, time::Duration};

use arrow::{
    array::{Array, AsArray, BooleanArray},
    compute::filter_record_batch,
    datatypes::{Int64Type, SchemaRef},
    record_batch::RecordBatch,
};

use super::{JournalView, ReadOrder, Select, StoreError, history::shape::Wide};
use crate::{
    event::{Column, EventType},
    journal::layout::ARRIVAL,
    ledger::{Balances, LEDGER_COLUMNS, Ledger},
    say,
};

/// Columns that people read beside those of the ledger.
const SHOWN: [Column; 3] = [Column::PayeeName, Column::PayeeType, Column::Purpose];

/// Something that happened on a line.
#[derive(Debug)]
pub struct LineEntry {
    /// The event: one row of the event schema, with the columns of the ledger and what people read of it.
    pub event: RecordBatch,
    /// Its place in the journal.
    pub arrival: i64,
    /// The balances of the line after it.
    pub balances: Balances,
}

/// What happened on a line.
#[derive(Debug, Default)]
pub struct LineHistory {
    /// In the order in which it was accepted.
    pub entries: Vec<LineEntry>,
    /// Whether there are more than these.
    pub more: bool,
    /// The balances after all of it; `None` if the time was over before the end of the journal.
    pub last: Option<Balances>,
}

/// Reads what happened on a line after a place in the journal: so many events at most.
///
/// # Errors
/// If the state cannot be read, or is damaged.
pub fn line_history(
    (dir, schema): (&Path, &SchemaRef),
    line: &str,
    after: Option<i64>,
    limit: usize,
    time: Duration,
) -> Result<LineHistory, StoreError> {
    let (history, begun) = (JournalView::open(dir, schema)?, std::time::Instant::now());
    let types =
        EventType::ALL.into_iter().filter(|of| !matches!(of, EventType::Indicator | EventType::Receipt));
    let select = Select { types: Some(types.fold(0, |set, of| set | of.bit())), ..Select::default() };
    let mut columns: Vec<usize> = LEDGER_COLUMNS.iter().chain(&SHOWN).map(|column| column.index()).collect();
    columns.sort_unstable();
    columns.dedup();
    let (mut wide, mut ledger) = (Wide::new(schema, &columns), Ledger::default());
    let mut found = LineHistory::default();
    for batch in history.scan(&select, Some(&columns), ReadOrder::Arrival)? {
        if begun.elapsed() > time {
            return Ok(found);
        }
        let own = of_line(&batch?, line).map_err(|e| damaged(dir, e.to_string()))?;
        let arrivals = own.column_by_name(ARRIVAL).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let arrivals = arrivals.cloned().ok_or_else(|| damaged(dir, String::from("no arrival")))?;
        let own = wide.batch(&own).map_err(|e| damaged(dir, e.to_string()))?;
        for row in 0..own.num_rows() {
            let (event, arrival) = (own.slice(row, 1), arrivals.value(row));
            let name = event.column(Column::Type.index()).as_string_view().value(0);
            let of = EventType::parse(name).ok_or_else(|| damaged(dir, say!("an event of unknown type")))?;
            ledger.apply(&event, &[of]);
            if after.is_some_and(|after| arrival <= after) {
                continue;
            }
            match found.entries.len() < limit {
                true => {
                    let balances =
                        ledger.line(line).map_or_else(Balances::default, |(line, _)| line.balances);
                    found.entries.push(LineEntry { event, arrival, balances });
                }
                false => found.more = true,
            }
        }
    }
    found.last = Some(ledger.line(line).map_or_else(Balances::default, |(line, _)| line.balances));
    Ok(found)
}

/// The events that name a line, as theirs or as the one that they bring money to.
fn of_line(batch: &RecordBatch, line: &str) -> Result<RecordBatch, arrow::error::ArrowError> {
    let names = [Column::BudgetLineId, Column::ToBudgetLineId].map(|column| {
        batch.column_by_name(column.spec().name).and_then(|column| column.as_string_view_opt())
    });
    let is_named =
        |row: usize| names.iter().flatten().any(|column| column.is_valid(row) && column.value(row) == line);
    let mask: BooleanArray = (0..batch.num_rows()).map(|row| Some(is_named(row))).collect();
    filter_record_batch(batch, &mask)
}

fn damaged(dir: &Path, what: String) -> StoreError {
    StoreError::Corrupt { path: dir.to_owned(), what }
}
