//! A run that ends by itself: it reads what is there, however long that takes, says what became of it, and its exit code
//! is what a nightly job goes by.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{Bench, fiscwatch, lines, payment, run, write};

const CONFIG: [&str; 2] = ["--config", "fiscwatch.yaml"];

/// Runs a command that must end by itself.
fn ends(mut command: Command, input: &[u8]) -> (Option<i32>, String) {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let id = child.id().to_string();
    let (done, waited) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        if waited.recv_timeout(Duration::from_mins(2)).is_err() {
            let _ = Command::new("kill").args(["-9", &id]).status();
        }
    });
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let _ = done.send(());
    (status.code(), String::from_utf8([stderr, stdout].concat()).unwrap())
}

fn once(dir: &Path, input: &[u8]) -> (Option<i32>, String) {
    let mut command = fiscwatch();
    command.current_dir(dir).args(["run", "--once"]).args(CONFIG).env("FISCWATCH_LOG__LEVEL", "info");
    ends(command, input)
}

fn rejects(dir: &Path) -> Vec<(String, String)> {
    let (code, out, err) = run(dir, &[&["rejects", "list", "--json"][..], &CONFIG].concat());
    assert_eq!(code, Some(0), "{err}");
    let reject = |line: &str| {
        let reject: Value = serde_json::from_str(line).unwrap();
        let partition = reject["partition"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        (partition, reject["reason"].as_str().unwrap().to_owned())
    };
    out.lines().map(reject).collect()
}

fn accepted(dir: &Path) -> i64 {
    let (_, info, _) = run(dir, &[&["state", "info", "--json"][..], &CONFIG].concat());
    serde_json::from_str::<Value>(&info).unwrap()["events"].as_i64().unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Payments as CSV, with the names of the payees given.
fn csv(names: &[&str], line_end: &str) -> String {
    let header = "event_id,type,occurred_at,budget_line_id,fiscal_year,region_code,unit_code,function_code,economic_code,payment_mode,settlement,payee_name,payee_account,payee_type,amount";
    names.iter().zip(1..).fold(format!("{header}{line_end}"), |text, (name, n)| {
        format!(
            "{text}c{n},payment,2026-03-04,L,2026,330100000,101001,2050201,30201,direct,transfer,{name},3301{n},entity,10.00{line_end}"
        )
    })
}

#[test]
fn a_nightly_job_over_a_drop_directory_ends_and_says_what_it_met() {
    let bench = Bench::new(
        "",
        "sources: [{ name: drop, directory: { path: drop, pattern: '*.{jsonl,csv}', afterwards: move, settle: 200ms } }]\nstate: { dir: state }\n",
    );
    let drop = bench.path().join("drop");
    let mut barter = payment("b", "L", "1.00");
    barter["settlement"] = "barter".into();
    write(&drop, "a.jsonl", &lines(&[payment("a", "L", "1.00"), barter]));
    write(&drop, "b.csv", &csv(&["甲", "乙"], "\r"));
    write(&drop, "empty.jsonl", "");
    write(&drop, "blank.jsonl", "\n\n \n");
    write(&drop, "header.csv", &csv(&[], "\n"));
    write(&drop, "note.txt", "not for us");
    write(&drop, "later/c.jsonl", &lines(&[payment("z", "L", "1.00")]));
    let gbk = encoding_rs::GB18030.encode(&csv(&["Acme", "杭州电力"], "\r\n")).0.into_owned();
    std::fs::write(drop.join("gbk.csv"), &gbk).unwrap();

    let (code, log) = once(bench.path(), b"");
    // Some files could not be read, and a job that looks at nothing else must know.
    assert_eq!(code, Some(1), "{log}");
    assert_eq!(accepted(bench.path()), 3, "{log}");
    let found = rejects(bench.path());
    let expected = [
        ("a.jsonl", "unknown_value"),
        ("blank.jsonl", "unreadable"),
        ("gbk.csv", "unreadable"),
        ("header.csv", "unreadable"),
    ];
    assert_eq!(found, expected.map(|(file, reason)| (file.to_owned(), reason.to_owned())), "{log}");
    assert_eq!(names(&drop), ["blank.jsonl", "done", "gbk.csv", "header.csv", "later", "note.txt"]);
    assert_eq!(names(&drop.join("done")), ["a.jsonl", "b.csv", "empty.jsonl"]);
    for said in [
        "file=\"note.txt\"",
        "folder=\"later\"",
        "GBK (GB18030) and not in UTF-8; line 3 reads `c2,payment",
        "blank.jsonl has 4 bytes and no record",
        "file=\"a.jsonl\" seen=2 accepted=1 duplicates=0 rejected=1 skipped=0",
        "file=\"b.csv\" seen=2 accepted=2",
        "10 records: 3 accepted, 0 known already, 4 rejected, 3 empty",
        "3 files could not be read whole",
    ] {
        assert!(log.replace("\u{1b}[3m", "").contains(said), "{said}: {log}");
    }

    // What stays is not told again, and a night without anything new is a good one.
    let (code, log) = once(bench.path(), b"");
    assert_eq!(code, Some(0), "{log}");
    assert_eq!((rejects(bench.path()).len(), accepted(bench.path())), (4, 3));
    // A file that was corrected is another file.
    std::thread::sleep(Duration::from_millis(20));
    write(&drop, "gbk.csv", &csv(&["Acme", "杭州电力", "丙"], "\r\n").replace("\nc", "\nd"));
    let (code, log) = once(bench.path(), b"");
    assert_eq!((code, accepted(bench.path())), (Some(0), 6), "{log}");
    assert!(!drop.join("gbk.csv").exists());
}

#[test]
fn what_cannot_be_read_is_moved_out_of_the_way_if_that_is_wished() {
    let bench = Bench::new(
        "",
        "sources: [{ name: drop, directory: { path: drop, settle: 1ms, move_refused: true } }]\nstate: { dir: state }\n",
    );
    let drop = bench.path().join("drop");
    write(&drop, "good.jsonl", &lines(&[payment("a", "L", "1.00")]));
    write(&drop, "wrong.csv", "event_id;type;occurred_at\n");
    let (code, log) = once(bench.path(), b"");
    assert_eq!(code, Some(1), "{log}");
    assert_eq!(
        (names(&drop), names(&drop.join("refused"))),
        (vec![String::from("good.jsonl"), String::from("refused")], vec![String::from("wrong.csv")])
    );
    assert_eq!(once(bench.path(), b"").0, Some(0));
}

#[test]
fn a_run_over_nothing_but_wrong_records_fails() {
    let bench = Bench::new(
        "{\"event_id\":\"a\"}\n\n[]\n",
        "sources: [{ name: pipe, stdin: {} }]\nstate: { dir: state }\n",
    );
    let input = std::fs::read(bench.path().join("events.jsonl")).unwrap();
    let (code, log) = once(bench.path(), &input);
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("3 records: 0 accepted, 0 known already, 2 rejected, 1 empty"), "{log}");
    assert!(log.contains("no record was accepted"), "{log}");
    // An event among them, and it is quarantine's to tell.
    let input = [&input[..], lines(&[payment("b", "L", "1.00")]).as_bytes()].concat();
    assert_eq!(once(bench.path(), &input).0, Some(0));
}

#[test]
fn a_file_that_is_followed_ends_too() {
    let bench = Bench::new(
        &format!("{}{{\"event_id\":\"half", lines(&[payment("a", "L", "1.00")])),
        "sources: [{ name: feed, file: { path: events.jsonl, follow: true } }]\nstate: { dir: state }\n",
    );
    let (code, log) = once(bench.path(), b"");
    assert_eq!((code, accepted(bench.path())), (Some(0), 1), "{log}");
    // The rest of the last record may still be written.
    assert!(rejects(bench.path()).is_empty());
}

/// Twice the time that a daemon that is asked to stop has; it takes as long as it says.
#[test]
fn everything_is_committed_however_long_it_takes() {
    let bench = Bench::new(
        "",
        "sources: [{ name: pipe, stdin: {} }]\nstate: { dir: state }\nengine: { batch_rows: 10 }\n",
    );
    let events: Vec<_> = (0..120).map(|n| payment(&format!("e{n}"), "L", "1.00")).collect();
    let mut command = fiscwatch();
    command.current_dir(bench.path()).args(["run", "--once"]).args(CONFIG);
    // Commits may take several batches together, so that one delay is not one batch.
    command.env("FAILPOINT", "commit.begun=delay:40000@2");
    let started = Instant::now();
    let (code, log) = ends(command, lines(&events).as_bytes());
    assert_eq!((code, accepted(bench.path())), (Some(0), 120), "{log}");
    assert!(started.elapsed() > Duration::from_secs(35), "the delay was too short to prove anything");
}

/// Windows that have no room end the run: what was read is told, and what is to be done with the rest.
#[test]
fn a_run_that_windows_have_no_room_for_says_what_was_read_and_what_was_not() {
    let rules = "
rules:
  - {id: often, title: often, severity: low, trigger: payment, over: { by: [payee_account], last: 30d }, measure: { n: count(*) }, when: n > 1000000, key: [payee_account], summary: often}
";
    let event = |n: usize| {
        let mut event = payment(&format!("p{n}"), "L1", "1.00");
        event["payee_account"] = format!("6222{n:012}").into();
        event
    };
    let input = lines(&(0..60_000).map(event).collect::<Vec<_>>());
    for (source, said) in [
        ("stdin: {}", "what was still to come through standard input is not"),
        ("file: { path: events.jsonl }", "start again: it reads on from there"),
    ] {
        let bench = Bench::new(&input, "");
        let config = format!(
            "sources: [{{ name: all, {source} }}]\nstate: {{ dir: state }}\nengine: {{ window_memory_mib: 1, batch_rows: 1000 }}\nhttp: {{ listen: '127.0.0.1:0' }}\n"
        );
        write(bench.path(), "fiscwatch.yaml", &config);
        write(bench.path(), "rules/rules.yaml", rules);
        let mut command = fiscwatch();
        command.current_dir(bench.path()).args(["run", "--once"]).args(CONFIG);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut pipe, sent) = (child.stdin.take().unwrap(), input.clone());
        // The pipe breaks when the run ends.
        let writer = std::thread::spawn(move || pipe.write_all(sent.as_bytes()).is_ok());
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert_eq!(status.code(), Some(1), "{out} {err}");
        assert!(err.contains("engine.window_memory_mib") && err.contains(said), "{err}");
        let accepted = accepted(bench.path());
        assert!((1000..60_000).contains(&accepted), "{accepted}");
        assert!(out.contains(&format!("{accepted} records: {accepted} accepted")), "{out}");
        drop(writer.join());
    }
}

