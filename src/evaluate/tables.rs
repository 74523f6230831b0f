//! Rows of the tables that schedules query: budget lines, and events of a type.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, AsArray, BooleanBuilder, Decimal128Array, Decimal128Builder, Int32Builder,
        StringViewBuilder, TimestampMicrosecondBuilder,
    },
    datatypes::{DataType, Decimal128Type, Int32Type},
    record_batch::RecordBatch,
};

use crate::{
    event::{
        Column, EventType,
        schema::{LINE_ATTRIBUTES, time_type},
        time::Calendar,
    },
    ledger::{
        Attributes, Line,
        columns::{BALANCE_TYPE, ElapsedYear, RATIO_TYPE},
    },
    sql::tables::{BUDGET_LINES, RATIOS, SUMS, schema},
};

/// Every budget line as it is, with the elapsed share of its year at `now` (microseconds) where that year is covered.
#[must_use]
pub fn budget_lines<'l>(
    lines: impl Iterator<Item = (&'l Line, &'l Attributes, bool)>,
    calendar: &Calendar,
    now: i64,
) -> Option<RecordBatch> {
    let (mut ids, mut approved, mut years) =
        (StringViewBuilder::new(), BooleanBuilder::new(), Int32Builder::new());
    let mut texts: Vec<_> = LINE_ATTRIBUTES[1..].iter().map(|_| StringViewBuilder::new()).collect();
    let decimals = |data_type: DataType| Decimal128Builder::new().with_data_type(data_type);
    let mut sums: Vec<_> = SUMS.iter().map(|_| decimals(BALANCE_TYPE)).collect();
    let mut ratios: Vec<_> = RATIOS.iter().map(|_| decimals(RATIO_TYPE)).collect();
    let mut times = TimestampMicrosecondBuilder::new().with_data_type(time_type(&calendar.zone_name));
    let mut elapsed = ElapsedYear::new(calendar);
    for (line, attributes, is_covered) in lines {
        let b = &line.balances;
        ids.append_value(&*line.id);
        approved.append_value(attributes.approved);
        years.append_option(attributes.fiscal_year);
        for (text, column) in texts.iter_mut().zip(&LINE_ATTRIBUTES[1..]) {
            text.append_option(attributes.text(*column));
        }
        let cents = [
            b.total,
            b.executed,
            b.frozen,
            b.reserved,
            b.available(),
            b.planned,
            b.plan_available(),
            b.opening,
            b.cleared,
            b.uncleared(),
        ];
        sums.iter_mut().zip(cents).for_each(|(sum, cents)| sum.append_value(cents));
        let year = attributes.fiscal_year.filter(|_| is_covered);
        let year = year.and_then(|year| elapsed.elapsed(year, now));
        let values = [b.executed_ratio(), b.overspend_ratio(), year];
        ratios.iter_mut().zip(values).for_each(|(ratio, value)| ratio.append_option(value));
        times.append_value(line.last_event_at);
    }
    let mut columns: Vec<ArrayRef> =
        vec![Arc::new(ids.finish()), Arc::new(approved.finish()), Arc::new(years.finish())];
    columns.extend(texts.iter_mut().map(|text| Arc::new(text.finish()) as ArrayRef));
    columns.extend(sums.iter_mut().chain(&mut ratios).map(|sum| Arc::new(sum.finish()) as ArrayRef));
    columns.push(Arc::new(times.finish()));
    RecordBatch::try_new(schema(BUDGET_LINES, &calendar.zone_name)?, columns).ok()
}

/// The same lines at another time.
#[must_use]
pub fn elapsed_at(lines: &RecordBatch, calendar: &Calendar, now: i64) -> Option<RecordBatch> {
    let schema = lines.schema();
    let (years, at) = (schema.index_of("fiscal_year").ok()?, schema.index_of("year_elapsed").ok()?);
    let years = lines.column(years).as_primitive::<Int32Type>();
    let mut elapsed = ElapsedYear::new(calendar);
    // Where it is not known at one time, it is not at another.
    let known = years.iter().zip(lines.column(at).as_primitive::<Decimal128Type>());
    let share = |(year, known): (Option<i32>, Option<i128>)| elapsed.elapsed(known.and(year)?, now);
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
