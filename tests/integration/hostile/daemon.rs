//! The same in the daemon: it goes on, and says what it left out.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Bench, MEMORY_MIB, peak_mib, row, rules, schedule, stream, write_rules};
use crate::support::{Daemon, wait_until};

fn post(daemon: &Daemon, events: &str) {
    let (status, body) = daemon.post("/api/v1/events", events);
    assert_eq!(status, 200, "{body}");
}

const DAEMON: &str = "
language: en
engine: { query_time: 1s, query_memory_mib: 64, lateness: 0s, idle: 1h }
http: { accept_events: true }
";

/// No reload drops the rules that are in force, and none ends the daemon.
#[test]
fn a_hostile_reload_keeps_the_old_rules() {
    let good = rules(&[row("good", "amount > 0")]);
    let bench = Bench::new(&good, 0);
    std::fs::write(bench.path().join("fiscwatch.yaml"), DAEMON).unwrap();
    let mut daemon = Daemon::start(bench.path());
    let ands = vec!["amount > 1"; 800].join(" and ");
    let unions = vec!["SELECT unit_code FROM payments"; 1500].join(" UNION ALL ");
    for rule in
        [row("bad", &ands), schedule("bad", &unions), row("bad", "length(repeat('x', 2000000000)) > 1")]
    {
        write_rules(&bench, &rules(&[rule]));
        let (status, body) = daemon.post("/-/reload", "");
        assert_eq!(status, 422, "{body}");
        assert!(body.contains("the old rules stay in force"), "{body}");
        daemon.log.try_iter().for_each(drop);
        let pid = daemon.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
        let mut told = String::new();
        wait_until(|| {
            told = daemon.log.try_iter().collect::<Vec<_>>().join("\n");
            told.contains("reload refused, the old rules stay")
        });
        let in_force = daemon.json("/api/v1/rules");
        assert_eq!(in_force["rules"][0]["id"], "good", "{in_force}");
    }
    assert!(daemon.child.try_wait().unwrap().is_none());
    let mib = peak_mib(&daemon.child).unwrap();
    assert!(mib < MEMORY_MIB, "{mib} MiB");
}

/// A rule that is legal and takes for ever: its tick is passed, told and not begun again, and events go on.
#[test]
fn a_tick_beyond_its_budget_is_passed_once() {
    let slow = "SELECT count(*) AS n FROM generate_series(1, 4000000000000) a WHERE a.value % 7 = 8";
    let text = rules(&[schedule("slow", slow), row("good", "amount > 0")]);
    let bench = Bench::new(&text, 0);
    std::fs::write(bench.path().join("fiscwatch.yaml"), DAEMON).unwrap();
    let daemon = Daemon::start(bench.path());
    let started = Instant::now();
    post(&daemon, &stream(20));
    let status = daemon.json("/api/v1/status");
    let passed = status["ticks_passed"].as_array().unwrap().len();
    assert!(passed >= 1, "{status}");
    assert_eq!(status["ticks_passed"][0]["rule_id"], "slow", "{status}");
    assert_eq!(status["ticks_passed"][0]["why"], "it took too long", "{status}");
    assert_eq!(status["rule_errors"]["slow"]["errors"], passed, "{status}");
    assert_eq!(status["query_running"], json!(null), "{status}");
    let metrics = daemon.get("/metrics").1;
    assert!(
        metrics.contains(&format!("fiscwatch_ticks_passed_total{{rule=\"slow\"}} {passed}")),
        "{metrics}"
    );
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(daemon.stop("-TERM"), Some(0));

    // The next process does not begin the tick again.
    let started = Instant::now();
    let daemon = Daemon::start(bench.path());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let status = daemon.json("/api/v1/status");
    assert_eq!(status["ticks_passed"].as_array().unwrap().len(), passed, "{status}");
    assert_eq!(status["rule_errors"], json!({}), "{status}");
    assert_eq!(daemon.stop("-TERM"), Some(0));

    let held = bench.run(&["findings", "list", "--config", "fiscwatch.yaml"], 20);
    held.says("ticks of schedules were passed without an answer, the last of rule slow at");
    let held = bench.run(&["state", "verify", "--findings", "--config", "fiscwatch.yaml"], 60);
    assert_eq!(held.code, Some(0), "{}", held.text);
    held.says("were passed without an answer and are left out");
}

