//! Clients, receivers and programs that do their worst: a page of another site, slow and greedy clients, a receiver that is
//! gone, another program on the database, windows that grow beyond their memory. Each is refused, cut off or waited for,
//! that is told, and the stream goes on.

mod clients;
mod database;
mod memory;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{Bench, Daemon, lines, payment, wait_until};

fn daemon(config: &str) -> (Bench, Daemon) {
    let bench = Bench::new("", "");
    let config = format!("state: {{ dir: state }}\n{config}");
    std::fs::write(bench.path().join("fiscwatch.yaml"), config).unwrap();
    let daemon = Daemon::start(bench.path());
    (bench, daemon)
}

fn connect(daemon: &Daemon) -> TcpStream {
    let stream = TcpStream::connect(daemon.address.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends bytes as they are, and gives everything that is answered until the connection ends.
fn raw(daemon: &Daemon, request: &str) -> String {
    let mut stream = connect(daemon);
    stream.write_all(request.as_bytes()).unwrap();
    rest(&mut stream)
}

fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is cut off may end with an error instead of an end.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// A metric's value without what follows its point; 0 if it is not there.
fn metric(daemon: &Daemon, name: &str) -> u64 {
    let text = daemon.get("/metrics").1;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.split('.').next()).map_or(0, |whole| whole.parse().unwrap())
}

fn refused(daemon: &Daemon, cause: &str) -> u64 {
    metric(daemon, &format!("fiscwatch_http_refused_total{{cause=\"{cause}\"}}"))
}

fn said(daemon: &Daemon, words: &str) -> bool {
    daemon.log.try_iter().any(|line| line.contains(words))
}

/// Payments with payees of their own.
fn payees(from: usize, to: usize) -> String {
    let event = |n: usize| {
        let mut event = payment(&format!("p{n}"), "L1", "1.00");
        event["payee_account"] = json!(format!("6222{n:012}"));
        event
    };
    lines(&(from..to).map(event).collect::<Vec<_>>())
}

const DEAD: &str = "
sinks: [{ name: dead, webhook: { url: 'http://127.0.0.1:9/', secret_file: secret } }]
alerts: { storm: { notifications: 1000000, window: 1m }, escalate_after: {} }
routes: { sinks: [dead], group_by: [alert], group_wait: 2s }
";

/// Every alert is a group of its own, and nobody takes the notifications.
#[test]
fn a_dead_receiver_costs_no_commit() {
    let bench = Bench::new("", "");
    std::fs::write(bench.path().join("secret"), "0123456789abcdef0123456789abcdef").unwrap();
    std::fs::write(bench.path().join("fiscwatch.yaml"), format!("state: {{ dir: state }}\n{DEAD}")).unwrap();
    let daemon = Daemon::start(bench.path());
    let events: Vec<Value> = (0..1000).map(|n| payment(&format!("p{n}"), &format!("L{n}"), "1.00")).collect();
    for part in events.chunks(200) {
        assert_eq!(daemon.post("/api/v1/events", &lines(part)).0, 200);
    }
    // While the outbox is worked off, small commits follow one another.
    let mut slowest = Duration::ZERO;
    let started = Instant::now();
    let mut n = 0;
    while started.elapsed() < Duration::from_secs(6) {
        let began = Instant::now();
        let body = lines(&[payment(&format!("later{n}"), "L1", "1.00")]);
        assert_eq!(daemon.post("/api/v1/events", &body).0, 200);
        slowest = slowest.max(began.elapsed());
        n += 1;
    }
    let rounds = metric(&daemon, "fiscwatch_outbox_round_seconds_count");
    assert!(rounds >= 5, "{rounds} rounds");
    // A round ends after 50 ms; the machine may be busy, but a loop that worked off everything at once would show.
    let short = metric(&daemon, "fiscwatch_outbox_round_seconds_bucket{le=\"0.5\"}");
    assert!(short * 10 >= rounds * 9, "{short} of {rounds} rounds ended in half a second");
    assert!(slowest < Duration::from_secs(3), "a commit took {slowest:?} of {n}");
    wait_until(|| metric(&daemon, "fiscwatch_outbox_pending{sink=\"dead\"}") >= 1000);
    assert_eq!(daemon.get("/-/ready").0, 200);
    assert_eq!(daemon.stop("-TERM"), Some(0));
}
