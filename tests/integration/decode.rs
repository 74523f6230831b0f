//! Strict decoding: what is refused and why, and that every format says the same.

use std::{fs::File, io::Write, path::Path, sync::Arc};

use arrow::array::{AsArray, Decimal128Array, StringArray};
use arrow::datatypes::{DataType, Decimal128Type, Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use fiscwatch::{
    event::{Column, Instant},
    source::{Chunks, Format},
    stream::Payload,
};
use serde_json::{Value, json};

use crate::support::{Bench, block, decode_lines, decoder, lines, payment, random_events, run};

fn with(name: &str, value: Value) -> String {
    let mut event = payment("e", "L", "1.00");
    event[name] = value;
    lines(&[event])
}

#[test]
fn refused_records_say_why() {
    let long = "x".repeat(65);
    let cases: Vec<(String, &str, &str)> = vec![
        ("{".into(), "invalid_json", "it breaks off at column 1"),
        (
            "[1]\n".into(),
            "invalid_json",
            "a JSON array. Send one object a line, without brackets and commas around them",
        ),
        (with("amount", json!("12.345")), "bad_amount", "amount \"12.345\": more than 2 decimals"),
        (with("amount", json!(-5)), "bad_amount", "amount \"-5\": not greater than zero"),
        (with("amount", json!(1e17)), "bad_amount", "amount \"1e+17\": not below 10,000,000,000,000,000.00"),
        (
            with("amount", json!("1.23E+05")),
            "inexact",
            "amount \"1.23E+05\" has lost its digits, as spreadsheets write long numbers. Format the column as text there, fill it again and export it again",
        ),
        (
            with("amount", json!(true)),
            "wrong_type",
            "amount is true or false, but must be a decimal as a string or a number",
        ),
        (with("amount", Value::Null), "missing_field", "amount is missing"),
        (with("unit_code", json!(101)), "wrong_type", "unit_code is a number, but must be a string"),
        (with("unit_code", json!("")), "missing_field", "unit_code is missing"),
        (
            with("settlement", json!("barter")),
            "unknown_value",
            "settlement \"barter\" is not one of transfer, cash, card, cheque",
        ),
        (
            with("type", json!("gift")),
            "unknown_value",
            "type \"gift\" is not one of application, payment, withdrawal, refund, correction, budget, indicator, confirmation, receipt, reversal",
        ),
        (
            with("occurred_at", json!("2026-03-04T10:00:00")),
            "bad_time",
            "occurred_at \"2026-03-04T10:00:00\": a time without an offset. Write it with one (+08:00), or say with `zone` at the source (of posted events: http.events.zone) which zone such times are in",
        ),
        (
            with("occurred_at", json!(1.5)),
            "bad_time",
            "occurred_at \"1.5\": a number must be whole milliseconds since the epoch",
        ),
        (with("fiscal_year", json!(26)), "bad_time", "fiscal_year \"26\": not a year of four digits"),
        (with("event_id", json!(long)), "bad_event_id", "event_id has 65 characters, 64 are allowed"),
        (with("tags", json!("a")), "wrong_type", "tags is text, but must be a list of strings"),
        (
            "{\"event_id\":\"a\",\"event_id\":\"b\"}".into(),
            "invalid_json",
            "the field \"event_id\" appears twice",
        ),
    ];
    for (line, reason, detail) in cases {
        // A good record before and after must come through whatever stands between them.
        let good = |id| lines(&[payment(id, "L", "1.00")]);
        let decoded = decode_lines(&format!("{}{}\n{}", good("a"), line.trim_end(), good("z")));
        assert_eq!(decoded.types.len(), 2, "{line}");
        let reject = &decoded.rejects[0];
        assert_eq!((reject.reason.code(), reject.detail.as_str()), (reason, detail), "{line}");
        assert_eq!(reject.record, 2);
        assert_eq!(reject.raw, line.trim_end().as_bytes());
    }
}

#[test]
fn bytes_that_are_no_text_and_records_that_are_too_long() {
    let good = lines(&[payment("a", "L", "1.00")]);
    let mut bytes = good.clone().into_bytes();
    bytes.extend(b"{\"event_id\":\"\xff\"}\n");
    bytes.extend(format!("{{\"event_id\":\"{}\"}}\n", "y".repeat(2 << 20)).bytes());
    let decoded = decoder().decode(&[block(Payload::JsonLines(bytes.into()))], None);
    let found: Vec<_> = decoded.rejects.iter().map(|r| (r.reason.code(), r.record, r.raw.len())).collect();
    assert_eq!(found, [("not_utf8", 2, 16), ("too_large", 3, 1 << 20)]);
    assert_eq!(decoded.types.len(), 1);
}

#[test]
fn money_is_exact_from_text_and_from_numbers() {
    for (value, cents) in [
        ("\"0.1\"", 10),
        ("0.1", 10),
        ("1234567890123.45", 123_456_789_012_345),
        ("9999999999999999.99", 999_999_999_999_999_999),
        ("1e2", 10_000),
        ("100.10", 10_010),
    ] {
        let line = with("amount", json!("@")).replace("\"@\"", value);
        let decoded = decode_lines(&line);
        assert_eq!(decoded.rejects, [], "{value}");
        let amounts = decoded.events.column(Column::Amount.index()).as_primitive::<Decimal128Type>();
        assert_eq!(amounts.value(0), cents, "{value}");
    }
}

#[test]
fn unknown_fields_are_counted_and_ignored() {
    let mut event = payment("e", "L", "1.00");
    event["colour"] = json!({"deep": [1, 2]});
    let decoded = decode_lines(&lines(&[event.clone(), event]));
    assert_eq!(decoded.rejects, []);
    assert_eq!(decoded.unknown_fields.into_iter().collect::<Vec<_>>(), [("colour".to_owned(), 2)]);
}

#[test]
fn the_content_is_the_same_however_it_is_written() {
    let plain = decode_lines(&lines(&[payment("e", "L", "1.5")]));
    let mut other = payment("e", "L", "1.50");
    other["occurred_at"] = json!(1_772_589_600_000i64);
    other["currency"] = json!("CNY");
    other["purpose"] = Value::Null;
    // Another order of fields, and escapes.
    let fields: serde_json::Map<_, _> = other.as_object().unwrap().clone().into_iter().rev().collect();
    let text = Value::Object(fields).to_string().replace("杭州", "\\u676d\\u5dde");
    let escaped = decode_lines(&text);
    assert_eq!(escaped.rejects, []);
    assert_eq!(plain.contents, escaped.contents);
    let name = escaped.events.column(Column::PayeeName.index()).as_string_view().value(0);
    assert_eq!(name, "杭州某公司");
    assert_ne!(plain.contents, decode_lines(&lines(&[payment("e", "L", "1.51")])).contents);
}

#[test]
fn a_time_ahead_of_the_clock_is_refused_only_with_a_clock() {
    let text = lines(&[payment("e", "L", "1.00")]);
    let blocks = [block(Payload::JsonLines(text.into()))];
    assert_eq!(decoder().decode(&blocks, None).rejects, []);
    let decoded = decoder().decode(&blocks, Some(Instant::from_micros(1_700_000_000_000_000)));
    assert_eq!(decoded.rejects[0].reason.code(), "future_time");
}

/// Writes the same events as CSV and Parquet (all columns text but the amount).
fn write_formats(dir: &Path, events: &[Value]) {
    let names: Vec<&str> =
        fiscwatch::event::schema::FIELDS.iter().map(|f| f.name).filter(|n| *n != "tags").collect();
    let text = |event: &Value, name: &str| match &event[name] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let mut csv = csv::Writer::from_path(dir.join("events.csv")).unwrap();
    csv.write_record(&names).unwrap();
    for event in events {
        csv.write_record(names.iter().map(|n| text(event, n).unwrap_or_default())).unwrap();
    }
    csv.flush().unwrap();
    let cents = |event: &Value| {
        let amount: Option<rust_decimal::Decimal> = event["amount"].as_str().and_then(|t| t.parse().ok());
        amount.map(|mut a| {
            a.rescale(4);
            a.mantissa()
        })
    };
    let columns = names.iter().map(|name| -> (Field, arrow::array::ArrayRef) {
        if *name == "amount" {
            let array = events.iter().map(cents).collect::<Decimal128Array>();
            let array = array.with_precision_and_scale(38, 4).unwrap();
            (Field::new(*name, DataType::Decimal128(38, 4), true), Arc::new(array))
        } else {
            let array = events.iter().map(|e| text(e, name)).collect::<StringArray>();
            (Field::new(*name, DataType::Utf8, true), Arc::new(array))
        }
    });
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(dir.join("events.parquet")).unwrap(), batch.schema(), None)
            .unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let bytes = std::fs::read(dir.join("events.jsonl")).unwrap();
    let mut gz = flate2::write::GzEncoder::new(
        File::create(dir.join("events.jsonl.gz")).unwrap(),
        flate2::Compression::fast(),
    );
    gz.write_all(&bytes).unwrap();
    gz.finish().unwrap();
    std::fs::write(dir.join("events.jsonl.zst"), zstd::encode_all(&bytes[..], 1).unwrap()).unwrap();
}

