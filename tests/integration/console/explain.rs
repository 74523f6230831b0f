//! Why a rule found something, or why not, compared with what the rules of the pack do find in a year.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use parking_lot::Mutex;

use fiscwatch::trial::unit_test::written::{WrittenTest, written};
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, run, wait_until};

/// The text of each shipped rule by itself, by its id, with the file of its tests.
fn shipped() -> BTreeMap<String, (String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let mut all = BTreeMap::new();
    for file in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let tests = folder.join("tests").join(file.file_name().unwrap());
        let text = std::fs::read_to_string(&file).unwrap();
        for rule in text.split("\n  - id: ").skip(1) {
            let id = rule.lines().next().unwrap().trim().to_owned();
            all.insert(id, (format!("rules:\n  - id: {rule}\n"), tests.clone()));
        }
    }
    all
}

/// A state in which the events of a test of the pack were judged by one rule, as its test has it.
fn bed(rule: &str, text: &str, test: &WrittenTest) -> (tempfile::TempDir, Daemon) {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_owned();
    let path = folder.as_path();
    std::fs::write(path.join("rule.yaml"), text).unwrap();
    let lines: String =
        test.events.iter().map(|event| Value::Object(event.clone()).to_string() + "\n").collect();
    std::fs::write(path.join("events.jsonl"), lines).unwrap();
    let (mut lists, mut codes) = (serde_json::Map::new(), serde_json::Map::new());
    for (name, list) in test.lists.names().filter_map(|name| Some((name, test.lists.get(name)?))) {
        let (columns, key) = list.shape();
        let quoted = |cell: &str| format!("\"{}\"", cell.replace('"', "\"\""));
        let row = |cells: Vec<&str>| cells.into_iter().map(quoted).collect::<Vec<_>>().join(",") + "\n";
        let header = row(columns.iter().map(|(name, _)| name.as_str()).collect());
        let text: String = list.rows().map(row).collect();
        std::fs::write(path.join(format!("{name}.csv")), header + &text).unwrap();
        // A table of codes is a list with that name in tests, and stands by itself in a configuration.
        match name.strip_prefix("codes_") {
            Some(column) => codes.insert(column.to_owned(), json!({ "path": format!("{name}.csv") })),
            None => {
                lists.insert(name.to_owned(), json!({ "path": format!("{name}.csv"), "key": columns[key].0 }))
            }
        };
    }
    // A number stands in digits.
    let digits = |value: Value| match value.as_str().map(serde_json::from_str::<Value>) {
        Some(Ok(number)) if number.is_number() => number,
        _ => value,
    };
    let params = test.params.get(rule).cloned().unwrap_or_default();
    let params: serde_json::Map<_, _> =
        params.into_iter().map(|(name, value)| (name, digits(value))).collect();
    // JSON is YAML.
    let config = json!({
        "sources": [{ "name": "file", "file": { "path": "events.jsonl" } }],
        "state": { "dir": "state" },
        "lists": lists,
        "codes": codes,
        // Tests of rules begin in the middle of a year, and mean all of it.
        "engine": { "max_future": "3660d", "journal_from": "2000-01-01" },
        "http": { "listen": "127.0.0.1:0" },
        "rules": { "paths": ["rule.yaml"], "overrides": { rule: { "params": params, "mode": "live" } } },
    });
    std::fs::write(path.join("fiscwatch.yaml"), config.to_string()).unwrap();
    // Windows close, and schedules are due, when the input has ended.
    if ["window", "schedule"].iter().any(|word| text.contains(&format!("trigger: {word}"))) {
        let (code, _, err) = run(path, &["run", "--once", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(0), "{rule} {}: {err}", test.name);
        return (dir, Daemon::start(path));
    }
    let daemon = Daemon::start(path);
    let taken = || {
        let told = daemon.json("/api/v1/status")["since_start"].clone();
        ["accepted", "duplicates", "rejected"].iter().filter_map(|name| told[*name].as_u64()).sum::<u64>()
    };
    wait_until(|| taken() >= test.events.len() as u64);
    (dir, daemon)
}

fn explain(daemon: &Daemon, event: &str, rule: &str) -> Value {
    daemon.json(&format!("/api/v1/explain?event={event}&rule={rule}"))
}

fn list<'v>(of: &'v Value, name: &str) -> &'v [Value] {
    of[name].as_array().map_or(&[], Vec::as_slice)
}

/// Whether all that a finding's key has of events is as the event has it; `all` are the events that tell which columns there are.
fn has_key(event: &Value, finding: &Value, all: &[Value]) -> bool {
    let key = finding["key"].as_object().unwrap();
    let is_of_events = |name: &str| all.iter().any(|event| !event[name].is_null());
    key.iter().filter(|(name, _)| is_of_events(name)).all(|(name, value)| event[name.as_str()] == *value)
}

