//! The tables of a run that keeps nothing on disk. Of events they hold what the schedules of the run can read: whole
//! events would keep every block that was read.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::{
    array::{ArrayRef, AsArray, BooleanArray},
    compute::filter_record_batch,
    datatypes::{Schema, SchemaRef},
    record_batch::RecordBatch,
};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{Result, exec_err},
    datasource::MemTable,
    logical_expr::{Expr, TableType},
    physical_plan::ExecutionPlan,
};

use super::{Committable, alerts::MemoryAlerts};
use crate::{
    evaluate::schedule::Tables,
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
    tables: Vec<(EventType, RecordBatch)>,
}

impl KeptEvents {
    /// What the schedules of `rules` can read of these events.
    #[must_use]
    pub fn new(events: &RecordBatch, types: &[EventType], rules: &RuleSet) -> Self {
        let keep = |(event_type, columns): &(EventType, Vec<usize>)| {
            let mask: BooleanArray = types.iter().map(|t| Some(t == event_type)).collect();
            let rows = filter_record_batch(&events.project(columns).ok()?, &mask).ok()?;
            let compact = rows.columns().iter().map(compact).collect();
            Some((*event_type, RecordBatch::try_new(rows.schema(), compact).unwrap_or(rows)))
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
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// The types that are read, with the columns that are.
    columns: Vec<(EventType, Vec<usize>)>,
    events: Vec<(EventType, RecordBatch)>,
    findings: Vec<(i64, Finding)>,
    alerts: MemoryAlerts,
}

impl MemoryTables {
    /// Tables without rows.
    #[must_use]
    pub fn new(calendar: &Arc<Calendar>) -> Self {
        let alerts = MemoryAlerts::new(calendar);
        let kept = Kept { columns: Vec::new(), events: Vec::new(), findings: Vec::new(), alerts };
        Self { zone: calendar.zone_name.clone(), kept: Mutex::new(kept) }
    }

    /// Keeps what schedules may query of a batch.
    pub fn keep(&self, batch: &Committable) {
        if batch.rules.session.is_none() {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.columns.is_empty() {
            kept.columns.clone_from(&batch.rules.read);
        }
        let tables = batch.events.iter().flat_map(|events| &events.tables);
        kept.events.extend(tables.filter(|(_, rows)| rows.num_rows() > 0).cloned());
        let times = batch.evaluation.found.iter().map(|found| found.at);
        kept.findings.extend(times.zip(batch.evaluation.findings.iter().cloned()));
        kept.alerts.file(batch);
    }
}

impl Tables for MemoryTables {
    fn events(&self, event_types: &[EventType]) -> Result<Arc<dyn TableProvider>, String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let schema = event_schema(&self.zone);
        let of =
            |wanted: &EventType| kept.columns.iter().find(|(t, _)| t == wanted).map(|(_, columns)| columns);
        // What is there of all of them.
        let mut all = event_types.iter().map(|t| of(t).map(Vec::as_slice).unwrap_or_default());
        let first = all.next().unwrap_or_default();
        let columns = all.fold(first.to_vec(), |mut columns, other| {
            columns.retain(|column| other.contains(column));
            columns
        });
        let own = schema.project(&columns).map_err(|e| e.to_string())?;
        let wanted = kept.events.iter().filter(|(t, _)| event_types.contains(t));
        let rows = wanted.map(|(t, rows)| {
            let places = columns.iter().filter_map(|column| of(t)?.iter().position(|kept| kept == column));
            rows.project(&places.collect::<Vec<_>>()).map_err(|e| e.to_string())
        });
        let rows = rows.collect::<Result<Vec<_>, String>>()?;
        let table = MemTable::try_new(Arc::new(own), vec![rows]).map_err(|e| e.to_string())?;
        Ok(Arc::new(Narrow { schema, columns, table }))
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

/// A table with all columns to those who plan, of which only some are there to be read.
#[derive(Debug)]
struct Narrow {
    schema: Arc<Schema>,
    /// The columns that are there.
    columns: Vec<usize>,
    table: MemTable,
}

#[async_trait]
impl TableProvider for Narrow {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = (0..self.schema.fields().len()).collect();
        let wanted = projection.unwrap_or(&all);
        let place = |column: &usize| self.columns.iter().position(|kept| kept == column);
        let Some(places) = wanted.iter().map(place).collect::<Option<Vec<_>>>() else {
            // `reads::names` has every column that a query can read, so this is a bug.
            return exec_err!("the query reads a column that was not kept for it");
        };
        self.table.scan(state, Some(&places), filters, limit).await
    }
}
