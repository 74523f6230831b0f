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

/// What is lost with the state is no second copy of it.
#[test]
fn a_store_within_the_state_directory_is_refused() {
    let machines = Machines::new("go_on");
    let a = machines.machine("a");
    std::fs::create_dir(a.join("state")).unwrap();
    for place in [a.join("state"), a.join("state/replica"), a.clone()] {
        let url = format!("file://{}", place.display());
        for args in [
            vec!["state", "replicate", "--to", &url, "--config", "fiscwatch.yaml"],
            vec!["state", "backup", &url[7..], "--config", "fiscwatch.yaml"],
        ] {
            let (code, _, err) = run(&a, &args);
            assert_eq!(code, Some(1), "{args:?}");
            assert!(err.contains("lie within each other: name one on another disk"), "{err}");
        }
    }
    let inside =
        machines.machine_with("c", &format!("to: 'file://{}/c/state/x'", machines.bench.path().display()));
    let (code, _, err) = run(&inside, &["check", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("state.replicate.to: ") && err.contains("lie within each other"), "{err}");
}

/// An error of the store is told once, and not once more as its own cause.
#[test]
fn what_the_store_says_is_said_once() {
    let machines = Machines::new("go_on");
    let a = machines.machine("a");
    let (code, _, err) = run(&a, &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    let (code, _, err) =
        run(&a, &["state", "replicate", "--to", "file:///nowhere/at/all", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    assert_eq!(err.matches("is away: the folder is not there").count(), 1, "{err}");
}
