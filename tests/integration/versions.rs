//! States of older versions open with what they held and go on; those of newer ones are left alone. The states in
//! `fixtures/states` were written by the versions themselves (`make.sh` and `make-later.sh` there).

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::Output,
};

use fiscwatch::store::SCHEMA_VERSION;
use serde_json::Value;

use crate::support::{assert_same, file_lines, fiscwatch};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/fixtures/states")
}

fn unpack(name: &str, to: &Path) {
    let packed = File::open(fixtures().join(format!("{name}.zst"))).unwrap();
    zstd::stream::copy_decode(packed, File::create(to).unwrap()).unwrap();
}

/// A bench with the state that a version left.
fn state_of(version: i64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for name in ["fiscwatch.yaml", "rules/rules.yaml"] {
        std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        std::fs::copy(fixtures().join(name), path(name)).unwrap();
    }
    for name in ["events.jsonl", "rest.jsonl", "findings.jsonl", "ledger.jsonl"] {
        unpack(name, &path(name));
    }
    let sealed = fixtures().join(format!("v{version}/sealed"));
    std::fs::create_dir_all(path("state/sealed")).unwrap();
    for file in std::fs::read_dir(sealed).into_iter().flatten() {
        let file = file.unwrap();
        std::fs::copy(file.path(), path("state/sealed").join(file.file_name())).unwrap();
    }
    unpack(&format!("v{version}/fiscwatch.db"), &path("state/fiscwatch.db"));
    dir
}

