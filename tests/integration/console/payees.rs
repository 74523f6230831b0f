//! Who was paid, by how much and by whom; nothing of it tells an account to who may not see it.

use serde_json::{Value, json};

use crate::support::{Bench, Daemon, lines, payment};

/// Payments to three: a company, a person, and somebody without an account.
fn payments() -> Vec<Value> {
    let pay = |n: usize| {
        let mut event = payment(&format!("p{n:03}"), "L1", &format!("{}.25", 1000 + n));
        event["occurred_at"] = json!(format!("2026-0{}-0{}T10:00:00+08:00", 1 + n / 10, 1 + n % 9));
        event["unit_code"] = json!(["101001", "101002", "201001", "101001"][n % 4]);
        let (name, kind, account) = [
            ("杭州某建设有限公司", "entity", "62220212020000111"),
            ("欧阳小明", "person", "62220212020000222"),
            ("某学校食堂", "entity", ""),
        ][n % 3];
        (event["payee_name"], event["payee_type"]) = (json!(name), json!(kind));
        event["payee_account"] = if account.is_empty() { Value::Null } else { json!(account) };
        event
    };
    (0..30).map(pay).collect()
}

#[test]
fn payees_add_up_to_the_payments_and_are_masked() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    let mut events = payments();
    events.retain(|event| !event["payee_account"].is_null());
    assert_eq!(daemon.post("/api/v1/events", &lines(&events)).0, 200);
    let page = daemon.json("/api/v1/payees");
    let cents = |text: &Value| text.as_str().unwrap().replace('.', "").parse::<u64>().unwrap();
    let of = |name: &str| events.iter().filter(|event| event["payee_name"] == name).collect::<Vec<_>>();
    assert_eq!((&page["total"], &page["complete"], &page["left_out"]), (&json!(2), &json!(true), &json!(0)));
    let all: u64 = events.iter().map(|event| cents(&event["amount"])).sum();
    assert_eq!(cents(&page["paid"]), all);
    for payee in page["payees"].as_array().unwrap() {
        let is_person = payee["owner"] == "person";
        let own = of(if is_person { "欧阳小明" } else { "杭州某建设有限公司" });
        assert_eq!(payee["payments"], own.len());
        assert_eq!(cents(&payee["paid"]), own.iter().map(|event| cents(&event["amount"])).sum::<u64>());
        let names = if is_person { json!(["欧**"]) } else { json!(["杭州某建设有限公司"]) };
        assert!(
            payee["names"] == names || is_person && !payee["names"].to_string().contains("小明"),
            "{payee}"
        );
        assert!(payee["account"].as_str().unwrap().starts_with('*'), "{payee}");
        assert!(!payee.to_string().contains("0212020000"), "{payee}");
        // Any of its payments names it.
        for event in [own[0], own[own.len() - 1]] {
            let one = daemon.json(&format!("/api/v1/payees/{}", event["event_id"].as_str().unwrap()));
            assert_eq!(one["payee"], *payee);
            let units = one["units"].as_array().unwrap();
            assert_eq!(units.iter().map(|unit| cents(&unit["paid"])).sum::<u64>(), cents(&payee["paid"]));
            assert_eq!(payee["units"], units.len());
        }
    }
    // In order, narrowed, and page by page.
    let first = daemon.json("/api/v1/payees?limit=1&sort=-last");
    let second = daemon.json("/api/v1/payees?limit=1&sort=-last&after=1");
    assert_eq!((&first["next"], &second["next"]), (&json!(1), &Value::Null));
    assert_ne!(first["payees"][0]["id"], second["payees"][0]["id"]);
    assert_eq!(daemon.json("/api/v1/payees?account=0222")["total"], 1);
    // What is masked cannot be guessed digit by digit.
    assert_eq!(daemon.json("/api/v1/payees?account=00222")["total"], 0);
    assert_eq!(daemon.json("/api/v1/payees?unit=2")["payees"][0]["units"], 1);
    assert_eq!(daemon.json("/api/v1/payees?to=2025-12-31")["total"], 0);
    assert_eq!(daemon.get("/api/v1/payees/none").0, 404);
    assert_eq!(daemon.get("/api/v1/payees?sort=paid").0, 400);
}
