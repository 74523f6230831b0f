//! Alerts over HTTP.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Answer, JSON, ask, ask_at, desk, desk_with, get, ids, overspend, post, transitions};
use crate::support::{lines, payment, wait_until};

#[test]
fn an_alert_lives_from_open_to_closed() {
    let (_bench, daemon) = desk();
    overspend(&daemon, &["L1"]);
    let id = ids(&daemon).remove(0);
    let step = |action: &str, why: Option<&str>, version: i64| {
        let mut order = json!({"action": action, "who": "王芳", "why": why});
        if action == "close" {
            order["outcome"] = json!("money_returned");
            order["amount"] = json!("110.00");
        }
        let answer = post(&daemon, &transitions(&id), &order);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.etag.as_deref(), Some(format!("\"{version}\"").as_str()));
        answer.body["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(step("acknowledge", None, 2), "acknowledged");
    assert_eq!(step("comment", Some("电话核实中"), 3), "acknowledged");
    assert_eq!(step("confirm", Some("超指标属实"), 4), "confirmed");
    assert_eq!(step("rectify", None, 5), "rectifying");
    assert_eq!(step("close", Some("已退款"), 6), "closed");

    let shown = get(&daemon, &format!("/api/v1/alerts/{id}"));
    assert_eq!(shown.etag.as_deref(), Some("\"6\""));
    let actions: Vec<_> =
        shown.body["history"].as_array().unwrap().iter().map(|h| h["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["opened", "acknowledge", "comment", "confirm", "rectify", "close"]);
    assert_eq!(shown.body["history"][5]["why"], "已退款");
    assert_eq!(shown.body["alert"]["owner"], "王芳");
    assert_eq!(shown.body["findings"][0]["event_id"], "p-L1");
    assert!(shown.body["alert"]["opened_at"].as_str().unwrap().ends_with("+08:00"));

    // The next finding opens another, which names the one before.
    let (status, _) = daemon.post("/api/v1/events", &payment("again", "L1", "1.00").to_string());
    assert_eq!(status, 200);
    let page = get(&daemon, "/api/v1/alerts?state=active").body;
    assert_eq!(page["alerts"].as_array().unwrap().len(), 1);
    assert_eq!(page["alerts"][0]["previous"], id.as_str());
    // It was told that it began and that it ended.
    wait_until(|| {
        get(&daemon, &format!("/api/v1/alerts/{id}")).body["notifications"].as_array().unwrap().len() == 2
    });
}

/// However much was written and found, an answer ends, keeps what is latest and says how much it leaves out.
#[test]
fn an_alert_with_a_long_history_is_shown_in_bounds() {
    let (_bench, daemon) = desk();
    overspend(&daemon, &["L1"]);
    let id = ids(&daemon).remove(0);
    assert_eq!(
        post(&daemon, &transitions(&id), &json!({"action": "acknowledge", "who": "王芳"})).status,
        200
    );
    let more: Vec<_> = (0..150).map(|n| payment(&format!("more-{n}"), "L1", "1.00")).collect();
    assert_eq!(daemon.post("/api/v1/events", &lines(&more)).0, 200);
    for n in 0..220 {
        let why = format!("{n} {}", "核".repeat(1990));
        let comment = json!({"action": "comment", "who": "王芳", "why": why});
        assert_eq!(post(&daemon, &transitions(&id), &comment).status, 200);
    }
    let (status, text) = daemon.get(&format!("/api/v1/alerts/{id}"));
    assert_eq!(status, 200);
    assert!((1 << 20..3 << 20).contains(&text.len()), "{}", text.len());
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    let history = shown["history"].as_array().unwrap();
    let left_out = shown["history_left_out"].as_u64().unwrap();
    let version = shown["alert"]["version"].as_u64().unwrap();
    assert_eq!((left_out > 20, left_out + history.len() as u64), (true, version));
    assert!(history.last().unwrap()["why"].as_str().unwrap().starts_with("219 "));
    let findings = shown["findings"].as_array().unwrap();
    assert_eq!((findings.len(), &findings[0]["event_id"]), (100, &json!("more-149")));
}

#[test]
fn what_the_state_does_not_allow_is_a_conflict() {
    let (_bench, daemon) = desk();
    overspend(&daemon, &["L1"]);
    let id = ids(&daemon).remove(0);
    let act = |body: serde_json::Value| post(&daemon, &transitions(&id), &body);
    for action in ["confirm", "dismiss", "rectify", "close"] {
        let refused = act(json!({"action": action, "who": "a", "why": "b"}));
        assert_eq!(refused.status, 409);
        assert!(refused.detail().ends_with("it can be: acknowledge"), "{}", refused.detail());
    }
    // What the daemon does by itself is nobody's to order.
    for action in ["opened", "resolve", "escalate", "raise"] {
        assert_eq!(act(json!({"action": action, "who": "a", "why": "b"})).status, 409, "{action}");
    }
    assert_eq!(act(json!({"action": "acknowledge", "who": "a"})).status, 200);
    for missing in [
        json!({"action": "dismiss", "who": "a"}),
        json!({"action": "dismiss", "who": "a", "why": "  "}),
        json!({"action": "dismiss", "who": "", "why": "b"}),
        json!({"action": "dismiss", "why": "b"}),
        json!({"action": "dance", "who": "a", "why": "b"}),
        json!({"action": "dismiss", "who": "a", "why": "b", "versoin": 2}),
    ] {
        let refused = act(missing.clone());
        assert_eq!(refused.status, 422, "{missing}: {}", refused.detail());
    }
    let unknown = post(&daemon, &transitions("none"), &json!({"action": "acknowledge", "who": "a"}));
    assert_eq!((unknown.status, get(&daemon, "/api/v1/alerts/none").status), (404, 404));
    assert_eq!(get(&daemon, &format!("/api/v1/alerts/{id}")).body["alert"]["version"], 2);
}

#[test]
fn of_two_officers_at_once_one_has_to_look_again() {
    let (_bench, daemon) = desk();
    overspend(&daemon, &["L1", "L2", "L3", "L4", "L5"]);
    for id in ids(&daemon) {
        let both = |headers: &[(&str, &str)], orders: [serde_json::Value; 2]| -> [Answer; 2] {
            let path = transitions(&id);
            let (path, address): (_, &str) = (&path, &daemon.address);
            std::thread::scope(|scope| {
                orders
                    .map(|order| {
                        scope.spawn(move || ask_at(address, "POST", path, headers, &order.to_string()))
                    })
                    .map(|thread| thread.join().unwrap())
            })
        };
        let statuses = |answers: &[Answer; 2]| answers.iter().map(|a| a.status).collect::<BTreeSet<_>>();
        let saw_first = [JSON, ("if-match", "\"1\"")];
        let answers = both(&saw_first, ["王", "李"].map(|who| json!({"action": "acknowledge", "who": who})));
        assert_eq!(statuses(&answers), BTreeSet::from([200, 412]));
        let late = answers.iter().find(|a| a.status == 412).unwrap();
        assert!(late.detail().contains("version 2, you saw 1"), "{}", late.detail());
        // Without a version the second one fails by the state.
        let verdicts =
            both(&[JSON], ["confirm", "dismiss"].map(|v| json!({"action": v, "who": "张", "why": "x"})));
        assert_eq!(statuses(&verdicts), BTreeSet::from([200, 409]));
        let history = get(&daemon, &format!("/api/v1/alerts/{id}")).body["history"].clone();
        assert_eq!(history.as_array().unwrap().len(), 3);
    }
    let stale = json!({"action": "comment", "who": "a", "why": "b", "version": 1});
    assert_eq!(post(&daemon, &transitions(&ids(&daemon)[0]), &stale).status, 412);
    let wrong = [JSON, ("if-match", "1")];
    assert_eq!(ask(&daemon, "POST", &transitions("x"), &wrong, &stale.to_string()).status, 400);
}

#[test]
fn pages_lead_through_all_alerts_once() {
    let (_bench, daemon) = desk();
    let names: Vec<String> = (0..250).map(|n| format!("L{n:03}")).collect();
    overspend(&daemon, &names.iter().map(String::as_str).collect::<Vec<_>>());
    for limit in [1000, 250, 100, 7] {
        let (mut seen, mut path) = (Vec::new(), format!("/api/v1/alerts?limit={limit}&rule=over-budget"));
        loop {
            let page = get(&daemon, &path).body;
            let alerts = page["alerts"].as_array().unwrap();
            assert!(!alerts.is_empty() && alerts.len() <= limit);
            seen.extend(alerts.iter().map(|a| a["key"]["budget_line_id"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => path = format!("/api/v1/alerts?limit={limit}&rule=over-budget&before={next}"),
                None => break,
            }
        }
        assert_eq!(seen.len(), 250, "limit {limit}");
        seen.sort();
        assert_eq!(seen, names);
    }
    let count = |query: &str| {
        let page = get(&daemon, &format!("/api/v1/alerts?limit=1000&{query}")).body;
        page["alerts"].as_array().unwrap().len()
    };
    assert_eq!(count("unit=101001&severity=critical&state=open"), 250);
    assert_eq!(count("unit=101002"), 0);
    assert_eq!(count("state=closed"), 0);
    // Text that means something to a database means nothing here.
    assert_eq!(count("rule=%27%20OR%201%3D1%20--"), 0);
    for wrong in ["limit=0", "limit=1001", "limit=x", "state=opne", "severity=red", "sate=open", "before="] {
        let refused = get(&daemon, &format!("/api/v1/alerts?{wrong}"));
        assert_eq!(refused.status, if wrong == "before=" { 404 } else { 400 }, "{wrong}");
        assert!(!refused.detail().is_empty());
    }
    for list in ["findings", "budget-lines"] {
        let (mut seen, mut after) = (0, String::new());
        loop {
            let page = get(&daemon, &format!("/api/v1/{list}?limit=100{after}")).body;
            seen += page[list.replace('-', "_")].as_array().unwrap().len();
            let parameter = if list == "findings" { "before" } else { "after" };
            match &page["next"] {
                serde_json::Value::Null => break,
                serde_json::Value::String(next) => after = format!("&{parameter}={next}"),
                next => after = format!("&{parameter}={next}"),
            }
        }
        assert_eq!(seen, 250, "{list}");
    }
}

#[test]
fn hostile_words_are_kept_as_they_are_or_refused() {
    let (_bench, daemon) = desk();
    overspend(&daemon, &["L1"]);
    let id = ids(&daemon).remove(0);
    let comment = |who: &str, why: &str| {
        post(&daemon, &transitions(&id), &json!({"action": "comment", "who": who, "why": why}))
    };
    let kept = "'; DROP TABLE alerts; -- \"%_\\ <script>alert(1)</script> {{ 7 * 7 }} 预警\nsecond line";
    assert_eq!(comment("o'Brien\"; --", kept).status, 200);
    assert_eq!(comment("a", "one\r\ntwo").status, 200);
    let history = get(&daemon, &format!("/api/v1/alerts/{id}")).body["history"].clone();
    assert_eq!((&history[1]["who"], &history[1]["why"]), (&json!("o'Brien\"; --"), &json!(kept)));
    assert_eq!(history[2]["why"], "one\ntwo");
    let long = "x".repeat(4001);
    for (who, why) in [
        ("a\r\nBcc: x", "why"),
        ("a\u{1b}[2J", "why"),
        ("a\0", "why"),
        (&long[..101], "why"),
        ("a", &long),
        ("a", "\u{1b}]0;title\u{7}"),
        ("a", "nul\0"),
    ] {
        let refused = comment(who, why);
        assert_eq!(refused.status, 422, "{who:?} {:?}", &why[..why.len().min(20)]);
    }
    assert_eq!(comment(&"王".repeat(100), &"报".repeat(4000)).status, 200);
    // What is larger than any order is not even read.
    assert_eq!(comment("a", &"x".repeat(100_000)).status, 413);
    assert_eq!(ask(&daemon, "POST", &transitions(&id), &[JSON], "{\"action\":").status, 400);
    for path in ["/api/v1/alerts/%27%20OR%20%27a%27%3D%27a", "/api/v1/alerts/..%2F..", "/api/v1/alerts/%FF"] {
        assert!(matches!(get(&daemon, path).status, 400 | 404), "{path}");
    }
}

#[test]
fn a_page_of_another_site_can_change_nothing() {
    let (_bench, daemon) = desk();
    overspend(&daemon, &["L1"]);
    let path = transitions(&ids(&daemon)[0]);
    let order = json!({"action": "acknowledge", "who": "a"}).to_string();
    // What forms and simple scripts can send.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        assert_eq!(ask(&daemon, "POST", &path, &[("content-type", kind)], &order).status, 415, "{kind}");
    }
    let event = payment("x", "L9", "1.00").to_string();
    for (method, path, body) in [
        ("POST", path.as_str(), order.as_str()),
        ("POST", "/api/v1/events", &event),
        ("POST", "/-/reload", ""),
        ("DELETE", "/api/v1/silences/1?who=a", ""),
    ] {
        for origin in ["http://evil.example", "http://127.0.0.1:1", "null"] {
            let answer = ask(&daemon, method, path, &[JSON, ("origin", origin)], body);
            assert_eq!(answer.status, 403, "{method} {path} {origin}");
            assert!(answer.detail().contains("another site"));
        }
    }
    // The daemon's own page may.
    let own = daemon.address.clone();
    assert_eq!(ask(&daemon, "POST", &path, &[JSON, ("origin", &own)], &order).status, 200);
}

#[test]
fn behind_a_proxy_its_word_is_who_acts() {
    let (_bench, daemon) = desk_with("user_header: X-Forwarded-User");
    overspend(&daemon, &["L1"]);
    let path = transitions(&ids(&daemon)[0]);
    let order = json!({"action": "acknowledge"}).to_string();
    let act = |user: Option<&str>, body: &str| {
        let mut headers = vec![JSON];
        headers.extend(user.map(|user| ("x-forwarded-user", user)));
        ask(&daemon, "POST", &path, &headers, body)
    };
    assert_eq!(act(None, &order).status, 403);
    assert_eq!(act(Some(""), &order).status, 403);
    let pretended = json!({"action": "acknowledge", "who": "李"}).to_string();
    assert_eq!(act(Some("王"), &pretended).status, 403);
    let done = act(Some("王"), &order);
    assert_eq!((done.status, &done.body["owner"]), (200, &json!("王")));
}

#[test]
fn verdicts_measure_a_rule() {
    let (_bench, daemon) = desk();
    overspend(&daemon, &["L1", "L2", "L3", "L4"]);
    let precision = || {
        let rules = get(&daemon, "/api/v1/rules").body["rules"].clone();
        let rule = rules.as_array().unwrap().iter().find(|r| r["id"] == "over-budget").unwrap().clone();
        (rule["confirmed"].clone(), rule["dismissed"].clone(), rule["precision"].clone())
    };
    assert_eq!(precision(), (json!(0), json!(0), json!(null)));
    for (id, verdict) in ids(&daemon).iter().zip(["confirm", "confirm", "confirm", "dismiss"]) {
        for action in ["acknowledge", verdict] {
            let done = post(&daemon, &transitions(id), &json!({"action": action, "who": "a", "why": "b"}));
            assert_eq!(done.status, 200);
        }
    }
    assert_eq!(precision(), (json!(3), json!(1), json!(0.75)));
    let metrics = daemon.get("/metrics").1;
    for line in [
        "fiscwatch_rule_precision{rule=\"over-budget\"} 0.75",
        "fiscwatch_rule_verdicts{rule=\"over-budget\",verdict=\"confirmed\"} 3",
        "fiscwatch_rule_verdicts{rule=\"over-budget\",verdict=\"dismissed\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}");
    }
}
