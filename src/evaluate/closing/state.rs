//! The windows of a rule, whatever they begin and end with.

use super::{CalendarWindows, Closed, Judge, Until, floating::Floating};
use crate::{
    evaluate::{
        condition::{RuleCounts, RuleTable},
        sliding::Selected,
    },
    rule::compile::ClosingRule,
};

/// The windows of one rule.
#[derive(Debug)]
pub(crate) enum ClosingWindows {
    Calendar(Box<CalendarWindows>),
    Floating(Box<Floating>),
}

macro_rules! either {
    ($state:expr, $windows:ident => $what:expr) => {
        match $state {
            ClosingWindows::Calendar($windows) => $what,
            ClosingWindows::Floating($windows) => $what,
        }
    };
}

impl ClosingWindows {
    /// Windows without events, of which those up to `closed` are over.
    #[must_use]
    pub(crate) fn new(view: &ClosingRule, closed: Until) -> Self {
        match view.is_on_calendar() {
            true => Self::Calendar(Box::new(CalendarWindows::new(closed))),
            false => Self::Floating(Box::new(Floating::new(closed))),
        }
    }

    #[must_use]
    pub(crate) fn panes(&self) -> usize {
        either!(self, windows => windows.panes())
    }

    pub(crate) fn bytes(&mut self) -> u64 {
        either!(self, windows => windows.bytes())
    }

    /// Lets go of what no window needs, before it would by itself. The events of the last batch are judged: what only
    /// they needed goes too.
    pub(crate) fn lighten(&mut self, judge: &Judge<'_>) {
        either!(self, windows => windows.lighten(judge));
    }

    /// The first instant after `too_far` that a window with one of these events reaches back to, if what was there may be
    /// gone.
    #[must_use]
    pub(crate) fn lacks(&self, judge: &Judge<'_>, selected: &Selected, too_far: Option<i64>) -> Option<i64> {
        either!(self, windows => windows.lacks(judge, selected, too_far))
    }

    /// Keeps what the windows of these events need, until the next batch.
    pub(crate) fn protect(&mut self, judge: &Judge<'_>, selected: &Selected) {
        either!(self, windows => windows.protect(judge, selected));
    }

    /// Says that events before `floor` were not taken in as a whole; `None` if all were.
    pub(crate) fn starts_at(&mut self, judge: &Judge<'_>, floor: Option<i64>) {
        match self {
            Self::Calendar(windows) => windows.starts_at(floor),
            Self::Floating(windows) => windows.starts_at(judge, floor),
        }
    }

    /// Says that the watermark has passed without closing anything.
    pub(crate) fn passed(&mut self, until: Until) {
        either!(self, windows => windows.passed(until));
    }

    /// Takes events again whose windows are over (recovery): they count as open until they are closed in order.
    pub(crate) fn reopen(&mut self) {
        either!(self, windows => windows.reopen());
    }

    /// The end of the first window that has events and is open.
    pub(crate) fn next_end(&mut self, judge: &Judge<'_>) -> Option<i64> {
        match self {
            Self::Calendar(windows) => windows.next_end(judge),
            Self::Floating(windows) => windows.next_end(),
        }
    }

    /// Takes in the event at `place` of those selected from `table`. A window that is closed already is judged again.
    pub(crate) fn observe(
        &mut self,
        judge: &Judge<'_>,
        table: &RuleTable,
        (selected, place): (&Selected, usize),
        counts: &mut RuleCounts,
    ) -> Vec<Closed> {
        either!(self, windows => windows.observe(judge, table, (selected, place), counts))
    }

    /// Closes every window up to `until`, in the order of their ends, after `row` of the batch. If `quiet` they are only
    /// remembered (recovery).
    pub(crate) fn close(
        &mut self,
        judge: &Judge<'_>,
        (until, row): (Until, usize),
        quiet: bool,
        counts: &mut RuleCounts,
    ) -> Vec<Closed> {
        either!(self, windows => windows.close(judge, (until, row), quiet, counts))
    }

    /// Judges the windows that wait.
    pub(crate) fn flush(&mut self, judge: &Judge<'_>, counts: &mut RuleCounts) -> Vec<Closed> {
        either!(self, windows => windows.flush(judge, counts))
    }
}
