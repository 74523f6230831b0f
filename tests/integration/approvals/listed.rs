//! Lists of matters: totals, orders, text, states, pages that stay; what changes is told; and what lies outside of somebody's
//! units is not there.

use fiscwatch::{
    access::{Actor, Limits, Role, Roles},
    event::Instant,
    store::{Accounts, TokenSpec},
};
use serde_json::{Value, json};

use super::{Bureau, approve_line, budget, detail};
use crate::support::{agent, wait_until};

fn ids(page: &Value) -> Vec<i64> {
    let rows = page["approvals"].as_array().unwrap_or_else(|| panic!("{page}"));
    rows.iter().map(|row| row["approval_id"].as_i64().unwrap()).collect()
}

impl Bureau {
    fn listed(&self, who: &str, query: &str) -> Value {
        let (status, page) = self.ask(who, "GET", &format!("approvals?{query}"), &Value::Null);
        assert_eq!(status, 200, "{query}: {page}");
        page
    }

    /// Somebody who is limited to these units.
    fn limited(&mut self, name: &'static str, role: Role, unit: &str) {
        let mut accounts = Accounts::open(&self.bench.path().join("state")).unwrap();
        let by = Actor { who: String::from("test"), place: String::from("test") };
        let limits = Limits::new(vec![unit.to_owned()], Vec::new()).unwrap();
        let roles = Roles::of_person([role]).unwrap().limited_to(limits);
        accounts.add_user(name, &roles, &by, Instant::from_micros(1)).unwrap();
        let (owner, roles) = (Some(name.to_owned()), Roles::default());
        let spec = TokenSpec { name: name.to_owned(), owner, roles, expires_at: Instant::MAX };
        let token = accounts.add_token(&spec, &by, Instant::from_micros(1)).unwrap().text;
        self.tokens.push((name, token));
    }
}

fn line_of(line: &str, unit: &str, amount: &str) -> Value {
    let mut action = approve_line(line, amount);
    action["unit_code"] = json!(unit);
    action
}

