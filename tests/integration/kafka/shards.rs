//! Shards: each partition is a process with a state of its own, wherever it is; together they find what one process finds.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use serde_json::{Value, json};

use super::broker::{self, Broker};
use crate::support::{Bench, Daemon, assert_same, fiscwatch, free_port, lines, random_events, run, write};

pub const PARTITIONS: i32 = 4;

/// Rules on single events and on windows of a unit.
pub const RULES: &str = "
  - id: much-to-one
    title: much to one account
    severity: high
    trigger: payment
    over: { by: [unit_code, payee_account], last: 30d }
    measure: { total: sum(amount), n: count(*) }
    when: n > 2 and total > 60000
    key: [unit_code]
    summary: '{{ unit_code }} {{ total }}'
";

/// A topic, a store, and machines that have nothing else in common.
pub struct Field {
    pub broker: &'static Broker,
    pub bench: Bench,
    pub topic: &'static str,
    /// What each shard was sent.
    pub sent: BTreeMap<i32, Vec<Value>>,
}

impl Field {
    pub fn new(topic: &'static str) -> Option<Self> {
        let broker = broker::shared()?;
        broker.create(topic, PARTITIONS, &[]);
        let bench = Bench::new("", "");
        std::fs::create_dir(bench.path().join("store")).unwrap();
        let rules = std::fs::read_to_string(bench.path().join("rules/rules.yaml")).unwrap();
        write(bench.path(), "rules/rules.yaml", &format!("{rules}{RULES}"));
        Some(Self { broker, bench, topic, sent: BTreeMap::new() })
    }

    /// A machine with nothing on it.
    pub fn machine(&self, name: &str) -> PathBuf {
        let dir = self.bench.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let store = self.bench.path().join("store");
        write(&dir, "fiscwatch.yaml", &config(&self.broker.address(), self.topic, name, &store));
        dir
    }

    /// Events of one region each: what they are about is of its shard alone.
    pub fn send(&mut self, seed: u64, count: usize) {
        let producer: ThreadedProducer<_> = self.broker.client().create().unwrap();
        for shard in 0..PARTITIONS {
            let own = |value: &mut Value| {
                if let Some(text) = value.as_str() {
                    *value = json!(format!("{seed}-{shard}-{text}"));
                }
            };
            let line = |value: &mut Value| {
                if let Some(text) = value.as_str() {
                    *value = json!(format!("{shard}-{text}"));
                }
            };
            for mut event in random_events(seed + u64::try_from(shard).unwrap(), count) {
                for name in ["event_id", "original_event_id", "application_id", "indicator_id"] {
                    event.get_mut(name).into_iter().for_each(own);
                }
                for name in ["budget_line_id", "to_budget_line_id", "unit_code", "payee_account"] {
                    event.get_mut(name).into_iter().for_each(line);
                }
                let payload = event.to_string();
                let record = BaseRecord::<str, str>::to(self.topic).partition(shard).payload(&payload);
                producer.send(record).map_err(|(e, _)| e).unwrap();
                self.sent.entry(shard).or_default().push(event);
            }
        }
        producer.flush(Duration::from_mins(1)).unwrap();
    }

    /// Waits until these keepers together have all shards, and each has read everything.
    pub fn is_read(&self, keepers: &[&Keeper]) {
        wait(|| {
            let mut read = BTreeSet::new();
            for row in keepers.iter().flat_map(|keeper| keeper.shards()) {
                let Some(shard) = row["shard"].as_i64().and_then(|n| i32::try_from(n).ok()) else { continue };
                let partition = format!("{}[{shard}]", self.topic);
                let at = &row["status"]["sources"]["core"]["partitions"][partition.as_str()];
                let sent = self.sent.get(&shard).map_or(0, Vec::len);
                if at["next"].as_u64() == Some(u64::try_from(sent).unwrap()) && at["lag"] == 0 {
                    read.insert(shard);
                }
            }
            read.len() == usize::try_from(PARTITIONS).unwrap()
        });
    }

