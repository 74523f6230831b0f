//! What became of an event: the application before a payment, what the bank confirmed of it, what was returned, charged
//! elsewhere or withdrawn. Events name each other by their ids; the journal is looked through for those that name one.

use std::{collections::BTreeMap, path::Path, time::Duration};

use arrow::{
    array::{Array, AsArray},
    datatypes::SchemaRef,
    record_batch::RecordBatch,
};

use super::{JournalView, Lookup, ReadOrder, Select, StoreError};
use crate::event::{Column, Instant, TimeDelta, schema::id_hash};

/// Events that one trace has.
const EVENTS_MAX: usize = 200;
/// How often the journal is looked through: for what names the event, what names that, and once more.
const ROUNDS: usize = 3;
/// What follows an event may have an earlier time: systems have clocks of their own.
const EARLIER: TimeDelta = TimeDelta::days(31);

/// The columns that name other events.
const NAMING: [Column; 2] = [Column::ApplicationId, Column::OriginalEventId];

/// What is known of an event.
#[derive(Debug)]
pub struct Trace {
    /// The event, one row with all columns.
    pub event: RecordBatch,
    /// Those before and after it, in the order of their times; one row each.
    pub others: Vec<RecordBatch>,
    /// Whether the whole journal was looked through, and everything had room.
    pub complete: bool,
}

/// Finds an event and what belongs to it.
///
/// # Errors
/// If the state cannot be read, or is damaged.
pub fn trace(dir: &Path, schema: &SchemaRef, id: &str, time: Duration) -> Result<Option<Trace>, StoreError> {
    let begun = std::time::Instant::now();
    let mut lookup = Lookup::open(dir)?;
    let mut find = |id: &str| lookup.event(id, id_hash(id), (Instant::MIN, Instant::MAX), Column::ALL);
    let Some(event) = find(id)? else { return Ok(None) };
    let mut known: BTreeMap<String, RecordBatch> = BTreeMap::from([(id.to_owned(), event.clone())]);
    // What it names, and what that names.
    let mut names: Vec<String> = named(&event);
    while let Some(name) = names.pop().filter(|_| known.len() < EVENTS_MAX) {
        if !known.contains_key(&name)
            && let Some(found) = find(&name)?
        {
            names.extend(named(&found));
            known.insert(name, found);
        }
    }
    let mut complete = true;
    let history = JournalView::open(dir, schema)?;
    for _ in 0..ROUNDS {
        let before = known.len();
        complete &= followers(&history, &mut known, begun, time)?;
        if known.len() == before || !complete {
            break;
        }
    }
    known.remove(id);
    let mut others: Vec<_> = known.into_values().collect();
    others.sort_by_key(at);
    Ok(Some(Trace { event, others, complete }))
}

/// Adds the events that name one of those that are known. `false` if the time is over, or there is no room.
fn followers(
    history: &JournalView,
    known: &mut BTreeMap<String, RecordBatch>,
    begun: std::time::Instant,
    time: Duration,
) -> Result<bool, StoreError> {
    let from = known.values().map(at).min().map(|first| first.saturating_sub(EARLIER));
    let select = Select { from, ..Select::default() };
    let columns = [Column::EventId, NAMING[0], NAMING[1]];
    let places = columns.map(Column::index);
    let mut hits: Vec<(String, Option<Instant>)> = Vec::new();
    let mut projection: Vec<usize> = places.to_vec();
    projection.push(Column::OccurredAt.index());
    projection.sort_unstable();
    for batch in history.scan(&select, Some(&projection), ReadOrder::Any)? {
        let batch = batch?;
        let text = |column: Column, row: usize| text(&batch, column, row);
        for row in 0..batch.num_rows() {
            let names_one =
                NAMING.iter().any(|column| text(*column, row).is_some_and(|id| known.contains_key(id)));
            let own = text(Column::EventId, row).filter(|own| names_one && !known.contains_key(*own));
            hits.extend(own.map(|own| (own.to_owned(), time_of(&batch, row))));
        }
        if begun.elapsed() > time || hits.len() + known.len() > EVENTS_MAX {
            return Ok(false);
        }
    }
    if hits.is_empty() {
        return Ok(true);
    }
    let mut lookup = Lookup::open(&history.snapshot.dir)?;
    for (id, at) in hits {
        let times =
            at.map_or((Instant::MIN, Instant::MAX), |at| (at, at.saturating_add(TimeDelta::MICROSECOND)));
        if let Some(event) = lookup.event(&id, id_hash(&id), times, Column::ALL)? {
            known.insert(id, event);
        }
    }
    Ok(true)
}

/// The ids that an event names.
fn named(event: &RecordBatch) -> Vec<String> {
    NAMING.iter().filter_map(|column| text(event, *column, 0)).map(str::to_owned).collect()
}

fn text(batch: &RecordBatch, column: Column, row: usize) -> Option<&str> {
    let array = batch.column_by_name(column.spec().name)?.as_string_view_opt()?;
    array.is_valid(row).then(|| array.value(row))
}

fn time_of(batch: &RecordBatch, row: usize) -> Option<Instant> {
    let times = batch.column_by_name(Column::OccurredAt.spec().name)?;
    Some(Instant::from_micros(
        times.as_primitive_opt::<arrow::datatypes::TimestampMicrosecondType>()?.value(row),
    ))
}

fn at(event: &RecordBatch) -> Instant {
    time_of(event, 0).unwrap_or(Instant::EPOCH)
}
