//! Several applications in one request: one after another, or together.

use serde_json::{Value, json};

use super::{accepts, application, approve, ask, bench, decide, events, reserved};
use crate::support::Daemon;

/// What is asked of a list is what would be decided of it: each application sees those before it that would reserve money.
#[test]
fn what_would_be_decided_of_a_list_is_what_is_decided_of_it() {
    let bench = bench("");
    let daemon = Daemon::start(bench.path());
    accepts(&daemon, &[approve("L1", "100.00")]);
    let amounts = ["60.00", "60.00", "40.01", "15.00", "25.01", "25.00", "0.01"];
    let list: Vec<_> = amounts
        .iter()
        .enumerate()
        .map(|(n, amount)| application(&format!("a{n}"), amount, &(n % 3).to_string()))
        .collect();
    let list = json!(list);
    let before = events(&daemon);
    let mut tried = decide(&daemon, "?mode=what_if", &list);
    assert_eq!(events(&daemon), before, "nothing has changed");
    let mut decided = decide(&daemon, "", &list);
    let verdicts: Vec<_> =
        decided["decisions"].as_array().unwrap().iter().map(|d| d["decision"].clone()).collect();
    assert_eq!(verdicts, ["allow", "block", "block", "allow", "block", "allow", "block"]);
    let largest = |answer: &Value| -> Vec<Value> {
        answer["decisions"].as_array().unwrap().iter().map(|d| d["largest_amount"].clone()).collect()
    };
    assert_eq!(largest(&decided)[1..5], [json!("40.00"), json!("40.00"), json!(null), json!("25.00")]);
    for answer in [&mut tried, &mut decided] {
        for decision in answer["decisions"].as_array_mut().unwrap() {
            let decision = decision.as_object_mut().unwrap();
            for told in ["mode", "decided_at"] {
                decision.remove(told);
            }
        }
    }
    assert_eq!(tried, decided);
    assert_eq!(reserved(&daemon), "100.00");
    // Asked for once more it is what it was, alone and among new ones, and in both modes.
    let mut longer = list.as_array().unwrap().clone();
    longer.insert(3, application("b1", "0.01", "B"));
    for mode in ["?mode=what_if", "", ""] {
        let again = decide(&daemon, mode, &json!(longer));
        let again = again["decisions"].as_array().unwrap();
        assert_eq!(again.len(), 8);
        let replayed = again.iter().filter(|d| d["replayed"] == true && d["event_id"] != "b1");
        assert_eq!(replayed.count(), 7, "{again:?}");
        assert_eq!((&again[3]["event_id"], &again[3]["decision"]), (&json!("b1"), &json!("block")));
    }
}

/// A list of which one cannot be decided leaves the books as they are, and the answer says which one.
#[test]
fn a_list_with_one_that_cannot_be_decided_decides_nothing() {
    let bench = bench("");
    let daemon = Daemon::start(bench.path());
    accepts(&daemon, &[approve("L1", "100.00"), crate::support::payment("paid", "L1", "1.00")]);
    let good = |id: &str| application(id, "5.00", "A");
    decide(&daemon, "", &good("known"));
    let with = |name: &str, value: Value| {
        let mut event = good("x");
        event[name] = value;
        event
    };
    let before = (events(&daemon), reserved(&daemon));
    let other = application("known", "6.00", "A");
    let cases = [
        (with("amount", json!("0")), 422, "application 2: bad_amount"),
        (json!({"event_id": "zz"}), 422, "application 2: missing_field"),
        (with("type", json!("payment")), 422, "application 2: applications are decided"),
        (other.clone(), 409, "another application \"known\" was decided"),
        (application("paid", "5.00", "A"), 409, "an event \"paid\" is known"),
    ];
    for (wrong, status, why) in cases {
        for mode in ["", "?mode=what_if", "?atomic=true"] {
            let (got, answer) = ask(&daemon, mode, &json!([good("first"), wrong]));
            let detail = answer["detail"].as_str().unwrap();
            assert!(got == status && detail.contains(why), "{mode} {wrong}: {got} {answer}");
            assert_eq!((events(&daemon), reserved(&daemon)), before, "{mode} {wrong}");
        }
    }
    // The same twice is one application, and other content under its id is none.
    let twice = decide(&daemon, "?mode=what_if", &json!([good("first"), good("b"), good("first")]));
    let told: Vec<_> = twice["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (d["event_id"].clone(), d["replayed"].clone()))
        .collect();
    assert_eq!(
        told,
        [("first", false), ("b", false), ("first", true)].map(|(id, again)| (json!(id), json!(again)))
    );
    let (status, answer) = ask(&daemon, "", &json!([good("first"), application("first", "6.00", "A")]));
    assert!(status == 409 && answer["detail"].as_str().unwrap().contains("the same event_id"), "{answer}");
    assert_eq!((events(&daemon), reserved(&daemon)), before);
    // Together means the first time too.
    let (status, answer) = ask(&daemon, "?atomic=true", &json!([good("known"), good("new")]));
    assert_eq!(status, 409);
    let detail = answer["detail"].as_str().unwrap();
    assert!(detail.starts_with("\"known\" was decided before and \"new\" was not"), "{detail}");
    assert_eq!((events(&daemon), reserved(&daemon)), before);
    let both = json!([good("c1"), good("c2")]);
    decide(&daemon, "?atomic=true", &both);
    let again = decide(&daemon, "?atomic=true", &both);
    assert!(again["decisions"].as_array().unwrap().iter().all(|d| d["replayed"] == true), "{again}");
}
