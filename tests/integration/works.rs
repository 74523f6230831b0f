//! Long work over the API: what it gives is what the command of that name gives, for those that the command is for.

use std::{path::Path, process::Command};

use fiscwatch::{
    access::{Actor, Role, Roles},
    event::Instant,
    store::{Accounts, Audit, TokenSpec},
};
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, agent, lines, payment, run, wait_until};

const CONFIG: &str = "state: { dir: state, backups: backups }
language: en
http: { listen: '127.0.0.1:0', auth: true }
rules: { paths: [rules] }
sources: [{ name: feed, file: { path: events.jsonl } }]
log: { level: warn }
";
const RULES: &str = "rules: [{ id: seen, title: seen, severity: low, mode: shadow, trigger: payment, when: amount > 200, key: [event_id] }]\n";

struct Desk {
    bench: Bench,
    daemon: Daemon,
    tokens: Vec<(&'static str, String)>,
}

impl Desk {
    fn open() -> Self {
        let mut events = Vec::new();
        for year in [2022, 2023, 2024] {
            for n in 0..6 {
                let line = format!("L{year}-{n}");
                events.push(json!({"event_id": format!("a{year}-{n}"), "type": "budget", "action": "approve", "budget_line_id": line,
                    "occurred_at": format!("{year}-01-02"), "amount": "1000.00", "fiscal_year": year, "region_code": "330100000",
                    "unit_code": format!("10100{}", n % 3), "function_code": "2050201", "economic_code": format!("3020{}", n % 2)}));
                let mut paid = payment(&format!("p{year}-{n}"), &line, &format!("{}.01", 100 + 50 * n));
                paid["occurred_at"] = json!(format!("{year}-06-02T09:00:00+08:00"));
                paid["fiscal_year"] = json!(year);
                events.push(paid);
            }
        }
        let bench = Bench::new(&lines(&events), "");
        crate::support::write(bench.path(), "fiscwatch.yaml", CONFIG);
        crate::support::write(bench.path(), "rules/rules.yaml", RULES);
        std::fs::create_dir(bench.path().join("backups")).unwrap();
        for args in
            [&["run", "--once"][..], &["settle", "2024", "--freeze"], &["state", "backup", "backups/one"]]
        {
            let (code, _, err) = run(bench.path(), &[args, &["--config", "fiscwatch.yaml"]].concat());
            assert_eq!(code, Some(0), "{args:?}: {err}");
        }
        let people = [
            ("supervisor", Role::Supervisor),
            ("officer", Role::Officer),
            ("system", Role::System),
            ("security", Role::Security),
        ];
        let mut accounts = Accounts::open(&bench.path().join("state")).unwrap();
        let by = Actor { who: String::from("test"), place: String::from("test") };
        let tokens = people.map(|(name, role)| {
            accounts
                .add_user(name, &Roles::of_person([role]).unwrap(), &by, Instant::from_micros(1))
                .unwrap();
            let owner = Some(name.to_owned());
            let spec = TokenSpec {
                name: name.to_owned(),
                owner,
                roles: Roles::default(),
                expires_at: fiscwatch::event::Instant::MAX,
            };
            (name, accounts.add_token(&spec, &by, Instant::from_micros(1)).unwrap().text)
        });
        let daemon = Daemon::start(bench.path());
        Self { bench, daemon, tokens: tokens.to_vec() }
    }

    fn ask(&self, who: &str, method: &str, path: &str, body: Vec<u8>, kind: &str) -> (u16, Vec<u8>) {
        let token = &self.tokens.iter().find(|(name, _)| *name == who).unwrap().1;
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/api/v1/{path}", self.daemon.address))
            .header("authorization", format!("Bearer {token}"))
            .header("accept-language", "en")
            .header("content-type", kind);
        let mut answer = agent().run(request.body(body).unwrap()).unwrap();
        let bytes = answer.body_mut().read_to_vec().unwrap_or_default();
        (answer.status().as_u16(), bytes)
    }

