//! Values as Debezium encodes them. What its schema names is decoded; what cannot be exact is marked as such, with the
//! setting that is the cause.

use std::collections::HashMap;

use jiff::{Timestamp, civil, tz::TimeZone};
use serde_json::Value;

use super::envelope::string;
use crate::{
    event::{FieldKind, schema},
    stream::{BY, DEBEZIUM, FAULT, INEXACT, SHOWN, UNTYPED},
};

/// The types of a table's columns, of the row before the change and of the one after it.
#[derive(Debug, Default)]
pub(crate) struct Types(HashMap<String, ColumnTypes>);

/// The types of a row's columns by their names.
pub(crate) type ColumnTypes = HashMap<String, Type>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Type {
    /// Connect's type, such as `int64`.
    plain: String,
    /// What it means, such as `io.debezium.time.Date`.
    meaning: String,
}

impl Types {
    /// Reads the schema of an envelope.
    pub(crate) fn of(schema: &Value) -> Self {
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let fields = |value: &Value| value["fields"].as_array().cloned().unwrap_or_default();
        let kind = |column: &Value| Type { plain: text(column, "type"), meaning: text(column, "name") };
        let columns = |row: &Value| -> ColumnTypes {
            fields(row).iter().map(|column| (text(column, "field"), kind(column))).collect()
        };
        Self(fields(schema).iter().map(|row| (text(row, "field"), columns(row))).collect())
    }

    /// The columns of the row `before` or `after` the change; `None` without a schema.
    pub(crate) fn of_row(&self, row: &str) -> Option<&ColumnTypes> {
        self.0.get(row)
    }
}

/// Appends a value as a JSON text, or as what is wrong with it; `types` are those of the row, if the message brought them.
pub(crate) fn value(raw: &str, column: &str, types: Option<&ColumnTypes>, out: &mut Vec<u8>) {
    let kind = types.and_then(|types| types.get(column));
    let meaning = kind.map(|kind| kind.meaning.as_str()).unwrap_or_default();
    match raw.as_bytes().first() {
        Some(b'"') if meaning == "org.apache.kafka.connect.data.Decimal" => fault(INEXACT, raw, out),
        Some(b'{') if is_variable_decimal(raw, meaning) => fault(INEXACT, raw, out),
        Some(b'-' | b'0'..=b'9') => number(raw, column, kind, out),
        Some(b't' | b'f') => string(raw, out),
        // A line end stands between parts, never within a string.
        _ => out.extend(raw.bytes().map(|byte| if byte.is_ascii_whitespace() { b' ' } else { byte })),
    }
}

fn number(raw: &str, column: &str, kind: Option<&Type>, out: &mut Vec<u8>) {
    let is_float =
        kind.is_some_and(|kind| matches!(kind.plain.as_str(), "float" | "double" | "float32" | "float64"));
    if is_float || raw.contains(['.', 'e', 'E']) {
        return fault(INEXACT, raw, out);
    }
    let is_time = || schema::field(column).is_some_and(|(_, field)| field.kind == FieldKind::Time);
    if kind.is_none() && is_time() {
        return fault(UNTYPED, raw, out);
    }
    let meant = kind.and_then(|kind| time(raw.parse().ok()?, &kind.meaning));
    string(meant.as_deref().unwrap_or(raw), out);
}

/// A number as the date or time that it stands for; without a zone where the database has none.
fn time(number: i64, meaning: &str) -> Option<String> {
    let (family, name) = meaning.rsplit_once('.')?;
    let nanos = match (family, name) {
        ("io.debezium.time" | "org.apache.kafka.connect.data", "Date") => {
            let days = jiff::Span::new().try_days(number).ok()?;
            return Some(civil::date(1970, 1, 1).checked_add(days).ok()?.to_string());
        }
        ("io.debezium.time" | "org.apache.kafka.connect.data", "Timestamp" | "Time") => 1_000_000,
        ("io.debezium.time", "MicroTimestamp" | "MicroTime") => 1000,
        ("io.debezium.time", "NanoTimestamp" | "NanoTime") => 1,
        _ => return None,
    };
    let shown = Timestamp::from_nanosecond(i128::from(number) * nanos).ok()?;
    let local = TimeZone::UTC.to_datetime(shown);
    Some(if name.ends_with("Timestamp") { local.to_string() } else { local.time().to_string() })
}

/// A decimal of any scale, as `decimal.handling.mode=precise` writes it.
fn is_variable_decimal(raw: &str, meaning: &str) -> bool {
    let has = |name: &str| raw.contains(&format!("\"{name}\""));
    meaning == "io.debezium.data.VariableScaleDecimal" || has("scale") && has("value")
}

fn fault(reason: &str, raw: &str, out: &mut Vec<u8>) {
    let shown: String = serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned());
    out.push(b'{');
    for (name, text) in [(FAULT, reason), (BY, DEBEZIUM), (SHOWN, &shown)] {
        string(name, out);
        out.push(b':');
        string(text, out);
        out.push(if name == SHOWN { b'}' } else { b',' });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(raw: &str, plain: &str, meaning: &str) -> String {
        let kind = Type { plain: plain.to_owned(), meaning: meaning.to_owned() };
        let types = ColumnTypes::from([(String::from("column"), kind)]);
        let mut out = Vec::new();
        value(raw, "column", Some(&types), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_are_what_the_schema_says() {
        for (number, meaning, expected) in [
            ("20516", "io.debezium.time.Date", "2026-03-04"),
            ("-1", "org.apache.kafka.connect.data.Date", "1969-12-31"),
            ("1772618400000", "io.debezium.time.Timestamp", "2026-03-04T10:00:00"),
            ("1772618400250", "org.apache.kafka.connect.data.Timestamp", "2026-03-04T10:00:00.25"),
            ("1772618400000001", "io.debezium.time.MicroTimestamp", "2026-03-04T10:00:00.000001"),
            ("1772618400000000001", "io.debezium.time.NanoTimestamp", "2026-03-04T10:00:00.000000001"),
            ("36000000000", "io.debezium.time.MicroTime", "10:00:00"),
            ("2026", "io.debezium.time.Year", "2026"),
            ("9223372036854775807", "io.debezium.time.Date", "9223372036854775807"),
        ] {
            assert_eq!(shown(number, "int64", meaning), format!("\"{expected}\""), "{meaning}");
        }
        let zoned = "\"2026-03-04T02:00:00Z\"";
        assert_eq!(shown(zoned, "string", "io.debezium.time.ZonedTimestamp"), zoned);
    }

    #[test]
    fn decimals_are_taken_as_text_only() {
        assert_eq!(shown("\"60150.51\"", "string", ""), "\"60150.51\"");
        let fault = |shown: &str| format!(r#"{{"$fault":"inexact","by":"debezium","shown":{shown}}}"#);
        let decimal = "org.apache.kafka.connect.data.Decimal";
        assert_eq!(shown("\"W8gj\"", "bytes", decimal), fault("\"W8gj\""));
        assert_eq!(shown("60150.51", "double", ""), fault("\"60150.51\""));
        assert_eq!(shown("60150", "double", ""), fault("\"60150\""));
        let variable = r#"{"scale":2,"value":"W8gj"}"#;
        assert_eq!(
            shown(variable, "struct", "io.debezium.data.VariableScaleDecimal"),
            fault(&serde_json::to_string(variable).unwrap())
        );
        assert_eq!(shown("7", "int32", ""), "\"7\"");
        assert_eq!(shown("true", "boolean", ""), "\"true\"");
        assert_eq!(shown("[\"a\",\n\"b\"]", "array", ""), "[\"a\", \"b\"]");
    }
}