/// The events that a finding may tell of, those that surely are first.
fn told_of<'e>(finding: &Value, events: &'e [Value]) -> Vec<&'e str> {
    let id = |event: &'e Value| event["event_id"].as_str().unwrap();
    for name in [&finding["event_id"], &finding["key"]["event_id"], &finding["key"]["original_event_id"]] {
        if let Some(event) = events.iter().find(|event| name.is_string() && event["event_id"] == *name) {
            return vec![id(event)];
        }
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (start, end) = match finding["window"].is_object() {
        true => (text(&finding["window"]["start"]), text(&finding["window"]["end"])),
        false => (String::new(), text(&finding["at"])),
    };
    let is_in = |event: &&Value| {
        let at = event["occurred_at"].as_str().unwrap();
        *start <= *at && *at < *end && has_key(event, finding, events)
    };
    events.iter().rev().filter(is_in).map(id).take(40).collect()
}

/// What is told of an event agrees with the findings of the rule.
fn agrees(told: &Value, event: &Value, findings: &[Value], all: &[Value]) {
    let is_found = told["verdict"] == "found";
    let found = |is_meant: &dyn Fn(&Value) -> bool| findings.iter().any(is_meant);
    let stored = match (&told["tick"], &told["window"]["end"]) {
        (Value::Object(tick), _) => {
            found(&|f| f["at"] == tick["at"] && (has_key(event, f, all) || is_of(event, f)))
        }
        (_, Value::String(end)) => found(&|f| f["window"]["end"] == **end && has_key(event, f, all)),
        _ => found(&|f| f["event_id"] == event["event_id"]),
    };
    assert_eq!(is_found, stored, "{told}");
    assert_eq!(is_found, !told["finding_id"].is_null(), "{told}");
    let fails = |part: &Value| part["holds"] == false;
    match told["verdict"].as_str().unwrap() {
        "found" => {
            for part in ["where", "when"] {
                assert!(list(told, part).iter().all(|part| part["holds"] == true), "{told}");
            }
            assert!(list(told, "exceptions").iter().all(fails), "{told}");
            assert_eq!(told["limits"], Value::Array(Vec::new()), "{told}");
        }
        "excepted" => assert!(list(told, "exceptions").iter().any(|part| part["holds"] == true), "{told}"),
        "left_out" => assert!(list(told, "where").iter().any(fails), "{told}"),
        // Of a query it is told only where one condition alone is in the way.
        "not_found" if told["tick"].is_null() => assert!(list(told, "when").iter().any(fails), "{told}"),
        "not_found" => assert!(list(told, "when").iter().all(|part| part["holds"] != true), "{told}"),
        "waiting" => assert_ne!(told["window"]["closed"], true, "{told}"),
        "not_asked" => {}
        other => panic!("{other}: {told}"),
    }
}

fn is_of(event: &Value, finding: &Value) -> bool {
    let ids = ["event_id", "original_event_id"];
    ids.iter().any(|name| finding["key"][*name] == event["event_id"])
}

/// What the finding shows and the conditions read is the same; names and accounts are masked here.
fn shows_the_same(told: &Value, finding: &Value) {
    for (name, value) in finding["values"].as_object().unwrap() {
        let personal = ["payee", "payer", "purpose", "account", "name", "beneficiary"]
            .iter()
            .any(|part| name.contains(part));
        let is_masked = |own: &&Value| own.as_str().is_some_and(|own| own.contains('*'));
        if let Some(own) = told["values"].get(name).filter(|own| !personal && !is_masked(own)) {
            assert_eq!(own, value, "{name}: {told}");
        }
    }
    if !told["window"].is_null() {
        let total = told["window"]["total"].as_u64().unwrap();
        assert!(total >= 1, "{told}");
        if let Some(n) = told["values"].get("n").and_then(Value::as_u64) {
            assert!(total >= n, "{told}");
        }
    }
    if !told["baseline"].is_null() {
        let baseline = &told["baseline"];
        assert_eq!(
            list(baseline, "before").len() as u64,
            told["values"]["n_history"].as_u64().unwrap(),
            "{told}"
        );
        for (name, column) in [("usual", "baseline"), ("score", "score")] {
            assert_eq!(baseline[name], told["values"][column], "{told}");
        }
    }
}

