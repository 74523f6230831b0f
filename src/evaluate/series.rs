//! The events of one key of a sliding window, in the order of their times.

mod rows;
mod texts;

use datafusion::common::ScalarValue;

use super::{
    aggregate::{AggregateColumn, Tally, Texts, TextsOf, WindowRow},
    foreign,
};
use crate::rule::plan::{AggregateKind, Layout, Others, WindowPlan};

use rows::KeyRows;
pub(crate) use texts::{hold, release};

/// Keys with fewer events in their window are added up again for each event, which is faster than keeping tallies, and
/// needs no memory for them.
const HOT: u32 = 48;

/// The events of one key.
#[derive(Debug, Default)]
pub(crate) struct Series(KeyRows);

/// What only some keys have.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    /// The values beside the rows.
    others: Vec<Others>,
    hot: Option<Hot>,
}

impl Extra {
    fn bytes(&self) -> usize {
        let values = |values: &[ScalarValue]| values.iter().map(ScalarValue::size).sum::<usize>();
        let event = |others: &Others| {
            size_of_val(&**others) + others.iter().flatten().map(|of| values(of)).sum::<usize>()
        };
        let tallies = |hot: &Hot| {
            let beside: usize = hot.tallies.iter().map(Tally::bytes).sum();
            beside + hot.tallies.capacity() * size_of::<Tally>()
        };
        let others: usize = self.others.iter().map(event).sum();
        others + self.others.capacity() * size_of::<Others>() + self.hot.as_ref().map_or(0, tallies)
    }
}

/// The running aggregates of the window that ends with the latest event.
#[derive(Debug, Clone)]
struct Hot {
    /// The first event that is in.
    lo: u32,
    tallies: Vec<Tally>,
}

/// How to take an event out again that was only tried out.
#[derive(Debug)]
pub(crate) struct TriedEvent {
    place: u32,
    hot: Option<Hot>,
}

/// An event on its way into a series.
#[derive(Debug)]
pub(crate) struct Arrival<'a> {
    pub row: &'a [u64],
    /// What stands beside it.
    pub others: Option<Others>,
    /// The first instant of its window.
    pub from: i64,
}

impl Arrival<'_> {
    fn at(&self) -> i64 {
        self.row[0].cast_signed()
    }
}

/// What the series of a window share.
pub(crate) struct SeriesContext<'s> {
    /// A tally for each aggregate, to add up windows in.
    pub scratch: &'s mut [Tally],
    /// The texts that rows have the numbers of.
    pub texts: &'s Texts,
}

impl Series {
    /// Events that are held.
    #[must_use]
    pub(crate) fn len(&self, plan: &WindowPlan) -> usize {
        self.0.words().len() / plan.layout.stride()
    }

    /// Bytes beside the series itself.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// A word of the latest event, which whoever reads it has at hand afterwards.
    #[must_use]
    pub(crate) fn latest(&self) -> u64 {
        self.0.words().last().copied().unwrap_or_default()
    }

    fn end(&self, plan: &WindowPlan) -> u32 {
        u32::try_from(self.len(plan)).unwrap_or(u32::MAX)
    }

    fn take_hot(&mut self) -> Option<Hot> {
        self.0.extra_mut().and_then(|extra| extra.hot.take())
    }

    fn set_hot(&mut self, hot: Hot) {
        self.0.rich().hot = Some(hot);
    }

    fn row(&self, plan: &WindowPlan, place: u32) -> &[u64] {
        let stride = plan.layout.stride();
        &self.0.words()[place as usize * stride..][..stride]
    }

    /// The rows from place `lo` on and before `end`.
    fn words(&self, plan: &WindowPlan, lo: u32, end: u32) -> &[u64] {
        let stride = plan.layout.stride();
        &self.0.words()[lo as usize * stride..end.max(lo) as usize * stride]
    }

    /// The row, with the texts that it has the numbers of.
    fn whole<'r>(&'r self, plan: &WindowPlan, held: &'r Texts, place: u32) -> WindowRow<'r> {
        WindowRow { words: self.row(plan, place), texts: TextsOf::Held(held) }
    }

    fn others(&self) -> &[Others] {
        self.0.extra().map_or(&[], |extra| &extra.others)
    }

    fn at(&self, plan: &WindowPlan, place: u32) -> i64 {
        self.row(plan, place)[0].cast_signed()
    }

    /// The first place whose time is not before `at`.
    fn first_from(&self, plan: &WindowPlan, at: i64) -> u32 {
        self.search(plan, |time| time < at)
    }

