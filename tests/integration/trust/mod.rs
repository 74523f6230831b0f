//! The store can be trusted, and says so: whatever is changed in a table is told by `state verify` and by a start, in
//! words that name the table; scores are made again digit for digit; another calendar is refused; files are private.

mod damages;
mod state;

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use rusqlite::Connection;
use serde_json::json;

use crate::support::{Bench, Daemon, fiscwatch, lines, random_events, run, source_files, wait_until};
use state::{CONFIG, full, succeeds};
#[test]
fn the_commands_say_what_is_damaged_and_what_to_do() {
    let bench = full();
    let database = Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    assert_eq!(database.execute("UPDATE alert_history SET who = '李雷' WHERE who = '王芳'", []).unwrap(), 5);
    assert_eq!(database.execute("DELETE FROM sums WHERE name = 'silences'", []).unwrap(), 1);
    drop(database);
    let (code, out, _) = run(bench.path(), &["state", "verify", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    for says in [
        "the table alert_history does not match its checksum",
        "the table silences has no checksum any more",
        "alert_history: record ",
        "restore the last backup that verifies",
    ] {
        assert!(out.contains(says), "{says}: {out}");
    }
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("the table silences has no checksum any more"), "{err}");
    // An officer's command does not write over it either.
    let silence = ["silence", "add", "--match", "rule=\"x\"", "--for", "2h", "--why", "盘点", "--by", "王芳"];
    let (code, _, err) = run(bench.path(), &[&silence[..], &["--config", "fiscwatch.yaml"]].concat());
    assert_eq!(code, Some(1));
    assert!(err.contains("the table silences has no checksum any more"), "{err}");
}

/// A register that lost a row must not cost the file: it is compared before anything is swept.
#[test]
fn no_sealed_file_is_deleted_by_a_register_that_is_damaged() {
    let bench = full();
    let files = || std::fs::read_dir(bench.path().join("state/sealed")).unwrap().count();
    let before = files();
    let database = Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    assert!(database.execute("DELETE FROM sealed", []).unwrap() > 1);
    drop(database);
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("the table sealed does not match its checksum"), "{err}");
    assert_eq!(files(), before);
}

const SCORES: &str = "
rules:
  - id: z
    title: z
    severity: low
    trigger: window
    of: payment
    window: { by: [unit_code], size: 6d, slide: 1d }
    measure: { total: sum(amount), spread: stddev(amount), mean: avg(amount) }
    anomaly: { of: total, method: zscore, history: 90, min_history: 2 }
    when: score > -99 and spread > -1
    key: [unit_code]
  - id: e
    title: e
    severity: low
    trigger: window
    of: payment
    window: { by: [budget_line_id], size: 1d }
    measure: { size: avg(amount) }
    anomaly: { of: size, method: ewma, history: 90, min_history: 2 }
    when: score > -99
    key: [budget_line_id]
  - id: s
    title: s
    severity: low
    trigger: payment
    over: { by: [unit_code], last: 30d }
    measure: { spread: stddev(amount), middle: median_deviation(amount), n: count(*) }
    when: n > 5 and spread > 0 and middle > -1
    key: [unit_code]
";

/// Whatever the size of batches, with a restart in the middle, and again from the journal.
#[test]
fn scores_are_the_same_digit_for_digit_however_they_are_made() {
    let mut events = random_events(52, 900);
    for (n, event) in events.iter_mut().enumerate() {
        // A quarter of an hour apart, and every tenth some days late.
        let late = if n % 10 == 0 { 3 * 86_400_000 } else { 0 };
        event["occurred_at"] = json!(1_735_660_800_000i64 + i64::try_from(n).unwrap() * 5_400_000 - late);
    }
    let mut found = BTreeMap::new();
    for (rows, parts) in [(7, 1), (64, 3), (4096, 1)] {
        let config = format!(
            "sources: [{{ name: feed, file: {{ path: events.jsonl, follow: false }} }}]\n\
             state: {{ dir: state, seal_after: 0s }}\nengine: {{ batch_rows: {rows}, idle: 9999d, lateness: 1d }}\n"
        );
        let bench = Bench::new("", &config);
        std::fs::write(bench.path().join("rules/rules.yaml"), SCORES).unwrap();
        succeeds(bench.path(), &["check"]);
        for part in 1..=parts {
            let until = events.len() * part / parts;
            std::fs::write(bench.path().join("events.jsonl"), lines(&events[..until])).unwrap();
            if part < parts {
                // A daemon that is stopped closes nothing; `--once` closes all windows at its end.
                let daemon = Daemon::start(bench.path());
                let before = events.len() * (part - 1) / parts;
                wait_until(|| {
                    let read = &daemon.json("/api/v1/status")["since_start"];
                    let of = |name: &str| read[name].as_u64().unwrap();
                    of("accepted") + of("duplicates") + of("rejected") == (until - before) as u64
                });
                assert_eq!(daemon.stop("-TERM"), Some(0));
            } else {
                succeeds(bench.path(), &["run", "--once"]);
            }
            let report = succeeds(bench.path(), &["state", "verify", "--findings", "--json"]);
            assert!(report.contains("findings compared"), "{report}");
        }
        let listed = succeeds(bench.path(), &["findings", "list", "--json", "--limit", "9999"]);
        let exported = succeeds(bench.path(), &["findings", "export"]);
        let sorted = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
        assert_eq!(sorted(&listed), sorted(&exported), "what is shown is what is stored");
        assert!(
            exported.matches("\"score\":").count() > 100 && exported.matches("\"spread\":").count() > 100
        );
        if parts == 1 {
            found.insert(rows, sorted(&exported));
        }
    }
    assert_eq!(found[&7], found[&4096]);
}

