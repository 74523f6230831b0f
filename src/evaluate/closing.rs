//! Windows that are judged once, when they close.
//!
//! A key's events are added up in panes as long as the slide; a window is a number of panes after one another. A late
//! event changes its pane, and the windows that are closed already are judged again at once.

mod floating;
mod judge;
mod state;
mod table;
mod until;

use std::{collections::BTreeMap, hash::BuildHasherDefault};

use arrow::buffer::BooleanBuffer;
use datafusion::common::ScalarValue;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::{
    aggregate::{AggregateColumn, Packed, TextsOf, WindowRow},
    condition::{RuleCounts, RuleTable, judge, value},
    finding::{FindingRow, Subject},
    key::KeyHasher,
    key_history::KeyState,
    pane::Pane,
    scale::Scale,
    sliding::Selected,
    windows::Closed,
};
use crate::{
    diagnostic::at_run_time,
    event::{Instant, period::Stretch},
    finding::Finding,
    rule::compile::KeyPart,
};

pub(crate) use judge::Judge;
pub(crate) use state::ClosingWindows;
pub(crate) use until::Until;

/// Panes that are held without asking whether they are still needed.
const PANES_MIN: usize = 1 << 18;
/// Windows that wait to be judged together at most.
const WAITING: usize = 4096;

/// The windows of one rule.
#[derive(Debug, Default)]
pub(crate) struct CalendarWindows {
    keys: Keys,
    /// Panes with events, by their starts, with the keys that have events in them.
    panes: BTreeMap<i64, Vec<u128>>,
    /// The windows that are closed.
    closed: Until,
    next: Next,
    held: usize,
    scale: Scale,
    limit: usize,
    /// Panes that start before this may be gone; `None` where all are there.
    floor: Option<i64>,
    /// Panes from this on are not let go, if there are any that somebody needs.
    protect: Option<i64>,
    waiting: Waiting,
}

type Keys = HashMap<u128, KeyState, BuildHasherDefault<KeyHasher>>;

/// The end of the first window that has events and is not closed.
#[derive(Debug, Clone, Copy, Default)]
enum Next {
    /// It has to be looked for.
    #[default]
    Unknown,
    Nothing,
    At(i64),
}

/// Windows that closed and were measured, and wait to be judged together.
#[derive(Debug, Default)]
struct Waiting {
    windows: Vec<Window>,
    outputs: Vec<AggregateColumn>,
}

impl Waiting {
    /// Adds a window with the events of these panes.
    fn add(&mut self, judge: &Judge<'_>, panes: &[&Pane], window: Window) {
        let (aggregates, layout) = (&judge.view.measures.aggregates, &judge.view.layout);
        if self.outputs.is_empty() {
            self.outputs = aggregates.iter().map(|aggregate| AggregateColumn::new(aggregate, 1)).collect();
        }
        Pane::merge(aggregates, layout, panes, &mut self.outputs);
        self.windows.push(window);
    }
}

/// The window of one key.
#[derive(Debug, Clone, Copy)]
struct Window {
    stretch: Stretch,
    key: u128,
    /// The row of the batch after which it closed.
    row: usize,
}

/// What nobody needs, up to where somebody does.
fn lesser(needed: Option<i64>, protect: Option<i64>) -> Option<i64> {
    needed.map(|needed| protect.map_or(needed, |protect| needed.min(protect)))
}

/// The values of a key in a row.
fn values(by: &[KeyPart], table: &RuleTable, row: usize) -> Box<[ScalarValue]> {
    let of = |part: &KeyPart| match part {
        KeyPart::Column(at) => ScalarValue::try_from_array(&table.column(*at), row),
        KeyPart::Computed(part) => value(part, table, row),
    };
    by.iter().map(|part| of(part).unwrap_or(ScalarValue::Null)).collect()
}

impl CalendarWindows {
    /// Windows without events, of which those up to `closed` are over.
    #[must_use]
    pub(crate) fn new(closed: Until) -> Self {
        Self { closed, limit: PANES_MIN, ..Self::default() }
    }

    #[must_use]
    pub(crate) fn panes(&self) -> usize {
        self.held
    }

    pub(crate) fn bytes(&mut self) -> u64 {
        let Self { scale, keys, panes, held, .. } = self;
        let beside = || {
            let starts: usize = panes.values().map(|keys| keys.capacity() * size_of::<u128>()).sum();
            starts + keys.allocation_size()
        };
        scale.weigh((*held + keys.len(), keys.len()), beside, |some| {
            keys.values().skip(some.start).take(some.len()).map(KeyState::bytes).sum()
        })
    }

    /// Lets go of what no window needs, before it would by itself. The events of the last batch are judged: what only
    /// they needed goes too.
    pub(crate) fn lighten(&mut self, judge: &Judge<'_>) {
        self.protect = None;
        self.expire(judge);
    }

