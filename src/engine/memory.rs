//! The tables of a run that keeps nothing on disk. Of events they hold what the schedules of the run can read: whole
//! events would keep every block that was read.

use std::sync::Arc;

use arrow::{
    array::BooleanArray,
    compute::{concat_batches, filter_record_batch},
    datatypes::SchemaRef,
    record_batch::RecordBatch,
};
use datafusion::catalog::TableProvider;
use parking_lot::{Mutex, RwLock};

use super::{Committable, alerts::MemoryAlerts};
use crate::{
    evaluate::{
        plans::rows::{RowSource, RowsTable, Timed, compacted},
        schedule::Tables,
    },
    event::{EventType, Instant, event_schema, time::Calendar},
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
            Some((*event_type, Timed::new(compacted(rows))))
        };
        Self { count: types.len(), tables: rules.read.iter().filter_map(keep).collect() }
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
    findings: Vec<(Instant, Finding)>,
    alerts: MemoryAlerts,
}

/// Events by type, each in the order in which they were committed.
#[derive(Debug, Default)]
struct Events(RwLock<Vec<OneType>>);

/// The events of a type that is read.
#[derive(Debug)]
struct OneType {
    event_type: EventType,
    /// The columns that are.
    columns: Vec<usize>,
    batches: Vec<Timed>,
}

/// Batches are joined until they have so many rows: what they cost a query is the same however few they have.
const JOINED: usize = 4096;

impl OneType {
    /// Adds a batch, and joins batches at the end that are as large as those after them: each row is copied a few times.
    fn push(&mut self, batch: Timed) {
        self.batches.push(batch);
        while let [.., before, last] = &self.batches[..]
            && before.rows().num_rows() <= 2 * last.rows().num_rows()
            && before.rows().num_rows() + last.rows().num_rows() <= JOINED
            && let Ok(rows) = concat_batches(&before.rows().schema(), [before.rows(), last.rows()])
        {
            let joined = Timed::new(compacted(rows));
            self.batches.truncate(self.batches.len() - 2);
            self.batches.push(joined);
        }
    }
}

fn columns_of(kept: &[OneType], event_type: EventType) -> &[usize] {
    kept.iter().find(|of| of.event_type == event_type).map_or(&[], |of| of.columns.as_slice())
}

/// Those of one type, as they are when they are read.
#[derive(Debug)]
struct OfType(Arc<Events>, EventType);

impl RowSource for OfType {
    fn each(&self, take: &mut dyn FnMut(&Timed) -> bool) {
        let kept = self.0.0.read();
        let of = kept.iter().filter(|of| of.event_type == self.1);
        of.flat_map(|of| &of.batches).all(take);
    }
}

/// Those that were there when the table was made.
#[derive(Debug)]
struct Taken(Vec<Timed>);

impl RowSource for Taken {
    fn each(&self, take: &mut dyn FnMut(&Timed) -> bool) {
        self.0.iter().all(take);
    }
}

impl MemoryTables {
    /// Tables that have no rows yet.
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
        let mut events = self.events.0.write();
        if events.is_empty() {
            let read = batch.rules.read.iter().cloned();
            events.extend(read.map(|(event_type, columns)| OneType {
                event_type,
                columns,
                batches: Vec::new(),
            }));
        }
        for (event_type, rows) in batch.events.iter().flat_map(|events| &events.tables) {
            let of = events.iter_mut().find(|of| of.event_type == *event_type);
            if let Some(of) = of.filter(|_| rows.rows().num_rows() > 0) {
                of.push(rows.clone());
            }
        }
        drop(events);
        let mut kept = self.kept.lock();
        let times = batch.evaluation.found.iter().map(|found| found.at);
        kept.findings.extend(times.zip(batch.evaluation.findings.iter().cloned()));
        kept.alerts.file(batch);
    }

    /// The columns of events that are there of all these types.
    fn columns(&self, event_types: &[EventType]) -> Vec<usize> {
        let kept = self.events.0.read();
        let mut all = event_types.iter().map(|event_type| columns_of(&kept, *event_type));
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
        let kept = self.events.0.read();
        let wanted = kept.iter().filter(|of| event_types.contains(&of.event_type));
        let rows = wanted.flat_map(|of| {
            let place = |column: &usize| of.columns.iter().position(|kept| kept == column);
            let places: Vec<_> = columns.iter().filter_map(place).collect();
            let narrow = move |batch: &Timed| batch.rows().project(&places).map(Timed::new);
            of.batches.iter().map(narrow)
        });
        let rows = rows.collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
        Ok(Arc::new(RowsTable::new(event_schema(&self.zone), columns.clone(), Arc::new(Taken(rows)))))
    }

    fn lasting(&self, event_type: EventType) -> Option<Arc<dyn TableProvider>> {
        let (columns, rows) = (self.columns(&[event_type]), OfType(Arc::clone(&self.events), event_type));
        // Before the first batch nobody knows the columns.
        let table = RowsTable::new(event_schema(&self.zone), columns, Arc::new(rows));
        (!table.lacks_columns()).then(|| Arc::new(table) as _)
    }

    fn findings(&self) -> Result<Arc<dyn TableProvider>, String> {
        let kept = self.kept.lock();
        let rows =
            tables::findings(kept.findings.iter().map(|(at, finding)| (at.as_micros(), finding)), &self.zone);
        let schema = tables::schema(FINDINGS, &self.zone).ok_or("the table of findings has no columns")?;
        in_memory(schema, rows.into_iter().collect())
    }

    fn alerts(&self) -> Result<Arc<dyn TableProvider>, String> {
        let kept = self.kept.lock();
        kept.alerts.table(&self.zone)
    }
}

fn in_memory(schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Arc<dyn TableProvider>, String> {
    tables::in_memory(schema, batches).ok_or_else(|| String::from("rows do not fit their table"))
}
