//! Sliding windows (`over`): for each event the aggregates of those before it that share its key.
//!
//! The window of an event is defined by the events that arrived before it, so that one that comes late is judged at
//! its own time, and nothing that was decided before changes. Rules with the same stream, filter, key and window
//! share one state.

use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};

use super::{
    aggregate::{AggregateColumn, FailedValue, Packed, Tally, Texts},
    keys::{Keys, NOWHERE},
    scale::Scale,
    select::Compact,
    series::{Arrival, Series, SeriesContext, TriedEvent, hold, release},
};
use crate::{diagnostic::at_run_time, ledger::TrialScope, rule::plan::WindowPlan};

/// Events of a window that are held without asking whether they are still needed.
const ROWS_MIN: usize = 1 << 20;
/// Events whose keys are looked up together.
const AHEAD: usize = 32;

/// The events of a batch that belong to a window, as rows.
#[derive(Debug, Default)]
pub struct Selected {
    /// The rows of the batch.
    pub rows: Vec<u32>,
    /// The key of each.
    pub keys: Vec<u128>,
    /// The first instant of each event's window.
    pub from: Vec<i64>,
    /// The values that the aggregates read.
    pub packed: Packed,
    /// Values that could not be computed: they are missing in the window.
    pub failed: Vec<FailedValue>,
    /// The rows as columns; `None` where there is none.
    pub compact: Option<Arc<Compact>>,
}

/// The results for the selected events of a batch; nothing at all where none was selected.
#[derive(Debug, Default)]
pub struct WindowResults {
    /// A column for each aggregate.
    pub columns: Vec<ArrayRef>,
    /// For each aggregate the events, by their place among the selected ones, that it failed for.
    pub failed: Vec<Vec<(usize, String)>>,
    /// Events, by their place among the selected ones, that came so late that a part of their window may be gone.
    pub beyond: Vec<usize>,
}

/// The state of one sliding window.
#[derive(Debug)]
pub(crate) struct Sliding {
    plan: Arc<WindowPlan>,
    keys: Keys<Series>,
    /// The texts that events have the numbers of.
    texts: Texts,
    scratch: Vec<Tally>,
    rows: usize,
    scale: Scale,
    /// When so many are held, those that are not needed are let go.
    limit: usize,
    /// The limit is never below this.
    least: usize,
    /// Events before this may be gone; `None` where all are there.
    floor: Option<i64>,
    /// The two latest event times: a single one may be wrong, and what it would let go of is needed. They are compared with
    /// every event, so that the least number stands for none.
    latest: [i64; 2],
    /// Events from this on are not let go, if there are any that somebody needs.
    protect: Option<i64>,
    /// The length of the window, and how late an event may be that still finds all of its window, in microseconds.
    held: i64,
}

impl Sliding {
    /// A window without events. `reach` is the longest the window can be, `late` how late an event may be that
    /// still finds all of its window.
    #[must_use]
    pub(crate) fn new(plan: Arc<WindowPlan>, reach: i64, late: i64) -> Self {
        let scratch = plan.aggregates.iter().map(|aggregate| Tally::new(aggregate, &plan.layout)).collect();
        Self {
            plan,
            keys: Keys::default(),
            texts: Texts::default(),
            scratch,
            rows: 0,
            scale: Scale::default(),
            limit: ROWS_MIN,
            least: ROWS_MIN,
            floor: None,
            latest: [i64::MIN; 2],
            protect: None,
            held: reach.saturating_add(late),
        }
    }

    #[must_use]
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The first instant after `too_far` that a window of these events reaches back to, if what was there may be gone.
    #[must_use]
    pub(crate) fn lacks(&self, selected: &Selected, too_far: Option<i64>) -> Option<i64> {
        let floor = self.floor?;
        let near = |from: &i64| too_far.is_none_or(|too_far| *from > too_far);
        selected.from.iter().copied().filter(near).min().filter(|from| *from < floor)
    }

    pub(crate) fn bytes(&mut self) -> u64 {
        let Self { scale, keys, texts, rows, .. } = self;
        let beside = || keys.bytes() + texts.bytes();
        scale.weigh((*rows + keys.len(), keys.len()), beside, |some| {
            keys.things(some).map(Series::bytes).sum()
        })
    }

