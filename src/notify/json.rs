//! A notification as programs read it: what webhooks and Kafka send. docs/notifications.md is its schema.

use serde_json::{Map, Value, json};

use super::{Setup, sample::reason_word, view::link};
use crate::{
    alert::{Case, Notification, NotifiedAlert},
    event::{Instant, money::format_cents},
};

/// Grows when a field changes its meaning or goes; new fields may come at any time.
const VERSION: u32 = 1;
/// Times of an alert that are microseconds inside.
const TIMES: [&str; 7] =
    ["opened_at", "first_at", "last_at", "changed_at", "acknowledged_at", "ended_at", "escalates_at"];

#[must_use]
pub(super) fn notification(notification: &Notification, setup: &Setup) -> Value {
    let mut body = envelope(notification, setup);
    body.insert("alerts".into(), notification.alerts.iter().map(|told| alert(told, setup)).collect());
    Value::Object(body)
}

/// What says which notification it is and why it comes, without alerts.
pub(super) fn envelope(notification: &Notification, setup: &Setup) -> Map<String, Value> {
    let group: Map<String, Value> = labels(notification.group.iter());
    let fields = json!({
        "version": VERSION,
        "id": notification.id,
        "reason": reason_word(notification.reason),
        "sink": notification.sink,
        "route": notification.route,
        "thread": notification.thread,
        "begins_thread": notification.begins_thread,
        "created_at": setup.calendar.format(notification.created_at),
        "group": group,
        "omitted": notification.omitted,
        "omitted_by_rule": notification.omitted_by_rule,
        "message": notification.message,
        "external_url": setup.external_url,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// An alert with its evidence, its times in RFC 3339.
pub(super) fn alert(told: &NotifiedAlert, setup: &Setup) -> Value {
    let mut value = serde_json::to_value(told).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        // What masking goes by is nobody else's business.
        fields.remove("personal");
        for name in TIMES {
            if let Some(at) = fields.get(name).and_then(Value::as_i64) {
                fields.insert(name.to_owned(), setup.calendar.format(Instant::from_micros(at)).into());
            }
        }
        if let Some(at) = fields.get_mut("inquiry").and_then(|letter| letter.get_mut("at")) {
            *at = at
                .as_i64()
                .map_or(Value::Null, |micros| setup.calendar.format(Instant::from_micros(micros)).into());
        }
        fields.remove("case");
        fields.extend(case(&told.alert.case));
        if let Some(url) = &setup.external_url {
            fields.insert("link".to_owned(), link(url, &told.alert.alert_id).into());
        }
    }
    value
}

/// What is known of an alert as a case: its amount, its last day and what came of it, where they have a value.
fn case(case: &Case) -> Map<String, Value> {
    let known = [
        ("amount", case.amount.map(format_cents)),
        ("due", case.due.clone()),
        ("outcome", case.outcome.map(|outcome| outcome.word().to_owned())),
        ("outcome_amount", case.outcome_amount.map(format_cents)),
        ("merged_into", case.merged_into.clone()),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect()
}

/// Labels with a list of values each.
fn labels<'l>(pairs: impl Iterator<Item = (&'l str, &'l str)>) -> Map<String, Value> {
    let mut labels = Map::new();
    for (name, value) in pairs {
        let values = labels.entry(name.to_owned()).or_insert_with(|| json!([]));
        if let Value::Array(values) = values {
            values.push(value.into());
        }
    }
    labels
}