    fn search(&self, plan: &WindowPlan, before: impl Fn(i64) -> bool) -> u32 {
        let (mut low, mut high) = (0, self.end(plan));
        while low < high {
            let middle = low + (high - low) / 2;
            if before(self.at(plan, middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Whether a window holds only what is not before an event like this.
    fn is_mark(&self, plan: &WindowPlan, place: u32) -> bool {
        plan.since.is_some_and(|lane| Layout::has(self.row(plan, place), lane))
    }

    /// The first place of the window from `from` on that ends before `end`.
    fn first_in(&self, plan: &WindowPlan, from: i64, end: u32) -> u32 {
        let lo = self.first_from(plan, from);
        match plan.since {
            None => lo,
            Some(_) => (lo..end).rev().find(|place| self.is_mark(plan, *place)).unwrap_or(lo),
        }
    }

    /// Takes in an event without asking for its window.
    pub(crate) fn load(&mut self, plan: &WindowPlan, arrival: Arrival<'_>) {
        self.take_hot();
        let place = match self.is_latest(plan, arrival.at()) {
            true => self.end(plan),
            false => self.search(plan, |time| time <= arrival.at()),
        };
        self.place(plan, place, arrival);
    }

    /// Adds the aggregates of the window that an event would have to `outputs`. It is held until [`Self::undo`], so that the
    /// next one sees it. Crowded series are neither copied nor added up for it: somebody waits.
    pub(crate) fn try_out(
        &mut self,
        plan: &WindowPlan,
        arrival: Arrival<'_>,
        shared: SeriesContext<'_>,
        outputs: &mut [AggregateColumn],
    ) -> TriedEvent {
        let hot = self.0.extra().and_then(|extra| extra.hot.clone());
        let place = match self.is_latest(plan, arrival.at()) {
            true => self.end(plan),
            false => self.search(plan, |time| time <= arrival.at()),
        };
        self.observe(plan, arrival, shared, outputs);
        TriedEvent { place, hot }
    }

    /// Takes the event out again that was tried out last. Says whether none is left.
    pub(crate) fn undo(&mut self, plan: &WindowPlan, TriedEvent { place, hot }: TriedEvent) -> bool {
        let (at, stride) = (place as usize * plan.layout.stride(), plan.layout.stride());
        self.0.cut(at..at + stride);
        if let Some(extra) = self.0.extra_mut() {
            if !extra.others.is_empty() {
                extra.others.remove(place as usize);
            }
            extra.hot = hot;
        }
        self.0.words().is_empty()
    }

    /// Takes in an event and adds the aggregates of its window to `outputs`.
    pub(crate) fn observe(
        &mut self,
        plan: &WindowPlan,
        arrival: Arrival<'_>,
        shared: SeriesContext<'_>,
        outputs: &mut [AggregateColumn],
    ) {
        if self.is_latest(plan, arrival.at()) {
            self.append(plan, arrival, shared, outputs);
        } else {
            self.insert(plan, arrival, shared, outputs);
        }
    }

    fn is_latest(&self, plan: &WindowPlan, at: i64) -> bool {
        let end = self.end(plan);
        end == 0 || self.at(plan, end - 1) <= at
    }

    fn append(
        &mut self,
        plan: &WindowPlan,
        arrival: Arrival<'_>,
        shared: SeriesContext<'_>,
        outputs: &mut [AggregateColumn],
    ) {
        let SeriesContext { scratch, texts } = shared;
        let (place, from) = (self.end(plan), arrival.from);
        self.place(plan, place, arrival);
        let Some(mut hot) = self.take_hot() else {
            let end = if plan.current { place + 1 } else { place };
            let lo = self.first_in(plan, from, end);
            self.scan(plan, texts, (lo, end), scratch);
            self.emit(plan, texts, scratch, (lo, end), outputs);
            // After an event that the next window begins at, nothing is added up yet.
            if end - lo >= HOT && !self.is_mark(plan, place) {
                let mut tallies = scratch.to_vec();
                if !plan.current {
                    self.add(plan, texts, &mut tallies, place);
                }
                self.set_hot(Hot { lo, tallies });
            }
            return;
        };
        while self.at(plan, hot.lo) < from {
            self.remove(plan, texts, &mut hot.tallies, hot.lo);
            hot.lo += 1;
        }
        if self.is_mark(plan, place) {
            // What a window holds begins again: this one if it has the event in it, else the next one.
            let end = if plan.current { place + 1 } else { place };
            let lo = if plan.current { place } else { hot.lo };
            self.scan(plan, texts, (lo, end), scratch);
            self.emit(plan, texts, scratch, (lo, end), outputs);
            return;
        }
        if plan.current {
            self.add(plan, texts, &mut hot.tallies, place);
            self.emit(plan, texts, &hot.tallies, (hot.lo, place + 1), outputs);
        } else {
            self.emit(plan, texts, &hot.tallies, (hot.lo, place), outputs);
            self.add(plan, texts, &mut hot.tallies, place);
        }
        if place + 1 - hot.lo >= HOT / 2 {
            self.set_hot(hot);
        }
    }

    /// An event that came late is judged by its own window, and counts in those of later events that come after it.
    fn insert(
        &mut self,
        plan: &WindowPlan,
        arrival: Arrival<'_>,
        shared: SeriesContext<'_>,
        outputs: &mut [AggregateColumn],
    ) {
        let SeriesContext { scratch, texts } = shared;
        let (place, from) = (self.search(plan, |time| time <= arrival.at()), arrival.from);
        self.place(plan, place, arrival);
        let hot = self.take_hot();
        let stays = |hot: &Hot| plan.since.is_none() || place > hot.lo && !self.is_mark(plan, place);
        if let Some(mut hot) = hot.filter(stays) {
            if place < hot.lo {
                hot.lo += 1;
                hot.tallies.iter_mut().for_each(Tally::make_room);
            } else {
                let row = self.whole(plan, texts, place);
                for (tally, aggregate) in hot.tallies.iter_mut().zip(&plan.aggregates) {
                    tally.insert(&plan.layout, aggregate.lane, row, place);
                }
            }
            self.set_hot(hot);
        }
        let end = if plan.current { place + 1 } else { place };
        let lo = self.first_in(plan, from, end);
        self.scan(plan, texts, (lo, end), scratch);
        self.emit(plan, texts, scratch, (lo, end), outputs);
    }

    fn place(&mut self, plan: &WindowPlan, place: u32, arrival: Arrival<'_>) {
        let at = place as usize * plan.layout.stride();
        self.0.put(at, arrival.row);
        if let Some(others) = arrival.others {
            self.0.rich().others.insert(place as usize, others);
        }
    }

    fn add(&self, plan: &WindowPlan, texts: &Texts, tallies: &mut [Tally], place: u32) {
        let row = self.whole(plan, texts, place);
        for (tally, aggregate) in tallies.iter_mut().zip(&plan.aggregates) {
            tally.add(&plan.layout, aggregate.lane, row, place);
        }
    }

    fn remove(&self, plan: &WindowPlan, texts: &Texts, tallies: &mut [Tally], place: u32) {
        let row = self.whole(plan, texts, place);
        for (tally, aggregate) in tallies.iter_mut().zip(&plan.aggregates) {
            tally.remove(&plan.layout, aggregate.lane, row, place);
        }
    }

    fn scan(&self, plan: &WindowPlan, held: &Texts, (lo, end): (u32, u32), tallies: &mut [Tally]) {
        tallies.iter_mut().for_each(Tally::clear);
        let (stride, words) = (plan.layout.stride(), self.words(plan, lo, end));
        for (tally, aggregate) in tallies.iter_mut().zip(&plan.aggregates) {
            if let Tally::Rows = tally {
                continue;
            }
            for (words, place) in words.chunks_exact(stride).zip(lo..) {
                let row = WindowRow { words, texts: TextsOf::Held(held) };
                tally.add(&plan.layout, aggregate.lane, row, place);
            }
        }
    }

    fn emit(
        &self,
        plan: &WindowPlan,
        texts: &Texts,
        tallies: &[Tally],
        (lo, end): (u32, u32),
        outputs: &mut [AggregateColumn],
    ) {
        for ((aggregate, tally), output) in plan.aggregates.iter().zip(tallies).zip(outputs) {
            match (&aggregate.kind, aggregate.lane) {
                (AggregateKind::Listed(function), Some(lane)) => {
                    foreign::list(function, (&plan.layout, lane), self.words(plan, lo, end), texts, output);
                }
                (AggregateKind::Other(function), Some(lane)) => {
                    let events = self.others().get(lo as usize..end.max(lo) as usize).unwrap_or_default();
                    output.push_value(foreign::evaluate(function, plan.layout.beside(lane), events));
                }
                _ => output.push(aggregate, tally, texts),
            }
        }
    }

    /// Lets go of events before `floor`. Says how many are left.
    pub(crate) fn expire(&mut self, plan: &WindowPlan, floor: i64, texts: &mut Texts) -> usize {
        let gone = self.first_from(plan, floor);
        if gone > 0 {
            for place in 0..gone {
                release(plan, self.row(plan, place), texts);
            }
            self.0.cut(0..gone as usize * plan.layout.stride());
            self.0.shrink();
            if let Some(extra) = self.0.extra_mut() {
                extra.others.drain(..extra.others.len().min(gone as usize));
                // A window that reaches further back is of a key that was silent for long.
                extra.hot = extra.hot.take().filter(|hot| hot.lo >= gone);
                if let Some(hot) = &mut extra.hot {
                    hot.lo -= gone;
                    hot.tallies.iter_mut().for_each(|tally| tally.shift(gone));
                }
            }
        }
        self.len(plan)
    }
}
