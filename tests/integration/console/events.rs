//! Events looked up by what people know of them, their traces, and the history of a line.

use serde_json::{Value, json};

use crate::support::{Bench, Daemon, lines, payment};

/// Whether a query means an event.
type Holds<'h> = &'h dyn Fn(&Value) -> bool;

/// What a page, and all pages after it, have.
fn all(daemon: &Daemon, query: &str, limit: usize) -> Vec<Value> {
    let (mut found, mut before) = (Vec::new(), String::new());
    loop {
        let page = daemon.json(&format!("/api/v1/events?limit={limit}&{query}{before}"));
        found.extend(page["events"].as_array().unwrap_or_else(|| panic!("{query}: {page}")).clone());
        let Some(next) = page["next"].as_str() else { return found };
        before = format!("&before={next}");
    }
}

fn ids(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event_id"].as_str().unwrap()).collect()
}

/// Payments over half a year, at times that several share.
fn payments() -> Vec<Value> {
    let pay = |n: usize| {
        let mut event = payment(&format!("p{n:03}"), &format!("L{}", n % 5), &format!("{}.50", 100 + n * 7));
        event["occurred_at"] = json!(format!("2026-0{}-1{}T10:00:00+08:00", 1 + n / 30, n % 4));
        event["unit_code"] = json!(["101001", "101002", "201001"][n % 3]);
        event["payee_name"] = json!(["杭州某建设有限公司", "欧阳小明", "Acme Ltd"][n % 3]);
        event["payee_type"] = json!(["entity", "person", "entity"][n % 3]);
        event["payee_account"] = json!(format!("62220212020000{n:05}"));
        event["purpose"] = json!(format!("工程款 第{n}期"));
        event
    };
    (0..120).map(pay).collect()
}

#[test]
fn events_are_found_by_what_is_known_of_them() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    let mut events = payments();
    assert_eq!(daemon.post("/api/v1/events", &lines(&events)).0, 200);
    let key = |event: &Value| {
        (event["occurred_at"].as_str().unwrap().to_owned(), event["event_id"].as_str().unwrap().to_owned())
    };
    events.sort_by_key(|event| std::cmp::Reverse(key(event)));
    let has = |event: &Value, name: &str, text: &str| event[name].as_str().unwrap().contains(text);
    let cents = |event: &Value| event["amount"].as_str().unwrap().replace('.', "").parse::<u64>().unwrap();
    let queries: [(&str, Holds<'_>); 14] = [
        ("", &|_| true),
        ("type=payment,refund", &|_| true),
        ("type=refund", &|_| false),
        ("payee=%E6%9F%90%E5%BB%BA%E8%AE%BE", &|e| has(e, "payee_name", "某建设")),
        ("payee=acme", &|e| has(e, "payee_name", "Acme")),
        ("account=0042", &|e| has(e, "event_id", "p042")),
        ("account=6222021202000000042", &|e| has(e, "event_id", "p042")),
        // What is masked cannot be guessed digit by digit.
        ("account=00042", &|_| false),
        ("unit=101*", &|e| has(e, "unit_code", "101")),
        ("line=L1,L3&unit=201001", &|e| {
            (has(e, "budget_line_id", "L1") || has(e, "budget_line_id", "L3"))
                && has(e, "unit_code", "201001")
        }),
        ("min_amount=200&max_amount=1,000.00", &|e| (20_000..=100_000).contains(&cents(e))),
        ("purpose=%E7%AC%AC7%E6%9C%9F", &|e| has(e, "event_id", "p007")),
        ("q=p11", &|e| has(e, "event_id", "p11")),
        ("from=2026-02-01&to=2026-02-12", &|e| {
            ("2026-02-01".."2026-02-13").contains(&e["occurred_at"].as_str().unwrap())
        }),
    ];
    for (query, holds) in queries {
        let expected: Vec<Value> = events.iter().filter(|event| holds(event)).cloned().collect();
        for limit in [7, 1000] {
            assert_eq!(ids(&all(&daemon, query, limit)), ids(&expected), "{query} {limit}");
        }
    }
    let page = daemon.json("/api/v1/events?q=p001&limit=1");
    let found = &page["events"][0];
    assert_eq!((&found["payee_name"], &found["payee_account"]), (&json!("欧***"), &json!("****0001")));
    assert_eq!((&found["amount"], &found["contract_no"]), (&json!("107.50"), &Value::Null));
    for wrong in ["type=gift", "min_amount=much", "from=soon", "before=yesterday", "limit=0"] {
        assert_eq!(daemon.get(&format!("/api/v1/events?{wrong}")).0, 400, "{wrong}");
    }
}

