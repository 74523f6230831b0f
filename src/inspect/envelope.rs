//! Envelopes that records come in and that are no events: of brokers, of databases, of programs that wrap what they
//! send. A record in one has no field of an event, and to say that `type` is missing would not help.

use serde_json::{Map, Value};

use crate::say;

/// What a record is wrapped in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Envelope {
    /// A zero byte and the number of a schema before the record (a schema registry's framing).
    Framed { schema: u32 },
    /// A change event of a database.
    Debezium,
    /// A record beside its schema.
    Connect,
    /// Several records in one.
    Array,
    /// A record as the text of another one.
    Quoted,
}

/// The envelope of a record; `None` if it is in none that is known.
#[must_use]
pub(crate) fn of(record: &[u8]) -> Option<Envelope> {
    let record = record.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(record);
    if let [0, a, b, c, d, _, ..] = record {
        return Some(Envelope::Framed { schema: u32::from_be_bytes([*a, *b, *c, *d]) });
    }
    match record.trim_ascii_start().first()? {
        b'[' => Some(Envelope::Array),
        b'"' => serde_json::from_slice::<String>(record)
            .is_ok_and(|text| text.trim_start().starts_with('{'))
            .then_some(Envelope::Quoted),
        b'{' => of_object(&serde_json::from_slice(record).ok()?),
        _ => None,
    }
}

fn of_object(object: &Map<String, Value>) -> Option<Envelope> {
    if object.contains_key("event_id") {
        return None;
    }
    let changes = |object: &Map<String, Value>| {
        object.contains_key("op") && (object.contains_key("after") || object.contains_key("before"))
    };
    match object.get("payload") {
        _ if changes(object) => Some(Envelope::Debezium),
        Some(Value::Object(payload)) if changes(payload) => Some(Envelope::Debezium),
        Some(_) if object.contains_key("schema") => Some(Envelope::Connect),
        _ => None,
    }
}

impl Envelope {
    /// Whether another record is in the same kind of envelope.
    #[must_use]
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// What it is, and what to do.
    #[must_use]
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Framed { schema } => say!(
                "a record in the framing of a schema registry (magic byte, then schema id {schema}), which is binary. Have it written as plain JSON, without a registry",
                schema
            ),
            Self::Debezium => say!(
                "a change event of a database in Debezium's envelope. Send the row in `after` as the event itself (the transform ExtractNewRecordState does that)"
            ),
            Self::Connect => say!(
                "a record of Kafka Connect with its schema beside it. Send what is in `payload` as the event itself (schemas.enable=false)"
            ),
            Self::Array => {
                say!("a JSON array. Send one object a line, without brackets and commas around them")
            }
            Self::Quoted => say!("JSON inside a JSON text. Send the object itself, without quotes around it"),
        }
    }
}
