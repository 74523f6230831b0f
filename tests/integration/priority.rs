//! Who asks before money moves does not wait for what is posted in bulk, and what is posted becomes the same.

use std::{sync::mpsc, time::Duration};

use serde_json::{Value, json};

use crate::support::{Bench, Daemon, agent, lines, payment, post, random_events, wait_until};

const DAEMON: &str = "state: { dir: state, checkpoint_events: 700 }\n";

/// An application that is asked about, and changes nothing.
fn ask(daemon: &Daemon, id: &str, mode: &str) -> Value {
    let mut application = payment(id, "L1", "1.00");
    application["type"] = json!("application");
    let (status, answer) = daemon.post(&format!("/api/v1/decide?mode={mode}"), &application.to_string());
    assert_eq!(status, 200, "{answer}");
    serde_json::from_str(&answer).unwrap()
}

/// Every eighth event again, every thirteenth with other content under its id, every twentieth torn.
fn disturbed(events: &[Value]) -> String {
    let mut body = Vec::new();
    for (number, event) in events.iter().enumerate() {
        body.push(event.to_string());
        if number % 8 == 0 {
            body.push(events[number / 2].to_string());
        }
        if number % 13 == 0 {
            let mut other = events[number / 3].clone();
            other["purpose"] = json!("another one");
            body.push(other.to_string());
        }
        if number % 20 == 0 {
            body.push(format!("{{\"event_id\": \"torn-{number}\""));
        }
    }
    body.join("\n")
}

#[test]
fn a_batch_that_is_cut_for_questions_becomes_what_a_whole_one_does() {
    let body = disturbed(&random_events(31, 3000));
    let outcome = |is_asked: bool| {
        let bench = Bench::new("", DAEMON);
        let daemon = Daemon::start(bench.path());
        if is_asked {
            ask(&daemon, "q", "what_if");
        }
        let (status, receipt) = daemon.post("/api/v1/events", &body);
        assert_eq!(status, 200, "{receipt}");
        let status = daemon.json("/api/v1/status");
        let quarantined = daemon.json("/api/v1/quarantine?limit=1")["total"].clone();
        assert_eq!(daemon.stop("-TERM"), Some(0));
        let receipt: Value = serde_json::from_str(&receipt).unwrap();
        (receipt, status["journal_events"].clone(), quarantined, bench.state())
    };
    let whole = outcome(false);
    assert!(
        whole.0["rejected"].as_u64() > Some(200) && whole.0["duplicates"].as_u64() > Some(300),
        "{}",
        whole.0
    );
    assert!(whole.3.0.len() > 100, "the rules must find something");
    let cut = outcome(true);
    assert_eq!((&cut.0, &cut.1, &cut.2), (&whole.0, &whole.1, &whole.2));
    crate::support::assert_same(&cut.3, &whole.3, "cut into pieces");
}

#[test]
fn a_question_overtakes_what_was_posted_before_it() {
    let bench = Bench::new("", DAEMON);
    let daemon = Daemon::start(bench.path());
    ask(&daemon, "first", "what_if");
    let (url, body) = (format!("{}/api/v1/events", daemon.address), lines(&random_events(32, 12_000)));
    let (told, posted) = mpsc::channel();
    std::thread::spawn(move || told.send(post(&url, &body)));
    // The ledger has what is sequenced, before the receipt tells it.
    wait_until(|| daemon.get("/api/v1/budget-lines?limit=1").1.contains("budget_line_id"));
    for mode in ["what_if", "commit"] {
        ask(&daemon, "overtakes", mode);
    }
    let early = posted.try_recv();
    assert!(early.is_err(), "the question was answered after all that was posted before it: {early:?}");
    let (status, receipt) = posted.recv_timeout(Duration::from_mins(5)).unwrap();
    assert_eq!(status, 200, "{receipt}");
    let accepted = serde_json::from_str::<Value>(&receipt).unwrap()["accepted"].as_u64().unwrap();
    assert!(accepted > 10_000, "{receipt}");
    assert_eq!(daemon.json("/api/v1/status")["journal_events"], accepted + 1);
}

/// What became of records is told with the last piece, so a kill between two pieces tells nothing twice.
#[test]
fn a_batch_that_is_killed_between_its_pieces_becomes_what_a_whole_one_does() {
    let body = disturbed(&random_events(33, 3000));
    let outcome = |failpoint: Option<&str>| {
        let bench = Bench::new("", DAEMON);
        if let Some(failpoint) = failpoint {
            let daemon = Daemon::start_failing(bench.path(), failpoint);
            ask(&daemon, "q", "what_if");
            let cut_off = agent().post(format!("{}/api/v1/events", daemon.address)).send(&body);
            assert!(cut_off.is_err(), "{failpoint}: the daemon answered");
            let (stored, _) = bench.state();
            assert!(!stored.is_empty(), "{failpoint}: nothing was stored before the kill");
        }
        let daemon = Daemon::start(bench.path());
        let (status, receipt) = daemon.post("/api/v1/events", &body);
        assert_eq!(status, 200, "{receipt}");
        let events = daemon.json("/api/v1/status")["journal_events"].clone();
        let quarantined = daemon.json("/api/v1/quarantine?limit=1")["total"].clone();
        assert_eq!(daemon.stop("-TERM"), Some(0));
        (events, quarantined, bench.state())
    };
    let whole = outcome(None);
    for failpoint in ["commit.done=abort@4", "commit.ready=abort@6"] {
        let killed = outcome(Some(failpoint));
        assert_eq!((&killed.0, &killed.1), (&whole.0, &whole.1), "{failpoint}");
        crate::support::assert_same(&killed.2, &whole.2, failpoint);
    }
}

/// No commit moves so little: it is done beside them, while the daemon runs.
#[test]
fn the_log_is_moved_into_the_database_while_the_daemon_runs() {
    let bench = Bench::new("", DAEMON);
    let daemon = Daemon::start(bench.path());
    let size = || bench.path().join("state/fiscwatch.db").metadata().unwrap().len();
    let before = size();
    let (status, receipt) = daemon.post("/api/v1/events", &lines(&random_events(34, 3000)));
    assert_eq!(status, 200, "{receipt}");
    wait_until(|| size() > before + 100_000);
    assert_eq!(daemon.stop("-TERM"), Some(0));
}
