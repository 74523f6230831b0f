//! The tables of a run that keeps nothing on disk. Of events they hold what the schedules of the run can read: whole
//! events would keep every block that was read.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use arrow::{
    array::{ArrayRef, AsArray, BooleanArray},
    compute::filter_record_batch,
    datatypes::SchemaRef,
    record_batch::RecordBatch,
};
use datafusion::catalog::TableProvider;

use super::{Committable, alerts::MemoryAlerts};
use crate::{
    evaluate::{
        plans::rows::{Rows, RowsTable, Timed},
        schedule::Tables,
    },
    event::{EventType, event_schema, time::Calendar},
    finding::Finding,
    rule::RuleSet,
    sql::tables::{self, FINDINGS},
};

/// What is kept of the accepted events of a batch, where nothing else keeps them for schedules.
#[derive(Debug)]
pub struct KeptEvents {
    /// The number of accepted events, whether anything is kept of them or not.
    pub count: usize,
    /// The rows of the types that are read, with the columns that are.
    tables: Vec<(EventType, Timed)>,
}

impl KeptEvents {
    /// What the schedules of `rules` can read of these events.
    #[must_use]
    pub fn new(events: &RecordBatch, types: &[EventType], rules: &RuleSet) -> Self {
        let keep = |(event_type, columns): &(EventType, Vec<usize>)| {
            let mask: BooleanArray = types.iter().map(|t| Some(t == event_type)).collect();
            let rows = filter_record_batch(&events.project(columns).ok()?, &mask).ok()?;
            let compact = rows.columns().iter().map(compact).collect();
            Some((*event_type, Timed::new(RecordBatch::try_new(rows.schema(), compact).unwrap_or(rows))))
        };
        Self { count: types.len(), tables: rules.read.iter().filter_map(keep).collect() }
    }
}

/// Text in a buffer of its own: the one that it stands in has all the other columns too.
fn compact(column: &ArrayRef) -> ArrayRef {
    match column.as_string_view_opt() {
        Some(texts) => Arc::new(texts.gc()),
        None => Arc::clone(column),
    }
}

/// The tables of a run without a store: what was committed so far, in memory. All its batches are of one set of rules.
#[derive(Debug)]
pub struct MemoryTables {
    zone: String,
    events: Arc<Events>,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    findings: Vec<(i64, Finding)>,
    alerts: MemoryAlerts,
}

/// Events in the order in which they were committed.
#[derive(Debug, Default)]
struct Events(RwLock<EventsKept>);

#[derive(Debug, Default)]
struct EventsKept {
    /// The types that are read, with the columns that are.
    columns: Vec<(EventType, Vec<usize>)>,
    batches: Vec<(EventType, Timed)>,
}

impl EventsKept {
    fn columns(&self, of: EventType) -> &[usize] {
        self.columns
            .iter()
            .find(|(event_type, _)| *event_type == of)
            .map_or(&[], |(_, columns)| columns.as_slice())
    }
}

/// Those of one type, as they are when they are read.
#[derive(Debug)]
struct OfType(Arc<Events>, EventType);

impl Rows for OfType {
    fn each(&self, take: &mut dyn FnMut(&Timed) -> bool) {
        let kept = self.0.0.read().unwrap_or_else(PoisonError::into_inner);
        for (event_type, batch) in &kept.batches {
            if *event_type == self.1 && !take(batch) {
                return;
            }
        }
    }
}

/// Those that were there when the table was made.
#[derive(Debug)]
struct Taken(Vec<Timed>);

impl Rows for Taken {
    fn each(&self, take: &mut dyn FnMut(&Timed) -> bool) {
        self.0.iter().all(take);
    }
}

impl MemoryTables {
    /// Tables without rows.
    #[must_use]
    pub fn new(calendar: &Arc<Calendar>) -> Self {
        let kept = Kept { findings: Vec::new(), alerts: MemoryAlerts::new(calendar) };
        Self { zone: calendar.zone_name.clone(), events: Arc::default(), kept: Mutex::new(kept) }
    }

    /// Keeps what schedules may query of a batch.
    pub fn keep(&self, batch: &Committable) {
        if batch.rules.session.is_none() {
            return;
        }
        let mut events = self.events.0.write().unwrap_or_else(PoisonError::into_inner);
        if events.columns.is_empty() {
            events.columns.clone_from(&batch.rules.read);
        }
        let tables = batch.events.iter().flat_map(|events| &events.tables);
        events.batches.extend(tables.filter(|(_, batch)| batch.rows().num_rows() > 0).cloned());
        drop(events);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let times = batch.evaluation.found.iter().map(|found| found.at);
        kept.findings.extend(times.zip(batch.evaluation.findings.iter().cloned()));
        kept.alerts.file(batch);
    }

    /// The columns of events that are there of all these types.
    fn columns(&self, event_types: &[EventType]) -> Vec<usize> {
        let kept = self.events.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut all = event_types.iter().map(|event_type| kept.columns(*event_type));
        let first = all.next().unwrap_or_default().to_vec();
        all.fold(first, |mut columns, other| {
            columns.retain(|column| other.contains(column));
            columns
        })
    }
}

impl Tables for MemoryTables {
    fn events(&self, event_types: &[EventType]) -> Result<Arc<dyn TableProvider>, String> {
        let columns = self.columns(event_types);
        let kept = self.events.0.read().unwrap_or_else(PoisonError::into_inner);
        let wanted = kept.batches.iter().filter(|(t, _)| event_types.contains(t));
        let rows = wanted.map(|(t, batch)| {
            let of = kept.columns(*t);
            let places = columns.iter().filter_map(|column| of.iter().position(|kept| kept == column));
            batch.rows().project(&places.collect::<Vec<_>>()).map(Timed::new).map_err(|e| e.to_string())
        });
        let rows = Taken(rows.collect::<Result<_, String>>()?);
        Ok(Arc::new(RowsTable::new(event_schema(&self.zone), columns, Arc::new(rows))))
    }

    fn lasting(&self, event_type: EventType) -> Option<Arc<dyn TableProvider>> {
        let (columns, rows) = (self.columns(&[event_type]), OfType(Arc::clone(&self.events), event_type));
        // Before the first batch nobody knows the columns.
        let table = RowsTable::new(event_schema(&self.zone), columns, Arc::new(rows));
        (!table.lacks_columns()).then(|| Arc::new(table) as _)
    }

    fn findings(&self) -> Result<Arc<dyn TableProvider>, String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = tables::findings(kept.findings.iter().map(|(at, finding)| (*at, finding)), &self.zone);
        let schema = tables::schema(FINDINGS, &self.zone).ok_or("the table of findings has no columns")?;
        in_memory(schema, rows.into_iter().collect())
    }

    fn alerts(&self) -> Result<Arc<dyn TableProvider>, String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.alerts.table(&self.zone)
    }
}

fn in_memory(schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Arc<dyn TableProvider>, String> {
    tables::in_memory(schema, batches).ok_or_else(|| String::from("rows do not fit their table"))
}
