//! What scans, snapshots and SQL see of a journal of which some is sealed.

use std::sync::Arc;

use arrow::{
    array::{AsArray, RecordBatch},
    compute::concat_batches,
    datatypes::{Int64Type, TimestampMicrosecondType},
};
use datafusion::prelude::SessionContext;
use fiscwatch::{
    event::{Column, EventType, Instant, TimeDelta},
    store::{JournalTable, JournalView, ReadOrder, Select},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{fill, stream};

pub(super) fn scan(
    history: &JournalView,
    select: &Select,
    projection: Option<&[usize]>,
    order: ReadOrder,
) -> RecordBatch {
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
    let before = scan(&filled.history(), &Select::default(), None, ReadOrder::Arrival);
    assert_eq!(in_order(&before), filled.accepted);
    // From nearly nothing to nearly all.
    let mut sealed = 0;
    for days in [8, 5, 2, 0] {
        let done = filled.seal(TimeDelta::days(days), None);
        assert!(done.events > 0, "{days}");
        sealed += done.events;
        let history = filled.history();
        assert_eq!(history.events().unwrap(), filled.accepted.num_rows() as u64);
        let after = scan(&history, &Select::default(), None, ReadOrder::Arrival);
        assert_eq!(after, before, "{days} days");
        assert_eq!(sorted(&scan(&history, &Select::default(), None, ReadOrder::Any)), before, "{days} days");
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
    let all = scan(&history, &Select::default(), None, ReadOrder::Arrival);
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
        assert_eq!(scan(&history, &select, Some(&columns), ReadOrder::Arrival), expected, "{select:?}");
        assert_eq!(sorted(&scan(&history, &select, Some(&columns), ReadOrder::Any)), expected, "{select:?}");
    }
}

#[test]
fn a_snapshot_survives_compaction_and_retention() {
    let filled = fill(&stream(3, 3000, 6 * 60_000_000), 60);
    filled.seal(TimeDelta::days(6), None);
    let history = filled.history();
    let before = scan(&history, &Select::default(), None, ReadOrder::Arrival);
    let files = filled.files();
    let late = history.scan(&Select::default(), None, ReadOrder::Arrival).unwrap();
    let done = filled.seal(TimeDelta::ZERO, Some(TimeDelta::days(3)));
    assert!(done.blocks > 0 && done.retired_files > 0, "{done:?}");
    assert_eq!(scan(&history, &Select::default(), None, ReadOrder::Arrival), before);
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
