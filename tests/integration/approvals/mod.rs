//! 审批: what one person proposes comes into force once, after others have approved it, and never without them.

mod edges;
mod kinds;
mod letters;
mod listed;
mod people;

use fiscwatch::store::Audit;
use serde_json::{Value, json};

use people::{PEOPLE, token};

use crate::support::{Bench, Daemon, agent, run, wait_until, write};

const CONFIG: &str = "state: { dir: state }
language: en
http: { listen: '127.0.0.1:0', auth: true }
rules: { paths: [rules] }
lists: { settle: 1ms, blocked: { path: blocked.csv } }
log: { level: warn }
approvals:
  budget: [{ up_to: '1000.00', by: [supervisor] }, { by: [supervisor, approver] }]
";
const RULES: &str = "
rules:
  - { id: large, title: large, severity: low, trigger: payment, when: amount > $limit, params: { limit: 1000000 }, key: [event_id] }
  - { id: listed, title: listed, severity: high, trigger: payment, when: \"in_list('blocked', payee_name)\", key: [event_id] }
  - { id: over, title: over, severity: critical, handling: block, trigger: [application, payment], when: budget.available < 0, key: [budget_line_id] }
";

struct Bureau {
    bench: Bench,
    daemon: Option<Daemon>,
    tokens: Vec<(&'static str, String)>,
}

impl Bureau {
    fn open(extra: &str) -> Self {
        let mut bureau = Self::closed(extra);
        bureau.daemon = Some(Daemon::start(bureau.bench.path()));
        bureau
    }

    fn closed(extra: &str) -> Self {
        let bench = Bench::new("", "");
        write(bench.path(), "fiscwatch.yaml", &format!("{CONFIG}{extra}"));
        write(bench.path(), "rules/rules.yaml", RULES);
        write(bench.path(), "blocked.csv", "name,why\n某甲公司,court\n");
        let (code, out, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(0), "{out}{err}");
        let state = bench.path().join("state");
        let tokens = PEOPLE.map(|(name, roles)| (name, token(&state, name, roles))).to_vec();
        Self { bench, daemon: None, tokens }
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    fn token(&self, who: &str) -> String {
        self.tokens.iter().find(|(name, _)| *name == who).unwrap().1.clone()
    }

    fn metrics(&self) -> String {
        let request = agent().get(format!("{}/metrics", self.daemon().address));
        let request = request.header("authorization", format!("Bearer {}", self.token("meter")));
        request.call().unwrap().into_body().read_to_string().unwrap()
    }

    fn ask(&self, who: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        ask(&self.daemon().address, &self.token(who), method, path, body)
    }

    fn propose(&self, who: &str, body: &Value) -> Value {
        let (status, matter) = self.ask(who, "POST", "approvals", body);
        assert_eq!(status, 201, "{matter}");
        matter
    }

    fn judge(&self, who: &str, matter: &Value, verdict: &str) -> (u16, Value) {
        let (id, digest) = (&matter["approval_id"], &matter["digest"]);
        let body = json!({ "verdict": verdict, "digest": digest, "why": "looked at" });
        self.ask(who, "POST", &format!("approvals/{id}/judgement"), &body)
    }

    fn matter(&self, matter: &Value) -> Value {
        self.ask("supervisor", "GET", &format!("approvals/{}", matter["approval_id"]), &Value::Null).1
    }

    fn is(&self, matter: &Value, state: &str) {
        wait_until(|| self.matter(matter)["state"] == state);
    }

    fn total(&self, line: &str) -> String {
        let (_, line) = self.ask("supervisor", "GET", &format!("budget-lines/{line}"), &Value::Null);
        line["total"].as_str().unwrap_or("none").to_owned()
    }

    fn acts(&self, action: &str) -> Vec<String> {
        let log = Audit::open_read_only(&self.bench.path().join("state")).unwrap().after(0, 1000).unwrap();
        log.iter().filter(|entry| entry.action == action).map(|entry| entry.who.clone()).collect()
    }
}

fn ask(address: &str, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{address}/api/v1/{path}"))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut answer = agent().run(request.body(body).unwrap()).unwrap();
    let text = answer.body_mut().read_to_string().unwrap_or_default();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn approve_line(line: &str, amount: &str) -> Value {
    json!({ "action": "approve", "budget_line_id": line, "amount": amount, "occurred_at": "2026-01-02", "fiscal_year": 2026,
        "region_code": "330100000", "unit_code": "101001", "function_code": "2050201", "economic_code": "30201" })
}

fn budget(actions: &[Value]) -> Value {
    json!({ "kind": "budget", "reason": "order 12 of the county", "actions": actions })
}

fn detail(problem: &Value) -> &str {
    problem["detail"].as_str().unwrap_or_default()
}

#[test]
fn a_small_budget_action_needs_one_other_person_and_a_large_one_two_of_other_roles() {
    let bureau = Bureau::open("");
    let small = bureau.propose("officer", &budget(&[approve_line("L1", "1000.00")]));
    assert_eq!((&small["state"], &small["needed"]), (&json!("waiting"), &json!(["supervisor"])), "{small}");
    assert_eq!(bureau.ask("officer", "POST", "approvals", &budget(&[approve_line("L1", "1000.00")])).0, 409);
    assert_eq!(bureau.judge("officer", &small, "approve").0, 403, "an officer approves nothing");
    let (status, why) = bureau.judge("approver", &small, "approve");
    assert!(status == 409 && detail(&why).contains("waits for somebody who is supervisor"), "{why}");
    let other = json!({ "approval_id": small["approval_id"], "digest": "0".repeat(64) });
    let (status, why) = bureau.judge("supervisor", &other, "approve");
    assert!(status == 409 && detail(&why).contains("not what you have seen"), "{why}");
    assert_eq!(bureau.total("L1"), "none", "nothing is in force that nobody approved");
    let (status, approved) = bureau.judge("supervisor", &small, "approve");
    assert_eq!((status, &approved["missing"]), (200, &json!([])), "{approved}");
    bureau.is(&small, "in_force");
    assert_eq!(bureau.total("L1"), "1000.00");
    let ended = bureau.matter(&small);
    let event = ended["outcome"].as_str().unwrap();
    let (status, event) = bureau.ask("officer", "GET", &format!("events/{event}"), &Value::Null);
    assert_eq!(status, 200, "the action is an event like others: {event}");
    assert_eq!(bureau.judge("another", &small, "approve").0, 409, "it is over");

    // Beyond the level two of other roles, and none of them who proposed.
    let large = bureau.propose(
        "both",
        &budget(&[
            json!({ "action": "supplement", "budget_line_id": "L1", "amount": 600 }),
            json!({ "action": "supplement", "budget_line_id": "L1", "amount": "400.01" }),
        ]),
    );
    assert_eq!(
        (&large["amount"], &large["needed"], &large["can"]),
        (&json!("1000.01"), &json!(["supervisor", "approver"]), &json!(["withdraw"]))
    );
    let (status, why) = bureau.judge("both", &large, "approve");
    assert!(status == 409 && detail(&why).contains("themselves proposed"), "{why}");
    let (status, half) = bureau.judge("supervisor", &large, "approve");
    assert_eq!((status, &half["state"], &half["missing"]), (200, &json!("waiting"), &json!(["approver"])));
    let (status, why) = bureau.judge("another", &large, "approve");
    assert!(status == 409 && detail(&why).contains("somebody who is approver"), "{why}");
    let (status, why) = bureau.judge("supervisor", &large, "approve");
    assert!(status == 409 && detail(&why).contains("approved it already"), "{why}");
    assert_eq!(bureau.total("L1"), "1000.00");
    assert_eq!(bureau.judge("approver", &large, "approve").0, 200);
    bureau.is(&large, "in_force");
    assert_eq!(bureau.total("L1"), "2000.01");
    assert_eq!(bureau.acts("approvals.propose"), ["officer", "both"]);
    assert_eq!(bureau.acts("approvals.approve"), ["supervisor", "supervisor", "approver"]);
    assert_eq!(bureau.acts("approvals.in_force").len(), 2);
    let (code, out, err) = run(bureau.bench.path(), &["audit", "verify", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let (code, out, err) = run(bureau.bench.path(), &["approvals", "list", "--config", "fiscwatch.yaml"]);
    assert!(code == Some(0) && out.contains("1,000.01") && out.contains("1,000.00"), "{out}{err}");
}

#[test]
fn what_makes_no_sense_is_not_proposed() {
    let bureau = Bureau::open("");
    let wrong = |who: &str, body: Value, status: u16, told: &str| {
        let (found, problem) = bureau.ask(who, "POST", "approvals", &body);
        assert!(found == status && problem.to_string().contains(told), "{body}: {found} {problem}");
    };
    let action = |changes: Value| {
        let mut action = approve_line("L1", "5.00");
        action.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        budget(&[action])
    };
    wrong("author", action(json!({})), 403, "officer, supervisor");
    wrong("approver", action(json!({})), 403, "");
    wrong("officer", budget(&[]), 422, "1 to 100");
    wrong("officer", action(json!({ "amount": "5.001" })), 422, "action 1");
    wrong("officer", action(json!({ "amount": -5 })), 422, "no amount");
    wrong("officer", action(json!({ "event_id": "x" })), 422, "event_id");
    wrong("officer", action(json!({ "action": "give" })), 422, "action 1");
    wrong("officer", action(json!({ "unit_code": null })), 422, "unit_code");
    wrong("officer", action(json!({ "occurred_at": "2199-01-01" })), 422, "action 1");
    wrong(
        "officer",
        json!({ "kind": "budget", "reason": " ", "actions": [approve_line("L1", "5")] }),
        422,
        "reason",
    );
    wrong("officer", json!({ "kind": "rules", "reason": "r" }), 422, "rule-sets");
    wrong("author", json!({ "kind": "list", "reason": "r", "list": "nothing" }), 404, "blocked");
    wrong("officer", json!({ "kind": "list", "reason": "r", "list": "blocked" }), 403, "author");
    wrong(
        "author",
        json!({ "kind": "list", "reason": "r", "list": "blocked", "put": [{ "x": "1" }] }),
        422,
        "no column",
    );
    wrong(
        "author",
        json!({ "kind": "list", "reason": "r", "list": "blocked", "remove": ["nobody"] }),
        422,
        "no row",
    );
    wrong(
        "officer",
        json!({ "kind": "override", "reason": "r", "application": "none" }),
        404,
        "nothing was decided",
    );
    assert_eq!(bureau.ask("officer", "GET", "approvals", &Value::Null).1["approvals"], json!([]));
}

#[test]
fn one_takes_back_what_is_ones_own_and_others_refuse() {
    let bureau = Bureau::open("");
    let first = bureau.propose("officer", &budget(&[approve_line("L1", "5.00")]));
    let withdrawal = |who: &str, matter: &Value| {
        let path = format!("approvals/{}/withdrawal", matter["approval_id"]);
        bureau.ask(who, "POST", &path, &json!({ "why": "a mistake" }))
    };
    assert_eq!(withdrawal("supervisor", &first).0, 409, "who is to approve refuses");
    let (status, back) = withdrawal("officer", &first);
    assert_eq!((status, &back["state"]), (200, &json!("withdrawn")));
    assert_eq!(bureau.judge("supervisor", &first, "approve").0, 409);
    let second = bureau.propose("officer", &budget(&[approve_line("L1", "5.00")]));
    let digest = &second["digest"];
    let silent = json!({ "verdict": "refuse", "digest": digest });
    let path = format!("approvals/{}/judgement", second["approval_id"]);
    assert_eq!(bureau.ask("supervisor", "POST", &path, &silent).0, 422, "a refusal has a reason");
    assert_eq!(bureau.judge("supervisor", &second, "refuse").1["state"], "refused");
    assert_eq!(bureau.judge("another", &second, "approve").0, 409);
    assert_eq!(bureau.total("L1"), "none");
    assert_eq!(bureau.acts("approvals.refuse"), ["supervisor"]);
    assert_eq!(bureau.acts("approvals.withdraw"), ["officer"]);
}

/// Whatever step the process dies at, the action is in the journal once, and so is its record.
#[test]
fn an_approval_survives_a_kill_between_it_and_its_effect() {
    for failpoint in ["approval.approved=abort", "approval.journalled=abort", "commit.ready=abort@2"] {
        let mut bureau = Bureau::closed("");
        bureau.daemon = Some(Daemon::start_failing(bureau.bench.path(), failpoint));
        let matter =
            bureau.propose("officer", &budget(&[approve_line("L1", "7.00"), approve_line("L2", "8.00")]));
        let id = &matter["approval_id"];
        let token = &bureau.tokens.iter().find(|(name, _)| *name == "supervisor").unwrap().1;
        let body = json!({ "verdict": "approve", "digest": matter["digest"] }).to_string();
        let request = ureq::http::Request::builder()
            .method("POST")
            .uri(format!("{}/api/v1/approvals/{id}/judgement", bureau.daemon().address))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        // The answer may be lost with the process.
        let _ = agent().run(request.body(body).unwrap());
        let mut daemon = bureau.daemon.take().unwrap();
        if !failpoint.starts_with("commit") {
            wait_until(|| daemon.child.try_wait().unwrap().is_some());
        }
        drop(daemon);
        for _ in 0..2 {
            bureau.daemon = Some(Daemon::start(bureau.bench.path()));
            if failpoint.starts_with("commit") && bureau.matter(&matter)["state"] == "waiting" {
                bureau.judge("supervisor", &matter, "approve");
            }
            bureau.is(&matter, "in_force");
            assert_eq!(
                (bureau.total("L1"), bureau.total("L2")),
                ("7.00".into(), "8.00".into()),
                "{failpoint}"
            );
            assert_eq!(bureau.daemon.take().unwrap().stop("-TERM"), Some(0));
        }
        assert_eq!(bureau.acts("approvals.in_force").len(), 1, "{failpoint}");
        let (code, out, err) = run(bureau.bench.path(), &["state", "verify", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(0), "{out}{err}");
    }
}

#[test]
fn two_approvers_at_once_are_one_approval() {
    let bureau = Bureau::open("");
    for round in 0..5 {
        let line = format!("L{round}");
        let matter = bureau.propose("officer", &budget(&[approve_line(&line, "9.00")]));
        let answers: Vec<u16> = std::thread::scope(|at_once| {
            let both = ["supervisor", "another", "both"].map(|who| {
                let (token, address) = (bureau.token(who), bureau.daemon().address.clone());
                let path = format!("approvals/{}/judgement", matter["approval_id"]);
                let body = json!({ "verdict": "approve", "digest": matter["digest"] });
                at_once.spawn(move || ask(&address, &token, "POST", &path, &body).0)
            });
            both.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
        bureau.is(&matter, "in_force");
        assert_eq!(bureau.total(&line), "9.00");
        assert_eq!(bureau.matter(&matter)["acts"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn signatures_are_checked_without_the_daemon_and_tell_every_change() {
    for provider in ["international", "national"] {
        let bureau = Bureau::open(&format!("audit: {{ provider: {provider} }}\n"));
        let matter = bureau.propose("officer", &budget(&[approve_line("L1", "2000.00")]));
        assert_eq!(bureau.judge("both", &matter, "approve").0, 200);
        assert_eq!(bureau.judge("approver", &matter, "approve").0, 200);
        bureau.is(&matter, "in_force");
        let path = format!("approvals/{}/signed", matter["approval_id"]);
        assert_eq!(bureau.ask("officer", "GET", &path, &Value::Null).0, 403);
        let (status, signed) = bureau.ask("supervisor", "GET", &path, &Value::Null);
        assert_eq!(status, 200);
        let elsewhere = tempfile::tempdir().unwrap();
        let key = signed["acts"][0]["key"].as_str().unwrap();
        assert_eq!(key.starts_with("sm2:"), provider == "national");
        let verify = |matter: &Value, key: &[&str]| {
            write(elsewhere.path(), "matter.json", &matter.to_string());
            run(elsewhere.path(), &[&["approvals", "verify", "matter.json"], key].concat())
        };
        let (code, out, err) = verify(&signed, &["--key", key]);
        assert!(code == Some(0) && out.contains("approved by both, approver"), "{out}{err}");
        assert_eq!(verify(&signed, &["--key", &"0".repeat(64)]).0, Some(1));
        let changes: [(&str, Value); 9] = [
            ("/content/actions/0/amount", json!("2000.01")),
            ("/content/actions/0/budget_line_id", json!("L2")),
            ("/reason", json!("another")),
            ("/proposed_by", json!("somebody")),
            ("/needed", json!(["supervisor"])),
            ("/acts/1/who", json!("another")),
            ("/acts/2/why", json!("not looked at")),
            ("/acts/1/roles", json!(["supervisor"])),
            ("/acts/2", Value::Null),
        ];
        for (place, value) in changes {
            let mut changed = signed.clone();
            match place {
                "/acts/2" => {
                    changed["acts"].as_array_mut().unwrap().remove(1);
                }
                _ => *changed.pointer_mut(place).unwrap() = value,
            }
            let (code, out, err) = verify(&changed, &[]);
            assert_eq!(code, Some(1), "{provider} {place}: {out}{err}");
        }
    }
}
