//! The envelope: which row, what happened to it, and in which order.

use std::{collections::HashMap, fmt, sync::Arc};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};
use xxhash_rust::xxh3::xxh3_128;

use super::{
    super::fault::Fault,
    values::{ColumnTypes, Types, value},
};
use crate::{
    say,
    stream::{OP, PLACE, RejectReason, VERSION},
    text::quoted,
};

/// Schemas that are remembered of a block.
const SCHEMAS_MAX: usize = 64;

/// A row that was inserted, changed or deleted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RowChange {
    /// `insert`, `update` or `delete`.
    pub op: &'static str,
    /// The row as a JSON object of texts, with its place, its version and what happened to it.
    pub row: String,
    /// The same of the row before, as one that was deleted, if its key was another one.
    pub before: Option<String>,
}

/// The schemas that messages brought with them: the same one comes with every message of a table.
#[derive(Debug, Default)]
pub(crate) struct Schemas(HashMap<u128, Arc<Types>>);

/// The fields of an object in their order, their values as they stand.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Fields<'a> {
    fn of(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// A value that is there and not null.
    fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(field, _)| field == name)?;
        Some(found.1.get()).filter(|raw| *raw != "null")
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }

    /// An object of texts, with what the envelope says beside them.
    fn as_texts(&self, types: Option<&ColumnTypes>, said: &[(&str, &str)]) -> String {
        let mut out = vec![b'{'];
        for (name, raw) in &self.0 {
            string(name, &mut out);
            out.push(b':');
            value(raw.get(), name, types, &mut out);
            out.push(b',');
        }
        for (name, text) in said {
            string(name, &mut out);
            out.push(b':');
            string(text, &mut out);
            out.push(b',');
        }
        out.pop();
        out.push(b'}');
        // It was put together from text.
        String::from_utf8(out).unwrap_or_default()
    }

    /// A text, or the digits of a number.
    fn text(&self, name: &str) -> Option<String> {
        let raw = self.get(name)?;
        match raw.starts_with('"') {
            true => serde_json::from_str(raw).ok(),
            false => Some(raw.to_owned()),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object).map(Self)
    }
}

impl Schemas {
    fn types(&mut self, schema: Option<&str>) -> Arc<Types> {
        let Some(schema) = schema else { return Arc::default() };
        if self.0.len() >= SCHEMAS_MAX {
            self.0.clear();
        }
        let read = || {
            let schema: Option<Value> = serde_json::from_str(schema).ok();
            Arc::new(schema.as_ref().map(Types::of).unwrap_or_default())
        };
        Arc::clone(self.0.entry(xxh3_128(schema.as_bytes())).or_insert_with(read))
    }
}

