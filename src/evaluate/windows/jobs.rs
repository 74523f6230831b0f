//! The windows of a batch, spread over threads.

use super::{
    super::{
        closing::{ClosingWindows, Judge, Until},
        condition::RuleCounts,
        evaluator::Prepared,
        sliding::{Selected, Sliding, WindowResults},
    },
    Closed,
};
use crate::rule::RuleId;

/// Below so many events it is not worth to wake threads.
pub(super) const PARALLEL_ROWS: usize = 512;

/// What one window does with a batch; windows do not know one another.
pub(super) enum Job<'b> {
    Sliding { state: &'b mut Sliding, selected: &'b Selected, out: &'b mut WindowResults },
    Closing(ClosingJob<'b>),
}

/// What one window does with a batch of the journal.
pub(super) enum Load<'b> {
    Sliding(&'b mut Sliding, &'b Selected),
    Closing(Judge<'b>, &'b mut ClosingWindows, &'b Selected),
}

/// What happened to the windows of one rule.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) counts: RuleCounts,
    pub(super) closed: Vec<Closed>,
}

impl Outcome {
    pub(super) fn extend(&mut self, found: Vec<Closed>) {
        self.closed.extend(found);
    }
}

/// A batch on its way into the windows of one rule.
pub(super) struct ClosingJob<'b> {
    pub(super) judge: Judge<'b>,
    pub(super) state: &'b mut ClosingWindows,
    pub(super) watermark: Until,
    pub(super) out: &'b mut Outcome,
    pub(super) rule: RuleId,
}

impl ClosingJob<'_> {
    /// Events go in one after another; windows close right after the event that moved the watermark past them.
    pub(super) fn observe(&mut self, prepared: &Prepared, watermarks: &[i64]) {
        let selected = prepared.closings[self.rule].as_ref();
        let mut done = 0;
        for place in 0..selected.map_or(0, |selected| selected.rows.len()) {
            let Some(selected) = selected else { break };
            let row = selected.rows[place] as usize;
            self.close(&watermarks[done..row], done);
            let counts = &mut self.out.counts;
            let found = self.state.observe(&self.judge, prepared.table(), (selected, place), counts);
            self.out.extend(found);
            self.close(&watermarks[row..=row], row);
            done = row + 1;
        }
        self.close(&watermarks[done..], done);
        let found = self.state.flush(&self.judge, &mut self.out.counts);
        self.out.extend(found);
    }

    /// Closes what the watermarks of some rows, the first of them `row`, have passed.
    pub(super) fn close(&mut self, watermarks: &[i64], row: usize) {
        let Some(last) = watermarks.last() else { return };
        while let Some(end) = self.state.next_end(&self.judge).filter(|end| end <= last) {
            let after = watermarks.partition_point(|watermark| *watermark < end);
            let counts = &mut self.out.counts;
            let until = Until::of_column(watermarks[after]);
            let found = self.state.close(&self.judge, (until, row + after), false, counts);
            self.out.extend(found);
        }
        self.watermark = self.watermark.max(Until::of_column(*last));
        self.state.passed(self.watermark);
    }
}