/// A nightly job that was interrupted is not one that is done.
#[test]
fn a_run_that_is_interrupted_says_so_and_the_next_one_goes_on() {
    let config = "sources: [{ name: feed, file: { path: events.jsonl } }]\nstate: { dir: state }\nengine: { batch_rows: 1 }\n";
    let events: Vec<_> = (0..60).map(|n| payment(&format!("e{n}"), "L", "1.00")).collect();
    let bench = Bench::new(&lines(&events), config);
    let mut command = fiscwatch();
    command
        .current_dir(bench.path())
        .args(["run", "--once"])
        .args(CONFIG)
        .env("FISCWATCH_LOG__LEVEL", "info");
    command.env("FAILPOINT", "commit.begun=delay:300");
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(log.any(|line| line.contains("ready")));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let rest = log.collect::<Vec<_>>().join("\n");
    assert_eq!(child.wait().unwrap().code(), Some(1), "{rest}");
    assert!(rest.contains("asked to stop before everything was read and committed"), "{rest}");
    assert!(rest.contains("the next run goes on from there"), "{rest}");
    assert_eq!(once(bench.path(), b"").0, Some(0));
    assert_eq!(accepted(bench.path()), 60);
}

/// What a pipe still had is gone, and nothing goes on from there.
#[test]
fn a_run_over_a_pipe_that_is_interrupted_asks_for_all_of_it_again() {
    let bench = Bench::new("", "sources: [{ name: feed, stdin: {} }]\nstate: { dir: state }\n");
    let mut command = fiscwatch();
    command.current_dir(bench.path()).args(["run", "--once"]).args(CONFIG);
    command.env("FISCWATCH_LOG__LEVEL", "info").stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(lines(&[payment("e1", "L", "1.00")]).as_bytes()).unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(log.any(|line| line.contains("ready")));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let rest = log.collect::<Vec<_>>().join("\n");
    assert_eq!(child.wait().unwrap().code(), Some(1), "{rest}");
    assert!(rest.contains("Send all of it again"), "{rest}");
    assert!(!rest.contains("the next run goes on from there"), "{rest}");
    drop(pipe);
}

