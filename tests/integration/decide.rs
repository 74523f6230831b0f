//! 事前校验: applications are decided before money moves, by the same rules, exactly once, whatever happens in between.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, agent, lines, payment, post, run, wait_until};

const RULES: &str = "
rules:
  - id: over-line
    title: { zh: 指标余额不足, en: Beyond the line }
    severity: critical
    handling: block
    trigger: [application, payment]
    params: { least: 0 }
    when: budget.available < 0 and amount > $least
    key: [budget_line_id]
    summary: '{{ budget_line_id }} lacks {{ budget.available }}'
  - id: many
    title: Many to one account
    severity: medium
    handling: explain
    basis: a basis
    trigger: [application, payment]
    over: { by: [payee_account], last: 7d }
    measure: { n: count(*), names: 'count(distinct payee_name)', least: min(amount), most: max(amount), middle: median(amount), sum: sum(amount), first: first_value(amount) }
    when: n >= 3
    key: [payee_account]
    summary: '{{ n }} times to {{ payee_name }} at {{ payee_account }}'
  - { id: tried, title: t, severity: low, handling: block, mode: shadow, trigger: application, when: amount > 0, key: [unit_code] }
  - { id: daily, title: t, severity: low, trigger: window, of: application, window: { by: [unit_code], size: 1d }, measure: { n: count(*) }, when: n > 1000, key: [unit_code] }
  - { id: monthly, title: t, severity: low, trigger: schedule, every: 1d, sql: SELECT unit_code FROM payments WHERE amount < 0, key: [unit_code] }
";

fn bench(config: &str) -> Bench {
    let bench = Bench::new("", "");
    std::fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    std::fs::write(
        bench.path().join("fiscwatch.yaml"),
        format!("state: {{ dir: state }}\nlanguage: en\n{config}"),
    )
    .unwrap();
    bench
}

fn approve(line: &str, amount: &str) -> Value {
    json!({"event_id": format!("approve-{line}"), "type": "budget", "action": "approve", "occurred_at": "2026-01-02", "budget_line_id": line,
        "amount": amount, "fiscal_year": 2026, "region_code": "330100000", "unit_code": "101001", "function_code": "2050201", "economic_code": "30201"})
}

fn application(id: &str, amount: &str, account: &str) -> Value {
    let mut event = payment(id, "L1", amount);
    event["type"] = json!("application");
    event["payee_account"] = json!(account);
    event
}

fn ask(daemon: &Daemon, query: &str, body: &Value) -> (u16, Value) {
    let (status, text) = daemon.post(&format!("/api/v1/decide{query}"), &body.to_string());
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}")))
}

fn decide(daemon: &Daemon, query: &str, body: &Value) -> Value {
    let (status, answer) = ask(daemon, query, body);
    assert_eq!(status, 200, "{answer}");
    answer
}

fn accepts(daemon: &Daemon, events: &[Value]) {
    let (status, answer) = daemon.post("/api/v1/events", &lines(events));
    assert_eq!(status, 200, "{answer}");
}

fn reserved(daemon: &Daemon) -> String {
    daemon.json("/api/v1/budget-lines/L1")["reserved"].as_str().unwrap().to_owned()
}

fn events(daemon: &Daemon) -> u64 {
    daemon.json("/api/v1/status")["journal_events"].as_u64().unwrap()
}

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
        (json!([application("x", "1", "A"), application("x", "2", "A")]), 409, "another application"),
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
    assert_eq!(
        (daemon.json("/api/v1/budget-lines/L1")["reserved"].as_str(), events(&daemon)),
        (Some("1.00"), 2)
    );
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
        lookup: { from: budget_line } } } }
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
