//! The audit log proves itself: whatever is done to it is found, by its chain, by a seal, or by a seal kept outside.

use std::{path::Path, process::Command};

use fiscwatch::store::{Audit, AuditFilter};
use rusqlite::Connection;
use serde_json::Value;

use crate::support::{Bench, fiscwatch, lines, payment, run};

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
    // The log made again, and sealed by another key.
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

/// The same, and only ten records stay in the database.
fn filed() -> Bench {
    let config = CONFIG.replace("seals.jsonl }", "seals.jsonl, keep_records: 10 }");
    let bench = Bench::new(&lines(&[payment("p1", "L1", "110.00")]), &config);
    std::fs::create_dir(bench.path().join("kept")).unwrap();
    succeeds(&bench, &["run", "--once"]);
    for round in 0..3 {
        add(&bench, round);
        succeeds(&bench, &["run", "--once"]);
    }
    bench
}

/// Eight users more.
fn add(bench: &Bench, round: usize) {
    for n in 0..8 {
        succeeds(bench, &["user", "add", &format!("u{round}{n}"), "--role", "officer"]);
    }
}

fn exported(bench: &Bench) -> Vec<Value> {
    let text = succeeds(bench, &["audit", "export"]);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn rows(bench: &Bench) -> i64 {
    let database = Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    database.query_row("SELECT count(*) FROM audit", [], |row| row.get(0)).unwrap()
}

fn files(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir.join("sealed")).unwrap().map(|e| e.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.to_str().unwrap().to_owned()).collect();
    names.retain(|name| name.starts_with("audit."));
    names.sort();
    names
}