/// March has two payments in all, and they come in two nights.
fn nights(option: &[&str]) -> (Bench, Vec<Value>) {
    let rule = "rules:\n  - id: quiet\n    title: { zh: 月内支付少, en: Few payments }\n    severity: low\n    trigger: window\n    of: payment\n    window: { by: [unit_code], size: month }\n    measure: { n: count(*) }\n    when: n < 2\n    key: [unit_code]\n    summary: { zh: '{{ n }}', en: '{{ n }}' }\n";
    let config = "sources: [{ name: feed, file: { path: feed.jsonl } }]\nstate: { dir: state }\n";
    let bench = Bench::new("", config);
    write(&bench.path().join("rules"), "quiet.yaml", rule);
    let night = |days: &[&str]| {
        let events = days.iter().map(|day| {
            let mut event = payment(day, "L", "1.00");
            event["occurred_at"] = format!("2026-{day}T10:00:00+08:00").into();
            event
        });
        let mut file = std::fs::OpenOptions::new();
        let mut file = file.append(true).create(true).open(bench.path().join("feed.jsonl")).unwrap();
        file.write_all(lines(&events.collect::<Vec<_>>()).as_bytes()).unwrap();
        let mut command = fiscwatch();
        command.current_dir(bench.path()).args(["run", "--once"]).args(option).args(CONFIG);
        let (code, log) = ends(command, b"");
        assert_eq!(code, Some(0), "{log}");
    };
    // February has begun before the journal, and is judged by nobody.
    night(&["02-03", "02-04", "03-04"]);
    night(&["03-24"]);
    // The month is over once two events of the next one came.
    night(&["04-05", "04-06"]);
    let (code, out, err) = run(bench.path(), &[&["findings", "export"][..], &CONFIG].concat());
    assert_eq!(code, Some(0), "{err}");
    let found = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    (bench, found.filter(|finding| finding["rule_id"] == "quiet").collect())
}

