//! Backups taken beside a running daemon, their way back, what `state verify` finds, and SQL over the state.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, append, assert_same, fiscwatch, lines, random_events, run, wait_until};

/// Sealing, windows and a schedule, so that a backup has some of everything.
const CONFIG: &str = "
sources: [{ name: feed, file: { path: events.jsonl, follow: true } }]
state: { dir: state, checkpoint_events: 300, seal_after: 0s }
engine: { batch_rows: 40, idle: 9999d }
rules: { paths: [rules, more.yaml] }
";

const MORE: &str = "
rules:
  - id: many-in-a-month
    title: many
    severity: low
    trigger: payment
    over: { by: [unit_code], last: 30d }
    measure: { n: count(*), total: sum(amount) }
    when: n > 20 and amount > 1000
    key: [unit_code]
  - id: month-of-a-line
    title: a month
    severity: low
    trigger: window
    of: payment
    window: { by: [budget_line_id], size: month }
    measure: { total: sum(amount) }
    when: total > 10000
    key: [budget_line_id]
";

const SCHEDULE: &str = "
  - id: spent-lines
    title: spent
    severity: low
    trigger: schedule
    every: 7d
    sql: SELECT budget_line_id, executed, (SELECT count(*) FROM payments) AS n FROM budget_lines WHERE available < 0
    key: [budget_line_id]
";

/// Events in the order of their times, with some that are late.
fn stream(seed: u64, count: usize) -> Vec<Value> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut events = random_events(seed, count);
    for (n, event) in events.iter_mut().enumerate() {
        let late = if rng.random_ratio(1, 30) { rng.random_range(0..5 * 86_400_000) } else { 0 };
        let step = i64::try_from(n).unwrap() * 3_600_000;
        event["occurred_at"] = json!(1_735_660_800_000i64 + step + rng.random_range(0..3_600_000) - late);
    }
    events
}

fn bench(events: &[Value], more: &str) -> Bench {
    let bench = Bench::new(&lines(events), CONFIG);
    std::fs::write(bench.path().join("more.yaml"), more).unwrap();
    bench
}

/// Runs a command on the bench's configuration.
fn command(bench: &Bench, args: &[&str]) -> (Option<i32>, String, String) {
    run(bench.path(), &[args, &["--config", "fiscwatch.yaml"]].concat())
}

fn succeeds(bench: &Bench, args: &[&str]) -> String {
    let (code, out, err) = command(bench, args);
    assert_eq!(code, Some(0), "{args:?}: {out}{err}");
    out
}

