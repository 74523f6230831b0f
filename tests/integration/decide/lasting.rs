//! What a decision leaves behind: it outlives the process, its reservation ends by event time, and what was let through is decided afterwards.

use serde_json::{Value, json};

use super::{RULES, accepts, application, approve, bench, decide, events, reserved};
use crate::support::{Daemon, agent, payment, post, run, wait_until};

/// A process that ends between the decision and its answer leaves both or neither, and whoever asks again gets the answer.
#[test]
fn a_decision_outlives_the_process() {
    for place in ["commit.journal", "commit.ready", "commit.done", "commit.counted"] {
        let bench = bench("");
        let daemon = Daemon::start(bench.path());
        accepts(&daemon, &[approve("L1", "100.00")]);
        assert_eq!(daemon.stop("-TERM"), Some(0));
        let failing = Daemon::start_failing(bench.path(), &format!("{place}=abort"));
        let url = format!("{}/api/v1/decide", failing.address);
        let asked = application("a1", "100.01", "A").to_string();
        let answer = agent().post(&url).send(&asked);
        assert!(answer.is_err(), "{place}: the process ended before it answered");
        drop(failing);
        let daemon = Daemon::start(bench.path());
        let answer = decide(&daemon, "", &application("a1", "100.01", "A"));
        let stored = ["commit.done", "commit.counted"].contains(&place);
        assert_eq!(
            (&answer["decision"], answer["replayed"] == json!(stored)),
            (&json!("block"), true),
            "{place}"
        );
        // Where a tick lies between the application and its withdrawal, the next process withdraws.
        wait_until(|| events(&daemon) == 3);
        assert_eq!(reserved(&daemon), "0.00", "{place}");
    }
}

/// What is reserved ends by event time, if nobody pays before.
#[test]
fn reservations_end_by_event_time() {
    let bench = bench("engine: { lateness: 0s }\n");
    let daemon = Daemon::start(bench.path());
    accepts(&daemon, &[approve("L1", "100.00")]);
    let at = |id: &str, day: &str| {
        let mut asked = application(id, "10.00", id);
        asked["occurred_at"] = json!(format!("2026-03-{day}T10:00:00+08:00"));
        asked
    };
    let allowed = decide(&daemon, "?expires_in=2d", &at("a1", "01"));
    assert_eq!(allowed["expires_at"], "2026-03-03T10:00:00+08:00");
    decide(&daemon, "?expires_in=2d", &at("paid", "01"));
    decide(&daemon, "", &at("kept", "01"));
    let mut pays = payment("p1", "L1", "10.00");
    pays["application_id"] = json!("paid");
    pays["occurred_at"] = json!("2026-03-02T10:00:00+08:00");
    accepts(&daemon, &[pays]);
    assert_eq!(reserved(&daemon), "20.00");
    assert_eq!(daemon.stop("-TERM"), Some(0));
    // Another process knows it too.
    let daemon = Daemon::start(bench.path());
    let known = events(&daemon);
    for (n, day) in ["03", "04", "04"].iter().enumerate() {
        let mut later = payment(&format!("later{n}"), "L1", "1.00");
        later["occurred_at"] = json!(format!("2026-03-{day}T12:00:00+08:00"));
        accepts(&daemon, &[later]);
    }
    wait_until(|| reserved(&daemon) == "10.00");
    assert_eq!(events(&daemon), known + 4, "one withdrawal: what is paid needs none");
    assert_eq!(daemon.json("/api/v1/decisions/a1")["reserves"], false);
}

/// An application that has only a day has a time that the stream is beyond: it reserves all the same, or the last cent would be
/// allowed again and again.
#[test]
fn a_reservation_lasts_from_where_the_stream_is() {
    let bench = bench("engine: { lateness: 0s }\n");
    let daemon = Daemon::start(bench.path());
    let mut events = vec![approve("L1", "10.00"), approve("L2", "10.00")];
    for n in 0..2 {
        let mut pays = payment(&format!("p{n}"), "L2", "1.00");
        pays["occurred_at"] = json!(format!("2026-03-02T10:00:0{n}+08:00"));
        events.push(pays);
    }
    accepts(&daemon, &events);
    let mut day = application("a1", "10.00", "a1");
    day["occurred_at"] = json!("2026-03-02");
    let asked = decide(&daemon, "?mode=what_if&expires_in=8h", &day);
    let allowed = decide(&daemon, "?expires_in=8h", &day);
    assert_eq!((&allowed["decision"], &allowed["expires_at"]), (&json!("allow"), &asked["expires_at"]));
    assert_eq!(allowed["expires_at"], "2026-03-02T18:00:01+08:00");
    day["event_id"] = json!("a2");
    assert_eq!(decide(&daemon, "?expires_in=8h", &day)["decision"], "block");
    assert_eq!(reserved(&daemon), "10.00");
    assert_eq!(daemon.json("/api/v1/decisions/a1")["reserves"], true);
}