#[test]
fn a_job_of_every_night_leaves_windows_open_if_it_is_told_to() {
    // Nothing is found of a month that has its two payments in the end, and April is still open.
    let (bench, found) = nights(&["--keep-open"]);
    assert!(found.is_empty(), "{found:?}");
    let (code, out, err) = run(bench.path(), &[&["state", "verify", "--findings"][..], &CONFIG].concat());
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(!out.contains("left out"), "{out}");
}

#[test]
fn what_an_early_end_closed_is_no_damage() {
    // The first night closed March with one payment, as the end of all.
    let (bench, found) = nights(&[]);
    let windows = found.iter().map(|finding| finding["window"]["start"].as_str().unwrap());
    assert_eq!(windows.collect::<Vec<_>>(), ["2026-03-01T00:00:00+08:00"]);
    let (code, out, err) = run(bench.path(), &[&["state", "verify", "--findings"][..], &CONFIG].concat());
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("1 left out of windows that an earlier `run --once` closed at its end"), "{out}");
    // Whoever goes on after such an end is told.
    let (_, log) = once(bench.path(), b"");
    assert!(log.contains("the run before closed all windows at its end"), "{log}");
    let (code, said) = ends(
        {
            let mut command = fiscwatch();
            command.current_dir(bench.path()).args(["run", "--keep-open"]).args(CONFIG);
            command
        },
        b"",
    );
    assert_eq!(code, Some(1));
    assert!(said.contains("--keep-open goes with --once"), "{said}");
}
