//! kill -9 at any moment, and the machine is gone; another one goes on. `FISCWATCH_TEST_KILLS` asks for more of them.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Machines, expected, has_read, hasty, query, state, try_post};
use crate::support::{Daemon, agent, append, assert_same, lines, payment, random_events, wait_until};

const KILLS: usize = 12;

#[test]
fn killed_at_any_moment_on_any_machine_nothing_is_lost_or_repeated() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let kills: usize = number("FISCWATCH_TEST_KILLS").unwrap_or(KILLS);
    let mut rng = ChaCha8Rng::seed_from_u64(number("FISCWATCH_TEST_SEED").unwrap_or(3) as u64);
    let events = random_events(77, kills * 120);
    let machines = Machines::new("wait");
    let mut answered = Vec::new();
    for (n, part) in events.chunks(120).enumerate() {
        let machine = machines.machine(&format!("m{}", n % 2));
        let daemon = hasty(&machine);
        append(&machines.feed(), &lines(part));
        let wait = Duration::from_millis(rng.random_range(200..2500));
        let started = std::time::Instant::now();
        while started.elapsed() < wait {
            let id = format!("posted-{n}-{}", answered.len());
            let is_ready = agent().get(format!("{}/-/ready", daemon.address)).call();
            let url = format!("{}/api/v1/events", daemon.address);
            if is_ready.is_ok_and(|answer| answer.status() == 200)
                && try_post(&url, &lines(&[payment(&id, "L", "1.00")])) == Some(200)
            {
                answered.push(id);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(daemon);
        // Every third machine comes back with what it had.
        if n % 3 != 2 {
            let _ = std::fs::remove_dir_all(machine.join("state"));
        }
    }
    let last = machines.machine("last");
    let daemon = hasty(&last);
    wait_until(|| daemon.get("/-/ready").0 == 200);
    wait_until(|| has_read(&last, machines.feed().metadata().unwrap().len()));
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let there = query(&last, "SELECT event_id FROM payments WHERE event_id LIKE 'posted-%'");
    let lost: Vec<_> =
        answered.iter().filter(|id| !there.iter().any(|row| row.contains(&format!("\"{id}\"")))).collect();
    assert!(lost.is_empty(), "answered and lost: {lost:?}");
    println!("{kills} kills, {} answered posts", answered.len());
    // What was posted and not answered may be there.
    let ids = there.iter().map(|row| {
        serde_json::from_str::<serde_json::Value>(row).unwrap()["event_id"].as_str().unwrap().to_owned()
    });
    append(&machines.feed(), &lines(&ids.map(|id| payment(&id, "L", "1.00")).collect::<Vec<_>>()));
    let (mut found, mut wanted) = (state(&last), expected(&machines.bench, &machines.feed()));
    found.0.sort();
    wanted.0.sort();
    assert_same(&found, &wanted, "after all kills");
}

/// The moments that matter, one by one.
#[test]
fn killed_between_the_disk_and_the_store_nothing_is_lost_or_repeated() {
    for place in
        ["replica.before", "replica.after", "replica.manifest", "replica.claimed", "replica.restored"]
    {
        for again in [false, true] {
            let machines = Machines::new("wait");
            let (a, b) = (machines.machine("a"), machines.machine("b"));
            append(&machines.feed(), &lines(&random_events(8, 400)));
            let nth = if place.ends_with("before") || place.ends_with("after") { 2 } else { 1 };
            let mut dying = Daemon::begin(&a, &format!("{place}=abort@{nth}"));
            wait_until(|| dying.child.try_wait().unwrap().is_some());
            // The same machine comes back, or another one.
            let machine = if again { &a } else { &b };
            let daemon = hasty(machine);
            wait_until(|| daemon.get("/-/ready").0 == 200);
            wait_until(|| has_read(machine, machines.feed().metadata().unwrap().len()));
            assert_eq!(daemon.stop("-TERM"), Some(0));
            let (found, wanted) = (state(machine), expected(&machines.bench, &machines.feed()));
            assert_same(
                &found,
                &wanted,
                &format!("{place}, {}", if again { "the same machine" } else { "another" }),
            );
        }
    }
}
