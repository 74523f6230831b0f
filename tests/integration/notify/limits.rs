//! What a sink takes at a time: so many at once, so many a minute, and nothing before a receiver that is busy wants it.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::support::{Bench, Daemon, lines, payment, run, wait_until};

/// When requests came, how many there are now, and the most there were at once.
#[derive(Default)]
struct Seen {
    at: Mutex<Vec<Instant>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A receiver that takes its time, and answers the first request otherwise.
fn receiver(first: &'static str) -> (u16, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Seen::default());
    let kept = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = Arc::clone(&kept);
            std::thread::spawn(move || answer(stream, &seen, first));
        }
    });
    (port, seen)
}

fn answer(mut stream: TcpStream, seen: &Seen, first: &str) {
    // The head comes at once, and what follows does not matter here.
    if stream.read(&mut [0; 8192]).unwrap_or(0) == 0 {
        return;
    }
    seen.most.fetch_max(seen.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(100));
    let number = {
        let mut at = seen.at.lock();
        at.push(Instant::now());
        at.len()
    };
    seen.now.fetch_sub(1, Ordering::SeqCst);
    let ok = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
    let _ = stream.write_all(if number == 1 && !first.is_empty() { first } else { ok }.as_bytes());
}

fn daemon(port: u16, limits: &str, alerts: usize) -> (Bench, Daemon) {
    let sink = format!("sinks: [{{ name: hook, {limits} webhook: {{ url: 'http://127.0.0.1:{port}/' }} }}]");
    let bench = Bench::new("", &format!("state: {{ dir: state }}\n{sink}\nroutes: {{ group_wait: 0s }}\n"));
    let daemon = Daemon::start(bench.path());
    let payments: Vec<_> = (0..alerts).map(|n| payment(&format!("p{n}"), &format!("L{n}"), "5")).collect();
    assert_eq!(daemon.post("/api/v1/events", &lines(&payments)).0, 200);
    (bench, daemon)
}

fn received(seen: &Seen) -> usize {
    seen.at.lock().len()
}

#[test]
fn so_many_at_once() {
    // A slow machine may not have three at once, but more than one.
    for (limits, most) in [("concurrency: 1,", 1..=1), ("concurrency: 3,", 2..=3)] {
        let (port, seen) = receiver("");
        let (_bench, _daemon) = daemon(port, limits, 9);
        wait_until(|| received(&seen) == 9);
        let seen = seen.most.load(Ordering::SeqCst);
        assert!(most.contains(&seen), "{limits} {seen}");
    }
}

#[test]
fn so_many_a_minute() {
    let (port, seen) = receiver("");
    let (_bench, _daemon) = daemon(port, "per_minute: 120,", 4);
    wait_until(|| received(&seen) == 4);
    let at = seen.at.lock();
    assert!(at[3] - at[0] > Duration::from_millis(1200), "{:?}", at[3] - at[0]);
}

#[test]
fn not_before_a_busy_receiver_wants_it() {
    let (port, seen) = receiver(
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: 3\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    );
    let (_bench, _daemon) = daemon(port, "", 1);
    wait_until(|| received(&seen) == 2);
    let at = seen.at.lock();
    assert!(at[1] - at[0] > Duration::from_millis(2800), "{:?}", at[1] - at[0]);
}

#[test]
fn limits_that_would_stop_everything_are_refused() {
    let sinks = "sinks: [{ name: a, per_minute: 0, log: {} }, { name: b, concurrency: 0, log: {} }]\n";
    let bench = Bench::new("", sinks);
    let (code, out, err) = run(bench.path(), &["check", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1), "{out}{err}");
    for says in ["sink \"a\": per_minute is 0", "sink \"b\": concurrency is 0, but must be from 1 to 64"] {
        assert!(out.contains(says) || err.contains(says), "{out}{err}");
    }
}
