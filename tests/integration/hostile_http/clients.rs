//! Clients that do their worst: a page of another site, slow and greedy ones, and bodies beyond their budget.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{connect, daemon, metric, raw, refused, rest, said, status};
use crate::support::{Bench, Daemon, lines, payment, wait_until};

#[test]
fn a_page_that_reaches_the_daemon_under_its_own_name_gets_nothing() {
    let (_bench, daemon) = daemon("http: { hosts: [fiscwatch.svc] }\n");
    let get = |path: &str, head: &str| {
        raw(&daemon, &format!("GET {path} HTTP/1.1\r\n{head}Connection: close\r\n\r\n"))
    };
    let rebound = get("/api/v1/alerts", "Host: rebound.example.com:9464\r\n");
    assert_eq!(status(&rebound), 421);
    assert!(rebound.contains("add it to http.hosts"), "{rebound}");
    for (head, code) in [
        ("", 400),
        ("Host: localhost\r\nHost: localhost\r\n", 400),
        ("Host: fiscwatch.svc:9464\r\n", 200),
        ("Host: 127.0.0.1\r\n", 200),
        ("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", 403),
        ("Host: localhost\r\nSec-Fetch-Site: same-origin\r\n", 200),
    ] {
        for path in ["/metrics", "/-/healthy", "/api/v1/alerts", "/api/v1/openapi.json"] {
            assert_eq!(status(&get(path, head)), code, "{path} {head}");
        }
    }
    let posted = "POST /api/v1/events HTTP/1.1\r\nHost: rebound.example.com\r\nOrigin: http://rebound.example.com\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(status(&raw(&daemon, posted)), 421);
    let answer = get("/api/v1/alerts", "Host: localhost\r\n").to_lowercase();
    for header in [
        "x-content-type-options: nosniff",
        "frame-ancestors 'none'",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
    ] {
        assert!(answer.contains(header), "{header} is not in {answer}");
        assert!(rebound.to_lowercase().contains(header), "{header}: refusals have it too");
    }
    assert!(refused(&daemon, "host") >= 10);
    assert!(refused(&daemon, "site") >= 4);
}

#[test]
fn slow_clients_are_cut_off_and_health_and_metrics_are_answered_all_the_while() {
    let (_bench, daemon) =
        daemon("http: { connections: 32, head_time: 2s, body_time: 3s, body_bytes_max: 100000 }\n");
    let started = Instant::now();
    // Half of a head, for ever.
    let mut heads: Vec<_> = (0..100).map(|_| connect(&daemon)).collect();
    for stream in &mut heads {
        let _ = stream.write_all(b"GET /api/v1/alerts HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
    }
    assert_eq!(daemon.get("/-/healthy").0, 200);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(refused(&daemon, "connections") >= 60, "those that waited longest made room");
    for stream in &mut heads {
        assert_eq!(rest(stream), "", "nobody was answered");
    }
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    wait_until(|| refused(&daemon, "slow_head") >= 10);

    // Bodies that do not come: as many as there can be requests, and one more.
    let mut bodies: Vec<_> = (0..17).map(|_| connect(&daemon)).collect();
    for stream in &mut bodies {
        let head = "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{";
        stream.write_all(head.as_bytes()).unwrap();
    }
    wait_until(|| refused(&daemon, "requests") >= 1);
    let (code, body) = daemon.get("/api/v1/alerts");
    assert_eq!(code, 503, "{body}");
    assert_eq!(daemon.get("/-/ready").0, 200);
    let mut codes: Vec<_> = bodies.iter_mut().map(|stream| status(&rest(stream))).collect();
    codes.sort_unstable();
    assert_eq!((&codes[..16], codes[16]), (&[408; 16][..], 503));
    assert_eq!(refused(&daemon, "slow_body"), 16);
    assert_eq!(daemon.post("/api/v1/events", &lines(&[payment("p1", "L1", "1.00")])).0, 200);
    assert!(said(&daemon, "HTTP clients were refused or cut off"));
}

#[test]
fn a_client_that_does_not_take_its_answer_is_cut_off() {
    let (_bench, daemon) = daemon("http: { body_time: 2s }\n");
    let events: Vec<Value> = (0..3000).map(|n| payment(&format!("p{n}"), &format!("L{n}"), "1.00")).collect();
    assert_eq!(daemon.post("/api/v1/events", &lines(&events)).0, 200);
    let mut stream = connect(&daemon);
    // Far more than what the connection buffers.
    for _ in 0..64 {
        let page = "GET /api/v1/findings?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n";
        if stream.write_all(page.as_bytes()).is_err() {
            break;
        }
    }
    wait_until(|| refused(&daemon, "slow_answer") >= 1);
    assert_eq!(daemon.get("/-/ready").0, 200);
}

#[test]
fn bytes_of_bodies_have_one_budget_and_what_has_no_room_is_to_be_sent_again() {
    let (_bench, daemon) = daemon("http: { bodies_mib: 1, body_bytes_max: 700000, body_time: 1m }\n");
    // Two bodies of which most has come.
    let mut held: Vec<_> = (0..2).map(|_| connect(&daemon)).collect();
    for stream in &mut held {
        let head = "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(" ".repeat(400_000).as_bytes()).unwrap();
    }
    wait_until(|| metric(&daemon, "fiscwatch_http_bodies_bytes") >= 800_000);
    let (code, body) = daemon.post("/api/v1/events", &" ".repeat(600_000));
    assert_eq!(code, 503, "{body}");
    assert!(body.contains("http.bodies_mib"), "{body}");
    // One that does not say how long it is, and one that is long only when it is unpacked.
    let mut chunked = connect(&daemon);
    chunked
        .write_all(
            b"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n61a80\r\n",
        )
        .unwrap();
    let _ = chunked.write_all(" ".repeat(400_000).as_bytes());
    let _ = chunked.write_all(b"\r\n0\r\n\r\n");
    assert_eq!(status(&rest(&mut chunked)), 503);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(" ".repeat(600_000).as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let head = format!(
        "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        packed.len()
    );
    let mut stream = connect(&daemon);
    stream.write_all(&[head.as_bytes(), &packed].concat()).unwrap();
    let answer = rest(&mut stream);
    assert_eq!(status(&answer), 503, "{answer}");
    assert!(answer.to_lowercase().contains("retry-after: 2"), "{answer}");
    assert!(refused(&daemon, "bytes") >= 3);
    // A small one has room, and all of it is given back.
    assert_eq!(daemon.post("/api/v1/events", &lines(&[payment("p1", "L1", "1.00")])).0, 200);
    drop(held);
    wait_until(|| metric(&daemon, "fiscwatch_http_bodies_bytes") == 0);
    assert_eq!(daemon.post("/api/v1/events", &" ".repeat(600_000)).0, 400, "there is room again");
}

#[test]
fn who_is_being_answered_makes_no_room_for_others() {
    let (_bench, daemon) = daemon("http: { connections: 16 }\n");
    let events: Vec<Value> = (0..1000).map(|n| payment(&format!("p{n}"), &format!("L{n}"), "1.00")).collect();
    assert_eq!(daemon.post("/api/v1/events", &lines(&events)).0, 200);
    let page = daemon.get("/api/v1/findings?limit=1000").1;
    // Far more than what the operating system takes from a daemon whose client does not read.
    let pages = 12_000_000 / page.len() + 1;
    let mut slow = connect(&daemon);
    for n in 1..=pages {
        let end = if n == pages { "Connection: close\r\n" } else { "" };
        let ask = format!("GET /api/v1/findings?limit=1000 HTTP/1.1\r\nHost: localhost\r\n{end}\r\n");
        slow.write_all(ask.as_bytes()).unwrap();
    }
    let under_way = || metric(&daemon, "fiscwatch_http_connections{kind=\"requests\"}");
    wait_until(|| under_way() == 1);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(under_way(), 1, "the answer is not written yet");
    let _others: Vec<_> = (0..40).map(|_| connect(&daemon)).collect();
    wait_until(|| refused(&daemon, "connections") >= 20);
    let answers = rest(&mut slow);
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), pages);
    assert_eq!(answers.matches(&page).count(), pages, "every answer is whole");
    wait_until(|| under_way() == 0);
}

