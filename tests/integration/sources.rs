//! Files that grow, are rotated and cut; drop directories; standard input.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::support::{Bench, Daemon, append, fiscwatch, lines, payment, wait_until};

fn one(id: &str) -> String {
    lines(&[payment(id, "L1", "1.00")])
}

fn executed(daemon: &Daemon) -> String {
    daemon.json("/api/v1/budget-lines/L1")["executed"].as_str().unwrap_or("none").to_owned()
}

const FOLLOW: &str =
    "sources: [{ name: feed, file: { path: feed.jsonl, follow: true } }]\nstate: { dir: state }\n";

#[test]
fn a_growing_file_is_followed_over_rotation_restart_and_truncation() {
    let bench = Bench::new("", FOLLOW);
    let feed = bench.path().join("feed.jsonl");
    let daemon = Daemon::start(bench.path());
    append(&feed, &one("a"));
    wait_until(|| executed(&daemon) == "1.00");
    // Half a line is no record yet.
    let b = one("b");
    append(&feed, &b[..40]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(executed(&daemon), "1.00");
    append(&feed, &b[40..]);
    wait_until(|| executed(&daemon) == "2.00");

    // Rotated while running, with a last line that was written to the old file only.
    std::fs::rename(&feed, bench.path().join("feed.jsonl.1")).unwrap();
    append(&bench.path().join("feed.jsonl.1"), &one("c"));
    append(&feed, &one("d"));
    wait_until(|| executed(&daemon) == "4.00");
    assert_eq!(daemon.stop("-TERM"), Some(0));

    // Rotated while stopped: what was written before the rotation is read first.
    append(&feed, &one("e"));
    std::fs::rename(&feed, bench.path().join("feed.jsonl.2")).unwrap();
    append(&feed, &one("f"));
    let daemon = Daemon::start(bench.path());
    wait_until(|| executed(&daemon) == "6.00");

    // Cut (copytruncate): read again from its start.
    std::fs::write(&feed, "").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(400));
    append(&feed, &one("g"));
    wait_until(|| executed(&daemon) == "7.00");
    assert!(daemon.log.try_iter().any(|line| line.contains("cut shorter")));
    // Balances move with the ledger, the count with the commit that follows.
    wait_until(|| daemon.json("/api/v1/status")["journal_events"] == 7);
}

#[test]
fn a_drop_directory_reads_every_file_once() {
    let config = "sources: [{ name: drop, directory: { path: drop, pattern: '*.jsonl*', afterwards: move, settle: 100ms } }]\nstate: { dir: state }\n";
    let bench = Bench::new("", config);
    let drop = bench.path().join("drop");
    std::fs::create_dir(&drop).unwrap();
    std::fs::write(drop.join("b.jsonl"), one("b")).unwrap();
    std::fs::write(drop.join("a.jsonl.zst"), zstd::encode_all(one("a").as_bytes(), 1).unwrap()).unwrap();
    std::fs::write(drop.join("ignored.txt"), one("x")).unwrap();
    // A file that breaks off: what is before the break is read, the break is in quarantine, the file stays.
    let packed = zstd::encode_all(
        lines(&(0..2000).map(|n| payment(&format!("c{n}"), "L2", "1.00")).collect::<Vec<_>>()).as_bytes(),
        1,
    )
    .unwrap();
    std::fs::write(drop.join("c.jsonl.zst"), &packed[..packed.len() - 20]).unwrap();
    let daemon = Daemon::start(bench.path());
    wait_until(|| executed(&daemon) == "2.00");
    wait_until(|| drop.join("done/b.jsonl").exists() && drop.join("done/a.jsonl.zst").exists());
    wait_until(|| {
        daemon
            .get("/metrics")
            .1
            .contains("fiscwatch_quarantined_total{reason=\"truncated\",source=\"drop\"} 1")
    });
    assert!(drop.join("c.jsonl.zst").exists() && drop.join("ignored.txt").exists());
    std::fs::write(drop.join("d.jsonl"), one("d")).unwrap();
    wait_until(|| executed(&daemon) == "3.00");
    assert_eq!(daemon.stop("-INT"), Some(0));

    // After a restart nothing is read again.
    let daemon = Daemon::start(bench.path());
    std::thread::sleep(std::time::Duration::from_millis(800));
    let status = daemon.json("/api/v1/status");
    assert_eq!(status["since_start"]["accepted"], 0);
    assert_eq!(status["since_start"]["duplicates"], 0);
}

#[test]
fn standard_input_is_read_as_it_comes() {
    let bench = Bench::new("", "sources: [{ name: pipe, stdin: {} }]\nstate: { dir: state }\n");
    let port = crate::support::free_port();
    let mut child = fiscwatch()
        .current_dir(bench.path())
        .args(["run", "--config", "fiscwatch.yaml"])
        .env("FISCWATCH_HTTP__LISTEN", format!("127.0.0.1:{port}"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(one("a").as_bytes()).unwrap();
    input.flush().unwrap();
    // The pipe stays open: the event must be there all the same, and SIGTERM must end the process.
    let url = format!("http://127.0.0.1:{port}/api/v1/budget-lines/L1");
    wait_until(|| ureq::get(&url).call().is_ok());
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    drop(input);
}

#[test]
fn backtest_reads_standard_input() {
    let bench = Bench::new("", "");
    let mut child = fiscwatch()
        .current_dir(bench.path())
        .args(["backtest", "--config", "fiscwatch.yaml", "--events", "-", "--ledger", "l.jsonl"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{}{}", one("a"), one("b")).as_bytes()).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    assert!(crate::support::file_lines(&bench.path().join("l.jsonl"))[0].contains("\"executed\":\"2.00\""));
}
