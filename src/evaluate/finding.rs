//! 疑点: one immutable fact, as SPEC §4 writes it.

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{
        DataType, Decimal128Type, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    },
    util::display::array_value_to_string,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{exact, row::Table};
use crate::{
    event::{Column, money::format_scaled, period::Stretch, time::Calendar},
    ledger::ratio_text,
    rule::compile::CompiledRule,
};

/// A finding, as it is stored and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Finding {
    /// A digest of rule, key and subject: the same finding always has the same id.
    pub finding_id: String,
    /// The rule.
    pub rule_id: String,
    /// The rule's severity when it was found.
    pub severity: String,
    /// The rule's handling.
    pub handling: String,
    /// `live` or `shadow`.
    pub mode: String,
    /// The columns of the rule's key.
    #[schema(value_type = Object)]
    #[serde(deserialize_with = "exact::map")]
    pub key: Map<String, Value>,
    /// The event time, RFC 3339.
    #[schema(format = DateTime)]
    pub at: String,
    /// The event, of a rule on events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The window, of a rule on windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowSpan>,
    /// The columns that the rule's condition and summary name.
    #[schema(value_type = Object)]
    #[serde(deserialize_with = "exact::map")]
    pub values: Map<String, Value>,
    /// The notification line.
    pub summary: String,
    /// What alerts are routed by beside the key: unit, region and budget line as far as the event has them; and the type of
    /// the event. Not a part of the finding.
    #[serde(skip)]
    pub labels: Map<String, Value>,
}

/// Columns that label an alert whenever the event has them, and its type.
const LABELS: [Column; 4] = [Column::UnitCode, Column::RegionCode, Column::BudgetLineId, Column::Type];

/// The window of a finding, half-open, RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WindowSpan {
    /// Its first instant.
    pub start: String,
    /// The first instant after it.
    pub end: String,
}

/// What a finding is about; its time is that of the event, the end of the window, or the tick.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'s> {
    /// An event.
    Event {
        /// Its id.
        id: &'s str,
        /// Its time, in microseconds.
        at: i64,
    },
    /// A window.
    Window(Stretch),
    /// A tick.
    Tick(i64),
}

impl Subject<'_> {
    /// The time of the finding, in microseconds.
    #[must_use]
    pub fn at(&self) -> i64 {
        match self {
            Self::Event { at, .. } | Self::Tick(at) => *at,
            Self::Window(stretch) => stretch.end,
        }
    }
}

/// The row that a finding was made on: in the rule's table, and in the columns behind those of the table.
pub struct Place<'p> {
    /// The table.
    pub table: &'p Table,
    /// The row.
    pub row: usize,
    /// Columns behind those of the table.
    pub more: &'p [ArrayRef],
    /// The row in them.
    pub more_row: usize,
}

impl Place<'_> {
    fn cell(&self, at: usize) -> (&ArrayRef, usize) {
        match at.checked_sub(self.table.columns.len()) {
            None => (&self.table.columns[at], self.row),
            Some(more) => (&self.more[more], self.more_row),
        }
    }
}

/// Digits of a finding id: 128 bits in hexadecimal.
const ID_LENGTH: usize = 32;

impl Finding {
    /// The finding of `rule` on a row of its table.
    #[must_use]
    pub fn new(rule: &CompiledRule, place: &Place<'_>, subject: Subject<'_>, calendar: &Calendar) -> Self {
        let named = |columns: &[usize]| -> Map<String, Value> {
            let cell = |at: usize| {
                let (array, row) = place.cell(at);
                (rule.columns.field(at).name().clone(), value(array, row, calendar))
            };
            columns.iter().map(|&at| cell(at)).collect()
        };
        let (key, values) = (named(&rule.key), named(&rule.values));
        let summary = match &rule.summary {
            Some(template) => template.render(&nested(&values)),
            None => rule.title.clone(),
        };
        let (id, event_id, window) = match subject {
            Subject::Event { id, .. } => (id.to_owned(), Some(id.to_owned()), None),
            Subject::Tick(at) => (at.to_string(), None, None),
            Subject::Window(Stretch { start, end }) => {
                let window = WindowSpan { start: calendar.format(start), end: calendar.format(end) };
                (end.to_string(), None, Some(window))
            }
        };
        Self {
            finding_id: finding_id(&rule.rule.id, &key, &id),
            rule_id: rule.rule.id.clone(),
            severity: rule.rule.severity.word().to_owned(),
            handling: rule.rule.handling.word().to_owned(),
            mode: rule.rule.mode.word().to_owned(),
            key,
            at: calendar.format(subject.at()),
            event_id,
            window,
            values,
            summary,
            labels: labels(rule, place, calendar),
        }
    }
}

/// Those of [`LABELS`] that the rule's table has.
fn labels(rule: &CompiledRule, place: &Place<'_>, calendar: &Calendar) -> Map<String, Value> {
    let mut labels = Map::new();
    for name in LABELS.map(|column| column.spec().name) {
        if let Ok(at) = rule.columns.index_of(name) {
            let (array, row) = place.cell(at);
            labels.insert(name.to_owned(), value(array, row, calendar));
        }
    }
    labels
}

impl Finding {
    /// The event that it is about, or the end of the window or the tick.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.event_id.as_deref().unwrap_or(&self.at)
    }
}

fn finding_id(rule: &str, key: &Map<String, Value>, subject: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    // Lengths before the parts, so that no two different triples are the same bytes.
    for part in [rule, &Value::Object(key.clone()).to_string(), subject] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut id = hasher.finalize().to_hex().to_string();
    id.truncate(ID_LENGTH);
    id
}

/// `budget.total` as `budget: {total: …}`, as templates name it.
fn nested(values: &Map<String, Value>) -> Value {
    let mut root = Map::new();
    // What is beside the event is there even if nothing of it is known.
    let mut beside = ["budget", "original"].map(|name| (name, Map::new()));
    // A missing value is no word on the notification line.
    for (name, value) in values.iter().filter(|(_, value)| !value.is_null()) {
        let within = beside
            .iter_mut()
            .find_map(|(table, fields)| Some((fields, name.strip_prefix(*table)?.strip_prefix('.')?)));
        match within {
            Some((fields, name)) => fields.insert(name.to_owned(), value.clone()),
            None => root.insert(name.clone(), value.clone()),
        };
    }
    root.extend(beside.map(|(table, fields)| (table.to_owned(), Value::Object(fields))));
    Value::Object(root)
}

/// A value as JSON: decimals as strings, ratios without needless zeros, times in local RFC 3339.
#[must_use]
pub fn value(array: &ArrayRef, row: usize, calendar: &Calendar) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Decimal128(_, 18) => ratio_text(array.as_primitive::<Decimal128Type>().value(row)).into(),
        DataType::Decimal128(_, scale) => {
            let value = array.as_primitive::<Decimal128Type>().value(row);
            format_scaled(value, u32::try_from(*scale).unwrap_or(0)).into()
        }
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            calendar.format(array.as_primitive::<TimestampMicrosecondType>().value(row)).into()
        }
        DataType::List(field) if *field.data_type() == DataType::Utf8 => {
            let items = array.as_list::<i32>().value(row);
            items.as_string::<i32>().iter().flatten().collect()
        }
        // Anything else as Arrow shows it.
        _ => array_value_to_string(array, row).unwrap_or_else(|e| format!("({e})")).into(),
    }
}

/// JSON has no infinity, so it is the word that other languages read.
fn float(value: f64) -> Value {
    let word = || match value {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    };
    serde_json::Number::from_f64(value).map_or_else(|| word().into(), Value::Number)
}
