//! From a finding to the acceptance of its notification, with `kill -9` at every step in between: every alert is told,
//! and told again only where the kill fell between the receiver's acceptance and our record of it, with the same id.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{Arc, Mutex},
};

use serde_json::Value;

use crate::support::{Bench, Daemon, lines, payment, wait_until};

/// When the receiver kills the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kill {
    /// It never does.
    Never,
    /// With the request in hand, without an answer.
    BeforeAnswer,
    /// Right after the answer.
    AfterAnswer,
}

/// The ids of what was received, each with its alerts.
type Received = Arc<Mutex<Vec<(String, Vec<String>)>>>;
/// Whom to kill, and when.
type Order = Arc<Mutex<(Kill, u32)>>;

fn receiver() -> (u16, Received, Order) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (received, order) = (Received::default(), Order::new(Mutex::new((Kill::Never, 0))));
    let (got, orders) = (Arc::clone(&received), Arc::clone(&order));
    std::thread::spawn(move || {
        listener.incoming().flatten().for_each(|stream| take(&stream, &got, &orders));
    });
    (port, received, order)
}

fn take(mut stream: &TcpStream, received: &Received, order: &Order) {
    let mut reader = BufReader::new(stream);
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line).unwrap_or(0) > 2 {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    // A daemon that was killed has sent a part at most.
    if length == 0 || reader.read_exact(&mut body).is_err() {
        return;
    }
    let body: Value = serde_json::from_slice(&body).unwrap();
    let alerts = body["alerts"].as_array().unwrap().iter();
    let alerts = alerts.map(|a| a["alert_id"].as_str().unwrap().to_owned()).collect();
    received.lock().unwrap().push((body["id"].as_str().unwrap().to_owned(), alerts));
    let (kill, pid) = std::mem::replace(&mut *order.lock().unwrap(), (Kill::Never, 0));
    let kill_now =
        || assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    if kill == Kill::BeforeAnswer {
        return kill_now();
    }
    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
    if kill == Kill::AfterAnswer {
        kill_now();
    }
}

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
    let told =
        || received.lock().unwrap().iter().flat_map(|(_, alerts)| alerts.clone()).collect::<BTreeSet<_>>();
    let alerts = daemon.json("/api/v1/alerts?limit=1000");
    let alerts: BTreeSet<_> = alerts["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["alert_id"].as_str().unwrap().to_owned())
        .collect();
    wait_until(|| told() == alerts && pending() == 0);
    let mut times = BTreeMap::new();
    received.lock().unwrap().iter().for_each(|(id, _)| *times.entry(id.clone()).or_default() += 1);
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
        *order.lock().unwrap() = (kill, daemon.child.id());
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
