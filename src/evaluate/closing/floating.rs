//! Windows that begin with events instead of on the calendar: sessions, which end when their key was silent for a while, and
//! windows that begin at each event that meets a condition.
//!
//! A key's events are added up instant by instant, and a window is the instants from its first one on and before its end. A
//! late event can make a session longer, join two, or lie in windows that are closed: those are judged again at once.

use std::{collections::BTreeSet, hash::BuildHasherDefault};

use arrow::buffer::BooleanBuffer;
use datafusion::common::{Result, ScalarValue};
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::{
    Closed, Judge, PANES_MIN, Until, WAITING, Waiting, Window,
    judge::{column, measured},
    lesser,
    table::times,
    values,
};
use crate::{
    diagnostic::at_run_time,
    evaluate::{
        aggregate::{AggregateColumn, Packed, TextsOf, WindowRow},
        condition::{RuleCounts, RuleTable, judge},
        finding::{FindingRow, Subject},
        key::KeyHasher,
        key_history::label,
        pane::Pane,
        scale::Scale,
        sliding::Selected,
        timeline::Timeline,
    },
    event::{Instant, period::Stretch},
    finding::Finding,
    rule::{compile::WindowShape, plan::Layout},
};

/// The windows of one rule.
#[derive(Debug)]
pub(crate) struct Floating {
    keys: HashMap<u128, Own, BuildHasherDefault<KeyHasher>>,
    /// Windows that are open: their ends, their first instants and their keys.
    open: BTreeSet<(i64, i64, u128)>,
    /// The windows that are closed.
    closed: Until,
    held: usize,
    /// When so many instants are held, those that are not needed are let go.
    limit: usize,
    /// The limit is never below this.
    least: usize,
    scale: Scale,
    /// Windows that end at or before this may be gone, and what events at or after it need is there; `None` where all are
    /// there.
    floor: Option<i64>,
    /// What events from this on need is not let go of.
    protect: Option<i64>,
    waiting: Waiting,
}

/// What is known of a key.
#[derive(Debug, Default)]
struct Own {
    by: Box<[ScalarValue]>,
    /// Events by their instants.
    panes: Timeline<Pane>,
    /// Windows by their first instants.
    spans: Timeline<Span>,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    end: i64,
    /// Whether it made a finding.
    found: bool,
}

impl Own {
    fn bytes(&self) -> usize {
        let by: usize = self.by.iter().map(ScalarValue::size).sum();
        let panes: usize = self.panes.things().map(Pane::bytes).sum();
        by + panes + self.panes.bytes() + self.spans.bytes()
    }

    /// Makes the session that an event at `at` is in, of those that it is in or joins. Gives the new one, and the old ones.
    fn join(&mut self, at: i64, until: i64) -> Option<(Stretch, SmallVec<[Stretch; 2]>)> {
        let before = self.spans.before(at.saturating_add(1)).last().filter(|(_, span)| span.end > at);
        if before.is_some_and(|(_, span)| span.end >= until) {
            return None;
        }
        let after = self.spans.between(at.saturating_add(1), until);
        let old: SmallVec<[Stretch; 2]> =
            before.into_iter().chain(after).map(|(start, span)| stretch(*start, span.end)).collect();
        let mut new = stretch(at, until);
        let mut found = None;
        for Stretch { start, end } in &old {
            new = Stretch { start: new.start.min(*start), end: new.end.max(*end) };
            found = self.spans.remove(start.as_micros());
        }
        let end = new.end.as_micros();
        // A session that ends elsewhere is another one, and was not found yet.
        let found = found.is_some_and(|span| span.found && span.end == end);
        self.spans.get_or_insert_with(new.start.as_micros(), || Span { end, found });
        Some((new, old))
    }

    /// The windows that hold an instant, the earliest first.
    fn with(&self, at: i64) -> SmallVec<[Stretch; 2]> {
        let before = self.spans.before(at.saturating_add(1)).iter().rev();
        // Later windows end later, or at the same time.
        let with = before.take_while(|(_, span)| span.end > at);
        let mut with: SmallVec<[Stretch; 2]> = with.map(|(start, span)| stretch(*start, span.end)).collect();
        with.reverse();
        with
    }
}

impl Window {
    fn start(&self) -> i64 {
        self.stretch.start.as_micros()
    }
}

/// A stretch of two numbers of the columns.
fn stretch(start: i64, end: i64) -> Stretch {
    Stretch { start: Instant::from_micros(start), end: Instant::from_micros(end) }
}

