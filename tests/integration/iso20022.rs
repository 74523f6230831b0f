//! Messages of banks, read once more by classes that another project made from their schemas (`tests/iso20022`): field by field
//! what our reader and the shipped maps make of them.

use std::{collections::BTreeMap, process::Command};

use fiscwatch::{event::schema::FIELDS, sql::value};
use serde_json::Value;

use crate::{
    messages::{fixture, read},
    notify::service,
    support::calendar,
};

const MESSAGES: [(&str, &str); 7] = [
    ("pain.001.001.03.xml", "iso20022-pain.001"),
    ("pain.001.001.09.xml", "iso20022-pain.001"),
    ("pacs.008.001.02.xml", "iso20022-pacs.008"),
    ("pacs.008.001.08.xml", "iso20022-pacs.008"),
    ("pacs.004.001.09.xml", "iso20022-pacs.004"),
    ("camt.054.001.02.xml", "iso20022-camt.054"),
    ("camt.054.001.08.xml", "iso20022-camt.054"),
];

/// An event by its fields.
type Fields = BTreeMap<String, String>;

/// What the other reader makes of a transaction; what the shipped maps give to all of them is no matter of the message.
fn theirs(row: &Value) -> Fields {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    row.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn is_exact(row: &Fields) -> bool {
    row["amount"].split_once('.').is_none_or(|(_, decimals)| decimals.len() <= 2)
}

#[test]
fn a_second_reader_reads_the_same_of_every_message() {
    let Some(python) = service(&["target/services/iso20022/bin/python"]) else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/iso20022/read.py");
    let files = MESSAGES.map(|(name, _)| fixture(name));
    let output =
        Command::new(python).env("PYTHONIOENCODING", "utf-8").arg(script).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(told.lines().count(), MESSAGES.len());
    for ((message, map), line) in MESSAGES.iter().zip(told.lines()) {
        let rows: Vec<Value> = serde_json::from_str(line).unwrap();
        let (exact, others): (Vec<_>, Vec<_>) = rows.iter().map(theirs).partition(is_exact);
        let decoded = read(&fixture(message), map).unwrap();
        assert!(!exact.is_empty() && decoded.types.len() == exact.len(), "{message}: {exact:?}");
        // Beside amounts with too many decimals, what is refused is an entry without transactions.
        let entries = usize::from(message.starts_with("camt"));
        assert_eq!(decoded.rejects.len(), others.len() + entries, "{message}: {:?}", decoded.rejects);
        for (row, expected) in exact.iter().enumerate() {
            let field = |name: &str| {
                let at = FIELDS.iter().position(|field| field.name == name).unwrap();
                let value = value(decoded.events.column(at), row, &calendar());
                value.as_str().map_or_else(|| value.to_string(), str::to_owned)
            };
            for (name, theirs) in expected {
                let ours = field(name);
                // A day is its start.
                let ours =
                    if name == "occurred_at" { ours.split('T').next().unwrap().to_owned() } else { ours };
                assert_eq!(&ours, theirs, "{message}, row {row}: {name}");
            }
        }
    }
}
