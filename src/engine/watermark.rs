//! 水位线: the event time up to which the stream is taken to be complete.
//!
//! One wrong stamp must not move time for everybody, so time has two marks. Schedules follow `at`: a jump beyond `outlier`
//! waits for a second event. Windows follow `settled`, which every single event waits for: what closes is judged once.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{plausible::Plausible, reached::Reached};
use crate::{
    event::{Instant, TimeDelta, period::JournalStart, time::Calendar},
    stream::{Block, Payload},
};

/// The first and the last event of an input are believed so far from the others: nothing contradicts them. 366 days.
const BELIEVED: TimeDelta = TimeDelta::days(366);

/// Ends of bounded inputs that are remembered: of a job that runs every night, more than a year.
const ENDS_MAX: usize = 400;

/// The watermark of all sources: the largest event time less the allowed lateness, the least over their partitions.
#[derive(Debug, Clone)]
pub struct Watermark {
    lateness: TimeDelta,
    outlier: Option<TimeDelta>,
    partitions: Vec<Partition>,
    index: BTreeMap<(Arc<str>, Option<Arc<str>>), usize>,
    /// It never goes back.
    at: Option<Instant>,
    /// The same, as far as no single event has moved it.
    settled: Option<Instant>,
    latest: Option<Instant>,
    /// The time that schedules are due after.
    first: Option<Instant>,
    /// There was one event so far.
    alone: bool,
    owed: Option<Owed>,
    ends: Vec<Instant>,
    /// Sources that do not move with the clock, however long they are silent.
    waiting: Arc<BTreeSet<String>>,
    /// From when on the journal is said to be complete.
    complete_from: Option<Instant>,
    /// Which times are plausible, where that follows from the budget lines.
    plausible: Option<Plausible>,
}

/// Ticks that the watermark has passed and that were not evaluated yet: those after `from`, up to the watermark.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// Every tick up to this one is done.
    pub from: Instant,
    /// The last tick and rule after it that are done too.
    #[serde(default)]
    pub done: Option<(Instant, String)>,
    /// How many processes have begun the next of them after the first.
    #[serde(default)]
    pub attempts: u32,
}

#[derive(Debug, Clone, Default)]
struct Partition {
    reached: Option<Reached>,
    /// When its last event arrived, by the clock; used only to find idle ones.
    seen: Instant,
    /// Whether it moves with the clock when it is silent.
    moves: bool,
}

/// A watermark as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedWatermark {
    /// The watermark; `None` before the first event.
    pub at: Option<Instant>,
    /// What windows are closed up to; as `at` where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Instant>,
    /// The largest event time of all that is believed.
    pub latest: Option<Instant>,
    /// The time of the first event that arrived; schedules are due from then on.
    #[serde(default)]
    pub first: Option<Instant>,
    /// Ticks that are still to be evaluated on what is stored with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed: Option<Owed>,
    /// The largest event time of each partition that is believed, by source and partition.
    pub partitions: Vec<(String, Option<String>, Instant)>,
    /// What each of them has reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reached: Vec<Reached>,
    /// Where bounded inputs ended, at each of which every open window closed before its time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ends: Vec<Instant>,
    /// The fiscal years of the first budget lines, from which the earliest plausible time follows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub years: Vec<i32>,
}

impl Watermark {
    /// A watermark before any event. An event more than `outlier` ahead of all others moves it only when a second one
    /// confirms it; `None` believes every event.
    #[must_use]
    pub fn new(lateness: TimeDelta, outlier: Option<TimeDelta>) -> Self {
        Self {
            lateness,
            outlier,
            partitions: Vec::new(),
            index: BTreeMap::new(),
            at: None,
            settled: None,
            latest: None,
            first: None,
            alone: false,
            owed: None,
            ends: Vec::new(),
            waiting: Arc::default(),
            complete_from: None,
            plausible: None,
        }
    }

    /// Sources that bring a history do not move with the clock: their silence is a pause, and not that nothing happened.
    #[must_use]
    pub fn waiting_for(mut self, sources: &BTreeSet<String>) -> Self {
        self.waiting = Arc::new(sources.clone());
        for ((source, _), place) in &self.index {
            self.partitions[*place].moves = !sources.contains(&**source);
        }
        self
    }

    /// The same, before which times are refused that the first budget lines show to be wrong.
    #[must_use]
    pub fn judging_times(self, calendar: &Arc<Calendar>) -> Self {
        Self { plausible: Some(Plausible::new(calendar)), ..self }
    }

