//! The state of all windows: what `prepare` laid out goes in, one batch after another.

mod jobs;
mod same;

use std::sync::Arc;

use super::{
    Backfill,
    closing::{ClosingWindows, Judge, Until},
    condition::RuleCounts,
    evaluator::Prepared,
    pool::in_parallel,
    sliding::{Sliding, WindowResults},
};
use crate::{
    event::{Instant, TimeDelta, time::Calendar},
    finding::Finding,
    ledger::TrialScope,
    rule::{ById, RuleId, RuleSet, WindowId, compile::CompiledRule, share::SharedWindow},
};

use jobs::{ClosingJob, Job, Load, Outcome, PARALLEL_ROWS};
use same::{closing_view, same_windows};

/// The state of the windows of a rule set.
#[derive(Debug)]
pub struct Windows {
    rules: Arc<RuleSet>,
    calendar: Arc<Calendar>,
    sliding: ById<WindowId, Sliding>,
    /// For each rule on closing windows their state.
    closing: ById<RuleId, Option<ClosingWindows>>,
    /// The windows that are closed.
    watermark: Until,
    late: TimeDelta,
    /// From when on there are all events; `None` if nothing is missing.
    start: Option<Instant>,
}

/// How many events, panes and bytes windows hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WindowUsage {
    /// Events in sliding windows.
    pub events: usize,
    /// Panes of closing windows.
    pub panes: usize,
    /// Bytes of sliding windows, and of closing ones.
    pub bytes: [u64; 2],
}

/// What the windows say about a batch.
#[derive(Debug, Default)]
pub struct Moved {
    /// For each sliding window its measures.
    pub measured: ById<WindowId, WindowResults>,
    /// Findings about windows that closed, or were judged again, with the row of the batch after which it happened.
    pub closed: Vec<Closed>,
    /// What happened to each rule.
    pub counts: ById<RuleId, RuleCounts>,
}

/// A finding about a window.
#[derive(Debug)]
pub struct Closed {
    /// The row of the batch after which it was made.
    pub row: usize,
    /// The end of the window.
    pub at: Instant,
    pub finding: Finding,
}

/// Windows that start without events and have to be filled from what is stored.
#[derive(Debug, Default)]
pub struct Empty {
    pub sliding: Vec<WindowId>,
    /// Rules on closing windows.
    pub closing: Vec<RuleId>,
}

impl Empty {
    /// Whether nothing has to be filled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sliding.is_empty() && self.closing.is_empty()
    }
}

impl Windows {
    /// Windows without events. An event may be so `late` and still finds all of its window; windows that end at or before
    /// `watermark` are closed, none where there is none yet.
    #[must_use]
    pub fn new(
        rules: &Arc<RuleSet>,
        calendar: &Arc<Calendar>,
        late: TimeDelta,
        watermark: Option<Instant>,
    ) -> Self {
        let none = Arc::new(RuleSet::default());
        let empty = Self {
            rules: none,
            calendar: Arc::clone(calendar),
            sliding: ById::default(),
            closing: ById::default(),
            watermark: Until::watermark(watermark),
            late,
            start: None,
        };
        empty.change(rules).0
    }

    /// Windows for other rules: those that are the same go on. Those that are new hold nothing yet.
    #[must_use]
    pub fn change(mut self, rules: &Arc<RuleSet>) -> (Self, Empty) {
        let mut empty = Empty::default();
        let mut old: Vec<_> =
            self.rules.windows.iter().zip(std::mem::take(&mut self.sliding)).map(Some).collect();
        let mut sliding = ById::default();
        for (at, window) in rules.windows.entries() {
            let same = old.iter_mut().find(|o| o.as_ref().is_some_and(|(known, _)| known.same(window)));
            sliding.push(same.and_then(Option::take).map_or_else(
                || {
                    empty.sliding.push(at);
                    state(window, self.late)
                },
                |(_, state)| state,
            ));
        }
        let mut closing = ById::default();
        for (at, rule) in rules.rules.entries() {
            let Some(view) = closing_view(rule) else {
                closing.push(None);
                continue;
            };
            let same = |known: &CompiledRule| same_windows((known, &self.rules.lists), (rule, &rules.lists));
            let same = self.rules.rules.find(same);
            closing.push(same.and_then(|at| self.closing[at].take()).or_else(|| {
                empty.closing.push(at);
                Some(ClosingWindows::new(view, self.watermark))
            }));
        }
        (Self { rules: Arc::clone(rules), sliding, closing, ..self }, empty)
    }

    /// Says from when on there are all events: longer windows that begin before are not judged. `None` if nothing is missing.
    pub fn complete_from(&mut self, start: Option<Instant>) {
        self.start = start;
    }

