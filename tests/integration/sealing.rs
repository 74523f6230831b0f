//! The journal is the same whatever of it is sealed: what it holds, what is known from it, and what comes after.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{AsArray, RecordBatch},
    compute::concat_batches,
    datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType},
};
use datafusion::prelude::SessionContext;
use fiscwatch::{
    engine::{Dedup, Intake, Seen},
    event::{Column, EventType, Instant, TimeDelta},
    journal::JournalBlock,
    store::{
        Commit, History, JournalTable, Lookup, Order, SealOptions, Sealer, Sealing, Select, Store, StoreError,
    },
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::support::{
    Bench, Daemon, calendar, decode_lines, decoder, desk, kill_after, lines, payment, random_events, run,
    run_once, wait_until,
};

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
                    == Seen::New
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
    fn seal(&self, after: TimeDelta, retain: Option<TimeDelta>) -> Sealing {
        let mut sealer = self.sealer(after, retain);
        let mut sum = Sealing::default();
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

    fn history(&self) -> History {
        History::open(self.path(), &self.schema).unwrap()
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

fn scan(history: &History, select: &Select, projection: Option<&[usize]>, order: Order) -> RecordBatch {
    let batches: Vec<_> = history.scan(select, projection, order).unwrap().collect::<Result<_, _>>().unwrap();
    concat_batches(&history.scan_schema(projection).unwrap(), &batches).unwrap()
}

/// Without `arrival`, which must be in strict order.
fn in_order(batch: &RecordBatch) -> RecordBatch {
    let last = batch.num_columns() - 1;
    let arrivals = batch.column(last).as_primitive::<Int64Type>().values();
    assert!(arrivals.windows(2).all(|pair| pair[0] < pair[1]), "arrivals are not in order");
    batch.project(&(0..last).collect::<Vec<_>>()).unwrap()
}

/// The rows of `batch` by arrival.
fn sorted(batch: &RecordBatch) -> RecordBatch {
    let arrivals = batch.column(batch.num_columns() - 1);
    let order = arrow::compute::sort_to_indices(arrivals, None, None).unwrap();
    arrow::compute::take_record_batch(batch, &order).unwrap()
}

#[test]
fn a_scan_gives_the_accepted_events_whatever_is_sealed() {
    // Some days in many pieces, some events late by days.
    let filled = fill(&stream(1, 6000, 3 * 60_000_000), 150);
    let before = scan(&filled.history(), &Select::default(), None, Order::Arrival);
    assert_eq!(in_order(&before), filled.accepted);
    // From nearly nothing to nearly all.
    let mut sealed = 0;
    for days in [8, 5, 2, 0] {
        let done = filled.seal(TimeDelta::days(days), None);
        assert!(done.events > 0, "{days}");
        sealed += done.events;
        let history = filled.history();
        assert_eq!(history.events().unwrap(), filled.accepted.num_rows() as u64);
        let after = scan(&history, &Select::default(), None, Order::Arrival);
        assert_eq!(after, before, "{days} days");
        assert_eq!(sorted(&scan(&history, &Select::default(), None, Order::Any)), before, "{days} days");
    }
    assert_eq!(sealed, filled.sql::<u64>("SELECT sum(events) FROM sealed"));
    assert!(filled.sql::<u64>("SELECT count(*) FROM journal") > 0, "the last day is not complete");
    // Days that were sealed piece by piece were compacted.
    assert!(filled.sql::<u64>("SELECT max(n) FROM (SELECT count(*) n FROM sealed GROUP BY day)") < 4);
}

#[test]
fn selections_are_exact() {
    let filled = fill(&stream(2, 4000, 5 * 60_000_000), 90);
    filled.seal(TimeDelta::days(4), None);
    let history = filled.history();
    let all = scan(&history, &Select::default(), None, Order::Arrival);
    let times = all.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>().clone();
    let arrivals = all.column(all.num_columns() - 1).as_primitive::<Int64Type>().clone();
    let types = all.column(Column::Type.index()).as_string_view().clone();
    let columns = [Column::Amount.index(), Column::UnitCode.index()];
    let projected = all.project(&[columns[0], columns[1], all.num_columns() - 1]).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for _ in 0..60 {
        let at =
            |rng: &mut ChaCha8Rng| times.value(rng.random_range(0..all.num_rows())) + rng.random_range(0..2);
        let arrival = |rng: &mut ChaCha8Rng| arrivals.value(rng.random_range(0..all.num_rows()));
        let select = Select {
            from: (rng.random_bool(0.5).then(|| at(&mut rng))).map(Instant::from_micros),
            to: (rng.random_bool(0.5).then(|| at(&mut rng))).map(Instant::from_micros),
            after: rng.random_bool(0.3).then(|| arrival(&mut rng)),
            until: rng.random_bool(0.3).then(|| arrival(&mut rng)),
            types: rng.random_bool(0.5).then(|| rng.random_range(1..64)),
        };
        let selected: Vec<bool> = (0..all.num_rows())
            .map(|row| {
                let (at, arrival) = (times.value(row), arrivals.value(row));
                let bit = EventType::parse(types.value(row)).unwrap().bit();
                select.from.is_none_or(|from| at >= from.as_micros())
                    && select.to.is_none_or(|to| at < to.as_micros())
                    && select.after.is_none_or(|after| arrival > after)
                    && select.until.is_none_or(|until| arrival <= until)
                    && select.types.is_none_or(|types| types & bit != 0)
            })
            .collect();
        let expected = arrow::compute::filter_record_batch(&projected, &selected.into()).unwrap();
        assert_eq!(scan(&history, &select, Some(&columns), Order::Arrival), expected, "{select:?}");
        assert_eq!(sorted(&scan(&history, &select, Some(&columns), Order::Any)), expected, "{select:?}");
    }
}

#[test]
fn a_snapshot_survives_compaction_and_retention() {
    let filled = fill(&stream(3, 3000, 6 * 60_000_000), 60);
    filled.seal(TimeDelta::days(6), None);
    let history = filled.history();
    let before = scan(&history, &Select::default(), None, Order::Arrival);
    let files = filled.files();
    let late = history.scan(&Select::default(), None, Order::Arrival).unwrap();
    let done = filled.seal(TimeDelta::ZERO, Some(TimeDelta::days(3)));
    assert!(done.blocks > 0 && done.retired_files > 0, "{done:?}");
    assert_eq!(scan(&history, &Select::default(), None, Order::Arrival), before);
    let read: usize = late.map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(read, before.num_rows());
    assert!(files.iter().all(|file| file.exists()), "a file went while somebody read it");
    drop(history);
    // Now nobody does.
    filled.seal(TimeDelta::ZERO, Some(TimeDelta::days(3)));
    let registered: usize = filled.sql("SELECT count(*) FROM sealed");
    let names: Vec<_> = filled.files();
    assert_eq!(names.len(), registered, "{names:?}");
}

#[test]
fn retention_deletes_whole_files_that_are_too_old_and_nothing_else() {
    let filled = fill(&stream(4, 3000, 6 * 60_000_000), 60);
    let all = scan(&filled.history(), &Select::default(), None, Order::Arrival);
    let times = |batch: &RecordBatch| {
        batch.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>().values().to_vec()
    };
    let latest = *times(&all).iter().max().unwrap();
    let done = filled.seal(TimeDelta::ZERO, Some(TimeDelta::days(4)));
    let kept = scan(&filled.history(), &Select::default(), None, Order::Arrival);
    assert_eq!(done.retired_events, (all.num_rows() - kept.num_rows()) as u64);
    assert_eq!(filled.sql::<u64>("SELECT value FROM meta WHERE name = 'retired'"), done.retired_events);
    assert!(done.retired_events > 1000 && kept.num_rows() > 500);
    // Nothing within the time is gone, and no file is left that has nothing within it. (Late events in blocks are not
    // old enough to be sealed.)
    let young = |batch: &RecordBatch| times(batch).iter().filter(|at| **at >= latest - 4 * DAY).count();
    assert_eq!(young(&kept), young(&all));
    assert!(filled.sql::<i64>("SELECT min(last_at) FROM sealed") >= latest - 4 * DAY);
    assert!(filled.sql::<i64>("SELECT min(first_at) FROM sealed") >= latest - 5 * DAY);
    // The numbers of blocks go on.
    let last: i64 = filled.sql("SELECT value FROM meta WHERE name = 'sealed'");
    assert!(last > 0 && filled.sql::<i64>("SELECT min(seq) FROM journal") > last);
}

/// Commits one event, with a checkpoint or without.
fn commit_one(filled: &mut Filled, id: &str, at: &str, checkpoint: bool) {
    let mut event = payment(id, "L", "2.00");
    event["occurred_at"] = json!(at);
    let decoded = decode_lines(&lines(&[event]));
    let hashes = [(decoded.ids[0], decoded.contents[0])];
    let journal = vec![JournalBlock::encode(&decoded.events, &hashes).unwrap()];
    let checkpoint = checkpoint.then(|| fiscwatch::ledger::Ledger::default().take_changes());
    let commit = Commit { journal, intake: Intake { checkpoint, ..Intake::default() }, ..Commit::default() };
    filled.store.commit(&commit, &desk()).unwrap();
}

#[test]
fn blocks_after_the_checkpoint_stay_for_recovery() {
    let mut filled = fill(&[payment("a", "L", "1.00")], 1);
    commit_one(&mut filled, "b", "2026-03-05T10:00:00+08:00", false);
    commit_one(&mut filled, "c", "2026-03-20T10:00:00+08:00", false);
    assert_eq!(filled.seal(TimeDelta::ZERO, None).blocks, 1);
    assert_eq!(filled.store.recover(&filled.schema, &mut |_| {}).unwrap().replayed, 2);
    commit_one(&mut filled, "d", "2026-03-20T11:00:00+08:00", true);
    assert_eq!(filled.seal(TimeDelta::ZERO, None).blocks, 1);
    assert_eq!(filled.store.recover(&filled.schema, &mut |_| {}).unwrap().replayed, 0);
    // The day of the latest event is never complete, nor are the two days before it if they must be past.
    commit_one(&mut filled, "e", "2026-03-22T23:59:59+08:00", true);
    assert_eq!(filled.seal(TimeDelta::days(2), None).blocks, 0);
    commit_one(&mut filled, "f", "2026-03-23T00:00:00+08:00", true);
    assert_eq!(filled.seal(TimeDelta::days(2), None).blocks, 2);
}

#[test]
fn block_numbers_go_on_when_no_block_is_left() {
    let mut filled = fill(&[payment("a", "L", "1.00")], 1);
    commit_one(&mut filled, "b", "2026-03-06T10:00:00+08:00", true);
    assert_eq!(filled.seal(TimeDelta::ZERO, None).blocks, 1);
    // The block of the latest event stays, so this does not happen by itself.
    let database = rusqlite::Connection::open(filled.path().join("fiscwatch.db")).unwrap();
    database.execute_batch("DELETE FROM journal; UPDATE meta SET value = 2 WHERE name = 'sealed'").unwrap();
    commit_one(&mut filled, "c", "2026-03-20T10:00:00+08:00", true);
    assert_eq!(filled.sql::<i64>("SELECT min(seq) FROM journal"), 3);
    assert_eq!(filled.sql::<i64>("SELECT value FROM meta WHERE name = 'checkpoint'"), 3);
}

#[tokio::test]
async fn sql_sees_the_same_tables_and_prunes_by_time() {
    let filled = fill(&stream(6, 4000, 5 * 60_000_000), 90);
    let queries = [
        "SELECT count(*) FROM payments",
        "SELECT unit_code, count(*) n, sum(amount) s, min(occurred_at) a, max(payee_name) p FROM payments GROUP BY unit_code ORDER BY unit_code",
        "SELECT event_id FROM payments WHERE occurred_at >= '2025-01-05T00:00:00+08:00' AND occurred_at < '2025-01-06T00:00:00+08:00' ORDER BY event_id",
        "SELECT r.event_id, p.amount FROM refunds r JOIN payments p ON p.event_id = r.original_event_id WHERE r.occurred_at BETWEEN '2025-01-03T00:00:00Z' AND '2025-01-09T00:00:00Z' ORDER BY 1",
        "SELECT action, count(*) FROM budget_actions GROUP BY action ORDER BY action",
        "SELECT count(*) FROM payments WHERE settlement = 'cash' AND occurred_at > '2025-01-08T00:00:00+08:00'",
    ];
    let answers = async || {
        let context = SessionContext::new();
        let history = filled.history();
        for (name, event_type) in [
            ("payments", EventType::Payment),
            ("refunds", EventType::Refund),
            ("budget_actions", EventType::Budget),
        ] {
            let table = JournalTable::new(history.clone(), &[event_type]);
            context.register_table(name, Arc::new(table)).unwrap();
        }
        let mut answers = Vec::new();
        for sql in queries {
            let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
            answers.push(arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string());
        }
        let plan = context.sql(queries[2]).await.unwrap().create_physical_plan().await.unwrap();
        (answers, datafusion::physical_plan::displayable(plan.as_ref()).indent(true).to_string())
    };
    let (before, _) = answers().await;
    assert!(before.iter().all(|answer| answer.lines().count() > 4), "{before:#?}");
    assert!(filled.seal(TimeDelta::days(2), None).events > 0);
    let (after, plan) = answers().await;
    assert_eq!(after, before);
    assert!(
        plan.contains("StreamingTableExec: partition_sizes=1, projection=[event_id, occurred_at]"),
        "{plan}"
    );
    // A file that the query has no use for is not even opened.
    for file in filled.files().into_iter().filter(|f| !f.to_string_lossy().contains("2025-01-05")) {
        std::fs::write(file, "nothing that could be read").unwrap();
    }
    let (context, history) = (SessionContext::new(), filled.history());
    let table = JournalTable::new(history, &[EventType::Payment]);
    context.register_table("payments", Arc::new(table)).unwrap();
    let batches = context.sql(queries[2]).await.unwrap().collect().await.unwrap();
    assert_eq!(arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string(), before[2]);
    assert!(context.sql(queries[0]).await.unwrap().collect().await.is_err());
}

#[test]
fn a_damaged_file_is_named_with_what_to_do() {
    const CHECKSUM: &str = "it does not match its checksum";
    for (n, what) in ["it has ", CHECKSUM, CHECKSUM].into_iter().enumerate() {
        let damage = |bytes: &mut Vec<u8>| match n {
            0 => bytes.truncate(bytes.len() / 2),
            1 => bytes[200] ^= 4,
            _ => *bytes.last_mut().unwrap() ^= 1,
        };
        let filled = fill(&stream(7, 1500, 5 * 60_000_000), 90);
        filled.seal(TimeDelta::ZERO, None);
        let file = filled.files().remove(1);
        let mut bytes = std::fs::read(&file).unwrap();
        damage(&mut bytes);
        std::fs::write(&file, bytes).unwrap();
        let says = |error: &StoreError| {
            let text = error.to_string();
            let head = format!("the sealed file {} is damaged: {what}", file.display());
            assert!(text.starts_with(&head) && text.contains("from a backup"), "{text}");
        };
        let history = filled.history();
        for order in [Order::Any, Order::Arrival] {
            let mut batches = history.scan(&Select::default(), None, order).unwrap();
            says(&batches.find_map(Result::err).expect("an error"));
            assert!(batches.next().is_none());
        }
        let recovered = filled.store.recover(&filled.schema, &mut |_| {});
        says(&recovered.expect_err("an error"));
        // A run on it says so too.
        let Filled { dir, store, .. } = filled;
        drop(store);
        let bench = Bench::new("", &format!("state: {{ dir: '{}' }}\n", dir.path().display()));
        let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains(&format!("the sealed file {} is damaged: {what}", file.display())), "{err}");
        assert!(!err.contains("panicked"), "{err}");
    }
}

#[test]
fn a_file_that_is_gone_keeps_the_state_from_opening() {
    let Filled { dir, store, .. } = {
        let filled = fill(&stream(8, 1500, 5 * 60_000_000), 90);
        filled.seal(TimeDelta::ZERO, None);
        filled
    };
    drop(store);
    let file = std::fs::read_dir(dir.path().join("sealed")).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(&file).unwrap();
    let error = Store::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains(&file.display().to_string()) && error.contains("it is not there"), "{error}");
}

#[test]
fn orphans_go_at_the_next_start_and_strangers_stay() {
    let filled = fill(&stream(9, 1500, 5 * 60_000_000), 90);
    filled.seal(TimeDelta::ZERO, None);
    let registered = filled.files();
    let folder = filled.path().join("sealed");
    for name in ["2025-01-03.7-9.parquet", "2025-01-04.parquet.tmp", "notes.txt"] {
        std::fs::write(folder.join(name), "x").unwrap();
    }
    let Filled { dir, store, .. } = filled;
    drop(store);
    let _store = Store::open(dir.path()).unwrap();
    let mut left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    left.sort();
    let mut expected = registered;
    expected.push(folder.join("notes.txt"));
    assert_eq!(left, expected);
}

#[test]
fn events_older_than_the_horizon_are_found_in_files() {
    let filled = fill(&stream(10, 3000, 10 * 60_000_000), 100);
    let horizon = TimeDelta::days(5);
    filled.seal(TimeDelta::ZERO, None);
    let mut dedup = Dedup::new(Some(horizon), filled.store.latest_at().unwrap());
    let recovered = filled.store.recover(&filled.schema, &mut |event| dedup.restore(&event)).unwrap();
    assert_eq!(recovered.events, filled.accepted.num_rows() as u64);
    assert!(dedup.len() < filled.accepted.num_rows() / 2);
    let mut dedup = dedup.forgetting(Lookup::open(filled.path()).unwrap(), recovered.last_seq);
    // Every event again, and every event with another content and at a later time.
    let again = decode_lines(&lines(&stream(10, 3000, 10 * 60_000_000)));
    let ids = again.events.column(Column::EventId.index()).as_string_view();
    let times = again.events.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>();
    let mut firsts = std::collections::BTreeMap::new();
    for row in 0..again.events.num_rows() {
        let first = *firsts.entry(ids.value(row)).or_insert(again.contents[row]);
        let expected = if first == again.contents[row] { Seen::Duplicate } else { Seen::Conflict };
        let at = times.value(row);
        let seen =
            dedup.see(ids.value(row), again.ids[row], again.contents[row], Instant::from_micros(at)).unwrap();
        assert_eq!(seen, expected, "{}", ids.value(row));
        let seen = dedup
            .see(ids.value(row), again.ids[row], !again.contents[row], Instant::from_micros(at + DAY))
            .unwrap();
        assert_eq!(seen, Seen::Conflict, "{}", ids.value(row));
    }
    let new = |dedup: &mut Dedup, id: &str| {
        dedup.see(id, fiscwatch::event::id_hash(id), 77, Instant::from_micros(START)).unwrap()
    };
    assert_eq!(new(&mut dedup, "never seen"), Seen::New);
    assert_eq!(new(&mut dedup, "never seen"), Seen::Duplicate);
}

const SEALING: &str = "
sources: [{ name: feed, file: { path: events.jsonl } }]
state: { dir: state, checkpoint_events: 700, seal_after: 0s, duplicate_horizon: 6d }
engine: { batch_rows: 40 }
";

fn info(bench: &Bench) -> Value {
    let (code, out, err) = run(bench.path(), &["state", "info", "--json", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn a_run_that_seals_ends_where_a_backtest_ends_and_goes_on() {
    let events = stream(11, 9000, 4 * 60_000_000);
    let bench = Bench::new(&lines(&events), SEALING);
    let expected = bench.backtest(&[]);
    // In parts, so that a start finds sealed files, and events that repeat sealed ones.
    for end in [3000, 6000, 9000] {
        std::fs::write(bench.path().join("events.jsonl"), lines(&events[..end])).unwrap();
        let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(0), "{err}");
        let info = info(&bench);
        assert!(info["sealed_events"].as_i64().unwrap() > i64::try_from(end).unwrap() / 2, "{info}");
        assert!(
            info["sealed_bytes"].as_i64().unwrap() > 0 && info["sealed_files"].as_i64().unwrap() > 3,
            "{info}"
        );
        assert!(info["bytes"].as_i64() > info["sealed_bytes"].as_i64());
    }
    assert_eq!(bench.state(), expected);
    // All of it once more changes nothing, whether it is remembered or looked up.
    let accepted = info(&bench)["events"].clone();
    let daemon = Daemon::start(bench.path());
    // In parts, so that a busy machine answers each in time.
    for part in events.chunks(500) {
        let (status, answer) = daemon.post("/api/v1/events", &lines(part));
        assert_eq!(status, 200, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["accepted"], json!(0), "{answer}");
    }
    let metrics = daemon.get("/metrics").1;
    assert!(metrics.contains(&format!("fiscwatch_journal_events {accepted}\n")), "{metrics}");
    drop(daemon);
    assert_eq!(bench.state(), expected);
    assert_eq!(info(&bench)["events"], accepted);
}

#[test]
fn killed_while_it_seals_it_ends_where_an_undisturbed_run_ends() {
    let kills: u32 = std::env::var("FISCWATCH_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    let seed: u64 = std::env::var("FISCWATCH_TEST_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut killed = 0;
    while killed < kills {
        let events = stream(rng.next_u64(), 9000, 4 * 60_000_000);
        let bench = Bench::new(&lines(&events), SEALING);
        let expected = bench.backtest(&[]);
        // Something is sealed before the first kill.
        std::fs::write(bench.path().join("events.jsonl"), lines(&events[..3000])).unwrap();
        let started = std::time::Instant::now();
        assert_eq!(run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]).0, Some(0));
        assert_ne!(info(&bench)["sealed_files"], json!(0));
        let part = started.elapsed();
        std::fs::write(bench.path().join("events.jsonl"), lines(&events)).unwrap();
        for _ in 0..8 {
            if !kill_after(run_once(&bench), part.mul_f64(rng.random_range(0.1..2.0))) {
                break;
            }
            killed += 1;
        }
        assert!(run_once(&bench).wait().unwrap().success());
        assert_eq!(bench.state(), expected, "after {killed} kills, seed {seed}");
        let history = History::open(&bench.path().join("state"), decoder().schema()).unwrap();
        let ids = scan(&history, &Select::default(), Some(&[0]), Order::Arrival);
        let ids: std::collections::BTreeSet<_> = ids.column(0).as_string_view().iter().flatten().collect();
        assert_eq!(ids.len() as u64, history.events().unwrap(), "an event twice");
    }
}

#[test]
fn a_state_of_version_1_opens_and_is_sealed() {
    let mut events = stream(12, 3000, 10 * 60_000_000);
    // It knew no openings, and nothing that banks say.
    let unknown = |event: &Value| {
        event["action"] == "opening" || event["type"] == "confirmation" || event["type"] == "receipt"
    };
    events.retain(|event| !unknown(event));
    let bench = Bench::new(&lines(&events[..2000]), SEALING);
    // What a version 1 would have left: its schema, and the blocks that this version writes in the same way.
    let state = bench.path().join("state");
    let unsealed =
        Bench::new(&lines(&events[..2000]), &SEALING.replace("seal_after: 0s", "seal_after: 9999d"));
    assert_eq!(run(unsealed.path(), &["run", "--once", "--config", "fiscwatch.yaml"]).0, Some(0));
    std::fs::create_dir(&state).unwrap();
    let old = rusqlite::Connection::open(state.join("fiscwatch.db")).unwrap();
    old.execute_batch(include_str!("fixtures/schema_v1.sql")).unwrap();
    old.execute("ATTACH ?1 AS new", [unsealed.path().join("state/fiscwatch.db").to_str().unwrap()]).unwrap();
    for table in ["positions", "journal", "findings", "quarantine", "lines", "applications"] {
        // The columns that there were then.
        let sql = format!("SELECT group_concat(name) FROM pragma_table_info('{table}', 'main')");
        let columns: String = old.query_row(&sql, [], |row| row.get(0)).unwrap();
        old.execute(&format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM new.{table}"), [])
            .unwrap();
    }
    old.execute("UPDATE meta SET value = (SELECT value FROM new.meta n WHERE n.name = meta.name)", [])
        .unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);

    let (code, _, err) = run(bench.path(), &["state", "info", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    let reads = fiscwatch::store::SCHEMA_VERSION;
    assert!(
        err.contains(&format!(
            "was written by an older fiscwatch (schema 1, this one reads {reads}). Start `fiscwatch run`"
        )),
        "{err}"
    );
    std::fs::write(bench.path().join("events.jsonl"), lines(&events)).unwrap();
    let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(info(&bench)["sealed_events"].as_i64().unwrap() > 1000);
    assert_eq!(bench.state(), bench.backtest(&[]));
}

#[test]
fn a_retention_that_is_too_short_is_refused() {
    let bench = Bench::new("", "state: { dir: state, retain: 179d }\n");
    let (code, _, err) = run(bench.path(), &["check", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("state.retain: \"179d\" is too short: keep events for 180d or longer"), "{err}");
    let bench = Bench::new("", "state: { dir: state, retain: 180d }\n");
    assert_eq!(run(bench.path(), &["check", "--config", "fiscwatch.yaml"]).0, Some(0));
}

#[test]
fn a_daemon_seals_while_it_runs() {
    let config = SEALING.replace("path: events.jsonl", "path: events.jsonl, follow: true");
    let bench = Bench::new(&lines(&stream(13, 4000, 10 * 60_000_000)), &config);
    let daemon = Daemon::start(bench.path());
    wait_until(|| {
        let metrics = daemon.get("/metrics").1;
        metrics.lines().any(|l| l.strip_prefix("fiscwatch_sealed_events_total ").is_some_and(|n| n != "0"))
    });
    assert_eq!(daemon.stop("-TERM"), Some(0));
    assert!(info(&bench)["sealed_files"].as_i64().unwrap() > 0);
}
