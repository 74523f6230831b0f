//! Searching the journal for single events, outside of any rule.

use std::sync::Arc;

use anyhow::Context;
use arrow::record_batch::RecordBatch;
use datafusion::{
    common::ScalarValue,
    logical_expr::{Expr, col, lit},
    prelude::SessionContext,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    config::Config,
    event::{Column, EventType, Instant, event_schema},
    lists::Lists,
    personal,
    rule::compile::Compiler,
    say,
    sql::value,
    store::{JournalTable, JournalView},
};

/// An event of the journal.
#[derive(Debug, Serialize)]
#[allow(missing_docs)] // The names are those of events.
pub struct JournalEvent {
    pub event_id: String,
    pub occurred_at: String,
    pub unit_code: Option<String>,
    pub unit_name: Option<String>,
    pub budget_line_id: Option<String>,
    pub amount: Option<String>,
    pub payee_name: Option<String>,
    pub payee_account: Option<String>,
    pub purpose: Option<String>,
}

impl JournalEvent {
    /// Takes accounts and names of persons out of it.
    pub fn mask(&mut self) {
        let columns = [
            ("payee_name", &mut self.payee_name),
            ("payee_account", &mut self.payee_account),
            ("purpose", &mut self.purpose),
        ];
        let mut event: Map<String, Value> = columns
            .iter()
            .filter_map(|(name, text)| Some(((*name).to_owned(), text.as_ref()?.as_str().into())))
            .collect();
        personal::event::mask(&mut event);
        for (name, text) in columns {
            *text = event.get(name).and_then(Value::as_str).map(str::to_owned);
        }
    }
}

/// The journal, to be asked for events.
pub struct Search<'c> {
    config: &'c Config,
    history: JournalView,
    session: SessionContext,
}

impl<'c> Search<'c> {
    /// Opens the journal as it is now.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn open(config: &'c Config) -> anyhow::Result<Self> {
        let calendar = &config.calendar;
        let compiler = Compiler::new(calendar, Lists::default(), config.language);
        let history = JournalView::open(&config.state_dir, &event_schema(&calendar.zone_name))?;
        Ok(Self { config, history, session: compiler.session().context(config.query_limits.memory) })
    }

    /// The latest events of these types that fulfil all conditions: so many at most, and whether there are more.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub async fn latest(
        &self,
        types: &[EventType],
        conditions: Vec<Expr>,
        limit: usize,
    ) -> anyhow::Result<(Vec<JournalEvent>, bool)> {
        let table = JournalTable::new(self.history.clone(), types);
        let mut rows = self.session.read_table(Arc::new(table)).with_context(journal)?;
        for condition in conditions {
            rows = rows.filter(condition).with_context(journal)?;
        }
        let order = [col("occurred_at").sort(false, false), col("event_id").sort(false, false)];
        let rows = rows.sort(order.into()).and_then(|rows| rows.limit(0, Some(limit + 1)));
        let found = rows.with_context(journal)?.collect().await.with_context(journal)?;
        let mut deeds: Vec<_> = found.iter().flat_map(|batch| self.deeds(batch)).collect();
        let more = deeds.len() > limit;
        deeds.truncate(limit);
        Ok((deeds, more))
    }

    fn deeds(&self, batch: &RecordBatch) -> Vec<JournalEvent> {
        let cell = |column: Column, row: usize| {
            let array = batch.column_by_name(column.spec().name)?;
            value(array, row, &self.config.calendar).as_str().map(str::to_owned)
        };
        let deed = |row: usize| JournalEvent {
            event_id: cell(Column::EventId, row).unwrap_or_default(),
            occurred_at: cell(Column::OccurredAt, row).unwrap_or_default(),
            unit_code: cell(Column::UnitCode, row),
            unit_name: cell(Column::UnitName, row),
            budget_line_id: cell(Column::BudgetLineId, row),
            amount: cell(Column::Amount, row),
            payee_name: cell(Column::PayeeName, row),
            payee_account: cell(Column::PayeeAccount, row),
            purpose: cell(Column::Purpose, row),
        };
        (0..batch.num_rows()).map(deed).collect()
    }

    /// An instant, to compare `occurred_at` with.
    #[must_use]
    pub fn time(&self, at: Instant) -> Expr {
        let zone = self.config.calendar.zone_name.as_str();
        lit(ScalarValue::TimestampMicrosecond(Some(at.as_micros()), Some(zone.into())))
    }
}

/// What an error is about.
fn journal() -> String {
    say!("the journal")
}
