//! Rules and queries that were written to stop the watch: each is held against its bounds of time and memory, in `check`,
//! in a backtest, and in the daemon, where it must neither stop the stream nor end the process. The figures that were
//! measured stand in docs/security.md.

mod daemon;
mod offline;

use std::{
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{fiscwatch, lines, payment};

/// What one process may use, in MiB. The debug build itself takes some 150.
const MEMORY_MIB: u64 = 700;

/// What a process did within its bounds.
struct Held {
    code: Option<i32>,
    text: String,
    seconds: f64,
    mib: u64,
}

/// A folder with rules, a configuration and events.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new(rules: &str, events: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("rules")).unwrap();
        std::fs::write(dir.path().join("rules/rules.yaml"), rules).unwrap();
        std::fs::write(dir.path().join("fiscwatch.yaml"), CONFIG).unwrap();
        std::fs::write(dir.path().join("events.jsonl"), stream(events)).unwrap();
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs a command; one that takes longer than `seconds` is killed, and that is a failure.
    fn run(&self, args: &[&str], seconds: u64) -> Held {
        let (out, err) = (self.path().join("out"), self.path().join("err"));
        let started = Instant::now();
        let mut child = fiscwatch()
            .current_dir(self.path())
            .args(args)
            .env("FISCWATCH_LANG", "en")
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&out).unwrap())
            .stderr(std::fs::File::create(&err).unwrap())
            .spawn()
            .unwrap();
        let mut mib = 0;
        let status = loop {
            mib = peak_mib(&child).unwrap_or(mib);
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > Duration::from_secs(seconds) {
                let _ = child.kill();
                let _ = child.wait();
                panic!("{args:?} took more than {seconds} s, at {mib} MiB");
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let text = [out, err].map(|path| std::fs::read_to_string(path).unwrap()).concat();
        Held { code: status.code(), text, seconds: started.elapsed().as_secs_f64(), mib }
    }

    fn check(&self) -> Held {
        self.run(&["check", "--config", "fiscwatch.yaml"], 60)
    }

    fn backtest(&self) -> Held {
        self.run(
            &[
                "backtest",
                "--config",
                "fiscwatch.yaml",
                "--events",
                "events.jsonl",
                "--findings",
                "found.jsonl",
            ],
            120,
        )
    }
}

/// The most memory that a process had so far.
fn peak_mib(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? / 1024)
}

impl Held {
    /// It ended by itself, in its bounds, and said something.
    fn within(&self, what: &str) -> &Self {
        eprintln!("{what}: {:.1} s, {} MiB", self.seconds, self.mib);
        assert!(self.code.is_some(), "{what} ended by a signal: {}", self.text);
        assert!(self.mib < MEMORY_MIB, "{what} took {} MiB", self.mib);
        self
    }

    fn says(&self, text: &str) -> &Self {
        assert!(self.text.contains(text), "{text:?} is not in: {}", self.text);
        self
    }
}

const CONFIG: &str = "
language: en
time_zone: Asia/Shanghai
rules: { paths: [rules] }
engine: { query_time: 500ms, query_memory_mib: 128 }
state: { dir: state }
http: { listen: 127.0.0.1:0 }
";

/// Payments of two days, so that a daily schedule is due.
fn stream(events: usize) -> String {
    let event = |n: usize| {
        let mut event = payment(&format!("e{n}"), &format!("L{}", n % 7), &format!("{}.50", n % 900 + 1));
        let at = 1_772_600_000_000i64
            + i64::try_from(n).unwrap() * 172_800_000 / i64::try_from(events.max(1)).unwrap();
        event["occurred_at"] = json!(at);
        event["purpose"] = json!("办公用品采购");
        event
    };
    lines(&(0..events).map(event).collect::<Vec<_>>())
}

/// A rule on a schedule.
fn schedule(id: &str, sql: &str) -> String {
    format!("  - {{id: {id}, severity: low, trigger: schedule, every: 1d, key: [], sql: \"{sql}\"}}\n")
}

/// A rule on payments.
fn row(id: &str, when: &str) -> String {
    format!("  - {{id: {id}, severity: low, trigger: payment, key: [unit_code], when: \"{when}\"}}\n")
}

fn rules(rules: &[String]) -> String {
    format!("rules:\n{}", rules.concat())
}

fn write_rules(bench: &Bench, text: &str) {
    std::fs::write(bench.path().join("rules/rules.yaml"), text).unwrap();
}
