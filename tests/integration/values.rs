//! One value means the same whoever reads it: each is given to JSON Lines, CSV, Parquet, messages of a broker and posted
//! bodies, and what comes out is compared.

use std::{collections::BTreeMap, fs::File, path::Path, sync::Arc};

use arrow::{
    array::{ArrayRef, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray},
    datatypes::{Field, Schema},
    record_batch::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use datafusion::parquet::arrow::ArrowWriter;
use fiscwatch::{
    decode::{Decoded, Decoder, Reading},
    event::{Column, schema::field, stamp::Unit},
    source::{Chunks, Format},
    stream::Payload,
};
use jiff::{civil::DateTime, tz::TimeZone};
use serde_json::{Value, json};

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

use Given::{Number, Stamp};

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

fn cases() -> Vec<Case> {
    let mut cases = vec![
        // Times.
        takes("occurred_at", text("2026-03-04T10:00:00+08:00"), "2026-03-04T10:00:00+08:00"),
        takes("occurred_at", text(" ２０２６-03-04T02:00:00Z"), "2026-03-04T10:00:00+08:00"),
        takes("occurred_at", text("2026-03-04"), "2026-03-04T00:00:00+08:00"),
        takes("occurred_at", Stamp("2026-03-04T10:00:00+08:00"), "2026-03-04T10:00:00+08:00"),
        refuses("occurred_at", Stamp("2026-12-31T17:00:00"), "bad_time"),
        refuses("occurred_at", text("2026-12-31 17:00:00"), "bad_time"),
        refuses("occurred_at", text("2026-12-31T17:00"), "bad_time"),
        refuses("occurred_at", text("2026-03-04T10:00:00+25:00"), "bad_time"),
        takes("occurred_at", Number("1772589600000"), "2026-03-04T10:00:00+08:00"),
        takes("occurred_at", text("1772589600000"), "2026-03-04T10:00:00+08:00"),
        refuses("occurred_at", Number("1772589600"), "bad_time"),
        refuses("occurred_at", text("1772589600"), "bad_time"),
        refuses("occurred_at", Number("1772589600000000"), "bad_time"),
        refuses("occurred_at", text("1772589600000000000"), "bad_time"),
        refuses("occurred_at", Number("20260304"), "bad_time"),
        refuses("occurred_at", Number("46085"), "bad_time"),
        refuses("occurred_at", Number("46085.5"), "bad_time"),
        refuses("occurred_at", text("1.7725896E+12"), "inexact"),
        refuses("occurred_at", text("-"), "missing_field"),
        takes("recorded_at", text("NULL"), NOTHING),
        refuses("recorded_at", Stamp("2026-12-31T17:00:00"), "bad_time"),
        // Amounts and numbers.
        takes("amount", Number("1234.5"), "1234.50"),
        takes("amount", text("1234.5"), "1234.50"),
        takes("amount", text("１２３４.５０"), "1234.50"),
        takes("amount", text("'1234.50 "), "1234.50"),
        takes("amount", text("=\"1234.50\""), "1234.50"),
        refuses("amount", text("1.23E+05"), "inexact"),
        refuses("amount", text("1e2"), "inexact"),
        refuses("amount", text("#N/A"), "missing_field"),
        refuses("amount", Number("12.345"), "bad_amount"),
        refuses("amount", text("1,234.50"), "bad_amount"),
        takes("fiscal_year", Number("2026"), "2026"),
        takes("fiscal_year", text("'2026"), "2026"),
        // Accounts.
        refuses("payee_account", text("6.22848E+18"), "inexact"),
        refuses("payee_account", text("6E+18"), "inexact"),
        takes("payee_account", text("6228480012345678901"), "6228480012345678901"),
        takes("payee_account", text("'6228480012345678901"), "6228480012345678901"),
        takes("payee_account", text("\u{feff}６２２８４８ "), "622848"),
        refuses("payee_account", text("622848\u{200b}001"), "bad_text"),
        refuses("payee_account", text("\u{202a}622848\u{202c}"), "bad_text"),
        refuses("payee_account", text("无"), "missing_field"),
        // Codes and words.
        refuses("unit_code", text("101\u{7}001"), "bad_text"),
        refuses("unit_code", text("101\t001"), "bad_text"),
        refuses("budget_line_id", text("L\u{fffd}1"), "bad_text"),
        takes("budget_line_id", text("预算 指标-001"), "预算 指标-001"),
        takes("settlement", text(" 'transfer "), "transfer"),
        refuses("settlement", text("transfers"), "unknown_value"),
        refuses("settlement", text("NULL"), "missing_field"),
        takes("project_code", text("1E5"), "1E5"),
        refuses("project_code", text("1.001E+05"), "inexact"),
        // Names are as given, but for blanks around them.
        takes("payee_name", text("\u{3000}ＡＢＣ（甲）公司 "), "ＡＢＣ（甲）公司"),
        takes("payee_name", text("Société Ge\u{301}ne\u{301}rale"), "Société Ge\u{301}ne\u{301}rale"),
        takes("payee_name", text("'s-Gravenhage"), "'s-Gravenhage"),
        takes("payee_name", text("甲\u{202e}公司"), "甲\u{202e}公司"),
        refuses("payee_name", text("NaN"), "missing_field"),
        takes("purpose", text("办公\n用品"), "办公\n用品"),
        // The currency.
        takes("currency", text(""), "CNY"),
        takes("currency", text("人民币"), "CNY"),
        takes("currency", text("rmb"), "CNY"),
        takes("currency", text("156"), "CNY"),
        refuses("currency", text("USD"), "currency"),
        refuses("currency", text("nonsense"), "currency"),
        // Ids.
        refuses("event_id", text("x".repeat(65)), "bad_event_id"),
        refuses("event_id", text("a\u{0}b"), "bad_text"),
    ];
    for code in ["001001", "'001001", "=\"001001\"", "001001 ", "\u{a0}001001", "００１００１"] {
        cases.push(takes("unit_code", text(code), "001001"));
    }
    for word in ["NULL", "null", "#N/A", "N/A", "-", "--", "/", "无", "nan", "\\N", "#REF!", " "] {
        cases.push(takes("purpose", text(word), NOTHING));
        cases.push(refuses("payee_account", text(word), "missing_field"));
    }
    for (field, most) in [
        ("unit_code", 64),
        ("payee_account", 64),
        ("contract_no", 128),
        ("payee_name", 256),
        ("purpose", 2000),
    ] {
        let (whole, longer) = ("长".repeat(most), "长".repeat(most + 1));
        cases.push(takes(field, text(&*whole), &whole));
        cases.push(refuses(field, text(longer), "too_long"));
    }
    cases
}

/// The same for a source that says how its values are written.
fn cases_of_a_site() -> Vec<Case> {
    vec![
        takes("occurred_at", text("2026-12-31T17:00:00"), "2026-12-31T17:00:00+08:00"),
        takes("occurred_at", text("2026-12-31 17:00:00.5"), "2026-12-31T17:00:00.500+08:00"),
        takes("occurred_at", Stamp("2026-12-31T17:00:00"), "2026-12-31T17:00:00+08:00"),
        takes("occurred_at", text("2026-12-31T17:00:00Z"), "2027-01-01T01:00:00+08:00"),
        takes("occurred_at", Number("46085"), "2026-03-04T00:00:00+08:00"),
        takes("occurred_at", Number("46085.75"), "2026-03-04T18:00:00+08:00"),
        takes("occurred_at", text("46085.4166666667"), "2026-03-04T10:00:00+08:00"),
        refuses("occurred_at", Number("1772589600000"), "bad_time"),
        refuses("occurred_at", text("1772589600000"), "bad_time"),
        refuses("payee_account", text("待补"), "missing_field"),
        takes("payee_account", text("-"), "-"),
    ]
}

fn site() -> Reading {
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    Reading::new(Some(zone), Unit::ExcelDays, Some(&["待补".to_owned()]))
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

/// A table that is all right takes the short way; one value that is not must not change what the others become.
#[test]
fn a_dressed_value_changes_no_other_row() {
    let row = |id: &str, unit: &str| {
        let mut event = payment(id, "L", "1.00");
        event["unit_code"] = json!(unit);
        format!("{event}\n")
    };
    let plain = decoder(Reading::default())
        .decode(&[block(Payload::JsonLines((row("a", "101") + &row("b", "102")).into()))], None);
    let dressed = decoder(Reading::default())
        .decode(&[block(Payload::JsonLines((row(" a", "'101") + &row("=\"b\"", "１０２")).into()))], None);
    assert_eq!((plain.ids, plain.contents), (dressed.ids, dressed.contents));
    assert_eq!(
        plain.events.column(Column::UnitCode.index()),
        dressed.events.column(Column::UnitCode.index())
    );
}

/// A source says how its times are written; what was refused before is read so when it is replayed.
#[test]
fn a_source_has_its_own_zone_and_a_replay_keeps_it() {
    let event = |id: &str, at: &str| {
        let mut event = payment(id, "L", "1.00");
        event["occurred_at"] = json!(at);
        format!("{event}\n")
    };
    let config = |zone: &str| {
        format!(
            "state: {{ dir: state }}\nsources:\n  - {{ name: core, file: {{ path: events.jsonl }}{zone} }}\n"
        )
    };
    let bench = Bench::new(&event("p1", "2026-03-04T10:00:00"), &config(""));
    let once =
        |code| assert_eq!(run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]).0, Some(code));
    once(1);
    crate::support::write(bench.path(), "fiscwatch.yaml", &config(", zone: Asia/Shanghai"));
    let (code, out, err) = run(bench.path(), &["rejects", "replay", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.starts_with("1 records read again: 1 accepted"), "{out}");
    let sql = "select occurred_at from payments";
    let (_, out, _) = run(bench.path(), &["state", "query", "--config", "fiscwatch.yaml", "--json", sql]);
    assert_eq!(out.trim(), "{\"occurred_at\":\"2026-03-04T10:00:00+08:00\"}");
    // A backtest reads files as that source.
    let backtest = ["backtest", "--config", "fiscwatch.yaml", "--events", "events.jsonl"];
    let (code, _, err) = run(bench.path(), &backtest);
    assert!(code == Some(1) && err.contains("say with `zone` at the source"), "{err}");
    let (code, _, err) = run(bench.path(), &[&backtest[..], &["--as", "core"]].concat());
    assert_eq!(code, Some(0), "{err}");
    let (code, _, err) = run(bench.path(), &[&backtest[..], &["--as", "cor"]].concat());
    assert!(
        code == Some(1) && err.contains("--as cor: the configuration has no such source; it has core, http"),
        "{err}"
    );
}

/// A row of CSV says nothing without its header; in quarantine it is an object that can be read again.
#[test]
fn a_row_of_csv_is_replayed_by_what_is_configured_now() {
    let row = |id: &str, at: &str, tags: &str| {
        format!(
            "{id},payment,{at},L,2026,330100000,101001,2050201,30201,direct,transfer,\"杭州, 某公司\",33010160006,entity,1.50,{tags}\n"
        )
    };
    let header = "event_id,type,occurred_at,budget_line_id,fiscal_year,region_code,unit_code,function_code,economic_code,\
        payment_mode,settlement,payee_name,payee_account,payee_type,amount,tags\n";
    let rows = [
        row("p0", "2026-03-04T10:00:00+08:00", ""),
        row("p1", "2026-03-04T10:00:00", "a; b"),
        // The same event with other content, and a row that does not fit its header.
        row("p0", "2026-03-04T11:00:00+08:00", "c"),
        String::from("p2,payment\n"),
    ];
    let config = |zone: &str| {
        format!(
            "state: {{ dir: state }}\nsources:\n  - {{ name: core, file: {{ path: events.csv }}{zone} }}\n"
        )
    };
    let bench = Bench::new("", &config(""));
    crate::support::write(bench.path(), "events.csv", &(header.to_owned() + &rows.concat()));
    let with_config = |args: &[&str]| run(bench.path(), &[args, &["--config", "fiscwatch.yaml"]].concat());
    assert_eq!(with_config(&["run", "--once"]).0, Some(0));
    let rejected = || -> Vec<(String, String)> {
        let (_, out, _) = with_config(&["rejects", "list", "--json"]);
        let parse = |line: &str| -> serde_json::Value { serde_json::from_str(line).unwrap() };
        let text = |r: &serde_json::Value, name: &str| r[name].as_str().unwrap().to_owned();
        out.lines().map(parse).map(|r| (text(&r, "reason"), text(&r, "raw"))).collect()
    };
    let reasons = || rejected().into_iter().map(|(reason, _)| reason).collect::<Vec<_>>();
    let before = rejected();
    let late = before.iter().find(|(reason, _)| reason == "bad_time").unwrap();
    let object: serde_json::Value = serde_json::from_str(&late.1).unwrap();
    assert_eq!(object["tags"], json!(["a", "b"]));
    assert_eq!((&object["payee_name"], &object["fiscal_year"]), (&json!("杭州, 某公司"), &json!("2026")));
    assert!(before.iter().any(|(reason, raw)| reason == "conflict" && raw.contains("\"tags\":[\"c\"]")));
    assert!(before.contains(&(String::from("invalid_csv"), String::from("p2,payment"))), "{before:?}");

    crate::support::write(bench.path(), "fiscwatch.yaml", &config(", zone: Asia/Shanghai"));
    let (code, out, err) = with_config(&["rejects", "replay"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(
        out.starts_with("2 records read again: 1 accepted, 0 known already, 1 in quarantine again"),
        "{out}"
    );
    assert!(err.contains("1 records are no JSON objects and stay as they are"), "{err}");
    let sql = "select event_id, occurred_at, amount, payee_name, tags from payments where event_id = 'p1'";
    let (_, out, _) = with_config(&["state", "query", "--json", sql]);
    let event: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(event["occurred_at"], "2026-03-04T10:00:00+08:00", "{out}");
    assert_eq!((&event["amount"], &event["payee_name"]), (&json!("1.50"), &json!("杭州, 某公司")), "{out}");
    // What is still wrong is so for the same reason, and what cannot be read again keeps its own.
    let mut after = reasons();
    after.sort();
    assert!(
        after.contains(&String::from("conflict")) && after.contains(&String::from("invalid_csv")),
        "{after:?}"
    );
    assert!(!after.contains(&String::from("invalid_json")), "{after:?}");
}

#[test]
fn one_currency_is_configured() {
    let mut euro = payment("e1", "L", "1.00");
    euro["currency"] = json!("EUR");
    let mut yuan = payment("e2", "L", "1.00");
    yuan["currency"] = json!("人民币");
    let bench =
        Bench::new(&crate::support::lines(&[euro, yuan, payment("e3", "L", "1.00")]), "currency: EUR\n");
    let (_, ledger) = bench.backtest(&[]);
    assert!(ledger[0].contains("\"executed\":\"2.00\""), "{ledger:?}");
    crate::support::write(
        bench.path(),
        "fiscwatch.yaml",
        "currency: euro\nsources: [{ name: a, stdin: {}, zone: Mars }]\n",
    );
    let (code, _, err) = run(bench.path(), &["check", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("currency: \"euro\" is no code of a currency: write three capitals such as CNY"),
        "{err}"
    );
    assert!(err.contains("source \"a\": zone: unknown time zone \"Mars\""), "{err}");
}

/// Names that are written so that a comparison of characters misses them, and what a terminal and a spreadsheet get.
#[test]
fn a_disguised_name_is_found_and_steers_nothing() {
    let names = [
        "杭州\u{200b}某公司",
        "\u{202d}杭州某公司\u{202c}",
        "市⻓⻔公司\u{0}",
        "杭 州 某 公 司",
        "Cafe\u{301} MÜLLER ＆ O`Brien GmbH",
        "CAFÉ müller & o\u{2019}brien gmbh",
        "С\u{410}FÉ Müller & O'Brien GmbH",
        "=cmd|' /C calc'!A0\u{1b}[2J",
        "杭州某分公司",
    ];
    let mut events: Vec<Value> = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let mut event = payment(&format!("p{n}"), "L", "1.00");
        event["payee_name"] = json!(name);
        events.push(event);
    }
    let mut broken = payment("bad\u{1b}[2J", "L", "1.00");
    broken["unit_code"] = json!("1\u{202e}");
    events.push(broken);
    let config = "state: { dir: state }\nlists: { black: { path: black.csv } }\nsources: [{ name: a, file: { path: events.jsonl } }]\n";
    let bench = Bench::new(&crate::support::lines(&events), config);
    crate::support::write(
        bench.path(),
        "black.csv",
        "name\n杭州某公司\nCafé Müller & O’Brien GmbH\n市长门公司\n",
    );
    let rules = "rules:\n  - { id: black, title: t, severity: high, trigger: payment, when: \"name_in_list('black', payee_name)\", key: [event_id], summary: '{{ payee_name }}' }
  - { id: hidden, title: t, severity: low, trigger: payment, when: suspicious_text(payee_name), key: [event_id], summary: '{{ payee_name }}' }\n";
    crate::support::write(bench.path(), "rules/rules.yaml", rules);
    let (findings, _) = bench.backtest(&[]);
    let found = |rule: &str| -> Vec<String> {
        let of: Vec<Value> = findings.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        of.iter()
            .filter(|f| f["rule_id"] == rule)
            .map(|f| f["event_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(found("black"), ["p0", "p1", "p2", "p3", "p4", "p5", "p6"]);
    assert_eq!(found("hidden"), ["p0", "p1", "p2", "p6", "p7"]);

    let once = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(once.0, Some(0), "{}", once.2);
    let config = ["--config", "fiscwatch.yaml"];
    let sql = "select payee_name from payments order by event_id";
    for command in
        [&["findings", "list"][..], &["alerts", "list"], &["rejects", "list"], &["state", "query", sql]]
    {
        let (_, out, err) = run(bench.path(), &[command, &config[..]].concat());
        let steers =
            |c: &char| c.is_control() && *c != '\n' || matches!(*c, '\u{200b}' | '\u{202d}' | '\u{202e}');
        assert_eq!((out + &err).chars().find(steers), None, "{command:?}");
    }
    for command in [&["findings", "list", "--csv"][..], &["state", "query", "--csv", sql]] {
        let (_, out, _) = run(bench.path(), &[command, &config[..]].concat());
        assert!(out.contains("'=cmd|") && !out.contains(",=cmd") && !out.contains("\n=cmd"), "{out}");
    }
}