/// What was let through while nobody answered is decided afterwards. Its money has moved: it is not withdrawn.
#[test]
fn what_was_let_through_is_decided_afterwards_and_told() {
    let bench = bench("");
    std::fs::copy("rules/conduct.yaml", bench.path().join("rules/conduct.yaml")).unwrap();
    std::fs::create_dir_all(bench.path().join("lists")).unwrap();
    for list in ["holidays", "sensitive_words"] {
        std::fs::copy(format!("config/lists/{list}.csv"), bench.path().join(format!("lists/{list}.csv")))
            .unwrap();
    }
    let config = "state: { dir: state }\nlanguage: en\nlists: { holidays: { path: lists/holidays.csv }, sensitive_words: { path: lists/sensitive_words.csv } }\n";
    std::fs::write(bench.path().join("fiscwatch.yaml"), config).unwrap();
    let daemon = Daemon::start(bench.path());
    accepts(&daemon, &[approve("L1", "100.00")]);
    let mut passed = application("open-1", "130.00", "A");
    passed["tags"] = json!(["unchecked"]);
    let decision = decide(&daemon, "", &passed);
    assert_eq!((&decision["decision"], &decision["unchecked"]), (&json!("block"), &json!(true)));
    let mut rules: Vec<_> =
        decision["reasons"].as_array().unwrap().iter().map(|r| r["rule_id"].as_str().unwrap()).collect();
    rules.sort_unstable();
    assert_eq!(rules, ["over-line", "unchecked"]);
    assert_eq!((reserved(&daemon).as_str(), events(&daemon)), ("130.00", 2), "nothing withdraws it");
    let told = daemon.json("/api/v1/findings?rule=unchecked");
    assert!(
        told["findings"][0]["summary"].as_str().unwrap().contains("without being decided before"),
        "{told}"
    );
    // Nobody can let pass what has passed.
    let order = json!({"reason": "r", "amount": "130.00", "who": "W"}).to_string();
    let path = format!("{}/api/v1/decisions/open-1/overrides", daemon.address);
    let mut answer = agent().post(path).header("content-type", "application/json").send(order).unwrap();
    let (status, problem) = (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap());
    assert!(status == 409 && problem.contains("has moved already"), "{status} {problem}");
    assert!(daemon.get("/metrics").1.contains("fiscwatch_decisions_unchecked_total 1"));
    // One that no rule blocks is explained at least.
    let mut small = application("open-2", "1.00", "B");
    small["budget_line_id"] = json!("L2");
    small["tags"] = json!(["unchecked"]);
    accepts(&daemon, &[approve("L2", "100.00")]);
    assert_eq!(decide(&daemon, "", &small)["decision"], "explain");
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let (code, out, err) =
        run(bench.path(), &["state", "verify", "--findings", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
}

/// Between a decision and its journal other rules may come into force: monitoring finds what was decided.
#[test]
fn an_application_is_journalled_by_the_rules_that_decided_it() {
    let bench = bench("");
    let daemon = Daemon::start_failing(bench.path(), "decide.decided=delay:1500@1");
    accepts(&daemon, &[approve("L1", "100.00")]);
    let url = format!("{}/api/v1/decide", daemon.address);
    let asked = std::thread::spawn(move || post(&url, &application("a1", "100.01", "A").to_string()).1);
    std::thread::sleep(std::time::Duration::from_millis(500));
    let lenient = RULES.replace("budget.available < 0 and", "budget.available < -1000 and");
    std::fs::write(bench.path().join("rules/rules.yaml"), lenient).unwrap();
    assert_eq!(daemon.post("/-/reload", "").0, 200);
    let decision: Value = serde_json::from_str(&asked.join().unwrap()).unwrap();
    assert_eq!(decision["decision"], "block");
    let findings = daemon.json("/api/v1/findings?rule=over-line");
    assert_eq!(findings["findings"][0]["finding_id"], decision["reasons"][0]["finding_id"]);
    assert_eq!(
        decide(&daemon, "", &application("a2", "100.01", "A"))["decision"],
        "allow",
        "the new rules decide now"
    );
}
