//! A state that survives its machine: what one machine committed is in the store before anybody hears of it, another one
//! goes on with it, and the first one, should it wake up, commits nothing.

mod built_on;
mod gaps;
mod kills;
mod lake;
mod reach;
mod refusals;
mod s3;
mod store;
mod zombie;

use std::path::{Path, PathBuf};

use crate::support::{Bench, Daemon, agent, file_lines, fiscwatch, free_port, run, wait_until, write};

/// Machines that share a store and a feed, and nothing else.
pub struct Machines {
    pub bench: Bench,
    pub when_away: &'static str,
}

impl Machines {
    /// With a store in a folder.
    pub fn new(when_away: &'static str) -> Self {
        let bench = Bench::new("", "");
        std::fs::create_dir(bench.path().join("store")).unwrap();
        write(bench.path(), "feed.jsonl", "");
        Self { bench, when_away }
    }

    pub fn feed(&self) -> PathBuf {
        self.bench.path().join("feed.jsonl")
    }

    pub fn store(&self) -> PathBuf {
        self.bench.path().join("store")
    }

    pub fn url(&self) -> String {
        format!("file://{}", self.store().display())
    }

    /// A machine with nothing on it, or what it had.
    pub fn machine(&self, name: &str) -> PathBuf {
        let replicate = format!("to: '{}', when_away: {}, takeover_after: 5s", self.url(), self.when_away);
        self.machine_with(name, &replicate)
    }

    pub fn machine_with(&self, name: &str, replicate: &str) -> PathBuf {
        let dir = self.bench.path().join(name);
        if !dir.exists() {
            std::fs::create_dir(&dir).unwrap();
            std::fs::create_dir(dir.join("rules")).unwrap();
            std::fs::copy(self.bench.path().join("rules/rules.yaml"), dir.join("rules/rules.yaml")).unwrap();
        }
        let standby = replicate.contains("when_away: wait");
        write(
            &dir,
            "fiscwatch.yaml",
            &format!(
                "http: {{ listen: '127.0.0.1:0' }}
sinks: [{{ name: told, log: {{}} }}]
routes: {{ group_wait: 2s, group_interval: 2s }}
log: {{ level: info }}
sources: [{{ name: feed, file: {{ path: {feed}, follow: true }} }}]
state: {{ dir: state, standby: {standby}, checkpoint_events: 400, seal_after: 300d, replicate: {{ {replicate} }} }}
engine: {{ batch_rows: 40 }}
",
                feed = self.feed().display()
            ),
        );
        dir
    }
}

