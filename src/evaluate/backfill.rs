//! What filling windows from the journal needs: which windows, from when on, and which columns. A journal is long, so
//! nothing is read that no window holds.

use std::collections::BTreeSet;

use arrow::{
    array::AsArray, buffer::BooleanBuffer, datatypes::TimestampMicrosecondType, record_batch::RecordBatch,
};

use super::windows::Empty;
use crate::{
    event::{Column, Instant},
    ledger::LEDGER_COLUMNS,
    rule::{
        ColumnId, Id, RuleId, RuleSet, WindowId,
        compile::{CompiledView, KeyPart},
    },
};

/// Windows that are being filled.
#[derive(Debug, Default)]
pub struct Backfill {
    /// Sliding windows, and the first instant that each needs; `None` for all of history.
    pub sliding: Vec<(WindowId, Option<Instant>)>,
    /// The same of rules on closing windows.
    pub closing: Vec<(RuleId, Option<Instant>)>,
    /// The columns of [`crate::rule::compile::wide_schema`] that these windows read.
    inputs: BTreeSet<ColumnId>,
}

impl Backfill {
    /// The windows of `empty`, each from the instant that `sliding` or `closing` gives for it.
    #[must_use]
    pub fn new(
        rules: &RuleSet,
        empty: &Empty,
        sliding: impl Fn(WindowId) -> Option<Instant>,
        closing: impl Fn(RuleId) -> Option<Instant>,
    ) -> Self {
        let mut inputs = BTreeSet::from([Column::OccurredAt, Column::Type].map(ColumnId::from));
        for at in &empty.sliding {
            let window = &rules.windows[*at];
            inputs.extend(window.by.iter().flat_map(KeyPart::inputs));
            inputs.extend(window.filter.iter().flat_map(|filter| &filter.inputs));
            inputs.extend(window.lanes.iter().flat_map(|lane| &lane.inputs));
        }
        for at in &empty.closing {
            let rule = &rules.rules[*at];
            let CompiledView::Closing(view) = &rule.view else { continue };
            inputs.extend(view.inputs());
            inputs.extend(rule.filter.iter().flat_map(|filter| &filter.inputs));
        }
        let sliding = empty.sliding.iter().map(|at| (*at, sliding(*at))).collect();
        let closing = empty.closing.iter().map(|at| (*at, closing(*at))).collect();
        Self { sliding, closing, inputs }
    }

    /// The first instant that any of them needs; `None` for all of history.
    #[must_use]
    pub fn from(&self) -> Option<Instant> {
        let (sliding, closing) =
            (self.sliding.iter().map(|(_, from)| *from), self.closing.iter().map(|(_, from)| *from));
        let all = sliding.chain(closing);
        // `None` is less than every instant.
        all.min().flatten()
    }

    /// Whether they hold balances, which are those after each event and have to be counted from the first event on.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.inputs.iter().any(|column| !column.is_of_event())
    }

    /// Whether they read a column.
    #[must_use]
    pub fn reads(&self, column: ColumnId) -> bool {
        self.inputs.contains(&column)
    }

    /// The event columns that must be read, by position in the event schema.
    #[must_use]
    pub fn columns(&self) -> Vec<usize> {
        let mut columns = self.inputs.clone();
        if self.balances() {
            columns.extend(LEDGER_COLUMNS.iter().copied().map(ColumnId::from));
        }
        columns.into_iter().filter(|column| column.is_of_event()).map(Id::number).collect()
    }
}

/// When the events of a batch were.
pub(crate) struct EventTimes<'b> {
    of: &'b [i64],
    /// The first and the last; `None` without events.
    span: Option<(i64, i64)>,
}

impl<'b> EventTimes<'b> {
    /// The times of a batch.
    #[must_use]
    pub(crate) fn new(events: &'b RecordBatch) -> Self {
        let times =
            events.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>().values();
        Self { of: times, span: times.iter().min().copied().zip(times.iter().max().copied()) }
    }

    /// Those in `mask` that are not before `from`; `None` if that is none.
    #[must_use]
    pub(crate) fn since(&self, from: Option<Instant>, mask: &BooleanBuffer) -> Option<BooleanBuffer> {
        let (first, last) = self.span?;
        match from.map(Instant::as_micros) {
            Some(from) if last < from => None,
            Some(from) if first < from => {
                Some(mask & &BooleanBuffer::collect_bool(self.of.len(), |row| self.of[row] >= from))
            }
            _ => Some(mask.clone()),
        }
    }
}