#[test]
fn a_state_of_another_calendar_is_refused_and_left_alone() {
    let config = "sources: [{ name: feed, file: { path: events.jsonl } }]\n";
    let bench = Bench::new(&lines(&random_events(53, 60)), config);
    succeeds(bench.path(), &["run", "--once"]);
    let before = bench.state();
    for (name, value, was) in [("TIME_ZONE", "UTC", "Asia/Shanghai"), ("FISCAL_YEAR_START", "04-01", "01-01")]
    {
        let key = name.to_lowercase();
        for args in [
            &["run", "--once"][..],
            &["state", "verify"],
            &["state", "query", "SELECT count(*) FROM payments"],
            &["budget", "top"],
        ] {
            let output = fiscwatch()
                .current_dir(bench.path())
                .args(args)
                .args(["--config", "fiscwatch.yaml"])
                .env(format!("FISCWATCH_{name}"), value)
                .output()
                .unwrap();
            let err = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{args:?}: {err}");
            let says = format!("was made with {key} {was}, and the configuration says {value}");
            assert!(err.contains(&says) && err.contains("or name a new state.dir"), "{args:?}: {err}");
        }
    }
    succeeds(bench.path(), &["run", "--once"]);
    assert_eq!(bench.state(), before);
}

/// Everything below a folder, with its mode.
fn modes(folder: &Path, found: &mut Vec<(PathBuf, u32)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        found.push((path.clone(), metadata.permissions().mode() & 0o777));
        if metadata.is_dir() {
            modes(&path, found);
        }
    }
}

#[test]
fn files_are_for_their_owner_alone_whatever_the_umask() {
    let bench = Bench::new(&lines(&random_events(54, 400)), CONFIG);
    std::fs::write(bench.path().join("garbled.jsonl"), "no JSON\n").unwrap();
    let mut before = Vec::new();
    modes(bench.path(), &mut before);
    let config = "--config fiscwatch.yaml";
    for command in [
        format!("run --once {config}"),
        format!("state backup copy {config}"),
        format!("state restore copy --to again {config}"),
        format!("backtest --events events.jsonl --findings found.jsonl --ledger ledger.jsonl {config}"),
        format!("budget export --out budget.jsonl {config}"),
        format!("rejects export --out rejects.jsonl {config}"),
        String::from("init started"),
        String::from("generate --payments 200 --units 2 --days 5 --start 2025-03-03 --anomalies --out year"),
        String::from(
            "backtest --rules started/rules --events year/events.jsonl --labels year/labels.jsonl --scores scores.json",
        ),
    ] {
        // Killed while its log is there, a daemon leaves all of the database's files; a reader keeps them too.
        let script = format!("umask 000; exec \"$0\" {command}");
        let output = Command::new("bash")
            .current_dir(bench.path())
            .args(["-c", &script, env!("CARGO_BIN_EXE_fiscwatch")])
            .env("FAILPOINT", if command.starts_with("run") { "commit.done=abort@3" } else { "" })
            .output()
            .unwrap();
        let died = command.starts_with("run");
        assert_eq!(output.status.success(), !died, "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mut after = Vec::new();
    modes(bench.path(), &mut after);
    let made: Vec<_> =
        after.iter().filter(|(path, _)| !before.iter().any(|(known, _)| known == path)).collect();
    for (path, mode) in &made {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(*mode, wanted, "{}: {mode:o}", path.display());
    }
    let names: Vec<String> = made.iter().map(|(path, _)| path.display().to_string()).collect();
    for part in [
        "state/lock",
        "copy/backup.json",
        "again/fiscwatch.db",
        "found.jsonl",
        "rejects.jsonl",
        "started/rules",
        "labels.jsonl",
        "scores.json",
    ] {
        assert!(names.iter().any(|name| name.contains(part)), "{part}: {names:?}");
    }
}

#[test]
fn one_module_makes_files() {
    // Manual pages and test reports are for everybody.
    let allowed = ["private.rs", "cli/manual.rs", "cli/test.rs"];
    let makes = ["File::create", "fs::write(", "fs::create_dir", "OpenOptions::new", "fs::copy("];
    for (path, source) in source_files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        if path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let own = source.split("#[cfg(test)]").next().unwrap_or_default();
        let found: Vec<_> = makes.iter().filter(|call| own.contains(**call)).collect();
        let known = allowed.iter().any(|name| path.ends_with(name));
        assert!(known || found.is_empty(), "{}: {found:?}; use crate::private", path.display());
    }
}
