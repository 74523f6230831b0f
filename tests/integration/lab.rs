//! Rules tried over the own journal while the daemon goes on.

use std::{collections::BTreeSet, sync::Arc};

use fiscwatch::{
    config::Config,
    daemon::load_rules,
    event::schema::event_schema,
    store::JournalView,
    trial::journal::{JournalRun, replay},
};
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, agent, lines, payment, random_events, run, wait_until, write};

/// One rule of each kind that judges one event after another, or everything at a tick.
const RULES: &str = "
rules:
  - id: large
    title: large
    severity: low
    trigger: payment
    params: { floor: 30000 }
    when: amount > $floor
    key: [payee_account]
  - id: often
    title: often
    severity: low
    trigger: payment
    params: { least: 6, words: [a, b] }
    over: { by: [budget_line_id], last: 20d }
    measure: { n: count(*) }
    when: n > $least
    key: [budget_line_id]
  - id: paid
    title: paid
    severity: low
    trigger: schedule
    cron: '0 0 1 * *'
    params: { many: 12 }
    sql: SELECT budget_line_id, count(*) AS n FROM payments GROUP BY budget_line_id HAVING count(*) > $many
    key: [budget_line_id]
";

fn bench() -> (Bench, Vec<Value>) {
    let mut events = random_events(4711, 1500);
    // Mostly in order, or every tick would come after a handful of them.
    events.retain(|event| event["occurred_at"].is_i64());
    events.sort_by_key(|event| event["occurred_at"].as_i64().map(|at| at / 864_000_000));
    let bench = Bench::new("", "state: { dir: state }\n");
    write(bench.path(), "rules/rules.yaml", RULES);
    write(bench.path(), "all.jsonl", &lines(&events));
    (bench, events)
}