    /// What the store has of a shard: its findings and its ledger.
    pub fn restored(&self, shard: &str, what: &str) -> (Vec<String>, Vec<String>) {
        let dir = self.bench.path();
        let (url, to) = (format!("file://{}/store/shard-{shard}", dir.display()), format!("{what}-{shard}"));
        let (code, _, err) =
            run(dir, &["state", "restore", "--from", &url, "--to", &to, "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(0), "{err}");
        (export(dir, &to, "findings"), export(dir, &to, "budget"))
    }

    /// Compares what the store has of all shards with what one process comes to over the same events.
    fn assert_whole(&self, what: &str) {
        let all: Vec<Value> = self.sent.values().flatten().cloned().collect();
        std::fs::write(self.bench.path().join("events.jsonl"), lines(&all)).unwrap();
        let (mut findings, mut ledger) = self.bench.backtest(&[]);
        let (mut found, mut balances) = (Vec::new(), Vec::new());
        for shard in 0..PARTITIONS {
            let (of_shard, lines) = self.restored(&shard.to_string(), what);
            found.extend(of_shard);
            balances.extend(lines);
        }
        [&mut findings, &mut ledger, &mut found, &mut balances].into_iter().for_each(|rows| rows.sort());
        assert!(findings.len() > 50, "only {} findings", findings.len());
        assert_same(&(found, balances), &(findings, ledger), what);
    }
}

pub fn config(brokers: &str, topic: &str, instance: &str, store: &Path) -> String {
    format!(
        "sources: [{{ name: core, kafka: {{ brokers: ['{brokers}'], topics: [{topic}], group: {topic} }} }}]
shards: {{ group: '{topic}-shards', instance: {instance}, listen: '127.0.0.1:0' }}
rules: {{ paths: [../rules] }}
state: {{ dir: state, replicate: {{ to: 'file://{}', when_away: wait, takeover_after: 5s }} }}
",
        store.display()
    )
}

fn export(dir: &Path, state: &str, what: &str) -> Vec<String> {
    let mut command = fiscwatch();
    command.current_dir(dir).args([what, "export", "--config", "fiscwatch.yaml"]);
    let out = command.env("FISCWATCH_STATE__DIR", state).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Machines change hands by sessions of seconds, on computers that have other things to do.
pub fn wait(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(90), "it does not come about");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A keeper and its shards, which are one group of processes.
pub struct Keeper {
    pub daemon: Daemon,
    log: PathBuf,
}

impl Keeper {
    pub fn start(dir: &Path) -> Self {
        let (port, log) = (free_port(), dir.join("log"));
        let child = fiscwatch()
            .current_dir(dir)
            .args(["run", "--config", "fiscwatch.yaml"])
            .env("FISCWATCH_HTTP__LISTEN", format!("127.0.0.1:{port}"))
            .env("FISCWATCH_LOG__LEVEL", "info")
            .env("FAILPOINT", "patience.takeover=within:3500")
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .process_group(0)
            .spawn()
            .unwrap();
        Self { daemon: Daemon::adopt(child, port), log }
    }

    pub fn shards(&self) -> Vec<Value> {
        let (status, text) = self.daemon.get("/api/v1/shards");
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()["shards"].as_array().unwrap().clone()
    }

    /// The shards that it has and that are ready.
    pub fn ready(&self) -> BTreeSet<i64> {
        let ready = |row: &&Value| row["status"]["ready"] == true;
        self.shards().iter().filter(ready).filter_map(|row| row["shard"].as_i64()).collect()
    }

    /// Sends a signal to it and to all of its shards, as a machine that sleeps and wakes up.
    fn signal_all(&self, signal: &str) {
        let group = format!("-{}", self.daemon.child.id());
        assert!(Command::new("kill").args([signal, "--", &group]).status().unwrap().success());
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn stop(mut self) -> String {
        let keeper = self.daemon.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &keeper]).status().unwrap().success());
        assert_eq!(self.daemon.child.wait().unwrap().code(), Some(0), "{}", self.said());
        self.said()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Its shards end with it by themselves; a test that failed does not wait for them.
        let group = format!("-{}", self.daemon.child.id());
        let _ = Command::new("kill").args(["-9", "--", &group]).stderr(Stdio::null()).status();
    }
}

#[test]
fn shards_find_what_one_process_finds_and_outlive_their_keeper() {
    let Some(mut field) = Field::new("regions") else { return };
    let (a, b) = (field.machine("a"), field.machine("b"));
    let (mut first, second) = (Keeper::start(&a), Keeper::start(&b));
    wait(|| first.daemon.get("/-/healthy").0 == 200 && second.daemon.get("/-/healthy").0 == 200);
    wait(|| first.ready().len() == 2 && second.ready().len() == 2);
    assert!(first.ready().is_disjoint(&second.ready()));
    field.send(100, 120);
    field.is_read(&[&first, &second]);
    let elsewhere: Value = first.daemon.json("/api/v1/shards")["elsewhere"].clone();
    assert_eq!(elsewhere, json!(second.ready()));

    // A process of a shard dies: it is started again, and counted.
    let shard = second.shards()[0].clone();
    assert!(Command::new("kill").args(["-9", &shard["process"].to_string()]).status().unwrap().success());
    wait(|| second.shards()[0]["deaths"] == 1 && second.ready().len() == 2);

    // kill -9 of the keeper, in the middle of what it reads.
    field.send(200, 120);
    first.daemon.child.kill().unwrap();
    first.daemon.child.wait().unwrap();
    field.send(300, 60);
    field.is_read(&[&second]);
    assert_eq!(second.ready(), BTreeSet::from([0, 1, 2, 3]));

    // One view of them.
    let (status, metrics) = second.daemon.get("/metrics");
    assert_eq!(status, 200);
    for shard in 0..PARTITIONS {
        for name in ["fiscwatch_shard_up{shard=", "fiscwatch_journal_events{shard="] {
            assert!(metrics.contains(&format!("{name}\"{shard}\"")), "{name} {shard}: {metrics}");
        }
    }
    assert!(metrics.contains("fiscwatch_shard_deaths_total{"), "{metrics}");
    assert_eq!(metrics.matches("# TYPE fiscwatch_journal_events ").count(), 1);
    let (mut ids, mut page) = (Vec::new(), second.daemon.json("/api/v1/findings?limit=20"));
    assert_eq!(page["missing"], json!([]));
    loop {
        ids.extend(page["findings"].as_array().unwrap().iter().map(|f| f["finding_id"].to_string()));
        let Some(next) = page["next"].as_str().map(|next| next.replace(':', "%3A").replace(';', "%3B"))
        else {
            break;
        };
        page = second.daemon.json(&format!("/api/v1/findings?limit=20&before={next}"));
    }
    let listed: BTreeSet<_> = ids.iter().cloned().collect();
    assert_eq!(listed.len(), ids.len(), "a finding is listed twice");
    let alerts = second.daemon.json("/api/v1/alerts");
    for alert in alerts["alerts"].as_array().unwrap() {
        assert_eq!(alert["labels"]["shard"], json!([alert["shard"].to_string()]), "{alert}");
    }
    let (_, ready) = second.daemon.get("/-/ready");
    assert_eq!(ready.lines().filter(|line| line.starts_with("shard ")).count(), 4, "{ready}");
    assert_eq!(second.daemon.get("/api/v1/alerts?sort=amount").0, 400);
    let said = second.stop();
    assert!(!said.contains("does not end"), "{said}");
    field.assert_whole("killed");
    let dir = field.bench.path();
    let exported: usize =
        (0..PARTITIONS).map(|n| export(dir, &format!("killed-{n}"), "findings").len()).sum();
    assert_eq!(exported, listed.len());
}

#[test]
fn a_keeper_that_slept_commits_nothing_and_a_third_one_gets_its_share() {
    let Some(mut field) = Field::new("sleepers") else { return };
    let (a, b, c) = (field.machine("a"), field.machine("b"), field.machine("c"));
    let (first, second) = (Keeper::start(&a), Keeper::start(&b));
    wait(|| first.daemon.get("/-/healthy").0 == 200 && second.daemon.get("/-/healthy").0 == 200);
    wait(|| first.ready().len() == 2 && second.ready().len() == 2);
    field.send(400, 80);
    first.signal_all("-STOP");
    field.send(500, 80);
    // Its session is over, and its shards are the other's.
    field.is_read(&[&second]);
    let before = first.said();
    first.signal_all("-CONT");
    wait(|| first.said().contains("another machine has taken over"));
    assert!(!before.contains("another machine has taken over"));
    // It comes back, a third one comes, and all go on.
    let third = Keeper::start(&c);
    wait(|| third.daemon.get("/-/healthy").0 == 200);
    field.send(600, 80);
    wait(|| {
        let of = [&first, &second, &third].map(Keeper::ready);
        of.iter().all(|shards| !shards.is_empty()) && of.iter().map(BTreeSet::len).sum::<usize>() == 4
    });
    field.send(700, 40);
    field.is_read(&[&first, &second, &third]);
    for keeper in [first, second, third] {
        keeper.stop();
    }
    field.assert_whole("slept");
}
