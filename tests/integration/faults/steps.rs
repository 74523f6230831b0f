//! The process dies at every step of a commit, of sealing, of a start and of a drop directory.

use std::process::{Command, Stdio};

use fiscwatch::failpoint;

use super::{CONFIG, Scene, died, year};
use crate::support::{Bench, Daemon, fiscwatch, free_port, lines, wait_until, write};

/// What the runs over one file cannot reach: a migration is a test of its own, as are a directory and lists that change.
fn elsewhere(name: &str) -> bool {
    name == "migrate.step" || name == "lists.batch" || name.starts_with("directory.")
}

/// Kills at every place the n-th time it is passed, and compares; the places that were never reached.
fn killed_at_every_step(scene: &Scene, nth: u32) -> Vec<&'static str> {
    let mut missed = Vec::new();
    for name in failpoint::NAMES.iter().filter(|name| !elsewhere(name)) {
        scene.reset();
        let output = scene.run().env("FAILPOINT", format!("{name}=abort@{nth}")).output().unwrap();
        assert!(died(output.status) || output.status.success(), "{name}");
        if !died(output.status) {
            missed.push(*name);
        }
        scene.recovers(&format!("{name} the {nth}. time"));
    }
    missed
}

#[test]
fn killed_at_every_step_of_a_first_run_it_ends_where_an_undisturbed_run_ends() {
    let missed = killed_at_every_step(&Scene::new(1, 500, CONFIG), 3);
    let commits = missed.iter().filter(|name| name.starts_with("commit.")).count();
    assert_eq!(commits, 0, "{missed:?}");
}

#[test]
fn killed_at_every_step_of_a_later_run_it_ends_where_an_undisturbed_run_ends() {
    let mut scene = Scene::new(6, 500, CONFIG);
    scene.prepare();
    assert_eq!(killed_at_every_step(&scene, 1), [""; 0]);
}

#[test]
fn killed_again_while_it_recovers_it_still_does() {
    let scene = Scene::new(2, 700, CONFIG);
    let starts = failpoint::NAMES
        .iter()
        .filter(|name| !elsewhere(name) && (name.starts_with("start.") || name.starts_with("migrate.")));
    for name in starts {
        scene.reset();
        let output = scene.run().env("FAILPOINT", "seal.renamed=abort@6").output().unwrap();
        assert!(died(output.status), "{name}");
        for _ in 0..2 {
            let output = scene.run().env("FAILPOINT", format!("{name}=abort")).output().unwrap();
            assert!(died(output.status), "{name}");
        }
        scene.recovers(name);
    }
}

#[test]
fn a_step_that_fails_ends_the_daemon_and_loses_nothing() {
    let scene = Scene::new(3, 500, CONFIG);
    let steps = failpoint::NAMES.iter().filter(|name| {
        ["commit.", "checkpoint.", "start.", "migrate.done"].iter().any(|step| name.starts_with(step))
    });
    for (number, name) in steps.enumerate() {
        scene.reset();
        let action = if number % 2 == 0 { "error" } else { "full" };
        let output = scene.run().env("FAILPOINT", format!("{name}={action}")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.starts_with("fiscwatch: "), "{name}: {said}");
        scene.recovers(name);
    }
}

/// A daemon whose mails or whose watch over its health have stopped must not look well: it ends, and whoever watches it
/// starts it again.
#[test]
fn a_part_that_breaks_ends_the_daemon() {
    let bench = directory("keep");
    for (place, says) in [
        ("deliver.round", "the delivery of notifications broke"),
        ("beside.look", "a part of the daemon broke"),
        ("seal.look", "a part of the daemon broke"),
    ] {
        let mut daemon = daemon(&bench);
        let output =
            daemon.stderr(Stdio::piped()).env("FAILPOINT", format!("{place}=error")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn killed_in_a_migration_it_ends_where_an_undisturbed_run_ends() {
    let scene = Scene::new(4, 400, CONFIG);
    for name in ["migrate.step", "migrate.done", "start.logged"] {
        scene.reset();
        std::fs::create_dir(scene.path().join("state")).unwrap();
        let old = rusqlite::Connection::open(scene.path().join("state/fiscwatch.db")).unwrap();
        old.execute_batch(include_str!("../fixtures/schema_v1.sql")).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        drop(old);
        let output = scene.run().env("FAILPOINT", format!("{name}=abort")).output().unwrap();
        assert!(died(output.status), "{name}");
        scene.recovers(name);
    }
}

/// A drop directory with three files, two of which have one event in common.
fn directory(afterwards: &str) -> Bench {
    let config = format!(
        "sources: [{{ name: drop, directory: {{ path: drop, afterwards: {afterwards}, settle: 0s }} }}]\n\
         state: {{ dir: state, checkpoint_events: 100 }}\nengine: {{ batch_rows: 30 }}\n"
    );
    let events = year(5, 300);
    let bench = Bench::new(&lines(&events), &config);
    for (number, part) in events.chunks(100).enumerate() {
        write(bench.path(), &format!("drop/{number}.jsonl"), &lines(part));
    }
    bench
}

/// The daemon as a process that nobody waits for to be ready: it may die before.
fn daemon(bench: &Bench) -> Command {
    let mut command = fiscwatch();
    command
        .current_dir(bench.path())
        .args(["run", "--config", "fiscwatch.yaml"])
        .env("FISCWATCH_HTTP__LISTEN", format!("127.0.0.1:{}", free_port()))
        .stderr(Stdio::null());
    command
}

#[test]
fn killed_between_a_file_and_what_is_done_with_it_it_does_it_after_the_start() {
    for afterwards in ["move", "delete"] {
        let bench = directory(afterwards);
        let expected = bench.backtest(&[]);
        for name in ["directory.committed", "directory.folder", "directory.done"] {
            if afterwards == "delete" && name == "directory.folder" {
                continue;
            }
            let bench = directory(afterwards);
            for nth in [1, 2] {
                let mut command = daemon(&bench);
                let mut child = command.env("FAILPOINT", format!("{name}=abort@{nth}")).spawn().unwrap();
                assert!(died(child.wait().unwrap()) || nth == 2, "{name}");
                if std::fs::read_dir(bench.path().join("drop")).unwrap().count() <= 1 {
                    break;
                }
            }
            let left = || {
                let entries = std::fs::read_dir(bench.path().join("drop")).unwrap();
                entries.filter(|e| e.as_ref().unwrap().file_type().unwrap().is_file()).count()
            };
            let daemon = Daemon::start(bench.path());
            wait_until(|| left() == 0);
            assert_eq!(daemon.stop("-TERM"), Some(0));
            crate::support::assert_same(&bench.state(), &expected, name);
            if afterwards == "move" {
                assert_eq!(std::fs::read_dir(bench.path().join("drop/done")).unwrap().count(), 3, "{name}");
            }
        }
    }
}