impl Floating {
    /// Windows without events, of which those up to `closed` are over.
    #[must_use]
    pub(super) fn new(closed: Until) -> Self {
        Self {
            keys: HashMap::default(),
            open: BTreeSet::new(),
            closed,
            held: 0,
            limit: PANES_MIN,
            least: PANES_MIN,
            scale: Scale::default(),
            floor: None,
            protect: None,
            waiting: Waiting::default(),
        }
    }

    pub(super) fn panes(&self) -> usize {
        self.held
    }

    pub(super) fn bytes(&mut self) -> u64 {
        let Self { scale, keys, open, held, .. } = self;
        let beside = || open.len() * size_of::<(i64, i64, u128)>() + keys.allocation_size();
        scale.weigh((*held + keys.len(), keys.len()), beside, |some| {
            keys.values().skip(some.start).take(some.len()).map(Own::bytes).sum()
        })
    }

    pub(super) fn lighten(&mut self, judge: &Judge<'_>) {
        self.protect = None;
        self.expire(judge);
    }

    pub(super) fn lacks(&self, judge: &Judge<'_>, selected: &Selected, too_far: Option<i64>) -> Option<i64> {
        let floor = self.floor?;
        let early = times_of(judge, selected).filter(|at| *at < floor);
        early.map(|at| judge.since(at)).filter(|from| too_far.is_none_or(|too_far| *from > too_far)).min()
    }

    pub(super) fn protect(&mut self, judge: &Judge<'_>, selected: &Selected) {
        self.protect = times_of(judge, selected).min();
    }

    pub(super) fn starts_at(&mut self, judge: &Judge<'_>, from: Option<i64>) {
        // What was let go of meanwhile stays gone.
        self.floor = self.floor.max(from.map(|from| judge.whole_from(from)));
    }

    pub(super) fn passed(&mut self, until: Until) {
        self.closed = self.closed.max(until);
    }

    pub(super) fn reopen(&mut self) {
        self.closed = Until::Nothing;
    }

    pub(super) fn next_end(&self) -> Option<i64> {
        self.open.first().map(|(end, ..)| *end)
    }

    pub(super) fn observe(
        &mut self,
        judge: &Judge<'_>,
        table: &RuleTable,
        (selected, place): (&Selected, usize),
        counts: &mut RuleCounts,
    ) -> Vec<Closed> {
        let layout = &judge.view.layout;
        let words = &selected.packed.words[place * layout.stride()..][..layout.stride()];
        let at = words[0].cast_signed();
        if self.floor.is_some_and(|floor| at < floor) {
            counts.beyond += 1;
            return Vec::new();
        }
        // What closed before this event comes first, and is judged before this event changes it.
        let is_late = self.closed.is_after(at);
        let mut found = if is_late { self.flush(judge, counts) } else { Vec::new() };
        let (hash, row) = (selected.keys[place], selected.rows[place] as usize);
        let own = self.keys.entry(hash).or_insert_with(|| {
            let by = values(&judge.view.by, table, row);
            Own { by, ..Own::default() }
        });
        let aggregates = &judge.view.measures.aggregates;
        let pane = own.panes.get_or_insert_with(at, || {
            self.held += 1;
            Pane::new(aggregates, layout)
        });
        let Packed { texts, beside, .. } = &selected.packed;
        let event = WindowRow { words, texts: TextsOf::Batch(texts, place) };
        if let Err(e) = pane.add(aggregates, layout, event, (beside, place)) {
            counts.fail(&at_run_time(&e));
        }
        match judge.view.shape {
            WindowShape::From { lane, .. } if Layout::has(words, lane) && own.spans.get(at).is_none() => {
                let end = judge.until(at);
                own.spans.get_or_insert_with(at, || Span { end, found: false });
                if !self.closed.is_past(end) {
                    self.open.insert((end, at, hash));
                }
            }
            WindowShape::From { .. } => {}
            WindowShape::Session(_) | WindowShape::Calendar => {
                if let Some((new, old)) = own.join(at, judge.until(at)) {
                    for Stretch { start, end } in old {
                        self.open.remove(&(end.as_micros(), start.as_micros(), hash));
                    }
                    if !self.closed.is_past(new.end.as_micros()) {
                        self.open.insert((new.end.as_micros(), new.start.as_micros(), hash));
                    }
                }
            }
        }
        if !is_late {
            return found;
        }
        let late = own.with(at).into_iter().filter(|window| self.closed.is_past(window.end.as_micros()));
        let late: SmallVec<[Stretch; 2]> = late.collect();
        for stretch in late {
            found.extend(self.again(judge, Window { stretch, key: hash, row }, counts));
        }
        found
    }

