//! Another program holds the database: a start, a stop, an officer and the daemon wait for it or say so.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::json;

use super::{daemon, metric, raw, said, status};
use crate::support::{Bench, Daemon, lines, payment, wait_until};

/// `BEGIN IMMEDIATE` in sqlite3.
fn hold(bench: &Bench) -> Connection {
    let other = Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

const HELD: &str = "another program holds the database";

#[test]
fn a_start_waits_for_a_database_that_is_held_and_can_be_stopped_meanwhile() {
    let (bench, daemon) = daemon("");
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let other = hold(&bench);
    let waiting = Daemon::begin(bench.path(), "");
    wait_until(|| said(&waiting, HELD));
    let asked = Instant::now();
    let (code, log) = waiting.end("-TERM");
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("asked to stop while another program held the database"), "{log}");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());

    let waiting = Daemon::begin(bench.path(), "");
    wait_until(|| said(&waiting, HELD));
    other.execute_batch("ROLLBACK").unwrap();
    wait_until(|| waiting.get("/-/ready").0 == 200);
    assert_eq!(waiting.post("/api/v1/events", &lines(&[payment("p1", "L1", "1.00")])).0, 200);
    assert_eq!(waiting.stop("-TERM"), Some(0));
}

#[test]
fn a_daemon_that_is_stopped_beside_a_database_that_is_held_says_so() {
    let (bench, daemon) = daemon("");
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let daemon = Daemon::start_failing(bench.path(), "patience.drain=within:500");
    let other = hold(&bench);
    let address = daemon.address.clone();
    let body = lines(&[payment("p1", "L1", "1.00")]);
    let posted = std::thread::spawn(move || crate::support::post(&format!("{address}/api/v1/events"), &body));
    wait_until(|| said(&daemon, HELD));
    let (code, log) = daemon.end("-TERM");
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("another program has held the database for"), "{log}");
    assert!(log.contains("send again what was posted and not answered"), "{log}");
    assert!(!log.contains("deadline"), "{log}");
    assert_ne!(posted.join().unwrap().0, 200, "what is not stored is not confirmed");
    drop(other);
}

#[test]
fn an_officer_beside_a_database_that_is_held_is_told_to_come_again() {
    let (bench, daemon) = daemon("");
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let daemon = Daemon::start_failing(bench.path(), "patience.officer=within:300");
    assert_eq!(daemon.post("/api/v1/events", &lines(&[payment("p1", "L1", "1.00")])).0, 200);
    let alert = daemon.json("/api/v1/alerts")["alerts"][0]["alert_id"].as_str().unwrap().to_owned();
    let body = json!({ "action": "acknowledge", "who": "zhang" }).to_string();
    let ask = format!(
        "POST /api/v1/alerts/{alert}/transitions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let other = hold(&bench);
    let answer = raw(&daemon, &ask);
    assert_eq!(status(&answer), 503, "{answer}");
    assert!(answer.to_lowercase().contains("\r\nretry-after: 5\r\n"), "{answer}");
    assert!(answer.contains(HELD), "{answer}");
    let state = || daemon.json("/api/v1/alerts")["alerts"][0]["state"].clone();
    assert_eq!(state(), "open");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(status(&raw(&daemon, &ask)), 200);
    assert_eq!(state(), "acknowledged");
}

/// Somebody who goes to lunch.
#[test]
fn another_program_that_holds_the_database_is_waited_for_and_told() {
    let (bench, daemon) = daemon("");
    let other = hold(&bench);
    let address = daemon.address.clone();
    let body = lines(&[payment("p1", "L1", "1.00")]);
    let posted = std::thread::spawn(move || crate::support::post(&format!("{address}/api/v1/events"), &body));
    wait_until(|| daemon.get("/-/ready").1.contains("another program has held the database"));
    assert!(metric(&daemon, "fiscwatch_store_held_seconds") >= 2);
    assert_eq!(daemon.get("/-/healthy").0, 200);
    assert_eq!(daemon.get("/api/v1/alerts").0, 200, "reading goes on");
    assert!(!posted.is_finished(), "nothing is confirmed that is not stored");
    other.execute_batch("ROLLBACK").unwrap();
    let (code, receipt) = posted.join().unwrap();
    assert_eq!((code, receipt.as_str()), (200, "{\"accepted\":1,\"duplicates\":0,\"rejected\":0}"));
    wait_until(|| daemon.get("/-/ready").0 == 200);
    assert_eq!(metric(&daemon, "fiscwatch_store_holds_total"), 1);
    assert!(said(&daemon, HELD));
    assert_eq!(daemon.stop("-TERM"), Some(0));
}
