//! What stays, what goes after the retention, and what is damaged, gone or left behind.

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::TimestampMicrosecondType,
};
use fiscwatch::{
    engine::{Dedup, Intake, Sighting},
    event::{Column, Instant, TimeDelta},
    journal::JournalBlock,
    store::{Commit, Lookup, ReadOrder, Select, Store, StoreError},
};
use serde_json::json;

use super::{DAY, Filled, START, fill, scans::scan, stream};
use crate::support::{Bench, decode_lines, desk, lines, payment, run};

#[test]
fn retention_deletes_whole_files_that_are_too_old_and_nothing_else() {
    let filled = fill(&stream(4, 3000, 6 * 60_000_000), 60);
    let all = scan(&filled.history(), &Select::default(), None, ReadOrder::Arrival);
    let times = |batch: &RecordBatch| {
        batch.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>().values().to_vec()
    };
    let latest = *times(&all).iter().max().unwrap();
    let done = filled.seal(TimeDelta::ZERO, Some(TimeDelta::days(4)));
    let kept = scan(&filled.history(), &Select::default(), None, ReadOrder::Arrival);
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
        for order in [ReadOrder::Any, ReadOrder::Arrival] {
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
        let expected = if first == again.contents[row] { Sighting::Duplicate } else { Sighting::Conflict };
        let at = times.value(row);
        let seen =
            dedup.see(ids.value(row), again.ids[row], again.contents[row], Instant::from_micros(at)).unwrap();
        assert_eq!(seen, expected, "{}", ids.value(row));
        let seen = dedup
            .see(ids.value(row), again.ids[row], !again.contents[row], Instant::from_micros(at + DAY))
            .unwrap();
        assert_eq!(seen, Sighting::Conflict, "{}", ids.value(row));
    }
    let new = |dedup: &mut Dedup, id: &str| {
        dedup.see(id, fiscwatch::event::id_hash(id), 77, Instant::from_micros(START)).unwrap()
    };
    assert_eq!(new(&mut dedup, "never seen"), Sighting::New);
    assert_eq!(new(&mut dedup, "never seen"), Sighting::Duplicate);
}