    /// Lets go of what no window needs, before it would by itself. The events of the last batch are judged: what only
    /// they needed goes too.
    pub(crate) fn lighten(&mut self) {
        self.protect = None;
        self.expire();
    }

    /// Says that events before `floor` were not taken in; `None` if all were.
    pub(crate) fn starts_at(&mut self, floor: Option<i64>) {
        self.floor = floor;
    }

    /// Keeps what the windows of these events need, until the next batch.
    pub(crate) fn protect(&mut self, selected: &Selected) {
        self.protect = selected.from.iter().copied().min();
    }

    /// Takes in events that were judged before (recovery, or a rule that is new).
    pub(crate) fn load(&mut self, selected: &Selected) {
        self.each(selected, |plan, series, arrival, _| series.load(plan, arrival));
    }

    /// Takes in the events of a batch, one after another, and measures the window of each.
    pub(crate) fn observe(&mut self, selected: &Selected) -> WindowResults {
        if selected.rows.is_empty() {
            return WindowResults::default();
        }
        let plan = Arc::clone(&self.plan);
        let mut outputs = outputs(&plan, selected);
        let (mut beyond, mut place) = (Vec::new(), 0);
        self.each(selected, |plan, series, arrival, state| {
            if state.floor.is_some_and(|floor| arrival.from < floor) {
                beyond.push(place);
            }
            place += 1;
            series.observe(plan, arrival, state.shared, &mut outputs);
        });
        WindowResults { beyond, ..measured(&plan, outputs, selected) }
    }

    /// Measures the windows that the events would have, and takes none of them in.
    pub(crate) fn try_out(&mut self, selected: &Selected, trial: TrialScope) -> WindowResults {
        if selected.rows.is_empty() {
            return WindowResults::default();
        }
        let Self { plan, keys, texts, scratch, floor, .. } = self;
        let mut beyond = Vec::new();
        let mut outputs = outputs(plan, selected);
        let mut held: Vec<(u128, TriedEvent)> = Vec::new();
        let mut tried = Vec::with_capacity(selected.packed.words.len());
        let rows = selected.packed.words.chunks_exact(plan.layout.stride());
        for (i, (row, (key, from))) in rows.zip(selected.keys.iter().zip(&selected.from)).enumerate() {
            undo(plan, keys, &mut held, trial.sees(i));
            let start = tried.len();
            tried.extend_from_slice(row);
            hold(plan, &mut tried[start..], &selected.packed.texts, i, texts);
            let arrival = Arrival { row: &tried[start..], others: selected.packed.others(i), from: *from };
            if floor.is_some_and(|floor| *from < floor) {
                beyond.push(i);
            }
            let shared = SeriesContext { scratch, texts };
            let place = keys.place(*key);
            held.push((*key, keys.at(place).try_out(plan, arrival, shared, &mut outputs)));
        }
        undo(plan, keys, &mut held, 0);
        // A text is given back when no series can ask for it any more.
        let measured = WindowResults { beyond, ..measured(plan, outputs, selected) };
        tried.chunks_exact(plan.layout.stride()).for_each(|row| release(plan, row, texts));
        measured
    }

    fn each(
        &mut self,
        selected: &Selected,
        mut take: impl FnMut(&WindowPlan, &mut Series, Arrival<'_>, State<'_>),
    ) {
        let plan = Arc::clone(&self.plan);
        let stride = plan.layout.stride();
        let mut held: Vec<u64> = Vec::with_capacity(stride);
        let mut places = Vec::with_capacity(AHEAD);
        for (part, keys) in selected.keys.chunks(AHEAD).enumerate() {
            self.keys.find(keys, &mut places, Series::latest);
            for (at, key) in keys.iter().enumerate() {
                let i = part * AHEAD + at;
                held.clear();
                held.extend_from_slice(&selected.packed.words[i * stride..][..stride]);
                hold(&plan, &mut held, &selected.packed.texts, i, &mut self.texts);
                self.passes(held[0].cast_signed());
                let others = selected.packed.others(i);
                let arrival = Arrival { row: &held, others, from: selected.from[i] };
                let shared = SeriesContext { scratch: &mut self.scratch, texts: &self.texts };
                let place = match places[at] {
                    NOWHERE => self.keys.place(*key),
                    place => place,
                };
                take(&plan, self.keys.at(place), arrival, State { floor: self.floor, shared });
                self.rows += 1;
                if self.rows >= self.limit {
                    self.expire();
                    places.fill(NOWHERE);
                }
            }
        }
    }

