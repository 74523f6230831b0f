//! Why a rule found something, or why not, compared with what the rules of the pack do find in a year.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{Bench, Daemon, run};

/// A daemon with the whole pack that has read a year with anomalies, and the events of that year.
fn year() -> (tempfile::TempDir, Daemon, Vec<Value>) {
    let dir = tempfile::tempdir().unwrap();
    let args =
        ["generate", "--payments", "6000", "--units", "30", "--seed", "7", "--out", "year", "--anomalies"];
    let (code, _, err) = run(dir.path(), &args);
    assert_eq!(code, Some(0), "{err}");
    let year = dir.path().join("year");
    let mut text = std::fs::read_to_string(year.join("fiscwatch.yaml")).unwrap();
    text.push_str(&format!(
        "rules: {{ paths: ['{}/rules/*.yaml'] }}\nstate: {{ dir: state }}\nhttp: {{ listen: '127.0.0.1:0' }}\n",
        env!("CARGO_MANIFEST_DIR")
    ));
    std::fs::write(year.join("fiscwatch.yaml"), text).unwrap();
    let daemon = Daemon::start(&year);
    let text = std::fs::read_to_string(year.join("events.jsonl")).unwrap();
    let (status, body) = daemon.post("/api/v1/events", &text);
    assert_eq!(status, 200, "{body}");
    let events = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (dir, daemon, events)
}

fn explain(daemon: &Daemon, event: &str, rule: &str) -> Value {
    daemon.json(&format!("/api/v1/explain?event={event}&rule={rule}"))
}

fn list<'v>(of: &'v Value, name: &str) -> &'v [Value] {
    of[name].as_array().map_or(&[], Vec::as_slice)
}

/// Whether all that a finding's key has of events is as the event has it.
fn has_key(event: &Value, finding: &Value) -> bool {
    let key = finding["key"].as_object().unwrap();
    let of_events: Vec<_> = key.iter().filter(|(name, _)| !event[name.as_str()].is_null()).collect();
    !of_events.is_empty() && of_events.iter().all(|(name, value)| event[name.as_str()] == **value)
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
        *start <= *at && *at < *end && has_key(event, finding)
    };
    events.iter().rev().filter(is_in).map(id).take(40).collect()
}

/// What is told of an event agrees with the findings of the rule.
fn agrees(told: &Value, event: &Value, findings: &[Value]) {
    let is_found = told["verdict"] == "found";
    let found = |is_meant: &dyn Fn(&Value) -> bool| findings.iter().any(is_meant);
    let stored = match (&told["tick"], &told["window"]["end"]) {
        (Value::Object(tick), _) => {
            found(&|f| f["at"] == tick["at"] && (has_key(event, f) || is_of(event, f)))
        }
        (_, Value::String(end)) => found(&|f| f["window"]["end"] == **end && f["key"] == told["key"]),
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

#[test]
fn every_rule_of_the_pack_explains_what_it_found_and_what_it_did_not() {
    let (_dir, daemon, events) = year();
    let rules = daemon.json("/api/v1/rules");
    let payments: Vec<&Value> = events.iter().filter(|event| event["type"] == "payment").collect();
    let (mut hits, mut misses) = (BTreeSet::new(), BTreeMap::new());
    let mut without = Vec::new();
    for (nth, rule) in list(&rules, "rules").iter().enumerate() {
        let id = rule["id"].as_str().unwrap();
        let findings = daemon.json(&format!("/api/v1/findings?rule={id}&limit=1000"));
        let findings = list(&findings, "findings");
        if let Some(finding) = findings.first() {
            let all = told_of(finding, &events);
            let told = all.iter().map(|event| (*event, explain(&daemon, event, id)));
            let (event, told) = told
                .into_iter()
                .find(|(_, told)| told["verdict"] == "found")
                .unwrap_or_else(|| panic!("{id}: nothing of {all:?} is told of {finding}"));
            agrees(&told, events.iter().find(|one| one["event_id"] == event).unwrap(), findings);
            assert!(
                told["finding_id"] == finding["finding_id"] || finding["event_id"].is_null(),
                "{id}: {told}"
            );
            if told["finding_id"] == finding["finding_id"] {
                shows_the_same(&told, finding);
            }
            hits.insert(id);
        } else {
            without.push(id);
        }
        let event = payments[(nth * 97 + 500) % payments.len()];
        let told = explain(&daemon, event["event_id"].as_str().unwrap(), id);
        agrees(&told, event, findings);
        *misses.entry(told["verdict"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    eprintln!("{} hit, {misses:?}, without: {without:?}", hits.len());
    assert!(misses["not_found"] > 20 && misses["left_out"] > 3, "{misses:?}");
}

#[test]
fn one_condition_in_the_way_is_named_and_what_is_not_explained_says_so() {
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
