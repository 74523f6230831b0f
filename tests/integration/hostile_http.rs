//! Clients, receivers and programs that do their worst: a page of another site, slow and greedy clients, a receiver that is
//! gone, another program on the database, windows that grow beyond their memory. Each is refused, cut off or waited for,
//! that is told, and the stream goes on.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use rusqlite::Connection;
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

const WINDOWS: &str = "
rules:
  - id: often
    title: often
    severity: low
    trigger: payment
    over: { by: [payee_account], last: 30d }
    measure: { n: count(*) }
    when: n > 1000000
    key: [payee_account]
    summary: often
";

/// Payments with payees of their own.
fn payees(from: usize, to: usize) -> String {
    let event = |n: usize| {
        let mut event = payment(&format!("p{n}"), "L1", "1.00");
        event["payee_account"] = json!(format!("6222{n:012}"));
        event
    };
    lines(&(from..to).map(event).collect::<Vec<_>>())
}

/// Posts until windows have no room: how many events were taken, and the answer to the next.
fn fill(daemon: &Daemon) -> (usize, String) {
    let mut sent = 0;
    loop {
        assert!(sent < 100_000, "windows never filled");
        let (code, answer) = daemon.post("/api/v1/events", &payees(sent, sent + 2000));
        if code == 503 {
            return (sent, answer);
        }
        assert_eq!(code, 200, "{answer}");
        sent += 2000;
    }
}

/// A folder whose windows may hold a mebibyte, and the rules that hold next to nothing.
fn narrow(more: &str) -> (Bench, String) {
    let bench = Bench::new("", "");
    let config =
        format!("state: {{ dir: state }}\nengine: {{ window_memory_mib: 1, max_future: 9999d }}\n{more}");
    std::fs::write(bench.path().join("fiscwatch.yaml"), config).unwrap();
    let rules = bench.path().join("rules/rules.yaml");
    let plain = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, WINDOWS).unwrap();
    (bench, plain)
}