fn send(daemon: &Daemon, path: &str, body: &Value) -> (u16, String) {
    let request =
        agent().post(format!("{}{path}", daemon.address)).header("content-type", "application/json");
    let mut response = request.send(body.to_string()).unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

fn begin(daemon: &Daemon, asked: &Value) -> Value {
    let (code, answer) = send(daemon, "/api/v1/backtests", asked);
    assert_eq!(code, 202, "{answer}");
    serde_json::from_str(&answer).unwrap()
}

fn ended(daemon: &Daemon, job: &Value) -> Value {
    let path = format!("/api/v1/backtests/{}", job["id"]);
    wait_until(|| daemon.json(&path)["state"] != "running");
    daemon.json(&path)
}

/// The ids of what a rule finds in the events from a file, with a constant as the configuration sets it.
fn by_hand(bench: &Bench, rule: &str, param: &str, value: u64) -> BTreeSet<String> {
    let config = format!(
        "state: {{ dir: state }}\nrules: {{ paths: [rules], overrides: {{ {rule}: {{ params: {{ {param}: {value} }} }} }} }}\n"
    );
    write(bench.path(), "other.yaml", &config);
    let args = ["backtest", "--config", "other.yaml", "--events", "all.jsonl", "--findings", "found.jsonl"];
    let (code, out, err) = run(bench.path(), &args);
    assert_eq!(code, Some(0), "{out}{err}");
    let found = std::fs::read_to_string(bench.path().join("found.jsonl")).unwrap();
    let found = found.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    found.filter(|f| f["rule_id"] == rule).map(|f| f["finding_id"].as_str().unwrap().to_owned()).collect()
}

/// What is added and gone is what two backtests of the same events differ in, one by one.
#[test]
fn a_trial_finds_what_a_backtest_of_the_same_events_finds() {
    let (bench, events) = bench();
    let daemon = Daemon::start(bench.path());
    for part in events.chunks(300) {
        assert_eq!(daemon.post("/api/v1/events", &lines(part)).0, 200);
    }
    for (rule, param, present, tried) in
        [("large", "floor", 30_000, 45_000), ("often", "least", 6, 4), ("paid", "many", 12, 25)]
    {
        let job =
            ended(&daemon, &begin(&daemon, &json!({"rule": rule, "params": {param: tried.to_string()}})));
        let result = &job["result"];
        assert_eq!(job["state"], "done", "{job}");
        assert_eq!(job["progress"]["events"], job["progress"]["of"]);
        let (old, new) = (by_hand(&bench, rule, param, present), by_hand(&bench, rule, param, tried));
        assert!(
            old != new && !old.is_empty() && !new.is_empty(),
            "{rule} tells nothing: {} and {}",
            old.len(),
            new.len()
        );
        let ids = |findings: &Value| -> BTreeSet<String> {
            let findings = findings.as_array().unwrap().iter();
            findings.map(|f| f["finding_id"].as_str().unwrap().to_owned()).collect()
        };
        let of = |name: &str| result[name]["findings"].as_u64().unwrap();
        assert_eq!((of("present"), of("tried")), (old.len() as u64, new.len() as u64), "{rule}");
        assert_eq!(result["kept"], old.intersection(&new).count(), "{rule}");
        for (name, only) in [("added", &new - &old), ("gone", &old - &new)] {
            assert_eq!(result[name], only.len(), "{rule}");
            let shown = ids(&result[format!("{name}_findings")]);
            assert_eq!(shown.len(), only.len().min(200), "{rule}");
            assert!(shown.is_subset(&only), "{rule}");
        }
    }
    let listed = daemon.json("/api/v1/backtests");
    assert_eq!(listed["backtests"].as_array().unwrap().len(), 3);
    assert_eq!(listed["backtests"][0]["rule"], "paid", "the latest first");
    assert!(daemon.json("/api/v1/findings?rule=large@tried")["findings"].as_array().unwrap().is_empty());
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

/// What officers said of alerts tells how good each form is.
#[test]
fn verdicts_tell_how_good_each_form_is() {
    let (bench, _) = bench();
    let daemon = Daemon::start(bench.path());
    let payments = |amounts: &[&str]| -> Vec<Value> {
        let one = |(n, amount): (usize, &&str)| {
            let mut event = payment(&format!("p{n}"), "L1", amount);
            event["payee_account"] = json!(format!("62220000000000{n:02}"));
            event
        };
        amounts.iter().enumerate().map(one).collect()
    };
    let events = payments(&["31000.00", "50000.00", "60000.00", "100.00"]);
    assert_eq!(daemon.post("/api/v1/events", &lines(&events)).0, 200);
    for alert in daemon.json("/api/v1/alerts?rule=large")["alerts"].as_array().unwrap() {
        let small = alert["key"]["payee_account"] == "6222000000000000";
        let act = |action: &str| {
            let body = json!({"action": action, "who": "chen", "why": "seen"});
            let path = format!("/api/v1/alerts/{}/transitions", alert["alert_id"].as_str().unwrap());
            let (code, answer) = send(&daemon, &path, &body);
            assert_eq!(code, 200, "{answer}");
        };
        act("acknowledge");
        act(if small { "dismiss" } else { "confirm" });
    }
    let job = ended(&daemon, &begin(&daemon, &json!({"rule": "large", "params": {"floor": 45_000}})));
    let (present, tried) = (&job["result"]["present"], &job["result"]["tried"]);
    assert_eq!((&present["confirmed"], &present["dismissed"]), (&json!(2), &json!(1)), "{job}");
    assert_eq!((&tried["confirmed"], &tried["precision"]), (&json!(2), &json!(1.0)), "{job}");
    assert_eq!(job["result"]["gone"], 1);

    // A text of one's own: a rule that is not in force yet has nothing beside it.
    let source = RULES
        .split("  - id: often")
        .next()
        .unwrap()
        .replace("id: large", "id: larger")
        .replace("30000", "10");
    let job = ended(&daemon, &begin(&daemon, &json!({"source": source})));
    assert_eq!(job["rule"], "larger");
    assert_eq!(
        (&job["result"]["present"]["findings"], &job["result"]["added"]),
        (&json!(0), &json!(4)),
        "{job}"
    );
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

#[test]
fn what_cannot_be_tried_is_told() {
    let (bench, events) = bench();
    let daemon = Daemon::start(bench.path());
    assert_eq!(daemon.post("/api/v1/events", &lines(&events)).0, 200);
    let source = RULES.split("  - id: often").next().unwrap();
    for (asked, code, told) in [
        (json!({"rule": "lorge", "params": {"floor": 1}}), 404, "large"),
        (json!({"rule": "large", "params": {"flor": 1}}), 422, "floor"),
        (json!({"rule": "large", "params": {"floor": "much"}}), 422, "a number in digits"),
        (json!({"rule": "large", "params": {"floor": "1e5"}}), 422, "30000"),
        (json!({"rule": "often", "params": {"words": "a"}}), 422, "words"),
        (json!({"rule": "large"}), 422, "source"),
        (json!({"source": RULES}), 422, "3"),
        (json!({"source": source.replace("amount >", "amuont >")}), 422, "amount"),
        (json!({"source": "rules: ["}), 422, "1"),
    ] {
        let (status, answer) = send(&daemon, "/api/v1/backtests", &asked);
        assert_eq!(status, code, "{asked}: {answer}");
        assert!(answer.contains(told), "{asked}: {answer}");
    }
    assert_eq!(daemon.get("/api/v1/backtests/77").0, 404);
    assert!(daemon.json("/api/v1/backtests")["backtests"].as_array().unwrap().is_empty());

    // One at a time, and one that is stopped makes room.
    let first = begin(&daemon, &json!({"rule": "paid", "params": {"many": 1}}));
    let (code, answer) =
        send(&daemon, "/api/v1/backtests", &json!({"rule": "large", "params": {"floor": 1}}));
    let running = daemon.json(&format!("/api/v1/backtests/{}", first["id"]))["state"] == "running";
    assert!(code == 409 || !running, "{code} {answer}");
    let url = format!("{}/api/v1/backtests/{}", daemon.address, first["id"]);
    assert_eq!(agent().delete(&url).call().unwrap().status(), 202);
    assert!(["stopped", "done"].contains(&ended(&daemon, &first)["state"].as_str().unwrap()));
    // Who had what tried stands in the audit log; what was refused began nothing.
    let named = json!({"rule": "large", "params": {"floor": 7}, "who": "王芳"});
    ended(&daemon, &begin(&daemon, &named));
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let (_, out, err) = run(bench.path(), &["audit", "export", "--config", "fiscwatch.yaml"]);
    let rows: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let tried: Vec<_> = rows.iter().filter(|row| row["action"] == "rules.try").collect();
    assert_eq!(
        tried.first().map(|row| (&row["subject"], &row["who"])),
        Some((&json!("paid"), &json!(""))),
        "{out}{err}"
    );
    let named = tried.last().unwrap();
    assert_eq!((&named["who"], &named["subject"]), (&json!("王芳"), &json!("large")));
    assert!(named["detail"].as_str().unwrap().contains("{\"floor\":7}"), "{named}");
    assert!(rows.iter().filter(|row| row["action"] == "rules.try.stop").count() <= 1);
}

/// Neither windows nor findings of a rule that is tried take the memory that the daemon needs.
#[test]
fn what_would_take_too_much_memory_is_stopped() {
    let (bench, events) = bench();
    write(bench.path(), "events.jsonl", &lines(&events));
    write(
        bench.path(),
        "fiscwatch.yaml",
        "sources: [{ name: feed, file: { path: events.jsonl } }]\nstate: { dir: state }\n",
    );
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    let text = format!(
        "state: {{ dir: state }}\nrules: {{ paths: ['{}'] }}\n",
        bench.path().join("rules").display()
    );
    let config = Config::parse("fiscwatch.yaml", &text, bench.path(), std::iter::empty()).unwrap();
    let rules = load_rules(&config).unwrap_or_else(|e| panic!("{e:?}"));
    let history = JournalView::open(&config.state_dir, &event_schema(&config.calendar.zone_name)).unwrap();
    let watermark = history.watermark().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let told = |course: JournalRun| {
        let progress = Arc::default();
        let ran = replay(&course, Arc::clone(&rules), &history, (&watermark, None), &progress);
        runtime.block_on(ran).map(|again| again.findings.len()).map_err(|e| e.to_string())
    };
    let all = told(config.course()).unwrap();
    assert!(all > 20);
    assert_eq!(told(JournalRun { findings: all, ..config.course() }), Ok(all));
    let many = told(JournalRun { findings: all - 1, ..config.course() }).unwrap_err();
    assert!(many.contains(&format!("more than {} findings", all - 1)), "{many}");
    let large = told(JournalRun { memory: 0, ..config.course() }).unwrap_err();
    assert!(large.contains("hold more than 0 MiB"), "{large}");
}
