//! Rows of the tables that schedules query: budget lines, and events of a type.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, AsArray, BooleanArray, Decimal128Array, Int32Array, StringViewArray,
        TimestampMicrosecondArray,
    },
    datatypes::{DataType, Decimal128Type, Int32Type},
    record_batch::RecordBatch,
};

use crate::{
    event::{
        Cents, Column, EventType, Instant, Ratio,
        schema::{LINE_ATTRIBUTES, time_type},
        time::Calendar,
    },
    ledger::{
        Attributes, Balances, Line,
        columns::{BALANCE_TYPE, ElapsedYear, RATIO_TYPE},
    },
    sql::tables::{BUDGET_LINES, RATIOS, SUMS, schema},
};

/// Every budget line as it is, with the elapsed share of its year at `now` where that year is covered; of
/// the columns those that `reads` names, among them the year.
#[must_use]
pub fn budget_lines<'l>(
    lines: impl Iterator<Item = (&'l Line, &'l Attributes, bool)>,
    calendar: &Calendar,
    now: Instant,
    reads: &dyn Fn(&str) -> bool,
) -> Option<RecordBatch> {
    let lines: Vec<_> = lines.collect();
    let schema = schema(BUDGET_LINES, &calendar.zone_name)?;
    let places: Vec<_> = (0..schema.fields().len()).filter(|at| reads(schema.field(*at).name())).collect();
    let columns = places.iter().map(|at| column(*at, &lines, calendar, now)).collect();
    RecordBatch::try_new(Arc::new(schema.project(&places).ok()?), columns).ok()
}

/// In the order of [`SUMS`].
const SUM_OF: [fn(&Balances) -> Cents; SUMS.len()] = [
    |b| b.total,
    |b| b.executed,
    |b| b.frozen,
    |b| b.reserved,
    Balances::available,
    |b| b.planned,
    Balances::plan_available,
    |b| b.opening,
    |b| b.cleared,
    Balances::uncleared,
];

/// A column of the table, by its place there.
fn column(at: usize, lines: &[(&Line, &Attributes, bool)], calendar: &Calendar, now: Instant) -> ArrayRef {
    let texts = LINE_ATTRIBUTES.len() + 2;
    let (sums, ratios) = (texts + SUMS.len(), texts + SUMS.len() + RATIOS.len());
    let decimals = |column: Decimal128Array, of: DataType| Arc::new(column.with_data_type(of)) as ArrayRef;
    match at {
        0 => Arc::new(StringViewArray::from_iter_values(lines.iter().map(|(line, ..)| &*line.id))),
        1 => Arc::new(lines.iter().map(|(_, of, _)| Some(of.approved)).collect::<BooleanArray>()),
        2 => Arc::new(lines.iter().map(|(_, of, _)| of.fiscal_year).collect::<Int32Array>()),
        at if at < texts => {
            let name = LINE_ATTRIBUTES[at - 2];
            Arc::new(lines.iter().map(|(_, of, _)| of.text(name)).collect::<StringViewArray>())
        }
        at if at < sums => {
            let sum = |(line, ..): &(&Line, _, _)| SUM_OF[at - texts](&line.balances).as_i128();
            decimals(Decimal128Array::from_iter_values(lines.iter().map(sum)), BALANCE_TYPE)
        }
        at if at < ratios => {
            let mut elapsed = ElapsedYear::new(calendar);
            let mut ratio = |(line, of, is_covered): &(&Line, &Attributes, bool)| match RATIOS[at - sums] {
                "executed_ratio" => line.balances.executed_ratio(),
                "overspend_ratio" => line.balances.overspend_ratio(),
                _ => elapsed.elapsed(of.fiscal_year.filter(|_| *is_covered)?, now),
            };
            decimals(lines.iter().map(|line| ratio(line).map(Ratio::as_scaled)).collect(), RATIO_TYPE)
        }
        _ => {
            let times = TimestampMicrosecondArray::from_iter_values(
                lines.iter().map(|(l, ..)| l.last_event_at.as_micros()),
            );
            Arc::new(times.with_data_type(time_type(&calendar.zone_name)))
        }
    }
}

/// The same lines at another time.
#[must_use]
pub fn elapsed_at(lines: &RecordBatch, calendar: &Calendar, now: Instant) -> Option<RecordBatch> {
    let schema = lines.schema();
    let Ok(at) = schema.index_of("year_elapsed") else { return Some(lines.clone()) };
    let years = lines.column(schema.index_of("fiscal_year").ok()?).as_primitive::<Int32Type>();
    let mut elapsed = ElapsedYear::new(calendar);
    // Where it is not known at one time, it is not at another.
    let known = years.iter().zip(lines.column(at).as_primitive::<Decimal128Type>());
    let share = |(year, known): (Option<i32>, Option<i128>)| {
        elapsed.elapsed(known.and(year)?, now).map(Ratio::as_scaled)
    };
    let shares = known.map(share).collect::<Decimal128Array>();
    let mut columns = lines.columns().to_vec();
    columns[at] = Arc::new(shares.with_data_type(RATIO_TYPE));
    RecordBatch::try_new(schema, columns).ok()
}

/// The rows of some types of events.
#[must_use]
pub fn of_types(events: &RecordBatch, types: &[EventType], wanted: &[EventType]) -> Option<RecordBatch> {
    debug_assert_eq!(events.num_columns(), Column::COUNT);
    let mask: arrow::array::BooleanArray = types.iter().map(|t| Some(wanted.contains(t))).collect();
    arrow::compute::filter_record_batch(events, &mask).ok()
}
