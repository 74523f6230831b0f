//! What goes wrong, and what the user reads then: one clear message, the exit code, nothing lost.

use std::{fs::File, io::Write, path::Path};

use crate::support::{Bench, Daemon, lines, payment, run, write};

/// Runs a command that must fail, and gives its message.
fn fails(dir: &Path, args: &[&str]) -> String {
    let (code, _, err) = run(dir, args);
    assert_eq!(code, Some(1), "{err}");
    assert!(!err.contains("panicked"), "{err}");
    err.trim_end().to_owned()
}

const BACKTEST: [&str; 4] = ["backtest", "--config", "fiscwatch.yaml", "--events"];

#[test]
fn wrong_usage_is_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(dir.path(), &["backtest"]).0, Some(2));
    assert_eq!(run(dir.path(), &["brun"]).0, Some(2));
    assert_eq!(run(dir.path(), &[]).0, Some(2));
    assert_eq!(run(dir.path(), &["--version"]).0, Some(0));
}

#[test]
fn files_that_cannot_be_read() {
    let bench = Bench::new("", "");
    let d = bench.path();
    let backtest = |file: &str| fails(d, &[&BACKTEST[..], &[file]].concat());
    assert_eq!(backtest("none.jsonl"), "fiscwatch: cannot read none.jsonl: it is not there. Check the path");
    assert_eq!(
        backtest("rules"),
        "fiscwatch: cannot read rules: it is a folder. Name the files in it, or use a source of type directory"
    );
    write(d, "no.parquet", "certainly not");
    assert!(backtest("no.parquet").starts_with("fiscwatch: no.parquet is not a Parquet file: "));
    write(d, "no.csv", "a,b\n1,2\n");
    assert_eq!(
        backtest("no.csv"),
        "fiscwatch: no.csv is not a CSV file: its first line must name the columns, event_id, type, occurred_at among them, and is `a,b`. Put a line with the names of docs/events.md above the rows"
    );
}

#[test]
fn a_truncated_file_says_how_far_it_was_read() {
    let bench = Bench::new("", "");
    let events: Vec<_> =
        (0..5000).map(|n| payment(&format!("e{n}"), "L", &format!("{n}.37"))).skip(1).collect();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(lines(&events).as_bytes()).unwrap();
    let bytes = gz.finish().unwrap();
    File::create(bench.path().join("cut.jsonl.gz")).unwrap().write_all(&bytes[..bytes.len() / 2]).unwrap();
    let err = fails(bench.path(), &[&BACKTEST[..], &["cut.jsonl.gz", "--ledger", "l.jsonl"]].concat());
    assert!(err.contains("cut.jsonl.gz breaks off after record "), "{err}");
    assert!(err.contains("ends too early. The records before were read"), "{err}");
    // They were: the ledger is there.
    assert!(
        crate::support::file_lines(&bench.path().join("l.jsonl"))[0].contains("\"budget_line_id\":\"L\"")
    );
}

