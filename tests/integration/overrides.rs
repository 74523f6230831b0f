//! 特批: a blocked application passes once, because somebody else answers for it, and monitoring finds what it finds.

use fiscwatch::{
    access::{Actor, Role, Roles},
    decision::withdrawal,
    event::Instant,
    store::{Accounts, Store, TokenSpec},
};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{
    decide::{application, approve},
    support::{Bench, Daemon, agent, assert_same, file_lines, lines, post, run},
};

const RULES: &str = "
rules:
  - { id: over-line, title: Beyond the line, severity: critical, handling: block, trigger: [application, payment], when: budget.available < 0, key: [budget_line_id] }
  - { id: many, title: Many to one account, severity: critical, handling: block, trigger: [application, payment], over: { by: [payee_account], last: 7d }, measure: { n: count(*) }, when: n >= 4, key: [payee_account] }
";

fn bench(config: &str) -> Bench {
    let bench = Bench::new("", "");
    std::fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    let config = format!("state: {{ dir: state }}\nlanguage: en\n{config}");
    std::fs::write(bench.path().join("fiscwatch.yaml"), config).unwrap();
    bench
}

fn send(daemon: &Daemon, path: &str, body: &Value) -> (u16, Value) {
    let request =
        agent().post(format!("{}{path}", daemon.address)).header("content-type", "application/json");
    let mut response = request.send(body.to_string()).unwrap();
    let (status, text) = (response.status().as_u16(), response.body_mut().read_to_string().unwrap());
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {status}: {text}")))
}

/// Asks, by an override or without one.
fn ask(daemon: &Daemon, query: &str, asked: &Value) -> (u16, Value) {
    send(daemon, &format!("/api/v1/decide{query}"), asked)
}

fn decided(daemon: &Daemon, query: &str, asked: &Value) -> Value {
    let (status, answer) = ask(daemon, query, asked);
    assert_eq!(status, 200, "{answer}");
    answer
}

fn grant(daemon: &Daemon, application: &str, body: &Value) -> (u16, Value) {
    send(daemon, &format!("/api/v1/decisions/{application}/overrides"), body)
}

fn accepts(daemon: &Daemon, events: &[Value]) {
    assert_eq!(daemon.post("/api/v1/events", &lines(events)).0, 200);
}

fn detail(problem: &Value) -> &str {
    problem["detail"].as_str().unwrap_or_default()
}

fn reserved(daemon: &Daemon) -> String {
    daemon.json("/api/v1/budget-lines/L1")["reserved"].as_str().unwrap().to_owned()
}

fn succeeds(bench: &Bench, args: &[&str]) -> String {
    let (code, out, err) = run(bench.path(), &[args, &["--config", "fiscwatch.yaml"]].concat());
    assert_eq!(code, Some(0), "{args:?}: {out}{err}");
    out
}

