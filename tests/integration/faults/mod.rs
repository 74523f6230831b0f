//! Faults: what docs/delivery.md promises when the process, the disk, the clock or the input fails.

mod clock;
mod disk;
mod files;
mod kills;
mod limits;
mod power;
mod quarantine;
mod readers;
mod reload;
pub mod shim;
mod signals;
mod steps;

use std::{path::Path, process::Command};

use fiscwatch::{
    event::time::Calendar,
    ledger::report::line_object,
    store::{CaseQuery, Reader},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::support::{Bench, calendar, decoder, fiscwatch, lines, random_events};

/// Small blocks, checkpoints often, everything sealed at once, and old files retired.
pub const CONFIG: &str = "
sources: [{ name: feed, file: { path: events.jsonl } }]
state: { dir: state, checkpoint_events: 150, seal_after: 0s, retain: 180d }
engine: { batch_rows: 30 }
";

/// Findings in the order found, and budget lines.
pub type State = (Vec<String>, Vec<String>);

/// A folder with events, and what an undisturbed run makes of them.
pub struct Scene {
    pub bench: Bench,
    pub expected: State,
    kept: Option<tempfile::TempDir>,
}

/// Random events of a year, in about two weeks' and a half worth of days; many are late by some of those days, so that
/// days are sealed in several files and compacted.
pub fn year(seed: u64, count: usize) -> Vec<Value> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let step = 365 * 86_400_000 / i64::try_from(count).unwrap();
    let mut events = random_events(seed, count);
    let mut ids = std::collections::BTreeSet::new();
    for (n, event) in (0i64..).zip(&mut events) {
        if !ids.insert(event["event_id"].to_string()) {
            event["event_id"] = json!(format!("again{n}"));
        }
        let late = if rng.random_ratio(1, 4) { 20 * 86_400_000 * rng.random_range(1..6) } else { 0 };
        let at = n * step / (20 * 86_400_000) * (20 * 86_400_000) + n * 1000 - late;
        event["occurred_at"] = json!(1_735_660_800_000i64 + at);
    }
    // Duplicates must be what they repeat, so they are made again after the times were changed; and soon, because what
    // was retired is forgotten.
    let all = events.clone();
    for n in 1..events.len() {
        if rng.random_ratio(1, 25) {
            events[n] = all[rng.random_range(n.saturating_sub(count / 10)..n)].clone();
        }
    }
    events
}

impl Scene {
    pub fn new(seed: u64, count: usize, config: &str) -> Self {
        let bench = Bench::new(&lines(&year(seed, count)), config);
        let expected = bench.backtest(&[]);
        assert!(expected.0.len() > count / 20, "findings make a comparison worth something");
        Self { bench, expected, kept: None }
    }

    /// The state that [`Self::reset`] gives: that of several runs over the first part of the events, with several
    /// sealed files a day.
    pub fn prepare(&mut self) {
        let path = self.path().join("events.jsonl");
        let all = std::fs::read_to_string(&path).unwrap();
        let ends: Vec<usize> = all.match_indices('\n').map(|(at, _)| at + 1).collect();
        for percent in [50, 56, 62] {
            // As a feed grows: the same file.
            std::fs::write(&path, &all[..ends[ends.len() * percent / 100]]).unwrap();
            assert!(self.run().status().unwrap().success());
        }
        std::fs::write(&path, all).unwrap();
        self.keep();
    }

    /// From now on [`Self::reset`] gives the state as it is now.
    pub fn keep(&mut self) {
        let kept = tempfile::tempdir().unwrap();
        copy(&self.path().join("state"), kept.path());
        self.kept = Some(kept);
    }

    pub fn path(&self) -> &Path {
        self.bench.path()
    }

    /// Forgets the state, or puts the one in its place that was kept.
    pub fn reset(&self) {
        let _ = std::fs::remove_dir_all(self.path().join("state"));
        if let Some(kept) = &self.kept {
            copy(kept.path(), &self.path().join("state"));
        }
    }

    /// A run over everything there is.
    pub fn run(&self) -> Command {
        let mut command = fiscwatch();
        command.current_dir(self.path()).args(["run", "--once", "--config", "fiscwatch.yaml"]);
        command
    }

    /// An undisturbed run must end where it would have ended without any fault.
    pub fn recovers(&self, what: &str) {
        let output = self.run().output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{what}: {said}");
        crate::support::assert_same(&stored(self.path()), &self.expected, what);
    }
}

/// Findings and ledger of a state, read in this process: the comparisons are many.
pub fn stored(dir: &Path) -> State {
    let mut reader = Reader::open(&dir.join("state")).unwrap();
    let mut findings = Vec::new();
    let take = |body: &str| -> Result<(), ()> {
        findings.push(body.to_owned());
        Ok(())
    };
    reader.export_findings(&CaseQuery::default(), take).unwrap().unwrap();
    let ledger = reader.ledger(decoder().schema()).unwrap();
    let calendar: &Calendar = &calendar();
    let mut all: Vec<_> = ledger.lines().collect();
    all.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
    let object = |(line, attributes)| Value::Object(line_object(line, attributes, calendar)).to_string();
    (findings, all.into_iter().map(object).collect())
}

/// Whether it was killed, as by `kill -9`, `abort` or the shim.
pub fn died(status: std::process::ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal().is_some() || status.code() == Some(137)
}

/// Copies a folder with its folders.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}
