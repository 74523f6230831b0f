//! Another program reads an earlier moment of the state while a daemon starts on it.

use rusqlite::Connection;

use crate::support::{Bench, Daemon, lines, payment, wait_until};

#[test]
fn a_start_says_when_the_log_cannot_be_written_once_more() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    let post =
        |daemon: &Daemon, id: &str| daemon.post("/api/v1/events", &lines(&[payment(id, "L1", "1.00")])).0;
    assert_eq!(post(&daemon, "p1"), 200);
    let reader = Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM journal").unwrap();
    // The reader does not see this one, so it has to stay in the log.
    assert_eq!(post(&daemon, "p2"), 200);
    drop(daemon);
    let log = || std::fs::metadata(bench.path().join("state/fiscwatch.db-wal")).map_or(0, |log| log.len());
    assert!(log() > 0);

    let daemon = Daemon::start_failing(bench.path(), "patience.log=within:1500");
    let told = |daemon: &Daemon| {
        daemon.log.try_iter().any(|line| line.contains("the log could not be written once more"))
    };
    assert!(told(&daemon), "it goes on, and says so");
    assert_eq!(post(&daemon, "p3"), 200);
    assert_eq!(daemon.json("/api/v1/budget-lines/L1")["executed"], "3.00");
    drop(daemon);

    // A reader that ends in time is waited for.
    let daemon = Daemon::begin(bench.path(), "");
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(daemon.log.try_iter().find(|line| line.contains("state recovered")), None, "the start waits");
    drop(reader);
    wait_until(|| daemon.get("/-/ready").0 == 200);
    assert!(!told(&daemon));
    assert_eq!(daemon.json("/api/v1/budget-lines/L1")["executed"], "3.00");
    assert_eq!(daemon.stop("-TERM"), Some(0));
}
