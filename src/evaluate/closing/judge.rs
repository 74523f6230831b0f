//! What windows of a rule are judged by.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, RecordBatchOptions, StringViewArray},
    record_batch::RecordBatch,
};
use datafusion::common::{Result, ScalarValue};

use super::super::{
    aggregate::AggregateColumn, condition::RuleCounts, measures, panes::Grid, sliding::Selected,
};
use crate::{
    event::{
        Instant, TimeDelta,
        period::{Length, Reach, Stretch},
        time::Calendar,
    },
    rule::compile::{ClosingRule, CompiledRule, WindowShape},
};

/// What judging windows needs.
pub(crate) struct Judge<'j> {
    pub rule: &'j CompiledRule,
    pub view: &'j ClosingRule,
    pub calendar: &'j Calendar,
    pub grid: Grid<'j>,
    /// How late an event may be that still finds all of its windows.
    pub late: TimeDelta,
    /// From when on there are all events; `None` if nothing is missing.
    pub start: Option<Instant>,
}

impl<'j> Judge<'j> {
    /// What judging the windows of a rule needs.
    #[must_use]
    pub(crate) fn new(
        rule: &'j CompiledRule,
        view: &'j ClosingRule,
        calendar: &'j Calendar,
        (late, start): (TimeDelta, Option<Instant>),
    ) -> Self {
        Self { rule, view, calendar, grid: Grid::new(calendar, view.size, view.slide), late, start }
    }

    /// The first instant after `too_far` that a window with one of these events begins at.
    pub(super) fn reaches_back(&self, selected: &Selected, too_far: Option<i64>) -> Option<i64> {
        let rows = selected.packed.words.chunks_exact(self.view.layout.stride());
        // The first window that holds an event begins before the event's own pane.
        let begins = |at: i64| self.grid.window_until(self.grid.pane(at).end.as_micros()).start;
        let times = rows.map(|row| row[0].cast_signed());
        match too_far {
            // Windows begin in the order of the events in them.
            None => times.min().map(begins).map(Instant::as_micros),
            Some(too_far) => (times.map(begins).filter(|from| *from > Instant::from_micros(too_far)).min())
                .map(Instant::as_micros),
        }
    }

    /// The end of a window that has an event at `at`, as far as that event decides it.
    pub(super) fn until(&self, at: i64) -> i64 {
        let forward = |length| self.calendar.forward(Instant::from_micros(at), length);
        let end = match self.view.shape {
            WindowShape::Calendar => self.grid.pane(at).end,
            WindowShape::Session(gap) => forward(gap).min(self.grid.pane(at).end),
            WindowShape::From { within, .. } => forward(within),
        };
        end.as_micros()
    }

    /// The first instant that a window with an event at `at` can begin at.
    pub(super) fn since(&self, at: i64) -> i64 {
        let start = match self.view.shape {
            WindowShape::Calendar | WindowShape::Session(_) => self.grid.pane(at).start,
            WindowShape::From { .. } => {
                self.calendar.reach(Instant::from_micros(at), Reach::Last(self.view.size))
            }
        };
        start.as_micros()
    }

    /// The first instant from which on all windows are whole that events have been taken in for from `from` on.
    pub(super) fn whole_from(&self, from: i64) -> i64 {
        let before = from.saturating_sub(1);
        match self.view.shape {
            WindowShape::Calendar | WindowShape::Session(_) => self.grid.pane(before).end.as_micros(),
            WindowShape::From { .. } => self.until(before),
        }
    }

    /// Whether the journal lacks the beginning of a quarter or year: a part of it says nothing about the whole.
    pub(super) fn is_partial(&self, window: Stretch) -> bool {
        self.start.is_some_and(|start| window.start < start)
            && self.view.is_on_calendar()
            && matches!(self.view.size, Length::Quarter | Length::Year)
    }
}

/// The measures of windows from the results of their aggregates.
pub(super) fn measured(
    j: &Judge<'_>,
    outputs: Vec<AggregateColumn>,
    failed: &mut [bool],
    counts: &mut RuleCounts,
) -> Result<Vec<ArrayRef>> {
    let mut results = Vec::with_capacity(outputs.len());
    for output in outputs {
        let (column, wrong) = output.finish()?;
        for (row, error) in wrong {
            if !std::mem::replace(&mut failed[row], true) {
                counts.fail(&error);
            }
        }
        results.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(failed.len()));
    let results = RecordBatch::try_new_with_options(Arc::clone(&j.view.measures.results), results, &options)?;
    measures::compute(&j.view.measures, &results, failed, counts)
}

/// Values as a column.
pub(super) fn column<'v>(values: impl Iterator<Item = &'v ScalarValue> + Clone) -> Result<ArrayRef> {
    let text = |value: &'v ScalarValue| match value {
        ScalarValue::Utf8View(text) => Some(text.as_deref()),
        _ => None,
    };
    match values.clone().map(text).collect::<Option<StringViewArray>>() {
        Some(texts) if !texts.is_empty() => Ok(Arc::new(texts)),
        _ => ScalarValue::iter_to_array(values.cloned()),
    }
}

/// Values as floats, for statistics.
pub(super) fn numbers(column: &ArrayRef) -> Result<Vec<Option<f64>>> {
    let floats = arrow::compute::cast(column, &arrow::datatypes::DataType::Float64)?;
    let floats = arrow::array::AsArray::as_primitive::<arrow::datatypes::Float64Type>(&floats);
    Ok(floats.iter().collect())
}
