//! What systemd sees of the daemon: ready, beating, reloading, stopping; and its log as journald takes it.

use std::{
    os::{linux::fs::MetadataExt, unix::net::UnixDatagram},
    path::Path,
    process::Stdio,
    time::Duration,
};

use serde_json::json;

use crate::support::{Bench, Daemon, file_lines, fiscwatch, free_port, lines, payment, wait_until, write};

/// A supervisor's end of `sd_notify(3)`.
struct Supervisor {
    socket: UnixDatagram,
    dir: tempfile::TempDir,
}

impl Supervisor {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        Self { socket, dir }
    }

    /// Starts a daemon on the bench with a watchdog of a second, and waits until it is ready.
    fn start(&self, bench: &Bench) -> (Daemon, Vec<String>) {
        self.start_failing(bench, "")
    }

    /// The same with a failpoint.
    fn start_failing(&self, bench: &Bench, failpoint: &str) -> (Daemon, Vec<String>) {
        let daemon = self.begin(bench, failpoint);
        let before = self.until(|text| text.contains("READY=1"));
        (daemon, before)
    }

    /// Begins to start a daemon, and waits for nothing.
    fn begin(&self, bench: &Bench, failpoint: &str) -> Daemon {
        let port = free_port();
        let mut command = fiscwatch();
        command
            .current_dir(bench.path())
            .args(["run", "--config", "fiscwatch.yaml"])
            .env("FISCWATCH_HTTP__LISTEN", format!("127.0.0.1:{port}"))
            .env("NOTIFY_SOCKET", self.dir.path().join("notify"))
            .env("WATCHDOG_USEC", "1000000")
            .stderr(Stdio::null());
        if !failpoint.is_empty() {
            command.env("FAILPOINT", failpoint);
        }
        let child = command.spawn().unwrap();
        let (_, log) = std::sync::mpsc::channel();
        Daemon { child, address: format!("http://127.0.0.1:{port}"), log }
    }

    /// All that is told up to what is waited for.
    fn until(&self, found: impl Fn(&str) -> bool) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            let mut buffer = [0; 4096];
            let n = self.socket.recv(&mut buffer).expect("told within a minute");
            told.push(String::from_utf8_lossy(&buffer[..n]).into_owned());
            if told.last().is_some_and(|text| found(text)) {
                return told;
            }
        }
    }

    /// Whether the heart beats within the time.
    fn beats_within(&self, time: Duration) -> bool {
        self.socket.set_read_timeout(Some(time)).unwrap();
        let mut buffer = [0; 4096];
        let beat = self.socket.recv(&mut buffer).is_ok_and(|n| buffer[..n].starts_with(b"WATCHDOG=1"));
        self.socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        beat
    }
}

fn bench() -> Bench {
    Bench::new("", "state: { dir: state }\n")
}

#[test]
fn a_supervisor_is_told_what_the_daemon_does() {
    let supervisor = Supervisor::new();
    let bench = bench();
    let (daemon, before) = supervisor.start(&bench);
    let recovers = |text: &String| text.starts_with("STATUS=recovering");
    assert!(before.iter().any(recovers), "{before:?}");

    // The heart beats though nothing happens, and says what has happened.
    assert_eq!(daemon.post("/api/v1/events", &payment("p1", "L1", "5").to_string()).0, 200);
    supervisor.until(|text| text.starts_with("WATCHDOG=1") && text.contains("STATUS=1 accepted"));

    // A reload says when it began, and that it is over.
    assert_eq!(daemon.post("/-/reload", "").0, 200);
    supervisor.until(|text| text.starts_with("RELOADING=1\nMONOTONIC_USEC="));
    supervisor.until(|text| text.starts_with("READY=1"));

    assert_eq!(daemon.stop("-TERM"), Some(0));
    supervisor.until(|text| text.starts_with("STOPPING=1"));
}

