//! Lists, numbers and bulk steps of alerts, as the inbox asks for them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Bench, Daemon, lines, payment};

/// Overspends lines of several units, and pays cash; ten alerts.
fn inbox() -> (Bench, Daemon) {
    let bench = Bench::new("", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    let pay = |n: u32, unit: &str, region: &str, cash: bool| {
        let mut event = payment(&format!("p{n}"), &format!("L{n}"), "30000.00");
        event["unit_code"] = json!(unit);
        event["region_code"] = json!(region);
        event["settlement"] = json!(if cash { "cash" } else { "transfer" });
        event
    };
    let events = [
        pay(1, "101001", "330100000", false),
        pay(2, "101001", "330100000", false),
        pay(3, "101002", "330100000", true),
        pay(4, "102001", "330200000", true),
        pay(5, "102001", "330200000", false),
        pay(6, "103001", "330300000", false),
        pay(7, "103001", "330300000", true),
    ];
    // One after another, so that each has a time of its own.
    for event in events {
        assert_eq!(daemon.post("/api/v1/events", &lines(&[event])).0, 200);
    }
    (bench, daemon)
}

fn ids(page: &Value) -> Vec<String> {
    let alerts = page["alerts"].as_array().unwrap_or_else(|| panic!("{page}"));
    alerts.iter().map(|alert| alert["alert_id"].as_str().unwrap().to_owned()).collect()
}

fn post(daemon: &Daemon, path: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}{path}", daemon.address);
    let mut answer = crate::support::agent().post(url).send_json(body).unwrap();
    (answer.status().as_u16(), answer.body_mut().read_json().unwrap())
}

#[test]
fn lists_are_narrowed_by_several_values_and_say_how_many_there_are() {
    let (_bench, daemon) = inbox();
    let found = |query: &str| {
        let page = daemon.json(&format!("/api/v1/alerts?totals=true&{query}"));
        assert_eq!(page["total"], ids(&page).len(), "{query}: {page}");
        ids(&page).len()
    };
    assert_eq!(found(""), 10);
    for (query, count) in [
        ("severity=critical", 7),
        ("severity=critical,medium", 10),
        ("rule=large-cash,none", 3),
        ("unit=101001,101002", 4),
        ("unit=101*", 4),
        ("unit=102001&severity=medium", 1),
        ("region=3301*,330300000", 7),
        ("state=open,closed", 10),
        ("state=active", 10),
        ("state=closed,dismissed", 0),
        ("owner=-", 10),
        ("owner=li", 0),
        ("q=over 102001", 2),
        ("q=OVER-budget L6", 1),
        ("q=nothing", 0),
        ("opened_from=2020-01-01&opened_to=2020-12-31", 0),
        ("opened_from=2020-01-01", 10),
    ] {
        assert_eq!(found(&query.replace(' ', "%20")), count, "{query}");
    }
    for (query, words) in [
        ("severity=critical,grave", "grave"),
        ("state=open,shut", "shut"),
        ("sort=colour", "colour"),
        ("handling=shrug", "shrug"),
        ("opened_from=2026-01-01&opened_since=7d", "opened_from"),
    ] {
        let (status, body) = daemon.get(&format!("/api/v1/alerts?{query}"));
        assert_eq!(status, 400, "{query}");
        assert!(body.contains(words), "{body}");
    }
    let findings = daemon.json("/api/v1/findings?totals=true&unit=101*&limit=1");
    assert_eq!((findings["total"].clone(), findings["findings"].as_array().unwrap().len()), (json!(4), 1));

    let counts = daemon.json("/api/v1/alerts/counts?severity=medium&region=3302*");
    assert_eq!(counts["total"], 1);
    let by_state = [("critical", 2), ("medium", 1)]
        .map(|(severity, n)| json!({"state": "open", "severity": severity, "alerts": n}));
    assert_eq!(counts["counts"], json!(by_state), "without the severity that was chosen");
    assert_eq!(counts["rules"], json!([{"value": "large-cash", "alerts": 1}]));
    assert_eq!(counts["owners"], json!([{"value": null, "alerts": 1}]));
    let oldest = daemon.json("/api/v1/alerts?sort=oldest&limit=1&severity=medium&region=3302*");
    assert_eq!(counts["oldest_open_at"], oldest["alerts"][0]["opened_at"]);
}

