//! The description of the API says what the daemon answers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Answer, JSON, ask, desk, get, ids, office, overspend};
use crate::support::{Daemon, calendar, payment, wait_until};

/// A request for every operation: its id, the method, the path, the body, and the status that is meant.
#[allow(clippy::too_many_lines)]
fn requests(daemon: &Daemon) -> Vec<(&'static str, &'static str, String, Value, u16)> {
    let notification = || get(daemon, "/api/v1/notifications").body["notifications"][0]["id"].clone();
    wait_until(|| notification().is_string());
    let (alert, notification) = (ids(daemon).remove(0), notification());
    let path = |rest: &str| format!("/api/v1/{rest}");
    let acknowledge = json!({"action": "acknowledge", "who": "王"});
    let silence = json!({"matchers": ["rule=x"], "author": "王", "reason": "盘点", "duration": "1h"});
    let retry = notification.as_str().unwrap();
    let nothing = Value::Null;
    let proposed = ids(daemon).remove(1);
    let (take, proposal) = (acknowledge.clone(), json!({"action": "dismiss", "who": "王", "why": "合同"}));
    let decision = json!({"decision": "approve", "who": "李"});
    let shift = |from: &str, to: &str| json!({"from": from, "to": to, "who": from, "why": "交班"});
    let mut application = payment("asked", "L1", "1.00");
    application["type"] = json!("application");
    vec![
        ("list_alerts", "get", path("alerts?state=active&limit=1"), nothing.clone(), 200),
        ("show_alert", "get", path(&format!("alerts/{alert}")), nothing.clone(), 200),
        ("show_alert", "get", path("alerts/none"), nothing.clone(), 404),
        ("change_alert", "post", path(&format!("alerts/{alert}/transitions")), acknowledge.clone(), 200),
        ("change_alert", "post", path(&format!("alerts/{alert}/transitions")), acknowledge, 409),
        ("change_alert", "post", path(&format!("alerts/{alert}/transitions")), json!({}), 422),
        ("inquire_alert", "post", path(&format!("alerts/{alert}/inquire")), json!({"who": "王"}), 200),
        ("inquire_alert", "post", path(&format!("alerts/{alert}/inquire")), json!({"who": "王"}), 409),
        ("inquire_alert", "post", path(&format!("alerts/{alert}/inquire")), json!({}), 422),
        ("inquire_alert", "post", path("alerts/none/inquire"), json!({"who": "王"}), 404),
        ("related_alerts", "get", path(&format!("alerts/{alert}/related")), nothing.clone(), 200),
        ("related_alerts", "get", path("alerts/none/related"), nothing.clone(), 404),
        ("alert_worth", "get", path(&format!("alerts/{alert}/worth")), nothing.clone(), 200),
        ("alert_worth", "get", path("alerts/none/worth"), nothing.clone(), 404),
        ("alert_attachments", "get", path(&format!("alerts/{alert}/attachments")), nothing.clone(), 200),
        ("alert_attachments", "get", path("alerts/none/attachments"), nothing.clone(), 404),
        ("alert_attachment", "get", path(&format!("alerts/{alert}/attachments/1")), nothing.clone(), 404),
        (
            "attach_to_alert",
            "post",
            path(&format!("alerts/{alert}/attachments?name=x&who=a")),
            json!({}),
            415,
        ),
        ("month_report", "get", path("reports/month?month=2026-03"), nothing.clone(), 200),
        ("month_report", "get", path("reports/month?month=March"), nothing.clone(), 400),
        ("service_report", "get", path("reports/service"), nothing.clone(), 200),
        ("review_alert", "post", path(&format!("alerts/{alert}/review")), decision.clone(), 409),
        ("review_alert", "post", path("alerts/none/review"), decision.clone(), 404),
        ("change_alert", "post", path(&format!("alerts/{proposed}/transitions")), take, 200),
        ("change_alert", "post", path(&format!("alerts/{proposed}/transitions")), proposal, 200),
        ("review_alert", "post", path(&format!("alerts/{proposed}/review")), decision, 200),
        ("review_alert", "post", path(&format!("alerts/{alert}/review")), json!({"decision": "return"}), 422),
        ("hand_over_alerts", "post", path("alerts/hand-over"), shift("王", "李"), 200),
        ("hand_over_alerts", "post", path("alerts/hand-over"), shift("王", "李"), 409),
        ("hand_over_alerts", "post", path("alerts/hand-over"), json!({"from": "李", "to": "张"}), 422),
        ("count_alerts", "get", path("alerts/counts?state=active"), nothing.clone(), 200),
        ("change_alerts", "post", path("alerts/transitions"), remark(&alert, "看过"), 200),
        ("change_alerts", "post", path("alerts/transitions"), remark(&alert, ""), 422),
        ("list_changes", "get", path("changes?since=0.0.0"), nothing.clone(), 200),
        ("add_silence", "post", path("silences"), silence, 201),
        ("add_silence", "post", path("silences"), json!({"matchers": []}), 422),
        ("preview_silence", "post", path("silences/preview"), json!({"matchers": ["rule=over-budget"]}), 200),
        ("list_silences", "get", path("silences?expired=true"), nothing.clone(), 200),
        ("show_silence", "get", path("silences/1"), nothing.clone(), 200),
        ("end_silence", "delete", path("silences/1?who=a"), nothing.clone(), 200),
        ("end_silence", "delete", path("silences/1?who=a"), nothing.clone(), 409),
        ("list_notifications", "get", path("notifications?state=sent"), nothing.clone(), 200),
        ("list_notifications", "get", path("notifications?state=lost"), nothing.clone(), 400),
        ("retry_notification", "post", path(&format!("notifications/{retry}/retry")), json!({}), 409),
        ("retry_notification", "post", path("notifications/none/retry"), json!({}), 404),
        ("list_findings", "get", path("findings?limit=2"), nothing.clone(), 200),
        ("count_findings_by_time", "get", path("findings/times?severity=critical"), nothing.clone(), 200),
        ("count_findings_by_time", "get", path("findings/times?from=never"), nothing.clone(), 400),
        ("list_audit", "get", path("audit?limit=1&action=alerts.*&from=2020-01-01"), nothing.clone(), 200),
        ("list_audit", "get", path("audit?from=never"), nothing.clone(), 400),
        ("check_audit", "get", path("audit/check"), nothing.clone(), 200),
        ("list_rules", "get", path("rules"), nothing.clone(), 200),
        ("list_budget_lines", "get", path("budget-lines?limit=2"), nothing.clone(), 200),
        ("show_budget_line", "get", path("budget-lines/L1"), nothing.clone(), 200),
        ("show_budget_line", "get", path("budget-lines/none"), nothing.clone(), 404),
        ("show_budget_line_history", "get", path("budget-lines/L1/history"), nothing.clone(), 200),
        ("show_budget_line_history", "get", path("budget-lines/none/history"), nothing.clone(), 404),
        ("show_budget_line_forecast", "get", path("budget-lines/L1/forecast"), nothing.clone(), 200),
        ("show_budget_line_forecast", "get", path("budget-lines/none/forecast"), nothing.clone(), 404),
        ("sum_budget_lines", "get", path("budget/totals?group_by=unit,class"), nothing.clone(), 200),
        ("sum_budget_lines", "get", path("budget/totals"), nothing.clone(), 400),
        ("list_code_tables", "get", path("codes"), nothing.clone(), 200),
        ("list_codes", "get", path("codes/region_code"), nothing.clone(), 404),
        ("list_line_groups", "get", path("budget/groups?sort=-executed"), nothing.clone(), 200),
        ("list_line_groups", "get", path("budget/groups?sort=colour"), nothing.clone(), 400),
        ("list_events", "get", path("events?limit=2"), nothing.clone(), 200),
        ("show_event", "get", path("events/p-L1"), nothing.clone(), 200),
        ("show_event", "get", path("events/none"), nothing.clone(), 404),
        ("explain_event", "get", path("explain?event=p-L1&rule=over-budget"), nothing.clone(), 200),
        ("explain_event", "get", path("explain?event=p-L1&rule=none"), nothing.clone(), 404),
        ("show_rule", "get", path("rules/over-budget"), nothing.clone(), 200),
        ("show_rule", "get", path("rules/none"), nothing.clone(), 404),
        ("show_completeness", "get", path("completeness?day=2026-03-04"), nothing.clone(), 200),
        ("show_completeness", "get", path("completeness?day=never"), nothing.clone(), 400),
        ("list_indicators", "get", path("indicators?limit=1"), nothing.clone(), 200),
        ("show_indicator", "get", path("indicators/I1"), nothing.clone(), 200),
        ("show_indicator", "get", path("indicators/none"), nothing.clone(), 404),
        ("show_status", "get", path("status"), nothing.clone(), 200),
        ("post_events", "post", path("events"), json!({"event_id": "broken"}), 200),
        ("post_events", "post", path("events"), json!(" "), 200),
        ("decide", "post", path("decide"), application, 200),
        ("decide", "post", path("decide"), json!({}), 422),
        ("show_decision", "get", path("decisions/asked"), nothing.clone(), 200),
        ("show_decision", "get", path("decisions/none"), nothing.clone(), 404),
        ("list_decisions", "get", path("decisions?limit=1"), nothing.clone(), 200),
        ("release_decision", "post", path("decisions/asked/release"), json!({}), 200),
        ("list_quarantine", "get", path("quarantine?limit=1"), nothing.clone(), 200),
        ("show_quarantined", "get", path("quarantine/1"), nothing.clone(), 200),
        ("show_quarantined", "get", path("quarantine/99"), nothing.clone(), 404),
        ("replay_quarantine", "post", path("quarantine/replay"), json!({"seqs": [1]}), 200),
        ("replay_quarantine", "post", path("quarantine/replay"), json!({"seqs": [99]}), 404),
        ("replay_quarantine", "post", path("quarantine/replay"), json!({"seqs": []}), 422),
        ("try_map", "post", path("maps/trial?name=a.jsonl"), json!({"id": "V1", "amount": "1.00"}), 200),
        ("try_map", "post", path("maps/trial?source=none&file=none"), nothing.clone(), 404),
        ("try_map", "post", path("maps/trial?name=a.csv"), json!([]), 422),
        ("list_questions", "get", path("questions"), nothing.clone(), 200),
        ("ask", "post", path("ask"), json!({"text": "各单位的执行率"}), 200),
        ("ask", "post", path("ask"), json!({"text": "肥羊在哪儿"}), 200),
        ("ask", "post", path("ask"), json!({"question": "none"}), 422),
        ("list_payees", "get", path("payees?limit=2&sort=-payments"), nothing.clone(), 200),
        ("list_payees", "get", path("payees?sort=colour"), nothing.clone(), 400),
        ("show_payee", "get", path("payees/p-L1"), nothing.clone(), 200),
        ("show_payee", "get", path("payees/none"), nothing.clone(), 404),
        ("show_routes", "get", path("routes"), nothing.clone(), 200),
        ("try_routes", "post", path("routes/trial"), json!({"labels": ["rule=over-budget"]}), 200),
        ("try_routes", "post", path("routes/trial"), json!({"alert": "none"}), 404),
        ("try_routes", "post", path("routes/trial"), json!({"labels": ["rule"]}), 422),
        ("show_openapi", "get", path("openapi.json"), nothing, 200),
    ]
}