#[test]
fn windows_beyond_their_memory_stop_the_intake_until_rules_are_taken_out() {
    let (bench, plain) = narrow("");
    let rules = bench.path().join("rules/rules.yaml");
    let daemon = Daemon::start(bench.path());
    let (sent, full) = fill(&daemon);
    assert!(full.contains("engine.window_memory_mib"), "{full}");
    let (code, why) = daemon.get("/-/ready");
    assert_eq!(code, 503);
    assert!(why.contains("no more events are taken"), "{why}");
    assert!(metric(&daemon, "fiscwatch_window_bytes{kind=\"sliding\"}") > 1 << 20);
    assert!(refused(&daemon, "windows") >= 1);
    assert_eq!(daemon.get("/api/v1/alerts").0, 200, "everything else goes on");

    std::fs::write(&rules, plain).unwrap();
    assert_eq!(daemon.post("/-/reload", "").0, 200);
    wait_until(|| daemon.get("/-/ready").0 == 200);
    assert_eq!(daemon.post("/api/v1/events", &payees(sent, sent + 2000)).0, 200);
    assert_eq!(daemon.json("/api/v1/status")["since_start"]["accepted"], sent + 2000);
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

/// Who was let in before windows were full, and comes to an end after it, is answered at once and not when there is room.
#[test]
fn a_body_under_way_when_windows_fill_is_answered() {
    let (bench, _) = narrow("");
    let daemon = Daemon::start(bench.path());
    let late = payees(200_000, 200_010);
    let mut under_way: Vec<_> = (0..3).map(|_| connect(&daemon)).collect();
    for stream in &mut under_way {
        let head = format!(
            "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            late.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&late.as_bytes()[..100]).unwrap();
    }
    wait_until(|| metric(&daemon, "fiscwatch_http_bodies_bytes") >= 3);
    let (sent, _) = fill(&daemon);
    let started = Instant::now();
    for stream in &mut under_way {
        stream.write_all(&late.as_bytes()[100..]).unwrap();
        let answer = rest(stream);
        assert_eq!(status(&answer), 503, "{answer}");
        assert!(answer.to_lowercase().contains("retry-after: 30"), "{answer}");
        assert!(answer.contains("engine.window_memory_mib"), "{answer}");
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(daemon.json("/api/v1/status")["since_start"]["accepted"], sent, "nothing of them is taken");
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

/// A list that changes has events judged again; what that commits says nothing of windows, and opens nothing.
#[test]
fn judging_again_does_not_open_the_intake() {
    let (bench, _) = narrow("lists: { settle: 100ms, rejudge: 9999d, black: { path: black.csv } }\n");
    let listed = format!(
        "{WINDOWS}  - {{id: listed, title: listed, severity: low, trigger: payment, when: \"in_list('black', payee_account)\", key: [payee_account], summary: listed}}\n"
    );
    std::fs::write(bench.path().join("rules/rules.yaml"), listed).unwrap();
    std::fs::write(bench.path().join("black.csv"), "account\nnobody\n").unwrap();
    let daemon = Daemon::start(bench.path());
    fill(&daemon);
    daemon.log.try_iter().for_each(drop);
    let account = format!("6222{:012}", 7);
    std::fs::write(bench.path().join("black.csv"), format!("account\nnobody\n{account}\n")).unwrap();
    let found = || daemon.json("/api/v1/findings?rule=listed")["findings"].as_array().unwrap().len();
    wait_until(|| found() == 1);
    std::thread::sleep(Duration::from_secs(1));
    assert!(!said(&daemon, "windows have room again"), "the intake was opened");
    assert_eq!(daemon.get("/-/ready").0, 503);
    assert_eq!(daemon.post("/api/v1/events", &payees(0, 1)).0, 503);
}

/// Rules whose windows would have no room do not come into force; the old ones go on.
#[test]
fn a_reload_whose_windows_have_no_room_is_refused() {
    let (bench, plain) = narrow("");
    let rules = bench.path().join("rules/rules.yaml");
    std::fs::write(&rules, &plain).unwrap();
    let daemon = Daemon::start(bench.path());
    for part in 0..15 {
        let events = payees(part * 2000, part * 2000 + 2000);
        assert_eq!(daemon.post("/api/v1/events", &events).0, 200);
    }
    std::fs::write(&rules, WINDOWS).unwrap();
    let (code, why) = daemon.post("/-/reload", "");
    assert_eq!(code, 422, "{why}");
    assert!(why.contains("do not fit into 1 MiB (engine.window_memory_mib)"), "{why}");
    assert_ne!(daemon.json("/api/v1/rules")["rules"][0]["id"], "often");
    assert_eq!(daemon.get("/-/ready").0, 200);
    assert_eq!(daemon.post("/api/v1/events", &payees(30_000, 30_010)).0, 200);
    // What fits comes into force.
    std::fs::write(
        &rules,
        WINDOWS
            .replace("last: 30d", "last: 1h")
            .replace("trigger: payment", "trigger: payment\n    where: payee_account < '6222000000000100'"),
    )
    .unwrap();
    assert_eq!(daemon.post("/-/reload", "").0, 200);
    assert_eq!(daemon.post("/api/v1/events", &payees(30_010, 30_020)).0, 200);
    assert_eq!(daemon.get("/-/ready").0, 200);
}

/// Two windows that fit by themselves and not together: the second does not come into force.
#[test]
fn a_reload_whose_windows_have_no_room_beside_those_in_force_is_refused() {
    let (bench, plain) = narrow("");
    let rules = bench.path().join("rules/rules.yaml");
    std::fs::write(&rules, WINDOWS).unwrap();
    let daemon = Daemon::start(bench.path());
    let held = || metric(&daemon, "fiscwatch_window_bytes{kind=\"sliding\"}");
    let mut sent = 0;
    while held() < 600 << 10 {
        assert_eq!(daemon.post("/api/v1/events", &payees(sent, sent + 50)).0, 200);
        sent += 50;
    }
    let second = WINDOWS.replace("rules:\n", "").replace("often", "again").replace("last: 30d", "last: 29d");
    std::fs::write(&rules, format!("{WINDOWS}{second}")).unwrap();
    let (code, why) = daemon.post("/-/reload", "");
    assert_eq!(code, 422, "{why}");
    assert!(why.contains("do not fit into 1 MiB (engine.window_memory_mib)"), "{why}");
    // One in place of the other has room.
    std::fs::write(&rules, format!("rules:\n{second}")).unwrap();
    let (code, why) = daemon.post("/-/reload", "");
    assert_eq!(code, 200, "{why}");
    std::fs::write(&rules, plain).unwrap();
    assert_eq!(daemon.post("/-/reload", "").0, 200);
    assert_eq!(daemon.get("/-/ready").0, 200);
}

/// What stood at its limit starts again; what would need much more ends at the start, and says so.
#[test]
fn a_start_whose_windows_have_no_room_ends() {
    let (bench, plain) = narrow("");
    let rules = bench.path().join("rules/rules.yaml");
    std::fs::write(&rules, &plain).unwrap();
    let daemon = Daemon::start(bench.path());
    for part in 0..15 {
        assert_eq!(daemon.post("/api/v1/events", &payees(part * 2000, part * 2000 + 2000)).0, 200);
    }
    assert_eq!(daemon.stop("-TERM"), Some(0));
    std::fs::write(&rules, WINDOWS).unwrap();
    let start = || crate::support::run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    let (code, out, err) = start();
    assert_eq!(code, Some(1), "{out} {err}");
    assert!(err.contains("one and a half times the 1 MiB") && err.contains("Nothing is lost"), "{err}");
    std::fs::write(&rules, plain).unwrap();
    assert_eq!(start().0, Some(0));
}

/// An event from long ago whose windows do not fit is taken in and told; it neither ends the daemon nor is it judged by
/// half a window, and what comes in time is judged as ever.
#[test]
fn an_event_whose_windows_lie_too_far_back_to_fit_is_told() {
    let (bench, plain) = narrow("");
    let rules = bench.path().join("rules/rules.yaml");
    std::fs::write(&rules, &plain).unwrap();
    let daemon = Daemon::start(bench.path());
    for part in 0..15 {
        assert_eq!(daemon.post("/api/v1/events", &payees(part * 2000, part * 2000 + 2000)).0, 200);
    }
    let at = |id: &str, time: &str| {
        let mut event = payment(id, "L1", "1.00");
        event["occurred_at"] = json!(time);
        event
    };
    let now = [at("n1", "2026-12-01T10:00:00+08:00"), at("n2", "2026-12-01T10:01:00+08:00")];
    assert_eq!(daemon.post("/api/v1/events", &lines(&now)).0, 200);
    assert_eq!(daemon.stop("-TERM"), Some(0));

    std::fs::write(&rules, WINDOWS.replace("last: 30d", "last: 1d").replace("n > 1000000", "n > 0")).unwrap();
    let daemon = Daemon::start(bench.path());
    for id in ["late1", "late2"] {
        assert_eq!(daemon.post("/api/v1/events", &payment(id, "L1", "1.00").to_string()).0, 200);
    }
    let in_time = at("n3", "2026-12-01T10:02:00+08:00");
    assert_eq!(daemon.post("/api/v1/events", &in_time.to_string()).0, 200);
    assert_eq!(metric(&daemon, "fiscwatch_rule_errors_total{rule=\"often\"}"), 2);
    assert_eq!(
        daemon.json("/api/v1/findings?rule=often")["findings"].as_array().map(Vec::len),
        Some(1),
        "that in time"
    );
    let why = daemon.json("/api/v1/rules").to_string();
    assert!(why.contains("came so late"), "{why}");
    assert_eq!(daemon.get("/-/ready").0, 200);
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

/// What an event from long ago had filled in is let go of again: the windows are not full for ever because of it.
#[test]
fn windows_that_reached_back_beyond_their_memory_have_room_again() {
    let (bench, plain) = narrow("");
    let rules = bench.path().join("rules/rules.yaml");
    std::fs::write(&rules, WINDOWS).unwrap();
    let daemon = Daemon::start(bench.path());
    let (_, full) = fill(&daemon);
    assert!(full.contains("engine.window_memory_mib"), "{full}");
    std::fs::write(&rules, plain).unwrap();
    assert_eq!(daemon.post("/-/reload", "").0, 200);
    wait_until(|| daemon.get("/-/ready").0 == 200);
    let at = |id: &str, time: &str| {
        let mut event = payment(id, "L1", "1.00");
        event["occurred_at"] = json!(time);
        event
    };
    let now = [at("n1", "2026-12-01T10:00:00+08:00"), at("n2", "2026-12-01T10:01:00+08:00")];
    assert_eq!(daemon.post("/api/v1/events", &lines(&now)).0, 200);
    assert_eq!(daemon.stop("-TERM"), Some(0));

    std::fs::write(&rules, WINDOWS.replace("last: 30d", "last: 1d").replace("n > 1000000", "n > 0")).unwrap();
    let daemon = Daemon::start(bench.path());
    assert_eq!(daemon.post("/api/v1/events", &payment("late", "L1", "1.00").to_string()).0, 200);
    assert_eq!(metric(&daemon, "fiscwatch_rule_errors_total{rule=\"often\"}"), 0, "its window fits");
    let (code, why) = daemon.get("/-/ready");
    assert_eq!(code, 200, "{why}");
    let in_time = at("n3", "2026-12-01T10:02:00+08:00");
    assert_eq!(daemon.post("/api/v1/events", &in_time.to_string()).0, 200);
    assert!(metric(&daemon, "fiscwatch_window_bytes{kind=\"sliding\"}") < 1 << 20);
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

/// Records that are read again have no more room than others: the command ends and says so.
#[test]
fn a_replay_without_room_ends() {
    let (bench, _) = narrow("http: { accept_events: true }\n");
    let path = bench.path().join("fiscwatch.yaml");
    let wide = std::fs::read_to_string(&path).unwrap();
    // What is in the future is in quarantine, until the limit is another.
    let strict = wide.replace("max_future: 9999d", "max_future: 1d, batch_rows: 1000");
    std::fs::write(&path, strict).unwrap();
    let daemon = Daemon::start(bench.path());
    let future = |from, to| payees(from, to).replace("\"2026-", "\"2035-").replace("\"2025-", "\"2035-");
    for part in 0..20 {
        let (code, answer) = daemon.post("/api/v1/events", &future(part * 1000, part * 1000 + 1000));
        assert_eq!(code, 200, "{answer}");
        assert!(answer.contains("\"rejected\":1000"), "{answer}");
    }
    assert_eq!(daemon.stop("-TERM"), Some(0));
    std::fs::write(&path, wide.replace("9999d", "9999d, batch_rows: 1000")).unwrap();
    let started = Instant::now();
    let (code, out, err) =
        crate::support::run(bench.path(), &["rejects", "replay", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1), "{out} {err}");
    assert!(err.contains("000 records were read again, the others stay in quarantine"), "{err}");
    assert!(err.contains("engine.window_memory_mib"), "{err}");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
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

/// `BEGIN IMMEDIATE` in sqlite3.
fn hold(bench: &Bench) -> Connection {
    let other = Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

const HELD: &str = "another program holds the database";

#[test]
fn a_start_waits_for_a_database_that_is_held_and_can_be_stopped_meanwhile() {
    let (bench, daemon) = daemon("");
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let other = hold(&bench);
    let waiting = Daemon::begin(bench.path(), "");
    wait_until(|| said(&waiting, HELD));
    let asked = Instant::now();
    let (code, log) = waiting.end("-TERM");
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("asked to stop while another program held the database"), "{log}");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());

    let waiting = Daemon::begin(bench.path(), "");
    wait_until(|| said(&waiting, HELD));
    other.execute_batch("ROLLBACK").unwrap();
    wait_until(|| waiting.get("/-/ready").0 == 200);
    assert_eq!(waiting.post("/api/v1/events", &lines(&[payment("p1", "L1", "1.00")])).0, 200);
    assert_eq!(waiting.stop("-TERM"), Some(0));
}

#[test]
fn a_daemon_that_is_stopped_beside_a_database_that_is_held_says_so() {
    let (bench, daemon) = daemon("");
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let daemon = Daemon::start_failing(bench.path(), "patience.drain=within:500");
    let other = hold(&bench);
    let address = daemon.address.clone();
    let body = lines(&[payment("p1", "L1", "1.00")]);
    let posted = std::thread::spawn(move || crate::support::post(&format!("{address}/api/v1/events"), &body));
    wait_until(|| said(&daemon, HELD));
    let (code, log) = daemon.end("-TERM");
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("another program has held the database for"), "{log}");
    assert!(log.contains("send again what was posted and not answered"), "{log}");
    assert!(!log.contains("deadline"), "{log}");
    assert_ne!(posted.join().unwrap().0, 200, "what is not stored is not confirmed");
    drop(other);
}

#[test]
fn an_officer_beside_a_database_that_is_held_is_told_to_come_again() {
    let (bench, daemon) = daemon("");
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let daemon = Daemon::start_failing(bench.path(), "patience.officer=within:300");
    assert_eq!(daemon.post("/api/v1/events", &lines(&[payment("p1", "L1", "1.00")])).0, 200);
    let alert = daemon.json("/api/v1/alerts")["alerts"][0]["alert_id"].as_str().unwrap().to_owned();
    let body = json!({ "action": "acknowledge", "who": "zhang" }).to_string();
    let ask = format!(
        "POST /api/v1/alerts/{alert}/transitions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let other = hold(&bench);
    let answer = raw(&daemon, &ask);
    assert_eq!(status(&answer), 503, "{answer}");
    assert!(answer.to_lowercase().contains("\r\nretry-after: 5\r\n"), "{answer}");
    assert!(answer.contains(HELD), "{answer}");
    let state = || daemon.json("/api/v1/alerts")["alerts"][0]["state"].clone();
    assert_eq!(state(), "open");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(status(&raw(&daemon, &ask)), 200);
    assert_eq!(state(), "acknowledged");
}

/// Somebody who goes to lunch.
#[test]
fn another_program_that_holds_the_database_is_waited_for_and_told() {
    let (bench, daemon) = daemon("");
    let other = hold(&bench);
    let address = daemon.address.clone();
    let body = lines(&[payment("p1", "L1", "1.00")]);
    let posted = std::thread::spawn(move || crate::support::post(&format!("{address}/api/v1/events"), &body));
    wait_until(|| daemon.get("/-/ready").1.contains("another program has held the database"));
    assert!(metric(&daemon, "fiscwatch_store_held_seconds") >= 2);
    assert_eq!(daemon.get("/-/healthy").0, 200);
    assert_eq!(daemon.get("/api/v1/alerts").0, 200, "reading goes on");
    assert!(!posted.is_finished(), "nothing is confirmed that is not stored");
    other.execute_batch("ROLLBACK").unwrap();
    let (code, receipt) = posted.join().unwrap();
    assert_eq!((code, receipt.as_str()), (200, "{\"accepted\":1,\"duplicates\":0,\"rejected\":0}"));
    wait_until(|| daemon.get("/-/ready").0 == 200);
    assert_eq!(metric(&daemon, "fiscwatch_store_holds_total"), 1);
    assert!(said(&daemon, HELD));
    assert_eq!(daemon.stop("-TERM"), Some(0));
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
