//! Lists, overrides, rules and exceptions go the same way as budget actions, by the API and by command.

use serde_json::{Value, json};

use super::{Bureau, approve_line, budget, detail};
use crate::support::{Daemon, agent, fiscwatch, lines, payment, run, wait_until, write};

#[test]
fn rows_of_a_list_hold_once_they_are_approved_and_outlive_a_restart() {
    let mut bureau = Bureau::open("");
    let found = |bureau: &Bureau, id: &str, payee: &str| {
        let mut event = payment(id, "L1", "1.00");
        event["payee_name"] = json!(payee);
        let token = &bureau.tokens.iter().find(|(name, _)| *name == "feed").unwrap().1;
        let request = agent().post(format!("{}/api/v1/events", bureau.daemon().address));
        let request = request.header("authorization", format!("Bearer {token}"));
        assert_eq!(request.send(lines(&[event])).unwrap().status(), 200);
        let found = bureau.ask("officer", "GET", "findings?rule=listed&limit=1000", &Value::Null).1;
        found["findings"].as_array().unwrap().iter().filter(|finding| finding["event_id"] == id).count()
    };
    assert_eq!((found(&bureau, "p1", "某甲公司"), found(&bureau, "p2", "某乙公司")), (1, 0));
    let change = json!({ "kind": "list", "reason": "the court's notice", "list": "blocked",
        "put": [{ "name": "某乙公司", "why": "court" }, { "name": "王小明", "why": "court" }], "remove": ["某甲公司"] });
    let matter = bureau.propose("author", &change);
    let shown = matter["content"].to_string();
    assert!(shown.contains("某乙公司") && !shown.contains("小明"), "persons are masked: {matter}");
    assert_eq!(bureau.judge("supervisor", &matter, "approve").0, 409);
    assert_eq!(bureau.judge("approver", &matter, "approve").0, 200);
    bureau.is(&matter, "in_force");
    let mut n = 0;
    wait_until(|| {
        n += 1;
        found(&bureau, &format!("w{n}"), "某乙公司") == 1
    });
    assert_eq!(found(&bureau, "p3", "某甲公司"), 0);
    // The file is written again meanwhile, and what was agreed on still holds.
    assert_eq!(bureau.daemon.take().unwrap().stop("-TERM"), Some(0));
    write(bureau.bench.path(), "blocked.csv", "name,why\n某甲公司,court\n某丙公司,court\n");
    bureau.daemon = Some(Daemon::start(bureau.bench.path()));
    assert_eq!(
        ["某甲公司", "某乙公司", "某丙公司"].map(|name| found(&bureau, &format!("r{name}"), name)),
        [0, 1, 1]
    );
}

#[test]
fn overrides_go_the_same_way() {
    let bureau = Bureau::open("");
    let matter = bureau.propose("officer", &budget(&[approve_line("L1", "100.00")]));
    bureau.judge("supervisor", &matter, "approve");
    bureau.is(&matter, "in_force");
    let application = |id: &str, by: Option<&Value>| {
        let mut event = payment(id, "L1", "150.00");
        event["type"] = json!("application");
        let body = match by {
            None => event,
            Some(id) => json!({ "applications": [event], "override": id }),
        };
        bureau.ask("platform", "POST", "decide", &body)
    };
    assert_eq!(application("a1", None).1["decision"], "block");
    let wish = json!({ "kind": "override", "reason": "flood relief", "application": "a1" });
    let wanted = bureau.propose("officer", &wish);
    let id = wanted["content"]["override_id"].clone();
    assert_eq!(application("a2", Some(&id)).0, 409, "nobody has granted it");
    assert_eq!(bureau.judge("supervisor", &wanted, "approve").1["state"], "approved");
    let (status, passed) = application("a3", Some(&id));
    assert_eq!(status, 200, "{passed}");
    let used = bureau.matter(&wanted);
    assert_eq!((&used["state"], &used["outcome"]), (&json!("in_force"), &json!("a3")), "{used}");
    // Granted at the desk of old, it is in the same list.
    assert_eq!(application("b1", None).1["decision"], "block");
    let (status, granted) =
        bureau.ask("supervisor", "POST", "decisions/b1/overrides", &json!({ "reason": "again" }));
    assert_eq!((status, &granted["state"]), (201, &json!("in_force")), "{granted}");
    let listed = bureau.ask("officer", "GET", "approvals?kind=override", &Value::Null).1;
    let people: Vec<_> =
        listed["approvals"].as_array().unwrap().iter().map(|one| &one["proposed_by"]).collect();
    assert_eq!(people, ["platform", "officer"], "{listed}");
}