/// Whoever asks for the largest page gets no more than there is room for, and the rest by the pages after it.
#[test]
fn answers_are_bounded_and_lead_on() {
    let (_bench, daemon) = daemon("");
    // Each is shown with its first 4 KiB, so that a thousand of them are no page.
    let broken = |n: usize| format!("{{\"event_id\":\"q{n}\",\"purpose\":\"{}\"}}\n", "x".repeat(5000));
    for part in 0..3 {
        let body: String = (part * 500..(part + 1) * 500).map(broken).collect();
        daemon.post("/api/v1/events", &body);
    }
    let (mut after, mut records, mut pages) = (String::new(), 0, 0);
    loop {
        let (status, text) = daemon.get(&format!("/api/v1/quarantine?limit=1000{after}"));
        assert_eq!(status, 200, "{text}");
        assert!(text.len() < 5 << 20, "{} bytes", text.len());
        let page: Value = serde_json::from_str(&text).unwrap();
        records += page["records"].as_array().unwrap().len();
        pages += 1;
        match page["next"].as_i64() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(records, 1500);
    assert!(pages >= 2, "{pages} pages");
    let (status, why) = daemon.get("/api/v1/quarantine?limit=1001");
    assert_eq!(status, 400, "{why}");
}

/// Prometheus, a second one, and somebody with curl.
#[test]
fn scrapes_at_the_same_time_tell_the_same() {
    let bench = Bench::new("", "");
    let feed = "sources: [{ name: feed, file: { path: events.jsonl } }]\nstate: { dir: state }\n";
    std::fs::write(bench.path().join("fiscwatch.yaml"), feed).unwrap();
    let daemon = Daemon::start(bench.path());
    wait_until(|| daemon.get("/metrics").1.contains("fiscwatch_source_up{source=\"feed\"} 1"));
    let series = |text: &str| text.lines().filter(|line| line.starts_with("fiscwatch_source_")).count();
    let expected = series(&daemon.get("/metrics").1);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let url = format!("{}/metrics", daemon.address);
            scope.spawn(move || {
                for _ in 0..20 {
                    let mut answer = crate::support::agent().get(&url).call().unwrap();
                    assert_eq!(series(&answer.body_mut().read_to_string().unwrap()), expected);
                }
            });
        }
    });
}
