//! `kill -9` at random moments, for real: nothing twice, nothing lost.

use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::{Bench, Daemon, kill_after, lines, random_events, run_once};

const CONFIG: &str = "
sources: [{ name: feed, file: { path: events.jsonl } }]
state: { dir: state, checkpoint_events: 1500 }
engine: { batch_rows: 40 }
";

/// Kills in an ordinary test run; `FISCWATCH_TEST_KILLS` asks for more.
const KILLS: u32 = 25;
/// After so many kills a stream may end undisturbed, so that the test ends on a slow machine too.
const KILLS_A_STREAM: u32 = 12;

#[test]
fn killed_at_random_moments_it_ends_where_an_undisturbed_run_ends() {
    let kills: u32 = std::env::var("FISCWATCH_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    let seed: u64 = std::env::var("FISCWATCH_TEST_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut killed = 0;
    let mut survived = 0;
    while killed < kills {
        let bench = Bench::new(&lines(&random_events(rng.random(), 5_000)), CONFIG);
        let started = Instant::now();
        let expected = bench.backtest(&[]);
        // Machines differ: a moment to kill at is drawn from about the time that a whole run takes on this one.
        let whole = started.elapsed();
        for _ in 0..KILLS_A_STREAM {
            let moment = whole.mul_f64(rng.random_range(0.05..1.5));
            if !kill_after(run_once(&bench), moment) {
                break;
            }
            killed += 1;
        }
        assert!(run_once(&bench).wait().unwrap().success());
        survived += 1;
        assert_eq!(bench.state(), expected, "after {killed} kills, seed {seed}");
    }
    println!("{killed} kills over {survived} streams");
}

#[test]
fn an_answered_request_survives_a_kill() {
    let events = random_events(3, 300);
    let bench = Bench::new(&lines(&events), "state: { dir: state }\n");
    let expected = bench.backtest(&[]);
    for part in events.chunks(60) {
        let daemon = Daemon::start(bench.path());
        let (status, answer) = daemon.post("/api/v1/events", &lines(part));
        assert_eq!(status, 200, "{answer}");
        // The drop is a kill -9 right after the answer.
    }
    assert_eq!(bench.state(), expected);
}
