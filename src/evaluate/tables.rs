//! The tables that schedules query (SPEC §3.3): their names and columns.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, AsArray, BooleanBuilder, Decimal128Array, Decimal128Builder, Int32Builder, Int64Builder,
        StringViewBuilder, TimestampMicrosecondBuilder,
    },
    datatypes::{DataType, Decimal128Type, Field, Int32Type, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use datafusion::{catalog::TableProvider, datasource::MemTable};

use super::{Finding, desk, forecasts, ledger_tables::indicator_fields};
use crate::{
    alert::Alert,
    event::{
        Column, EventType, event_schema,
        schema::{FIELDS, LINE_ATTRIBUTES, time_type},
        time::Calendar,
    },
    ledger::{
        Ledger,
        columns::{BALANCE_TYPE, ElapsedYear, RATIO_TYPE},
    },
    lists::{ColumnKind, List},
};

/// Balances and attributes of every budget line at the tick.
pub const BUDGET_LINES: &str = "budget_lines";
/// 绩效指标: every indicator as it was stated last before the tick.
pub const INDICATORS: &str = "indicators";
/// What lines, units and economic classes are expected to have executed at the end of the year.
pub const FORECASTS: &str = "forecasts";
/// Every finding before the tick.
pub const FINDINGS: &str = "findings";
/// 预警: the findings of one rule and key while it is not over.
pub const ALERTS: &str = "alerts";

/// The tables, besides the reference lists.
pub const TABLES: &[&str] = &[
    BUDGET_LINES,
    FORECASTS,
    "payments",
    "applications",
    "withdrawals",
    "refunds",
    "corrections",
    "budget_actions",
    "indicator_statements",
    INDICATORS,
    FINDINGS,
    ALERTS,
];

/// The type of the events in a table.
#[must_use]
pub fn event_type(table: &str) -> Option<EventType> {
    match table {
        "payments" => Some(EventType::Payment),
        "applications" => Some(EventType::Application),
        "withdrawals" => Some(EventType::Withdrawal),
        "refunds" => Some(EventType::Refund),
        "corrections" => Some(EventType::Correction),
        "budget_actions" => Some(EventType::Budget),
        "indicator_statements" => Some(EventType::Indicator),
        _ => None,
    }
}

/// The columns of a table; `None` if there is no such table.
#[must_use]
pub fn schema(table: &str, zone: &str) -> Option<SchemaRef> {
    if event_type(table).is_some() {
        return Some(event_schema(zone));
    }
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    let time = |name: &str| Field::new(name, time_type(zone), true);
    let fields = match table {
        BUDGET_LINES => {
            let mut fields = vec![
                text("budget_line_id"),
                Field::new("approved", DataType::Boolean, true),
                Field::new("fiscal_year", DataType::Int32, true),
            ];
            fields.extend(LINE_ATTRIBUTES[1..].iter().map(|column| text(FIELDS[column.index()].name)));
            fields.extend(SUMS.iter().map(|name| Field::new(*name, BALANCE_TYPE, true)));
            fields.extend(RATIOS.iter().map(|name| Field::new(*name, RATIO_TYPE, true)));
            fields.push(time("last_event_at"));
            fields
        }
        INDICATORS => indicator_fields(zone),
        FORECASTS => return Some(forecasts::table_schema()),
        FINDINGS => {
            let names =
                ["finding_id", "rule_id", "severity", "handling", "mode", "event_id", "key", "summary"];
            names.into_iter().map(text).chain([time("at")]).collect()
        }
        ALERTS => {
            let count = Field::new("findings", DataType::Int64, true);
            ALERT_TEXTS.into_iter().map(text).chain([count, time("first_at"), time("last_at")]).collect()
        }
        _ => return desk::schema(table, zone),
    };
    Some(Arc::new(Schema::new(fields)))
}

/// The texts of an alert. Nothing of the clock or of people's names is among them: a rule must not find one thing today
/// and another tomorrow over the same events and the same decisions.
const ALERT_TEXTS: [&str; 11] = [
    "alert_id",
    "rule_id",
    "key",
    "severity",
    "handling",
    "state",
    "unit_code",
    "region_code",
    "budget_line_id",
    "summary",
    "previous",
];

const SUMS: [&str; 8] =
    ["total", "executed", "frozen", "reserved", "available", "planned", "plan_available", "opening"];
const RATIOS: [&str; 3] = ["executed_ratio", "overspend_ratio", "year_elapsed"];

/// A table without rows, for planning. `budget_lines` has the columns of forecasts too.
#[must_use]
pub fn empty(table: &str, zone: &str) -> Option<Arc<dyn TableProvider>> {
    let schema = schema(table, zone)?;
    in_memory(if table == BUDGET_LINES { forecasts::with_columns(&schema) } else { schema }, Vec::new())
}

/// A table in memory.
#[must_use]
pub fn in_memory(schema: SchemaRef, batches: Vec<RecordBatch>) -> Option<Arc<dyn TableProvider>> {
    let table = MemTable::try_new(schema, vec![batches]).ok()?;
    Some(Arc::new(table))
}

/// Every budget line as it is, with the elapsed share of its year at `now` (microseconds).
#[must_use]
pub fn budget_lines(ledger: &Ledger, calendar: &Calendar, now: i64) -> Option<RecordBatch> {
    let (mut ids, mut approved, mut years) =
        (StringViewBuilder::new(), BooleanBuilder::new(), Int32Builder::new());
    let mut texts: Vec<_> = LINE_ATTRIBUTES[1..].iter().map(|_| StringViewBuilder::new()).collect();
    let decimals = |data_type: DataType| Decimal128Builder::new().with_data_type(data_type);
    let mut sums: Vec<_> = SUMS.iter().map(|_| decimals(BALANCE_TYPE)).collect();
    let mut ratios: Vec<_> = RATIOS.iter().map(|_| decimals(RATIO_TYPE)).collect();
    let mut times = TimestampMicrosecondBuilder::new().with_data_type(time_type(&calendar.zone_name));
    let mut elapsed = ElapsedYear::new(calendar);
    for (line, attributes) in ledger.lines() {
        let b = &line.balances;
        ids.append_value(&*line.id);
        approved.append_value(attributes.approved);
        years.append_option(attributes.fiscal_year);
        for (text, column) in texts.iter_mut().zip(&LINE_ATTRIBUTES[1..]) {
            text.append_option(attributes.text(*column));
        }
        let (available, plan_available) = (b.available(), b.plan_available());
        let cents =
            [b.total, b.executed, b.frozen, b.reserved, available, b.planned, plan_available, b.opening];
        sums.iter_mut().zip(cents).for_each(|(sum, cents)| sum.append_value(cents));
        let year = attributes.fiscal_year.filter(|_| ledger.covers(line));
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

/// Findings as rows.
#[must_use]
pub fn findings<'f>(found: impl Iterator<Item = (i64, &'f Finding)>, zone: &str) -> Option<RecordBatch> {
    let mut texts: Vec<_> = (0..8).map(|_| StringViewBuilder::new()).collect();
    let mut times = TimestampMicrosecondBuilder::new().with_data_type(time_type(zone));
    for (at, f) in found {
        let key = serde_json::Value::Object(f.key.clone()).to_string();
        let cells =
            [&f.finding_id, &f.rule_id, &f.severity, &f.handling, &f.mode].map(|text| Some(text.as_str()));
        let rest = [f.event_id.as_deref(), Some(key.as_str()), Some(f.summary.as_str())];
        texts.iter_mut().zip(cells.into_iter().chain(rest)).for_each(|(text, cell)| text.append_option(cell));
        times.append_value(at);
    }
    let mut columns: Vec<ArrayRef> =
        texts.iter_mut().map(|text| Arc::new(text.finish()) as ArrayRef).collect();
    columns.push(Arc::new(times.finish()));
    RecordBatch::try_new(schema(FINDINGS, zone)?, columns).ok()
}

/// Alerts as rows. `first_at` and `last_at` are the event times of the first and the latest finding.
#[must_use]
pub fn alerts<'a>(alerts: impl Iterator<Item = &'a Alert>, zone: &str) -> Option<RecordBatch> {
    let mut texts = ALERT_TEXTS.map(|_| StringViewBuilder::new());
    let mut counts = Int64Builder::new();
    let mut times = [0, 1].map(|_| TimestampMicrosecondBuilder::new().with_data_type(time_type(zone)));
    for a in alerts {
        let key = serde_json::Value::Object(a.key.clone()).to_string();
        let label = |name: &str| a.labels.first(name);
        let cells = [
            Some(a.alert_id.as_str()),
            Some(&a.rule_id),
            Some(&key),
            Some(&a.severity),
            Some(&a.handling),
            Some(a.state.word()),
            label("unit_code"),
            label("region_code"),
            label("budget_line_id"),
            Some(&a.summary),
            a.previous.as_deref(),
        ];
        texts.iter_mut().zip(cells).for_each(|(text, cell)| text.append_option(cell));
        counts.append_value(i64::try_from(a.findings).unwrap_or(i64::MAX));
        times.iter_mut().zip([a.first_at, a.last_at]).for_each(|(time, at)| time.append_value(at));
    }
    let mut columns: Vec<ArrayRef> =
        texts.iter_mut().map(|text| Arc::new(text.finish()) as ArrayRef).collect();
    columns.push(Arc::new(counts.finish()));
    columns.extend(times.iter_mut().map(|time| Arc::new(time.finish()) as ArrayRef));
    RecordBatch::try_new(schema(ALERTS, zone)?, columns).ok()
}

