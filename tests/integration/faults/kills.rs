//! The whole daemon killed at random moments under load: a file that is followed, events posted and answered, sealing.
//! `scripts/measure/kills.sh` asks for a thousand kills.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use fiscwatch::store::Reader;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::{State, stored, year};
use crate::support::{Bench, Daemon, fiscwatch, free_port, lines, post, wait_until};

const CONFIG: &str = "
sources: [{ name: feed, file: { path: events.jsonl, follow: true } }]
state: { dir: state, checkpoint_events: 400, seal_after: 0s }
engine: { batch_rows: 50 }
";

const KILLS: u32 = 25;
/// Kills of one stream, after which it ends undisturbed.
const KILLS_A_STREAM: u32 = 25;

/// What went wrong over all streams.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wrong {
    /// Findings that should be there and are not.
    lost: usize,
    /// Findings that are there twice.
    repeated: usize,
    /// Findings that should not be there.
    made_up: usize,
    /// Budget lines with other balances.
    ledger: usize,
    /// Requests that were answered and whose events were not there after the kill.
    answered_lost: usize,
}

/// Events that have nothing to do with others: ids and budget lines of their own.
fn apart(mut events: Vec<Value>, prefix: &str) -> Vec<Value> {
    let keys = ["event_id", "original_event_id", "application_id", "budget_line_id", "to_budget_line_id"];
    for event in &mut events {
        for key in keys {
            if let Some(value) = event[key].as_str() {
                event[key] = json!(format!("{prefix}{value}"));
            }
        }
        // Indexing a missing key has made it.
        event.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    }
    events
}

#[test]
fn killed_under_load_it_loses_and_repeats_nothing() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let kills = number("FISCWATCH_TEST_KILLS").unwrap_or(KILLS);
    let seed = number("FISCWATCH_TEST_SEED").unwrap_or(1);
    let mut rng = ChaCha8Rng::seed_from_u64(u64::from(seed));
    let (started, mut killed, mut streams) = (Instant::now(), 0, 0);
    let mut wrong = Wrong::default();
    while killed < kills {
        let stream = Stream::new(rng.next_u64());
        let progress = Progress::default();
        for _ in 0..KILLS_A_STREAM.min(kills - killed) {
            stream.live(&progress, &mut rng, &mut wrong);
            killed += 1;
        }
        stream.finish(&progress);
        stream.compare(&mut wrong);
        streams += 1;
        println!(
            "{killed} kills, {streams} streams, seed {seed}, {} s: {wrong:?}",
            started.elapsed().as_secs()
        );
    }
    assert_eq!(wrong, Wrong::default());
}

struct Stream {
    bench: Bench,
    parts: Vec<String>,
    expected: State,
}

/// How much of what is posted was answered.
#[derive(Default)]
struct Progress {
    answered: AtomicUsize,
}

impl Stream {
    fn new(seed: u64) -> Self {
        let posted = apart(year(seed, 2500), "p");
        let posting = Bench::new(&lines(&posted), "");
        let bench = Bench::new(&lines(&apart(year(!seed, 5000), "f")), CONFIG);
        // Neither stream has a budget line or a window of the other's, so together they find what each does.
        let (mut findings, mut ledger) = bench.backtest(&[]);
        let other = posting.backtest(&[]);
        findings.extend(other.0);
        ledger.extend(other.1);
        ledger.sort();
        Self { bench, parts: posted.chunks(10).map(lines).collect(), expected: (findings, ledger) }
    }

    fn path(&self) -> &Path {
        self.bench.path()
    }

    fn daemon(&self) -> Daemon {
        let port = free_port();
        let mut command = fiscwatch();
        command
            .current_dir(self.path())
            .args(["run", "--config", "fiscwatch.yaml"])
            .env("FISCWATCH_HTTP__LISTEN", format!("127.0.0.1:{port}"))
            .stderr(Stdio::null());
        Daemon::adopt(command.spawn().unwrap(), port)
    }

    /// One life: started, under load, killed at a random moment, perhaps before it was ready.
    fn live(&self, progress: &Progress, rng: &mut impl Rng, wrong: &mut Wrong) {
        let mut daemon = self.daemon();
        let moment = Duration::from_millis(rng.random_range(20..700));
        let url = format!("{}/api/v1/events", daemon.address);
        let before = progress.answered.load(Ordering::SeqCst);
        let (lost, over) = (AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // What was answered last before the kill must be there: nothing of it is new.
                let last = &self.parts[before.saturating_sub(1)];
                while !over.load(Ordering::SeqCst) {
                    let (status, answer) = post(&url, last);
                    if status == 200 {
                        let known = before == 0 || answer.starts_with("{\"accepted\":0,");
                        lost.fetch_add(usize::from(!known), Ordering::SeqCst);
                        return self.feed(&url, &progress.answered);
                    }
                    // It is starting.
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
            std::thread::sleep(moment);
            over.store(true, Ordering::SeqCst);
            daemon.child.kill().unwrap();
            daemon.child.wait().unwrap();
        });
        wrong.answered_lost += lost.into_inner();
    }

    /// Posts what was not answered, until it is not answered.
    fn feed(&self, url: &str, answered: &AtomicUsize) {
        while let Some(part) = self.parts.get(answered.load(Ordering::SeqCst)) {
            if post(url, part).0 != 200 {
                return;
            }
            answered.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The last life: everything is read and posted, and it ends well.
    fn finish(&self, progress: &Progress) {
        let mut daemon = self.daemon();
        assert!(daemon.ready_or_dead(), "it does not start after a kill");
        self.feed(&format!("{}/api/v1/events", daemon.address), &progress.answered);
        assert_eq!(progress.answered.load(Ordering::SeqCst), self.parts.len());
        let size = std::fs::metadata(self.path().join("events.jsonl")).unwrap().len();
        wait_until(|| {
            let info = Reader::open(&self.path().join("state")).unwrap().info().unwrap();
            info.positions.iter().any(|(_, _, offset)| u64::try_from(*offset) == Ok(size))
        });
        assert_eq!(daemon.stop("-TERM"), Some(0));
    }

    fn compare(&self, wrong: &mut Wrong) {
        let (findings, mut ledger) = stored(self.path());
        let id = |finding: &String| serde_json::from_str::<Value>(finding).unwrap()["finding_id"].to_string();
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for finding in &findings {
            *times.entry(id(finding)).or_default() += 1;
        }
        wrong.repeated += times.values().map(|n| n - 1).sum::<usize>();
        let found: BTreeSet<_> = findings.iter().collect();
        let expected: BTreeSet<_> = self.expected.0.iter().collect();
        wrong.lost += expected.difference(&found).count();
        wrong.made_up += found.difference(&expected).count();
        ledger.sort();
        let same = ledger.iter().zip(&self.expected.1).filter(|(a, b)| a == b).count();
        wrong.ledger += ledger.len().max(self.expected.1.len()) - same;
    }
}
