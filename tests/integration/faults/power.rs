//! The power fails: what was not synchronised is on the disk or not, by the sector and at random.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{CONFIG, Scene, died, shim, stored, year};
use crate::support::{Bench, Daemon, fiscwatch, free_port, lines};

const POINTS: u64 = 24;

#[test]
fn after_a_power_failure_at_any_change_the_state_is_whole() {
    if !shim::available("faults::power") {
        return;
    }
    let scene = Scene::new(21, 400, CONFIG);
    let count = shim::count(&mut scene.run(), "change", "state/");
    for nth in shim::points(count, POINTS) {
        scene.reset();
        let spec = format!("op=change;path=state/;nth={nth};do=power;seed={nth}");
        let mut command = scene.run();
        shim::with(&mut command, &spec);
        let output = command.output().unwrap();
        // Sealing goes on beside the commits, so the number of changes varies a little.
        assert!(died(output.status) || output.status.success(), "{spec}");
        scene.recovers(&spec);
    }
}

#[test]
fn after_power_failures_one_upon_another_the_state_is_whole() {
    if !shim::available("faults::power") {
        return;
    }
    let scene = Scene::new(22, 400, CONFIG);
    let count = shim::count(&mut scene.run(), "change", "state/");
    let mut rng = ChaCha8Rng::seed_from_u64(22);
    for round in 0..4 {
        scene.reset();
        for failure in 0..8 {
            let nth = rng.random_range(1..=count / 4);
            let seed = rng.next_u32();
            let mut command = scene.run();
            shim::with(&mut command, &format!("op=change;path=state/;nth={nth};do=power;seed={seed}"));
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(died(output.status) || output.status.success(), "round {round}, {failure}: {said}");
        }
        scene.recovers(&format!("round {round}"));
    }
}

#[test]
fn what_was_answered_survives_a_power_failure() {
    if !shim::available("faults::power") {
        return;
    }
    let events = year(23, 300);
    let parts: Vec<String> = events.chunks(15).map(lines).collect();
    let bench = Bench::new(&lines(&events), "state: { dir: state, checkpoint_events: 50, seal_after: 0s }\n");
    let expected = bench.backtest(&[]);
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    for round in 0..6 {
        let _ = std::fs::remove_dir_all(bench.path().join("state"));
        let mut answered = 0;
        let mut failures = 0;
        while answered < parts.len() {
            let port = free_port();
            let mut command = fiscwatch();
            command
                .current_dir(bench.path())
                .args(["run", "--config", "fiscwatch.yaml"])
                .env("FISCWATCH_HTTP__LISTEN", format!("127.0.0.1:{port}"))
                .stderr(std::process::Stdio::null());
            if failures < 6 {
                let (nth, seed) = (rng.random_range(1..150), rng.next_u32());
                shim::with(&mut command, &format!("op=change;path=state/;nth={nth};do=power;seed={seed}"));
            }
            failures += 1;
            let mut daemon = Daemon::adopt(command.spawn().unwrap(), port);
            if !daemon.ready_or_dead() {
                continue;
            }
            // Everything that was answered before must be known: nothing of it is new.
            for part in &parts[..answered] {
                let (status, answer) = daemon.post("/api/v1/events", part);
                assert!(status != 200 || answer.starts_with("{\"accepted\":0,"), "round {round}: {answer}");
            }
            while answered < parts.len() && daemon.post("/api/v1/events", &parts[answered]).0 == 200 {
                answered += 1;
            }
        }
        crate::support::assert_same(&stored(bench.path()), &expected, &format!("round {round}"));
    }
}
