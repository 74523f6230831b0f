//! Rules on a schedule within the loop, and the tables of a run that keeps nothing on disk.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use datafusion::catalog::TableProvider;

use super::{Committable, alerts::MemoryAlerts};
use crate::{
    evaluate::{
        Evaluation, Evaluator, Finding,
        evaluator::Found,
        row::RuleCounts,
        schedule::{self, Due, Limits, Tables},
        tables::{self, FINDINGS},
    },
    event::{EventType, event_schema, time::Calendar},
};

/// Evaluates rules that are due.
#[derive(Clone)]
pub struct Scheduler {
    /// Where the tables come from.
    pub tables: Arc<dyn Tables>,
    /// What a query may use.
    pub limits: Limits,
}

impl Scheduler {
    /// What a rule that is due finds.
    pub async fn run(&self, due: &Due, evaluator: &Evaluator) -> Evaluation {
        let rules = evaluator.rules();
        let mut counts = vec![RuleCounts::default(); rules.rules.len()];
        let calendar = evaluator.calendar();
        let tables = self.tables.as_ref();
        let findings = schedule::run(rules, due, tables, self.limits, calendar, &mut counts[due.rule]).await;
        let found = findings.iter().map(|_| Found { row: 0, at: due.tick, cents: 0 }).collect();
        Evaluation { findings, found, counts, ..Evaluation::default() }
    }
}

/// The tables of a run without a store: what was committed so far, in memory.
#[derive(Debug)]
pub struct MemoryTables {
    zone: String,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    events: Vec<(RecordBatch, Vec<EventType>)>,
    findings: Vec<(i64, Finding)>,
    alerts: MemoryAlerts,
}

impl MemoryTables {
    /// Tables without rows.
    #[must_use]
    pub fn new(calendar: &Arc<Calendar>) -> Self {
        let kept = Kept { events: Vec::new(), findings: Vec::new(), alerts: MemoryAlerts::new(calendar) };
        Self { zone: calendar.zone_name.clone(), kept: Mutex::new(kept) }
    }

    /// Keeps what schedules may query of a batch.
    pub fn keep(&self, batch: &Committable) {
        if batch.rules.session.is_none() {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.events.extend(batch.events.clone());
        let times = batch.evaluation.found.iter().map(|found| found.at);
        kept.findings.extend(times.zip(batch.evaluation.findings.iter().cloned()));
        kept.alerts.file(batch);
    }
}

impl Tables for MemoryTables {
    fn events(&self, event_types: &[EventType]) -> Result<Arc<dyn TableProvider>, String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let of_types =
            |(events, types): &(RecordBatch, Vec<EventType>)| tables::of_types(events, types, event_types);
        let batches = kept.events.iter().filter_map(of_types).collect();
        in_memory(event_schema(&self.zone), batches)
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