/// Rules tried over the journal.
fn backtests() -> Vec<(&'static str, &'static str, String, Value, u16)> {
    vec![
        (
            "begin_backtest",
            "post",
            String::from("/api/v1/backtests"),
            json!({"source": "rules: [{id: x, title: x, severity: low, trigger: payment, when: amount > 1, key: [unit_code]}]"}),
            202,
        ),
        ("begin_backtest", "post", String::from("/api/v1/backtests"), json!({}), 422),
        ("list_backtests", "get", String::from("/api/v1/backtests"), Value::Null, 200),
        ("show_backtest", "get", String::from("/api/v1/backtests/1"), Value::Null, 200),
        ("show_backtest", "get", String::from("/api/v1/backtests/99"), Value::Null, 404),
        ("stop_backtest", "delete", String::from("/api/v1/backtests/1"), Value::Null, 202),
        ("stop_backtest", "delete", String::from("/api/v1/backtests/99"), Value::Null, 404),
    ]
}

/// What was blocked is let through once.
fn overrides() -> Vec<(&'static str, &'static str, String, Value, u16)> {
    let path = |rest: &str| format!("/api/v1/{rest}");
    let mut application = payment("blocked", "L1", "1.00");
    application["type"] = json!("application");
    let order = json!({"who": "王", "reason": "抢险"});
    vec![
        ("decide", "post", path("decide"), application, 200),
        ("grant_override", "post", path("decisions/blocked/overrides"), order.clone(), 201),
        ("grant_override", "post", path("decisions/blocked/overrides"), order, 409),
        ("list_overrides", "get", path("overrides?limit=1"), Value::Null, 200),
        ("show_override", "get", path("overrides/1"), Value::Null, 200),
        ("show_override", "get", path("overrides/99"), Value::Null, 404),
        ("confirm_override", "post", path("overrides/1/confirm?who=a"), Value::Null, 409),
        ("revoke_override", "delete", path("overrides/1?who=a"), Value::Null, 200),
        ("list_rule_sets", "get", path("rule-sets"), Value::Null, 200),
        ("propose_exception", "post", path("rules/over-budget/exceptions"), exception("2099-01-01"), 201),
        ("propose_exception", "post", path("rules/over-budget/exceptions"), exception("2099-01-01"), 409),
        ("propose_exception", "post", path("rules/over-budget/exceptions"), exception("2020-01-01"), 422),
        ("propose_exception", "post", path("rules/none/exceptions"), exception("2099-01-01"), 404),
        ("evidence_of_alert", "get", path("alerts/none/evidence"), Value::Null, 404),
    ]
}