#[test]
fn a_supervisor_that_does_not_read_holds_nothing_up() {
    let supervisor = Supervisor::new();
    let bench = bench();
    // Its buffer is full before the daemon starts, so that the first message already waits.
    let flood = UnixDatagram::unbound().unwrap();
    flood.set_nonblocking(true).unwrap();
    while flood.send_to(b"STATUS=full", supervisor.dir.path().join("notify")).is_ok() {}
    let mut daemon = supervisor.begin(&bench, "");
    assert!(daemon.ready_or_dead(), "it starts");
    assert_eq!(daemon.post("/api/v1/events", &payment("p1", "L1", "5").to_string()).0, 200);
    assert_eq!(daemon.post("/-/reload", "").0, 200);
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

#[test]
fn a_loop_that_hangs_does_not_beat() {
    let bench = bench();
    let supervisor = Supervisor::new();
    let (daemon, _) = supervisor.start_failing(&bench, "commit.journal=delay:6000@1");
    supervisor.until(|text| text.starts_with("WATCHDOG=1"));

    // A commit hangs in a write, for longer than the watchdog waits.
    let posting = std::thread::spawn({
        let (address, event) = (daemon.address.clone(), payment("p1", "L1", "5").to_string());
        move || ureq::post(format!("{address}/api/v1/events")).send(event).unwrap().status()
    });
    // The beats that were on their way come first; then there is silence for more than the watchdog's time.
    wait_until(|| !supervisor.beats_within(Duration::from_millis(2500)));
    assert_eq!(daemon.get("/-/healthy").0, 200);

    // When the disk answers again, so does the heart.
    assert_eq!(posting.join().unwrap(), 200);
    supervisor.until(|text| text.starts_with("WATCHDOG=1"));
}

/// A restart would not take the database from another program.
#[test]
fn a_loop_that_waits_for_another_program_beats() {
    let bench = bench();
    let supervisor = Supervisor::new();
    let (daemon, _) = supervisor.start(&bench);
    let other = rusqlite::Connection::open(bench.path().join("state/fiscwatch.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let posting = std::thread::spawn({
        let (address, event) = (daemon.address.clone(), payment("p1", "L1", "5").to_string());
        move || ureq::post(format!("{address}/api/v1/events")).send(event).unwrap().status()
    });
    let waits =
        |text: &str| text.contains("STATUS=waits for the database, which another program has held for");
    supervisor.until(waits);
    // For longer than the watchdog's time.
    assert!((0..8).all(|_| supervisor.beats_within(Duration::from_secs(1))));
    assert!(!posting.is_finished());
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(posting.join().unwrap(), 200);
    supervisor.until(|text| text.starts_with("WATCHDOG=1") && text.contains("STATUS=1 accepted"));

    // So does a start that waits for it: it tells systemd to be patient.
    assert_eq!(daemon.stop("-TERM"), Some(0));
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = supervisor.begin(&bench, "");
    let told = supervisor.until(waits);
    assert!(told.last().is_some_and(|text| text.contains("EXTEND_TIMEOUT_USEC=")), "{told:?}");
    other.execute_batch("ROLLBACK").unwrap();
    supervisor.until(|text| text.contains("READY=1"));
    assert_eq!(waiting.stop("-TERM"), Some(0));
}

/// Runs the daemon over the events with its log in a file, which is said to be journald's if it `is_journal`.
fn log_of(bench: &Bench, format: &str, is_journal: bool) -> Vec<String> {
    let path = write(bench.path(), "log", "");
    let file = std::fs::File::options().append(true).open(&path).unwrap();
    let meta = file.metadata().unwrap();
    let mut command = fiscwatch();
    command
        .current_dir(bench.path())
        .args(["run", "--once", "--config", "fiscwatch.yaml"])
        .env("FISCWATCH_LOG__FORMAT", format)
        .env("FISCWATCH_LOG__LEVEL", "info")
        .stderr(Stdio::from(file));
    if is_journal {
        command.env("JOURNAL_STREAM", format!("{}:{}", meta.st_dev(), meta.st_ino()));
    }
    assert!(command.status().unwrap().success());
    std::fs::remove_dir_all(bench.path().join("state")).unwrap();
    file_lines(&path)
}

fn bench_with_findings() -> Bench {
    let mut cash = payment("cash-1", "L1", "50000");
    cash["settlement"] = json!("cash");
    cash["payee_name"] = json!("王小明");
    cash["payee_account"] = json!("6222020200112233445");
    cash["purpose"] = json!("看病借支");
    let mut broken = payment("broken-1", "L1", "1.234");
    broken["payee_name"] = json!("王小明");
    let config = "
sources: [{ name: feed, file: { path: events.jsonl } }]
state: { dir: state }
sinks: [{ name: console, log: {} }]
routes: { group_wait: 0s, group_by: [rule] }
";
    Bench::new(&lines(&[cash, broken]), config)
}

#[test]
fn journald_gets_priorities_instead_of_times() {
    let bench = bench_with_findings();
    let lines = log_of(&bench, "text", true);
    assert!(lines.iter().all(|line| line.starts_with("<6>") || line.starts_with("<4>")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("<6>finding rule=")), "{lines:#?}");
    let lines = log_of(&bench, "json", true);
    assert!(lines.iter().all(|line| line.starts_with("<6>{") || line.starts_with("<4>{")), "{lines:#?}");
    // Anywhere else a line has its time and level.
    let lines = log_of(&bench, "text", false);
    assert!(lines.iter().all(|line| line.contains("Z  INFO ") || line.contains("Z  WARN ")), "{lines:#?}");
}

#[test]
fn the_log_has_no_personal_data() {
    let bench = bench_with_findings();
    for format in ["text", "json"] {
        let log = log_of(&bench, format, false).join("\n");
        assert!(log.contains("finding"), "{log}");
        for private in ["王小明", "6222020200112233445", "看病", "50000"] {
            assert!(!log.contains(private), "{private}: {log}");
        }
    }
}

#[test]
fn an_event_is_followed_to_its_notification() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/follow.sh");
    let bench = bench_with_findings();
    for (format, is_journal) in [("text", false), ("json", false), ("text", true)] {
        log_of(&bench, format, is_journal);
        let log = std::fs::File::open(bench.path().join("log")).unwrap();
        let output =
            std::process::Command::new(&script).arg("cash-1").stdin(Stdio::from(log)).output().unwrap();
        let followed = String::from_utf8(output.stdout).unwrap();
        let steps = ["finding", "large-cash", "notification", "notified"];
        let found: Vec<_> = steps.iter().filter(|step| followed.contains(**step)).collect();
        assert_eq!(found.len(), steps.len(), "{format}: {followed}");
        assert!(!followed.contains("broken-1"), "{followed}");
    }
}

/// Two megabytes that the kernel zeroes for a few kilobytes are time and memory: a daemon asks it not to, however it was
/// started.
#[test]
#[cfg(target_os = "linux")]
fn a_daemon_has_no_large_pages() {
    let bench = Bench::new("", "");
    write(bench.path(), "fiscwatch.yaml", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.child.id())).unwrap();
    let said = status.lines().find_map(|line| line.strip_prefix("THP_enabled:"));
    // Kernels before 4.20 do not say it.
    assert!(said.is_none_or(|said| said.trim() == "0"), "{said:?}");
}