    /// The first instant after `too_far` that a window with one of these events reaches back to, if what was there may be
    /// gone.
    #[must_use]
    pub(crate) fn lacks(&self, judge: &Judge<'_>, selected: &Selected, too_far: Option<i64>) -> Option<i64> {
        let floor = self.floor?;
        let first = judge.reaches_back(selected, None).filter(|from| *from < floor)?;
        if too_far.is_none_or(|too_far| first > too_far) {
            Some(first)
        } else {
            judge.reaches_back(selected, too_far).filter(|from| *from < floor)
        }
    }

    /// Keeps what the windows of these events need, until the next batch.
    pub(crate) fn protect(&mut self, judge: &Judge<'_>, selected: &Selected) {
        self.protect = judge.reaches_back(selected, None);
    }

    /// Says that panes that start before `floor` were not taken in as a whole; `None` if all were.
    pub(crate) fn starts_at(&mut self, floor: Option<i64>) {
        // What was let go of meanwhile stays gone.
        self.floor = self.floor.max(floor);
    }

    /// Says that the watermark has passed without closing anything.
    pub(crate) fn passed(&mut self, until: Until) {
        if until > self.closed {
            self.closed = until;
            // What is open and ends later stays the next one.
            if matches!(self.next, Next::At(end) if until.is_past(end)) {
                self.next = Next::Unknown;
            }
        }
    }

    /// Takes events again whose windows are over (recovery): they count as open until they are closed in order.
    pub(crate) fn reopen(&mut self) {
        self.closed = Until::Nothing;
        self.next = Next::Unknown;
    }

    /// The end of the first window that has events and is open.
    pub(crate) fn next_end(&mut self, judge: &Judge<'_>) -> Option<i64> {
        match self.next {
            Next::At(end) => return Some(end),
            Next::Nothing => return None,
            Next::Unknown => {}
        }
        let next = match self.closed {
            Until::Nothing => self.panes.keys().next().map(|start| judge.grid.pane(*start).end.as_micros()),
            Until::Everything => None,
            Until::At(closed) => {
                let end = judge.grid.next_end(closed.as_micros());
                let from = judge.grid.window_until(end).start.as_micros();
                let first = self.panes.range(from..).next();
                first.map(
                    |(start, _)| if *start < end { end } else { judge.grid.pane(*start).end.as_micros() },
                )
            }
        };
        self.next = next.map_or(Next::Nothing, Next::At);
        next
    }

    /// Takes in the event at `place` of those selected from `table`. A window that is closed already is judged again.
    pub(crate) fn observe(
        &mut self,
        judge: &Judge<'_>,
        table: &RuleTable,
        (selected, place): (&Selected, usize),
        counts: &mut RuleCounts,
    ) -> Vec<Closed> {
        let stride = judge.view.layout.stride();
        let row = &selected.packed.words[place * stride..][..stride];
        let stretch = judge.grid.pane(row[0].cast_signed());
        if self.floor.is_some_and(|floor| stretch.start < Instant::from_micros(floor)) {
            counts.beyond += 1;
            return Vec::new();
        }
        let hash = selected.keys[place];
        let key = self.keys.entry(hash).or_insert_with(|| KeyState {
            by: values(&judge.view.by, table, selected.rows[place] as usize),
            ..KeyState::default()
        });
        let (aggregates, layout) = (&judge.view.measures.aggregates, &judge.view.layout);
        let pane = key.panes.get_or_insert_with(stretch.start.as_micros(), || {
            self.panes.entry(stretch.start.as_micros()).or_default().push(hash);
            self.held += 1;
            self.next = Next::Unknown;
            Pane::new(aggregates, layout)
        });
        let Packed { texts, beside, .. } = &selected.packed;
        let row = WindowRow { words: row, texts: TextsOf::Batch(texts, place) };
        if let Err(e) = pane.add(aggregates, layout, row, (beside, place)) {
            counts.fail(&at_run_time(&e));
        }
        if !self.closed.is_past(stretch.end.as_micros()) {
            return Vec::new();
        }
        // Late: windows that are closed are judged again. What closed before this event comes first.
        let row = selected.rows[place] as usize;
        let mut found = self.flush(judge, counts);
        for window in judge.grid.windows_with(stretch, self.closed) {
            found.extend(self.again(judge, Window { stretch: window, key: hash, row }, counts));
        }
        found
    }

    /// Judges a closed window of one key again: a finding appears if the condition is newly true.
    fn again(&mut self, judge: &Judge<'_>, window: Window, counts: &mut RuleCounts) -> Option<Closed> {
        let past = |keys: &Keys| keys.get(&window.key)?.past.get(window.stretch.end.as_micros()).copied();
        let already = past(&self.keys).is_some_and(|past| past.found);
        let mut own = RuleCounts::default();
        self.measure(judge, window);
        let found = self.flush(judge, &mut own);
        // A window that was found before is found once.
        if already {
            own.findings = 0;
        }
        counts.add(&own);
        self.keys.get_mut(&window.key)?.past.get_mut(window.stretch.end.as_micros())?.found |= already;
        found.into_iter().next().filter(|_| !already)
    }