#[test]
fn an_event_has_what_came_before_and_after_it() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    let at = |mut event: Value, id: &str, kind: &str, day: u32| {
        event["event_id"] = json!(id);
        event["type"] = json!(kind);
        event["occurred_at"] = json!(format!("2026-03-{day:02}T10:00:00+08:00"));
        event
    };
    let approve = json!({"event_id": "b1", "type": "budget", "action": "approve", "occurred_at": "2026-01-02", "budget_line_id": "L1",
        "amount": "100.00", "fiscal_year": 2026, "region_code": "330100000", "unit_code": "101001", "function_code": "2050201", "economic_code": "30201"});
    let mut paid = at(payment("", "L1", "90.00"), "p1", "payment", 3);
    paid["application_id"] = json!("a1");
    let names = |line: bool| {
        let mut event = json!({"original_event_id": "p1", "amount": "30.00"});
        if line {
            event["budget_line_id"] = json!("L1");
        }
        event
    };
    let mut confirmed = at(names(false), "c1", "confirmation", 4);
    confirmed["status"] = json!("paid");
    let mut moved = at(names(true), "m1", "correction", 6);
    moved["to_budget_line_id"] = json!("L2");
    let events = [
        approve,
        at(payment("", "L1", "90.00"), "a1", "application", 2),
        paid,
        confirmed,
        at(names(true), "r1", "refund", 5),
        moved,
        at(payment("", "L1", "150.00"), "p2", "payment", 9),
    ];
    assert_eq!(
        daemon.post("/api/v1/events", &lines(&events)).1,
        "{\"accepted\":7,\"duplicates\":0,\"rejected\":0}"
    );
    let family = ["a1", "p1", "c1", "r1", "m1"];
    for id in family {
        let shown = daemon.json(&format!("/api/v1/events/{id}"));
        assert_eq!(shown["event"]["event_id"], id);
        let expected: Vec<_> = family.into_iter().filter(|other| *other != id).collect();
        assert_eq!(ids(shown["trace"].as_array().unwrap()), expected, "{id}");
        assert_eq!(shown["complete"], true);
    }
    let alone = daemon.json("/api/v1/events/p2");
    assert_eq!(alone["trace"], json!([]));
    assert_eq!(alone["findings"][0]["rule_id"], "over-budget");
    assert_eq!(alone["alerts"][0]["state"], "open");
    assert_eq!(daemon.get("/api/v1/events/none").0, 404);

    // What the line had after each event, and after the last one what it has.
    let history = daemon.json("/api/v1/budget-lines/L1/history");
    let entries = history["entries"].as_array().unwrap();
    let balance = |entry: &Value, name: &str| entry["balances"][name].as_str().unwrap().to_owned();
    let steps: Vec<_> = entries
        .iter()
        .map(|e| (e["event"]["event_id"].as_str().unwrap(), balance(e, "executed"), balance(e, "available")))
        .collect();
    let step = |id, executed: &str, available: &str| (id, executed.to_owned(), available.to_owned());
    let expected = [
        step("b1", "0.00", "100.00"),
        step("a1", "0.00", "10.00"),
        step("p1", "90.00", "10.00"),
        step("c1", "90.00", "10.00"),
        step("r1", "60.00", "40.00"),
        step("m1", "30.00", "70.00"),
        step("p2", "180.00", "-80.00"),
    ];
    assert_eq!(steps, expected);
    assert_eq!(history["complete"], true);
    let line = daemon.json("/api/v1/budget-lines/L1");
    for (name, value) in entries[6]["balances"].as_object().unwrap() {
        assert_eq!(*value, line[name], "{name}");
    }
    let first = daemon.json("/api/v1/budget-lines/L1/history?limit=3");
    let rest = daemon.json(&format!("/api/v1/budget-lines/L1/history?after={}", first["next"]));
    assert_eq!(rest["entries"].as_array().unwrap()[..], entries[3..]);
    assert_eq!(daemon.json("/api/v1/budget-lines/L2/history")["entries"].as_array().unwrap().len(), 1);
    assert_eq!(daemon.get("/api/v1/budget-lines/none/history").0, 404);
}
