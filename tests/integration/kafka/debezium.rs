//! Change events in Debezium's envelope, from a real broker where there is one. The messages are written after Debezium's
//! documentation; no connector runs.

use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use serde_json::{Map, Value, json};

use super::broker::{self, Broker};
use crate::support::{Bench, Daemon, payment, run, wait_until};

/// Sends payloads to a topic's first partition, tombstones where there are none.
pub fn send(broker: &Broker, topic: &str, payloads: impl IntoIterator<Item = Option<String>>) {
    let producer: ThreadedProducer<_> = broker.client().create().unwrap();
    for payload in payloads {
        let record = BaseRecord::<str, str>::to(topic).partition(0).key("k");
        let record = match &payload {
            Some(payload) => record.payload(payload),
            None => record,
        };
        producer.send(record).map_err(|(e, _)| e).unwrap();
    }
    producer.flush(std::time::Duration::from_mins(1)).unwrap();
}

/// A change of a row, as PostgreSQL's connector writes it.
pub fn change(op: &str, before: &Value, after: &Value, lsn: usize) -> Value {
    json!({
        "before": before, "after": after, "op": op, "ts_ms": 1_772_618_400_000i64, "transaction": null,
        "source": {
            "version": "3.0.0.Final", "connector": "postgresql", "name": "pay", "ts_ms": 1_772_618_400_000i64,
            "snapshot": if op == "r" { "true" } else { "false" }, "db": "pay", "schema": "pay", "table": "event",
            "txId": 571, "lsn": lsn, "xmin": null,
        },
    })
}

/// The schema of such changes, with these columns: name, type, meaning.
pub fn schema(columns: &[(&str, &str, &str)]) -> Value {
    let column = |(name, plain, meaning): &(&str, &str, &str)| {
        let mut column = Map::from_iter([
            (String::from("type"), json!(plain)),
            (String::from("optional"), json!(true)),
            (String::from("field"), json!(name)),
        ]);
        if !meaning.is_empty() {
            column.insert(String::from("name"), json!(meaning));
            column.insert(String::from("version"), json!(1));
        }
        Value::Object(column)
    };
    let row = |field: &str| {
        json!({"type": "struct", "fields": columns.iter().map(column).collect::<Vec<_>>(), "optional": true,
            "name": "pay.pay.event.Value", "field": field})
    };
    json!({"type": "struct", "optional": false, "name": "pay.pay.event.Envelope", "version": 1,
        "fields": [row("before"), row("after"), {"type": "string", "optional": false, "field": "op"}]})
}

pub fn config(broker: &Broker, topic: &str) -> String {
    format!(
        "sources: [{{ name: core, zone: Asia/Shanghai, kafka: {{ brokers: ['{}'], topics: [{topic}], format: debezium }} }}]\nstate: {{ dir: state }}\n",
        broker.address()
    )
}

fn once(bench: &Bench) {
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
}