#[test]
fn a_blocked_application_passes_once_by_an_override() {
    let bench = bench("");
    let daemon = Daemon::start(bench.path());
    accepts(&daemon, &[approve("L1", "100.00")]);
    let allowed = decided(&daemon, "", &application("a0", "1.00", "B"));
    assert_eq!(allowed["decision"], "allow");
    let blocked = decided(&daemon, "", &application("a1", "150.00", "A"));
    assert_eq!(blocked["decision"], "block");

    // Who says nothing, says no reason, or says too much grants nothing.
    for (application, body, status, told) in [
        ("a1", json!({"reason": "flood relief"}), 422, "say who you are"),
        ("a1", json!({"who": "王芳", "reason": " "}), 422, "needs a reason"),
        ("a1", json!({"who": "王芳", "reason": "r", "amount": "150.01"}), 409, "for that much at most"),
        ("a1", json!({"who": "王芳", "reason": "r", "amount": "0"}), 422, "is no amount"),
        ("a1", json!({"who": "王芳", "reason": "r", "duration": "8d"}), 422, "lasts_max"),
        ("a0", json!({"who": "王芳", "reason": "r"}), 409, "nothing to override"),
        ("nobody", json!({"who": "王芳", "reason": "r"}), 404, "nothing was decided"),
    ] {
        let (found, problem) = grant(&daemon, application, &body);
        assert!(found == status && detail(&problem).contains(told), "{body}: {problem}");
    }
    let order = json!({"who": "王芳", "reason": "flood relief", "amount": "140.00"});
    let (status, granted) = grant(&daemon, "a1", &order);
    assert_eq!((status, &granted["state"], &granted["needed"]), (201, &json!("in_force"), &json!(1)));
    assert_eq!((&granted["rules"], &granted["amount"]), (&json!(["over-line"]), &json!("140.00")));
    let id = granted["override_id"].as_i64().unwrap();
    let (status, problem) = grant(&daemon, "a1", &order);
    assert!(status == 409 && detail(&problem).contains("already"), "{problem}");

    // It is for this application, up to this amount.
    let by = format!("?override={id}");
    let mut elsewhere = application("b1", "140.00", "A");
    elsewhere["budget_line_id"] = json!("L2");
    let apart = [
        (application("b1", "140.01", "A"), "140.00 at most"),
        (application("b1", "140.00", "C"), "another one"),
        (elsewhere, "another one"),
    ];
    for (asked, told) in &apart {
        let (status, problem) = ask(&daemon, &by, asked);
        assert!(status == 409 && detail(&problem).contains(told), "{asked}: {problem}");
    }
    let two = json!([application("b1", "1.00", "A"), application("b2", "1.00", "A")]);
    assert_eq!(ask(&daemon, &by, &two).0, 422);
    assert_eq!(ask(&daemon, "?override=99", &application("b1", "140.00", "A")).0, 404);

    // What is tried out is what is decided, and uses nothing up.
    let asked = application("b1", "140.00", "A");
    let tried = decided(&daemon, &format!("{by}&mode=what_if"), &asked);
    let passed = decided(&daemon, &by, &asked);
    assert_eq!((&passed["decision"], &tried["decision"]), (&json!("allow"), &json!("allow")));
    assert_eq!(passed["reasons"][0]["rule_id"], "over-line", "what blocks is still told");
    let told = json!({"override_id": id, "granted_by": ["王芳"], "reason": "flood relief"});
    assert_eq!((&passed["overridden"], &tried["overridden"]), (&told, &told));
    assert_eq!(reserved(&daemon), "141.00");
    assert_eq!(daemon.json(&format!("/api/v1/overrides/{id}"))["used_by"], "b1");

    // It is used up; whoever asks the same again gets the same answer.
    let mut again = decided(&daemon, &by, &asked);
    assert_eq!(again["replayed"], true);
    again["replayed"] = json!(false);
    assert_eq!(again, passed);
    let (status, problem) = ask(&daemon, &by, &application("b2", "140.00", "A"));
    assert!(status == 409 && detail(&problem).contains("was used: \"b1\""), "{problem}");
    assert_eq!(grant(&daemon, "a1", &order).0, 409, "the application has passed: no second override");
    let metrics = daemon.get("/metrics").1;
    for line in ["granted\"} 1", "used\"} 1", "refused\"} 4"] {
        let line = format!("fiscwatch_overrides_total{{act=\"{line}");
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
    assert_eq!(daemon.stop("-TERM"), Some(0));

    // The journal holds what happened, and gives the same by itself: nothing in it needs the override.
    succeeds(&bench, &["state", "verify"]);
    succeeds(&bench, &["state", "verify", "--findings"]);
    let taken_back = withdrawal("a1", "L1", blocked["occurred_at"].as_str().unwrap());
    let taken_back: Value = serde_json::from_slice(&taken_back).unwrap();
    let journal = [
        approve("L1", "100.00"),
        application("a0", "1.00", "B"),
        application("a1", "150.00", "A"),
        taken_back,
        asked,
    ];
    std::fs::write(bench.path().join("journal.jsonl"), lines(&journal)).unwrap();
    succeeds(&bench, &["backtest", "--events", "journal.jsonl", "--findings", "f", "--ledger", "l"]);
    let stored = |args: &[&str]| succeeds(&bench, args).lines().map(str::to_owned).collect();
    let kept = (stored(&["findings", "export"]), stored(&["budget", "export"]));
    let again = (file_lines(&bench.path().join("f")), file_lines(&bench.path().join("l")));
    assert_same(&again, &kept, "backtest");
    let database = Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    let sql = "SELECT who || '|' || action || '|' || subject || '|' || detail FROM audit WHERE action LIKE 'overrides.%' ORDER BY seq";
    let told: Vec<String> =
        database.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let expected =
        [format!("王芳|overrides.grant|{id} a1|140.00 flood relief"), format!("|overrides.use|{id}|b1")];
    assert_eq!(told, expected);
    // Another process knows that it was used.
    let daemon = Daemon::start(bench.path());
    assert_eq!(ask(&daemon, &by, &application("b3", "140.00", "A")).0, 409);
}

/// What was not known when it was granted still blocks, and above the limit one person is not enough.
#[test]
fn an_override_is_of_the_rules_that_blocked_and_above_a_limit_of_two() {
    let bench = bench("decide: { overrides: { two_above: '120.00' } }\n");
    let daemon = Daemon::start(bench.path());
    accepts(&daemon, &[approve("L1", "100.00")]);
    decided(&daemon, "", &application("a1", "130.00", "A"));
    let (_, granted) = grant(&daemon, "a1", &json!({"who": "王芳", "reason": "r"}));
    assert_eq!((&granted["state"], &granted["needed"]), (&json!("waiting"), &json!(2)));
    let by = format!("?override={}", granted["override_id"]);
    let (status, problem) = ask(&daemon, &by, &application("b1", "130.00", "A"));
    assert!(status == 409 && detail(&problem).contains("another person"), "{problem}");
    let confirm = |who: &str| {
        let path = format!("/api/v1/overrides/{}/confirm?who={who}", granted["override_id"]);
        send(&daemon, &path, &Value::Null)
    };
    let (status, problem) = confirm("%E7%8E%8B%E8%8A%B3");
    assert!(status == 409 && detail(&problem).contains("granted it already"), "{problem}");
    let (status, confirmed) = confirm("boss");
    assert_eq!((status, &confirmed["state"]), (200, &json!("in_force")));
    assert_eq!(confirm("third").0, 409);

    // Three to this account by now: the rule `many` was not overridden.
    for n in 0..2 {
        decided(&daemon, "", &application(&format!("c{n}"), "1.00", "A"));
    }
    let blocked = decided(&daemon, &by, &application("b1", "130.00", "A"));
    let rules: Vec<_> = blocked["reasons"].as_array().unwrap().iter().map(|r| r["rule_id"].clone()).collect();
    assert_eq!((&blocked["decision"], &blocked["overridden"]), (&json!("block"), &Value::Null));
    assert_eq!(rules, ["over-line", "many"]);
    let page = daemon.json("/api/v1/overrides?application=a1");
    assert_eq!(page["overrides"][0]["state"], "in_force", "it was not used: {page}");

    let path = format!("{}/api/v1/overrides/{}?who=boss", daemon.address, granted["override_id"]);
    assert_eq!(agent().delete(&path).call().unwrap().status().as_u16(), 200);
    assert_eq!(agent().delete(&path).call().unwrap().status().as_u16(), 409);
    let (status, problem) = ask(&daemon, &by, &application("b2", "130.00", "A"));
    assert!(status == 409 && detail(&problem).contains("taken back"), "{problem}");
    // What was taken back stands in nobody's way.
    assert_eq!(
        grant(&daemon, "a1", &json!({"who": "王芳", "reason": "r", "amount": "120.00"})).1["needed"],
        1
    );
}

/// Many ask by one override at the same time, and a process that ends in between leaves it used or not.
#[test]
fn an_override_is_used_once_whatever_happens() {
    let bench = bench("");
    let daemon = Daemon::start(bench.path());
    accepts(&daemon, &[approve("L1", "100.00")]);
    decided(&daemon, "", &application("a1", "101.00", "A"));
    let id = grant(&daemon, "a1", &json!({"who": "王芳", "reason": "r"})).1["override_id"].clone();
    let url = format!("{}/api/v1/decide?override={id}", daemon.address);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let client = |n: usize| {
            let url = &url;
            move || post(url, &application(&format!("b{n}"), "101.00", "A").to_string()).0
        };
        let clients: Vec<_> = (0..16).map(|n| scope.spawn(client(n))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 15, "{statuses:?}");
    assert_eq!(reserved(&daemon), "101.00");
    decided(&daemon, "", &application("a2", "50.00", "D"));
    let id = grant(&daemon, "a2", &json!({"who": "王芳", "reason": "r"})).1["override_id"].clone();
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let asked = application("d1", "50.00", "D").to_string();
    for (place, is_stored) in [("commit.journal", false), ("commit.done", true)] {
        let failing = Daemon::start_failing(bench.path(), &format!("{place}=abort"));
        let answer = agent().post(format!("{}/api/v1/decide?override={id}", failing.address)).send(&asked);
        assert!(answer.is_err(), "{place}: the process ended before it answered");
        drop(failing);
        let daemon = Daemon::start(bench.path());
        let state = daemon.json(&format!("/api/v1/overrides/{id}"))["state"].clone();
        assert_eq!(state, if is_stored { "used" } else { "in_force" }, "{place}");
        assert_eq!(daemon.stop("-TERM"), Some(0));
    }
    let daemon = Daemon::start(bench.path());
    let (status, text) = daemon.post(&format!("/api/v1/decide?override={id}"), &asked);
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &answer["decision"], &answer["replayed"]), (200, &json!("allow"), &json!(true)));
    assert_eq!(reserved(&daemon), "151.00");
}

