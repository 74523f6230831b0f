//! Rows of databases that change: change events from a real broker, a table of a real PostgreSQL, whoever is killed.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::daemon::once;
use crate::{
    kafka::{
        broker,
        debezium::{change, send},
    },
    postgres::{self, server},
    support::{Bench, Daemon, payment, run, wait_until},
};

/// Executed, cleared and uncleared of the lines that are not empty.
type Books = BTreeMap<String, [String; 3]>;

fn books(bench: &Bench) -> Books {
    let line = |line: &String| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        (text("budget_line_id"), ["executed", "cleared", "uncleared"].map(text))
    };
    let mut books: Books = bench.state().1.iter().map(line).collect();
    books.retain(|_, sums| sums.iter().any(|sum| sum != "0.00"));
    books
}

/// The books of rows: payments, of which those are cleared that the bank has answered.
fn expected<'r>(rows: impl Iterator<Item = &'r Value>) -> Books {
    let mut sums: BTreeMap<String, [i128; 3]> = BTreeMap::new();
    for row in rows {
        let cents: i128 = row["amount"].as_str().unwrap().replace('.', "").parse().unwrap();
        let cleared = if row["bank_ref"].is_string() { cents } else { 0 };
        let sums = sums.entry(row["budget_line_id"].as_str().unwrap().to_owned()).or_default();
        let change = [cents, cleared, cents - cleared];
        sums.iter_mut().zip(change).for_each(|(sum, cents)| *sum += cents);
    }
    let shown = |cents: i128| format!("{}.{:02}", cents / 100, cents % 100);
    sums.into_iter().map(|(line, sums)| (line, sums.map(shown))).collect()
}

/// Something else of a payment.
fn changed(rng: &mut ChaCha8Rng, row: &Value) -> Value {
    let mut row = row.clone();
    match rng.random_range(0..5) {
        0 => row["amount"] = json!(format!("{}.00", rng.random_range(1..900))),
        1 => row["budget_line_id"] = json!(format!("L{}", rng.random_range(0..3))),
        2 => row["payee_name"] = json!("另一公司"),
        _ => {
            row["actual_payee_name"] = json!("杭州某公司");
            row["bank_ref"] = json!(format!("B{}", rng.random_range(0..9)));
        }
    }
    row
}

fn nothing_in_quarantine(bench: &Bench) {
    let (code, out, err) = run(bench.path(), &["rejects", "list", "--json", "--config", "fiscwatch.yaml"]);
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
}

#[test]
fn updates_deletes_and_tombstones_of_a_change_stream() {
    let Some(broker) = broker::shared() else { return };
    broker.create("versions", 1, &[]);
    let config = format!(
        "sources: [{{ name: core, mode: upsert, upsert: {{ key: [event_id] }},\n  kafka: {{ brokers: ['{}'], topics: [versions], format: debezium }} }}]\n\
         state: {{ dir: state }}\nengine: {{ batch_rows: 20 }}\n",
        broker.address()
    );
    let bench = Bench::new("", &config);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (mut rows, mut messages): (BTreeMap<usize, Value>, _) =
        (BTreeMap::new(), Vec::<Option<String>>::new());
    for lsn in 1..900 {
        let key = rng.random_range(0..60);
        let event_id = |key: usize| format!("v{key}");
        let (op, before, after) = match rows.get(&key) {
            None => {
                ("c", Value::Null, payment(&event_id(key), "L0", &format!("{}.50", rng.random_range(1..900))))
            }
            Some(row) if rng.random_ratio(1, 6) => ("d", row.clone(), Value::Null),
            // The key of a row changes: it is another one from then on.
            Some(row) if rng.random_ratio(1, 12) => {
                let mut moved = row.clone();
                moved["event_id"] = json!(event_id(1000 + lsn));
                ("u", row.clone(), moved)
            }
            Some(row) => ("u", row.clone(), changed(&mut rng, row)),
        };
        rows.remove(&key);
        if after.is_object() {
            let id = after["event_id"].as_str().unwrap().trim_start_matches('v').parse().unwrap();
            rows.insert(id, after.clone());
        }
        messages.push(Some(change(op, &before, &after, lsn).to_string()));
        if op == "d" {
            messages.push(None);
        }
        // As after a restart of the connector.
        if rng.random_ratio(1, 10) {
            let from = messages.len().saturating_sub(5);
            messages.extend(messages[from..].to_vec());
        }
    }
    let count = messages.len();
    let mut waiting = messages.into_iter();
    for part in 0..6 {
        send(broker, "versions", waiting.by_ref().take(count / 6 + 1));
        let daemon = Daemon::launch(bench.path());
        wait_until(|| daemon.json("/api/v1/status")["since_start"]["accepted"] != 0 || part > 4);
        // The drop is a kill -9.
    }
    once(bench.path());
    nothing_in_quarantine(&bench);
    assert_eq!(books(&bench), expected(rows.values()));
}

const COLUMNS: &str = "event_id, type, occurred_at, budget_line_id, fiscal_year, region_code, unit_code, function_code, \
    economic_code, payment_mode, settlement, payee_name, payee_account, payee_type, amount, actual_payee_name, bank_ref";

#[test]
fn rows_of_a_table_that_change() {
    let Some(server) = server::shared() else { return };
    postgres::schema(server, "versions");
    server.sql(
        "CREATE TABLE versions.v (event_id text PRIMARY KEY, type text, occurred_at timestamptz, budget_line_id text, fiscal_year int, \
         region_code text, unit_code text, function_code text, economic_code text, payment_mode text, settlement text, \
         payee_name text, payee_account text, payee_type text, amount numeric(18, 2), actual_payee_name text, bank_ref text, \
         written bigint GENERATED BY DEFAULT AS IDENTITY)",
    );
    let config = postgres::config(server, "table: versions.v, cursor: written, overlap_values: 5", "")
        .replace("name: core,", "name: core, mode: upsert, upsert: { key: [event_id] },");
    let bench = postgres::bench("", &format!("{config}engine: {{ batch_rows: 20 }}\n"));
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut rows: BTreeMap<usize, Value> = BTreeMap::new();
    for part in 0..5 {
        let mut sql = String::new();
        for _ in 0..60 {
            let key = rng.random_range(0..40);
            let row = match rows.get(&key) {
                None => payment(&format!("v{key}"), "L0", &format!("{}.50", rng.random_range(1..900))),
                Some(row) => changed(&mut rng, row),
            };
            let text = row.to_string().replace('\'', "''");
            // What the identity gives is the version.
            sql.push_str(&format!(
                "DELETE FROM versions.v WHERE event_id = 'v{key}'; \
                 INSERT INTO versions.v ({COLUMNS}) SELECT {COLUMNS} FROM json_populate_record(null::versions.v, '{text}');"
            ));
            rows.insert(key, row);
        }
        server.sql(&sql);
        let daemon = Daemon::launch(bench.path());
        wait_until(|| daemon.json("/api/v1/status")["since_start"]["accepted"] != 0 || part > 3);
    }
    once(bench.path());
    nothing_in_quarantine(&bench);
    assert_eq!(books(&bench), expected(rows.values()));
}
