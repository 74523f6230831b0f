//! Runs that seal, are killed while they do, and open what older versions sealed.

use arrow::array::AsArray;
use fiscwatch::store::{JournalView, ReadOrder, Select};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::{info, scans::scan, stream};
use crate::support::{Bench, Daemon, decoder, kill_after, lines, run, run_once, wait_until};

const SEALING: &str = "
sources: [{ name: feed, file: { path: events.jsonl } }]
state: { dir: state, checkpoint_events: 700, seal_after: 0s, duplicate_horizon: 6d }
engine: { batch_rows: 40 }
";

#[test]
fn a_run_that_seals_ends_where_a_backtest_ends_and_goes_on() {
    let events = stream(11, 9000, 4 * 60_000_000);
    let bench = Bench::new(&lines(&events), SEALING);
    let expected = bench.backtest(&[]);
    // In parts, so that a start finds sealed files, and events that repeat sealed ones.
    for end in [3000, 6000, 9000] {
        std::fs::write(bench.path().join("events.jsonl"), lines(&events[..end])).unwrap();
        let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(0), "{err}");
        let info = info(&bench);
        assert!(info["sealed_events"].as_i64().unwrap() > i64::try_from(end).unwrap() / 2, "{info}");
        assert!(
            info["sealed_bytes"].as_i64().unwrap() > 0 && info["sealed_files"].as_i64().unwrap() > 3,
            "{info}"
        );
        assert!(info["bytes"].as_i64() > info["sealed_bytes"].as_i64());
    }
    assert_eq!(bench.state(), expected);
    // All of it once more changes nothing, whether it is remembered or looked up.
    let accepted = info(&bench)["events"].clone();
    let daemon = Daemon::start(bench.path());
    // In parts, so that a busy machine answers each in time.
    for part in events.chunks(500) {
        let (status, answer) = daemon.post("/api/v1/events", &lines(part));
        assert_eq!(status, 200, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["accepted"], json!(0), "{answer}");
    }
    let metrics = daemon.get("/metrics").1;
    assert!(metrics.contains(&format!("fiscwatch_journal_events {accepted}\n")), "{metrics}");
    drop(daemon);
    assert_eq!(bench.state(), expected);
    assert_eq!(info(&bench)["events"], accepted);
}

#[test]
fn killed_while_it_seals_it_ends_where_an_undisturbed_run_ends() {
    let kills: u32 = std::env::var("FISCWATCH_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    let seed: u64 = std::env::var("FISCWATCH_TEST_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut killed = 0;
    while killed < kills {
        let events = stream(rng.next_u64(), 9000, 4 * 60_000_000);
        let bench = Bench::new(&lines(&events), SEALING);
        let expected = bench.backtest(&[]);
        // Something is sealed before the first kill.
        std::fs::write(bench.path().join("events.jsonl"), lines(&events[..3000])).unwrap();
        let started = std::time::Instant::now();
        assert_eq!(run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]).0, Some(0));
        assert_ne!(info(&bench)["sealed_files"], json!(0));
        let part = started.elapsed();
        std::fs::write(bench.path().join("events.jsonl"), lines(&events)).unwrap();
        for _ in 0..8 {
            if !kill_after(run_once(&bench), part.mul_f64(rng.random_range(0.1..2.0))) {
                break;
            }
            killed += 1;
        }
        assert!(run_once(&bench).wait().unwrap().success());
        assert_eq!(bench.state(), expected, "after {killed} kills, seed {seed}");
        let history = JournalView::open(&bench.path().join("state"), decoder().schema()).unwrap();
        let ids = scan(&history, &Select::default(), Some(&[0]), ReadOrder::Arrival);
        let ids: std::collections::BTreeSet<_> = ids.column(0).as_string_view().iter().flatten().collect();
        assert_eq!(ids.len() as u64, history.events().unwrap(), "an event twice");
    }
}

#[test]
fn a_state_of_version_1_opens_and_is_sealed() {
    let mut events = stream(12, 3000, 10 * 60_000_000);
    // It knew no openings, and nothing that banks say.
    let unknown = |event: &Value| {
        event["action"] == "opening" || event["type"] == "confirmation" || event["type"] == "receipt"
    };
    events.retain(|event| !unknown(event));
    let bench = Bench::new(&lines(&events[..2000]), SEALING);
    // What a version 1 would have left: its schema, and the blocks that this version writes in the same way.
    let state = bench.path().join("state");
    let unsealed =
        Bench::new(&lines(&events[..2000]), &SEALING.replace("seal_after: 0s", "seal_after: 9999d"));
    assert_eq!(run(unsealed.path(), &["run", "--once", "--config", "fiscwatch.yaml"]).0, Some(0));
    std::fs::create_dir(&state).unwrap();
    let old = rusqlite::Connection::open(state.join("fiscwatch.db")).unwrap();
    old.execute_batch(include_str!("../fixtures/schema_v1.sql")).unwrap();
    old.execute("ATTACH ?1 AS new", [unsealed.path().join("state/fiscwatch.db").to_str().unwrap()]).unwrap();
    for table in ["positions", "journal", "findings", "quarantine", "lines", "applications"] {
        // The columns that there were then.
        let sql = format!("SELECT group_concat(name) FROM pragma_table_info('{table}', 'main')");
        let columns: String = old.query_row(&sql, [], |row| row.get(0)).unwrap();
        old.execute(&format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM new.{table}"), [])
            .unwrap();
    }
    old.execute("UPDATE meta SET value = (SELECT value FROM new.meta n WHERE n.name = meta.name)", [])
        .unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);

    let (code, _, err) = run(bench.path(), &["state", "info", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    let reads = fiscwatch::store::SCHEMA_VERSION;
    assert!(
        err.contains(&format!(
            "was written by an older fiscwatch (schema 1, this one reads {reads}). Start `fiscwatch run`"
        )),
        "{err}"
    );
    std::fs::write(bench.path().join("events.jsonl"), lines(&events)).unwrap();
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(info(&bench)["sealed_events"].as_i64().unwrap() > 1000);
    assert_eq!(bench.state(), bench.backtest(&[]));
}

#[test]
fn a_retention_that_is_too_short_is_refused() {
    let bench = Bench::new("", "state: { dir: state, retain: 179d }\n");
    let (code, _, err) = run(bench.path(), &["check", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("state.retain: \"179d\" is too short: keep events for 180d or longer"), "{err}");
    let bench = Bench::new("", "state: { dir: state, retain: 180d }\n");
    assert_eq!(run(bench.path(), &["check", "--config", "fiscwatch.yaml"]).0, Some(0));
}

#[test]
fn a_daemon_seals_while_it_runs() {
    let config = SEALING.replace("path: events.jsonl", "path: events.jsonl, follow: true");
    let bench = Bench::new(&lines(&stream(13, 4000, 10 * 60_000_000)), &config);
    let daemon = Daemon::start(bench.path());
    wait_until(|| {
        let metrics = daemon.get("/metrics").1;
        metrics.lines().any(|l| l.strip_prefix("fiscwatch_sealed_events_total ").is_some_and(|n| n != "0"))
    });
    assert_eq!(daemon.stop("-TERM"), Some(0));
    assert!(info(&bench)["sealed_files"].as_i64().unwrap() > 0);
}