    /// Judges a closed window again: a finding appears if the condition is newly true.
    fn again(&mut self, judge: &Judge<'_>, window: Window, counts: &mut RuleCounts) -> Option<Closed> {
        let already = self.keys.get(&window.key)?.spans.get(window.start())?.found;
        let mut own = RuleCounts::default();
        self.measure(judge, window);
        let found = self.flush(judge, &mut own);
        // A window that was found before is found once.
        if already {
            own.findings = 0;
        }
        counts.add(&own);
        self.keys.get_mut(&window.key)?.spans.get_mut(window.start())?.found |= already;
        found.into_iter().next().filter(|_| !already)
    }

    pub(super) fn close(
        &mut self,
        judge: &Judge<'_>,
        (until, row): (Until, usize),
        quiet: bool,
        counts: &mut RuleCounts,
    ) -> Vec<Closed> {
        let mut found = Vec::new();
        while let Some(end) = self.next_end().filter(|end| until.is_past(*end)) {
            self.passed(Until::At(Instant::from_micros(end)));
            // The least entry that there can be of those that end later.
            let later = self.open.split_off(&(end.saturating_add(1), i64::MIN, 0));
            let due = std::mem::replace(&mut self.open, later);
            if quiet {
                continue;
            }
            // In the order of the keys' values, so that the order of findings does not depend on hashes.
            let of_key = |hash: u128| self.keys.get(&hash).map(|own| label(&own.by));
            let mut due: Vec<_> = due.into_iter().map(|(_, start, key)| (of_key(key), start, key)).collect();
            due.sort_by(|(a, at, _), (b, other, _)| a.cmp(b).then(at.cmp(other)));
            let due: Vec<_> = due.into_iter().map(|(_, start, key)| (start, key)).collect();
            for (start, key) in due {
                self.measure(judge, Window { stretch: stretch(start, end), key, row });
            }
            if self.waiting.windows.len() >= WAITING {
                found.extend(self.flush(judge, counts));
            }
        }
        self.passed(until);
        if self.held > self.limit {
            found.extend(self.flush(judge, counts));
            self.expire(judge);
        }
        found
    }

    /// Computes the aggregates of a window.
    fn measure(&mut self, judge: &Judge<'_>, window: Window) {
        let Some(own) = self.keys.get(&window.key) else { return };
        let Stretch { start, end } = window.stretch;
        let panes: SmallVec<[&Pane; 8]> =
            own.panes.between(start.as_micros(), end.as_micros()).iter().map(|(_, pane)| pane).collect();
        self.waiting.add(judge, &panes, window);
    }

    pub(super) fn flush(&mut self, j: &Judge<'_>, counts: &mut RuleCounts) -> Vec<Closed> {
        let Waiting { windows, outputs } = std::mem::take(&mut self.waiting);
        if windows.is_empty() {
            return Vec::new();
        }
        let mut failed = vec![false; windows.len()];
        let table = match self.table(j, &windows, outputs, (&mut failed, counts)) {
            Ok(table) => table,
            Err(e) => {
                counts.fail(&at_run_time(&e));
                return Vec::new();
            }
        };
        let sound = BooleanBuffer::collect_bool(windows.len(), |row| !failed[row]);
        let mut found = Vec::new();
        for row in judge(j.rule, &table, &sound, &|row| windows[row].stretch.end, counts) {
            let window = windows[row];
            let own = self.keys.get_mut(&window.key);
            if let Some(span) = own.and_then(|own| own.spans.get_mut(window.start())) {
                span.found = true;
            }
            let place = FindingRow { table: &table, row, more: &[], more_row: 0 };
            let subject = match j.view.shape {
                WindowShape::From { .. } => Subject::From(window.stretch),
                WindowShape::Session(_) | WindowShape::Calendar => Subject::Window(window.stretch),
            };
            let finding = Finding::new(j.rule, &place, subject, j.calendar);
            found.push(Closed { row: window.row, at: window.stretch.end, finding });
        }
        found
    }

    /// The windows in the columns of the rule's table.
    fn table(
        &self,
        j: &Judge<'_>,
        windows: &[Window],
        outputs: Vec<AggregateColumn>,
        (failed, counts): (&mut [bool], &mut RuleCounts),
    ) -> Result<RuleTable> {
        let mut columns = Vec::with_capacity(j.rule.columns.fields().len());
        for at in 0..j.view.by.len() {
            let keys = windows.iter().filter_map(|window| self.keys.get(&window.key));
            columns.push(column(keys.map(|own| &own.by[at]))?);
        }
        columns.extend(measured(j, outputs, failed, counts)?);
        columns.extend(times(j, windows));
        Ok(RuleTable::new(columns.into(), windows.len()))
    }