/// A process that dies in a tick begins it again, but not for ever: it is killed each time before the tick is over.
#[test]
fn a_tick_that_ends_the_process_is_not_begun_for_ever() {
    let slow = "SELECT count(*) AS n FROM generate_series(1, 4000000000000) a WHERE a.value % 7 = 8";
    let bench = Bench::new(&rules(&[schedule("slow", slow), row("good", "amount > 0")]), 0);
    std::fs::write(bench.path().join("fiscwatch.yaml"), DAEMON.replace("query_time: 1s", "query_time: 5m"))
        .unwrap();
    let daemon = Daemon::start(bench.path());
    let url = format!("{}/api/v1/events", daemon.address);
    let events = stream(20);
    let posting = std::thread::spawn(move || crate::support::post(&url, &events));
    let runs = |daemon: &Daemon| daemon.json("/api/v1/status")["query_running"]["rule_id"] == "slow";
    let mut daemon = daemon;
    for _ in 0..4 {
        wait_until(|| runs(&daemon));
        drop(daemon);
        daemon = Daemon::launch(bench.path());
        if wait_for(Duration::from_millis(1500), || {
            !daemon.json("/api/v1/status")["ticks_passed"].as_array().unwrap().is_empty()
        }) {
            break;
        }
    }
    let status = daemon.json("/api/v1/status");
    assert_eq!(
        status["ticks_passed"][0]["why"], "the daemon ended several times while it was evaluated",
        "{status}"
    );
    drop(posting);
}

fn wait_for(time: Duration, mut happened: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < time {
        if happened() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

/// A start goes on without a rule that is wrong where it is told to, and says so everywhere.
#[test]
fn a_start_without_a_wrong_rule_tells_which() {
    let text = rules(&[row("good", "amount > 0"), row("bad", "amont > 0")]);
    let bench = Bench::new(&text, 0);
    std::fs::write(bench.path().join("fiscwatch.yaml"), DAEMON).unwrap();
    let held = bench.run(&["run", "--once", "--config", "fiscwatch.yaml"], 20);
    assert_eq!(held.code, Some(1), "{}", held.text);
    held.says("unknown column \"amont\"");

    std::fs::write(bench.path().join("fiscwatch.yaml"), format!("{DAEMON}rules: {{ on_error: skip }}\n"))
        .unwrap();
    let daemon = Daemon::start(bench.path());
    let status = daemon.json("/api/v1/status");
    assert_eq!(status["rules_skipped"][0]["rule_id"], "bad", "{status}");
    assert!(status["rules_skipped"][0]["problem"].as_str().unwrap().contains("unknown column"), "{status}");
    assert!(daemon.get("/metrics").1.contains("fiscwatch_rules_skipped 1"));
    assert!(daemon.log.try_iter().any(|line| line.contains("the daemon runs without this rule")));
    // It stays out at a reload; but a rule in force is not dropped.
    assert_eq!(daemon.post("/-/reload", "").0, 200);
    write_rules(&bench, &rules(&[row("good", "amont > 0"), row("bad", "amont > 0")]));
    let (status, body) = daemon.post("/-/reload", "");
    assert_eq!(status, 422, "{body}");
    assert_eq!(daemon.json("/api/v1/rules")["rules"][0]["id"], "good");
    // Mended, it comes into force.
    write_rules(&bench, &rules(&[row("good", "amount > 0"), row("bad", "amount > 1")]));
    assert_eq!(daemon.post("/-/reload", "").0, 200);
    assert_eq!(daemon.json("/api/v1/status")["rules_skipped"], json!([]));
    // A file that cannot be read as rules does not take those with it that it held.
    write_rules(&bench, "rules: [");
    assert_eq!(daemon.post("/-/reload", "").0, 422);
    assert_eq!(daemon.json("/api/v1/rules")["rules"].as_array().unwrap().len(), 2);
}

/// Of two rules with one id the first stays, at a start and at a reload.
#[test]
fn of_two_rules_with_one_id_the_first_stays() {
    let twice = rules(&[row("twice", "amount > 0"), row("other", "amount > 0"), row("twice", "amount < 0")]);
    let bench = Bench::new(&twice, 0);
    std::fs::write(bench.path().join("fiscwatch.yaml"), format!("{DAEMON}rules: {{ on_error: skip }}\n"))
        .unwrap();
    let daemon = Daemon::start(bench.path());
    for _ in 0..2 {
        let in_force = daemon.json("/api/v1/rules");
        let ids: Vec<_> = in_force["rules"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect();
        assert_eq!(ids, ["twice", "other"]);
        let skipped = daemon.json("/api/v1/status")["rules_skipped"].clone();
        assert_eq!(skipped[0]["rule_id"], "twice", "{skipped}");
        assert!(skipped[0]["problem"].as_str().unwrap().contains("the id \"twice\" is taken"), "{skipped}");
        assert_eq!(daemon.post("/-/reload", "").0, 200);
    }
    let event = crate::support::payment("p1", "L1", "1.00");
    assert_eq!(daemon.post("/api/v1/events", &event.to_string()).0, 200);
    let found = daemon.json("/api/v1/findings?rule=twice");
    assert_eq!(found["findings"].as_array().unwrap().len(), 1, "{found}");
}
