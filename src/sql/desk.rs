//! What officers did, as tables for queries that people ask. Rules do not have them: they tell who did what when by the
//! clock, and a rule must find the same over the same events, whoever works on what it finds.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Int64Builder, StringViewBuilder, TimestampMicrosecondBuilder},
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};

use crate::event::schema::time_type;

/// What happened to alerts.
pub(crate) const ALERT_HISTORY: &str = "alert_history";
/// 静默
pub(crate) const SILENCES: &str = "silences";
/// 通知
pub(crate) const NOTIFICATIONS: &str = "notifications";

pub(crate) const DESK_TABLES: &[&str] = &[ALERT_HISTORY, SILENCES, NOTIFICATIONS];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Time,
}

use Kind::{Number, Text, Time};

/// The columns of a table. All times are by the clock.
fn columns(table: &str) -> &'static [(&'static str, Kind)] {
    match table {
        ALERT_HISTORY => &[
            ("alert_id", Text),
            ("rule_id", Text),
            ("done_at", Time),
            ("who", Text),
            ("action", Text),
            ("state", Text),
            ("why", Text),
        ],
        SILENCES => &[
            ("silence_id", Number),
            ("starts_at", Time),
            ("ends_at", Time),
            ("matchers", Text),
            ("author", Text),
            ("reason", Text),
            ("created_at", Time),
            ("expired_by", Text),
        ],
        NOTIFICATIONS => &[
            ("id", Text),
            ("sink", Text),
            ("recipient", Text),
            ("reason", Text),
            ("state", Text),
            ("attempts", Number),
            ("created_at", Time),
            ("ended_at", Time),
            ("error", Text),
            ("alert_id", Text),
            ("alerts", Number),
        ],
        _ => &[],
    }
}

/// A value as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredValue {
    Missing,
    /// A number, or an instant in microseconds.
    Number(i64),
    Text(String),
}

/// The columns of a table; `None` if there is no such table.
#[must_use]
pub(crate) fn schema(table: &str, zone: &str) -> Option<SchemaRef> {
    let field = |(name, kind): &(&str, Kind)| {
        let data_type = match kind {
            Text => DataType::Utf8View,
            Number => DataType::Int64,
            Time => time_type(zone),
        };
        Field::new(*name, data_type, true)
    };
    let fields: Vec<_> = columns(table).iter().map(field).collect();
    (!fields.is_empty()).then(|| Arc::new(Schema::new(fields)) as SchemaRef)
}

/// Rows of a table, each with its values in the order of the columns; `None` if they do not fit.
#[must_use]
pub(crate) fn rows(table: &str, zone: &str, rows: &[Vec<StoredValue>]) -> Option<RecordBatch> {
    let column = |(at, (_, kind)): (usize, &(&str, Kind))| -> ArrayRef {
        let cells = rows.iter().map(|row| row.get(at));
        let number = |cell: Option<&StoredValue>| match cell {
            Some(StoredValue::Number(number)) => Some(*number),
            _ => None,
        };
        match kind {
            Text => {
                let mut texts = StringViewBuilder::new();
                cells.for_each(|cell| match cell {
                    Some(StoredValue::Text(text)) => texts.append_value(text),
                    _ => texts.append_null(),
                });
                Arc::new(texts.finish())
            }
            Number => {
                let mut numbers = Int64Builder::new();
                cells.for_each(|cell| numbers.append_option(number(cell)));
                Arc::new(numbers.finish())
            }
            Time => {
                let mut times = TimestampMicrosecondBuilder::new().with_data_type(time_type(zone));
                cells.for_each(|cell| times.append_option(number(cell)));
                Arc::new(times.finish())
            }
        }
    };
    let arrays = columns(table).iter().enumerate().map(column).collect();
    RecordBatch::try_new(schema(table, zone)?, arrays).ok()
}
