//! Commands whose output nobody reads to its end, and whose environment is not all text.

use std::{os::unix::ffi::OsStrExt as _, process::Stdio};

use crate::support::{Bench, fiscwatch, lines, payment, run};

/// Commands that print, of a state that is there.
fn printing(bench: &Bench) -> Vec<Vec<String>> {
    let config = bench.path().join("fiscwatch.yaml").display().to_string();
    let on_state =
        ["check", "state info", "state verify", "audit verify", "routes show", "alerts list", "user list"];
    let of_state = on_state.map(|text| format!("{text} --config {config}"));
    let all = of_state.into_iter().chain(["completions bash", "access show", "man"].map(String::from));
    all.map(|text| text.split(' ').map(String::from).collect()).collect()
}

/// `| head -1` is no failure, and a full disk is told in our words: neither is a panic.
#[test]
fn what_nobody_reads_ends_no_command() {
    let source = "rules: { paths: [rules] }\nstate: { dir: state }\nsources: [{ name: feed, file: { path: events.jsonl } }]\n";
    let bench = Bench::new(&lines(&[payment("p1", "L", "1.00")]), source);
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    for args in printing(&bench) {
        let of = |stdout: Stdio, stderr: Stdio| {
            let mut command = fiscwatch();
            command.current_dir(bench.path()).args(&args).stdout(stdout).stderr(stderr);
            command.spawn().unwrap().wait_with_output().unwrap()
        };
        let whole = of(Stdio::piped(), Stdio::piped());
        let closed = || {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            Stdio::from(writer)
        };
        let out = of(closed(), Stdio::piped());
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(!said.contains("panicked"), "{args:?}: {said}");
        assert_eq!(out.status.code(), whole.status.code(), "{args:?}: {said}");
        assert_eq!(of(closed(), closed()).status.code(), whole.status.code(), "{args:?}");
        if whole.stdout.is_empty() {
            continue;
        }
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let out = of(Stdio::from(full), Stdio::piped());
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(said.contains("the disk is full") && !said.contains("panicked"), "{args:?}: {said}");
        assert_eq!(out.status.code(), Some(1), "{args:?}: {said}");
    }
}

/// What others put into the environment is nobody's business; what is ours is read or told.
#[test]
fn variables_that_are_no_text_end_no_command() {
    let bench = Bench::new("", "rules: { paths: [rules] }\n");
    let with = |name: &str| {
        let mut command = fiscwatch();
        let value = std::ffi::OsStr::from_bytes(b"\xff");
        command.current_dir(bench.path()).args(["check", "--config", "fiscwatch.yaml"]).env(name, value);
        let out = command.output().unwrap();
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    let (code, said) = with("SOMETHING");
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = with("FISCWATCH_STATE__DIR");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("$FISCWATCH_STATE__DIR: its value is not UTF-8"), "{said}");
}
