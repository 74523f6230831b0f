//! 疑点: one immutable fact, as SPEC §4 writes it.

use arrow::{
    array::{Array, AsArray},
    datatypes::{DataType, Decimal128Type, Int32Type, TimeUnit, TimestampMicrosecondType},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::row::Wide;
use crate::{
    event::{Column, money::format_scaled, time::Calendar},
    ledger::ratio_text,
    rule::compile::CompiledRule,
};

/// A finding, as it is stored and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    pub key: Map<String, Value>,
    /// The event time, RFC 3339.
    pub at: String,
    /// The event.
    pub event_id: String,
    /// The columns that the rule's condition and summary name.
    pub values: Map<String, Value>,
    /// The notification line.
    pub summary: String,
}

/// Digits of a finding id: 128 bits in hexadecimal.
const ID_LENGTH: usize = 32;

impl Finding {
    /// The finding of `rule` on row `row` of a batch in the rule compiler's wide columns.
    #[must_use]
    pub fn new(rule: &CompiledRule, wide: &Wide, row: usize, calendar: &Calendar) -> Self {
        let named = |columns: &[usize]| -> Map<String, Value> {
            let schema = &wide.schema;
            columns
                .iter()
                .map(|&at| (schema.field(at).name().clone(), value(wide, at, row, calendar)))
                .collect()
        };
        let (key, values) = (named(&rule.key), named(&rule.values));
        let event_id = wide.columns[Column::EventId.index()].as_string_view().value(row).to_owned();
        let times = wide.columns[Column::OccurredAt.index()].as_primitive::<TimestampMicrosecondType>();
        let at = times.value(row);
        let summary = match &rule.summary {
            Some(template) => template.render(&nested(&values)),
            None => rule.title.clone(),
        };
        Self {
            finding_id: finding_id(&rule.rule.id, &key, &event_id),
            rule_id: rule.rule.id.clone(),
            severity: rule.rule.severity.word().to_owned(),
            handling: rule.rule.handling.word().to_owned(),
            mode: rule.rule.mode.word().to_owned(),
            key,
            at: calendar.format(at),
            event_id,
            values,
            summary,
        }
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
    let mut budget = Map::new();
    // A missing value is no word on the notification line.
    for (name, value) in values.iter().filter(|(_, value)| !value.is_null()) {
        match name.strip_prefix("budget.") {
            Some(name) => budget.insert(name.to_owned(), value.clone()),
            None => root.insert(name.clone(), value.clone()),
        };
    }
    root.insert(String::from("budget"), Value::Object(budget));
    Value::Object(root)
}

/// A value as JSON: decimals as strings, ratios without needless zeros, times in local RFC 3339.
fn value(wide: &Wide, column: usize, row: usize, calendar: &Calendar) -> Value {
    let array = &wide.columns[column];
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
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            calendar.format(array.as_primitive::<TimestampMicrosecondType>().value(row)).into()
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            items.as_string::<i32>().iter().flatten().collect()
        }
        other => Value::String(format!("({other})")),
    }
}