#[test]
fn check_reports_all_errors_of_all_files() {
    let bench = Bench::new("", "");
    write(
        bench.path(),
        "rules/a.yaml",
        "rules:
  - id: Not Kebab
    title: x
    severity: hihg
    trigger: payment
    when: amuont > 5
    key: [unit_cod]
  - id: second
    severity: low
    trigger: refund
    when: payee_name = 'x' and budget.totl > 1
    key: [budget_line_id]
  - id: third
    severity: low
    trigger: payment
    when: amount + 1
    key: [unit_code]
    summary: '{{ unit_nme }}'
    windw: 1
",
    );
    write(
        bench.path(),
        "rules/b.yaml",
        "rules:
  - id: over-budget
    severity: low
    trigger: payment
    where: in_list('blacklist', payee_name)
    when: >
      amount > $limit
      and now() > occurred_at
    key: [unit_code]
  - id: broken
    severity: low
    trigger: payment
    when: amount >> > 5
    key: [unit_code]
",
    );
    write(bench.path(), "rules/c.yaml", "rules: [\n");
    let (code, _, err) = run(bench.path(), &["check", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    let err = err.replace(&format!("{}/", bench.path().display()), "");
    insta::assert_snapshot!(err);
}

#[test]
fn configurations_that_are_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let check = |text: &str| {
        write(dir.path(), "c.yaml", text);
        fails(dir.path(), &["check", "--config", "c.yaml"])
    };
    let mut report = String::new();
    for text in [
        "engine: { batch_row: 5 }\n",
        "time_zone: Asia/Peking\n",
        "fiscal_year_start: '0401'\n",
        "http:\n  listen: here\nengine: { batch_wait: soon }\n",
        "sources:\n  - name: a\n  - name: a\n    stdin: {}\n    file: { path: x }\n",
        "lists: { black: { path: none.csv } }\nrules: { paths: [nowhere] }\n",
        "rules: [\n",
        "rules: { paths: [], overrides: { ghost: { mode: sleeping } } }\n",
        "http: { connections: 4 }\nengine: { batch_rows: 0, idle: 10ms }\nalerts: { watch: { repeat: 5s } }\n",
    ] {
        report.push_str(&format!("{text}----\n{}\n\n", check(text)));
    }
    report.push_str(&fails(dir.path(), &["run", "--config", "missing.yaml"]));
    insta::assert_snapshot!(report);
}

#[test]
fn what_is_not_there_or_not_readable_is_told_with_what_to_do() {
    let bench = Bench::new("", "");
    let fiscwatch = |config: &[u8], args: &[&str]| {
        std::fs::write(bench.path().join("c.yaml"), config).unwrap();
        fails(bench.path(), &[args, &["--config", "c.yaml"]].concat())
    };
    // `language: zh # 财政`, as an editor saves it that does not know UTF-8.
    let gbk = fiscwatch(b"language: zh # \xb2\xc6\xd5\xfe\n", &["check"]);
    assert!(gbk.contains("cannot be read: the file is in GBK and not in UTF-8"), "{gbk}");
    assert!(gbk.contains("hint: save it as UTF-8"), "{gbk}");

    let list = fiscwatch(b"lists: { black: { path: none.csv } }\n", &["check"]);
    assert!(list.contains("lists.black: none.csv: it is not there") && !list.contains("os error"), "{list}");

    let config = b"sources: [{ name: d, directory: { path: none } }]\nstate: { dir: state }\nhttp: { listen: '127.0.0.1:0' }\n";
    let folder = fiscwatch(config, &["run"]);
    let told = "source \"d\": cannot read the directory none: it is not there. Make it, or correct the path";
    assert!(folder.contains(told), "{folder}");

    // Something is where the state should be; nobody is told that there is none.
    std::fs::write(bench.path().join("file"), "").unwrap();
    let state = fiscwatch(b"state: { dir: file }\n", &["state", "info"]);
    assert!(state.contains("state directory file: a part of the path is not a folder"), "{state}");
    // A daemon that starts for the first time has made the file, and nothing in it yet.
    std::fs::create_dir(bench.path().join("new")).unwrap();
    std::fs::write(bench.path().join("new/fiscwatch.db"), "").unwrap();
    let state = fiscwatch(b"state: { dir: new }\n", &["findings", "list"]);
    assert!(state.contains("there is no state in new"), "{state}");
    std::fs::create_dir_all(bench.path().join("odd/fiscwatch.db")).unwrap();
    let state = fiscwatch(b"state: { dir: odd }\n", &["state", "info"]);
    assert!(state.contains("state directory odd: it is a folder. Check"), "{state}");

    let address = fiscwatch(
        b"http: { listen: '192.0.2.1:80', auth: true, tls: proxy }\nstate: { dir: state }\n",
        &["run"],
    );
    assert!(address.contains("Set http.listen to an address of this machine"), "{address}");
}

#[test]
fn a_state_that_is_locked_newer_or_damaged() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    let pid = daemon.child.id();
    let err = fails(bench.path(), &["run", "--config", "fiscwatch.yaml"]);
    assert!(
        err.contains(&format!("is in use by another fiscwatch (process {pid}). Stop that one first")),
        "{err}"
    );
    assert_eq!(daemon.stop("-TERM"), Some(0));

    let database = bench.path().join("state/fiscwatch.db");
    rusqlite::Connection::open(&database).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let err = fails(bench.path(), &["run", "--config", "fiscwatch.yaml"]);
    let knows = fiscwatch::store::SCHEMA_VERSION;
    let told = format!("written by a newer fiscwatch (schema 99, this one knows {knows})");
    assert!(err.contains(&told), "{err}");
    let err = fails(bench.path(), &["state", "info", "--config", "fiscwatch.yaml"]);
    assert!(err.contains("written by a newer fiscwatch"), "{err}");

    std::fs::write(&database, "garbage, and quite a lot of it, where a database was expected").unwrap();
    let err = fails(bench.path(), &["run", "--config", "fiscwatch.yaml"]);
    assert!(err.contains("is damaged"), "{err}");
}

