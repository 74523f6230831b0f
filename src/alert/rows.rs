//! Alerts as the table that schedules query.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Int64Builder, StringViewBuilder, TimestampMicrosecondBuilder},
    record_batch::RecordBatch,
};

use super::Alert;
use crate::{
    event::schema::time_type,
    sql::tables::{ALERT_TEXTS, ALERTS, schema},
};

/// Alerts as rows. `first_at` and `last_at` are the event times of the first and the latest finding.
#[must_use]
pub fn rows<'a>(alerts: impl Iterator<Item = &'a Alert>, zone: &str) -> Option<RecordBatch> {
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
            Some(a.severity.word()),
            Some(a.handling.word()),
            Some(a.state.word()),
            label("unit_code"),
            label("region_code"),
            label("budget_line_id"),
            Some(&a.summary),
            a.previous.as_deref(),
        ];
        texts.iter_mut().zip(cells).for_each(|(text, cell)| text.append_option(cell));
        counts.append_value(i64::try_from(a.findings).unwrap_or(i64::MAX));
        times
            .iter_mut()
            .zip([a.first_at, a.last_at])
            .for_each(|(time, at)| time.append_value(at.as_micros()));
    }
    let mut columns: Vec<ArrayRef> =
        texts.iter_mut().map(|text| Arc::new(text.finish()) as ArrayRef).collect();
    columns.push(Arc::new(counts.finish()));
    columns.extend(times.iter_mut().map(|time| Arc::new(time.finish()) as ArrayRef));
    RecordBatch::try_new(schema(ALERTS, zone)?, columns).ok()
}