    /// The rules whose windows these are.
    #[must_use]
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// Whether there is no window at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sliding.is_empty() && self.closing.iter().all(Option::is_none)
    }

    /// How many events, panes and bytes there are now.
    pub fn held(&mut self) -> WindowUsage {
        let panes = self.closing.iter().flatten().map(ClosingWindows::panes).sum();
        let sliding = self.sliding.iter_mut().map(Sliding::bytes).sum();
        let closing = self.closing.iter_mut().flatten().map(ClosingWindows::bytes).sum();
        WindowUsage { events: self.sliding.iter().map(Sliding::rows).sum(), panes, bytes: [sliding, closing] }
    }

    /// Lets go of everything that no window needs, before it would go by itself. It costs time, and memory is short.
    pub fn lighten(&mut self) {
        self.sliding.iter_mut().for_each(Sliding::lighten);
        for (state, rule) in self.closing.iter_mut().zip(&self.rules.rules) {
            let (Some(state), Some(view)) = (state, closing_view(rule)) else { continue };
            state.lighten(&Judge::new(rule, view, &self.calendar, (self.late, self.start)));
        }
    }

    /// The windows that are closed.
    #[must_use]
    pub(crate) fn closed(&self) -> Until {
        self.watermark
    }

    /// The windows that an event of this batch reaches further back in than they hold, and how far. What reaches back to
    /// `too_far` or before is left out.
    #[must_use]
    pub fn lacking(&self, prepared: &Prepared, too_far: Option<Instant>) -> Option<(Empty, Instant)> {
        let too_far = too_far.map(Instant::as_micros);
        let mut empty = Empty::default();
        let mut first: Option<i64> = None;
        let mut reach = |from: i64| first = Some(first.map_or(from, |first| first.min(from)));
        for ((at, state), selected) in self.sliding.entries().zip(&prepared.windows) {
            if let Some(from) = state.lacks(selected, too_far) {
                empty.sliding.push(at);
                reach(from);
            }
        }
        for ((at, state), selected) in self.closing.entries().zip(&prepared.closings) {
            let (Some(state), Some(selected)) = (state, selected) else { continue };
            let Some(view) = closing_view(&self.rules.rules[at]) else { continue };
            let judge = Judge::new(&self.rules.rules[at], view, &self.calendar, (self.late, self.start));
            if let Some(from) = state.lacks(&judge, selected, too_far) {
                empty.closing.push(at);
                reach(from);
            }
        }
        first.map(|first| (empty, Instant::from_micros(first)))
    }

    /// Forgets what some windows hold, to fill them again.
    pub fn clear(&mut self, empty: &Empty) {
        for at in &empty.sliding {
            self.sliding[*at] = state(&self.rules.windows[*at], self.late);
        }
        for at in &empty.closing {
            let view = closing_view(&self.rules.rules[*at]);
            self.closing[*at] = view.map(|view| ClosingWindows::new(view, self.watermark));
        }
    }

    /// Keeps what the windows of this batch's events need until the next one.
    pub fn protect(&mut self, prepared: &Prepared) {
        let states = self.sliding.iter_mut().zip(&prepared.windows);
        states.for_each(|(state, selected)| state.protect(selected));
        for ((state, selected), rule) in
            self.closing.iter_mut().zip(&prepared.closings).zip(&self.rules.rules)
        {
            let (Some(state), Some(selected), Some(view)) = (state, selected, closing_view(rule)) else {
                continue;
            };
            state.protect(&Judge::new(rule, view, &self.calendar, (self.late, self.start)), selected);
        }
    }

    /// Takes in events that were judged before, for the windows that were empty. What was laid out for windows that
    /// are not being filled is nothing.
    pub fn load(&mut self, prepared: &Prepared) {
        let rules = Arc::clone(&self.rules);
        let sliding = self.sliding.iter_mut().zip(&prepared.windows).filter(|(_, s)| !s.rows.is_empty());
        let mut jobs: Vec<_> = sliding.map(|(state, selected)| Load::Sliding(state, selected)).collect();
        let closing = self.closing.iter_mut().zip(&prepared.closings).zip(&rules.rules);
        jobs.extend(closing.filter_map(|((state, selected), rule)| {
            let judge = Judge::new(rule, closing_view(rule)?, &self.calendar, (self.late, self.start));
            Some(Load::Closing(judge, state.as_mut()?, selected.as_ref()?))
        }));
        in_parallel(jobs, true, |job| match job {
            Load::Sliding(state, selected) => state.load(selected),
            Load::Closing(judge, state, selected) => {
                state.reopen();
                for place in 0..selected.rows.len() {
                    state.observe(&judge, prepared.table(), (selected, place), &mut RuleCounts::default());
                }
            }
        });
    }

    /// Closes the windows that were filled and are over, without judging them. They hold everything from the instant on
    /// that `filling` says.
    pub fn loaded(&mut self, filling: &Backfill) {
        for (at, from) in &filling.sliding {
            self.sliding[*at].starts_at(from.map(Instant::as_micros));
        }
        let rules = Arc::clone(&self.rules);
        for (at, from) in &filling.closing {
            let (Some(state), Some(view)) = (&mut self.closing[*at], closing_view(&rules.rules[*at])) else {
                continue;
            };
            let judge = Judge::new(&rules.rules[*at], view, &self.calendar, (self.late, self.start));
            state.close(&judge, (self.watermark, 0), true, &mut RuleCounts::default());
            state.starts_at(&judge, from.map(Instant::as_micros));
        }
    }

    /// Takes in the events of a batch. `watermarks` is the watermark after each of them, as a column: where there is none yet,
    /// it is the least instant.
    pub fn observe(&mut self, prepared: &Prepared, watermarks: &[i64]) -> Moved {
        let rules = Arc::clone(&self.rules);
        let mut measured: ById<WindowId, WindowResults> =
            self.sliding.iter().map(|_| WindowResults::default()).collect();
        let mut outcomes: Vec<Outcome> = rules.rules.iter().map(|_| Outcome::default()).collect();
        let mut jobs = Vec::with_capacity(rules.windows.len() + rules.rules.len());
        for ((state, selected), out) in self.sliding.iter_mut().zip(&prepared.windows).zip(&mut measured) {
            jobs.push(Job::Sliding { state, selected, out });
        }
        let states = self.closing.iter_mut().zip(&mut outcomes).zip(rules.rules.entries());
        for ((state, out), (id, rule)) in states {
            let (Some(state), Some(view)) = (state, closing_view(rule)) else { continue };
            let judge = Judge::new(rule, view, &self.calendar, (self.late, self.start));
            jobs.push(Job::Closing(ClosingJob { judge, state, watermark: self.watermark, out, rule: id }));
        }
        let rows = prepared.table().rows;
        in_parallel(jobs, rows >= PARALLEL_ROWS, |job| match job {
            Job::Sliding { state, selected, out } => *out = state.observe(selected),
            Job::Closing(mut batch) => {
                let started = std::time::Instant::now();
                batch.observe(prepared, watermarks);
                batch.out.counts.nanos += u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
            }
        });
        if let Some(last) = watermarks.last() {
            self.watermark = self.watermark.max(Until::of_column(*last));
        }
        let mut moved = Moved { measured, ..Moved::default() };
        for Outcome { counts, closed } in outcomes {
            moved.counts.push(counts);
            moved.closed.extend(closed);
        }
        moved.sort();
        moved
    }

    /// Measures the windows that the events of a batch would have, and takes none of them in. Windows that close judge nobody
    /// before they do.
    pub fn try_out(&mut self, prepared: &Prepared, trial: TrialScope) -> Moved {
        let states = self.sliding.iter_mut().zip(&prepared.windows);
        let measured = states.map(|(state, selected)| state.try_out(selected, trial)).collect();
        Moved { measured, ..Moved::default() }
    }

    /// Moves the watermark without an event, after a row of the last batch: time passes.
    pub fn advance(&mut self, watermark: Instant, row: usize, moved: &mut Moved) {
        self.close(Until::At(watermark), row, moved);
    }

    /// Closes every window that is open: the input is complete.
    pub fn end(&mut self, row: usize, moved: &mut Moved) {
        self.close(Until::Everything, row, moved);
    }

    fn close(&mut self, until: Until, row: usize, moved: &mut Moved) {
        let rules = Arc::clone(&self.rules);
        moved.counts.resize_with(rules.rules.len(), RuleCounts::default);
        for (id, rule) in rules.rules.entries() {
            let (Some(state), Some(view)) = (&mut self.closing[id], closing_view(rule)) else { continue };
            let judge = Judge::new(rule, view, &self.calendar, (self.late, self.start));
            let counts = &mut moved.counts[id];
            let mut found = state.close(&judge, (until, row), false, counts);
            found.extend(state.flush(&judge, counts));
            moved.extend(found);
        }
        self.watermark = self.watermark.max(until);
        moved.sort();
    }
}

impl Moved {
    fn extend(&mut self, found: Vec<Closed>) {
        self.closed.extend(found);
    }

    /// What came so late that a part of its window is gone is an event that rules cannot be evaluated for.
    pub fn refuse_beyond(&mut self, why: &str) {
        for measured in &mut self.measured {
            let failed = measured.beyond.iter().map(|place| (*place, why.to_owned()));
            measured.failed.iter_mut().for_each(|list| list.extend(failed.clone()));
        }
        for counts in &mut self.counts {
            (0..counts.beyond).for_each(|_| counts.fail(why));
        }
    }

    /// In the order in which it happened; at one row by the ends of the windows, then by rule.
    fn sort(&mut self) {
        self.closed.sort_by_key(|closed| (closed.row, closed.at));
    }
}

fn state(window: &SharedWindow, late: TimeDelta) -> Sliding {
    Sliding::new(Arc::clone(&window.plan), window.reach.longest().as_micros(), late.as_micros())
}