    /// The same with a journal that is complete from a time on, whatever its first event is.
    #[must_use]
    pub fn complete_from(self, at: Option<Instant>) -> Self {
        Self { complete_from: at, ..self }
    }

    /// From when on the journal holds everything; `None` before the first event, and where every event is believed.
    #[must_use]
    pub fn journal_start(&self, calendar: &Calendar) -> Option<JournalStart> {
        let from = self.complete_from.or(self.first.filter(|_| self.outlier.is_some()))?;
        Some(calendar.journal_start(from))
    }

    /// What tells which times are plausible, as it is.
    #[must_use]
    pub fn known_plausible(&self) -> Option<&Plausible> {
        self.plausible.as_ref()
    }

    /// What tells which times are plausible.
    pub fn plausible(&mut self) -> Option<&mut Plausible> {
        self.plausible.as_mut()
    }

    /// This watermark as it was stored. Whether a source is silent is known only from `now` on.
    #[must_use]
    pub fn restore(mut self, saved: &SavedWatermark, now: Instant) -> Self {
        for (number, (source, partition, latest)) in saved.partitions.iter().enumerate() {
            let place = self.partition(Arc::from(source.as_str()), partition.as_deref().map(Arc::from), now);
            let reached = saved.reached.get(number).copied().unwrap_or_else(|| Reached::certain(*latest));
            self.partitions[place].reached = Some(reached);
        }
        self.at = saved.at;
        self.settled = saved.settled.or(saved.at);
        self.latest = saved.latest;
        self.first = saved.first;
        self.alone = matches!(saved.reached[..], [only] if only.is_one_event());
        self.owed.clone_from(&saved.owed);
        self.ends.clone_from(&saved.ends);
        if let Some(plausible) = &mut self.plausible {
            plausible.restore(&saved.years);
        }
        self
    }

    /// The watermark to store.
    #[must_use]
    pub fn save(&self) -> SavedWatermark {
        let mut saved = SavedWatermark {
            at: self.at,
            settled: self.settled,
            latest: self.latest,
            first: self.first,
            owed: self.owed.clone(),
            ends: self.ends.clone(),
            years: self.plausible.as_ref().map_or(Vec::new(), |plausible| plausible.years().to_vec()),
            ..SavedWatermark::default()
        };
        for ((source, partition), place) in &self.index {
            if let Some(reached) = self.partitions[*place].reached {
                let latest = reached.mark(self.outlier).unwrap_or(reached.first());
                let partition = partition.as_ref().map(ToString::to_string);
                saved.partitions.push((source.to_string(), partition, latest));
                saved.reached.push(reached);
            }
        }
        saved
    }

    /// The watermark; `None` before the first event.
    #[must_use]
    pub fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Windows that end at or before this are closed; none are where it is `None`.
    #[must_use]
    pub fn settled(&self) -> Option<Instant> {
        self.settled
    }

    /// Every tick up to this has been; `None` before the first event.
    #[must_use]
    pub fn ticked(&self) -> Option<Instant> {
        self.first.map(|first| self.at.map_or(first, |at| first.max(at)))
    }

    /// The same with ticks after `from` to be evaluated yet.
    #[must_use]
    pub fn owing(&self, from: Instant) -> Self {
        self.owing_still(Owed { from, done: None, attempts: 0 })
    }

    /// The same, of which some are done.
    #[must_use]
    pub fn owing_still(&self, owed: Owed) -> Self {
        Self { owed: Some(owed), ..self.clone() }
    }

    /// Takes what is to be evaluated yet: the process that came so far died before it did it.
    pub fn take_owed(&mut self) -> Option<Owed> {
        self.owed.take()
    }

    /// The largest event time of all partitions that is believed.
    #[must_use]
    pub fn latest(&self) -> Option<Instant> {
        self.latest
    }

    /// The place of a block's partition. Only the partitions of a topic are apart: the files of a source follow one
    /// another.
    pub fn place(&mut self, block: &Block, now: Instant) -> usize {
        let partition = match (&block.payload, &block.span) {
            (Payload::Messages { .. }, Some(span)) => Some(Arc::clone(&span.partition)),
            _ => None,
        };
        self.partition(Arc::clone(&block.source), partition, now)
    }

