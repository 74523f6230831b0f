//! A machine that sleeps while another one takes over, and wakes up.

use super::{Machines, hasty, query, standby, state, try_post};
use crate::support::{Daemon, append, lines, payment, random_events, wait_until};

fn signal(daemon: &Daemon, signal: &str) {
    let done = std::process::Command::new("kill").args([signal, &daemon.child.id().to_string()]).status();
    assert!(done.unwrap().success());
}

/// Whether a line of the log is a notification that was sent.
fn tells(line: &str) -> bool {
    line.contains("notified") && line.contains("sink=\"told\"")
}

#[test]
fn a_machine_that_wakes_up_after_a_takeover_commits_and_tells_nothing() {
    let machines = Machines::new("wait");
    let (a, b) = (machines.machine("a"), machines.machine("b"));
    append(&machines.feed(), &lines(&random_events(9, 300)));
    let mut sleeper = Daemon::start(&a);
    wait_until(|| super::has_read(&a, machines.feed().metadata().unwrap().len()));
    // What it has found it has yet to tell.
    signal(&sleeper, "-STOP");
    let other = hasty(&b);
    wait_until(|| other.get("/-/ready").0 == 200);
    let (status, answer) = other.post("/api/v1/events", &lines(&[payment("of-b", "L", "1.00")]));
    assert_eq!(status, 200, "{answer}");
    let before = state(&b);
    wait_until(|| other.log.try_iter().any(|line| tells(&line)));
    let _ = sleeper.log.try_iter().count();

    // It is asked at the moment it wakes up.
    let address = sleeper.address.clone();
    let asked = std::thread::spawn(move || {
        try_post(&format!("{address}/api/v1/events"), &lines(&[payment("of-a", "L", "1.00")]))
    });
    std::thread::sleep(std::time::Duration::from_millis(100));
    signal(&sleeper, "-CONT");
    let answer = asked.join().unwrap();
    assert!(answer.is_none_or(|status| status != 200), "the zombie answered {answer:?}");
    assert_eq!(sleeper.child.wait().unwrap().code(), Some(1));
    let said: Vec<String> = sleeper.log.iter().collect();
    assert!(!said.iter().any(|line| tells(line)), "the other one has told it: {said:#?}");
    assert!(said.iter().any(|line| line.contains("another machine has taken over")), "{said:#?}");
    assert_eq!(state(&b), before);
    assert!(query(&b, "SELECT event_id FROM payments WHERE event_id = 'of-a'").is_empty());

    // It comes back as the standby, with the state of the other one.
    drop(sleeper);
    let again = standby(&a);
    wait_until(|| again.get("/-/healthy").0 == 200);
    assert_eq!(other.stop("-TERM"), Some(0));
    wait_until(|| again.get("/-/ready").0 == 200);
    assert_eq!(state(&a), before);
    assert!(a.join("state/superseded/fiscwatch.db").exists());
    assert_eq!(again.stop("-TERM"), Some(0));
}

#[test]
fn a_second_machine_that_is_no_standby_is_refused() {
    let machines = Machines::new("wait");
    let (a, b) = (machines.machine("a"), machines.machine("b"));
    let active = Daemon::start(&a);
    let text =
        std::fs::read_to_string(b.join("fiscwatch.yaml")).unwrap().replace("standby: true", "standby: false");
    crate::support::write(&b, "fiscwatch.yaml", &text);
    let (code, _, err) = crate::support::run(&b, &["run", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("another instance has the state in the store"), "{err}");
    // Officers' commands do not write past the daemon.
    let (code, _, err) = crate::support::run(
        &a,
        &[
            "silence",
            "add",
            "--match",
            "rule=\"x\"",
            "--for",
            "1h",
            "--why",
            "y",
            "--config",
            "fiscwatch.yaml",
        ],
    );
    assert_eq!(code, Some(1));
    assert!(err.contains("is replicated"), "{err}");
    assert_eq!(active.stop("-TERM"), Some(0));
}