/// The program that asks grants nothing, and neither does an officer; a supervisor grants and releases.
#[test]
fn a_supervisor_grants_and_releases_and_who_asks_does_not() {
    let bench = bench("http: { listen: '127.0.0.1:0', auth: true }\n");
    drop(Store::open(&bench.path().join("state")).unwrap());
    let mut accounts = Accounts::open(&bench.path().join("state")).unwrap();
    let test = Actor { who: String::from("test"), place: String::from("test") };
    let mut token = |name: &str, role: Role, owner: bool| {
        let roles = role.word().parse().unwrap();
        if owner {
            accounts.add_user(name, &roles, &test, Instant::from_micros(1)).unwrap();
        }
        let owner = owner.then(|| name.to_owned());
        let roles = if owner.is_some() { Roles::default() } else { roles };
        let spec =
            TokenSpec { name: name.to_owned(), owner, roles, expires_at: fiscwatch::event::Instant::MAX };
        accounts.add_token(&spec, &test, Instant::from_micros(1)).unwrap().text
    };
    let [ingest, platform, officer, supervisor] = [
        token("feed", Role::Ingest, false),
        token("platform", Role::Decide, false),
        token("officer", Role::Officer, true),
        token("supervisor", Role::Supervisor, true),
    ];
    let daemon = Daemon::start(bench.path());
    let send = |token: &str, path: &str, body: &Value| {
        let request =
            agent().post(format!("{}{path}", daemon.address)).header("content-type", "application/json");
        let mut response =
            request.header("authorization", format!("Bearer {token}")).send(body.to_string()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str::<Value>(&text).unwrap_or_default())
    };
    assert_eq!(send(&ingest, "/api/v1/events", &approve("L1", "100.00")).0, 200);
    let (_, blocked) = send(&platform, "/api/v1/decide", &application("a1", "150.00", "A"));
    assert_eq!((&blocked["decision"], &blocked["asked_by"]), (&json!("block"), &json!("platform")));
    let (grants, reason) = ("/api/v1/decisions/a1/overrides", json!({"reason": "r"}));
    assert_eq!((send(&platform, grants, &reason).0, send(&officer, grants, &reason).0), (403, 403));
    let (status, granted) = send(&supervisor, grants, &reason);
    assert_eq!((status, &granted["granted"][0]["who"]), (201, &json!("supervisor")));
    let by = format!("/api/v1/decide?override={}", granted["override_id"]);
    assert_eq!(send(&platform, &by, &application("b1", "150.00", "A")).1["decision"], "allow");
    let release = "/api/v1/decisions/b1/release";
    assert_eq!(send(&officer, release, &Value::Null).0, 403);
    assert_eq!(send(&supervisor, release, &Value::Null).1["reserves"], false);
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let database = Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    let sql =
        "SELECT who || ' ' || subject FROM audit WHERE action = 'decisions.release' AND result = 'done'";
    assert_eq!(database.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap(), "supervisor b1");
}
