//! One value means the same whoever reads it: each is given to JSON Lines, CSV, Parquet, messages of a broker and posted
//! bodies, and what comes out is compared.

mod cases;
mod configured;

use std::{collections::BTreeMap, fs::File, path::Path, sync::Arc};

use Given::{Number, Stamp};
use arrow::{
    array::{ArrayRef, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray},
    datatypes::{Field, Schema},
    record_batch::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use datafusion::parquet::arrow::ArrowWriter;
use fiscwatch::{
    decode::{Decoded, Decoder, Reading},
    event::{schema::field, stamp::StampUnit},
    source::{Chunks, Format},
    stream::Payload,
};
use jiff::{civil::DateTime, tz::TimeZone};
use serde_json::{Value, json};

use cases::{cases, cases_of_a_site};

use crate::support::{Bench, Daemon, agent, block, calendar, payment, run};

/// A value as a record has it.
#[derive(Debug, Clone)]
enum Given {
    /// Text everywhere.
    Text(String),
    /// A number in JSON, a whole number or a decimal in Parquet.
    Number(&'static str),
    /// A timestamp in Parquet, with or without a zone; text elsewhere.
    Stamp(&'static str),
}

fn text(text: impl Into<String>) -> Given {
    Given::Text(text.into())
}

/// What becomes of it: the value in the event, or the reason why the record is refused.
type Outcome = Result<String, String>;

struct Case {
    field: &'static str,
    given: Given,
    expected: Outcome,
}

fn takes(field: &'static str, given: Given, shown: &str) -> Case {
    Case { field, given, expected: Ok(shown.to_owned()) }
}

fn refuses(field: &'static str, given: Given, reason: &str) -> Case {
    Case { field, given, expected: Err(reason.to_owned()) }
}

/// Where a value is missing.
const NOTHING: &str = "∅";

fn site() -> Reading {
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    Reading::new(Some(zone), StampUnit::ExcelDays, Some(&["待补".to_owned()]))
}

fn decoder(reading: Reading) -> Decoder {
    let earliest = calendar().start_of_day(jiff::civil::date(2000, 1, 1)).unwrap();
    Decoder::new(calendar()).not_before(earliest).reading(reading)
}

/// A payment with the value, as an object of JSON.
fn object(case: &Case, id: &str) -> String {
    let mut event = payment(id, "L", "1.00");
    match &case.given {
        Given::Text(text) => event[case.field] = json!(text),
        Stamp(text) => event[case.field] = json!(text),
        Number(_) => event[case.field] = json!("@number"),
    }
    let number = if let Number(number) = case.given { number } else { "" };
    event.to_string().replace("\"@number\"", number)
}

/// The names and the cells of the same payment.
fn cells(case: &Case, id: &str) -> BTreeMap<String, String> {
    let event = payment(id, "L", "1.00");
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut cells: BTreeMap<_, _> =
        event.as_object().unwrap().iter().map(|(name, value)| (name.clone(), shown(value))).collect();
    let value = match &case.given {
        Given::Text(text) => text.clone(),
        Number(text) | Stamp(text) => (*text).to_owned(),
    };
    cells.insert(case.field.to_owned(), value);
    cells
}

fn csv(cells: &BTreeMap<String, String>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells.keys()).unwrap();
    writer.write_record(cells.values()).unwrap();
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

fn write_parquet(path: &Path, case: &Case) {
    let column = |name: &str, value: &str| -> ArrayRef {
        match &case.given {
            Number(number) if name == case.field => match number.split_once('.') {
                None => Arc::new(Int64Array::from(vec![number.parse::<i64>().unwrap()])),
                Some((whole, fraction)) => {
                    let digits: i128 = format!("{whole}{fraction}").parse().unwrap();
                    let scale = i8::try_from(fraction.len()).unwrap();
                    Arc::new(Decimal128Array::from(vec![digits]).with_precision_and_scale(38, scale).unwrap())
                }
            },
            Stamp(text) if name == case.field => match text.parse::<jiff::Timestamp>() {
                Ok(at) => {
                    Arc::new(TimestampMicrosecondArray::from(vec![at.as_microsecond()]).with_timezone("UTC"))
                }
                Err(_) => {
                    let shown: DateTime = text.parse().unwrap();
                    let shown = TimeZone::UTC.to_timestamp(shown).unwrap().as_microsecond();
                    Arc::new(TimestampMicrosecondArray::from(vec![shown]))
                }
            },
            _ => Arc::new(StringArray::from(vec![value])),
        }
    };
    let columns: Vec<_> =
        cells(case, "e").iter().map(|(name, value)| (name.clone(), column(name, value))).collect();
    let fields: Vec<_> =
        columns.iter().map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn outcome(case: &Case, decoded: &Decoded) -> Outcome {
    if let Some(reject) = decoded.rejects.first() {
        assert_eq!((decoded.rejects.len(), decoded.types.len()), (1, 0));
        return Err(reject.reason.code().to_owned());
    }
    assert_eq!(decoded.types.len(), 1);
    let column = decoded.events.column(field(case.field).unwrap().0);
    let options = FormatOptions::default().with_null(NOTHING);
    Ok(ArrayFormatter::try_new(column, &options).unwrap().value(0).to_string())
}

/// What each reader makes of a value.
fn outcomes(dir: &Path, case: &Case, decoder: &Decoder) -> Vec<(&'static str, Outcome)> {
    let json = object(case, "e");
    let of = |payload: Payload| outcome(case, &decoder.decode(&[block(payload)], None));
    let of_file = |name: &str| {
        let path = dir.join(name);
        let mut chunks = Chunks::open(&path, Format::of(&path, None), 10, (0, 0), false, None).unwrap();
        of(chunks.next_chunk().unwrap().unwrap().payload)
    };
    std::fs::write(dir.join("e.jsonl"), format!("{json}\n")).unwrap();
    std::fs::write(dir.join("e.csv"), csv(&cells(case, "e"))).unwrap();
    write_parquet(&dir.join("e.parquet"), case);
    let ends = vec![(u32::try_from(json.len()).unwrap(), 1)];
    vec![
        ("JSON Lines", of_file("e.jsonl")),
        ("CSV", of_file("e.csv")),
        ("Parquet", of_file("e.parquet")),
        ("a message", of(Payload::Messages { data: json.into(), ends })),
    ]
}

fn every_reader_agrees(cases: &[Case], reading: &Reading) {
    let dir = tempfile::tempdir().unwrap();
    let decoder = decoder(reading.clone());
    let mut wrong = Vec::new();
    for case in cases {
        for (reader, found) in outcomes(dir.path(), case, &decoder) {
            if found != case.expected {
                wrong.push(format!(
                    "{} {:?} in {reader}: {found:?}, not {:?}",
                    case.field, case.given, case.expected
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_value_means_the_same_in_every_format() {
    every_reader_agrees(&cases(), &Reading::default());
    every_reader_agrees(&cases_of_a_site(), &site());
}

/// The table again, through the doors of a daemon.
#[test]
fn a_value_means_the_same_when_it_is_posted() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    // An id of its own for each record; those that are about the id keep theirs.
    let cases: Vec<_> = cases().into_iter().filter(|case| case.field != "event_id").collect();
    let post = |kind: &str, body: String| {
        let url = format!("{}/api/v1/events", daemon.address);
        let answer = agent().post(url).header("Content-Type", kind).send(body).unwrap();
        assert_eq!(answer.status().as_u16(), 200);
    };
    let lines: Vec<_> =
        cases.iter().enumerate().map(|(n, case)| object(case, &format!("json-{n}"))).collect();
    post("application/x-ndjson", lines.join("\n"));
    for (n, case) in cases.iter().enumerate() {
        post("text/csv", csv(&cells(case, &format!("csv-{n}"))));
    }
    assert_eq!(daemon.stop("-TERM"), Some(0));

    let list = ["rejects", "list", "--config", "fiscwatch.yaml", "--json", "-n", "10000"];
    let (_, rejects, _) = run(bench.path(), &list);
    let mut found: BTreeMap<String, Outcome> = BTreeMap::new();
    let id = regex::Regex::new("(json|csv)-[0-9]+").unwrap();
    for reject in rejects.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let raw = reject["raw"].as_str().unwrap();
        let id = id.find(raw).unwrap().as_str().to_owned();
        found.insert(id, Err(reject["reason"].as_str().unwrap().to_owned()));
    }
    let sql = "select * from payments";
    let (code, rows, err) =
        run(bench.path(), &["state", "query", "--config", "fiscwatch.yaml", "--json", sql]);
    assert_eq!(code, Some(0), "{err}");
    let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut wrong = Vec::new();
    for (n, case) in cases.iter().enumerate() {
        for door in ["json", "csv"] {
            let id = format!("{door}-{n}");
            let row = rows.iter().find(|row| row["event_id"] == *id);
            let taken = row.map(|row| match &row[case.field] {
                Value::Null => Ok(NOTHING.to_owned()),
                Value::String(text) => Ok(text.clone()),
                other => Ok(other.to_string()),
            });
            let found = found.get(&id).cloned().or(taken);
            // The daemon knows what time it is, and shows times without needless zeros.
            if found.as_ref() != Some(&case.expected) {
                wrong.push(format!(
                    "{} {:?} as {door}: {found:?}, not {:?}",
                    case.field, case.given, case.expected
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// In JSON an exponent is exact, and a code is text.
#[test]
fn what_only_json_can_say() {
    for (name, number, expected) in [
        ("amount", "1.23E+05", Ok("123000.00")),
        ("amount", "1e-3", Err("bad_amount")),
        ("payee_account", "6228480012345678901", Err("wrong_type")),
        ("occurred_at", "1.7e12", Err("bad_time")),
        ("tags", "[\"三保\", \" 直达\", \"-\"]", Ok("[三保, 直达]")),
        ("tags", "[\"\\u202e三保\"]", Err("bad_text")),
        ("tags", "[\"NULL\"]", Ok(NOTHING)),
    ] {
        let case = Case {
            field: name,
            given: Number(number),
            expected: expected.map(Into::into).map_err(Into::into),
        };
        let payload = Payload::JsonLines(object(&case, "e").into());
        assert_eq!(
            outcome(&case, &decoder(Reading::default()).decode(&[block(payload)], None)),
            case.expected,
            "{number}"
        );
    }
}

/// Who sees `NULL` in a file is told why the field is missing.
#[test]
fn a_word_for_nothing_is_told() {
    let detail = |account: &str| {
        let mut event = payment("e", "L", "1.00");
        event["payee_account"] = json!(account);
        let payload = Payload::JsonLines(event.to_string().into());
        decoder(Reading::default()).decode(&[block(payload)], None).rejects[0].detail.clone()
    };
    assert_eq!(detail(""), "payee_account is missing");
    let told = "payee_account is missing (a word for nothing stands there; `nulls` at the source says which those are)";
    assert_eq!(detail("#N/A"), told);
}