    /// Closes every window up to `until`, in the order of their ends, after `row` of the batch. The
    /// rule is evaluated on them at the next [`Self::flush`] at the latest. If `quiet` they are only remembered
    /// (recovery).
    pub(crate) fn close(
        &mut self,
        judge: &Judge<'_>,
        (until, row): (Until, usize),
        quiet: bool,
        counts: &mut RuleCounts,
    ) -> Vec<Closed> {
        let mut found = Vec::new();
        while let Some(end) = self.next_end(judge).filter(|end| until.is_past(*end)) {
            let stretch = judge.grid.window_until(end);
            self.passed(Until::At(stretch.end));
            for key in self.keys_in(stretch) {
                self.measure(judge, Window { stretch, key, row });
            }
            // A window is compared with those before it, which must be known by then.
            if judge.view.anomaly.is_some() || self.waiting.windows.len() >= WAITING {
                found.extend(if quiet { self.remember(judge) } else { self.flush(judge, counts) });
            }
        }
        if quiet {
            self.remember(judge);
        }
        self.passed(until);
        if self.held > self.limit {
            found.extend(self.flush(judge, counts));
            self.expire(judge);
        }
        found
    }

    /// The keys with events in a window, ordered by their values, so that the order of findings does not depend on
    /// hashes.
    fn keys_in(&self, window: Stretch) -> Vec<u128> {
        let panes = self.panes.range(window.start.as_micros()..window.end.as_micros());
        let mut keys: Vec<u128> = panes.flat_map(|(_, keys)| keys.iter().copied()).collect();
        keys.sort_unstable();
        keys.dedup();
        let label = |hash: u128| self.keys.get(&hash).map(KeyState::label);
        let mut labelled: Vec<_> = keys.into_iter().map(|hash| (label(hash), hash)).collect();
        labelled.sort_by(|(a, _), (b, _)| a.cmp(b));
        labelled.into_iter().map(|(_, hash)| hash).collect()
    }

    /// Computes the aggregates of a window.
    fn measure(&mut self, judge: &Judge<'_>, window: Window) {
        let Some(key) = self.keys.get(&window.key) else { return };
        let Stretch { start, end } = window.stretch;
        let panes: SmallVec<[&Pane; 1]> =
            key.panes.between(start.as_micros(), end.as_micros()).iter().map(|(_, pane)| pane).collect();
        self.waiting.add(judge, &panes, window);
    }

    /// Judges the windows that wait.
    pub(crate) fn flush(&mut self, j: &Judge<'_>, counts: &mut RuleCounts) -> Vec<Closed> {
        let Waiting { windows, outputs } = std::mem::take(&mut self.waiting);
        if windows.is_empty() {
            return Vec::new();
        }
        let mut failed = vec![false; windows.len()];
        let table = match self.table(j, &windows, outputs, &mut failed, counts) {
            Ok(table) => table,
            Err(e) => {
                counts.fail(&at_run_time(&e));
                return Vec::new();
            }
        };
        let judged = |row: usize| !failed[row] && !j.is_partial(windows[row].stretch);
        let sound = BooleanBuffer::collect_bool(windows.len(), judged);
        let rows = judge(j.rule, &table, &sound, &|row| windows[row].stretch.end, counts);
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let window = windows[row];
            let past = self
                .keys
                .get_mut(&window.key)
                .and_then(|key| key.past.get_mut(window.stretch.end.as_micros()));
            if let Some(past) = past {
                past.found = true;
            }
            let place = FindingRow { table: &table, row, more: &[], more_row: 0 };
            let finding = Finding::new(j.rule, &place, Subject::Window(window.stretch), j.calendar);
            found.push(Closed { row: window.row, at: window.stretch.end, finding });
        }
        found
    }

    /// Remembers the windows that wait without judging them: they closed before the process started.
    fn remember(&mut self, j: &Judge<'_>) -> Vec<Closed> {
        let Waiting { windows, outputs } = std::mem::take(&mut self.waiting);
        let mut failed = vec![false; windows.len()];
        if !windows.is_empty() {
            // Their errors were counted when they closed.
            let _ = self.table(j, &windows, outputs, &mut failed, &mut RuleCounts::default());
        }
        Vec::new()
    }

    /// Lets go of panes and history that no window needs any more.
    fn expire(&mut self, j: &Judge<'_>) {
        let needed = self.closed.needed(j.late.saturating_add(j.view.size.longest()));
        self.floor = self.floor.max(lesser(needed, self.protect));
        if let Some(floor) = self.floor {
            self.panes = self.panes.split_off(&floor);
            self.keys.retain(|_, key| {
                key.panes.forget(floor, 0);
                key.forget(j, floor);
                !key.panes.is_empty() || !key.past.is_empty()
            });
        }
        self.held = self.keys.values().map(|key| key.panes.len()).sum();
        self.limit = (self.held + self.held / 2).max(PANES_MIN);
    }
}
