//! From a finding to the acceptance of its notification, with `kill -9` at every step in between: every alert is told,
//! and told again only where the kill fell between the receiver's acceptance and our record of it, with the same id.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::receiver::{Kill, Received, receiver};
use crate::support::{Bench, Daemon, lines, payment, run, wait_until, write};

fn bench(port: u16, group_wait: &str) -> Bench {
    let sink = format!("sinks: [{{ name: hook, webhook: {{ url: 'http://127.0.0.1:{port}/' }} }}]");
    Bench::new("", &format!("state: {{ dir: state }}\n{sink}\nroutes: {{ group_wait: {group_wait} }}\n"))
}

/// Three payments without a budget, each an alert of its own.
fn payments(from: usize) -> String {
    lines(&(from..from + 3).map(|n| payment(&format!("p{n}"), &format!("L{n}"), "5")).collect::<Vec<_>>())
}

/// Waits until nothing is to be told any more, and compares what was told with what there is.
fn settle(daemon: &Daemon, received: &Received) -> BTreeMap<String, usize> {
    let pending =
        || daemon.json("/api/v1/notifications?state=pending")["notifications"].as_array().unwrap().len();
    let ids = |body: &Value| -> Vec<String> {
        let alerts = body["alerts"].as_array().unwrap().iter();
        alerts.map(|a| a["alert_id"].as_str().unwrap().to_owned()).collect()
    };
    let told = || received.lock().iter().flat_map(|(_, body)| ids(body)).collect::<BTreeSet<_>>();
    let alerts = daemon.json("/api/v1/alerts?limit=1000");
    let alerts: BTreeSet<_> = alerts["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["alert_id"].as_str().unwrap().to_owned())
        .collect();
    wait_until(|| told() == alerts && pending() == 0);
    let mut times = BTreeMap::new();
    for (_, body) in received.lock().iter() {
        *times.entry(body["id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    times
}

#[test]
fn killed_between_finding_and_acceptance_every_alert_is_told() {
    let (port, received, order) = receiver();
    let bench = bench(port, "0s");
    let mut from = 0;
    let mut repeats = 0;
    for kill in [Kill::BeforeAnswer, Kill::AfterAnswer, Kill::AfterAnswer, Kill::BeforeAnswer] {
        let mut daemon = Daemon::start(bench.path());
        settle(&daemon, &received);
        *order.lock() = (kill, daemon.child.id());
        // The kill may be faster than the answer; the events are committed then all the same.
        daemon.post("/api/v1/events", &payments(from));
        from += 3;
        assert!(!daemon.child.wait().unwrap().success(), "{kill:?}");
        repeats += 1;
    }
    let daemon = Daemon::start(bench.path());
    let times = settle(&daemon, &received);
    assert_eq!(times.len(), from, "one notification an alert");
    // A kill can cut off the answers to what was under way with the one that it fell on.
    let twice = times.values().filter(|n| **n > 1).count();
    assert!(times.values().all(|n| *n <= 2) && twice <= repeats * 3, "{times:?}");
}

#[test]
fn killed_before_anything_was_bundled_the_outbox_tells_it_later() {
    let (port, received, _) = receiver();
    let bench = bench(port, "3s");
    for from in [0, 3] {
        let daemon = Daemon::start(bench.path());
        let (status, answer) = daemon.post("/api/v1/events", &payments(from));
        assert_eq!(status, 200, "{answer}");
        // The drop is a kill -9 right after the commit, while the group waits for more.
    }
    let daemon = Daemon::start(bench.path());
    let times = settle(&daemon, &received);
    assert_eq!(times.len(), 6);
    assert!(times.values().all(|n| *n == 1), "nothing was accepted, so nothing is repeated: {times:?}");
}

/// Without sources of its own a daemon has not read everything: its groups go on waiting, and its supervisor does not.
#[test]
fn a_daemon_without_sources_that_is_told_to_stop_tells_nothing_before_its_time() {
    let (port, received, _) = receiver();
    let bench = bench(port, "1h");
    let daemon = Daemon::start(bench.path());
    assert_eq!(daemon.post("/api/v1/events", &payments(0)).0, 200);
    assert_eq!(daemon.stop("-TERM"), Some(0));
    assert_eq!(*received.lock(), []);
}

/// A nightly run has nobody who would tell the rest later: it waits for no group.
#[test]
fn a_run_that_ends_by_itself_tells_what_it_found() {
    let (port, received, _) = receiver();
    let bench = bench(port, "1h");
    write(bench.path(), "events.jsonl", &payments(0));
    let sources = "sources: [{ name: feed, file: { path: events.jsonl } }]\n";
    let config = std::fs::read_to_string(bench.path().join("fiscwatch.yaml")).unwrap();
    write(bench.path(), "fiscwatch.yaml", &format!("{sources}{config}"));
    let (code, out, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let told: usize = received.lock().iter().map(|(_, body)| body["alerts"].as_array().unwrap().len()).sum();
    assert_eq!(told, 3);
    let (code, out, _) = run(bench.path(), &["state", "verify", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}");
}