    fn json(&self, who: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let (status, bytes) = self.ask(who, method, path, body, "application/json");
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// Begins a work and waits for its end.
    fn done(&self, who: &str, new: &Value) -> Value {
        let (status, work) = self.json(who, "POST", "works", new);
        assert_eq!(status, 202, "{new}: {work}");
        self.end(who, &work)
    }

    fn end(&self, who: &str, work: &Value) -> Value {
        let path = format!("works/{}", work["id"]);
        let mut ended = Value::Null;
        wait_until(|| {
            ended = self.json(who, "GET", &path, &Value::Null).1;
            ended["state"] != "running"
        });
        ended
    }
}

#[test]
fn what_a_command_gives_is_given_over_the_api() {
    let desk = Desk::open();
    let settled = desk.done("supervisor", &json!({ "kind": "settlement", "year": 2024, "by": "unit" }));
    assert_eq!((&settled["state"], &settled["passed"]), (&json!("done"), &json!(true)), "{settled}");
    let args = ["settle", "2024", "--json", "--config", "fiscwatch.yaml"];
    let (_, out, _) = run(desk.bench.path(), &args);
    let rows: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(settled["rows"], json!(rows));
    assert_eq!(
        settled["files"],
        json!([
            "after-2024.jsonl",
            "settlement-2024.json",
            "settlement-2024.xlsx",
            "settlement.jsonl",
            "settlement-1.zip"
        ])
    );
    let path = |name: &str| format!("works/{}/files/{name}", settled["id"]);
    let (status, book) =
        desk.ask("supervisor", "GET", &path("settlement-2024.xlsx"), Vec::new(), "text/plain");
    assert!(status == 200 && book.starts_with(b"PK"));
    assert_eq!(desk.ask("supervisor", "GET", &path("..%2F..%2Faudit.key"), Vec::new(), "text/plain").0, 404);
    assert_eq!(desk.ask("officer", "GET", &path("settlement-2024.json"), Vec::new(), "text/plain").0, 404);

    // A table of the bureau with one cent more.
    let table = "unit_code,executed\n101000,350.03\n101001,450.02\n101002,550.02\n".as_bytes().to_vec();
    let (status, work) = desk.ask(
        "supervisor",
        "POST",
        "works/against?year=2024&by=unit&format=csv",
        table,
        "application/octet-stream",
    );
    assert_eq!(status, 202);
    let compared = desk.end("supervisor", &serde_json::from_slice(&work).unwrap());
    assert_eq!((&compared["passed"], &compared["rows_total"]), (&json!(false), &json!(1)), "{compared}");
    assert_eq!(
        (&compared["rows"][0]["ours"], &compared["rows"][0]["theirs"]),
        (&json!("350.02"), &json!("350.03"))
    );

    let published = desk.done("supervisor", &json!({ "kind": "publication", "year": 2024 }));
    let files = published["files"].as_array().unwrap();
    assert!(
        files.contains(&json!("index.html")) && files.contains(&json!("datapackage.json")),
        "{published}"
    );
    // What it prints is a sentence for people, and no row.
    assert_eq!((&published["rows_total"], &published["rows"]), (&json!(0), &json!([])), "{published}");
    let archive = files.last().unwrap().as_str().unwrap();
    let (status, zip) = desk.ask(
        "supervisor",
        "GET",
        &format!("works/{}/files/{archive}", published["id"]),
        Vec::new(),
        "text/plain",
    );
    assert!(status == 200 && zip.starts_with(b"PK"));
    let open = desk.done("supervisor", &json!({ "kind": "publication", "year": 2023 }));
    assert_eq!(open["state"], "failed");
    assert!(open["error"].as_str().unwrap().contains("2023 is not frozen"), "{open}");

    for driver in ["gdp=5%", "gdp=6%"] {
        let proposed =
            desk.done("supervisor", &json!({ "kind": "proposal", "year": 2025, "drivers": [driver] }));
        assert_eq!(proposed["rows"][0]["reason"].as_str().map(str::is_empty), Some(false), "{proposed}");
    }
    let versions = desk.json("supervisor", "GET", "works", &Value::Null).1["proposals"].clone();
    assert_eq!(
        versions,
        json!([{ "fiscal_year": 2025, "version": 2 }, { "fiscal_year": 2025, "version": 1 }])
    );
    let compared =
        desk.done("supervisor", &json!({ "kind": "comparison", "year": 2025, "old": 1, "new": 2 }));
    assert_eq!(compared["rows_total"], 6, "{compared}");
    let none = json!({ "kind": "comparison", "year": 2025, "old": 1, "new": 9 });
    assert_eq!(desk.json("supervisor", "POST", "works", &none).0, 409);
    let odd = desk.done("supervisor", &json!({ "kind": "proposal", "year": 2025, "drivers": ["--check"] }));
    assert_eq!(odd["state"], "failed", "what somebody types is no option: {odd}");

    let book = desk.done("officer", &json!({ "kind": "adjustments", "year": 2024, "unit": "101001" }));
    assert_eq!(book["rows_total"], 2, "{book}");
    let pilot = desk.done("officer", &json!({ "kind": "pilot", "days": 366 }));
    assert_eq!(pilot["rows"][0]["pilot"]["rule_id"], "seen", "{pilot}");
}

#[test]
fn a_work_is_for_those_whom_its_command_is_for() {
    let desk = Desk::open();
    let begins = |who: &str, new: Value| desk.json(who, "POST", "works", &new).0;
    assert_eq!(begins("officer", json!({ "kind": "settlement", "year": 2024 })), 403);
    assert_eq!(begins("supervisor", json!({ "kind": "drill" })), 403);
    assert_eq!(begins("system", json!({ "kind": "adjustments", "year": 2024 })), 403, "it sees no payment");
    assert_eq!(begins("security", json!({ "kind": "drill" })), 403);
    assert_eq!(begins("supervisor", json!({ "kind": "settlement", "year": 2024, "by": "x; rm" })), 422);
    assert_eq!(desk.json("system", "GET", "works", &Value::Null).1["last_drill"], Value::Null);
    let drilled = desk.done("system", &json!({ "kind": "drill" }));
    assert_eq!((&drilled["state"], &drilled["passed"]), (&json!("done"), &json!(true)), "{drilled}");
    let last = desk.json("system", "GET", "works", &Value::Null).1["last_drill"].clone();
    assert_eq!(last["certificate"]["passed"], true, "{last}");
    let seen = desk.json("supervisor", "GET", "works", &Value::Null).1;
    assert_eq!((&seen["last_drill"], seen["works"].as_array().unwrap().len()), (&Value::Null, 0));
    assert_eq!(desk.json("supervisor", "GET", &format!("works/{}", drilled["id"]), &Value::Null).0, 404);
}

/// A command that has nobody left to answer to would go on with the state of a daemon that has ended.
#[test]
fn no_work_goes_on_without_its_daemon() {
    let Desk { bench, daemon, tokens } = Desk::open();
    // A command that reads it waits until somebody writes to it, which nobody does.
    let rules = bench.path().join("rules/rules.yaml");
    std::fs::remove_file(&rules).unwrap();
    assert!(Command::new("mkfifo").arg(&rules).status().unwrap().success());
    let desk = Desk { bench, daemon, tokens };
    let new = json!({ "kind": "pilot", "days": 30 });
    assert_eq!(desk.json("officer", "POST", "works", &new).0, 202);
    let parent = desk.daemon.child.id();
    let children = || {
        let threads = std::fs::read_dir(format!("/proc/{parent}/task")).unwrap().flatten();
        let told = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
        told.collect::<String>().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    wait_until(|| !children().is_empty());
    let child = children().remove(0);
    assert_eq!(desk.daemon.stop("-TERM"), Some(0));
    assert!(!Path::new(&format!("/proc/{child}")).exists(), "process {child} goes on");
}

/// A work that waits for somebody to write to what it reads, which nobody does.
fn held(desk: &Desk) -> Value {
    let rules = desk.bench.path().join("rules/rules.yaml");
    let _ = std::fs::remove_file(&rules);
    assert!(Command::new("mkfifo").arg(&rules).status().unwrap().success());
    let (status, work) = desk.json("officer", "POST", "works", &json!({ "kind": "pilot", "days": 30 }));
    assert_eq!(status, 202, "{work}");
    work
}

#[test]
fn one_runs_at_a_time_and_who_stops_it_finds_no_file_of_it() {
    let desk = Desk::open();
    let work = held(&desk);
    let busy = json!({ "kind": "adjustments", "year": 2024 });
    let (status, told) = desk.json("supervisor", "POST", "works", &busy);
    assert_eq!(status, 409);
    assert!(told["detail"].as_str().unwrap().contains("task 1 (pilot) still runs"), "{told}");
    let path = format!("works/{}", work["id"]);
    assert_eq!(desk.json("system", "DELETE", &path, &Value::Null).0, 404, "it is not for them");
    assert_eq!(desk.json("officer", "DELETE", &path, &Value::Null).0, 200);
    let ended = desk.end("officer", &work);
    assert_eq!(
        (&ended["state"], &ended["files"], &ended["rows"]),
        (&json!("stopped"), &json!([]), &json!([]))
    );
    assert!(!desk.bench.path().join("state/works/1").exists(), "nothing of it is left");
    let file = desk.ask("officer", "GET", &format!("{path}/files/pilot.md"), Vec::new(), "text/plain");
    assert_eq!(file.0, 404);
    let deeds = |action: &str| {
        let log = Audit::open_read_only(&desk.bench.path().join("state")).unwrap().after(0, 1000).unwrap();
        let own = log.into_iter().filter(|entry| entry.action == action);
        own.map(|entry| (entry.who, entry.subject)).collect::<Vec<_>>()
    };
    let of = |who: &str, subject: &str| (who.to_owned(), subject.to_owned());
    assert_eq!(deeds("works.begin"), [of("officer", "pilot 1")]);
    assert_eq!(deeds("works.stop"), [of("officer", "pilot 1")]);
}

#[test]
fn the_latest_works_are_kept_and_what_is_taken_is_recorded() {
    let desk = Desk::open();
    let book = json!({ "kind": "adjustments", "year": 2024 });
    let first = desk.done("officer", &book);
    let file = first["files"][0].as_str().unwrap();
    let path = format!("works/1/files/{file}");
    assert_eq!(desk.ask("officer", "GET", &path, Vec::new(), "text/plain").0, 200);
    let log = Audit::open_read_only(&desk.bench.path().join("state")).unwrap().after(0, 1000).unwrap();
    let taken: Vec<_> = log.iter().filter(|entry| entry.action == "works.file").collect();
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].subject.as_str(), taken[0].detail.as_str()), ("adjustments 1", file));
    for _ in 0..20 {
        assert_eq!(desk.done("officer", &book)["state"], "done");
    }
    let works = desk.json("officer", "GET", "works", &Value::Null).1;
    let ids: Vec<_> = works["works"].as_array().unwrap().iter().map(|work| work["id"].clone()).collect();
    assert_eq!(ids, (2..=21).rev().map(|id| json!(id)).collect::<Vec<_>>());
    assert_eq!(desk.json("officer", "GET", "works/1", &Value::Null).0, 404);
    assert!(!desk.bench.path().join("state/works/1").exists(), "its files are gone with it");
    assert_eq!(desk.ask("officer", "GET", &path, Vec::new(), "text/plain").0, 404);
}