impl RowChange {
    /// What a message says; `None` if it says nothing of a row: a tombstone, a heartbeat, the begin or end of a transaction,
    /// a change of a schema, a message that a program wrote into the log of the database.
    ///
    /// # Errors
    /// If it is in no envelope, or the row is not in it.
    pub(crate) fn read(
        text: &str,
        partition: &str,
        record: u64,
        schemas: &mut Schemas,
        key: &[&str],
    ) -> Result<Option<Self>, Fault> {
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() || text == "null" {
            return Ok(None);
        }
        let outer =
            Fields::of(text).ok_or_else(|| (RejectReason::InvalidJson, say!("it is not a JSON object")))?;
        let wrapped = outer.has("payload");
        let schema = outer.get("schema").filter(|schema| wrapped && schema.starts_with('{'));
        let change = match outer.get("payload") {
            _ if !wrapped => outer,
            None => return Ok(None),
            Some(payload) => Fields::of(payload).ok_or_else(no_envelope)?,
        };
        let Some(op) = change.text("op") else {
            return if says_nothing_of_rows(&change) { Ok(None) } else { Err(no_envelope()) };
        };
        let (op, row) = match op.as_str() {
            "c" | "r" => ("insert", "after"),
            "u" => ("update", "after"),
            "d" => ("delete", "before"),
            "m" => return Ok(None),
            "t" => return Err((RejectReason::Changed, truncated())),
            _ => return Err((RejectReason::UnknownValue, unknown(&op))),
        };
        let fields = change.get(row).and_then(Fields::of);
        let fields = fields.ok_or_else(|| (RejectReason::MissingField, without_row(op, row)))?;
        let source = change.get("source").and_then(Fields::of).unwrap_or(Fields(Vec::new()));
        let version = version(&source).or_else(|| change.text("ts_ms").map(|at| padded(&at)));
        let (version, place) = (version.unwrap_or_default(), place(&source, partition, record));
        let types = schemas.types(schema);
        let told = |op, fields: &Fields<'_>, row| {
            fields.as_texts(types.of_row(row), &[(OP, op), (VERSION, &version), (PLACE, &place)])
        };
        let before = change.get("before").filter(|_| op == "update").and_then(Fields::of);
        // A database may tell nothing of the row before but its key.
        let is_other = |before: &Fields<'_>| {
            key.iter().any(|name| before.get(name).is_some_and(|value| Some(value) != fields.get(name)))
        };
        let before = before.filter(is_other).map(|before| told("delete", &before, "before"));
        Ok(Some(Self { op, row: told(op, &fields, row), before }))
    }

    /// Whether the row was not there before.
    pub(crate) fn is_new(&self) -> bool {
        self.op == "insert"
    }
}

pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    // Writing text to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// Transaction metadata, schema changes and heartbeats.
fn says_nothing_of_rows(change: &Fields<'_>) -> bool {
    let is_transaction = change.has("status") && change.has("id");
    let is_schema = change.has("ddl") || change.has("tableChanges");
    let is_heartbeat = change.0.len() == 1 && change.has("ts_ms");
    is_transaction || is_schema || is_heartbeat
}

/// What orders the changes of a row, as a text that sorts: the place in the log of the database.
fn version(source: &Fields<'_>) -> Option<String> {
    // SQL Server: texts of a fixed width, and the events of one change.
    if let (Some(commit), Some(change)) = (source.text("commit_lsn"), source.text("change_lsn")) {
        let serial = source.text("event_serial_no").unwrap_or_default();
        return Some(format!("{commit}/{change}/{}", padded(&serial)));
    }
    // MySQL: the file of the log, and the place in it.
    if let (Some(file), Some(at)) = (source.text("file"), source.text("pos")) {
        let row = source.text("row").unwrap_or_default();
        return Some(format!("{file}/{}/{}", padded(&at), padded(&row)));
    }
    // PostgreSQL, Oracle, and what there is everywhere.
    ["lsn", "scn", "ts_ms"].iter().find_map(|name| source.text(name)).map(|number| padded(&number))
}

fn padded(number: &str) -> String {
    format!("{number:0>20}")
}

fn place(source: &Fields<'_>, partition: &str, record: u64) -> String {
    let parts = ["schema", "table"].iter().filter_map(|name| source.text(name));
    match parts.collect::<Vec<_>>().join(".") {
        table if table.is_empty() => say!("message {record} of {partition}", record, partition),
        table => say!("table {table}, message {record} of {partition}", table, record, partition),
    }
}

fn no_envelope() -> Fault {
    let text = say!(
        "this is no change event in Debezium's envelope. If the topic holds events as they are, take `format: debezium` out at the source"
    );
    (RejectReason::InvalidJson, text)
}

fn truncated() -> String {
    say!(
        "the database emptied the whole table, and what was read of it stays. If its rows were wrong, send refunds or corrections"
    )
}

fn unknown(op: &str) -> String {
    say!("op {op} is none of c, r, u, d, t and m", op = quoted(op))
}

fn without_row(op: &str, row: &str) -> String {
    match op {
        "delete" => say!(
            "the deleted row is not in the message: have the database write it to its log (PostgreSQL: ALTER TABLE … REPLICA IDENTITY FULL)"
        ),
        _ => say!("{name} is missing", name = row),
    }
}
