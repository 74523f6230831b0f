//! Signals under load, and records that come twice or out of order.

use std::{
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::{Scene, stored, year};
use crate::support::{Bench, Daemon, lines, post, random_events, run};

/// Parts of a stream, posted one after another by a thread until the daemon takes no more; how many were answered.
fn post_until_stopped(daemon: &Daemon, parts: &[String], from: usize, act: impl FnOnce()) -> usize {
    let answered = AtomicUsize::new(from);
    let url = format!("{}/api/v1/events", daemon.address);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for part in &parts[from..] {
                if post(&url, part).0 != 200 {
                    break;
                }
                answered.fetch_add(1, Ordering::SeqCst);
            }
        });
        // Load is on when something was answered.
        while answered.load(Ordering::SeqCst) == from && from < parts.len() {
            std::thread::sleep(Duration::from_millis(5));
        }
        act();
    });
    answered.into_inner()
}

fn signal(daemon: &Daemon, signal: &str) {
    let pid = daemon.child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

#[test]
fn asked_to_stop_under_load_it_drains_in_time_and_loses_nothing() {
    let parts: Vec<String> = year(51, 2000).chunks(20).map(lines).collect();
    let bench =
        Bench::new(&parts.concat(), "state: { dir: state, checkpoint_events: 200, seal_after: 0s }\n");
    let expected = bench.backtest(&[]);
    let mut rng = ChaCha8Rng::seed_from_u64(51);
    let mut answered = 0;
    for name in ["-TERM", "-INT", "-TERM"] {
        let mut daemon = Daemon::start(bench.path());
        let load = Duration::from_millis(rng.random_range(50..400));
        answered = post_until_stopped(&daemon, &parts, answered, || {
            std::thread::sleep(load);
            signal(&daemon, name);
        });
        let asked = Instant::now();
        let status = daemon.child.wait().unwrap();
        assert_eq!(status.code(), Some(0));
        // Its own limit for draining.
        assert!(asked.elapsed() < Duration::from_secs(30));
    }
    let daemon = Daemon::start(bench.path());
    // Every answered part is known: nothing of it is new. The one in flight may be either.
    for part in &parts[..answered] {
        let (status, answer) = daemon.post("/api/v1/events", part);
        assert!(status == 200 && answer.starts_with("{\"accepted\":0,"), "{answer}");
    }
    for part in &parts[answered..] {
        assert_eq!(daemon.post("/api/v1/events", part).0, 200);
    }
    assert_eq!(daemon.stop("-TERM"), Some(0));
    crate::support::assert_same(&stored(bench.path()), &expected, "after three stops");
}

#[test]
fn stopped_and_continued_it_goes_on() {
    let parts: Vec<String> = year(52, 600).chunks(20).map(lines).collect();
    let bench = Bench::new(&parts.concat(), "state: { dir: state, seal_after: 0s }\nengine: { idle: 1s }\n");
    let expected = bench.backtest(&[]);
    let daemon = Daemon::start(bench.path());
    let answered = post_until_stopped(&daemon, &parts, 0, || {
        for _ in 0..4 {
            signal(&daemon, "-STOP");
            std::thread::sleep(Duration::from_millis(400));
            signal(&daemon, "-CONT");
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    assert_eq!(answered, parts.len());
    assert_eq!(daemon.stop("-TERM"), Some(0));
    crate::support::assert_same(&stored(bench.path()), &expected, "stopped four times");
}

/// Every record again and again, as a broker or a sender that has no answer delivers them.
#[test]
fn delivered_twice_it_counts_once() {
    let events = year(53, 600);
    let once = Scene::new(53, 600, "state: { dir: state }\n");
    let mut rng = ChaCha8Rng::seed_from_u64(53);
    let mut delivered: Vec<Value> = Vec::new();
    for (n, event) in events.iter().enumerate() {
        delivered.push(event.clone());
        // A stretch that was delivered before comes again.
        if rng.random_ratio(1, 20) {
            let from = rng.random_range(n.saturating_sub(40)..=n);
            delivered.extend(events[from..=n].iter().cloned());
        }
    }
    assert!(delivered.len() > events.len() * 3 / 2);
    let twice = Bench::new(&lines(&delivered), "state: { dir: state }\n");
    crate::support::assert_same(&twice.backtest(&[]), &once.expected, "delivered twice");
}

/// The ledger does not depend on the order in which events arrive, but for the attributes that a line is opened with.
#[test]
fn delivered_in_another_order_the_balances_are_the_same() {
    let mut events = random_events(54, 800);
    let mut seen = std::collections::BTreeSet::new();
    events.retain(|event| seen.insert(event["event_id"].to_string()));
    let balances = |events: &[Value]| {
        let bench = Bench::new(&lines(events), "");
        let (_, ledger) = bench.backtest(&[]);
        let numbers = |line: &String| {
            let line: Value = serde_json::from_str(line).unwrap();
            let keys = ["budget_line_id", "total", "executed", "frozen", "reserved", "planned", "available"];
            keys.map(|key| line[key].to_string())
        };
        ledger.iter().map(numbers).collect::<Vec<_>>()
    };
    let expected = balances(&events);
    let mut rng = ChaCha8Rng::seed_from_u64(54);
    for _ in 0..3 {
        events.shuffle(&mut rng);
        assert_eq!(balances(&events), expected);
    }
}

#[test]
fn two_daemons_on_one_state_are_refused() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    let (code, _, said) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("is in use by another fiscwatch"), "{said}");
    drop(daemon);
}