#[test]
fn every_format_gives_the_same_findings_and_ledger() {
    let mut events = random_events(7, 1500);
    // Amounts that are no decimals cannot be written as a decimal column.
    events.retain(|e| e["amount"].as_str().is_none_or(|a| a.parse::<rust_decimal::Decimal>().is_ok()));
    let bench = Bench::new(&lines(&events), "");
    write_formats(bench.path(), &events);
    let expected = bench.backtest(&[]);
    assert!(expected.0.len() > 50);
    for name in ["events.csv", "events.parquet", "events.jsonl.gz", "events.jsonl.zst"] {
        let args = [
            "backtest",
            "--config",
            "fiscwatch.yaml",
            "--events",
            name,
            "--findings",
            "f2.jsonl",
            "--ledger",
            "l2.jsonl",
        ];
        let (code, _, err) = run(bench.path(), &args);
        assert_eq!(code, Some(0), "{name}: {err}");
        let found = |file: &str| crate::support::file_lines(&bench.path().join(file));
        assert_eq!(found("f2.jsonl"), expected.0, "{name}");
        assert_eq!(found("l2.jsonl"), expected.1, "{name}");
    }
}

#[test]
fn chunks_cover_a_file_without_gap_whatever_their_size() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("{{\"event_id\":\"{}\"}}", "y".repeat(3 << 20));
    let text = format!(
        "{}\n{long}\n\n{}",
        lines(&[payment("a", "L", "1.00")]).trim(),
        lines(&[payment("b", "L", "2.00")]).trim()
    );
    let path = crate::support::write(dir.path(), "events.jsonl", &text);
    for rows in [1, 2, 1000] {
        let mut chunks = Chunks::open(&path, Format::of(&path, None), rows, (0, 0), false, None).unwrap();
        let (mut at, mut accepted, mut reasons) = (0, 0, Vec::new());
        while let Some(chunk) = chunks.next_chunk().unwrap() {
            assert_eq!(chunk.from, at);
            at = chunk.to;
            let decoded = decoder().decode(&[block(chunk.payload)], None);
            accepted += decoded.types.len();
            reasons.extend(decoded.rejects.iter().map(|r| r.reason.code()));
        }
        assert_eq!((at, accepted), (text.len() as u64, 2), "rows {rows}");
        assert_eq!(reasons, ["too_large"]);
    }
}

#[test]
fn a_record_that_is_too_long_is_one_record_even_while_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = crate::support::write(dir.path(), "events.jsonl", &"y".repeat(3 << 20));
    let mut chunks = Chunks::open(&path, Format::of(&path, None), 10, (0, 0), true, None).unwrap();
    for _ in 0..3 {
        // A process that starts again here must not take the rest for a record.
        assert!(chunks.next_chunk().unwrap().is_none());
        assert_eq!(chunks.position(), (0, 0));
    }
    let good = lines(&[payment("a", "L", "1.00")]);
    crate::support::append(&path, &format!("yy\n{good}"));
    let long = chunks.next_chunk().unwrap().unwrap();
    assert!(matches!(&long.payload, Payload::Rejected(rejects) if rejects[0].raw.len() == 1 << 20));
    assert_eq!((long.from, long.to, long.next_record), (0, (3 << 20) + 3, 1));
    let next = chunks.next_chunk().unwrap().unwrap();
    assert_eq!(decoder().decode(&[block(next.payload)], None).types.len(), 1);
}
