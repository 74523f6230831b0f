//! Windows that grow beyond their memory stop the intake, and nothing else.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{connect, metric, payees, refused, rest, said, status};
use crate::support::{Bench, Daemon, lines, payment, wait_until};

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

fn at(id: &str, time: &str) -> Value {
    let mut event = payment(id, "L1", "1.00");
    event["occurred_at"] = json!(time);
    event
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
