//! A feed that sends nothing but garbage: the quarantine stays within its bound, and every record is counted.

use rusqlite::Connection;
use serde_json::json;

use crate::support::{Bench, Daemon, lines, payment, run, run_once, wait_until};

/// Lines of 50 kB that are no JSON.
fn garbage(from: usize, count: usize) -> String {
    (from..from + count).fold(String::new(), |text, n| text + &format!("{n}{}\n", "x".repeat(50_000)))
}

fn metric(daemon: &Daemon, name: &str) -> u64 {
    let metrics = daemon.get("/metrics").1;
    let values = metrics.lines().filter(|line| line.starts_with(name));
    values.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[test]
fn a_full_quarantine_counts_and_the_stream_goes_on() {
    let bench = Bench::new("", "state: { dir: state, quarantine_mib: 1 }\n");
    let daemon = Daemon::start(bench.path());
    let all: Vec<String> = (0..12).map(|n| garbage(n * 4, 4)).collect();
    for part in &all {
        let (status, answer) = daemon.post("/api/v1/events", part);
        assert_eq!((status, answer.as_str()), (200, "{\"accepted\":0,\"duplicates\":0,\"rejected\":4}"));
    }
    // What can be read goes on.
    let good = lines(&[payment("a", "L1", "1.00")]);
    assert_eq!(daemon.post("/api/v1/events", &good).1, "{\"accepted\":1,\"duplicates\":0,\"rejected\":0}");
    let kept = 20;
    let bytes = metric(&daemon, "fiscwatch_quarantine_bytes ");
    assert!((900_000..=1 << 20).contains(&bytes), "{bytes}");
    assert_eq!(metric(&daemon, "fiscwatch_quarantine_limit_bytes "), 1 << 20);
    assert_eq!(metric(&daemon, "fiscwatch_quarantine_overflow_total"), 48 - kept);
    assert_eq!(metric(&daemon, "fiscwatch_quarantined_total"), 48);
    let status = daemon.json("/api/v1/status")["quarantine"].clone();
    assert_eq!(status, json!({"bytes": bytes, "limit_bytes": 1 << 20, "overflow_since_start": 48 - kept}));
    let said: Vec<String> = daemon.log.try_iter().collect();
    let with = |words: &str| said.iter().filter(|line| line.contains(words)).count();
    assert_eq!((with("the quarantine is nearly full"), with("the quarantine is full")), (1, 1), "{said:?}");
    assert_eq!(daemon.stop("-TERM"), Some(0));

    // None vanished: each is there, or in the digest over those that are not.
    let database = Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    let rows: u64 = database.query_row("SELECT count(*) FROM quarantine", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, kept);
    let sql = "SELECT records, bytes, digest FROM quarantine_overflow WHERE source = 'http' AND reason = 'invalid_json'";
    let (records, bytes, digest): (u64, usize, Vec<u8>) =
        database.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let text = all.concat();
    let left_out: Vec<&str> = text.lines().skip(usize::try_from(kept).unwrap()).collect();
    let expected = left_out.iter().fold([0; 32], |digest, line| {
        *blake3::Hasher::new().update(&digest).update(line.as_bytes()).finalize().as_bytes()
    });
    assert_eq!((records, bytes), (48 - kept, left_out.iter().map(|line| line.len()).sum()));
    assert_eq!(digest, expected);
    let (_, listed, _) = run(bench.path(), &["rejects", "list", "--config", "fiscwatch.yaml"]);
    assert!(listed.contains("there was no room for 28 more records of http"), "{listed}");
}

#[test]
fn what_was_replayed_makes_room() {
    let bench = Bench::new("", "state: { dir: state, quarantine_mib: 1 }\n");
    let daemon = Daemon::start(bench.path());
    assert_eq!(daemon.post("/api/v1/events", &garbage(0, 20)).0, 200);
    assert_eq!(daemon.stop("-TERM"), Some(0));
    // They are still garbage: read again they are rejected again, in the place of the first ones.
    let (code, said, err) = run(bench.path(), &["rejects", "replay", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1), "{err}");
    assert_eq!(said, "20 records read again: 0 accepted, 0 known already, 20 in quarantine again\n");
    let database = Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, u64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM quarantine WHERE replayed_at IS NULL"), 20);
    assert_eq!(count("SELECT count(*) FROM quarantine_overflow"), 0);
    assert!(count("SELECT sum(length(raw)) FROM quarantine") < 1 << 20);
}

#[test]
fn a_full_quarantine_stops_the_daemon_where_that_is_wanted() {
    let config = |mib: u64| {
        format!(
            "sources: [{{ name: feed, file: {{ path: events.jsonl }} }}]\n\
             state: {{ dir: state, quarantine_mib: {mib}, quarantine_full: stop }}\nhttp: {{ listen: '127.0.0.1:0' }}\n"
        )
    };
    let bench = Bench::new(&(garbage(0, 30) + &lines(&[payment("a", "L1", "1.00")])), "");
    std::fs::write(bench.path().join("fiscwatch.yaml"), config(1)).unwrap();
    for _ in 0..2 {
        let (code, _, said) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("the quarantine is full"), "{said}");
        assert!(said.contains("raise state.quarantine_mib"), "{said}");
    }
    std::fs::write(bench.path().join("fiscwatch.yaml"), config(2)).unwrap();
    assert!(run_once(&bench).wait().unwrap().success());
    let (findings, ledger) = bench.state();
    assert_eq!((findings.len(), ledger.len()), (1, 1));
}

#[test]
fn the_bound_holds_over_restarts() {
    let bench = Bench::new("", "state: { dir: state, quarantine_mib: 1 }\n");
    for n in 0..3 {
        let daemon = Daemon::start(bench.path());
        assert_eq!(daemon.post("/api/v1/events", &garbage(n * 15, 15)).0, 200);
        wait_until(|| metric(&daemon, "fiscwatch_quarantine_bytes ") > 700_000);
        assert!(metric(&daemon, "fiscwatch_quarantine_bytes ") <= 1 << 20);
    }
    let database = Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    let sql = "SELECT (SELECT count(*) FROM quarantine) + (SELECT sum(records) FROM quarantine_overflow)";
    assert_eq!(database.query_row(sql, [], |row| row.get::<_, u64>(0)).unwrap(), 45);
}