/// Explains events of a test of the pack, and compares that with what the rule found.
fn compared(rule: &str, text: &str, test: &WrittenTest) -> Vec<String> {
    let (_dir, daemon) = bed(rule, text, test);
    let page = daemon.json(&format!("/api/v1/findings?rule={rule}&limit=1000"));
    let findings = list(&page, "findings");
    assert_eq!(!findings.is_empty(), test.finds.contains(rule), "{rule} {}: {page}", test.name);
    let events: Vec<Value> = test.events.iter().map(|event| Value::Object(event.clone())).collect();
    for finding in [findings.first(), findings.last()].into_iter().flatten() {
        let all = told_of(finding, &events);
        // A query may tell of the same several times; each of its ticks is explained.
        let is_tick = finding["event_id"].is_null() && finding["window"].is_null();
        let at = is_tick.then(|| format!("&at={}", finding["at"].as_str().unwrap().replace('+', "%2B")));
        let rule_at = format!("{rule}{}", at.unwrap_or_default());
        let mut told = all.iter().map(|event| explain(&daemon, event, &rule_at));
        let Some(told) = told.find(|told| told["finding_id"] == finding["finding_id"]) else {
            // A query may tell of what has no event: a line on which nothing was paid.
            assert!(all.is_empty(), "{rule} {}: nothing of {all:?} is told of {finding}", test.name);
            continue;
        };
        assert_eq!(told["verdict"], "found", "{rule}: {told}");
        shows_the_same(&told, finding);
    }
    let step = events.len().div_ceil(4).max(1);
    let mut verdicts = Vec::new();
    for event in events.iter().step_by(step) {
        let told = explain(&daemon, event["event_id"].as_str().unwrap(), rule);
        agrees(&told, event, findings, &events);
        verdicts.push(told["verdict"].as_str().unwrap().to_owned());
    }
    verdicts
}

#[test]
fn every_rule_of_the_pack_explains_what_it_found_and_what_it_did_not() {
    let (shipped, mut work) = (shipped(), Vec::new());
    for (id, (text, file)) in &shipped {
        let tests = written(file).unwrap();
        let (hits, misses): (Vec<_>, Vec<_>) = tests
            .into_iter()
            .filter(|test| !test.events.is_empty() && (test.finds.contains(id) || test.spares.contains(id)))
            .partition(|test| test.finds.contains(id));
        let small = |tests: Vec<WrittenTest>| tests.into_iter().min_by_key(|test| test.events.len());
        work.push((id, text, small(hits).unwrap_or_else(|| panic!("{id} has no test in which it finds"))));
        work.extend(small(misses).map(|test| (id, text, test)));
    }
    assert!(shipped.len() > 75 && work.len() > shipped.len() * 3 / 2, "{} {}", shipped.len(), work.len());
    let (next, verdicts) = (AtomicUsize::new(0), Mutex::new(BTreeMap::<String, usize>::new()));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some((rule, text, test)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for verdict in compared(rule, text, test) {
                        *verdicts.lock().entry(verdict).or_default() += 1;
                    }
                }
            });
        }
    });
    let verdicts = verdicts.into_inner();
    assert!(
        verdicts["found"] >= 60 && verdicts["not_found"] >= 60 && verdicts["left_out"] >= 10,
        "{verdicts:?}"
    );
}

