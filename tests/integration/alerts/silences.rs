//! 静默: nobody hears of an alert while one is in force, and of what is still open afterwards.

use serde_json::{Value, json};

use super::{Answer, ask, desk, get, ids, overspend, post, transitions};
use crate::support::{Daemon, calendar, wait_until};

fn order(daemon: &Daemon, matcher: &str, more: &Value) -> Answer {
    let mut body = json!({"matchers": [matcher], "author": "王", "reason": "盘点"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    post(daemon, "/api/v1/silences", &body)
}

fn detail(daemon: &Daemon, line: &str) -> Value {
    let alerts = get(daemon, "/api/v1/alerts").body["alerts"].clone();
    let alert =
        alerts.as_array().unwrap().iter().find(|a| a["key"]["budget_line_id"] == line).unwrap().clone();
    get(daemon, &format!("/api/v1/alerts/{}", alert["alert_id"].as_str().unwrap())).body
}

fn told(daemon: &Daemon, line: &str) -> usize {
    detail(daemon, line)["notifications"].as_array().unwrap().len()
}

#[test]
fn what_is_still_open_is_told_when_an_officer_ends_a_silence() {
    let (_bench, daemon) = desk();
    let made = order(&daemon, "budget_line_id=~\"L1|L2\"", &json!({"duration": "2h"}));
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.body["silence_id"].as_i64().unwrap();
    overspend(&daemon, &["L1", "L2", "L3"]);
    // The one that is not silenced goes out, and those that are have been looked at.
    wait_until(|| told(&daemon, "L3") == 1);
    for line in ["L1", "L2"] {
        wait_until(|| detail(&daemon, line)["waiting"][0]["held_by"] == format!("silence {id}"));
        assert_eq!(told(&daemon, line), 0);
    }
    // One ends meanwhile: there is nothing to tell of it any more.
    let over = detail(&daemon, "L2")["alert"]["alert_id"].as_str().unwrap().to_owned();
    for action in ["acknowledge", "dismiss"] {
        let done = post(&daemon, &transitions(&over), &json!({"action": action, "who": "王", "why": "误报"}));
        assert_eq!(done.status, 200);
    }
    let path = format!("/api/v1/silences/{id}");
    assert_eq!(ask(&daemon, "DELETE", &path, &[], "").status, 422);
    let ended = ask(&daemon, "DELETE", &format!("{path}?who=%E6%9D%8E"), &[], "");
    assert_eq!(
        (ended.status, &ended.body["state"], &ended.body["expired_by"]),
        (200, &json!("expired"), &json!("李"))
    );
    assert_eq!(ask(&daemon, "DELETE", &format!("{path}?who=a"), &[], "").status, 409);
    assert_eq!(ask(&daemon, "DELETE", "/api/v1/silences/999?who=a", &[], "").status, 404);
    wait_until(|| told(&daemon, "L1") == 1 && detail(&daemon, "L2")["waiting"] == json!([]));
    assert_eq!(told(&daemon, "L2"), 0);
}

#[test]
fn what_is_still_open_is_told_when_a_silence_ends_by_itself() {
    let (_bench, daemon) = desk();
    let made = order(&daemon, "rule=\"over-budget\"", &json!({"duration": "4s"})).body;
    overspend(&daemon, &["L1"]);
    wait_until(|| told(&daemon, "L1") == 1);
    let time = |value: &Value| calendar().parse(value.as_str().unwrap()).unwrap();
    let notification = &detail(&daemon, "L1")["notifications"][0];
    assert!(time(&notification["created_at"]) >= time(&made["ends_at"]), "{notification} {made}");
}

#[test]
fn a_silence_is_tried_before_it_is_ordered() {
    let (_bench, daemon) = desk();
    let names: Vec<String> = (0..130).map(|n| format!("L{n:03}")).collect();
    overspend(&daemon, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let preview = |matchers: Value| post(&daemon, "/api/v1/silences/preview", &json!({"matchers": matchers}));
    let all = preview(json!(["rule=\"over-budget\"", "severity!=\"low\""])).body;
    assert_eq!((&all["count"], &all["complete"]), (&json!(130), &json!(true)));
    assert_eq!(all["alerts"].as_array().unwrap().len(), 100);
    assert_eq!(preview(json!(["budget_line_id=~\"L00.\""])).body["count"], 10);
    let over = ids(&daemon).remove(0);
    for action in ["acknowledge", "dismiss"] {
        post(&daemon, &transitions(&over), &json!({"action": action, "who": "a", "why": "b"}));
    }
    assert_eq!(preview(json!(["rule=\"over-budget\""])).body["count"], 129);
    let many: Vec<String> = (0..21).map(|n| format!("a{n}=\"x\"")).collect();
    for wrong in [json!([]), json!(["rule=~\".*\""]), json!(["rule"]), json!(["a=~\"(\""]), json!(many)] {
        assert_eq!(preview(wrong.clone()).status, 422, "{wrong}");
    }
}

#[test]
fn a_silence_that_makes_no_sense_is_refused() {
    let (_bench, daemon) = desk();
    for (matcher, more) in [
        ("rule=~\".*\"", json!({"duration": "2h"})),
        ("rule=x", json!({})),
        ("rule=x", json!({"duration": "2h", "ends_at": "2099-01-01"})),
        ("rule=x", json!({"duration": "soon"})),
        ("rule=x", json!({"ends_at": "2020-01-01"})),
        ("rule=x", json!({"ends_at": "2099-01-01", "starts_at": "2099-01-02"})),
        ("rule=x", json!({"duration": "2h", "author": ""})),
        ("rule=x", json!({"duration": "2h", "author": null})),
        ("rule=x", json!({"duration": "2h", "reason": " "})),
        ("rule=x", json!({"duration": "2h", "reason": "\u{1b}"})),
        ("rule=x", json!({"duration": "2h", "until": "2099-01-01"})),
    ] {
        let refused = order(&daemon, matcher, &more);
        assert_eq!(refused.status, 422, "{matcher} {more} {}", refused.body);
        assert!(!refused.detail().is_empty());
    }
    let to_come = order(&daemon, "rule=x", &json!({"starts_at": "2099-01-01", "duration": "1d"}));
    assert_eq!((to_come.status, &to_come.body["state"]), (201, &json!("pending")));
    for _ in 0..4 {
        assert_eq!(order(&daemon, "rule=x", &json!({"duration": "1h"})).status, 201);
    }
    let page = get(&daemon, "/api/v1/silences?limit=3").body;
    assert_eq!(page["silences"].as_array().unwrap().len(), 3);
    let rest = get(&daemon, &format!("/api/v1/silences?limit=3&before={}", page["next"])).body;
    assert_eq!((rest["silences"].as_array().unwrap().len(), &rest["next"]), (2, &json!(null)));
    assert_eq!(get(&daemon, "/api/v1/silences/1").body["state"], "pending");
    assert_eq!(get(&daemon, "/api/v1/silences/99").status, 404);
    assert_eq!(get(&daemon, "/api/v1/silences/x").status, 400);
}