/// Reads everything there is, with `follow` taken out of the configuration so that the run ends.
fn run_to_the_end(bench: &Bench) {
    let config = bench.path().join("fiscwatch.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace(", follow: true", "")).unwrap();
    succeeds(bench, &["run", "--once"]);
}

/// A finished state of so many events.
fn finished(seed: u64, count: usize) -> Bench {
    let bench = bench(&stream(seed, count), &format!("{MORE}{SCHEDULE}"));
    run_to_the_end(&bench);
    bench
}

fn checks(bench: &Bench, args: &[&str]) -> (Option<i32>, Value) {
    let (code, out, err) = command(bench, &[&["state", "verify", "--json"], args].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}")))
}

/// The problems of a verification, by check.
fn problems(bench: &Bench, args: &[&str]) -> Vec<(String, String)> {
    let (code, report) = checks(bench, args);
    let checks = report["checks"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |check: &Value| {
        let name = text(&check["name"]);
        check["problems"].as_array().unwrap().iter().map(|p| (name.clone(), text(p))).collect::<Vec<_>>()
    };
    let problems: Vec<_> = checks.iter().flat_map(of).collect();
    assert_eq!(code, Some(i32::from(!problems.is_empty())), "{report:#}");
    assert_eq!(report["ok"], json!(problems.is_empty()));
    problems
}

fn journal_events(daemon: &Daemon) -> usize {
    let metrics = daemon.get("/metrics").1;
    metrics.lines().find_map(|line| line.strip_prefix("fiscwatch_journal_events ")?.parse().ok()).unwrap_or(0)
}

fn database(bench: &Bench) -> rusqlite::Connection {
    rusqlite::Connection::open(bench.path().join("state/fiscwatch.db")).unwrap()
}

fn sealed_file(dir: &Path) -> PathBuf {
    let mut files: Vec<_> =
        std::fs::read_dir(dir.join("sealed")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.remove(files.len() / 2)
}

#[test]
fn backups_of_a_running_daemon_lead_to_the_undisturbed_result() {
    let events = stream(21, 2600);
    let bench = bench(&events[..500], MORE);
    std::fs::write(bench.path().join("whole.jsonl"), lines(&events)).unwrap();
    let daemon = Daemon::start(bench.path());
    let mut backups = Vec::new();
    // Each backup is made while the daemon reads, commits, seals and compacts.
    for (n, part) in events[500..].chunks(700).enumerate() {
        append(&bench.path().join("events.jsonl"), &lines(part));
        wait_until(|| journal_events(&daemon) > 700 * n);
        let name = format!("backup-{n}");
        let manifest: Value =
            serde_json::from_str(&succeeds(&bench, &["state", "backup", &name, "--json"])).unwrap();
        backups.push((name, manifest["events"].as_u64().unwrap()));
    }
    assert!(backups.is_sorted_by_key(|(_, events)| *events), "{backups:?}");
    // The state that runs is whole at every moment, too.
    assert_eq!(problems(&bench, &[]), []);
    drop(daemon);

    let expected = {
        let undisturbed = self::bench(&events, MORE);
        run_to_the_end(&undisturbed);
        undisturbed.state()
    };
    for (n, (name, _)) in backups.iter().enumerate() {
        assert_eq!(problems(&bench, &[name, "--findings"]), []);
        std::fs::rename(bench.path().join("state"), bench.path().join(format!("lost-{n}"))).unwrap();
        succeeds(&bench, &["state", "restore", name]);
        run_to_the_end(&bench);
        assert_same(&bench.state(), &expected, name);
        assert_eq!(problems(&bench, &["--findings"]), []);
    }
}

#[test]
fn a_backup_that_is_interrupted_leaves_nothing_half() {
    let bench = finished(22, 1500);
    let started = Instant::now();
    succeeds(&bench, &["state", "backup", "whole"]);
    let took = started.elapsed();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (target, partial) = (bench.path().join("copy"), bench.path().join("copy.partial"));
    let mut killed = 0;
    for _ in 0..20 {
        let mut child = fiscwatch()
            .current_dir(bench.path())
            .args(["state", "backup", "copy", "--config", "fiscwatch.yaml"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(took.mul_f64(rng.random_range(0.2..1.0)));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            killed += 1;
        }
        child.wait().unwrap();
        if target.exists() {
            assert_eq!(problems(&bench, &["copy"]), []);
            assert!(!partial.exists());
            std::fs::remove_dir_all(&target).unwrap();
        }
    }
    println!("{killed} backups were killed");
    succeeds(&bench, &["state", "backup", "copy"]);
    assert_eq!(problems(&bench, &["copy"]), []);
    assert!(!partial.exists());
}

#[test]
fn a_backup_on_a_full_disk_leaves_nothing() {
    let bench = finished(23, 1500);
    // A limit of the size of files stands for a full disk: writing fails, and the process goes on.
    let script = "trap '' XFSZ; ulimit -f 200; exec \"$0\" state backup copy --config fiscwatch.yaml";
    let output = Command::new("bash")
        .current_dir(bench.path())
        .args(["-c", script, env!("CARGO_BIN_EXE_fiscwatch")])
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("copy.partial/fiscwatch.db"), "{err}");
    assert!(!bench.path().join("copy").exists() && !bench.path().join("copy.partial").exists());
    succeeds(&bench, &["state", "backup", "copy"]);
}

#[test]
fn nothing_is_overwritten_and_no_daemon_runs_on_a_backup() {
    let bench = finished(24, 800);
    succeeds(&bench, &["state", "backup", "copy", "--link"]);
    let file = sealed_file(&bench.path().join("copy"));
    let links = std::os::unix::fs::MetadataExt::nlink(&std::fs::metadata(&file).unwrap());
    assert_eq!(links, 2, "{}", file.display());
    let refused = |args: &[&str], message: &str| {
        let (code, _, err) = command(&bench, args);
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains(message), "{err}");
    };
    refused(&["state", "backup", "copy"], "copy exists already, and nothing is overwritten");
    refused(&["state", "restore", "copy"], "state exists already, and nothing is overwritten");
    refused(&["state", "restore", "rules", "--to", "new"], "rules is no backup: it has no backup.json");
    std::fs::create_dir(bench.path().join("mine.partial")).unwrap();
    std::fs::write(bench.path().join("mine.partial/notes"), "x").unwrap();
    refused(&["state", "backup", "mine"], "mine.partial exists already");
    assert!(bench.path().join("mine.partial/notes").exists());

    // Reading a backup leaves nothing beside it.
    let (_, expected) = bench.state();
    let on_backup = |args: &[&str]| {
        let output = fiscwatch()
            .current_dir(bench.path())
            .args(args)
            .args(["--config", "fiscwatch.yaml"])
            .env("FISCWATCH_STATE__DIR", "copy")
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(on_backup(&["budget", "export"]).1.lines().collect::<Vec<_>>(), expected);
    let (code, _, err) = on_backup(&["run", "--once"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("is a backup, and a daemon would change it"), "{err}");
    assert_eq!(problems(&bench, &["copy"]), []);

    // A damaged backup is not restored.
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, "x").unwrap();
    refused(&["state", "restore", "copy", "--to", "new"], "it is not what the manifest says");
    assert!(!bench.path().join("new").exists() && !bench.path().join("new.partial").exists());
    std::fs::write(bench.path().join("copy/more"), "x").unwrap();
    let name = format!("sealed/{}", file.file_name().unwrap().display());
    let found = problems(&bench, &["copy"]);
    assert!(found.contains(&("backup".into(), String::from("more is not in the manifest"))), "{found:?}");
    assert!(
        found.iter().any(|(check, p)| check == "backup" && p.starts_with(&format!("{name} has 1 bytes"))),
        "{found:?}"
    );
}

/// A finished state that is damaged in one way after another.
struct Damaged {
    bench: Bench,
}

impl Damaged {
    fn new() -> Self {
        let damaged = Self { bench: finished(25, 900) };
        assert_eq!(problems(&damaged.bench, &["--findings"]), []);
        copy(&damaged.state(), &damaged.bench.path().join("good"));
        damaged
    }

    fn state(&self) -> PathBuf {
        self.bench.path().join("state")
    }

    /// Makes it whole, damages it, and verifies. That the table has another checksum then is `trust`'s concern.
    fn problems(&self, damage: &dyn Fn(), args: &[&str]) -> Vec<(String, String)> {
        std::fs::remove_dir_all(self.state()).unwrap();
        copy(&self.bench.path().join("good"), &self.state());
        damage();
        problems(&self.bench, args).into_iter().filter(|(check, _)| check != "tables").collect()
    }

    fn says(&self, damage: &dyn Fn(), args: &[&str], check: &str, text: &str) {
        let found = self.problems(damage, args);
        let says = found.iter().any(|(name, problem)| name == check && problem.contains(text));
        assert!(says, "{check}, {text}: {found:?}");
    }

    fn sql(&self, text: &str) {
        assert!(database(&self.bench).execute(text, []).unwrap() > 0, "{text}");
    }

    fn flip_in_last_block(&self) {
        let database = database(&self.bench);
        let sql = "SELECT seq, block FROM journal ORDER BY seq DESC LIMIT 1";
        let row = database.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)));
        let (seq, mut block) = row.unwrap();
        let middle = block.len() / 2;
        block[middle] ^= 1;
        database.execute("UPDATE journal SET block = ?1 WHERE seq = ?2", (block, seq)).unwrap();
    }

    fn flip_in_file(&self) {
        let file = sealed_file(&self.state());
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[200] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").args(["-r", from.to_str().unwrap(), to.to_str().unwrap()]).status();
    assert!(done.unwrap().success());
}

#[test]
fn damage_is_found_and_named() {
    let state = Damaged::new();
    let says = |damage: &dyn Fn(), check: &str, text: &str| state.says(damage, &[], check, text);
    let sql = |sql: &str, check: &str, text: &str| says(&|| state.sql(sql), check, text);
    says(&|| state.flip_in_last_block(), "journal", "does not match its checksum");
    let last = "WHERE seq = (SELECT max(seq) FROM journal)";
    sql(&format!("UPDATE journal SET events = events + 1 {last}"), "journal", "events and should have");
    sql(&format!("UPDATE journal SET seq = seq + 1 {last}"), "numbers", "");
    let first = "(SELECT min(first_seq) FROM sealed)";
    sql(&format!("DELETE FROM sealed WHERE first_seq = {first}"), "numbers", "no file has");
    says(&|| state.flip_in_file(), "sealed files", "does not match its checksum");
    let remove = || std::fs::remove_file(sealed_file(&state.state())).unwrap();
    says(&remove, "sealed files", "it is not there");
    let line = "WHERE budget_line_id = 'L3'";
    let cent = format!("UPDATE lines SET executed = printf('%.2f', executed + 0.01) {line}");
    sql(&cent, "ledger", "L3: executed is");
    sql(&format!("UPDATE lines SET unit_code = 'x' {line}"), "ledger", "L3: its attributes");
    let one = "(SELECT min(event_id) FROM applications)";
    sql(&format!("DELETE FROM applications WHERE event_id = {one}"), "ledger", "application");
    sql("UPDATE findings SET severity = 'low' WHERE rule_id = 'over-budget'", "findings", "its columns");
}

#[test]
fn findings_that_are_missing_extra_or_others_are_named() {
    let state = Damaged::new();
    for rule in ["over-budget", "many-in-a-month", "month-of-a-line", "spent-lines"] {
        let one = format!("WHERE seq = (SELECT max(seq) FROM findings WHERE rule_id = '{rule}')");
        let says = |sql: String, text: &str| {
            state.says(&|| state.sql(&sql), &["--findings"], "findings again", &format!("{text}: {rule} on"));
        };
        says(format!("DELETE FROM findings {one}"), "missing from the state");
        let body = "replace(body, finding_id, 'feed')";
        says(
            format!("UPDATE findings SET body = {body}, finding_id = 'feed' {one}"),
            "extra, not found again",
        );
        let summary = "json_set(body, '$.summary', 'x')";
        state.says(
            &|| state.sql(&format!("UPDATE findings SET body = {summary} {one}")),
            &["--findings"],
            "findings again",
            "differs: summary is \"x\"",
        );
    }
    // What lies outside of the range is not compared.
    let sql = "SELECT body ->> 'at' FROM findings ORDER BY at LIMIT 1 OFFSET 20";
    let at: String = database(&state.bench).query_row(sql, [], |row| row.get(0)).unwrap();
    let day = &at[..10];
    let none = || state.sql("DELETE FROM findings");
    for args in [["--from", day, "--to", "2026-01-01"], ["--from", "2024-01-01", "--to", day]] {
        state.says(&none, &[&["--findings"], &args[..]].concat(), "findings again", "missing from the state");
    }
    assert_eq!(state.problems(&none, &["--findings", "--from", "2026-01-01"]), []);
    assert_eq!(state.problems(&none, &["--findings", "--to", "2024-01-01"]), []);
}

#[test]
fn ticks_that_are_still_to_be_evaluated_are_not_missing() {
    let state = Damaged::new();
    let one = "(SELECT max(seq) FROM findings WHERE rule_id = 'spent-lines')";
    let owe = || {
        let from = format!("json_object('from', (SELECT at - 1 FROM findings WHERE seq = {one}))");
        state.sql(&format!("UPDATE watermark SET value = json_set(value, '$.owed', {from})"));
        state.sql(&format!("DELETE FROM findings WHERE seq = {one}"));
    };
    assert_eq!(state.problems(&owe, &["--findings"]), []);
}

#[test]
fn a_rule_that_changed_is_said_and_not_compared() {
    let events = stream(26, 1600);
    let bench = bench(&events[..800], MORE);
    run_to_the_end(&bench);
    let more = bench.path().join("more.yaml");
    // Half of the stream by another rule; the windows of the first half were closed at its end.
    std::fs::write(&more, MORE.replace("n > 20", "n > 3")).unwrap();
    append(&bench.path().join("events.jsonl"), &lines(&events[800..]));
    succeeds(&bench, &["run", "--once"]);
    let said = |args: &[&str]| {
        let (_, report) = checks(&bench, args);
        let rules =
            report["checks"].as_array().unwrap().iter().find(|c| c["name"] == "rules").unwrap().clone();
        (rules["outcome"].as_str().unwrap().to_owned(), rules["detail"].as_str().unwrap().to_owned())
    };
    let of_events = |bench: &Bench| {
        let found = problems(bench, &["--findings"]).into_iter();
        found.filter(|(_, p)| p.contains("many-in-a-month") || p.contains("over-budget")).collect::<Vec<_>>()
    };
    let (outcome, detail) = said(&["--findings"]);
    assert_eq!(outcome, "skipped");
    assert!(detail.contains("many-in-a-month is in force since block "), "{detail}");
    assert!(!detail.contains("over-budget"), "{detail}");
    assert_eq!(of_events(&bench), []);
    // By a rule that never was in force nothing is compared.
    std::fs::write(&more, MORE.replace("n > 20", "n > 4")).unwrap();
    let (_, detail) = said(&["--findings"]);
    assert!(detail.contains("many-in-a-month is another one than at the last commit"), "{detail}");
    assert_eq!(of_events(&bench), []);
}

#[test]
fn queries_see_what_is_stored_and_change_nothing() {
    let bench = finished(27, 1200);
    let (findings, ledger) = bench.state();
    let ask = |sql: &str, form: &str| succeeds(&bench, &["state", "query", sql, form]);
    let rows = ask("SELECT * FROM budget_lines ORDER BY budget_line_id", "--json");
    let mut compared = 0;
    for (row, line) in rows.lines().zip(&ledger) {
        let (row, line): (Value, Value) =
            (serde_json::from_str(row).unwrap(), serde_json::from_str(line).unwrap());
        // Both are of the moment of the query, and forecasts are not exported.
        let of_now = |name: &str| name == "year_elapsed" || name.starts_with("forecast_");
        for (name, value) in row.as_object().unwrap().iter().filter(|(name, _)| !of_now(name)) {
            assert_eq!(line[name], *value, "{name}");
            compared += 1;
        }
    }
    assert!(compared > 100);
    let csv = ask("SELECT rule_id, count(*) AS n FROM findings GROUP BY rule_id ORDER BY rule_id", "--csv");
    let mut counts = std::collections::BTreeMap::<String, u32>::new();
    for finding in &findings {
        let finding: Value = serde_json::from_str(finding).unwrap();
        *counts.entry(finding["rule_id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let expected =
        counts.iter().fold(String::from("rule_id,n\n"), |all, (rule, n)| all + &format!("{rule},{n}\n"));
    assert_eq!(csv, expected);
    let joined = ask(
        "SELECT count(*) AS n FROM payments p JOIN budget_lines b USING (budget_line_id) WHERE p.occurred_at < now",
        "--csv",
    );
    assert_eq!(joined, ask("SELECT count(*) AS n FROM payments", "--csv"));
    assert_ne!(joined, "n\n0\n");

    for (sql, message) in [
        ("DROP TABLE payments", "only a SELECT"),
        ("INSERT INTO payments SELECT * FROM payments", "only a SELECT"),
        ("COPY payments TO 'x.csv'", "only a SELECT"),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "only a SELECT"),
        ("SELECT 1; SELECT 2", "write one SELECT"),
        ("SELECT * FROM '/etc/passwd'", "there is no table"),
        ("SELECT * FROM paymnts", "did you mean \"payments\"?"),
        ("SELECT amuont FROM payments", "amuont"),
        ("SELECT * FROM payments WHERE amount > $limit", "$limit"),
    ] {
        let (code, out, err) = command(&bench, &["state", "query", sql]);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{sql}: {err}");
        assert!(err.contains(message), "{sql}: {err}");
    }
    assert_eq!(bench.state(), (findings, ledger));
}