    /// An event of this time has come.
    fn passes(&mut self, at: i64) {
        if at > self.latest[0] {
            self.latest = [at, self.latest[0]];
        } else {
            self.latest[1] = self.latest[1].max(at);
        }
    }

    /// Lets go of what no window needs any more. It happens after a number of events, so that it does not
    /// depend on how the stream is cut, and costs little for each.
    fn expire(&mut self) {
        let needed = self.latest[1].saturating_sub(self.held);
        let floor = self.protect.map_or(needed, |protect| needed.min(protect));
        let floor = self.floor.map_or(floor, |before| before.max(floor));
        self.floor = Some(floor);
        let plan = Arc::clone(&self.plan);
        let (mut rows, texts) = (0, &mut self.texts);
        self.keys.retain(|series| {
            let left = series.expire(&plan, floor, texts);
            rows += left;
            left > 0
        });
        self.rows = rows;
        self.limit = (rows + rows / 2).max(self.least);
    }
}

/// Takes out again what was tried out, the last first.
/// Takes back what was tried last, all but the first so many.
fn undo(plan: &WindowPlan, keys: &mut Keys<Series>, held: &mut Vec<(u128, TriedEvent)>, but: usize) {
    while held.len() > but
        && let Some((key, tried)) = held.pop()
    {
        if keys.get_mut(key).is_some_and(|series| series.undo(plan, tried)) {
            keys.remove(key);
        }
    }
}

fn outputs(plan: &WindowPlan, selected: &Selected) -> Vec<AggregateColumn> {
    plan.aggregates.iter().map(|aggregate| AggregateColumn::new(aggregate, selected.rows.len())).collect()
}

fn measured(plan: &WindowPlan, outputs: Vec<AggregateColumn>, selected: &Selected) -> WindowResults {
    let (mut measured, count) = (WindowResults::default(), selected.rows.len());
    for (output, aggregate) in outputs.into_iter().zip(&plan.aggregates) {
        let data_type = aggregate.data_type.clone();
        match output.finish() {
            Ok((column, failed)) => {
                measured.columns.push(column);
                measured.failed.push(failed);
            }
            Err(e) => {
                measured.columns.push(new_null_array(&data_type, count));
                measured.failed.push((0..count).map(|row| (row, at_run_time(&e))).collect());
            }
        }
    }
    measured
}