#[test]
fn a_port_that_is_taken_and_a_state_that_is_no_directory() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    write(bench.path(), "fiscwatch.yaml", &format!("http: {{ listen: '{address}' }}\n"));
    let err = fails(bench.path(), &["run", "--config", "fiscwatch.yaml"]);
    assert!(err.contains(&format!("cannot listen on {address}: another program has the port")), "{err}");

    write(bench.path(), "fiscwatch.yaml", "state: { dir: events.jsonl }\nhttp: { listen: '127.0.0.1:0' }\n");
    let err = fails(bench.path(), &["run", "--config", "fiscwatch.yaml"]);
    assert!(
        err.contains(
            "state directory events.jsonl: a part of the path is not a folder. Check that it exists"
        ),
        "{err}"
    );
    let checked = fails(bench.path(), &["check", "--config", "fiscwatch.yaml"]);
    assert!(
        checked.contains("state directory events.jsonl: a part of the path is not a folder"),
        "{checked}"
    );
    let err = fails(bench.path(), &["budget", "show", "x", "--config", "fiscwatch.yaml"]);
    assert!(err.contains("state directory events.jsonl: a part of the path is not a folder"), "{err}");
}

#[test]
fn a_full_disk_stops_the_daemon_and_loses_nothing() {
    let bench = Bench::new("", "");
    let small = bench.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=3m", "none"])
        .arg(&small)
        .output();
    if !mounted.is_ok_and(|o| o.status.success()) {
        println!("skipped: a small file system cannot be mounted here (needs root)");
        return;
    }
    let events = crate::support::random_events(5, 25_000);
    write(bench.path(), "events.jsonl", &lines(&events));
    let config = |dir: &str| {
        format!(
            "sources: [{{ name: feed, file: {{ path: events.jsonl }} }}]\nstate: {{ dir: {dir} }}\nhttp: {{ listen: '127.0.0.1:0' }}\nengine: {{ batch_rows: 1000 }}\n"
        )
    };
    write(bench.path(), "fiscwatch.yaml", &config("small/state"));
    let err = fails(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    // More room, and it goes on where it stood.
    let grown =
        std::process::Command::new("mount").args(["-o", "remount,size=200m"]).arg(&small).status().unwrap();
    assert!(grown.success());
    let (code, _, log) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    let expected = bench.backtest(&[]);
    let found = {
        let (_, ledger, _) = run(bench.path(), &["budget", "export", "--config", "fiscwatch.yaml"]);
        let database = rusqlite::Connection::open(small.join("state/fiscwatch.db")).unwrap();
        let findings: i64 =
            database.query_row("SELECT count(*) FROM findings", [], |row| row.get(0)).unwrap();
        (findings, ledger.lines().map(str::to_owned).collect::<Vec<_>>())
    };
    let _ = std::process::Command::new("umount").arg("-l").arg(&small).status();
    assert!(err.contains("is full: nothing of this batch was stored, and nothing is lost"), "{err}");
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(found, (expected.0.len().try_into().unwrap(), expected.1));
}

#[test]
fn rejects_are_listed_exported_and_replayed() {
    let bench =
        Bench::new("", "state: { dir: state }\nsources: [{ name: feed, file: { path: events.jsonl } }]\n");
    let mut broken = payment("b", "L", "1.00");
    broken["settlement"] = "barter".into();
    write(
        bench.path(),
        "events.jsonl",
        &lines(&[payment("a", "L", "1.00"), broken, payment("c", "L", "0.005")]),
    );
    let config = ["--config", "fiscwatch.yaml"];
    assert_eq!(run(bench.path(), &[&["run", "--once"][..], &config].concat()).0, Some(0));
    let (_, list, _) = run(bench.path(), &[&["rejects", "list", "--json"][..], &config].concat());
    let list: Vec<serde_json::Value> = list.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let reasons: Vec<_> =
        list.iter().map(|r| (r["reason"].as_str().unwrap(), r["record"].as_i64().unwrap())).collect();
    assert_eq!(reasons, [("unknown_value", 2), ("bad_amount", 3)]);

    let (_, exported, _) =
        run(bench.path(), &[&["rejects", "export", "--reason", "unknown_value"][..], &config].concat());
    let mended = exported.replace("barter", "cash");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&mended).unwrap()["event_id"], "b");

    // A record that is still wrong goes back, and is not replayed twice.
    let (code, out, err) = run(bench.path(), &[&["rejects", "replay"][..], &config].concat());
    // Nothing of them was taken.
    assert_eq!(code, Some(1), "{err}");
    assert_eq!(out, "2 records read again: 0 accepted, 0 known already, 2 in quarantine again\n");
    let (_, info, _) = run(bench.path(), &[&["state", "info", "--json"][..], &config].concat());
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    assert_eq!((info["quarantined"].as_i64(), info["events"].as_i64()), (Some(2), Some(1)));
}