/// Findings and ledger of a machine's state.
pub fn state(machine: &Path) -> (Vec<String>, Vec<String>) {
    let export = |what: &str| {
        let (code, out, err) = run(machine, &[what, "export", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(0), "{err}");
        out.lines().map(str::to_owned).collect()
    };
    (export("findings"), export("budget"))
}

/// Findings and ledger that one process comes to.
pub fn expected(bench: &Bench, feed: &Path) -> (Vec<String>, Vec<String>) {
    std::fs::copy(feed, bench.path().join("events.jsonl")).unwrap();
    bench.backtest(&[])
}

/// How far a machine has read its feed.
pub fn has_read(machine: &Path, bytes: u64) -> bool {
    let (_, info, _) = run(machine, &["state", "info", "--json", "--config", "fiscwatch.yaml"]);
    info.contains(&format!(",{bytes}]]"))
}

/// The rows of a query over a state.
pub fn query(machine: &Path, sql: &str) -> Vec<String> {
    let (code, out, err) = run(machine, &["state", "query", sql, "--json", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    out.lines().map(str::to_owned).collect()
}

/// Posts events; `None` if no answer comes.
pub fn try_post(url: &str, body: &str) -> Option<u16> {
    agent().post(url).send(body).ok().map(|answer| answer.status().as_u16())
}

/// Begins a machine that waits for one that lives, and takes silence of some signs of life for death.
pub fn standby(machine: &Path) -> Daemon {
    Daemon::begin(machine, "patience.takeover=within:3500")
}

/// Begins a machine where nobody lives: it takes silence of a moment for death.
pub fn hasty(machine: &Path) -> Daemon {
    Daemon::begin(machine, "patience.takeover=within:300")
}

#[test]
fn a_commit_is_in_the_store_before_its_answer_and_another_machine_goes_on_with_it() {
    use crate::support::{append, assert_same, lines, payment, random_events};
    let events = random_events(41, 2000);
    let machines = Machines::new("wait");
    let (a, b) = (machines.machine("a"), machines.machine("b"));
    let mut active = Daemon::start(&a);
    let (mut here, mut there) = (a, b);
    for (n, part) in events.chunks(500).enumerate() {
        let standby = standby(&there);
        wait_until(|| standby.get("/-/healthy").0 == 200);
        assert_eq!(standby.get("/-/ready").0, 503);
        append(&machines.feed(), &lines(part));
        let id = format!("posted-{n}");
        let (status, answer) = active.post("/api/v1/events", &lines(&[payment(&id, "L", "1.00")]));
        assert_eq!(status, 200, "{answer}");
        // kill -9, and the machine is gone with everything on it.
        drop(active);
        std::fs::remove_dir_all(here.join("state")).unwrap();
        wait_until(|| standby.get("/-/ready").0 == 200);
        let (_, metrics) = standby.get("/metrics");
        assert!(metrics.lines().any(|line| line == "fiscwatch_replica_in_sync 1"), "{metrics}");
        let found = query(&there, &format!("SELECT event_id FROM payments WHERE event_id = '{id}'"));
        assert_eq!(found.len(), 1, "{id} was answered and is gone");
        active = standby;
        std::mem::swap(&mut here, &mut there);
    }
    wait_until(|| has_read(&here, machines.feed().metadata().unwrap().len()));
    assert_eq!(active.stop("-TERM"), Some(0));
    let feed = machines.feed();
    append(&feed, &lines(&(0..4).map(|n| payment(&format!("posted-{n}"), "L", "1.00")).collect::<Vec<_>>()));
    let (mut findings, ledger) = state(&here);
    let (mut wanted, wanted_ledger) = expected(&machines.bench, &feed);
    findings.sort();
    wanted.sort();
    assert_same(&(findings, ledger), &(wanted, wanted_ledger), "after four machines");
    let (code, out, _) = run(&here, &["state", "verify", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}");
}

/// The store in a folder as `state replicate` and `state restore` use it.
#[test]
fn a_state_is_replicated_once_and_restored() {
    let machines = Machines::new("go_on");
    let a = machines.machine("a");
    let text = std::fs::read_to_string(a.join("fiscwatch.yaml")).unwrap();
    let plain = text.replace("300d", "0s").split(", replicate:").next().unwrap().to_owned()
        + " }\nengine: { batch_rows: 40 }\n";
    write(&a, "fiscwatch.yaml", &plain);
    std::fs::write(machines.feed(), crate::support::lines(&crate::support::random_events(5, 150))).unwrap();
    let mut once = fiscwatch();
    once.current_dir(&a).args(["run", "--once", "--config", "fiscwatch.yaml"]);
    once.env("FISCWATCH_HTTP__LISTEN", format!("127.0.0.1:{}", free_port()));
    once.env(
        "FISCWATCH_SOURCES",
        format!("[{{\"name\":\"feed\",\"file\":{{\"path\":\"{}\"}}}}]", machines.feed().display()),
    );
    assert!(once.status().unwrap().success());
    let url = machines.url();
    let replicate = || run(&a, &["state", "replicate", "--to", &url, "--config", "fiscwatch.yaml"]);
    for _ in 0..4 {
        let (code, out, err) = replicate();
        assert_eq!(code, Some(0), "{out}{err}");
    }
    // Two snapshots stay.
    let manifests = || {
        let mut all: Vec<_> = std::fs::read_dir(machines.store().join("snapshots"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|folder| folder.join("manifest.json").exists())
            .collect();
        all.sort();
        all
    };
    assert_eq!(manifests().len(), 2);
    let restore =
        |to: &str| run(&a, &["state", "restore", "--from", &url, "--to", to, "--config", "fiscwatch.yaml"]);
    let whole = state(&a);
    let is_whole = |to: &str| {
        let dir = a.join(to);
        let (findings, ledger) = (run_in(&a, &dir, "findings"), run_in(&a, &dir, "budget"));
        assert_eq!((file_text(&findings), file_text(&ledger)), whole);
    };
    assert_eq!(restore("b").0, Some(0));
    is_whole("b");
    let (code, out, _) = run(&a, &["state", "verify", "b", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}");
    let (code, out, err) = run(&a, &["state", "drill", "--from", &url, "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{out}{err}");
    // Nothing is overwritten.
    let (code, _, err) = restore("b");
    assert_eq!(code, Some(1));
    assert!(err.contains("exists already"), "{err}");

    // A manifest that breaks off: the one before it, and more of the log.
    let newest = manifests().pop().unwrap().join("manifest.json");
    let text = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, &text[..text.len() / 2]).unwrap();
    let (code, _, err) = restore("c");
    assert_eq!(code, Some(0), "{err}");
    is_whole("c");
    // A newer version.
    let newer =
        String::from_utf8(text.clone()).unwrap().replace("\"schema_version\":", "\"schema_version\":9");
    std::fs::write(&newest, newer).unwrap();
    let (code, _, err) = restore("d");
    assert_eq!(code, Some(1));
    assert!(err.contains("newer fiscwatch"), "{err}");
    std::fs::write(&newest, &text).unwrap();
    // A byte of a sealed file.
    let file = first_file(&machines.store().join("files"));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let (code, _, err) = restore("d");
    assert_eq!(code, Some(1));
    assert!(err.contains("does not match its digest"), "{err}");
    assert!(!a.join("d").exists() && !a.join("d.partial").exists());
    // No store, and nothing in one.
    std::fs::create_dir(machines.bench.path().join("empty")).unwrap();
    for (name, said) in [("nowhere", "the folder is not there"), ("empty", "there is no snapshot")] {
        let url = format!("file://{}", machines.bench.path().join(name).display());
        let (code, _, err) =
            run(&a, &["state", "restore", "--from", &url, "--to", "d", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(1));
        assert!(err.contains(said), "{err}");
    }
    // Another state does not go where this one is.
    let other = machines.machine_with("other", "to: file:///x");
    write(&other, "fiscwatch.yaml", &plain);
    assert_eq!(
        run(&other, &["state", "restore", "--from", &url, "--to", "x", "--config", "fiscwatch.yaml"]).0,
        Some(1)
    );
}

fn run_in(machine: &Path, dir: &Path, what: &str) -> PathBuf {
    let mut command = fiscwatch();
    command
        .current_dir(machine)
        .args([what, "export", "--config", "fiscwatch.yaml"])
        .env("FISCWATCH_STATE__DIR", dir);
    let out = command.output().unwrap();
    let to = dir.with_extension(what);
    std::fs::write(&to, out.stdout).unwrap();
    to
}

fn file_text(path: &Path) -> Vec<String> {
    file_lines(path)
}

fn first_file(dir: &Path) -> PathBuf {
    let mut path = dir.to_owned();
    while path.is_dir() {
        path = std::fs::read_dir(&path).unwrap().next().unwrap().unwrap().path();
    }
    path
}