/// Record, reason and detail of what is in quarantine.
fn rejects(bench: &Bench) -> Vec<(u64, String, String)> {
    let (code, out, err) = run(bench.path(), &["rejects", "list", "--json", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    let parse = |line: &str| {
        let reject: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| reject[name].as_str().unwrap_or_default().to_owned();
        (reject["record"].as_u64().unwrap(), text("reason"), text("detail"))
    };
    out.lines().map(parse).collect()
}

#[test]
fn new_rows_are_events_and_what_is_no_row_is_passed_over() {
    let Some(broker) = broker::shared() else { return };
    broker.create("changes", 1, &[]);
    let bench = Bench::new("", &config(broker, "changes"));
    let row = |id: &str| payment(id, "L", "1.00");
    let none = Value::Null;
    let mut changed = row("p2");
    changed["amount"] = json!("2.00");
    let messages = [
        Some(change("r", &none, &row("p1"), 1)),
        Some(change("c", &none, &row("p2"), 2)),
        // The same once more, as after a restart of the connector.
        Some(change("c", &none, &row("p2"), 2)),
        Some(change("u", &row("p2"), &changed, 3)),
        Some(change("d", &changed, &none, 4)),
        None,
        Some(change("d", &none, &none, 5)),
        Some(change("t", &none, &none, 6)),
        Some(
            json!({"status": "BEGIN", "id": "571:53195829", "ts_ms": 1, "event_count": null, "data_collections": null}),
        ),
        Some(json!({"status": "END", "id": "571:53195832", "ts_ms": 2, "event_count": 1,
            "data_collections": [{"data_collection": "pay.event", "event_count": 1}]})),
        Some(json!({"ts_ms": 1_772_618_400_000i64})),
        Some(
            json!({"source": {}, "ts_ms": 1, "databaseName": "pay", "ddl": "ALTER TABLE …", "tableChanges": []}),
        ),
        Some(json!({"op": "m", "ts_ms": 1, "source": {}, "message": {"prefix": "p", "content": "aGk="}})),
        Some(row("p3")),
        Some(change("x", &none, &row("p4"), 7)),
        Some(json!({"schema": null, "payload": null})),
        Some(
            json!({"schema": schema(&[("event_id", "string", "")]), "payload": change("c", &none, &row("p5"), 8)}),
        ),
    ];
    send(broker, "changes", messages.into_iter().map(|message| message.map(|message| message.to_string())));
    let daemon = Daemon::start(bench.path());
    let since = |daemon: &Daemon| daemon.json("/api/v1/status")["since_start"].clone();
    wait_until(|| since(&daemon)["accepted"] == 3);
    let counts =
        ["accepted", "duplicates", "rejected", "skipped"].map(|name| since(&daemon)[name].as_u64().unwrap());
    assert_eq!(counts, [3, 1, 6, 7]);
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let found = rejects(&bench);
    let reasons: Vec<_> = found.iter().map(|(record, reason, _)| (*record, reason.as_str())).collect();
    assert_eq!(
        reasons,
        [
            (3, "changed"),
            (4, "changed"),
            (6, "missing_field"),
            (7, "changed"),
            (13, "invalid_json"),
            (14, "unknown_value")
        ]
    );
    assert!(
        found[0].2.contains("(update)") && found[0].2.contains("skipped.operations=u,d,t"),
        "{}",
        found[0].2
    );
    assert!(found[2].2.contains("REPLICA IDENTITY FULL"), "{}", found[2].2);
    assert!(found[4].2.contains("`format: debezium`"), "{}", found[4].2);

    // What was refused is read again as the source's messages are.
    let (code, out, err) =
        run(bench.path(), &["rejects", "replay", "--reason", "changed", "--config", "fiscwatch.yaml"]);
    assert!(rejects(&bench).len() == 6, "{code:?} {out} {err}");
}

#[test]
fn amounts_and_times_are_exact_or_refused_with_the_setting_that_is_the_cause() {
    let Some(broker) = broker::shared() else { return };
    broker.create("encodings", 1, &[]);
    let bench = Bench::new("", &config(broker, "encodings"));
    let row = |id: &str, amount: Value, at: Value| {
        let mut row = payment(id, "L", "1.00");
        (row["amount"], row["occurred_at"]) = (amount, at);
        change("c", &Value::Null, &row, 1)
    };
    let with = |amount: (&str, &str), at: (&str, &str), payload: Value| {
        let schema = schema(&[
            ("event_id", "string", ""),
            ("amount", amount.0, amount.1),
            ("occurred_at", at.0, at.1),
            ("fiscal_year", "int32", "io.debezium.time.Year"),
        ]);
        json!({"schema": schema, "payload": payload})
    };
    let text = ("string", "");
    let micros = ("int64", "io.debezium.time.MicroTimestamp");
    let decimal = "org.apache.kafka.connect.data.Decimal";
    let noon = json!("2026-03-04T10:00:00+08:00");
    let messages = [
        // Taken: text, local times with the source's zone, a day, an instant.
        with(text, micros, row("a", json!("60150.51"), json!(1_772_618_400_000_000i64))),
        with(
            text,
            ("int64", "io.debezium.time.Timestamp"),
            row("b", json!("0.01"), json!(1_772_618_400_000i64)),
        ),
        with(text, ("int32", "io.debezium.time.Date"), row("c", json!("1"), json!(20516))),
        with(
            text,
            ("string", "io.debezium.time.ZonedTimestamp"),
            row("d", json!("1"), json!("2026-03-04T02:00:00Z")),
        ),
        row("e", json!("123456789012345.67"), noon.clone()),
        // Refused.
        with(("bytes", decimal), text, row("f", json!("W8gj"), noon.clone())),
        with(("double", ""), text, row("g", json!(60150.51), noon.clone())),
        row("h", json!(60150.51), noon.clone()),
        row("i", json!("W8gj"), noon.clone()),
        row("j", json!({"scale": 2, "value": "W8gj"}), noon),
        row("k", json!("1.00"), json!(1_772_618_400_000i64)),
    ];
    send(broker, "encodings", messages.iter().map(|message| Some(message.to_string())));
    once(&bench);
    let found = rejects(&bench);
    assert_eq!(found.len(), 6, "{found:?}");
    for (_, reason, detail) in &found[..5] {
        assert!(matches!(reason.as_str(), "inexact" | "bad_amount"), "{reason}: {detail}");
        assert!(detail.contains("amount") && detail.contains("decimal.handling.mode=string"), "{detail}");
    }
    assert!(
        found[5].1 == "bad_time" && found[5].2.contains("value.converter.schemas.enable=true"),
        "{found:?}"
    );
    let query = "SELECT event_id, amount, occurred_at FROM payments ORDER BY event_id";
    let (_, out, _) = run(bench.path(), &["state", "query", query, "--json", "--config", "fiscwatch.yaml"]);
    let rows: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let times: Vec<_> = rows.iter().map(|row| row["occurred_at"].as_str().unwrap()).collect();
    assert_eq!(times.len(), 5, "{out}");
    assert!(
        times.iter().enumerate().all(|(n, at)| at.starts_with(if n == 2 {
            "2026-03-04T00:00:00"
        } else {
            "2026-03-04T10:00:00"
        })),
        "{times:?}"
    );
    assert_eq!(
        (&rows[0]["amount"], &rows[4]["amount"]),
        (&json!("60150.51"), &json!("123456789012345.67")),
        "{out}"
    );
}
