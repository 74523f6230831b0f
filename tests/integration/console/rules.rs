//! One rule with what it found, and the quarantine.

use serde_json::json;

use crate::support::{Bench, Daemon, lines, payment};

#[test]
fn a_rule_says_what_it_looks_for_and_what_it_found_by_week() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    // A Sunday night, which is Monday in no zone but the configured one's east; a Monday; and the week after.
    let days = [
        "2026-03-01T23:30:00+08:00",
        "2026-03-02T00:30:00+08:00",
        "2026-03-08T10:00:00+08:00",
        "2026-03-09T10:00:00+08:00",
    ];
    let events: Vec<_> = days
        .iter()
        .enumerate()
        .map(|(n, at)| {
            let mut event = payment(&format!("p{n}"), &format!("L{n}"), "30000.00");
            event["settlement"] = json!("cash");
            event["occurred_at"] = json!(at);
            event
        })
        .collect();
    assert_eq!(daemon.post("/api/v1/events", &lines(&events)).0, 200);
    let rule = daemon.json("/api/v1/rules/large-cash");
    assert_eq!(
        (&rule["view"], &rule["where"], &rule["when"]),
        (&json!("event"), &json!("settlement = 'cash'"), &json!("amount > $limit"))
    );
    assert_eq!((&rule["params"], &rule["key"]), (&json!({"limit": "20000"}), &json!(["unit_code"])));
    assert_eq!(rule["rule"]["findings"], 4);
    let weeks = [("2026-02-23", 1), ("2026-03-02", 2), ("2026-03-09", 1)]
        .map(|(week, findings)| json!({"week": week, "findings": findings}));
    assert_eq!(rule["weeks"], json!(weeks));
    assert_eq!(daemon.get("/api/v1/rules/none").0, 404);

    let times = daemon.json("/api/v1/findings/times?rule=large-cash");
    let found = times["weeks"].as_array().unwrap().iter().map(|week| &week["findings"]);
    assert_eq!(found.collect::<Vec<_>>(), [1, 2, 1]);
    assert_eq!(times["weeks"][1]["severities"].as_object().unwrap().values().next(), Some(&json!(2)));
    // Monday at midnight; Sunday at ten, and at eleven in the night; Monday at ten.
    let cells = [(0, 0, 1), (0, 10, 1), (6, 10, 1), (6, 23, 1), (3, 10, 0)];
    for (day, hour, findings) in cells {
        assert_eq!(times["hours"][day][hour], findings, "{day} {hour}: {times}");
    }
    let later = daemon.json("/api/v1/findings/times?rule=large-cash&from=2026-03-08&to=2026-03-08");
    assert_eq!(later["weeks"][0]["findings"], 1, "{later}");
    // What is kept of them is added to, and says the same as all of them counted again, which bounds within an hour ask for.
    let mut event = payment("later", "L9", "30000.00");
    event["settlement"] = json!("cash");
    event["occurred_at"] = json!("2026-03-09T11:00:00+08:00");
    assert_eq!(daemon.post("/api/v1/events", &lines(&[event])).0, 200);
    for rule in ["large-cash", "none,large-cash", ""] {
        let kept = daemon.json(&format!("/api/v1/findings/times?rule={rule}"));
        let anew =
            daemon.json(&format!("/api/v1/findings/times?rule={rule}&from=2020-01-01T00:00:01%2B08:00"));
        assert_eq!(kept, anew, "{rule}");
        let sum: u64 =
            kept["weeks"].as_array().unwrap().iter().map(|week| week["findings"].as_u64().unwrap()).sum();
        assert!(if rule.is_empty() { sum >= 5 } else { sum == 5 }, "{rule}: {kept}");
    }
    let others = daemon.json("/api/v1/findings/times?rule=none");
    assert_eq!(others["weeks"], json!([]));
    assert_eq!(daemon.get("/api/v1/findings/times?from=never").0, 400);
}

#[test]
fn records_in_quarantine_are_listed_with_their_bytes() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    let bad = format!("{{\"event_id\": \"x\"}}\n{}not json\n", lines(&[payment("p1", "L1", "-1")]));
    assert_eq!(daemon.post("/api/v1/events", &bad).0, 200);
    let page = daemon.json("/api/v1/quarantine?limit=2");
    assert_eq!((&page["total"], page["records"].as_array().unwrap().len()), (&json!(3), 2));
    let rest = daemon.json(&format!("/api/v1/quarantine?after={}", page["next"]));
    assert_eq!(rest["records"][0]["text"], "not json");
    assert_eq!(rest["records"][0]["bytes"], 8);
    assert_eq!(rest["next"], json!(null));
    assert_eq!(daemon.json("/api/v1/quarantine?reason=invalid_json")["total"], 1);
}
