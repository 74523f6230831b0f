//! Which events can matter to an explanation.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Scalar},
    buffer::BooleanBuffer,
    compute::{filter_record_batch, kernels::cmp::not_distinct, or},
    datatypes::Int64Type,
    error::ArrowError,
    record_batch::RecordBatch,
};

use super::ExplainRequest;
use crate::{
    event::{Column, EventType, TimeDelta},
    journal::layout::ARRIVAL,
    ledger::LEDGER_COLUMNS,
    rule::{
        Id,
        compile::{CompiledView, KeyPart},
        probe::Probes,
    },
    store::{JournalView, ReadOrder, Select, StoreError},
};

/// What the parts read beside events: balances, and events that others name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beside {
    pub balances: bool,
    pub originals: bool,
}

impl ExplainRequest<'_> {
    /// The event's place in the journal, and the event.
    pub(super) fn own(&self, history: &JournalView) -> Result<Option<(i64, RecordBatch)>, StoreError> {
        let at = self.event.1;
        let select = Select {
            from: Some(at),
            to: Some(at.saturating_add(TimeDelta::MICROSECOND)),
            ..Select::default()
        };
        for batch in history.scan(&select, None, ReadOrder::Any)? {
            let batch = batch?;
            let ids = batch.column(Column::EventId.index()).as_string_view();
            let arrivals = batch.column_by_name(ARRIVAL).map(AsArray::as_primitive::<Int64Type>);
            if let (Some(row), Some(arrivals)) =
                (ids.iter().position(|id| id == Some(self.event.0)), arrivals)
            {
                return Ok(Some((arrivals.value(row), batch.slice(row, 1))));
            }
        }
        Ok(None)
    }

    /// The events that can matter: those of the event's window, and those of its budget line. Where a window's events read
    /// balances, or a group of lines is compared, all of them can.
    pub(super) fn narrowed(
        &self,
        batch: &RecordBatch,
        own: &RecordBatch,
        beside: Beside,
    ) -> Result<RecordBatch, ArrowError> {
        let same = |column: Column| -> Result<BooleanArray, ArrowError> {
            let name = column.spec().name;
            let missing = || ArrowError::SchemaError(format!("no column {name}"));
            let (all, one) = (batch.column_by_name(name), own.column_by_name(name));
            let (all, one) = (all.ok_or_else(missing)?, one.ok_or_else(missing)?);
            not_distinct(all, &Scalar::new(Arc::clone(one)))
        };
        let mask = match (&self.rule.view, beside.balances) {
            (CompiledView::Sliding(_) | CompiledView::Closing(_), true) => return Ok(batch.clone()),
            (_, true) if self.rule.group.is_some() => return Ok(batch.clone()),
            (CompiledView::Sliding(windows), false) => {
                let masks = windows.iter().map(|window| in_key(window.by.iter(), batch, own));
                let masks: Result<Vec<_>, _> = masks.collect();
                masks?.into_iter().reduce(|all, one| &all | &one).map(|mask| BooleanArray::new(mask, None))
            }
            (CompiledView::Closing(view), false) => {
                Some(BooleanArray::new(in_key(view.by.iter(), batch, own)?, None))
            }
            (_, true) => {
                let line = own.column(Column::BudgetLineId.index());
                let line = Scalar::new(Arc::clone(line));
                let to = batch.column_by_name(Column::ToBudgetLineId.spec().name);
                let to = to.map(|to| not_distinct(to, &line)).transpose()?;
                let own = same(Column::BudgetLineId)?;
                Some(match to {
                    Some(to) => or(&own, &to)?,
                    None => own,
                })
            }
            (_, false) => Some(same(Column::EventId)?),
        };
        let Some(mut mask) = mask else { return Ok(batch.clone()) };
        let original = own.column(Column::OriginalEventId.index());
        if beside.originals && original.is_valid(0) {
            // The event that this one names, and the others that name it.
            let original = Scalar::new(Arc::clone(original));
            for column in [Column::EventId, Column::OriginalEventId] {
                if let Some(all) = batch.column_by_name(column.spec().name) {
                    mask = or(&mask, &not_distinct(all, &original)?)?;
                }
            }
        }
        filter_record_batch(batch, &mask)
    }

    /// The events that are in the first window, where others are played too: those of further windows.
    pub(super) fn beside_window(
        &self,
        batch: &RecordBatch,
        own: &RecordBatch,
    ) -> Result<Option<BooleanBuffer>, ArrowError> {
        match &self.rule.view {
            CompiledView::Sliding(windows) => {
                windows.first().map(|window| in_key(window.by.iter(), batch, own)).transpose()
            }
            CompiledView::Closing(view) => in_key(view.by.iter(), batch, own).map(Some),
            CompiledView::Event | CompiledView::Schedule(_) => Ok(None),
        }
    }
}

/// The events that share a key with one event.
fn in_key<'k>(
    by: impl Iterator<Item = &'k KeyPart>,
    batch: &RecordBatch,
    own: &RecordBatch,
) -> Result<BooleanBuffer, ArrowError> {
    let mut mask = BooleanBuffer::new_set(batch.num_rows());
    for part in by {
        if let (Some(all), Some(one)) = (values(part, batch), values(part, own)) {
            mask = &mask & not_distinct(&all, &Scalar::new(one))?.values();
        }
    }
    Ok(mask)
}

/// What a part of a key is for each event; `None` if that cannot be told from what events say.
fn values(part: &KeyPart, of: &RecordBatch) -> Option<ArrayRef> {
    match part {
        KeyPart::Column(at) => of.column_by_name(Column::ALL.get(at.number())?.spec().name).cloned(),
        KeyPart::Computed(expression) => {
            let names = expression.schema.fields().iter().map(|field| field.name());
            let columns: Option<Vec<_>> = names.map(|name| of.column_by_name(name).cloned()).collect();
            let columns = RecordBatch::try_new(Arc::clone(&expression.schema), columns?).ok()?;
            expression.expr.evaluate(&columns).and_then(|v| v.into_array(of.num_rows())).ok()
        }
    }
}

/// The columns that the parts and the ledger read, by position in the event schema.
pub(super) fn columns(probes: &Probes) -> Vec<usize> {
    let mut columns: Vec<usize> = LEDGER_COLUMNS.iter().map(|column| column.index()).collect();
    for rule in &probes.rules.rules {
        let own = rule.event_columns().into_iter().filter(|column| column.is_of_event());
        columns.extend(own.map(Id::number));
    }
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// The types of events; `None` if one is unknown.
pub(super) fn types(events: &RecordBatch) -> Option<Vec<EventType>> {
    let names = events.column(Column::Type.index()).as_string_view();
    names.iter().map(|name| EventType::parse(name?)).collect()
}