fn exception(until: &str) -> Value {
    json!({"unit": "101001", "until": until, "reason": "合同", "who": "王"})
}

/// A remark on one alert, by the route for several.
fn remark(alert: &str, why: &str) -> Value {
    json!({"action": "comment", "who": "王", "why": why, "alerts": [{"alert_id": alert}]})
}

#[test]
fn every_answer_is_as_described() {
    let (bench, daemon) = desk();
    let blocks = "rules: [{id: stops, title: stops, severity: low, handling: block, trigger: application, when: event_id = 'blocked', key: [budget_line_id]}]";
    std::fs::write(bench.path().join("rules/stops.yaml"), blocks).unwrap();
    // Somebody else decides what is dismissed.
    let file = bench.path().join("fiscwatch.yaml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, config.replace("dismiss: []", "dismiss: [critical]")).unwrap();
    assert_eq!(daemon.post("/-/reload", "").0, 200);
    overspend(&daemon, &["L1", "L2", "L3"]);
    let statement = |id: &str| {
        json!({"event_id": id, "type": "indicator", "occurred_at": "2026-03-04", "indicator_id": id, "fiscal_year": 2026,
            "project_code": "X", "target": "10", "actual": "8.5"})
    };
    let statements = format!("{}\n{}\n", statement("I1"), statement("I2"));
    assert_eq!(daemon.post("/api/v1/events", &statements).0, 200);
    let description = get(&daemon, "/api/v1/openapi.json").body;
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    let operations = operations(&description);
    let mut tried = BTreeSet::new();
    for (id, method, path, body, status) in
        requests(&daemon).into_iter().chain(backtests()).chain(overrides()).chain(office::requests())
    {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = ask(&daemon, &method.to_uppercase(), &path, &[JSON], &body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        let (described_path, described_method, operation) = &operations[id];
        assert_eq!(*described_method, method);
        assert!(is_of(&path, described_path), "{path} is not {described_path}");
        check_answer(&description, operation, &answer, &format!("{method} {path}"));
        if answer.status < 300 {
            tried.insert(id);
        }
    }
    // A notification that was sent is not tried again, so that one is only refused here.
    tried.insert("retry_notification");
    // One that two must grant stands in `overrides.rs`.
    tried.insert("confirm_override");
    // Files and workbooks: `answer_page.rs` and `register.rs` read them.
    tried.extend(["alert_attachment", "attach_to_alert", "register_of_alerts", "month_workbook"]);
    tried.extend(office::ELSEWHERE);
    // `evidence.rs` checks packs.
    tried.insert("evidence_of_alert");
    // A stream has no end: `console/stream.rs` reads it.
    tried.insert("stream_changes");
    // People and programs: where nobody is asked who they are there are none. `sessions.rs` and its neighbours read these.
    tried.extend([
        "add_token",
        "add_user",
        "approve_rules",
        "begin_oidc",
        "change_own_password",
        "change_user",
        "confirm_totp",
        "disable_totp",
        "end_oidc",
        "end_session",
        "force_rules",
        "list_sessions",
        "list_tokens",
        "list_users",
        "log_in",
        "log_out",
        "offer_totp",
        "propose_rules",
        "revoke_token",
        "show_own_session",
        "withdraw_rules",
    ]);
    let described = operations.keys().map(String::as_str).collect::<BTreeSet<_>>();
    assert_eq!(tried, described, "described, but not tried, or the other way round");
}

/// Operations by their ids, which are unique, with path and method.
fn operations(description: &Value) -> BTreeMap<String, (String, String, Value)> {
    let mut operations = BTreeMap::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            assert!(operation["summary"].is_string() && operation["tags"].is_array(), "{id}");
            let named = operation["parameters"].as_array().into_iter().flatten();
            let named = named.filter(|p| p["in"] == "path").map(|p| p["name"].as_str().unwrap());
            let in_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            assert_eq!(named.collect::<Vec<_>>(), in_path.collect::<Vec<_>>(), "{id}");
            let before = operations.insert(id, (path.clone(), method.clone(), operation.clone()));
            assert!(before.is_none(), "two operations have one id");
        }
    }
    operations
}

