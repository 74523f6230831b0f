//! One stream by several ways gives the same findings and the same ledger, byte for byte: lines, a table of a database, and
//! that table's change events.

use serde_json::{Value, json};

use crate::{
    kafka::{broker, debezium},
    postgres,
    support::{Bench, assert_same, lines, run, write},
};

fn once(bench: &Bench) -> (Vec<String>, Vec<String>) {
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    bench.state()
}

#[test]
fn lines_a_table_and_its_change_events_are_the_same_stream() {
    let events = postgres::reading::events(77, 2000);
    let file = Bench::new(
        &lines(&events),
        "sources: [{ name: core, file: { path: events.jsonl } }]\nstate: { dir: state }\n",
    );
    let expected = once(&file);
    assert!(expected.0.len() > 50 && expected.1.len() > 5);

    if let Some(server) = postgres::server::shared() {
        postgres::schema(server, "feeds");
        postgres::reading::make_table(server, "feeds.event", &events);
        postgres::reading::insert(server, "feeds.event", &events);
        let table = postgres::bench("", &postgres::config(server, "table: feeds.event, cursor: seq", ""));
        assert_same(&once(&table), &expected, "the table");
    }

    let Some(broker) = broker::shared() else { return };
    // As the connector writes them: decimals as text, instants as text, whole numbers as numbers.
    let row = |event: &Value| {
        let mut row = event.clone();
        for name in ["amount", "target", "actual"] {
            if let Some(number) = row.get(name).filter(|value| !value.is_string()) {
                row[name] = json!(number.to_string());
            }
        }
        row
    };
    let plain: Vec<_> = events
        .iter()
        .enumerate()
        .map(|(n, event)| debezium::change("c", &Value::Null, &row(event), n))
        .collect();
    let schema = debezium::schema(&[
        ("event_id", "string", ""),
        ("seq", "int64", ""),
        ("fiscal_year", "int32", ""),
        ("occurred_at", "string", "io.debezium.time.ZonedTimestamp"),
    ]);
    let wrapped: Vec<_> = plain.iter().map(|change| json!({"schema": schema, "payload": change})).collect();
    for (topic, messages) in [("feeds-plain", plain), ("feeds-schema", wrapped)] {
        broker.create(topic, 1, &[]);
        debezium::send(broker, topic, messages.iter().map(|message| Some(message.to_string())));
        let changes = Bench::new("", &debezium::config(broker, topic));
        write(changes.path(), "secret", "");
        assert_same(&once(&changes), &expected, topic);
    }
}