#[test]
fn rules_wait_in_the_same_list_and_may_want_two() {
    let bureau = Bureau::open("  rules: [{ by: [approver, supervisor] }]\n");
    let propose = |limit: &str| {
        let body = json!({ "reason": "as the circular has it", "params": { "large": { "limit": limit } } });
        bureau.ask("author", "POST", "rule-sets", &body)
    };
    let (status, set) = propose("5");
    assert_eq!(status, 201, "{set}");
    let exception = json!({ "unit": "101001", "until": "2099-01-01", "reason": "paid by contract" });
    assert_eq!(bureau.ask("author", "POST", "rules/large/exceptions", &exception).0, 201);
    let listed = bureau.ask("approver", "GET", "approvals", &Value::Null).1;
    let kinds: Vec<_> =
        listed["approvals"].as_array().unwrap().iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(kinds, ["exception", "rules"], "{listed}");
    let (excepted, rules) = (&listed["approvals"][0], &listed["approvals"][1]);
    assert_eq!(excepted["content"]["unit"], "101001");
    assert_eq!(bureau.judge("author", rules, "approve").0, 403);
    // The old way and the new are one: the first approver there, the second here.
    let digest = set["digest"].as_str().unwrap();
    let approval = format!("rule-sets/{digest}/approval");
    let (status, half) = bureau.ask("approver", "POST", &approval, &Value::Null);
    assert_eq!((status, &half["state"]), (200, &json!("proposed")), "{half}");
    assert_eq!(bureau.ask("approver", "POST", &format!("rule-sets/{digest}/force"), &Value::Null).0, 409);
    assert_eq!(bureau.judge("supervisor", rules, "approve").1["state"], "approved");
    let (status, forced) = bureau.ask("approver", "POST", &format!("rule-sets/{digest}/force"), &Value::Null);
    assert_eq!(status, 200, "{forced}");
    assert_eq!(bureau.matter(rules)["state"], "in_force");
    assert_eq!(bureau.judge("approver", excepted, "refuse").1["state"], "refused");
    let path = format!("rule-sets/{}/approval", excepted["subject"].as_str().unwrap());
    let (status, why) = bureau.ask("approver", "POST", &path, &Value::Null);
    assert!(status == 409 && detail(&why).contains("was refused"), "{why}");
    assert_eq!(
        bureau.ask("author", "POST", "rules/large/exceptions", &exception).0,
        201,
        "it may come again"
    );
}

#[test]
fn commands_do_the_same_and_the_daemon_finds_it() {
    let mut bureau = Bureau::closed("");
    let dir = bureau.bench.path().to_owned();
    write(
        &dir,
        "actions.csv",
        "action,budget_line_id,amount,occurred_at,fiscal_year,region_code,unit_code,function_code,economic_code\napprove,L9,12.00,2026-01-02,2026,330100000,101001,2050201,30201\n",
    );
    let command = |words: &[&str]| {
        let out =
            fiscwatch().current_dir(&dir).args(words).args(["--config", "fiscwatch.yaml"]).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        (out.status.code(), text)
    };
    let (code, out) = command(&["approvals", "propose", "--budget", "actions.csv", "--reason", "by hand"]);
    assert!(code == Some(0) && out.contains("waits for supervisor"), "{out}");
    let (code, out) = command(&["approvals", "approve", "1"]);
    assert!(code == Some(1) && out.contains("themselves proposed"), "{out}");
    bureau.daemon = Some(Daemon::start(&dir));
    let matter = bureau.ask("supervisor", "GET", "approvals/1", &Value::Null).1;
    assert_eq!(bureau.judge("supervisor", &matter, "approve").0, 200);
    bureau.is(&matter, "in_force");
    assert_eq!(bureau.total("L9"), "12.00");
    let (code, shown) = command(&["approvals", "show", "1", "--json"]);
    assert_eq!(code, Some(0), "{shown}");
    write(&dir, "one.json", &shown);
    let (code, out, err) = run(&dir, &["approvals", "verify", "one.json"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let (code, out) =
        command(&["approvals", "propose", "--list", "blocked", "--remove", "nobody", "--reason", "r"]);
    assert!(code == Some(1) && out.contains("no row"), "{out}");
}
