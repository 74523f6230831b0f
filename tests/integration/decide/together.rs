//! Many questions at a time: one after another, and the stream goes on beside them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{accepts, application, approve, bench, decide};
use crate::support::{Daemon, lines, payment, post, run, wait_until};

/// Questions that wait behind one another are answered by one evaluation, and each as if it had come alone: what is reserved
/// before it, what blocks it, and what monitoring then finds.
#[test]
fn questions_that_wait_together_are_answered_one_after_another() {
    let bench = bench("");
    // While one is stored, the others come together behind it.
    let daemon = Daemon::start_failing(bench.path(), "decide.decided=delay:200");
    accepts(&daemon, &[approve("L1", "300.00")]);
    let amount = |n: usize| format!("{}.{:02}", 7 * n % 41 + 1, n);
    let ask = |n: usize, mode: &str| {
        let url = format!("{}/api/v1/decide?mode={mode}", daemon.address);
        let mut asked = application(&format!("a{n}"), &amount(n), &(n % 5).to_string());
        if n % 9 == 8 {
            asked["amount"] = json!("none");
        }
        move || {
            let (status, text) = post(&url, &asked.to_string());
            (status, serde_json::from_str::<Value>(&text).unwrap())
        }
    };
    let together = |count: usize, mode: &str| -> Vec<(u16, Value)> {
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..count).map(|n| scope.spawn(ask(n, mode))).collect();
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        })
    };
    let cents = |value: &Value| -> i64 { value.as_str().unwrap().replace('.', "").parse().unwrap() };
    let tried = together(40, "what_if");
    for (n, (status, answer)) in tried.iter().enumerate() {
        assert_eq!(*status, if n % 9 == 8 { 422 } else { 200 }, "{answer}");
        assert!(*status == 422 || answer["before"]["reserved"] == "0.00", "none sees the others: {answer}");
    }
    let answers = together(40, "commit");
    assert!(answers.iter().enumerate().all(|(n, (status, _))| *status == if n % 9 == 8 { 422 } else { 200 }));
    let mut answers: Vec<_> =
        answers.into_iter().filter(|(status, _)| *status == 200).map(|(_, a)| a).collect();
    // Blocked ones leave the line as it is; of what is reserved one follows from the other.
    let passes = |answer: &Value| answer["decision"] != "block";
    answers.sort_by_key(|answer| (cents(&answer["before"]["reserved"]), passes(answer)));
    let mut reserved = 0;
    for answer in &answers {
        let amount = cents(&answer["amount"]);
        assert_eq!(cents(&answer["before"]["reserved"]), reserved, "{answer}");
        assert_eq!(cents(&answer["after"]["reserved"]), reserved + amount, "{answer}");
        assert_eq!(passes(answer), reserved + amount <= 30_000, "{answer}");
        let largest = (!passes(answer) && reserved < 30_000).then_some(30_000 - reserved);
        assert_eq!(answer["largest_amount"].as_str().map(|text| cents(&json!(text))), largest, "{answer}");
        reserved += if passes(answer) { amount } else { 0 };
    }
    let blocked = answers.iter().filter(|answer| !passes(answer)).count();
    assert!((5..30).contains(&blocked), "{blocked} blocked");
    // What was answered is what monitoring has found.
    let told: BTreeSet<_> = answers
        .iter()
        .flat_map(|answer| answer["reasons"].as_array().unwrap())
        .map(|reason| reason["finding_id"].as_str().unwrap().to_owned())
        .collect();
    let found = daemon.json("/api/v1/findings?limit=500");
    let live = found["findings"].as_array().unwrap().iter().filter(|finding| finding["rule_id"] != "tried");
    let found: BTreeSet<_> = live.map(|finding| finding["finding_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told, found);
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let (code, out, err) =
        run(bench.path(), &["state", "verify", "--findings", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
}

/// Questions come first, and the stream goes on all the same.
#[test]
fn questions_without_end_do_not_starve_the_stream() {
    // Longer than a slow machine takes, and shorter than a client waits.
    const LONG: std::time::Duration = std::time::Duration::from_secs(20);
    let bench = bench("");
    let daemon = Daemon::start(bench.path());
    accepts(&daemon, &[approve("L1", "100000.00")]);
    let mut waited = std::time::Duration::ZERO;
    let stop = std::sync::atomic::AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..4)
            .map(|n| {
                let (url, stop) = (format!("{}/api/v1/decide?mode=what_if", daemon.address), &stop);
                scope.spawn(move || {
                    let mut asked = 0u32;
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        let (status, text) =
                            post(&url, &application(&format!("q{n}"), "1.00", "A").to_string());
                        assert!(matches!(status, 200 | 503), "{text}");
                        asked += 1;
                    }
                    asked
                })
            })
            .collect();
        for n in 0..20 {
            let begun = std::time::Instant::now();
            post(
                &format!("{}/api/v1/events", daemon.address),
                &lines(&[payment(&format!("p{n}"), "L1", "1.00")]),
            );
            waited = waited.max(begun.elapsed());
            if waited > LONG {
                break;
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        askers.into_iter().map(|asker| asker.join().unwrap()).sum::<u32>()
    });
    assert!(waited < LONG, "a posted event waited {waited:?}");
    assert!(asked > 40, "only {asked} questions beside twenty events");
    assert_eq!(daemon.json("/api/v1/budget-lines/L1")["executed"], "20.00");
}

/// Nobody who asks waits for the query of a schedule, however much comes in meanwhile; what is stored waits for it.
#[test]
fn questions_are_answered_while_a_schedule_is_evaluated() {
    const ENDLESS: &str =
        "SELECT count(*) AS n FROM generate_series(1, 4000000000000) a WHERE a.value % 7 = 8";
    let bench = bench("engine: { query_time: 4s, lateness: 0s }\n");
    let rules = std::fs::read_to_string(bench.path().join("rules/rules.yaml")).unwrap();
    let slow = format!(
        "  - {{ id: slow, title: t, severity: low, trigger: schedule, every: 1d, key: [], sql: '{ENDLESS}' }}\n"
    );
    std::fs::write(bench.path().join("rules/rules.yaml"), rules + &slow).unwrap();
    let daemon = Daemon::start(bench.path());
    let at = |mut event: Value, at: &str| {
        event["occurred_at"] = json!(at);
        event
    };
    let paid = |id: &str, of: &str| at(payment(id, "L1", "1.00"), of);
    let approved = at(approve("L1", "100000.00"), "2026-03-04T09:00:00+08:00");
    accepts(&daemon, &[approved, paid("p1", "2026-03-04T10:00:00+08:00")]);
    // The day ends between these two, and so the rule is due between them.
    let next = [paid("p2", "2026-03-05T10:00:00+08:00"), paid("p3", "2026-03-05T10:00:01+08:00")];
    let url = format!("{}/api/v1/events", daemon.address);
    let posting = std::thread::spawn(move || post(&url, &lines(&next)));
    let running = || daemon.json("/api/v1/status")["query_running"]["rule_id"] == "slow";
    wait_until(running);
    let url = format!("{}/api/v1/events", daemon.address);
    let more = lines(&[paid("p4", "2026-03-05T10:00:02+08:00")]);
    let beside = std::thread::spawn(move || post(&url, &more));
    for n in 0..5 {
        let asked = at(application(&format!("q{n}"), "1.00", "A"), "2026-03-05T10:00:03+08:00");
        let answer = decide(&daemon, "?mode=what_if", &asked);
        assert_eq!(answer["decision"], "allow", "{answer}");
    }
    assert!(running(), "the answers waited for the query");
    assert!(!posting.is_finished() && !beside.is_finished(), "what comes after the tick waits for it");
    assert_eq!(posting.join().unwrap().0, 200);
    assert_eq!(beside.join().unwrap().0, 200);
    let status = daemon.json("/api/v1/status");
    assert_eq!(status["ticks_passed"][0]["rule_id"], "slow", "{status}");
    assert_eq!(daemon.json("/api/v1/budget-lines/L1")["executed"], "4.00");
}
