//! What else a takeover brings along: officers' acts, files of cases, what was told, sealed days; and what nobody takes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Machines, expected, has_read, hasty, query, state, try_post};
use crate::{
    faults::shim,
    support::{
        Daemon, agent, append, assert_same, fiscwatch, free_port, lines, payment, post_json, random_events,
        run, wait_until,
    },
};

/// Cash that makes an alert of its own unit.
fn cash(n: usize) -> Value {
    let mut event = payment(&format!("cash-{n}"), "L", "30000.00");
    event["settlement"] = json!("cash");
    event["unit_code"] = json!(format!("9{n:05}"));
    event
}

fn alert(daemon: &Daemon, n: usize) -> Option<String> {
    let found = daemon.json(&format!("/api/v1/alerts?rule=large-cash&unit=9{n:05}"));
    found["alerts"][0]["alert_id"].as_str().map(str::to_owned)
}

/// The notifications that a sink has accepted.
fn told(daemon: &Daemon) -> BTreeSet<String> {
    let page = daemon.json("/api/v1/notifications?state=sent&limit=1000");
    let all = page["notifications"].as_array().cloned().unwrap_or_default();
    all.iter().map(|notification| notification["id"].as_str().unwrap().to_owned()).collect()
}

/// The notifications that a log says were sent.
fn sent(daemon: &Daemon) -> BTreeSet<String> {
    let id = regex::Regex::new(r#"notified.*notification="?([^ "]+)"#).unwrap();
    daemon.log.try_iter().filter_map(|line| Some(id.captures(&line)?[1].to_owned())).collect()
}

#[test]
fn acts_files_and_what_was_told_outlive_their_machines() {
    let machines = Machines::new("wait");
    let mut comments: Vec<Vec<String>> = Vec::new();
    let mut accepted: BTreeSet<String> = BTreeSet::new();
    for n in 0..4 {
        let machine = machines.machine(&format!("m{}", n % 2));
        let daemon = hasty(&machine);
        wait_until(|| daemon.get("/-/ready").0 == 200);
        // Everything that the machines before have answered.
        for (earlier, comments) in comments.iter().enumerate() {
            let id = alert(&daemon, earlier).unwrap();
            let shown = daemon.json(&format!("/api/v1/alerts/{id}"));
            let history = shown["history"].as_array().unwrap();
            let said: BTreeSet<_> = history.iter().filter_map(|entry| entry["why"].as_str()).collect();
            let lost: Vec<_> = comments.iter().filter(|comment| !said.contains(comment.as_str())).collect();
            assert!(lost.is_empty(), "answered and lost: {lost:?}");
            assert!(history.iter().any(|entry| entry["action"] == "acknowledge"), "{history:?}");
            let files = format!("/api/v1/alerts/{id}/attachments");
            let number = daemon.json(&files)["attachments"][0]["attachment_id"].to_string();
            let (status, file) = daemon.get(&format!("{files}/{number}"));
            assert_eq!((status, file.as_str()), (200, format!("note {earlier}").as_str()));
        }
        let before = told(&daemon);
        assert!(before.is_superset(&accepted), "{before:?} lacks some of {accepted:?}");

        assert_eq!(daemon.post("/api/v1/events", &lines(&[cash(n)])).0, 200);
        let id = alert(&daemon, n).unwrap();
        let acts = format!("/api/v1/alerts/{id}/transitions");
        assert_eq!(post_json(&daemon, &acts, &json!({"action": "acknowledge", "who": "wang"})).0, 200);
        let file = format!("{}/api/v1/alerts/{id}/attachments?name=note.txt&who=wang", daemon.address);
        let added = agent().post(file).header("content-type", "application/octet-stream");
        assert_eq!(added.send(format!("note {n}")).unwrap().status(), 200);
        wait_until(|| told(&daemon).len() > accepted.len());
        accepted = told(&daemon);
        // None of those that a machine before had told is told again.
        let again: Vec<_> = sent(&daemon).into_iter().filter(|id| before.contains(id)).collect();
        assert!(again.is_empty(), "told again: {again:?}");

        // Acts until the machine is gone, with everything on it.
        let url = format!("{}{acts}", daemon.address);
        let acting = std::thread::spawn(move || {
            let comment = |m: usize| format!("comment {n} {m}");
            let act = |m: &usize| {
                let body = json!({"action": "comment", "who": "wang", "why": comment(*m)});
                let request = agent().post(&url).header("content-type", "application/json");
                request.send(body.to_string()).is_ok_and(|answer| answer.status() == 200)
            };
            (0..100_000).take_while(act).map(comment).collect::<Vec<_>>()
        });
        let comments_there = || daemon.json(&format!("/api/v1/alerts/{id}"))["alert"]["version"].as_u64();
        wait_until(|| comments_there().is_some_and(|version| version > 8 + 5 * n as u64));
        drop(daemon);
        std::fs::remove_dir_all(machine.join("state")).unwrap();
        comments.push(acting.join().unwrap());
    }
    assert!(comments.iter().all(|comments| comments.len() > 4), "{comments:?}");
    let last = machines.machine("last");
    let daemon = hasty(&last);
    wait_until(|| daemon.get("/-/ready").0 == 200);
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let (code, out, _) = run(&last, &["state", "verify", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}");
}

#[test]
fn sealed_days_come_back_with_a_takeover() {
    let machines = Machines::new("wait");
    let sealing = |name: &str| {
        let dir = machines.machine(name);
        let text = std::fs::read_to_string(dir.join("fiscwatch.yaml")).unwrap();
        crate::support::write(&dir, "fiscwatch.yaml", &text.replace("seal_after: 300d", "seal_after: 0s"));
        dir
    };
    let (a, b) = (sealing("a"), sealing("b"));
    append(&machines.feed(), &lines(&random_events(21, 800)));
    let daemon = Daemon::start(&a);
    let length = machines.feed().metadata().unwrap().len();
    wait_until(|| has_read(&a, length));
    let sealed = |dir: &std::path::Path| {
        query(dir, "SELECT count(*) AS n FROM payments WHERE event_id LIKE 'e%'").concat()
    };
    wait_until(|| std::fs::read_dir(a.join("state/sealed")).is_ok_and(|files| files.count() > 3));
    let before = sealed(&a);
    drop(daemon);
    std::fs::remove_dir_all(a.join("state")).unwrap();
    let daemon = hasty(&b);
    wait_until(|| daemon.get("/-/ready").0 == 200);
    wait_until(|| has_read(&b, length));
    assert_eq!(daemon.stop("-TERM"), Some(0));
    assert!(std::fs::read_dir(b.join("state/sealed")).unwrap().count() > 3);
    assert_eq!(sealed(&b), before);
    assert_same(&state(&b), &expected(&machines.bench, &machines.feed()), "after the takeover");
    let (code, out, _) = run(&b, &["state", "verify", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}");
}

#[test]
fn nobody_takes_a_state_that_went_on_alone_until_people_decide() {
    let machines = Machines::new("go_on");
    let (a, b) = (machines.machine("a"), machines.machine("b"));
    append(&machines.feed(), &lines(&random_events(22, 200)));
    let daemon = Daemon::start(&a);
    wait_until(|| has_read(&a, machines.feed().metadata().unwrap().len()));
    let url = format!("{}/api/v1/events", daemon.address);
    assert_eq!(try_post(&url, &lines(&[payment("last", "L", "1.00")])), Some(200));
    drop(daemon);
    let mut refused = Daemon::begin(&b, "patience.takeover=within:300");
    wait_until(|| refused.child.try_wait().unwrap().is_some());
    assert_eq!(refused.child.wait().unwrap().code(), Some(1));
    let said: Vec<String> = refused.log.iter().collect();
    assert!(
        said.iter().any(|line| line.contains("goes on without the store when that is away")),
        "{said:#?}"
    );
    assert!(!b.join("state/fiscwatch.db").exists());
    // People have decided.
    let restore =
        ["state", "restore", "--from", &machines.url(), "--to", "state", "--config", "fiscwatch.yaml"];
    let _ = std::fs::remove_dir_all(b.join("state"));
    let (code, _, err) = run(&b, &restore);
    assert_eq!(code, Some(0), "{err}");
    let daemon = hasty(&b);
    wait_until(|| daemon.get("/-/ready").0 == 200);
    assert_eq!(query(&b, "SELECT event_id FROM payments WHERE event_id = 'last'").len(), 1);
    // Who comes back late finds whose it is now.
    let (code, _, err) = run(&a, &["run", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("another instance has the state in the store"), "{err}");
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

#[test]
fn a_full_disk_of_the_store_is_told_and_loses_nothing() {
    if !shim::available("replica::gaps") {
        return;
    }
    let machines = Machines::new("wait");
    let a = machines.machine("a");
    let port = free_port();
    let mut command = fiscwatch();
    command.current_dir(&a).args(["run", "--config", "fiscwatch.yaml"]);
    command.env("FISCWATCH_HTTP__LISTEN", format!("127.0.0.1:{port}"));
    shim::with(
        &mut command,
        &format!("op=write;path={}/log/;nth=4;do=enospc;sticky=1", machines.store().display()),
    );
    let log = machines.bench.path().join("log");
    let child = command.stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    let daemon = Daemon::adopt(child, port);
    wait_until(|| daemon.get("/-/ready").0 == 200);
    append(&machines.feed(), &lines(&random_events(23, 400)));
    wait_until(|| daemon.get("/-/ready").1.contains("the store of state.replicate has been away"));
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("its disk is full; free some space there"), "{said}");
    // There is room again.
    drop(daemon);
    let daemon = hasty(&a);
    wait_until(|| daemon.get("/-/ready").0 == 200);
    wait_until(|| has_read(&a, machines.feed().metadata().unwrap().len()));
    assert_eq!(daemon.stop("-TERM"), Some(0));
    assert_same(&state(&a), &expected(&machines.bench, &machines.feed()), "after the full disk");
}
