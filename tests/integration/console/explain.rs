//! Why a rule found something, or why not, compared with what the rules of the pack do find in a year.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{Bench, Daemon, run};

/// The files of the pack whose rules look at events.
const FILES: [&str; 10] =
    ["budget", "caps", "cash", "class", "conduct", "known", "payee", "repeated", "reversals", "splitting"];

/// A daemon with these rules that has read a year with anomalies.
fn year() -> (tempfile::TempDir, Daemon) {
    let dir = tempfile::tempdir().unwrap();
    let args =
        ["generate", "--payments", "6000", "--units", "30", "--seed", "7", "--out", "year", "--anomalies"];
    let (code, _, err) = run(dir.path(), &args);
    assert_eq!(code, Some(0), "{err}");
    let year = dir.path().join("year");
    let mut text = std::fs::read_to_string(year.join("fiscwatch.yaml")).unwrap();
    let rules = FILES.map(|file| format!("'{}/rules/{file}.yaml'", env!("CARGO_MANIFEST_DIR"))).join(", ");
    text.push_str(&format!(
        "rules: {{ paths: [{rules}] }}\nstate: {{ dir: state }}\nhttp: {{ listen: '127.0.0.1:0' }}\n"
    ));
    std::fs::write(year.join("fiscwatch.yaml"), text).unwrap();
    let daemon = Daemon::start(&year);
    let events = std::fs::read_to_string(year.join("events.jsonl")).unwrap();
    let (status, body) = daemon.post("/api/v1/events", &events);
    assert_eq!(status, 200, "{body}");
    (dir, daemon)
}

fn explain(daemon: &Daemon, event: &str, rule: &str) -> Value {
    daemon.json(&format!("/api/v1/explain?event={event}&rule={rule}"))
}

#[test]
fn every_rule_on_events_explains_what_it_found_and_what_it_did_not() {
    let (_dir, daemon) = year();
    let rules = daemon.json("/api/v1/rules");
    let (mut explained, mut unknown) = (BTreeSet::new(), BTreeMap::new());
    // A payment in which most rules find nothing.
    let plain = daemon.json("/api/v1/events?type=payment&limit=1")["events"][0]["event_id"].clone();
    for rule in rules["rules"].as_array().unwrap() {
        let id = rule["id"].as_str().unwrap();
        let findings = daemon.json(&format!("/api/v1/findings?rule={id}&limit=1"));
        let Some(finding) = findings["findings"].get(0).filter(|finding| finding["event_id"].is_string())
        else {
            continue;
        };
        let told = explain(&daemon, finding["event_id"].as_str().unwrap(), id);
        if told["verdict"] == "unknown" {
            unknown.insert(id.to_owned(), told["limits"][0].clone());
            continue;
        }
        assert_eq!(told["verdict"], "found", "{id}: {told}");
        assert_eq!(told["finding_id"], finding["finding_id"], "{id}");
        for part in ["where", "when"] {
            assert!(told[part].as_array().unwrap().iter().all(|c| c["holds"] == true), "{id}: {told}");
        }
        assert!(!told["when"].as_array().unwrap().is_empty(), "{id}: {told}");
        assert!(told["exceptions"].as_array().unwrap().iter().all(|c| c["holds"] == false), "{id}: {told}");
        assert_eq!(told["limits"], Value::Array(Vec::new()), "{id}");
        // What the finding shows and the conditions read is the same; names and accounts are masked here.
        for (name, value) in finding["values"].as_object().unwrap() {
            let personal = ["payee", "payer", "purpose", "account", "name", "beneficiary"]
                .iter()
                .any(|part| name.contains(part));
            let is_masked = |own: &&Value| own.as_str().is_some_and(|own| own.contains('*'));
            if let Some(own) = told["values"].get(name).filter(|own| !personal && !is_masked(own)) {
                assert_eq!(own, value, "{id} {name}");
            }
        }
        if !told["window"].is_null() {
            let total = told["window"]["total"].as_u64().unwrap();
            assert!(total >= 1, "{id}: {told}");
            if let Some(n) = told["values"].get("n").and_then(Value::as_u64) {
                assert!(total >= n, "{id}: {told}");
            }
        }
        explained.insert(id.to_owned());
        if !explained.len().is_multiple_of(5) {
            continue;
        }
        // The same rule, asked of another payment, says what is stored of that one.
        let other = explain(&daemon, plain.as_str().unwrap(), id);
        let verdict = other["verdict"].as_str().unwrap();
        assert_eq!(verdict == "found", !other["finding_id"].is_null(), "{id}: {other}");
        if verdict == "not_found" {
            assert!(other["when"].as_array().unwrap().iter().any(|c| c["holds"] == false), "{id}: {other}");
        }
    }
    assert!(explained.len() >= 12, "{explained:?} {unknown:?}");
    assert!(unknown.values().all(|why| why.as_str().unwrap().contains("original.*")), "{unknown:?}");
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
