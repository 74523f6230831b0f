//! The journal is the same whatever of it is sealed: what it holds, what is known from it, and what comes after.

mod kept;
mod runs;
mod scans;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{AsArray, RecordBatch},
    compute::concat_batches,
    datatypes::{SchemaRef, TimestampMicrosecondType},
};
use fiscwatch::{
    engine::{Dedup, Sighting},
    event::{Column, Instant, TimeDelta},
    journal::JournalBlock,
    store::{Commit, JournalView, SealOptions, SealReport, Sealer, Store},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::support::{Bench, calendar, decode_lines, decoder, desk, lines, random_events, run};

const HOUR: i64 = 3_600_000_000;

const DAY: i64 = 24 * HOUR;

/// 2025-01-01 in Shanghai.
const START: i64 = 1_735_660_800_000_000;

/// Random events whose times go on by about `step` microseconds each, with some that are late and some repeated.
fn stream(seed: u64, count: usize, step: i64) -> Vec<Value> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut events = random_events(seed, count);
    for (n, event) in events.iter_mut().enumerate() {
        let late = if rng.random_ratio(1, 30) { rng.random_range(0..20 * DAY) } else { 0 };
        let at = START + step * i64::try_from(n).unwrap() + rng.random_range(0..step) - late;
        event["occurred_at"] = json!(at / 1000);
    }
    // Duplicates must be what they repeat, so they are made again after the times were changed.
    for n in 1..events.len() {
        if rng.random_ratio(1, 25) {
            events[n] = events[rng.random_range(0..n)].clone();
        }
    }
    events
}

/// A store filled directly, in blocks of `rows`, all checkpointed.
struct Filled {
    dir: tempfile::TempDir,
    store: Store,
    /// What was accepted, in order.
    accepted: RecordBatch,
    schema: SchemaRef,
}

fn fill(events: &[Value], rows: usize) -> Filled {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let schema = Arc::clone(decoder().schema());
    let (mut dedup, mut batches) = (Dedup::default(), Vec::new());
    let chunks: Vec<_> = events.chunks(rows).collect();
    for (n, chunk) in chunks.iter().enumerate() {
        let decoded = decode_lines(&lines(chunk));
        let hashes: Vec<_> = decoded.ids.iter().copied().zip(decoded.contents.iter().copied()).collect();
        let times = decoded.events.column(Column::OccurredAt.index());
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let new: Vec<bool> = (0..hashes.len())
            .map(|row| {
                dedup.see("", hashes[row].0, hashes[row].1, Instant::from_micros(times.value(row))).unwrap()
                    == Sighting::New
            })
            .collect();
        let accepted = arrow::compute::filter_record_batch(&decoded.events, &new.clone().into()).unwrap();
        let hashes: Vec<_> = hashes.into_iter().zip(&new).filter(|(_, new)| **new).map(|(h, _)| h).collect();
        let mut commit = Commit::default();
        if accepted.num_rows() > 0 {
            commit.journal.push(JournalBlock::encode(&accepted, &hashes).unwrap());
        }
        if n + 1 == chunks.len() {
            commit.intake.checkpoint = Some(fiscwatch::ledger::Ledger::default().take_changes());
        }
        store.commit(&commit, &desk()).unwrap();
        batches.push(accepted);
    }
    let accepted = concat_batches(&schema, &batches).unwrap();
    Filled { dir, store, accepted, schema }
}

impl Filled {
    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn sealer(&self, after: TimeDelta, retain: Option<TimeDelta>) -> Sealer {
        self.store.sealer(SealOptions { after, retain, calendar: calendar() }).unwrap()
    }

    /// Seals all that can be sealed, and tells the sum of what was done.
    fn seal(&self, after: TimeDelta, retain: Option<TimeDelta>) -> SealReport {
        let mut sealer = self.sealer(after, retain);
        let mut sum = SealReport::default();
        while let Some(done) = sealer.step().unwrap() {
            sum.blocks += done.blocks;
            sum.events += done.events;
            sum.files += done.files;
            sum.compacted += done.compacted;
            sum.retired_files += done.retired_files;
            sum.retired_events += done.retired_events;
        }
        sum
    }

    fn history(&self) -> JournalView {
        JournalView::open(self.path(), &self.schema).unwrap()
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> =
            std::fs::read_dir(self.path().join("sealed")).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        files
    }

    fn sql<T: rusqlite::types::FromSql>(&self, sql: &str) -> T {
        let database = rusqlite::Connection::open(self.path().join("fiscwatch.db")).unwrap();
        database.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn info(bench: &Bench) -> Value {
    let (code, out, err) = run(bench.path(), &["state", "info", "--json", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    serde_json::from_str(&out).unwrap()
}
