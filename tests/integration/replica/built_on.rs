//! What commits are built on is there, or it is said that it is not.

use super::Machines;
use crate::support::{Daemon, lines, payment, run, wait_until};

#[test]
fn no_snapshot_is_left_out_that_commits_are_built_on() {
    let machines = Machines::new("wait");
    let a = machines.machine("a");
    for id in ["before", "after"] {
        let daemon = Daemon::start(&a);
        let (status, answer) = daemon.post("/api/v1/events", &lines(&[payment(id, "L", "1.00")]));
        assert_eq!(status, 200, "{answer}");
        assert_eq!(daemon.stop("-TERM"), Some(0));
    }
    let url = machines.url();
    let restore = |to: &str, more: &[&str]| {
        let args = ["state", "restore", "--from", &url, "--to", to, "--config", "fiscwatch.yaml"];
        run(&a, &[&args[..], more].concat())
    };
    let (code, _, err) = restore("whole", &[]);
    assert_eq!(code, Some(0), "{err}");
    let events = |dir: &str| {
        let (code, out, err) = run(&a, &["state", "verify", dir, "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(0), "{out}{err}");
        let sql = "SELECT event_id FROM payments ORDER BY event_id";
        let dir = a.join(dir).display().to_string();
        let mut query = crate::support::fiscwatch();
        query.current_dir(&a).args(["state", "query", sql, "--json", "--config", "fiscwatch.yaml"]);
        let out = query.env("FISCWATCH_STATE__DIR", dir).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    };
    assert!(events("whole").contains("before") && events("whole").contains("after"));

    // The snapshot of the second start, damaged and gone.
    let mut snapshots: Vec<_> = std::fs::read_dir(machines.store().join("snapshots")).unwrap().collect();
    snapshots.sort_by_key(|entry| entry.as_ref().unwrap().path());
    let newest = snapshots.pop().unwrap().unwrap().path();
    let manifest = std::fs::read(newest.join("manifest.json")).unwrap();
    std::fs::write(newest.join("manifest.json"), &manifest[..50]).unwrap();
    let (code, _, err) = restore("b", &[]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("commits that were answered are built on it"), "{err}");
    let (code, _, err) = run(&a, &["state", "drill", "--from", &url, "--config", "fiscwatch.yaml"]);
    assert!(code == Some(1) && err.contains("are built on it"), "{err}");
    std::fs::remove_file(newest.join("manifest.json")).unwrap();
    let (code, _, err) = restore("b", &[]);
    assert_eq!(code, Some(1), "{err}");
    // What the message names restores what was before.
    let (_, record) = err.split_once("--up-to ").unwrap();
    let record = record.split('`').next().unwrap();
    let (code, _, err) = restore("b", &["--up-to", record]);
    assert_eq!(code, Some(0), "{err}");
    assert!(events("b").contains("before") && !events("b").contains("after"));
    std::fs::write(newest.join("manifest.json"), &manifest).unwrap();

    // A log that is gone is no empty store.
    std::fs::remove_dir_all(machines.store().join("log")).unwrap();
    let (code, _, err) = restore("c", &[]);
    assert!(code == Some(1) && err.contains("it is not there, and a snapshot of it is"), "{err}");
    std::fs::remove_dir_all(a.join("state")).unwrap();
    let daemon = Daemon::begin(&a, "");
    wait_until(|| daemon.log.try_iter().any(|line| line.contains("a snapshot of it is")));
    assert_ne!(daemon.get("/-/ready").0, 200);
    assert!(!a.join("state/fiscwatch.db").exists(), "nobody begins anew over what is damaged");
}