#[test]
fn a_list_is_narrowed_sorted_and_counted() {
    let bureau = Bureau::open("");
    for (number, amount) in (1..=5).zip(["30.00", "10.00", "900000.00", "20.00", "40.00"]) {
        let mut wish = budget(&[approve_line(&format!("Line-{number}"), amount)]);
        wish["reason"] = json!(format!("order {number} of the county"));
        bureau.propose("officer", &wish);
    }
    let list = json!({ "kind": "list", "reason": "the court's notice", "list": "blocked",
        "put": [{ "name": "王小明", "why": "court" }], "remove": [] });
    bureau.propose("author", &list);
    let refused = bureau.listed("officer", "q=order+line-4")["approvals"][0].clone();
    assert_eq!(bureau.judge("supervisor", &refused, "refuse").0, 200);

    let found = |query: &str| ids(&bureau.listed("officer", query));
    assert_eq!(found(""), [6, 5, 4, 3, 2, 1]);
    assert_eq!(found("sort=oldest"), [1, 2, 3, 4, 5, 6]);
    assert_eq!(found("sort=amount"), [3, 5, 1, 4, 2, 6], "what has no amount is last");
    assert_eq!(found("kind=list"), [6]);
    assert_eq!(found("kind=list,rules&state=waiting"), [6]);
    assert_eq!(found("state=refused,withdrawn"), [4]);
    assert_eq!(found("q=LINE-3"), [3], "lines stand in the content");
    assert_eq!(found("q=county+order+line-5"), [5]);
    assert_eq!(found("q=court"), [6], "reasons are looked into");
    assert_eq!(found("q=王小明"), [] as [i64; 0], "cells of lists are masked, and not looked into");
    assert_eq!(found("q=%25"), [] as [i64; 0], "it is a text and no pattern");
    for wrong in ["kind=gift", "state=gone", "sort=colour", "before=x", "limit=0", "colour=red"] {
        let (status, told) = bureau.ask("officer", "GET", &format!("approvals?{wrong}"), &Value::Null);
        assert_eq!(status, 400, "{wrong}: {told}");
    }

    // Pages follow one another, whatever comes in meanwhile.
    for sort in ["newest", "oldest", "amount", "expires"] {
        let whole = found(&format!("sort={sort}&kind=budget"));
        let mut read = Vec::new();
        let mut before = String::new();
        loop {
            let query = format!("sort={sort}&kind=budget&limit=2&totals=true{before}");
            let page = bureau.listed("officer", &query);
            assert_eq!(page["total"], 5);
            read.extend(ids(&page));
            let Some(next) = page["next"].as_str() else { break };
            before = format!("&before={next}");
        }
        assert_eq!(read, whole, "{sort}");
    }
    assert_eq!(bureau.listed("officer", "limit=1")["total"], Value::Null, "nobody asked for it");

    // What waits for whoever asks: each role has its own, and nobody their own.
    let for_me = |who: &str| bureau.listed(who, "for_me=true&totals=true&limit=2");
    assert_eq!(for_me("supervisor")["total"], 4);
    assert_eq!(ids(&for_me("approver")), [6, 3]);
    assert_eq!(for_me("approver")["total"], 2);
    assert_eq!(for_me("officer")["total"], 0);
    let metrics = |level: &str| {
        let text = bureau.metrics();
        let name = format!("fiscwatch_approvals_waiting{{level=\"{level}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&name).map(str::to_owned))
    };
    wait_until(|| {
        ["supervisor", "approver", "approver+supervisor"].map(metrics)
            == [Some("3"), Some("1"), Some("1")].map(|n| n.map(str::to_owned))
    });
}

#[test]
fn what_has_expired_is_listed_as_that() {
    let bureau = Bureau::open("");
    let matter = bureau.propose("officer", &budget(&[approve_line("L1", "100.00")]));
    bureau.judge("supervisor", &matter, "approve");
    bureau.is(&matter, "in_force");
    let mut event = crate::support::payment("a1", "L1", "150.00");
    event["type"] = json!("application");
    assert_eq!(bureau.ask("platform", "POST", "decide", &event).1["decision"], "block");
    let wish = json!({ "kind": "override", "reason": "flood relief", "application": "a1", "duration": "2s" });
    let wanted = bureau.propose("officer", &wish);
    wait_until(|| bureau.matter(&wanted)["state"] == "expired");
    assert_eq!(ids(&bureau.listed("officer", "state=waiting")), [] as [i64; 0]);
    assert_eq!(ids(&bureau.listed("officer", "state=expired")), [2]);
    assert_eq!(ids(&bureau.listed("officer", "state=expired,in_force")), [2, 1]);
    assert_eq!(bureau.listed("supervisor", "for_me=true&totals=true")["total"], 0);
    let (status, why) = bureau.judge("supervisor", &wanted, "approve");
    assert!(status == 409 && detail(&why).contains("has expired"), "{why}");
}

#[test]
fn what_was_proposed_and_approved_is_told_to_who_listens() {
    let bureau = Bureau::open("");
    let changes = |who: &str, since: &str| bureau.ask(who, "GET", &format!("changes{since}"), &Value::Null);
    let (_, start) = changes("officer", "");
    let since = format!("?since={}", start["next"].as_str().unwrap());
    let matter = bureau.propose("officer", &budget(&[approve_line("L1", "10.00")]));
    let told = |of: &Value| {
        let all = of["changes"].as_array().unwrap().iter();
        let own = all.filter(|one| one["event"] == "approval");
        own.map(|one| (one["data"]["approval_id"].clone(), one["data"]["state"].clone())).collect::<Vec<_>>()
    };
    let (_, first) = changes("officer", &since);
    assert_eq!(told(&first), [(json!(1), json!("waiting"))], "{first}");
    assert_eq!(bureau.judge("supervisor", &matter, "approve").0, 200);
    bureau.is(&matter, "in_force");
    let after = format!("?since={}", first["next"].as_str().unwrap());
    let (_, second) = changes("officer", &after);
    assert_eq!(told(&second), [(json!(1), json!("in_force"))], "once, as it stands: {second}");
    let (_, none) = changes("officer", &format!("?since={}", second["next"].as_str().unwrap()));
    assert_eq!(told(&none), []);
    // A place of a version that knew no approvals: everything is read again.
    assert_eq!(changes("officer", "?since=1.1").1["changes"][0]["event"], "reset");
    // The stream says the same. A program that reads alerts hears of none.
    let stream = |who: &str| {
        let request = agent().get(format!("{}/api/v1/stream{since}", bureau.daemon().address));
        let request = request.header("authorization", format!("Bearer {}", bureau.token(who)));
        let mut body = request.call().unwrap().into_body().into_reader();
        let mut text = String::new();
        let mut part = [0; 4096];
        while !text.contains("event: status") {
            let n = std::io::Read::read(&mut body, &mut part).unwrap();
            assert!(n > 0, "{text}");
            text.push_str(&String::from_utf8_lossy(&part[..n]));
        }
        text
    };
    assert!(stream("officer").contains("event: approval"));
    assert!(!stream("reader").contains("approval"));
    assert_eq!(told(&changes("reader", &since).1), []);
}

#[test]
fn whoever_is_limited_to_units_has_what_lies_whole_within_them() {
    let mut bureau = Bureau::open("");
    bureau.limited("own", Role::Officer, "101");
    bureau.limited("head", Role::Supervisor, "101");
    bureau.limited("clerk", Role::Author, "101");
    let inside = bureau.propose("officer", &budget(&[line_of("L-own", "101001", "10.00")]));
    let outside = bureau.propose("officer", &budget(&[line_of("L-other", "999888", "20.00")]));
    for matter in [&inside, &outside] {
        assert_eq!(bureau.judge("supervisor", matter, "approve").0, 200);
        bureau.is(matter, "in_force");
    }
    let supplement = |line: &str| json!({ "action": "supplement", "budget_line_id": line, "amount": "1.00" });
    let transfer = |from: &str, to: &str| json!({ "action": "transfer", "budget_line_id": from, "to_budget_line_id": to, "amount": "1.00" });
    let mixed = bureau.propose("officer", &budget(&[supplement("L-own"), supplement("L-other")]));
    let across = bureau.propose("officer", &budget(&[transfer("L-own", "L-other")]));
    let list =
        json!({ "kind": "list", "reason": "r", "list": "blocked", "put": [{ "name": "x", "why": "y" }] });
    let rows = bureau.propose("author", &list);
    let exception = |unit: &str| json!({ "unit": unit, "until": "2099-01-01", "reason": "paid by contract" });
    for unit in ["101001", "999888"] {
        assert_eq!(bureau.ask("author", "POST", "rules/large/exceptions", &exception(unit)).0, 201);
    }
    let mut event = crate::support::payment("a-other", "L-other", "150.00");
    event["type"] = json!("application");
    event["unit_code"] = json!("999888");
    assert_eq!(bureau.ask("platform", "POST", "decide", &event).1["decision"], "block");
    let override_of = |id: &str| json!({ "kind": "override", "reason": "r", "application": id });
    assert_eq!(bureau.ask("own", "POST", "approvals", &override_of("a-other")).0, 404);
    let other = bureau.propose("officer", &override_of("a-other"));

    // In the list, in its total, by text and by number.
    for query in ["", "sort=amount", "q=L-own", "q=L-other", "q=999888", "limit=1", "state=waiting"] {
        let page = bureau.listed("own", &format!("totals=true&{query}"));
        assert!(!page.to_string().contains("L-other") && !page.to_string().contains("999888"), "{page}");
        let expected = match query {
            "q=L-other" | "q=999888" => 0,
            "q=L-own" | "state=waiting" => 1,
            _ => 2,
        };
        assert_eq!(page["total"], expected, "{query}: {page}");
    }
    for hidden in [&outside, &mixed, &across, &rows, &other] {
        let path = format!("approvals/{}", hidden["approval_id"]);
        let missing = bureau.ask("own", "GET", &path, &Value::Null);
        assert_eq!(missing.0, 404, "{hidden}");
        let told = bureau.ask("own", "GET", "approvals/999", &Value::Null).1;
        let as_none = detail(&told).replace("999", &hidden["approval_id"].to_string());
        assert_eq!(detail(&missing.1), as_none, "as if there were none");
        assert_eq!(bureau.judge("head", hidden, "approve").0, 404);
        assert_eq!(bureau.ask("head", "GET", &format!("{path}/signed"), &Value::Null).0, 404);
        assert_eq!(bureau.ask("own", "POST", &format!("{path}/withdrawal"), &json!({})).0, 404);
    }
    for path in ["changes", "stream"] {
        assert_eq!(bureau.ask("own", "GET", path, &Value::Null).0, 403, "nothing of others is told");
    }

    // They propose and approve within their units, and nothing else.
    for wrong in [
        budget(&[supplement("L-other")]),
        budget(&[supplement("L-own"), supplement("L-other")]),
        budget(&[transfer("L-own", "L-other")]),
        budget(&[transfer("L-own", "L-none")]),
        budget(&[supplement("L-none")]),
        budget(&[line_of("L-new", "999888", "1.00")]),
        budget(&[line_of("L-own", "999888", "1.00")]),
    ] {
        let (status, told) = bureau.ask("own", "POST", "approvals", &wrong);
        assert!(status == 404 && detail(&told).contains("within your units"), "{wrong}: {told}");
    }
    assert_eq!(bureau.ask("clerk", "POST", "approvals", &list).0, 403);
    let own = bureau.propose("own", &budget(&[supplement("L-own"), line_of("L-new", "101002", "1.00")]));
    assert_eq!(ids(&bureau.listed("head", "for_me=true")), [own["approval_id"].as_i64().unwrap()]);
    assert_eq!(bureau.judge("own", &own, "approve").0, 403, "approving needs the role");
    assert_eq!(bureau.judge("head", &own, "approve").0, 200);
    bureau.is(&own, "in_force");
    assert_eq!(bureau.total("L-own"), "11.00");
}
