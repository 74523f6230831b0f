//! Alerts from the command line, beside a running daemon.

use std::path::Path;

use serde_json::{Value, json};

use super::{desk, get, ids, overspend, post, transitions};
use crate::support::{Bench, Daemon, fiscwatch, run, wait_until};

fn cli(dir: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    run(dir, &[words, &["--config", "fiscwatch.yaml"]].concat())
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn officers_work_while_the_daemon_runs() {
    let (bench, daemon) = desk();
    let dir = bench.path();
    overspend(&daemon, &["L1", "L2"]);
    let (code, listed, err) = cli(dir, &["alerts", "list"]);
    assert_eq!(code, Some(0), "{err}");
    for word in ["● critical", "over budget", "budget_line_id=L1", "open"] {
        assert!(listed.contains(word), "{word} is not in\n{listed}");
    }
    let id = ids(&daemon).remove(0);
    let (code, said, err) = cli(dir, &["alerts", "ack", &id[..8], "--by", "王芳", "--why", "我来看"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(said.contains("is acknowledged, version 2"), "{said}");
    // The daemon knows at once, and the other way round.
    assert_eq!(get(&daemon, &format!("/api/v1/alerts/{id}")).body["alert"]["owner"], "王芳");
    let confirm = json!({"action": "confirm", "who": "李", "why": "属实"});
    assert_eq!(post(&daemon, &transitions(&id), &confirm).status, 200);
    let (_, shown, _) = cli(dir, &["alerts", "show", &id]);
    for word in ["confirmed, version 3", "我来看", "acknowledge", "p-L1", "budget.available=-110.00"] {
        let word = word.replace("p-L1", if shown.contains("L1") { "p-L1" } else { "p-L2" });
        assert!(shown.contains(&word), "{word} is not in\n{shown}");
    }
    let (_, json, _) = cli(dir, &["alerts", "show", &id, "--json"]);
    assert_eq!(objects(&json)[0]["history"].as_array().unwrap().len(), 3);
    let (_, json, _) = cli(dir, &["alerts", "list", "--json", "--state", "confirmed"]);
    assert_eq!(objects(&json)[0]["alert_id"], id.as_str());
    for (words, state) in [
        (&["alerts", "comment", &id, "--why", "说明", "--json"][..], "confirmed"),
        (&["alerts", "rectify", &id, "--json"], "rectifying"),
        (
            &[
                "alerts",
                "close",
                &id,
                "--why",
                "已追回",
                "--outcome",
                "money_returned",
                "--amount",
                "1,100",
                "--json",
            ],
            "closed",
        ),
    ] {
        let (code, json, err) = cli(dir, &[words, &["--by", "王芳"]].concat());
        assert_eq!((code, &objects(&json)[0]["state"]), (Some(0), &json!(state)), "{err}");
    }
    wait_until(|| cli(dir, &["notify", "list", "--json", "--state", "sent"]).1.lines().count() == 3);
}

#[test]
fn what_cannot_be_done_is_said_with_a_code() {
    let (bench, daemon) = desk();
    let dir = bench.path();
    overspend(&daemon, &["L1", "L2"]);
    let ids = ids(&daemon);
    let id = ids[0].as_str();
    for (words, code, says) in [
        (&["alerts", "close", id, "--why", "x", "--by", "a"][..], 1, "it can be: acknowledge"),
        (&["alerts", "ack", id, "--by", " "], 1, "say who you are"),
        (&["alerts", "ack", id, "--by", "Fiscwatch"], 1, "the daemon itself acts"),
        (&["alerts", "inquire", "zzz", "--by", "a"], 1, "there is no alert"),
        (&["alerts", "inquire", id, "--by", "a", "--deadline", "0"], 2, "from 1 to 60"),
        (
            &["silence", "add", "--match", "rule=x", "--for", "1h", "--why", "x", "--by", "fiscwatch"],
            2,
            "the daemon itself acts",
        ),
        (&["alerts", "ack", id, "--by", "a", "--if-version", "7"], 1, "version 1, you saw 7"),
        (&["alerts", "ack", id, &ids[1], "--by", "a", "--if-version", "1"], 2, "only that one"),
        (&["alerts", "ack", "zzz", "--by", "a"], 1, "fiscwatch alerts list"),
        (&["alerts", "ack", "", "--by", "a"], 1, "give more of the id"),
        (&["alerts", "show", "zzz"], 1, "there is no alert"),
        (&["alerts", "list", "--state", "opne"], 2, "write one of"),
        (&["alerts", "list", "--severity", "red"], 2, "write one of"),
        (
            &["silence", "add", "--match", "rule", "--for", "1h", "--why", "x", "--by", "a"],
            2,
            "is not a matcher",
        ),
        (
            &["silence", "add", "--match", "rule!=x", "--for", "1h", "--why", "x", "--by", "a"],
            2,
            "everything",
        ),
        (
            &["silence", "add", "--match", "rule=x", "--for", "soon", "--why", "x", "--by", "a"],
            2,
            "not a duration",
        ),
        (
            &["silence", "add", "--match", "rule=x", "--until", "2020-01-01", "--why", "x", "--by", "a"],
            2,
            "over already",
        ),
        (&["silence", "add", "--match", "rule=x", "--why", "x", "--by", "a"], 2, "--for"),
        (&["silence", "expire", "7", "--by", "a"], 1, "there is no silence 7"),
        (&["routes", "test", "--alert", "severity"], 2, "write name=value"),
        (&["notify", "retry", "zzz"], 1, "there is no notification"),
        (&["notify", "retry"], 2, "is missing"),
        (&["notify", "test", "none"], 1, "there are: book"),
        (&["notify", "preview", "--reason", "boredom"], 2, "use one of first, new"),
        (&["notify", "retry", "--sink", "none"], 1, "there is no sink"),
    ] {
        let (found, _, err) = cli(dir, words);
        assert_eq!(found, Some(code), "{words:?}: {err}");
        assert!(err.contains(says), "{words:?}: {err}");
    }
    // One that fails keeps none of the others back.
    let (code, said, _) = cli(dir, &["alerts", "ack", "zzz", id, "--by", "a"]);
    assert_eq!((code, said.contains("acknowledged")), (Some(1), true));
    // Without a name it is the one who is logged in.
    let words = ["alerts", "comment", &ids[1], "--why", "x", "--config", "fiscwatch.yaml", "--json"];
    let nobody = fiscwatch().current_dir(dir).env_remove("USER").args(words).output().unwrap();
    assert!(nobody.status.success(), "the system knows who runs it: {nobody:?}");
    let words = ["alerts", "ack", &ids[1], "--config", "fiscwatch.yaml", "--json"];
    let done = fiscwatch().current_dir(dir).env("USER", "lihua").args(words).output().unwrap();
    assert_eq!(objects(&String::from_utf8(done.stdout).unwrap())[0]["owner"], "lihua");
    let empty = Bench::new("", "state: { dir: none }\n");
    let (code, _, err) = cli(empty.path(), &["alerts", "list"]);
    assert_eq!((code, err.contains("there is no state")), (Some(1), true), "{err}");
}

#[test]
fn silences_are_ordered_listed_and_ended() {
    let (bench, daemon) = desk();
    let dir = bench.path();
    overspend(&daemon, &["L1", "L2"]);
    let order =
        ["silence", "add", "--match", "rule=\"over-budget\"", "--match", "budget_line_id=L1", "--by", "王"];
    let (code, said, err) = cli(dir, &[&order[..], &["--for", "2h", "--why", "盘点", "--dry-run"]].concat());
    assert_eq!(code, Some(0), "{err}");
    assert!(said.contains("it mutes 1 alerts") && said.contains("budget_line_id=L1"), "{said}");
    assert!(!said.contains("L2"), "{said}");
    assert_eq!(cli(dir, &["silence", "list", "--json"]).1, "");
    let (code, said, err) = cli(dir, &[&order[..], &["--until", "2099-01-01", "--why", "盘点"]].concat());
    assert_eq!(code, Some(0), "{err}");
    assert!(said.contains("silence 1 is active"), "{said}");
    cli(dir, &[&order[..], &["--for", "2h", "--why", "x"]].concat());
    // The one that ends first is told first.
    let listed = objects(&cli(dir, &["silence", "list", "--json"]).1);
    assert_eq!(listed.iter().map(|s| s["silence_id"].clone()).collect::<Vec<_>>(), [2, 1]);
    assert!(cli(dir, &["silence", "list"]).1.contains("1h"));
    let (_, said, _) = cli(dir, &["silence", "expire", "2", "--by", "王"]);
    assert!(said.contains("silence 2 is expired"), "{said}");
    assert_eq!(cli(dir, &["silence", "expire", "2", "--by", "王"]).0, Some(1));
    assert_eq!(objects(&cli(dir, &["silence", "list", "--json"]).1).len(), 1);
    assert_eq!(objects(&cli(dir, &["silence", "list", "--json", "--expired"]).1).len(), 2);
}

#[test]
fn routes_are_tried_before_an_alert_comes() {
    let bench = Bench::new(
        "",
        "state: { dir: state }
sinks: [{ name: book, log: {} }, { name: night, log: {} }, { name: boss, log: {} }]
alerts:
  quiet_hours: [{ name: always, match: [severity=low], time: '00:00-24:00' }]
routes:
  sinks: [book]
  group_by: [unit_code]
  routes:
    - match: [severity=critical]
      sinks: [boss]
      group_by: [alert]
      continue: true
      routes: [{ match: ['unit_code=~\"101.*\"'], group_wait: 0s }]
    - match: [tag=cash]
      sinks: [night]
      digest: true
    - { match: [rule=never] }
",
    );
    let dir = bench.path();
    let (code, shown, err) = cli(dir, &["routes", "show"]);
    assert_eq!(code, Some(0), "{err}");
    insta::assert_snapshot!("routes_show", shown);
    let test = |labels: &[&str]| {
        let (code, said, err) =
            run(dir, &[&["routes", "test", "--config", "fiscwatch.yaml", "--alert"], labels].concat());
        assert_eq!(code, Some(0), "{err}");
        said
    };
    insta::assert_snapshot!("routes_taken", test(&["severity=critical", "unit_code=101001", "rule=x"]));
    let quiet = test(&["severity=low", "tag=cash"]);
    assert!(quiet.contains("held back now by quiet hours always"), "{quiet}");
    assert!(quiet.contains("it waits for the digest at"), "{quiet}");
    let json = test(&["severity=critical", "tag=cash", "unit_code=1", "--json"]);
    let taken = objects(&json)[0]["routes"].clone();
    assert_eq!((&taken[0]["sinks"], &taken[1]["sinks"]), (&json!(["boss"]), &json!(["night"])));

    // With a state, silences and graver alerts count too.
    let daemon = Daemon::start(dir);
    let silence = json!({"matchers": ["rule=x"], "author": "王", "reason": "r", "duration": "1h"});
    assert_eq!(post(&daemon, "/api/v1/silences", &silence).status, 201);
    assert!(test(&["rule=x"]).contains("held back now by silence 1 of 王"));
    assert!(test(&["rule=y"]).contains("nothing holds it back now"));
}

/// A receiver that refuses everything for good, with words that would steer a terminal, until it is told to take it.
fn receiver(port: u16) -> std::sync::Arc<std::sync::atomic::AtomicBool> {
    use std::io::{BufRead, BufReader, Read, Write};
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let takes = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asked = std::sync::Arc::clone(&takes);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(&stream);
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            reader.read_exact(&mut vec![0; length]).unwrap_or_default();
            let (status, body) = match asked.load(std::sync::atomic::Ordering::SeqCst) {
                true => ("200 OK", ""),
                false => ("404 Not Found", "no such \u{1b}[2J user"),
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            (&stream).write_all(answer.as_bytes()).unwrap_or_default();
        }
    });
    takes
}

#[test]
fn what_was_refused_is_tried_again() {
    let port = crate::support::free_port();
    let bench = Bench::new("", "");
    let config = format!(
        "state: {{ dir: state }}\nhttp: {{ listen: '127.0.0.1:0' }}\nroutes: {{ group_wait: 0s, group_interval: 0s }}\n\
         sinks: [{{ name: book, webhook: {{ url: 'http://127.0.0.1:{port}/' }} }}]\n"
    );
    std::fs::write(bench.path().join("fiscwatch.yaml"), config).unwrap();
    let (dir, taken) = (bench.path(), receiver(port));
    let daemon = Daemon::start(dir);
    overspend(&daemon, &["L1", "L2"]);
    wait_until(|| cli(dir, &["notify", "list", "--json", "--parked"]).1.lines().count() == 2);
    assert_eq!(daemon.stop("-TERM"), Some(0));
    taken.store(true, std::sync::atomic::Ordering::SeqCst);
    let (_, listed, _) = cli(dir, &["notify", "list", "--parked"]);
    assert!(listed.contains("no such") && !listed.contains('\u{1b}'), "{listed}");
    let parked = objects(&cli(dir, &["notify", "list", "--parked", "--json"]).1);
    let id = parked[0]["id"].as_str().unwrap();
    let (code, said, err) = cli(dir, &["notify", "retry", &id[..10]]);
    assert_eq!((code, said.contains("tried again")), (Some(0), true), "{err}");
    let (_, said, _) = cli(dir, &["notify", "retry", "--sink", "book"]);
    assert!(said.starts_with("2 notifications"), "{said}");
    let _daemon = Daemon::start(dir);
    wait_until(|| cli(dir, &["notify", "list", "--json", "--state", "sent"]).1.lines().count() == 2);
    let (code, _, err) = cli(dir, &["notify", "retry", id]);
    assert_eq!((code, err.contains("was sent")), (Some(1), true), "{err}");
}

#[test]
fn sinks_and_texts_are_tried_without_an_alert() {
    let bench = Bench::new("", "state: { dir: state }\nsinks: [{ name: book, log: {} }]\n");
    let (code, said, err) = cli(bench.path(), &["notify", "test", "book"]);
    assert_eq!((code, said.as_str()), (Some(0), "book accepted it\n"), "{err}");
    let preview = |more: &[&str]| {
        let (code, said, err) = cli(bench.path(), &[&["notify", "preview"], more].concat());
        assert_eq!(code, Some(0), "{err}");
        said
    };
    assert!(preview(&[]).contains("大额提取现金"));
    assert!(preview(&["--language", "en", "--reason", "escalated"]).contains("Large cash withdrawal"));
    assert!(preview(&["--html"]).to_lowercase().starts_with("<!doctype html"));
}

#[test]
fn letters_are_listed_shown_and_sent_from_the_command_line_and_over_http() {
    let bench = Bench::new(
        "",
        "state: { dir: state }
sinks: [{ name: mail, log: {} }]
bureau: 示例市财政局
routes: { group_wait: 0s }
alerts: { explain: { sink: mail, list: contacts, column: email, sender: 示例市财政局国库处 } }
lists: { contacts: { path: contacts.csv } }
",
    );
    let dir = bench.path();
    std::fs::write(dir.join("contacts.csv"), "unit_code,email\n101001,unit@example.cn\n").unwrap();
    std::fs::write(
        dir.join("rules/rules.yaml"),
        "rules:\n  - { id: asked, title: 大额支付, severity: high, handling: explain, trigger: [payment, application], when: amount > 100, \
         key: [budget_line_id], summary: \"支付 {{ amount|money }} 元\" }\n",
    )
    .unwrap();
    let daemon = Daemon::start(dir);
    overspend(&daemon, &["L1", "L2"]);
    let (code, listed, err) = cli(dir, &["alerts", "list", "--drafts", "--json"]);
    assert_eq!((code, objects(&listed).len()), (Some(0), 2), "{err}");
    let ids = ids(&daemon);
    let (id, other) = (ids[0].as_str(), ids[1].as_str());
    let (_, shown, _) = cli(dir, &["alerts", "show", id]);
    for word in ["draft of a letter to unit@example.cn", "支付 110.00 元", "示例市财政局国库处", "支付凭证号"]
    {
        assert!(shown.contains(word), "{word} is not in\n{shown}");
    }
    let draft = get(&daemon, &format!("/api/v1/alerts/{id}")).body["draft"].clone();
    assert_eq!(draft["to"], "unit@example.cn");
    assert!(shown.contains(draft["subject"].as_str().unwrap()));
    assert_eq!(cli(dir, &["notify", "list", "--json"]).1.matches("explain").count(), 0);

    let (code, said, err) =
        cli(dir, &["alerts", "inquire", &id[..8], "--deadline", "5", "--note", "请附合同", "--by", "王芳"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(said.contains("unit@example.cn") && said.contains("due on"), "{said}");
    let path = |id: &str| format!("/api/v1/alerts/{id}/inquire");
    let refused = post(&daemon, &path(id), &json!({"who": "李"}));
    assert_eq!(refused.status, 409);
    assert!(refused.detail().contains("王芳 asked the unit"), "{}", refused.detail());
    assert_eq!(post(&daemon, &path(other), &json!({"who": "fiscwatch"})).status, 422);
    assert_eq!(post(&daemon, &path(other), &json!({"who": "李", "deadline": 99})).status, 422);
    assert_eq!(post(&daemon, &path(other), &json!({"who": "李", "version": 9})).status, 412);
    let sent = post(&daemon, &path(other), &json!({"who": "李", "deadline": 3}));
    assert_eq!((sent.status, &sent.body["inquiry"]["by"]), (200, &json!("李")));
    assert_eq!(get(&daemon, "/api/v1/alerts?inquiry=draft").body["alerts"], json!([]));
    assert_eq!(get(&daemon, "/api/v1/alerts?inquiry=lost").status, 400);
    let letters =
        || cli(dir, &["notify", "list", "--json", "--state", "sent"]).1.matches("\"explain\"").count();
    wait_until(|| letters() == 2);
    // They are told once, also after another start.
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let _daemon = Daemon::start(dir);
    let (_, shown, _) = cli(dir, &["alerts", "show", id]);
    assert!(shown.contains("sent by 王芳") && !shown.contains("draft of a letter"), "{shown}");
    assert_eq!(letters(), 2);
}
