//! The tables that schedules query: what the store holds.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;

use crate::{
    access::Limits,
    alert,
    evaluate::schedule::Tables,
    event::{EventType, time::Calendar},
    sql::{
        desk,
        tables::{self, ALERTS, FINDINGS},
    },
    store::{CaseQuery, Cases, JournalTable, JournalView, LastingTable, Reader, Remembered, Select},
};

/// The tables of a state directory.
pub(crate) struct StoredTables {
    dir: PathBuf,
    schema: SchemaRef,
    calendar: Arc<Calendar>,
    remembered: Arc<Remembered>,
    limits: Limits,
}

impl StoredTables {
    /// The tables of `dir`, with events in `schema`.
    pub(crate) fn new(dir: &Path, schema: &SchemaRef, calendar: &Arc<Calendar>) -> Self {
        let (schema, calendar) = (Arc::clone(schema), Arc::clone(calendar));
        Self { dir: dir.to_owned(), schema, calendar, remembered: Arc::default(), limits: Limits::default() }
    }

    /// The same, of which only the alerts within limits are there.
    pub(crate) fn within(self, limits: &Limits) -> Self {
        Self { limits: limits.clone(), ..self }
    }
}

impl Tables for StoredTables {
    fn events(&self, event_types: &[EventType]) -> Result<Arc<dyn TableProvider>, String> {
        let history = JournalView::open(&self.dir, &self.schema).map_err(|e| e.to_string())?;
        Ok(Arc::new(JournalTable::new(history, event_types)))
    }

    fn lasting(&self, event_type: EventType) -> Option<Arc<dyn TableProvider>> {
        let (dir, schema) = (self.dir.clone(), Arc::clone(&self.schema));
        let open = move || Ok((JournalView::open(&dir, &schema)?, Select::default()));
        Some(Arc::new(LastingTable::new(&self.schema, event_type, Arc::new(open), &self.remembered)))
    }

    fn findings(&self) -> Result<Arc<dyn TableProvider>, String> {
        let reader = Reader::open(&self.dir).map_err(|e| e.to_string())?;
        let mut found = Vec::new();
        let take = |body: &str| -> Result<(), String> {
            let finding: crate::finding::Finding = serde_json::from_str(body).map_err(|e| e.to_string())?;
            let at = self.calendar.parse(&finding.at).map_err(|e| e.to_string())?;
            found.push((at, finding));
            Ok(())
        };
        reader.export_findings(&CaseQuery::default(), take).map_err(|e| e.to_string())??;
        let zone = &self.calendar.zone_name;
        let schema = tables::schema(FINDINGS, zone).ok_or("the table of findings has no columns")?;
        in_memory(
            schema,
            tables::findings(found.iter().map(|(at, f)| (at.as_micros(), f)), zone).into_iter().collect(),
        )
    }

    fn desk(&self, table: &str) -> Result<Arc<dyn TableProvider>, String> {
        let cases = Cases::open_read_only(&self.dir).map_err(|e| e.to_string())?;
        let rows = cases.desk(table).map_err(|e| e.to_string())?;
        let zone = &self.calendar.zone_name;
        let schema = desk::schema(table, zone).ok_or("the table has no columns")?;
        in_memory(schema, desk::rows(table, zone, &rows).into_iter().collect())
    }

    fn alerts(&self) -> Result<Arc<dyn TableProvider>, String> {
        let cases = Cases::open_read_only(&self.dir).map_err(|e| e.to_string())?;
        let alerts = match self.limits.is_none() {
            true => cases.all(),
            false => cases.within(&self.limits).all_within(),
        };
        let alerts = alerts.map_err(|e| e.to_string())?;
        let zone = &self.calendar.zone_name;
        let schema = tables::schema(ALERTS, zone).ok_or("the table of alerts has no columns")?;
        in_memory(schema, alert::rows(alerts.iter(), zone).into_iter().collect())
    }
}

fn in_memory(
    schema: SchemaRef,
    batches: Vec<arrow::record_batch::RecordBatch>,
) -> Result<Arc<dyn TableProvider>, String> {
    tables::in_memory(schema, batches).ok_or_else(|| String::from("rows do not fit their table"))
}