/// A reference list as a table; text columns, and exact decimals where the configuration says so.
#[must_use]
pub fn list(list: &List) -> Option<RecordBatch> {
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for name in list.columns() {
        let (at, kind) = list.column(name)?;
        let values = list.cells(at).map(|text| Some(text).filter(|text| !text.is_empty()));
        let data_type = match kind {
            ColumnKind::Money => BALANCE_TYPE,
            ColumnKind::Decimal => RATIO_TYPE,
            _ => DataType::Utf8View,
        };
        columns.push(match kind.is_text() {
            true => Arc::new(values.collect::<arrow::array::StringViewArray>()),
            false => {
                let decimals: arrow::array::Decimal128Array = values.map(|v| kind.parse(v?)).collect();
                Arc::new(decimals.with_data_type(data_type.clone()))
            }
        });
        fields.push(Field::new(name, data_type, true));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).ok()
}

/// The rows of some types of events.
#[must_use]
pub fn of_types(events: &RecordBatch, types: &[EventType], wanted: &[EventType]) -> Option<RecordBatch> {
    debug_assert_eq!(events.num_columns(), Column::COUNT);
    let mask: arrow::array::BooleanArray = types.iter().map(|t| Some(wanted.contains(t))).collect();
    arrow::compute::filter_record_batch(events, &mask).ok()
}
