//! The clock jumps: what is idle, what is too far ahead, and what has settled must not follow it.

use std::{
    fs::{File, FileTimes},
    os::unix::fs::FileExt,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use serde_json::json;

use super::shim;
use crate::support::{Bench, Daemon, fiscwatch, free_port, lines, payment, wait_until, write};

const YEAR: i64 = 365 * 86_400;

struct Jumping {
    _bench: Bench,
    daemon: Daemon,
    clock: PathBuf,
}

impl Jumping {
    fn start(config: &str) -> Self {
        let bench = Bench::new("", config);
        let clock = bench.path().join("clock");
        std::fs::write(&clock, 0i64.to_ne_bytes()).unwrap();
        let port = free_port();
        let mut command = fiscwatch();
        command
            .current_dir(bench.path())
            .args(["run", "--config", "fiscwatch.yaml"])
            .env("FISCWATCH_HTTP__LISTEN", format!("127.0.0.1:{port}"));
        shim::with_clock(&mut command, &clock);
        let daemon = Daemon::adopt(command.spawn().unwrap(), port);
        wait_until(|| daemon.get("/-/ready").0 == 200);
        Self { _bench: bench, daemon, clock }
    }

    fn jump(&self, seconds: i64) {
        // In place: the daemon has mapped the file.
        let file = File::options().write(true).open(&self.clock).unwrap();
        file.write_all_at(&(seconds * 1_000_000).to_ne_bytes(), 0).unwrap();
    }

    /// Sends a payment whose time is so far from now.
    fn send(&self, id: &str, seconds: i64) -> String {
        let mut event = payment(id, "L", "1.00");
        event["occurred_at"] = json!(now() * 1000 + seconds * 1000);
        let (status, answer) = self.daemon.post("/api/v1/events", &lines(&[event]));
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// The watermark, in seconds from now.
    fn watermark(&self) -> i64 {
        let metrics = self.daemon.get("/metrics").1;
        let value = metrics
            .lines()
            .find_map(|line| line.strip_prefix("fiscwatch_watermark_timestamp_seconds{source=\"http\"} "));
        value.unwrap().parse::<f64>().unwrap() as i64 - now()
    }
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

const ACCEPTED: &str = "{\"accepted\":1,\"duplicates\":0,\"rejected\":0}";
const REJECTED: &str = "{\"accepted\":0,\"duplicates\":0,\"rejected\":1}";

#[test]
fn a_clock_that_jumps_moves_neither_the_watermark_nor_the_limit_of_the_future() {
    if !shim::available("faults::clock") {
        return;
    }
    let jumping = Jumping::start("state: { dir: state }\nengine: { idle: 1s, lateness: 10m }\n");
    assert_eq!(jumping.send("a", -7200), ACCEPTED);
    // Silence moves the watermark with the clock, to now less the lateness.
    let moved = |jumping: &Jumping| (-610..=-500).contains(&jumping.watermark());
    // A commit tells it: this event is a duplicate.
    let tell = |jumping: &Jumping| {
        let (status, _) = jumping.daemon.post("/api/v1/events", "{}");
        assert_eq!(status, 200);
    };
    wait_until(|| {
        tell(&jumping);
        moved(&jumping)
    });
    for years in [1, -1, 30, -30] {
        jumping.jump(years * YEAR);
        std::thread::sleep(Duration::from_millis(2500));
        tell(&jumping);
        assert!(moved(&jumping), "{years} years: {} s", jumping.watermark());
        assert_eq!(jumping.send(&format!("now {years}"), 0), ACCEPTED, "{years} years");
        assert_eq!(jumping.send(&format!("later {years}"), 2 * 86_400), REJECTED, "{years} years");
        jumping.jump(0);
    }
    assert_eq!(jumping.daemon.stop("-TERM"), Some(0));
}

#[test]
fn a_file_from_the_future_is_settled_when_it_stays_as_it_is() {
    let config =
        "sources: [{ name: drop, directory: { path: drop, settle: 300ms } }]\nstate: { dir: state }\n";
    let bench = Bench::new("", config);
    let path = write(bench.path(), "drop/a.jsonl", &lines(&[payment("a", "L1", "1.00")]));
    let times = FileTimes::new().set_modified(SystemTime::now() + Duration::from_hours(24));
    File::options().write(true).open(path).unwrap().set_times(times).unwrap();
    let daemon = Daemon::start(bench.path());
    wait_until(|| daemon.get("/api/v1/budget-lines/L1").0 == 200);
}
