//! Who would be told: the answer is that of the routes themselves, and of what holds notifications back.

use serde_json::{Value, json};

use crate::support::{Bench, Daemon, lines, payment};

const CONFIG: &str = "state: { dir: state }
sinks: [{ name: log, log: {} }, { name: desk, log: {} }]
routes:
  sinks: [log]
  group_by: [rule]
  routes:
    - { match: ['rule=\"large-cash\"'], sinks: [desk], group_by: [unit_code], continue: true }
    - { match: ['severity=\"low\"'], sinks: [] }
";

#[test]
fn a_trial_says_who_would_be_told_and_what_holds_it_back() {
    let bench = Bench::new("", CONFIG);
    let daemon = Daemon::start(bench.path());
    let tree = daemon.json("/api/v1/routes");
    let depths: Vec<_> = tree["routes"].as_array().unwrap().iter().map(|route| &route["depth"]).collect();
    assert_eq!(depths, [0, 1, 1]);
    let asked = |body: Value| -> Value {
        let (status, answer) = crate::support::post_json(&daemon, "/api/v1/routes/trial", &body);
        assert_eq!(status, 200, "{answer}");
        serde_json::from_str(&answer).unwrap()
    };
    let passages = |answer: &Value| -> Vec<String> {
        let steps = answer["routes"].as_array().unwrap().iter();
        steps.map(|step| step["passage"].as_str().unwrap().to_owned()).collect()
    };
    let cash = asked(json!({"labels": ["rule=large-cash", "severity=high", "unit_code=101001"]}));
    assert_eq!(passages(&cash), ["goes_down", "taken", "differs"]);
    assert_eq!((&cash["sinks"], &cash["held_by"]), (&json!(["desk"]), &json!([])));
    assert!(cash["routes"][1]["group"].as_str().unwrap().contains("101001"), "{cash}");
    let other = asked(json!({"labels": ["rule=over-budget", "severity=high"]}));
    assert_eq!(
        (passages(&other), &other["sinks"]),
        (vec!["taken".into(), "differs".into(), "differs".into()], &json!(["log"]))
    );
    let nobody = asked(json!({"labels": ["severity=low"]}));
    assert_eq!(nobody["sinks"], json!([]));

    // A silence holds it back, and says whose it is. An alert that there is brings its own labels.
    let silence =
        json!({"matchers": ["rule=\"large-cash\""], "duration": "2h", "author": "王芳", "reason": "盘点"});
    assert_eq!(crate::support::post_json(&daemon, "/api/v1/silences", &silence).0, 201);
    let mut event = payment("c1", "L1", "30000.00");
    event["settlement"] = json!("cash");
    assert_eq!(daemon.post("/api/v1/events", &lines(&[event])).0, 200);
    let alerts = daemon.json("/api/v1/alerts?rule=large-cash");
    let like = asked(json!({"alert": alerts["alerts"][0]["alert_id"]}));
    assert_eq!(like["labels"]["rule"], json!(["large-cash"]));
    assert_eq!((&like["held_by"][0]["by"], &like["held_by"][0]["what"]), (&json!("silence"), &json!("王芳")));
    let many: Vec<_> = (0..101).map(|n| format!("tag=t{n}")).collect();
    assert_eq!(crate::support::post_json(&daemon, "/api/v1/routes/trial", &json!({"labels": many})).0, 422);
}

/// A trial says what the dispatcher would do: of many alerts that may mute lesser ones, the one that does can be the oldest.
#[test]
fn an_alert_that_mutes_is_found_among_many() {
    let mutes = "alerts: { inhibit: [{ source: ['rule=large-cash'], target: ['rule=over-budget'], equal: [unit_code] }] }";
    let bench = Bench::new("", &format!("{CONFIG}{mutes}\n"));
    let daemon = Daemon::start(bench.path());
    let cash = |id: String, unit: &str| {
        let mut event = payment(&id, "L1", "30000.00");
        event["settlement"] = json!("cash");
        event["unit_code"] = json!(unit);
        event
    };
    let post = |events: &[Value]| assert_eq!(daemon.post("/api/v1/events", &lines(events)).0, 200);
    post(&[cash("the first".into(), "101009")]);
    post(&(0..150).map(|n| cash(format!("c{n}"), "101001")).collect::<Vec<_>>());
    let mine = daemon.json("/api/v1/alerts?rule=large-cash&unit=101009");
    let held_by = |unit: &str| -> Value {
        let labels = json!({"labels": ["rule=over-budget", "severity=high", format!("unit_code={unit}")]});
        let (status, answer) = crate::support::post_json(&daemon, "/api/v1/routes/trial", &labels);
        assert_eq!(status, 200, "{answer}");
        serde_json::from_str::<Value>(&answer).unwrap()["held_by"].clone()
    };
    assert_eq!(held_by("101009")[0]["id"], mine["alerts"][0]["alert_id"], "{mine}");
    assert_eq!(held_by("101001").as_array().unwrap().len(), 1);
    assert_eq!(held_by("101005"), json!([]));
}
