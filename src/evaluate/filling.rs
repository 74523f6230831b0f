//! What filling windows from the journal needs: which windows, from when on, and which columns. A journal is long, so
//! nothing is read that no window holds.

use std::collections::BTreeSet;

use arrow::{
    array::AsArray, buffer::BooleanBuffer, datatypes::TimestampMicrosecondType, record_batch::RecordBatch,
};

use super::windows::Empty;
use crate::{
    event::Column,
    ledger::LEDGER_COLUMNS,
    rule::{
        RuleSet,
        compile::{CompiledView, KeyPart},
    },
};

/// Windows that are being filled.
#[derive(Debug, Default)]
pub struct Filling {
    /// Sliding windows, by their positions in the rule set, and the first instant that each needs; `None` for all of
    /// history.
    pub sliding: Vec<(usize, Option<i64>)>,
    /// The same of rules on closing windows.
    pub closing: Vec<(usize, Option<i64>)>,
    /// The columns of [`crate::rule::compile::wide_schema`] that these windows read.
    inputs: BTreeSet<usize>,
}

impl Filling {
    /// The windows of `empty`, each from the instant that `sliding` or `closing` gives for its position.
    #[must_use]
    pub fn new(
        rules: &RuleSet,
        empty: &Empty,
        sliding: impl Fn(usize) -> Option<i64>,
        closing: impl Fn(usize) -> Option<i64>,
    ) -> Self {
        let mut inputs = BTreeSet::from([Column::OccurredAt.index(), Column::Type.index()]);
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
        let with = |list: &[usize], from: &dyn Fn(usize) -> Option<i64>| {
            list.iter().map(|at| (*at, from(*at))).collect()
        };
        Self { sliding: with(&empty.sliding, &sliding), closing: with(&empty.closing, &closing), inputs }
    }

    /// The first instant that any of them needs; `None` for all of history.
    #[must_use]
    pub fn from(&self) -> Option<i64> {
        let all = self.sliding.iter().chain(&self.closing).map(|(_, from)| *from);
        // `None` is less than every instant.
        all.min().flatten()
    }

    /// Whether they hold balances, which are those after each event and have to be counted from the first event on.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.inputs.iter().any(|column| is_balance(*column))
    }

    /// Whether they read a column.
    #[must_use]
    pub fn reads(&self, column: usize) -> bool {
        self.inputs.contains(&column)
    }

    /// The event columns that must be read.
    #[must_use]
    pub fn columns(&self) -> Vec<usize> {
        let mut columns = self.inputs.clone();
        if self.balances() {
            columns.extend(LEDGER_COLUMNS.iter().map(|column| column.index()));
        }
        columns.into_iter().filter(|column| !is_balance(*column)).collect()
    }
}

/// Whether a column is one of `budget.*`, which come after those of the event.
const fn is_balance(column: usize) -> bool {
    column >= Column::COUNT
}

/// When the events of a batch were.
pub(crate) struct Times<'b> {
    of: &'b [i64],
    first: i64,
    last: i64,
}

impl<'b> Times<'b> {
    /// The times of a batch.
    #[must_use]
    pub(crate) fn new(events: &'b RecordBatch) -> Self {
        let times =
            events.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>().values();
        let (first, last) = (times.iter().min(), times.iter().max());
        Self { of: times, first: first.copied().unwrap_or(i64::MAX), last: last.copied().unwrap_or(i64::MIN) }
    }

    /// Those in `mask` that are not before `from`; `None` if that is none.
    #[must_use]
    pub(crate) fn since(&self, from: Option<i64>, mask: &BooleanBuffer) -> Option<BooleanBuffer> {
        match from {
            Some(from) if self.last < from => None,
            Some(from) if self.first < from => {
                Some(mask & &BooleanBuffer::collect_bool(self.of.len(), |row| self.of[row] >= from))
            }
            _ => Some(mask.clone()),
        }
    }
}