    /// Lets go of events and windows that nothing needs any more.
    fn expire(&mut self, j: &Judge<'_>) {
        self.floor = self.floor.max(lesser(self.closed.needed(j.late), self.protect));
        if let Some(floor) = self.floor {
            self.keys.retain(|_, own| {
                own.spans.retain(|span| span.end > floor);
                own.panes.forget(own.spans.first().map_or(floor, |first| first.min(floor)), 0);
                !own.panes.is_empty()
            });
        }
        self.held = self.keys.values().map(|own| own.panes.len()).sum();
        self.limit = (self.held + self.held / 2).max(self.least);
    }
}

/// The times of the events of a batch.
fn times_of(judge: &Judge<'_>, selected: &Selected) -> impl Iterator<Item = i64> {
    let rows = selected.packed.words.chunks_exact(judge.view.layout.stride());
    rows.map(|row| row[0].cast_signed())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::{
        event::{TimeDelta, time::Calendar},
        lists::Lists,
        rule::{
            ById, RuleSet,
            compile::{CompiledView, Compiler},
        },
        text::Language,
    };

    const HOUR: i64 = 3_600_000_000;
    const LATE: i64 = 50 * HOUR;

    /// Events of some keys, a few of them late; every third is marked.
    fn batch(rng: &mut ChaCha8Rng, clock: &mut i64, (stride, keys): (usize, u128)) -> Selected {
        let mut selected = Selected::default();
        for row in 0..20 {
            *clock += rng.random_range(0..HOUR);
            let at = *clock - if rng.random_ratio(1, 5) { rng.random_range(0..LATE) } else { 0 };
            selected.rows.push(row);
            selected.keys.push(rng.random_range(0..keys));
            let mark = u64::from(rng.random_ratio(1, 3));
            selected.packed.words.extend([at.cast_unsigned(), mark].iter().take(stride));
        }
        selected
    }

    /// What is let go of is never missed, and what is held follows the windows and not the stream.
    #[test]
    fn letting_go_changes_nothing_but_memory() {
        let calendar = Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap());
        let compiler = Compiler::new(&calendar, Lists::default(), Language::En);
        // With nine keys no session would end within days.
        for (window, keys) in [
            ("gap: 9h, size: month", 9),
            ("gap: 1d", 50),
            ("from: amount > 5, within: 1d", 9),
            ("from: amount > 5, within: 7h", 9),
        ] {
            let text = format!(
                "rules: [{{ id: a, severity: low, trigger: window, of: payment, key: [n], when: n >= 4,
                   window: {{ by: [], {window} }}, measure: {{ n: count(*) }} }}]"
            );
            let rules = RuleSet::from_text(&text, &compiler, &calendar).unwrap();
            let CompiledView::Closing(view) = &rules.rules.first().unwrap().view else { panic!("{window}") };
            let judge = Judge::new(
                rules.rules.first().unwrap(),
                view,
                &calendar,
                (TimeDelta::from_micros(LATE), None),
            );
            let mut rng = ChaCha8Rng::seed_from_u64(9);
            let (mut lean, mut full) = (Floating::new(Until::Nothing), Floating::new(Until::Nothing));
            (lean.limit, lean.least) = (50, 50);
            let (mut clock, mut all) = (1_780_000_000_000_000, 0);
            let table = RuleTable::new(ById::default(), 20);
            for round in 0..200 {
                let selected = batch(&mut rng, &mut clock, (view.layout.stride(), keys));
                assert_eq!(lean.lacks(&judge, &selected, None), None, "{window} round {round}");
                let until = Until::At(Instant::from_micros(clock - HOUR));
                let step = |state: &mut Floating| {
                    let mut counts = RuleCounts::default();
                    let mut found = Vec::new();
                    state.protect(&judge, &selected);
                    for place in 0..selected.rows.len() {
                        found.extend(state.observe(&judge, &table, (&selected, place), &mut counts));
                    }
                    found.extend(state.close(&judge, (until, 19), false, &mut counts));
                    found.extend(state.flush(&judge, &mut counts));
                    assert_eq!((counts.beyond, counts.errors), (0, 0));
                    found
                        .into_iter()
                        .map(|closed| (closed.row, closed.at, closed.finding.finding_id))
                        .collect::<Vec<_>>()
                };
                let mut found = step(&mut lean);
                let mut expected = step(&mut full);
                // The keys have no values here that they could be ordered by.
                found.sort();
                expected.sort();
                assert_eq!(found, expected, "{window} round {round}");
                all += found.len();
            }
            assert!(all > 100, "{window}: {all}");
            assert!(
                lean.panes() < 700 && full.panes() > 3500,
                "{window}: {} of {}",
                lean.panes(),
                full.panes()
            );
        }
    }
}