    fn partition(&mut self, source: Arc<str>, partition: Option<Arc<str>>, now: Instant) -> usize {
        let next = self.partitions.len();
        let moves = !self.waiting.contains(&*source);
        let place = *self.index.entry((source, partition)).or_insert(next);
        if place == next {
            self.partitions.push(Partition { reached: None, seen: now, moves });
        }
        place
    }

    /// The watermark as the events before this one move it, if this one confirms the last of them.
    #[must_use]
    pub fn confirmed_by(&self, place: usize, at: Instant) -> Option<Instant> {
        let reached = self.partitions[place].reached?;
        let pending = Some(reached.first());
        if reached.mark(self.outlier) >= pending {
            return None;
        }
        let mut after = reached;
        after.observe(at);
        if after.mark(self.outlier) < pending {
            return None;
        }
        let mut believed = self.clone();
        believed.partitions[place].reached = Some(Reached::certain(reached.first()));
        believed.settle();
        believed.at
    }

    /// Moves it to what [`Self::confirmed_by`] gave.
    pub fn reach(&mut self, at: Instant) {
        self.at = self.at.max(Some(at));
    }

    /// Takes in an event of a partition.
    #[inline]
    pub fn observe(&mut self, place: usize, at: Instant, now: Instant) {
        if self.first.is_none() || self.alone {
            self.begin(at);
        }
        let partition = &mut self.partitions[place];
        partition.seen = now;
        let moved = match &mut partition.reached {
            Some(reached) => reached.observe(at),
            none => {
                *none = Some(Reached::new(at));
                true
            }
        };
        if moved {
            self.settle();
        }
    }

    /// The time that schedules are due after is that of the first event, unless the second one shows that it is wrong.
    fn begin(&mut self, at: Instant) {
        let ahead = self.outlier.unwrap_or(TimeDelta::MAX);
        let wrong =
            |first: Instant| at.saturating_since(first) > BELIEVED || first.saturating_since(at) > ahead;
        self.alone = self.first.is_none();
        if self.alone || (self.outlier.is_some() && self.first.is_some_and(wrong)) {
            self.first = Some(at);
        }
    }

    fn settle(&mut self) {
        let reached = || self.partitions.iter().filter_map(|p| p.reached);
        // A partition of one event holds the others back, and moves nothing by itself.
        let least = |mark: &dyn Fn(Reached) -> Option<Instant>| {
            let marks = reached().map(|r| mark(r).unwrap_or(r.first()));
            reached().any(|r| mark(r).is_some()).then(|| marks.min()).flatten()
        };
        let (at, settled) = (least(&|r| r.mark(self.outlier)), least(&|r| r.settled(self.outlier)));
        let latest = reached().filter_map(|r| r.mark(self.outlier)).max();
        // `None` is less than every instant.
        let less = |mark: Option<Instant>| mark.map(|mark| mark.saturating_sub(self.lateness));
        (self.at, self.settled) = (self.at.max(less(at)), self.settled.max(less(settled)));
        self.latest = self.latest.max(latest);
    }

    /// Partitions that have been silent for `idle` move with the clock.
    pub fn pass_time(&mut self, now: Instant, idle: TimeDelta) -> Option<Instant> {
        let mut moved = false;
        for partition in self.partitions.iter_mut().filter(|partition| partition.moves) {
            let silent = now.saturating_since(partition.seen) >= idle;
            if let Some(reached) = partition.reached.as_mut().filter(|_| silent)
                && reached.mark(self.outlier).is_none_or(|mark| mark < now)
            {
                reached.pass_time(now);
                moved = true;
            }
        }
        if moved {
            self.settle();
        }
        self.at
    }

    /// At the end of bounded input the watermark is the largest event time. One that is far ahead is believed there if
    /// it came last: nothing contradicts it.
    pub fn end(&mut self) -> Option<Instant> {
        let (outlier, reached) = (self.outlier, self.partitions.iter().filter_map(|p| p.reached));
        let marked = reached.clone().filter_map(|r| r.mark(outlier)).max();
        let near = |first: Instant| marked.is_none_or(|mark| first.saturating_since(mark) <= BELIEVED);
        let last = reached.filter(|r| r.is_newest() && near(r.first())).map(Reached::first).max();
        self.latest = self.latest.max(marked).max(last);
        self.at = self.at.max(self.latest);
        self.settled = self.settled.max(self.at);
        if let Some(at) = self.at.filter(|at| self.ends.last() != Some(at)) {
            self.ends.drain(..(self.ends.len() + 1).saturating_sub(ENDS_MAX));
            self.ends.push(at);
        }
        self.at
    }
}
