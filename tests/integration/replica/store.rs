//! The store goes away and comes back.

use super::{Machines, expected, has_read, state};
use crate::support::{Daemon, append, assert_same, lines, payment, random_events, run, wait_until};

fn in_sync(daemon: &Daemon) -> bool {
    daemon.get("/metrics").1.lines().any(|line| line == "fiscwatch_replica_in_sync 1")
}

#[test]
fn commits_go_on_without_the_store_and_a_snapshot_closes_the_gap() {
    let machines = Machines::new("go_on");
    let a = machines.machine("a");
    let daemon = Daemon::start_failing(&a, "patience.replica=within:200");
    assert!(in_sync(&daemon));
    let away = machines.bench.path().join("away");
    std::fs::rename(machines.store(), &away).unwrap();
    append(&machines.feed(), &lines(&random_events(12, 600)));
    wait_until(|| has_read(&a, machines.feed().metadata().unwrap().len()));
    wait_until(|| !in_sync(&daemon));
    assert!(daemon.get("/metrics").1.lines().all(|line| line != "fiscwatch_replica_failures_total 0"));
    std::fs::rename(&away, machines.store()).unwrap();
    wait_until(|| in_sync(&daemon));
    append(&machines.feed(), &lines(&[payment("later", "L", "1.00")]));
    wait_until(|| has_read(&a, machines.feed().metadata().unwrap().len()));
    // kill -9, and the machine is gone.
    drop(daemon);
    std::fs::remove_dir_all(a.join("state")).unwrap();
    let (code, _, err) =
        run(&a, &["state", "restore", "--from", &machines.url(), "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    assert_same(&state(&a), &expected(&machines.bench, &machines.feed()), "after the gap");
}

#[test]
fn with_wait_nothing_is_answered_while_the_store_is_away() {
    let machines = Machines::new("wait");
    let a = machines.machine("a");
    let daemon = Daemon::start(&a);
    let away = machines.bench.path().join("away");
    std::fs::rename(machines.store(), &away).unwrap();
    let url = format!("{}/api/v1/events", daemon.address);
    let posted = std::thread::spawn(move || crate::support::post(&url, &lines(&[payment("p", "L", "1.00")])));
    wait_until(|| daemon.get("/-/ready").1.contains("the store of state.replicate has been away"));
    assert!(!posted.is_finished());
    std::fs::rename(&away, machines.store()).unwrap();
    assert_eq!(posted.join().unwrap().0, 200);
    wait_until(|| daemon.get("/-/ready").0 == 200);
    assert_eq!(daemon.stop("-TERM"), Some(0));
}
