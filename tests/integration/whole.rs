//! Commands that write several files leave all of them or none: on a full disk, and when somebody presses Ctrl-C.

use std::{
    fs,
    process::{Command, Output},
    time::Duration,
};

use serde_json::json;

use crate::support::{Bench, fiscwatch, lines, payment, run};

const CONFIG: &str = "state: { dir: state }
language: en
sources: [{ name: feed, file: { path: events.jsonl } }]
rules: { paths: [rules] }
";

/// Two years, of which the first is frozen.
fn bench() -> Bench {
    let mut events = Vec::new();
    for year in [2023, 2024] {
        for n in 0..40 {
            let line = format!("L{year}-{n}");
            events.push(json!({"event_id": format!("a{year}-{n}"), "type": "budget", "action": "approve", "budget_line_id": line,
                "occurred_at": format!("{year}-01-02"), "amount": "1000.00", "fiscal_year": year, "region_code": "330100000",
                "unit_code": format!("10100{}", n % 5), "function_code": "2050201", "economic_code": format!("3020{}", n % 4)}));
            let mut paid = payment(&format!("p{year}-{n}"), &line, &format!("{}.01", 100 + n));
            paid["occurred_at"] = json!(format!("{year}-06-02T09:00:00+08:00"));
            paid["fiscal_year"] = json!(year);
            events.push(paid);
        }
    }
    let bench = Bench::new(&lines(&events), CONFIG);
    for args in [&["run", "--once"][..], &["settle", "2024", "--freeze"]] {
        let (code, _, err) = run(bench.path(), &[args, &["--config", "fiscwatch.yaml"]].concat());
        assert_eq!(code, Some(0), "{err}");
    }
    bench
}

const WRITES: [&[&str]; 3] = [
    &["settle", "2024", "--out", "out"],
    &["publish", "2024", "--out", "out"],
    &["budget", "propose", "--year", "2025", "--out", "out"],
];

/// A command whose folder `out` is on a disk of so many kilobytes, and what was in it afterwards.
fn on_small_disk(bench: &Bench, args: &[&str], kib: u32) -> Option<(Output, String)> {
    let script = format!(
        "mount -t tmpfs -o size={kib}k tmpfs out || exit 99; \"$@\"; code=$?; ls -A out > listed; exit $code"
    );
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
    command.arg(fiscwatch().get_program()).args(args).args(["--config", "fiscwatch.yaml"]);
    let output = command.current_dir(bench.path()).env("FISCWATCH_LANG", "en").output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(99) || said.starts_with("unshare:") {
        println!("whole: skipped, this machine makes no small disks: {said}");
        return None;
    }
    let listed = fs::read_to_string(bench.path().join("listed")).unwrap();
    Some((output, listed))
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_half_written() {
    let bench = bench();
    fs::create_dir(bench.path().join("out")).unwrap();
    for args in WRITES {
        for kib in [4, 8] {
            let Some((output, listed)) = on_small_disk(&bench, args, kib) else { return };
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{args:?} {kib}: {said}");
            assert!(
                said.contains("the disk is full") && !said.contains("os error"),
                "{args:?} {kib}: {said}"
            );
            assert_eq!(listed, "", "{args:?} {kib}");
        }
        let Some((output, listed)) = on_small_disk(&bench, args, 4096) else { return };
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(listed.lines().count() >= 3, "{listed}");
    }
}

#[test]
fn a_command_that_is_interrupted_leaves_all_of_its_files_or_none() {
    let bench = bench();
    for args in WRITES {
        let whole = {
            let (code, _, err) = run(bench.path(), &[args, &["--config", "fiscwatch.yaml"]].concat());
            assert_eq!(code, Some(0), "{err}");
            names(&bench)
        };
        for wait in (0..12).map(|n| Duration::from_millis(n * 25)) {
            let mut command = fiscwatch();
            command.current_dir(bench.path()).args(args).args(["--config", "fiscwatch.yaml"]);
            let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
            let id = child.id().to_string();
            std::thread::sleep(wait);
            let _ = Command::new("kill").args(["-INT", &id]).status();
            child.wait().unwrap();
            let left = names(&bench);
            assert!(left.is_empty() || left == whole, "{args:?} after {wait:?}: {left:?}");
        }
    }
}

/// The files that are there, which are taken away.
fn names(bench: &Bench) -> Vec<String> {
    let out = bench.path().join("out");
    let entries = fs::read_dir(&out).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let _ = fs::remove_dir_all(out);
    names
}