#[test]
fn old_records_are_in_files_and_the_log_is_read_as_one() {
    let bench = filed();
    let state = bench.path().join("state");
    assert_eq!(files(&state), ["audit.1-11.parquet", "audit.12-19.parquet"]);
    assert_eq!(rows(&bench), 5);
    let (code, whole) = report(&bench, &[]);
    assert_eq!((code, &whole["problems"]), (Some(0), &serde_json::json!([])));
    assert_eq!((&whole["records"], &whole["files"]), (&24.into(), &2.into()));
    let all = exported(&bench);
    let seqs: Vec<i64> = all.iter().map(|row| row["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, (1..=24).collect::<Vec<_>>());
    assert_eq!(all[23]["digest"], whole["head"]);
    let text = succeeds(&bench, &["audit", "export", "--after", "9"]);
    assert_eq!(text.lines().count(), 15);
    let listed = succeeds(&bench, &["audit", "list", "--json", "-n", "14"]);
    let listed: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(listed, all[10..]);
    // What is looked for is found on both sides of the border as it was before there was one.
    let audit = Audit::open_read_only(&state).unwrap();
    let found = |filter: AuditFilter| -> Vec<i64> {
        let listing = audit.list(&AuditFilter { limit: 100, ..filter }).unwrap();
        assert_eq!(listing.goes_on_before, None);
        listing.entries.iter().map(|entry| entry.seq).collect()
    };
    let words = |text: &str| Some(text.to_owned());
    let none = AuditFilter::default;
    assert_eq!(found(AuditFilter { subject: words("u00,u27 , x"), ..none() }), [24, 1]);
    assert_eq!(found(AuditFilter { action: words("users.*"), before: Some(3), ..none() }), [2, 1]);
    assert_eq!(found(AuditFilter { action: words("users.add"), ..none() }).len(), 24);
    assert_eq!(found(AuditFilter { text: words("U1"), ..none() }), (9..=16).rev().collect::<Vec<_>>());
    assert_eq!(found(AuditFilter { result: words("refused"), ..none() }), [] as [i64; 0]);
    assert_eq!(found(AuditFilter { who: words(","), ..none() }).len(), 24);
    let at = audit.list(&AuditFilter { limit: 24, ..none() }).unwrap().entries[12].at;
    let parted = [AuditFilter { from: Some(at), ..none() }, AuditFilter { to: Some(at), ..none() }];
    assert_eq!(parted.map(|filter| found(filter).len()).iter().sum::<usize>(), 24);
    drop(audit);
    // A copy of the state has them, and so has what is made of it.
    succeeds(&bench, &["state", "verify"]);
    succeeds(&bench, &["state", "backup", "copy"]);
    let backup = bench.path().join("copy");
    assert_eq!(files(&backup), files(&state));
    std::fs::rename(&state, bench.path().join("lost")).unwrap();
    succeeds(&bench, &["state", "restore", "copy"]);
    assert_eq!((report(&bench, &[]).0, exported(&bench)), (Some(0), all));
    // A damaged file does not take the place of a copy that is whole.
    std::fs::write(state.join("sealed/audit.1-11.parquet"), "no parquet").unwrap();
    let (code, _, err) = command(&bench, &["state", "backup", "other"]);
    assert!(code != Some(0) && err.contains("audit.1-11.parquet"), "{err}");
    assert!(!bench.path().join("other").exists());
}

#[test]
fn whatever_is_done_to_a_file_is_found_and_named() {
    let bench = filed();
    let (state, good) = (bench.path().join("state"), bench.path().join("good"));
    copy(&state, &good);
    let [one, two] = ["audit.1-11.parquet", "audit.12-19.parquet"];
    let path = |name: &str| state.join("sealed").join(name);
    let changed = |name: &str| {
        let mut bytes = std::fs::read(path(name)).unwrap();
        let middle = bytes.len() / 3;
        bytes[middle] ^= 1;
        std::fs::write(path(name), bytes).unwrap();
    };
    let swapped = || {
        std::fs::rename(path(one), path("other")).unwrap();
        std::fs::rename(path(two), path(one)).unwrap();
        std::fs::rename(path("other"), path(two)).unwrap();
    };
    let sql = |sql: &str| {
        Connection::open(state.join("fiscwatch.db")).unwrap().execute_batch(sql).unwrap();
    };
    let ways: [(&dyn Fn(), &[&str]); 9] = [
        (&|| changed(one), &["audit.1-11.parquet: it does not match its digest"]),
        (&|| changed(two), &["audit.12-19.parquet: it does not match its digest"]),
        (&|| std::fs::remove_file(path(one)).unwrap(), &["audit.1-11.parquet: the file is not there"]),
        (&|| std::fs::write(path(two), "").unwrap(), &["audit.12-19.parquet: it does not match its digest"]),
        (&swapped, &["audit.1-11.parquet: it does not match", "audit.12-19.parquet: it does not match"]),
        (
            &|| sql("DELETE FROM audit_files WHERE first = 1"),
            &["audit.12-19.parquet: it does not follow the file before it"],
        ),
        (&|| sql("DELETE FROM audit_files WHERE first = 12"), &["record 20 does not follow"]),
        (&|| sql("DELETE FROM audit_files"), &["record 20 does not follow"]),
        (
            &|| sql("UPDATE audit_files SET last = 20 WHERE first = 12"),
            &["audit.12-19.parquet: it does not follow the file before it"],
        ),
    ];
    for (does, says) in ways {
        copy(&good, &state);
        does();
        let (code, report) = report(&bench, &[]);
        let problems = report["problems"].to_string();
        assert!(code == Some(1) && says.iter().all(|says| problems.contains(says)), "{says:?}: {problems}");
        let (code, out, _) = command(&bench, &["state", "verify"]);
        assert!(code != Some(0) && says.iter().all(|says| out.contains(says)), "{says:?}: {out}");
    }
    // What a file that was changed says is not shown.
    copy(&good, &state);
    changed(one);
    let (code, out, err) = command(&bench, &["audit", "export"]);
    assert!(code != Some(0) && out.is_empty() && err.contains("audit.1-11.parquet"), "{out}{err}");
    // A record that does not follow is not moved into a file.
    copy(&good, &state);
    add(&bench, 3);
    sql("UPDATE audit SET who = 'x' WHERE seq = 21");
    let audit = Audit::open(&state).unwrap();
    let refused = audit.file(10).unwrap_err().to_string();
    assert!(refused.contains("record 21"), "{refused}");
    assert_eq!((files(&state).len(), rows(&bench)), (2, 13));
}

#[test]
fn a_crash_between_a_file_and_its_rows_loses_and_doubles_nothing() {
    let bench = filed();
    add(&bench, 3);
    let state = bench.path().join("state");
    let all = exported(&bench);
    let good = bench.path().join("good");
    copy(&state, &good);
    for failpoint in ["audit.written", "audit.renamed", "audit.registered", "audit.removed", "audit.moved"] {
        copy(&good, &state);
        let killed = fiscwatch()
            .current_dir(bench.path())
            .args([&["run", "--once"], &CONFIG_ARGS[..]].concat())
            .env("FAILPOINT", format!("{failpoint}=abort"))
            .output()
            .unwrap();
        assert!(!killed.status.success(), "{failpoint}");
        let (code, broken) = report(&bench, &[]);
        assert_eq!(code, Some(0), "{failpoint}: {broken}");
        assert_eq!(exported(&bench), all, "{failpoint}");
        assert_eq!(rows(&bench), if failpoint == "audit.moved" { 5 } else { 13 }, "{failpoint}");
        // What was left over is gone after the next start, and the rest is done.
        succeeds(&bench, &["run", "--once"]);
        assert_eq!((exported(&bench), rows(&bench)), (all.clone(), 5), "{failpoint}");
        assert_eq!(files(&state).len(), 3, "{failpoint}");
        succeeds(&bench, &["state", "verify"]);
    }
}