fn command(dir: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    // Notifications of long ago wait in these states, and nobody takes them any more.
    let mut command = fiscwatch();
    command.env("FAILPOINT", "patience.flush=within:200").current_dir(dir).args(args);
    let Output { status, stdout, stderr } = command.args(["--config", "fiscwatch.yaml"]).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn succeeds(dir: &Path, args: &[&str]) -> Vec<String> {
    let (code, out, err) = command(dir, args);
    assert_eq!(code, Some(0), "{args:?}: {out}{err}");
    out.lines().map(str::to_owned).collect()
}

/// The lines as an older version showed them, with the balances that it did not know. Nothing is cleared in these events,
/// so what is not is every payment.
fn ledger_of_today(path: &Path, events: &Path) -> Vec<String> {
    let mut paid: BTreeMap<String, i128> = BTreeMap::new();
    for line in file_lines(events) {
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["type"] == "payment" {
            let cents: i128 = event["amount"].as_str().unwrap().replace('.', "").parse().unwrap();
            *paid.entry(event["budget_line_id"].as_str().unwrap().to_owned()).or_default() += cents;
        }
    }
    let today = |line: String| {
        let shown: Value = serde_json::from_str(&line).unwrap();
        let cents = paid.get(shown["budget_line_id"].as_str().unwrap()).copied().unwrap_or(0);
        let new = format!(
            r#","opening":"0.00","cleared":"0.00","uncleared":"{}.{:02}","executed_ratio""#,
            cents / 100,
            cents % 100
        );
        line.replacen(",\"executed_ratio\"", &new, 1)
    };
    file_lines(path).into_iter().map(today).collect()
}

fn held(dir: &Path) -> (Vec<String>, Vec<String>) {
    (succeeds(dir, &["findings", "export"]), succeeds(dir, &["budget", "export"]))
}

/// What a state holds that a version wrote. From version 5 on windows close one event later, so findings of ticks come before
/// theirs; they are the same findings.
fn held_by(dir: &Path, version: i64) -> (Vec<String>, Vec<String>) {
    let mut held = held(dir);
    if version >= 5 {
        held.0.sort();
    }
    held
}

/// Reads the rest of the events, and gives what is held then and what a backtest of all events gives.
fn go_on(dir: &Path) -> [(Vec<String>, Vec<String>); 2] {
    let mut events = std::fs::read_to_string(dir.join("events.jsonl")).unwrap();
    events += &std::fs::read_to_string(dir.join("rest.jsonl")).unwrap();
    std::fs::write(dir.join("events.jsonl"), events).unwrap();
    succeeds(dir, &["run", "--once"]);
    succeeds(dir, &["backtest", "--events", "events.jsonl", "--findings", "f", "--ledger", "l"]);
    [held(dir), (file_lines(&dir.join("f")), file_lines(&dir.join("l")))]
}

#[test]
fn states_of_older_versions_open_with_what_they_held_and_go_on() {
    // Each waits for its processes most of the time.
    for versions in [&[1, 2, 3, 4][..], &[5, 6, 7, 8, 9, 10]] {
        std::thread::scope(|side_by_side| {
            for &version in versions {
                side_by_side.spawn(move || opens_and_goes_on(version));
            }
        });
    }
}

fn opens_and_goes_on(version: i64) {
    let dir = state_of(version);
    let dir = dir.path();
    let mut expected = (
        file_lines(&dir.join("findings.jsonl")),
        ledger_of_today(&dir.join("ledger.jsonl"), &dir.join("events.jsonl")),
    );
    assert!(expected.0.len() > 40 && expected.1.len() > 20);
    if version >= 5 {
        expected.0.sort();
    }
    // A copy can be made before anything is changed.
    succeeds(dir, &["state", "backup", "before"]);
    if version < SCHEMA_VERSION {
        let (code, _, err) = command(dir, &["findings", "export"]);
        assert_eq!(code, Some(1), "version {version}");
        let says =
            format!("was written by an older fiscwatch (schema {version}, this one reads {SCHEMA_VERSION})");
        assert!(err.contains(&says) && err.contains("Start `fiscwatch run` on it once"), "{err}");
    }
    succeeds(dir, &["run", "--once"]);
    assert_same(&held_by(dir, version), &expected, &format!("version {version}"));
    let info: Value = serde_json::from_str(&succeeds(dir, &["state", "info", "--json"])[0]).unwrap();
    assert_eq!(info["schema_version"], SCHEMA_VERSION);
    succeeds(dir, &["state", "verify"]);

    let [mut found, mut whole] = go_on(dir);
    if version == 1 {
        // It did not keep how far event time had come, so schedules are due from the next event on.
        let other = |finding: &String| !finding.contains("paid-lines");
        found.0.retain(other);
        whole.0.retain(other);
    }
    // The end of the first part closed windows, which the whole stream closes a little later.
    found.0.sort();
    whole.0.sort();
    assert_same(&found, &whole, &format!("version {version}, all events"));
    succeeds(dir, &["state", "verify"]);

    // The copy opens in the same way.
    std::fs::remove_dir_all(dir.join("state")).unwrap();
    succeeds(dir, &["state", "restore", "before"]);
    unpack("events.jsonl", &dir.join("events.jsonl"));
    succeeds(dir, &["run", "--once"]);
    assert_same(&held_by(dir, version), &expected, &format!("version {version}, restored"));
}

#[test]
fn what_officers_did_in_version_4_is_kept_and_chained() {
    let dir = state_of(4);
    let dir = dir.path();
    let database = rusqlite::Connection::open(dir.join("state/fiscwatch.db")).unwrap();
    database.execute("ATTACH ?1 AS kept", [dir.join("kept.db").to_str().unwrap()]).unwrap();
    database.execute("CREATE TABLE kept.notifications AS SELECT * FROM main.notifications", []).unwrap();
    drop(database);
    succeeds(dir, &["run", "--once"]);
    let database = rusqlite::Connection::open(dir.join("state/fiscwatch.db")).unwrap();
    database.execute("ATTACH ?1 AS kept", [dir.join("kept.db").to_str().unwrap()]).unwrap();
    let rows = |sql: &str| -> Vec<String> {
        let mut statement = database.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let acts = rows("SELECT who || ' ' || action FROM alert_history WHERE who <> 'fiscwatch' ORDER BY seq");
    let expected = ["acknowledge", "acknowledge", "acknowledge", "confirm", "dismiss", "comment"];
    assert_eq!(acts, expected.map(|act| format!("王芳 {act}")));
    let silences = rows("SELECT silence_id || ' ' || who || ' ' || action FROM silence_history ORDER BY seq");
    assert_eq!(silences, ["1 王芳 order", "2 王芳 order", "2 王芳 expire"]);
    assert_eq!(
        rows(
            "SELECT state || ' ' || count(*) FROM notifications JOIN kept.notifications USING (id, state, body) GROUP BY state"
        ),
        rows("SELECT state || ' ' || count(*) FROM kept.notifications GROUP BY state"),
        "what was told and what waits is as it was, beside what the run adds"
    );
    assert_eq!(rows("SELECT reason FROM quarantine ORDER BY seq").len(), 3);
    drop(database);
    // The chain of what was there goes on, and is held to.
    succeeds(dir, &["silence", "expire", "1", "--by", "李雷"]);
    let report = succeeds(dir, &["state", "verify", "--json"]).concat();
    assert!(report.contains("silence_history: 4 records, the last digest "), "{report}");
    // A quarantine that was forged before the step is not believed after it.
    let forged = state_of(4);
    let database = rusqlite::Connection::open(forged.path().join("state/fiscwatch.db")).unwrap();
    assert_eq!(database.execute("DELETE FROM quarantine WHERE seq = 2", []).unwrap(), 1);
    drop(database);
    let (code, _, err) = command(forged.path(), &["run", "--once"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("the table quarantine does not match its checksum"), "{err}");
}

#[test]
fn findings_of_the_version_before_are_made_again() {
    let dir = state_of(SCHEMA_VERSION - 1);
    succeeds(dir.path(), &["run", "--once"]);
    let report = succeeds(dir.path(), &["state", "verify", "--findings", "--json"]);
    let report: Value = serde_json::from_str(&report[0]).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let again = checks.iter().find(|check| check["name"] == "findings again").unwrap();
    assert_eq!(
        (again["outcome"].as_str(), again["problem_count"].as_u64()),
        (Some("ok"), Some(0)),
        "{report}"
    );
}

#[test]
fn a_state_of_a_newer_version_is_refused_and_left_alone() {
    let dir = state_of(2);
    let dir = dir.path();
    succeeds(dir, &["run", "--once"]);
    let database = dir.join("state/fiscwatch.db");
    let newer = SCHEMA_VERSION + 7;
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection.pragma_update(None, "user_version", newer).unwrap();
    drop(connection);
    let before = std::fs::read(&database).unwrap();
    let commands: [&[&str]; 8] = [
        &["run", "--once"],
        &["findings", "list"],
        &["budget", "top"],
        &["rejects", "list"],
        &["state", "info"],
        &["state", "verify"],
        &["state", "backup", "copy"],
        &["state", "query", "SELECT count(*) FROM payments"],
    ];
    for args in commands {
        let (code, out, err) = command(dir, args);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{args:?}: {err}");
        let says =
            format!("was written by a newer fiscwatch (schema {newer}, this one knows {SCHEMA_VERSION})");
        assert!(err.contains(&says) && err.contains("nothing was changed"), "{args:?}: {err}");
    }
    assert_eq!(std::fs::read(&database).unwrap(), before);
    assert!(!dir.join("copy").exists() && !dir.join("copy.partial").exists());
}
