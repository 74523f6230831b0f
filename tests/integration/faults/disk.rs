//! The disk fails: writes that are cut short, no room, input/output errors, a file system that became read-only.
//! `shim.c` puts the faults between the binary and libc, one at a time, at every place there is.

use std::process::Output;

use super::{CONFIG, Scene, died, shim};

/// Points that are tried of each kind; `FAULT_POINTS=all` tries every one there is.
const POINTS: u64 = 8;

fn faulty(scene: &Scene, spec: &str) -> Output {
    scene.reset();
    let mut command = scene.run();
    shim::with(&mut command, spec);
    command.output().unwrap()
}

/// Whether a run that ended well got as far as the fault: sealing goes on beside the commits, so that the number of
/// operations varies a little.
fn reached(scene: &Scene, spec: &str) -> Option<Output> {
    let seen = tempfile::NamedTempFile::new().unwrap();
    scene.reset();
    let mut command = scene.run();
    shim::with(&mut command, spec);
    let output = command.env("SHIM_COUNT", seen.path()).output().unwrap();
    let nth = |text: &str| text.split(['=', ';']).find_map(|word| word.parse::<u64>().ok());
    let seen = nth(std::fs::read_to_string(seen.path()).unwrap().trim());
    (!output.status.success() || seen >= nth(spec)).then_some(output)
}

/// Every n-th operation of a kind fails; the daemon must stop and say so, or go on rightly.
fn each(op: &str, path: &str, actions: &[&str], mut check: impl FnMut(&Scene, &str, &Output)) {
    if !shim::available("faults::disk") {
        return;
    }
    let scene = Scene::new(11, 400, CONFIG);
    let count = shim::count(&mut scene.run(), op, path);
    assert!(count > 2, "{op} {path}");
    for nth in shim::points(count, POINTS) {
        for action in actions {
            let spec = format!("op={op};path={path};nth={nth};do={action}");
            if let Some(output) = reached(&scene, &spec) {
                check(&scene, &spec, &output);
                scene.recovers(&spec);
            }
        }
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// It stopped by itself, and says what is wrong and what to do.
fn stopped(spec: &str, output: &Output, words: &[&str]) {
    assert_eq!(output.status.code(), Some(1), "{spec}: {}", said(output));
    assert!(words.iter().any(|word| said(output).contains(word)), "{spec}: {}", said(output));
}

#[test]
fn a_write_that_is_cut_short_is_completed() {
    each("write", "state/", &["short"], |_, spec, output| {
        assert!(output.status.success(), "{spec}: {}", said(output));
    });
}

#[test]
fn torn_by_a_kill_in_the_middle_of_a_write_nothing_is_lost() {
    each("write", "state/", &["torn"], |_, spec, output| {
        assert!(died(output.status), "{spec}: {}", said(output));
    });
}

#[test]
fn a_failed_fsync_is_never_believed() {
    // Not even of a file that could be written again: the first failure ends the daemon.
    // SQLite tells nobody of a failed fsync of a folder, so the folder of the state is synchronised once more.
    let check = |scene: &Scene, spec: &str, output: &Output| {
        if output.status.success() {
            // It was closing: everything is committed, and the log stays for the next start to write once more.
            assert!(scene.path().join("state/fiscwatch.db-wal").exists(), "{spec}: {}", said(output));
        } else {
            stopped(spec, output, &["the disk did not confirm", "Input/output error"]);
        }
    };
    each("sync", "state/fiscwatch", &["eio"], check);
    each("sync", "state/sealed", &["eio"], check);
}

#[test]
fn a_failed_write_of_the_database_ends_the_daemon() {
    each("write", "fiscwatch.db", &["eio", "enospc;sticky=1", "erofs;sticky=1"], |_, spec, output| {
        // The last writes are those of closing, when everything is committed in the log.
        if !output.status.success() {
            stopped(spec, output, &["the disk did not confirm", "is full", "cannot be written"]);
        }
    });
}

#[test]
fn sealing_that_fails_keeps_the_journal_and_goes_on() {
    each("write", "sealed/", &["eio", "enospc;sticky=1"], |_, spec, output| {
        assert!(output.status.success(), "{spec}: {}", said(output));
        assert!(said(output).contains("sealing: cannot write"), "{spec}: {}", said(output));
    });
    each("rename", "sealed/", &["eio", "enospc;sticky=1"], |_, spec, output| {
        assert!(output.status.success(), "{spec}: {}", said(output));
        assert!(said(output).contains("sealing: cannot write"), "{spec}: {}", said(output));
    });
}

#[test]
fn a_failed_truncation_or_deletion_loses_nothing() {
    each("truncate", "state/", &["eio"], |_, spec, output| {
        assert!(output.status.code().is_some(), "{spec}");
    });
    each("unlink", "state/", &["eio"], |_, spec, output| {
        assert!(output.status.code().is_some(), "{spec}");
    });
}

#[test]
fn state_that_cannot_be_read_is_an_error_and_nothing_is_changed() {
    if !shim::available("faults::disk") {
        return;
    }
    let scene = Scene::new(12, 400, CONFIG);
    let events = scene.path().join("events.jsonl");
    let all = std::fs::read_to_string(&events).unwrap();
    let half: String = all.lines().take(200).flat_map(|line| [line, "\n"]).collect();
    std::fs::write(&events, half).unwrap();
    assert!(scene.run().status().unwrap().success());
    std::fs::write(&events, all).unwrap();
    let kept = tempfile::tempdir().unwrap();
    super::copy(&scene.path().join("state"), kept.path());
    let again = || {
        scene.reset();
        super::copy(kept.path(), &scene.path().join("state"));
    };
    let count = shim::count(&mut scene.run(), "read", "state/");
    for nth in shim::points(count, POINTS * 2) {
        again();
        let spec = format!("op=read;path=state/;nth={nth};do=eio");
        let mut command = scene.run();
        shim::with(&mut command, &spec);
        let output = command.output().unwrap();
        let sealing_failed = output.status.success() && said(&output).contains("sealing");
        if !sealing_failed && !output.status.success() {
            stopped(&spec, &output, &["did not confirm", "is damaged", "Input/output error", "disk I/O"]);
        }
        scene.recovers(&spec);
    }
}

#[test]
fn input_that_cannot_be_read_is_an_error_that_names_it() {
    if !shim::available("faults::disk") {
        return;
    }
    let scene = Scene::new(13, 400, CONFIG);
    let count = shim::count(&mut scene.run(), "read", "events.jsonl");
    for nth in shim::points(count, POINTS) {
        let output = faulty(&scene, &format!("op=read;path=events.jsonl;nth={nth};do=eio"));
        assert!(output.status.code().is_some(), "{nth}");
        if !output.status.success() {
            assert!(said(&output).contains("events.jsonl"), "{nth}: {}", said(&output));
        }
        scene.recovers(&format!("read {nth}"));
    }
}