/// What a series needs of the state that it is a part of.
struct State<'s> {
    floor: Option<i64>,
    shared: SeriesContext<'s>,
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Schema};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::rule::plan::{Aggregate, AggregateKind, Lane, LaneKind, Layout};

    const REACH: i64 = 1000;
    const LATE: i64 = 300;

    fn plan() -> Arc<WindowPlan> {
        let schema = Arc::new(Schema::empty());
        let lane = Lane { args: Vec::new(), filter: None, kind: LaneKind::Word, inputs: Vec::new(), schema };
        let aggregate = |kind, lane, data_type| Aggregate { kind, lane, data_type };
        let aggregates = vec![
            aggregate(AggregateKind::Count, None, DataType::Int64),
            aggregate(AggregateKind::Sum, Some(0), DataType::Int64),
            aggregate(AggregateKind::Min, Some(0), DataType::Int64),
            aggregate(AggregateKind::Max, Some(0), DataType::Int64),
        ];
        Arc::new(WindowPlan { layout: Layout::new(&[lane]), aggregates, current: true, since: None })
    }

    fn batch(rng: &mut ChaCha8Rng, clock: &mut i64) -> Selected {
        let mut selected = Selected::default();
        for row in 0..100 {
            *clock += rng.random_range(0..4);
            let at = *clock - if rng.random_ratio(1, 6) { rng.random_range(0..LATE) } else { 0 };
            let value: i64 = rng.random_range(-50..50);
            selected.rows.push(row);
            // One key is hot, the others come and go.
            let key = if rng.random_ratio(1, 2) {
                0
            } else {
                rng.random_range(1..60) + u128::from(clock.unsigned_abs()) / 5000 * 60
            };
            selected.keys.push(key);
            selected.from.push(at - REACH + 1);
            selected.packed.words.extend([at.cast_unsigned(), 1, value.cast_unsigned()]);
        }
        selected
    }

    /// A trial measures what taking in would measure, and leaves nothing behind.
    #[test]
    fn a_trial_leaves_nothing_behind() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let (mut tried, mut taken) = (Sliding::new(plan(), REACH, LATE), Sliding::new(plan(), REACH, LATE));
        let mut clock = 0;
        for round in 0..60 {
            let selected = batch(&mut rng, &mut clock);
            let trial = tried.try_out(&selected, TrialScope::Together);
            let one = |i: usize| Selected {
                rows: vec![0],
                keys: vec![selected.keys[i]],
                from: vec![selected.from[i]],
                packed: Packed { words: selected.packed.words[i * 3..][..3].to_vec(), ..Packed::default() },
                ..Selected::default()
            };
            let behind = tried.try_out(&selected, TrialScope::Behind(30));
            let first = |column: &ArrayRef| column.slice(0, 31);
            assert!(behind.columns.iter().map(first).eq(trial.columns.iter().map(first)), "round {round}");
            let apart = tried.try_out(&selected, TrialScope::Apart);
            for i in [0, 17, 99] {
                let alone = tried.try_out(&one(i), TrialScope::Together);
                let same = |(column, alone): (&ArrayRef, &ArrayRef)| column.slice(i, 1) == Arc::clone(alone);
                assert!(apart.columns.iter().zip(&alone.columns).all(same), "round {round}");
            }
            assert_eq!(trial.columns, taken.observe(&selected).columns, "round {round}");
            assert_eq!(tried.observe(&selected).columns, trial.columns, "round {round}");
        }
        assert_eq!(tried.rows(), taken.rows());
        // Tallies that were put back have no room to grow, so the bytes are about the same.
        let (tried, taken) = (tried.bytes(), taken.bytes());
        assert!(tried.abs_diff(taken) * 100 < taken, "{tried} and {taken} bytes");
    }

    /// What is let go of is never missed, and what is held follows the windows and not the stream.
    #[test]
    fn letting_go_changes_nothing_but_memory() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let (mut lean, mut full) = (Sliding::new(plan(), REACH, LATE), Sliding::new(plan(), REACH, LATE));
        (lean.limit, lean.least) = (50, 50);
        let mut clock = 0;
        for round in 0..300 {
            let selected = batch(&mut rng, &mut clock);
            let (a, b) = (lean.observe(&selected), full.observe(&selected));
            assert_eq!(a.columns, b.columns, "round {round}");
            assert!(a.beyond.is_empty());
        }
        assert_eq!(full.rows(), 30_000);
        assert!(lean.rows() < 2000, "{} events are held", lean.rows());
        assert!(lean.keys.len() < 130, "{} keys are held", lean.keys.len());
    }

    /// An event that reaches further back than what is held is told, so that its window can be filled.
    #[test]
    fn an_event_that_reaches_too_far_back_is_told() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let mut lean = Sliding::new(plan(), REACH, LATE);
        (lean.limit, lean.least) = (50, 50);
        let mut clock = 0;
        (0..50).for_each(|_| drop(lean.observe(&batch(&mut rng, &mut clock))));
        let at = clock - REACH - 2 * LATE;
        let mut late =
            Selected { rows: vec![0], keys: vec![0], from: vec![at - REACH + 1], ..Selected::default() };
        late.packed.words.extend([at.cast_unsigned(), 1, 1]);
        let from = at - REACH + 1;
        assert_eq!(lean.lacks(&late, None), Some(from));
        assert_eq!(lean.lacks(&late, Some(from)), None);
        assert_eq!(lean.observe(&late).beyond, [0]);
    }
}
