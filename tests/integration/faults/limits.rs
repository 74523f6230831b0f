//! Limits of the operating system: memory, file descriptors, a disk that is really full or really read-only.

use std::{
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use super::{CONFIG, Scene, shim};
use crate::support::{fiscwatch, wait_until};

/// A run under a limit of the shell; it may not hang.
fn limited(scene: &Scene, limit: &str) -> Output {
    let binary = fiscwatch().get_program().to_owned();
    let script = format!("{limit} && exec timeout -s KILL 100 \"$0\" run --once --config fiscwatch.yaml");
    let mut command = Command::new("sh");
    command.current_dir(scene.path()).args(["-c", &script]).arg(binary).env("RUST_BACKTRACE", "0");
    command.output().unwrap()
}

/// Whether its time was over: `timeout` dies of the same signal then.
fn is_killed(output: &Output) -> bool {
    output.status.signal() == Some(9) || output.status.code() == Some(137)
}

#[test]
fn without_memory_it_dies_or_refuses_and_the_state_stays_right() {
    let scene = Scene::new(31, 600, CONFIG);
    let mut died = 0;
    for mib in [60, 150, 250, 350, 500, 700, 1000] {
        scene.reset();
        let output = limited(&scene, &format!("ulimit -v {}", mib * 1024));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!is_killed(&output), "it hangs with {mib} MiB: {said}");
        died += u32::from(!output.status.success());
        scene.recovers(&format!("{mib} MiB: {said}"));
    }
    assert!(died > 0, "no limit was too low");
}

/// Each thread in its turn cannot begin; it may not wait for one that never does.
#[test]
fn without_a_thread_it_dies_or_goes_on_and_the_state_stays_right() {
    if !shim::available("faults::limits") {
        return;
    }
    let scene = Scene::new(34, 200, CONFIG);
    let count = shim::count(&mut scene.run(), "thread", "");
    assert!(count > 3, "{count}");
    for nth in shim::points(count, 12) {
        scene.reset();
        let mut command = scene.run();
        command.env("RUST_BACKTRACE", "0").stdout(Stdio::null());
        shim::with(&mut command, &format!("op=thread;path=;nth={nth};do=eagain"));
        let mut child = command.spawn().unwrap();
        wait_until(|| child.try_wait().unwrap().is_some());
        scene.recovers(&format!("thread {nth} of {count}"));
    }
}

#[test]
fn without_descriptors_it_says_so_or_goes_on() {
    let scene = Scene::new(32, 600, CONFIG);
    let mut failed = 0;
    for number in [8, 12, 16, 20, 24, 28, 34, 40] {
        scene.reset();
        let output = limited(&scene, &format!("ulimit -n {number}"));
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            failed += 1;
            assert_eq!(output.status.code(), Some(1), "{number}: {said}");
            let words = ["too many files are open", "cannot be opened", "unable to open"];
            assert!(words.iter().any(|word| said.contains(word)), "{number}: {said}");
        }
        scene.recovers(&format!("{number} descriptors: {said}"));
    }
    assert!(failed > 0, "no limit was too low");
}

/// A small disk of its own for the state; unmounted when dropped.
struct Disk<'p>(&'p Path);

impl<'p> Disk<'p> {
    fn mount(at: &'p Path, kib: u64, test: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={kib}k");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).stderr(Stdio::null());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Self(at));
        }
        eprintln!("{test} skipped: mounting a small disk needs root (faults::disk does the same without it)");
        None
    }

    fn remount(&self, options: &str) {
        let status =
            Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(self.0).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_disk_that_is_full_ends_it_and_room_lets_it_go_on() {
    let scene = Scene::new(33, 1500, CONFIG);
    let state = scene.path().join("state");
    let Some(disk) = Disk::mount(&state, 300, "a full disk") else { return };
    let mut full = 0;
    for kib in [300, 500, 700, 900, 1200, 1600, 2400] {
        disk.remount(&format!("size={kib}k"));
        let output = scene.run().output().unwrap();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{kib} KiB: {said}");
            let words = ["is full", "No space left", "did not confirm"];
            assert!(words.iter().any(|word| said.contains(word)), "{kib} KiB: {said}");
            full += 1;
        }
    }
    assert!(full > 0, "the disk was never full");
    disk.remount("size=64m");
    scene.recovers("room again");
}

#[test]
fn init_on_a_full_disk_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_disk) = Disk::mount(folder.path(), 64, "init on a full disk") else { return };
    let left = || std::fs::read_dir(folder.path()).unwrap().count();
    for at in ["new", "."] {
        let mut init = fiscwatch();
        let output = init.current_dir(folder.path()).args(["init", "--example", at]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("cannot write to {at}: the disk is full")), "{said}");
        assert_eq!(left(), 0, "{at}");
    }
}

#[test]
fn a_disk_that_is_read_only_is_an_error_that_says_so() {
    let scene = Scene::new(34, 300, CONFIG);
    let state = scene.path().join("state");
    let Some(disk) = Disk::mount(&state, 65_536, "a read-only disk") else { return };
    disk.remount("ro");
    for part in ["empty", "full"] {
        disk.remount("ro");
        let output = scene.run().output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{part}: {said}");
        assert!(
            said.contains("the disk is read-only") || said.contains("cannot be written"),
            "{part}: {said}"
        );
        disk.remount("rw");
        scene.recovers(part);
    }
}