#[test]
fn pages_have_each_alert_once_while_alerts_change_and_come_in() {
    let (_bench, daemon) = inbox();
    let all = ids(&daemon.json("/api/v1/alerts"));
    for sort in ["newest", "oldest", "occurred", "severity", "findings", "changed", "due"] {
        let mut seen = Vec::new();
        let mut path = format!("/api/v1/alerts?limit=3&sort={sort}&opened_to=2099-01-01");
        loop {
            let page = daemon.json(&path);
            // Who asks how many there are gets the same page.
            let counted = daemon.json(&format!("{path}&totals=true"));
            assert_eq!((&counted["alerts"], &counted["next"]), (&page["alerts"], &page["next"]), "{path}");
            let opened = daemon.json("/api/v1/alerts/counts?opened_to=2099-01-01");
            assert_eq!(counted["total"], opened["total"], "{path}");
            seen.extend(ids(&page));
            let Some(next) = page["next"].as_str() else { break };
            // What was on the page is touched, and something new comes in.
            let last = seen.last().unwrap();
            let body = json!({"action": "comment", "who": "li", "why": "seen"});
            assert_eq!(post(&daemon, &format!("/api/v1/alerts/{last}/transitions"), &body).0, 200);
            let id = format!("new-{sort}-{}", seen.len());
            assert_eq!(daemon.post("/api/v1/events", &lines(&[payment(&id, &id, "1.00")])).0, 200);
            path = format!("/api/v1/alerts?limit=3&sort={sort}&opened_to=2099-01-01&before={next}");
        }
        let once: BTreeSet<_> = seen.iter().collect();
        assert_eq!(once.len(), seen.len(), "{sort}: an alert is there twice");
        assert!(all.iter().all(|id| once.contains(id)), "{sort}: an alert is missing");
    }
}

#[test]
fn a_bulk_step_says_of_each_alert_what_became_of_it() {
    let (_bench, daemon) = inbox();
    let page = daemon.json("/api/v1/alerts?severity=critical&limit=4");
    let alerts: Vec<Value> = page["alerts"].as_array().unwrap().clone();
    let id = |n: usize| alerts[n]["alert_id"].as_str().unwrap();
    // Another officer is faster with one, and has closed another.
    let step = |n: usize, action: &str| {
        let body = json!({"action": action, "who": "wang", "why": "done"});
        assert_eq!(post(&daemon, &format!("/api/v1/alerts/{}/transitions", id(n)), &body).0, 200);
    };
    step(1, "acknowledge");
    step(2, "acknowledge");
    step(2, "dismiss");
    let seen = |n: usize| json!({"alert_id": id(n), "version": alerts[n]["version"]});
    let order = |alerts: Value, why: Value| json!({"action": "acknowledge", "who": "li", "why": why, "alerts": alerts});
    let (status, done) = post(
        &daemon,
        "/api/v1/alerts/transitions",
        &order(json!([seen(0), seen(1), {"alert_id": id(2)}, {"alert_id": "none"}, seen(3)]), json!(null)),
    );
    assert_eq!(status, 200, "{done}");
    assert_eq!((&done["changed"], &done["failed"]), (&json!(2), &json!(3)));
    let results = done["results"].as_array().unwrap();
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 412, 409, 404, 200]);
    assert_eq!(results[0]["alert"]["owner"], "li");
    assert_eq!(results[1]["alert"]["owner"], "wang", "it is told how the alert is now");
    assert!(results[2]["detail"].as_str().unwrap().len() > 10);
    assert_eq!(results[3]["alert"], Value::Null);

    let again = [seen(0), seen(0)];
    assert_eq!(post(&daemon, "/api/v1/alerts/transitions", &order(json!(again), json!(null))).0, 400);
    assert_eq!(post(&daemon, "/api/v1/alerts/transitions", &order(json!([]), json!(null))).0, 400);
    let without_reason = json!({"action": "dismiss", "who": "li", "alerts": [{"alert_id": id(0)}]});
    let (status, problem) = post(&daemon, "/api/v1/alerts/transitions", &without_reason);
    assert_eq!(status, 422, "{problem}");
    assert_eq!(daemon.json(&format!("/api/v1/alerts/{}", id(0)))["alert"]["state"], "acknowledged");
}
