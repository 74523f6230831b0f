//! The tables that schedules query: their names and columns.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, StringViewBuilder, TimestampMicrosecondBuilder},
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use datafusion::{catalog::TableProvider, datasource::MemTable};

use super::desk;
use crate::{
    event::{
        EventType, event_schema,
        schema::{FIELDS, LINE_ATTRIBUTES, NUMBER_TYPE, time_type},
    },
    finding::Finding,
    ledger::columns::{BALANCE_TYPE, RATIO_TYPE},
    lists::{ColumnKind, List},
};

/// Balances and attributes of every budget line at the tick.
pub(crate) const BUDGET_LINES: &str = "budget_lines";
/// 绩效指标: every indicator as it was stated last before the tick.
pub(crate) const INDICATORS: &str = "indicators";
/// What lines, units and economic classes are expected to have executed at the end of the year.
pub(crate) const FORECASTS: &str = "forecasts";
/// Every finding before the tick.
pub(crate) const FINDINGS: &str = "findings";
/// 预警: the findings of one rule and key while it is not over.
pub(crate) const ALERTS: &str = "alerts";

/// The tables, besides the reference lists.
pub(crate) const TABLES: &[&str] = &[
    BUDGET_LINES,
    FORECASTS,
    "payments",
    "applications",
    "withdrawals",
    "refunds",
    "corrections",
    "budget_actions",
    "confirmations",
    "receipts",
    "reversals",
    "indicator_statements",
    INDICATORS,
    FINDINGS,
    ALERTS,
];

/// The type of the events in a table.
#[must_use]
pub(crate) fn event_type(table: &str) -> Option<EventType> {
    match table {
        "payments" => Some(EventType::Payment),
        "applications" => Some(EventType::Application),
        "withdrawals" => Some(EventType::Withdrawal),
        "refunds" => Some(EventType::Refund),
        "corrections" => Some(EventType::Correction),
        "budget_actions" => Some(EventType::Budget),
        "confirmations" => Some(EventType::Confirmation),
        "receipts" => Some(EventType::Receipt),
        "reversals" => Some(EventType::Reversal),
        "indicator_statements" => Some(EventType::Indicator),
        _ => None,
    }
}

/// The columns of a table; `None` if there is no such table.
#[must_use]
pub(crate) fn schema(table: &str, zone: &str) -> Option<SchemaRef> {
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
        FORECASTS => return Some(forecasts_schema()),
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
pub(crate) const ALERT_TEXTS: [&str; 11] = [
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

/// Sums of money of a budget line.
pub(crate) const SUMS: [&str; 10] = [
    "total",
    "executed",
    "frozen",
    "reserved",
    "available",
    "planned",
    "plan_available",
    "opening",
    "cleared",
    "uncleared",
];
/// Ratios of a budget line.
pub(crate) const RATIOS: [&str; 3] = ["executed_ratio", "overspend_ratio", "year_elapsed"];

/// The texts of an indicator, after its id and year.
pub(crate) const INDICATOR_TEXTS: [&str; 7] = [
    "indicator_name",
    "project_code",
    "region_code",
    "unit_code",
    "unit_name",
    "budget_line_id",
    "direction",
];

/// The columns of the table `indicators`. `due` is the end of the fiscal year where the statement names no time.
fn indicator_fields(zone: &str) -> Vec<Field> {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    let mut fields = vec![text("indicator_id"), Field::new("fiscal_year", DataType::Int32, true)];
    fields.extend(INDICATOR_TEXTS.into_iter().map(text));
    fields.extend(["target", "actual"].map(|name| Field::new(name, NUMBER_TYPE, true)));
    fields.push(Field::new("achievement", RATIO_TYPE, true));
    fields.extend(["due", "stated_at"].map(|name| Field::new(name, time_type(zone), true)));
    fields
}

/// The columns that `budget_lines` has besides those of the ledger, each only where a query reads one of them.
pub(crate) const FORECAST_COLUMNS: [&str; 3] = ["forecast_year_end", "forecast_low", "forecast_high"];
/// The columns of events that forecasts need.
pub(crate) const EVENT_COLUMNS: [&str; 6] =
    ["type", "occurred_at", "budget_line_id", "amount", "action", "to_budget_line_id"];
/// The types of events that forecasts need.
pub(crate) const EVENT_TYPES: [EventType; 5] =
    [EventType::Payment, EventType::Refund, EventType::Reversal, EventType::Correction, EventType::Budget];

/// The columns of `forecasts`.
#[must_use]
pub(crate) fn forecasts_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    let money = |name: &str| Field::new(name, BALANCE_TYPE, true);
    let mut fields = vec![text("level"), text("budget_line_id"), text("unit_code"), text("economic_code")];
    fields.push(Field::new("fiscal_year", DataType::Int32, true));
    fields.extend(["total", "executed"].map(money));
    fields.extend(FORECAST_COLUMNS.map(money));
    fields.push(money("naive_year_end"));
    Arc::new(Schema::new(fields))
}

/// The columns of `budget_lines` with those of forecasts.
#[must_use]
pub(crate) fn with_forecasts(lines: &Schema) -> SchemaRef {
    let fields = lines.fields().iter().map(|field| field.as_ref().clone());
    let more = FORECAST_COLUMNS.map(|name| Field::new(name, BALANCE_TYPE, true));
    Arc::new(Schema::new(fields.chain(more).collect::<Vec<_>>()))
}

/// A table without rows, for planning. `budget_lines` has the columns of forecasts too.
#[must_use]
pub(crate) fn empty(table: &str, zone: &str) -> Option<Arc<dyn TableProvider>> {
    let schema = schema(table, zone)?;
    in_memory(if table == BUDGET_LINES { with_forecasts(&schema) } else { schema }, Vec::new())
}

/// A table in memory.
#[must_use]
pub(crate) fn in_memory(schema: SchemaRef, batches: Vec<RecordBatch>) -> Option<Arc<dyn TableProvider>> {
    let table = MemTable::try_new(schema, vec![batches]).ok()?;
    Some(Arc::new(table))
}

/// A reference list as a table; text columns, and exact decimals where the configuration says so.
#[must_use]
pub(crate) fn list(list: &List) -> Option<RecordBatch> {
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

#[must_use]
pub(crate) fn findings<'f>(
    found: impl Iterator<Item = (i64, &'f Finding)>,
    zone: &str,
) -> Option<RecordBatch> {
    let mut texts: Vec<_> = (0..8).map(|_| StringViewBuilder::new()).collect();
    let mut times = TimestampMicrosecondBuilder::new().with_data_type(time_type(zone));
    for (at, f) in found {
        let key = serde_json::Value::Object(f.key.clone()).to_string();
        let cells = [f.finding_id.as_str(), &f.rule_id, f.severity.word(), f.handling.word(), f.mode.word()]
            .map(Some);
        let rest = [f.event_id.as_deref(), Some(key.as_str()), Some(f.summary.as_str())];
        texts.iter_mut().zip(cells.into_iter().chain(rest)).for_each(|(text, cell)| text.append_option(cell));
        times.append_value(at);
    }
    let mut columns: Vec<ArrayRef> =
        texts.iter_mut().map(|text| Arc::new(text.finish()) as ArrayRef).collect();
    columns.push(Arc::new(times.finish()));
    RecordBatch::try_new(schema(FINDINGS, zone)?, columns).ok()
}
