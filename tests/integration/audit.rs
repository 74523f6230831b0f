//! The audit log proves itself: whatever is done to it is found, by its chain, by a seal, or by a seal kept outside.

use std::{path::Path, process::Command};

use rusqlite::Connection;
use serde_json::Value;

use crate::support::{Bench, lines, payment, run};

const CONFIG: &str = "sources: [{ name: feed, file: { path: events.jsonl } }]
state: { dir: state }
audit: { head_file: kept/seals.jsonl }
";

const CONFIG_ARGS: [&str; 2] = ["--config", "fiscwatch.yaml"];

fn command(bench: &Bench, args: &[&str]) -> (Option<i32>, String, String) {
    run(bench.path(), &[args, &CONFIG_ARGS].concat())
}

fn succeeds(bench: &Bench, args: &[&str]) -> String {
    let (code, out, err) = command(bench, args);
    assert_eq!(code, Some(0), "{args:?}: {out}{err}");
    out
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
}

/// A state whose log has eight records, of which seals cover three, and then six.
fn bench() -> Bench {
    let bench = Bench::new(&lines(&[payment("p1", "L1", "110.00")]), CONFIG);
    std::fs::create_dir(bench.path().join("kept")).unwrap();
    let add = |names: &[&str]| {
        for name in names {
            succeeds(&bench, &["user", "add", name, "--role", "officer"]);
        }
    };
    succeeds(&bench, &["run", "--once"]);
    add(&["a", "b", "王芳"]);
    succeeds(&bench, &["run", "--once"]);
    copy(&bench.path().join("state"), &bench.path().join("older"));
    add(&["d", "e", "f"]);
    succeeds(&bench, &["run", "--once"]);
    add(&["g", "h"]);
    bench
}

fn report(bench: &Bench, more: &[&str]) -> (Option<i32>, Value) {
    let (code, out, err) = command(bench, &[&["audit", "verify", "--json"], more].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}")))
}

/// What somebody does who keeps sums and the end of the chain as the program would.
const COVER: &str = "UPDATE chains SET records = (SELECT count(*) FROM audit),
    head = (SELECT digest FROM audit ORDER BY seq DESC LIMIT 1) WHERE name = 'audit';";

#[test]
fn whatever_is_done_to_the_log_is_found() {
    let bench = bench();
    let (code, whole) = report(&bench, &[]);
    assert_eq!((code, &whole["problems"]), (Some(0), &serde_json::json!([])));
    assert_eq!((&whole["records"], &whole["seals"], &whole["sealed"]), (&8.into(), &2.into(), &6.into()));
    let key = whole["keys"][0].as_str().unwrap().to_owned();
    let (state, good) = (bench.path().join("state"), bench.path().join("good"));
    copy(&state, &good);
    for (sql, says) in [
        ("UPDATE audit SET who = 'x' WHERE seq = 2", "record 2"),
        ("UPDATE audit SET detail = detail || ' ' WHERE seq = 8", "record 8"),
        ("UPDATE audit SET digest = zeroblob(32) WHERE seq = 5", "record 5"),
        ("DELETE FROM audit WHERE seq = 1", "record 2"),
        ("DELETE FROM audit WHERE seq = 4", "record 5"),
        (
            "UPDATE audit SET seq = 99 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = 99",
            "record 3",
        ),
        (
            "INSERT INTO audit SELECT 9, at, who, place, action, subject, result, detail, digest FROM audit WHERE seq = 8",
            "record 9",
        ),
        ("DELETE FROM audit WHERE seq > 6", "its end was cut off"),
        // The end of the chain is put right as well.
        (&format!("DELETE FROM audit WHERE seq > 4; {COVER}"), "6 records were sealed, and there are 4"),
        // Seals are taken out with it: the one outside still tells.
        (
            &format!("DELETE FROM audit WHERE seq > 4; DELETE FROM audit_seals WHERE records > 4; {COVER}"),
            "6 records were sealed, and there are 4",
        ),
        ("UPDATE audit_seals SET at = at + 1 WHERE records = 3", "seal over 3 records is not signed"),
        (
            "UPDATE audit_seals SET head = (SELECT head FROM audit_seals WHERE records = 3) WHERE records = 6",
            "not those that were sealed",
        ),
        ("DELETE FROM audit_seals", "does not have the seal over 6 records that was kept outside"),
    ] {
        copy(&good, &state);
        let database = Connection::open(state.join("fiscwatch.db")).unwrap();
        database.execute_batch(sql).unwrap();
        drop(database);
        let (code, report) = report(&bench, &[]);
        let problems = report["problems"].to_string();
        assert!(code == Some(1) && problems.contains(says), "{sql}: {problems}");
    }
    // A whole state of an older backup.
    copy(&bench.path().join("older"), &state);
    let (code, older) = report(&bench, &[]);
    assert!(code == Some(1) && older["problems"].to_string().contains("older backup"), "{older}");
    std::fs::rename(bench.path().join("kept"), bench.path().join("away")).unwrap();
    let (code, out, _) = command(&bench, &["audit", "verify"]);
    assert!(code == Some(0) && out.contains("note: no seal from outside"), "{out}");
    // The log made anew, and sealed by another key.
    copy(&good, &state);
    std::fs::remove_file(state.join("audit.key")).unwrap();
    succeeds(&bench, &["user", "disable", "a"]);
    std::fs::create_dir(bench.path().join("kept")).unwrap();
    succeeds(&bench, &["run", "--once"]);
    let (code, other) = report(&bench, &["--key", &key]);
    assert!(code == Some(1) && other["problems"].to_string().contains("not among the keys"), "{other}");
    assert_eq!(report(&bench, &[]).0, Some(0), "by itself it is whole");
}

#[test]
fn the_log_is_exported_whole_and_in_two_forms() {
    let bench = bench();
    let exported = succeeds(&bench, &["audit", "export"]);
    let rows: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 8);
    assert_eq!(
        (&rows[2]["subject"], &rows[2]["action"], &rows[2]["result"]),
        (&"王芳".into(), &"users.add".into(), &"done".into())
    );
    assert!(rows[2]["place"].as_str().unwrap().starts_with("local uid "));
    assert_eq!(rows[7]["digest"], report(&bench, &[]).1["head"]);
    let syslog = succeeds(&bench, &["audit", "export", "--format", "syslog", "--after", "2"]);
    let form = regex::Regex::new(
        r"^<110>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.?\d{0,6}\+08:00 \S+ fiscwatch - audit - \u{feff}(\{.*\})$",
    )
    .unwrap();
    let texts: Vec<Value> = syslog
        .lines()
        .map(|line| {
            serde_json::from_str(&form.captures(line).unwrap_or_else(|| panic!("{line}"))[1]).unwrap()
        })
        .collect();
    assert_eq!(texts, rows[2..]);
    let listed = succeeds(&bench, &["audit", "list", "--json", "-n", "3"]);
    let listed: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(listed, rows[5..]);
}