fn is_of(path: &str, described: &str) -> bool {
    let path = path.split('?').next().unwrap();
    let (parts, described) = (path.split('/').collect::<Vec<_>>(), described.split('/').collect::<Vec<_>>());
    parts.len() == described.len() && parts.iter().zip(described).all(|(p, d)| d.starts_with('{') || *p == d)
}

fn check_answer(description: &Value, operation: &Value, answer: &Answer, what: &str) {
    let responses = &operation["responses"];
    let response = match &responses[answer.status.to_string()] {
        Value::Null => &responses["default"],
        response => response,
    };
    let schema = &response["content"][&answer.kind]["schema"];
    assert!(schema.is_object(), "{what}: {} of {} is not described", answer.status, answer.kind);
    if let Err(wrong) = check(description, schema, &answer.body) {
        panic!("{what}: {wrong}\n{:#}", answer.body);
    }
}

/// Checks a value by the words of JSON Schema that the description has; one that it does not know fails the test.
/// Stricter than JSON Schema in one way: what an object does not describe, it does not have.
fn check(description: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{value} is not {what}: {schema}"));
    for (word, says) in schema.as_object().unwrap() {
        match word.as_str() {
            "$ref" => {
                let target = description.pointer(says.as_str().unwrap().trim_start_matches('#'));
                check(description, target.ok_or_else(|| format!("{says} leads nowhere"))?, value)?;
            }
            "type" if !of_type(says, value) => return wrong("of the type"),
            "enum" if !says.as_array().unwrap().contains(value) => return wrong("one of them"),
            "minimum" if value.as_f64().is_some_and(|v| v < says.as_f64().unwrap()) => {
                return wrong("as large");
            }
            "format" if says == "date-time" && value.is_string() => {
                calendar().parse(value.as_str().unwrap()).map_err(|e| e.to_string())?;
                assert!(value.as_str().unwrap().contains('T'));
            }
            "oneOf" => {
                let fits = says.as_array().unwrap().iter().filter(|s| check(description, s, value).is_ok());
                if fits.count() != 1 {
                    return wrong("exactly one of them");
                }
            }
            "items" => {
                value.as_array().into_iter().flatten().try_for_each(|v| check(description, says, v))?;
            }
            "properties" => check_properties(description, schema, value)?,
            // What was not caught by its guard above holds.
            "description"
            | "required"
            | "additionalProperties"
            | "propertyNames"
            | "type"
            | "enum"
            | "minimum"
            | "format" => {}
            other => return Err(format!("the test does not know {other:?}")),
        }
    }
    if let (Some(object), Value::Object(values)) = (value.as_object(), &schema["additionalProperties"]) {
        object.values().try_for_each(|v| check(description, &Value::Object(values.clone()), v))?;
    }
    Ok(())
}