#[test]
fn one_condition_in_the_way_is_named() {
    let events = "";
    let bench = Bench::new(events, "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    let mut small = crate::support::payment("small", "L1", "100.00");
    small["settlement"] = "cash".into();
    let mut large = crate::support::payment("large", "L1", "30000.00");
    large["payee_name"] = "王小明".into();
    large["payee_type"] = "person".into();
    let body = crate::support::lines(&[small, large]);
    assert_eq!(daemon.post("/api/v1/events", &body).0, 200);
    let told = explain(&daemon, "small", "large-cash");
    assert_eq!((&told["verdict"], &told["nearest"]), (&"not_found".into(), &"amount > $limit".into()));
    assert_eq!((&told["values"]["amount"], &told["params"]["limit"]), (&"100.00".into(), &"20000".into()));
    let told = explain(&daemon, "large", "large-cash");
    assert_eq!((&told["verdict"], &told["nearest"]), (&"left_out".into(), &"settlement = 'cash'".into()));
    assert_eq!(told["when"][0]["holds"], Value::Null);
    assert_eq!(explain(&daemon, "large", "over-budget")["values"]["budget.available"], "-30100.00");
    assert_eq!(daemon.get("/api/v1/explain?event=none&rule=large-cash").0, 404);
    assert_eq!(daemon.get("/api/v1/explain?event=small&rule=none").0, 404);
}

/// The events that are shown are those that the rule counted: their number and their sum are what it measured.
#[test]
fn a_window_since_an_event_shows_what_is_counted() {
    const RULES: &str = "rules:
  - { id: with, severity: low, trigger: payment, over: { by: [unit_code], since: amount >= 1000, last: 5d },
      measure: { n: count(*), total: sum(amount) }, when: n > 0, key: [event_id] }
  - { id: before, severity: low, trigger: payment, over: { by: [unit_code], since: amount >= 1000, last: 5d, current: exclude },
      measure: { n: count(*), total: sum(amount) }, when: n >= 0, key: [event_id] }
";
    let bench = Bench::new("", "state: { dir: state }\nengine: { lateness: 30d }\n");
    std::fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    let daemon = Daemon::start(bench.path());
    // A large payment comes late, one is out of reach at the end, and two are at one instant.
    let payments = [
        ("a", 1, "1000.00"),
        ("b", 2, "1.00"),
        ("c", 4, "2000.00"),
        ("d", 5, "2.00"),
        ("e", 3, "4000.00"),
        ("f", 5, "1500.00"),
        ("g", 5, "4.00"),
        ("h", 12, "8.00"),
        ("i", 11, "16.00"),
    ];
    let event = |(id, day, amount): &(&str, u32, &str)| {
        let mut event = crate::support::payment(id, "L1", amount);
        event["occurred_at"] = format!("2025-03-{day:02}T10:00:00+08:00").into();
        event
    };
    let body = crate::support::lines(&payments.iter().map(event).collect::<Vec<_>>());
    assert_eq!(daemon.post("/api/v1/events", &body).0, 200);
    for (id, ..) in &payments {
        for rule in ["with", "before"] {
            let told = explain(&daemon, id, rule);
            let own = |event: &&Value| rule == "with" || event["event_id"] != *id;
            let shown: Vec<_> = list(&told["window"], "events").iter().filter(own).collect();
            assert_eq!(told["values"]["n"], shown.len(), "{id} {rule}: {told}");
            let cents = |amount: &Value| amount.as_str().unwrap().replace('.', "").parse::<i64>().unwrap();
            let total: i64 = shown.iter().map(|event| cents(&event["amount"])).sum();
            assert_eq!(
                told["values"]["total"].as_str().map_or(0, |_| cents(&told["values"]["total"])),
                total,
                "{id} {rule}"
            );
        }
    }
}

/// A condition that fails holds as little as its contrary: nobody is told that such an event is in order.
#[test]
fn what_a_rule_fails_on_is_not_told_as_judged() {
    const RULES: &str = "rules:
  - { id: when, severity: low, trigger: payment, when: 1000 / (amount - 5) > 1 and amount > 1, key: [event_id] }
  - { id: where, severity: low, trigger: payment, where: 1000 / (amount - 5) > 1, when: amount > 100, key: [event_id] }
  - { id: measure, severity: low, trigger: payment, over: { by: [unit_code], last: 1d },
      measure: { n: sum(1000 / (amount - 5)) }, when: n > 1000000, key: [event_id] }
  - { id: window, severity: low, trigger: window, of: payment, window: { by: [event_id], size: 1d },
      measure: { n: sum(amount) }, when: 1000 / (n - 5) > 1, key: [event_id] }
  - { id: from, severity: low, trigger: window, of: payment, window: { by: [unit_code], from: amount > 100, within: 1d },
      measure: { n: count(*) }, when: n > 5, key: [unit_code] }
";
    let bench = Bench::new("", "state: { dir: state }\n");
    std::fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    let daemon = Daemon::start(bench.path());
    let mut later = crate::support::payment("later", "L1", "8.00");
    later["occurred_at"] = "2026-03-20T10:00:00+08:00".into();
    let mut last = later.clone();
    last["event_id"] = "last".into();
    let payments = [
        crate::support::payment("fails", "L1", "5.00"),
        crate::support::payment("right", "L1", "50000.00"),
        later,
        last,
    ];
    assert_eq!(daemon.post("/api/v1/events", &crate::support::lines(&payments)).0, 200);
    for (rule, of_right) in [("when", "not_found"), ("where", "left_out"), ("window", "not_found")] {
        let told = explain(&daemon, "fails", rule);
        assert_eq!(told["verdict"], "unknown", "{rule}: {told}");
        let why = told["limits"][0].as_str().unwrap();
        assert!(why.starts_with("the rule fails here, so it is not judged: "), "{rule}: {why}");
        assert_eq!(told["nearest"], Value::Null, "{rule}");
        let told = explain(&daemon, "right", rule);
        assert_eq!((&told["verdict"], list(&told, "limits").len()), (&of_right.into(), 0), "{rule}: {told}");
    }
    assert_eq!(explain(&daemon, "fails", "measure")["verdict"], "unknown");
    let told = explain(&daemon, "later", "from");
    assert_eq!(told["verdict"], "not_found");
    assert!(
        told["limits"][0].as_str().unwrap().starts_with("no window of the rule holds the event"),
        "{told}"
    );
}