#[test]
fn what_init_writes_is_in_order_and_nothing_is_overwritten() {
    let bench = Bench::new("", "");
    let (code, out, err) = run(bench.path(), &["init", "treasury"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let folder = bench.path().join("treasury");
    let (code, out, err) = run(&folder, &["check"]);
    assert!(code == Some(0) && out.contains("are in order"), "{out}{err}");
    std::fs::write(folder.join("rules/cash.yaml"), "mine").unwrap();
    let err = fails(&folder, &["init"]);
    assert!(err.contains("config/fiscwatch.yaml") && err.contains("nothing is overwritten"), "{err}");
    assert_eq!(std::fs::read_to_string(folder.join("rules/cash.yaml")).unwrap(), "mine");
}

#[test]
fn the_example_is_in_order_and_finds_something() {
    let bench = Bench::new("", "");
    assert_eq!(run(bench.path(), &["init", "--example", "treasury"]).0, Some(0));
    let folder = bench.path().join("treasury");
    assert_eq!(run(&folder, &["test", "my-rules"]).0, Some(0));
    let (code, _, err) = run(
        &folder,
        &[
            "backtest",
            "--events",
            "drop/events.jsonl",
            "--events",
            "later.jsonl",
            "--findings",
            "found.jsonl",
        ],
    );
    assert_eq!(code, Some(0), "{err}");
    let found = std::fs::read_to_string(folder.join("found.jsonl")).unwrap();
    for rule in ["overspent", "line-exhausted", "payee-mismatch"] {
        assert!(found.contains(&format!("\"rule_id\":\"{rule}\"")), "{rule} is not in {found}");
    }
}

#[test]
fn who_acts_is_known_without_a_variable() {
    let bench =
        Bench::new("", "state: { dir: state }\nsources: [{ name: feed, file: { path: events.jsonl } }]\n");
    run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    let silence = |more: &[&str]| {
        let mut command = crate::support::fiscwatch();
        command.current_dir(bench.path()).env_remove("USER");
        command.args([
            "silence",
            "add",
            "--config",
            "fiscwatch.yaml",
            "--match",
            "rule=\"x\"",
            "--for",
            "2h",
        ]);
        command.args(["--why", "stocktaking"]).args(more).output().unwrap()
    };
    let output = silence(&[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_year_that_is_interrupted_has_no_name_of_a_whole_one() {
    let bench = Bench::new("", "");
    let year = bench.path().join("year");
    let mut child = crate::support::fiscwatch()
        .current_dir(bench.path())
        .args(["generate", "--payments", "50000000", "--units", "5", "--anomalies", "--out", "year"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    crate::support::wait_until(|| year.join("events.jsonl.partial").exists());
    let asked = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(asked.success() && !child.wait().unwrap().success());
    for name in ["events.jsonl", "events.parquet", "labels.jsonl"] {
        assert!(!year.join(name).exists(), "{name}");
    }
    let (code, out, err) =
        run(bench.path(), &["generate", "--payments", "100", "--anomalies", "--out", "year"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let left =
        std::fs::read_dir(&year).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = left.filter(|name| name.ends_with(".partial")).collect();
    assert!(left.is_empty() && year.join("labels.jsonl").exists(), "{left:?}");
}