fn check_properties(description: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let Some(object) = value.as_object() else { return Ok(()) };
    let properties = schema["properties"].as_object().unwrap();
    for (name, value) in object {
        let described = properties.get(name).ok_or_else(|| format!("{name:?} is not described"))?;
        check(description, described, value).map_err(|e| format!("{name}: {e}"))?;
    }
    let required = schema["required"].as_array().into_iter().flatten();
    match required.map(|name| name.as_str().unwrap()).find(|name| !object.contains_key(*name)) {
        Some(missing) => Err(format!("{missing:?} is missing")),
        None => Ok(()),
    }
}

fn of_type(says: &Value, value: &Value) -> bool {
    let is = |word: &Value| match word.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other:?} is no type"),
    };
    match says {
        Value::Array(words) => words.iter().any(is),
        word => is(word),
    }
}

#[test]
fn the_check_itself_finds_what_is_wrong() {
    let description = json!({"components": {"schemas": {"A": {
        "type": "object", "required": ["n"], "properties": {
            "n": {"type": "integer", "minimum": 0}, "t": {"type": ["string", "null"], "format": "date-time"}}}}}});
    let of = |value: Value| check(&description, &json!({"$ref": "#/components/schemas/A"}), &value);
    assert!(of(json!({"n": 1, "t": null})).is_ok());
    assert!(of(json!({"n": 1, "t": "2026-03-04T10:00:00+08:00"})).is_ok());
    for wrong in [
        json!([]),
        json!({}),
        json!({"n": -1}),
        json!({"n": "1"}),
        json!({"n": 1, "x": 2}),
        json!({"n": 1, "t": "x"}),
    ] {
        assert!(of(wrong.clone()).is_err(), "{wrong}");
    }
    assert!(check(&description, &json!({"$ref": "#/components/schemas/B"}), &json!(1)).is_err());
}
