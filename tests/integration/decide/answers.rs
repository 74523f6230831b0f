//! What is answered about an application, and what is refused.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::{accepts, application, approve, ask, bench, decide, events, reserved};
use crate::support::{Daemon, lines, payment, post, run, wait_until};

/// The blocked applications, page by page.
fn listed(daemon: &Daemon) -> BTreeSet<String> {
    let mut listed = BTreeSet::new();
    let mut after = String::new();
    loop {
        let page = daemon.json(&format!("/api/v1/decisions?decision=block&limit=1{after}"));
        listed.extend(
            page["decisions"].as_array().unwrap().iter().map(|d| d["event_id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={}", next.replace(' ', "%20"));
    }
    listed
}

#[test]
fn an_application_is_answered_as_monitoring_finds_and_only_once() {
    let bench = bench("");
    let daemon = Daemon::start(bench.path());
    accepts(&daemon, &[approve("L1", "100.00")]);

    let a1 = application("a1", "60.00", "A");
    let tried = decide(&daemon, "?mode=what_if", &a1);
    assert_eq!((&tried["decision"], &tried["mode"]), (&json!("allow"), &json!("what_if")));
    assert_eq!((reserved(&daemon).as_str(), events(&daemon)), ("0.00", 1), "a question changes nothing");
    let allowed = decide(&daemon, "", &a1);
    assert_eq!(allowed["decision"], "allow");
    assert_eq!(allowed["before"]["available"], "100.00");
    assert_eq!(
        (&allowed["after"]["reserved"], &allowed["after"]["available"]),
        (&json!("60.00"), &json!("40.00"))
    );
    assert_eq!(allowed["reasons"], json!([]), "shadow rules never count");
    assert_eq!(
        allowed["not_evaluated"],
        json!([{"rule_id": "daily", "until": "window"}, {"rule_id": "monthly", "until": "schedule"}])
    );
    assert_eq!(reserved(&daemon), "60.00");

    let blocked = decide(&daemon, "", &application("a2", "50.01", "A"));
    assert_eq!((&blocked["decision"], &blocked["largest_amount"]), (&json!("block"), &json!("40.00")));
    let reason = &blocked["reasons"][0];
    assert_eq!((&reason["rule_id"], &reason["summary"]), (&json!("over-line"), &json!("L1 lacks -10.01")));
    assert_eq!(reason["values"]["budget.available"], "-10.01");
    let conjuncts = json!([
        {"text": "budget.available < 0", "values": {"budget.available": "-10.01"}},
        {"text": "amount > $least", "values": {"amount": "50.01", "$least": "0"}},
    ]);
    assert_eq!(reason["conjuncts"], conjuncts);
    assert_eq!((reserved(&daemon).as_str(), events(&daemon)), ("60.00", 4), "it was withdrawn at once");
    let findings = daemon.json("/api/v1/findings?rule=over-line");
    assert_eq!(findings["findings"][0]["finding_id"], reason["finding_id"], "monitoring found the same");

    // The same again gets the same answer, other content none.
    let mut again = decide(&daemon, "", &application("a2", "50.01", "A"));
    assert_eq!(again["replayed"], true);
    again["replayed"] = json!(false);
    assert_eq!(again, blocked);
    assert_eq!(events(&daemon), 4);
    let (status, problem) = ask(&daemon, "", &application("a2", "1.00", "A"));
    assert!(
        status == 409 && problem["detail"].as_str().unwrap().contains("another application"),
        "{problem}"
    );
    accepts(&daemon, &[application("posted", "1.00", "B")]);
    let (status, problem) = ask(&daemon, "", &application("posted", "1.00", "B"));
    assert!(status == 409 && problem["detail"].as_str().unwrap().contains("was not decided"), "{problem}");

    // The window has what was decided, with what was withdrawn: it did arrive.
    let third = decide(&daemon, "", &application("a3", "10.00", "A"));
    assert_eq!((&third["decision"], &third["largest_amount"]), (&json!("explain"), &Value::Null));
    assert_eq!(
        (&third["reasons"][0]["values"]["n"], &third["reasons"][0]["basis"]),
        (&json!(3), &json!("a basis"))
    );

    // Together: all or none.
    let both = json!({"applications": [application("a4", "20.00", "C"), application("a5", "20.00", "D")], "atomic": true});
    let together = decide(&daemon, "", &both);
    assert_eq!(together["decision"], "block");
    let [first, second] = together["decisions"].as_array().unwrap().as_slice() else { panic!("{together}") };
    assert_eq!((&first["decision"], &first["also"]["together_with"]), (&json!("block"), &json!("a5")));
    assert_eq!(
        (&second["reasons"][0]["rule_id"], &second["before"]["reserved"]),
        (&json!("over-line"), &json!("91.00"))
    );
    assert_eq!(reserved(&daemon), "71.00");
    let apart =
        decide(&daemon, "", &json!([application("a6", "20.00", "C"), application("a7", "20.00", "D")]));
    let words: Vec<_> =
        apart["decisions"].as_array().unwrap().iter().map(|d| d["decision"].clone()).collect();
    assert_eq!(words, ["allow", "block"]);
    assert_eq!(reserved(&daemon), "91.00");

    assert_eq!(daemon.post("/api/v1/decisions/a6/release", "").0, 200);
    assert_eq!(daemon.post("/api/v1/decisions/a6/release", "").0, 200);
    assert_eq!((reserved(&daemon).as_str(), daemon.get("/api/v1/decisions/nobody").0), ("71.00", 404));
    assert_eq!(daemon.json("/api/v1/decisions/a6")["reserves"], false);
    assert_eq!(daemon.json("/api/v1/decisions/a1")["reserves"], true);
    assert_eq!(listed(&daemon), ["a2", "a4", "a5", "a7"].map(String::from).into());
    let metrics = daemon.get("/metrics").1;
    for line in
        ["fiscwatch_decisions_total{decision=\"allow\"} 2", "fiscwatch_decisions_total{decision=\"block\"} 4"]
    {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert_eq!(daemon.stop("-TERM"), Some(0));

    // What was journalled gives the same findings by itself.
    let (code, out, err) =
        run(bench.path(), &["state", "verify", "--findings", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let daemon = Daemon::start(bench.path());
    assert_eq!(decide(&daemon, "", &application("a2", "50.01", "A"))["replayed"], true);
    assert_eq!(reserved(&daemon), "71.00");
}

#[test]
fn what_is_no_application_is_refused_with_its_reason() {
    let bench = bench("");
    let daemon = Daemon::start(bench.path());
    accepts(&daemon, &[approve("L1", "100.00")]);
    let mut bad = application("a1", "1.005", "A");
    for (body, status, told) in [
        (bad.clone(), 422, "amount"),
        (payment("p1", "L1", "1.00"), 422, "of type payment"),
        (json!([]), 422, "no application"),
        (json!([application("x", "1", "A"), application("x", "2", "A")]), 409, "same event_id"),
        (
            json!({"applications": [application("y", "1", "A"), application("y", "2", "A")], "atomic": true}),
            422,
            "same event_id",
        ),
        (json!({"applications": [application("z", "1", "A")], "atmic": true}), 422, "beside `applications`"),
        (json!(7), 422, "JSON object"),
    ] {
        let (found, problem) = ask(&daemon, "", &body);
        assert!(found == status && problem["detail"].as_str().unwrap().contains(told), "{body}: {problem}");
    }
    bad["amount"] = json!("1.00");
    assert_eq!(ask(&daemon, "?expires_in=soon", &bad).0, 422);
    assert_eq!(daemon.post("/api/v1/decide", "{\"a\":").0, 400);
    assert_eq!((reserved(&daemon), events(&daemon)), (String::from("0.00"), 1));
}

#[test]
fn the_last_cent_is_given_once() {
    let bench = bench("");
    let daemon = Daemon::start(bench.path());
    for round in 0..3 {
        let line = format!("L{round}");
        accepts(&daemon, &[approve(&line, "100.00")]);
        let words: Vec<String> = std::thread::scope(|scope| {
            let client = |n: usize| {
                let (url, line) = (format!("{}/api/v1/decide", daemon.address), &line);
                move || {
                    let mut asked = application(&format!("{line}-{n}"), "100.00", &format!("{line}-{n}"));
                    asked["budget_line_id"] = json!(line);
                    let (status, text) = post(&url, &asked.to_string());
                    assert_eq!(status, 200, "{text}");
                    let answer: Value = serde_json::from_str(&text).unwrap();
                    answer["decision"].as_str().unwrap().to_owned()
                }
            };
            let clients: Vec<_> = (0..64).map(|n| scope.spawn(client(n))).collect();
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        assert_eq!(words.iter().filter(|word| *word == "allow").count(), 1, "{words:?}");
        assert_eq!(words.iter().filter(|word| *word == "block").count(), 63, "{words:?}");
        assert_eq!(daemon.json(&format!("/api/v1/budget-lines/{line}"))["available"], "0.00");
    }
}

/// A program that asks learns no account and no person.
#[test]
fn an_answer_shows_no_account() {
    let bench = bench("");
    let daemon = Daemon::start(bench.path());
    accepts(&daemon, &[approve("L1", "100.00")]);
    let account = "6222021202000012345";
    let answers: Vec<_> =
        (0..3).map(|n| decide(&daemon, "", &application(&format!("a{n}"), "1.00", account))).collect();
    let reason = &answers[2]["reasons"][0];
    assert!(reason["summary"].as_str().unwrap().ends_with("at ****2345"), "{reason}");
    let listed = daemon.get("/api/v1/decisions").1;
    assert!(listed.contains("****2345") && !listed.contains(account), "{listed}");
}

/// A number is as exact as a text, and no float.
#[test]
fn an_amount_that_is_a_number_stays_exact() {
    let bench = bench("");
    let daemon = Daemon::start(bench.path());
    let amount = "90071992547409.93";
    let text = application("a1", "0", "A").to_string().replace("\"0\"", amount);
    assert!(text.contains(&format!(":{amount}")), "{text}");
    for body in
        [text.clone(), format!("[{text}]"), format!("{{\"applications\": [{text}], \"mode\": \"commit\"}}")]
    {
        let (status, answer) = daemon.post("/api/v1/decide", &body);
        assert!(status == 200 && answer.contains(&format!("\"amount\":\"{amount}\"")), "{answer}");
    }
}

/// What lacks all but its line is decided as if it had what the line is approved for, and withdrawn whatever the map makes of
/// records.
#[test]
fn an_application_gets_what_it_lacks_from_its_line() {
    let map = "http: { listen: '127.0.0.1:0', events: { map: { columns: { no: event_id, line: budget_line_id, amt: amount, at: occurred_at },
        constants: { type: application, payment_mode: direct, settlement: transfer, payee_name: 甲, payee_account: '1', payee_type: entity },
        lookup: { from: budget_line }, when: \"no <> 'total'\" } } }
sources: [{ name: budgets, file: { path: events.jsonl } }]\n";
    let bench = bench(map);
    let rule = "rules: [{ id: unit, title: t, severity: high, handling: block, trigger: application, when: unit_code = '101001' and economic_code = '30201' and amount >= 50, key: [unit_code] }]";
    std::fs::write(bench.path().join("rules/unit.yaml"), rule).unwrap();
    std::fs::write(bench.path().join("events.jsonl"), lines(&[approve("L1", "100.00")])).unwrap();
    let daemon = Daemon::start(bench.path());
    wait_until(|| events(&daemon) == 1);
    let row = |no: &str, amount: &str| json!({"no": no, "line": "L1", "amt": amount, "at": "2026-03-05T10:00:00+08:00"});
    let tried = decide(&daemon, "?mode=what_if", &row("a1", "50.00"));
    let blocked = decide(&daemon, "", &row("a1", "50.00"));
    for answer in [&tried, &blocked] {
        assert_eq!(
            (&answer["decision"], &answer["reasons"][0]["rule_id"]),
            (&json!("block"), &json!("unit")),
            "{answer}"
        );
    }
    assert_eq!((blocked["largest_amount"].as_str(), reserved(&daemon).as_str()), (Some("49.99"), "0.00"));
    assert_eq!(decide(&daemon, "", &row("a1", "50.00"))["replayed"], true);
    assert_eq!(decide(&daemon, "", &row("a2", "10.00"))["decision"], "allow");
    assert_eq!(reserved(&daemon), "10.00");
    assert_eq!(daemon.post("/api/v1/decisions/a2/release", "").0, 200);
    assert_eq!((reserved(&daemon).as_str(), events(&daemon)), ("0.00", 5));
    let mut unknown = row("a3", "10.00");
    unknown["line"] = json!("L9");
    let (status, problem) = ask(&daemon, "", &unknown);
    assert!(status == 422 && problem["detail"].as_str().unwrap().contains("not approved yet"), "{problem}");
    // What the map leaves out is no application: to allow it would allow what nobody has looked at.
    for body in [row("total", "10.00"), json!([row("a4", "10.00"), row("total", "10.00")])] {
        for mode in ["", "?mode=what_if", "?atomic=true"] {
            let (status, problem) = ask(&daemon, mode, &body);
            assert!(
                status == 422 && problem["detail"].as_str().unwrap().contains("leaves a record out"),
                "{problem}"
            );
            assert_eq!((reserved(&daemon).as_str(), events(&daemon)), ("0.00", 5));
        }
    }
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let (code, out, err) =
        run(bench.path(), &["state", "verify", "--findings", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
}

/// What is tried out is what is then decided, and nothing of the trial stays behind.
#[test]
fn a_trial_and_a_decision_agree() {
    let bench = bench("");
    let daemon = Daemon::start(bench.path());
    accepts(&daemon, &[approve("L1", "1000.00"), approve("L2", "100000.00")]);
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    // Some accounts are crowded: what their windows add up goes along with them.
    let crowd = (0..400).map(|n| {
        let mut paid = payment(&format!("p{n}"), "L2", &format!("{}.00", rng.random_range(1..90)));
        paid["payee_account"] = json!(rng.random_range(0..3).to_string());
        paid["occurred_at"] = json!(format!("2026-03-{:02}T09:00:00+08:00", 1 + n / 17));
        paid
    });
    accepts(&daemon, &crowd.collect::<Vec<_>>());
    for n in 0..90 {
        let amount = format!("{}.{:02}", rng.random_range(0..60), rng.random_range(1..100));
        let mut asked = application(&format!("a{n}"), &amount, &rng.random_range(0..9).to_string());
        let day = rng.random_range(1..28);
        asked["occurred_at"] = json!(format!("2026-03-{day:02}T10:00:00+08:00"));
        let (mut tried, mut decided) =
            (decide(&daemon, "?mode=what_if", &asked), decide(&daemon, "", &asked));
        for answer in [&mut tried, &mut decided] {
            answer["decided_at"] = json!(null);
            answer["mode"] = json!(null);
        }
        assert_eq!(tried, decided);
        if let Some(largest) = tried["largest_amount"].as_str() {
            assert_eq!(largest, tried["before"]["available"], "{tried}");
        }
    }
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let (code, out, err) =
        run(bench.path(), &["state", "verify", "--findings", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
}

/// By a ledger that is too old nothing is allowed silently.
#[test]
fn an_old_ledger_allows_nothing_silently() {
    let old = "sources: [{ name: budgets, file: { path: events.jsonl } }]\n";
    for (config, status) in [
        ("decide: { max_staleness: 1h }\n", 200),
        ("decide: { max_staleness: 1h, when_stale: refuse }\n", 503),
    ] {
        let bench = bench(&format!("{old}{config}"));
        std::fs::write(bench.path().join("events.jsonl"), lines(&[approve("L1", "100.00")])).unwrap();
        let daemon = Daemon::start(bench.path());
        wait_until(|| events(&daemon) == 1);
        let (found, answer) = ask(&daemon, "", &application("a1", "1.00", "A"));
        assert_eq!(found, status, "{answer}");
        if status == 200 {
            assert_eq!((&answer["decision"], &answer["also"]["stale"]), (&json!("explain"), &json!(true)));
            assert_eq!(answer["sources"][0]["source"], "budgets");
            assert!(answer["sources"][0]["behind_seconds"].as_i64().unwrap() > 3600, "{answer}");
        }
        assert_eq!(daemon.json("/api/v1/status")["decide"]["on_unavailable"], "closed");
    }
}
