//! 水位线: the event time up to which the stream is taken to be complete (SPEC §3.2).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::stream::{Block, Payload};

/// The watermark of all sources: the largest event time less the allowed lateness, the least over their partitions.
#[derive(Debug, Clone)]
pub struct Watermark {
    lateness: i64,
    partitions: Vec<Partition>,
    index: BTreeMap<(Arc<str>, Option<Arc<str>>), usize>,
    /// It never goes back.
    at: i64,
    latest: i64,
    /// The time of the first event that arrived.
    first: Option<i64>,
    owed: Option<Owed>,
    /// Sources that do not move with the clock, however long they are silent.
    waiting: Arc<BTreeSet<String>>,
}

/// Ticks that the watermark has passed and that were not evaluated yet: those after `from`, up to the watermark.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// Every tick up to this one is done, in microseconds.
    pub from: i64,
    /// The last tick and rule after it that are done too.
    #[serde(default)]
    pub done: Option<(i64, String)>,
}

#[derive(Debug, Clone)]
struct Partition {
    latest: i64,
    /// When its last event arrived, by the clock; used only to find idle ones.
    seen: i64,
    /// Whether it moves with the clock when it is silent.
    moves: bool,
}

/// A watermark as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedWatermark {
    /// The watermark, in microseconds; `None` before the first event.
    pub at: Option<i64>,
    /// The largest event time of all.
    pub latest: Option<i64>,
    /// The time of the first event that arrived; schedules are due from then on.
    #[serde(default)]
    pub first: Option<i64>,
    /// Ticks that are still to be evaluated on what is stored with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed: Option<Owed>,
    /// The largest event time of each partition, by source and partition.
    pub partitions: Vec<(String, Option<String>, i64)>,
}

impl Watermark {
    /// A watermark before any event. `lateness` is in microseconds.
    #[must_use]
    pub fn new(lateness: i64) -> Self {
        Self {
            lateness,
            partitions: Vec::new(),
            index: BTreeMap::new(),
            at: i64::MIN,
            latest: i64::MIN,
            first: None,
            owed: None,
            waiting: Arc::default(),
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

    /// A watermark as it was stored. Whether a source is silent is known only from `now` on.
    #[must_use]
    pub fn restore(lateness: i64, saved: &SavedWatermark, now: i64) -> Self {
        let mut watermark = Self::new(lateness);
        for (source, partition, latest) in &saved.partitions {
            let place =
                watermark.partition(Arc::from(source.as_str()), partition.as_deref().map(Arc::from), now);
            watermark.partitions[place].latest = *latest;
        }
        watermark.at = saved.at.unwrap_or(i64::MIN);
        watermark.latest = saved.latest.unwrap_or(i64::MIN);
        watermark.first = saved.first;
        watermark.owed.clone_from(&saved.owed);
        watermark
    }

    /// The watermark to store.
    #[must_use]
    pub fn save(&self) -> SavedWatermark {
        let known = |at: i64| (at != i64::MIN).then_some(at);
        let partition = |((source, partition), place): (&(Arc<str>, Option<Arc<str>>), &usize)| {
            let latest = self.partitions[*place].latest;
            (latest != i64::MIN)
                .then(|| (source.to_string(), partition.as_ref().map(ToString::to_string), latest))
        };
        let partitions = self.index.iter().filter_map(partition).collect();
        let (at, latest) = (known(self.at), known(self.latest));
        SavedWatermark { at, latest, first: self.first, owed: self.owed.clone(), partitions }
    }

    /// The watermark, in microseconds.
    #[must_use]
    pub fn at(&self) -> i64 {
        self.at
    }

    /// Every tick up to this has been; `None` before the first event.
    #[must_use]
    pub fn ticked(&self) -> Option<i64> {
        self.first.map(|first| first.max(self.at))
    }

    /// The same with ticks after `from` to be evaluated yet.
    #[must_use]
    pub fn owing(&self, from: i64) -> Self {
        Self { owed: Some(Owed { from, done: None }), ..self.clone() }
    }

    /// Takes what is to be evaluated yet: the process that came so far died before it did it.
    pub fn take_owed(&mut self) -> Option<Owed> {
        self.owed.take()
    }

    /// The largest event time of all partitions.
    #[must_use]
    pub fn latest(&self) -> i64 {
        self.latest
    }

    /// The place of a block's partition. Only the partitions of a topic are apart: the files of a source follow one
    /// another.
    pub fn place(&mut self, block: &Block, now: i64) -> usize {
        let partition = match (&block.payload, &block.span) {
            (Payload::Messages { .. }, Some(span)) => Some(Arc::clone(&span.partition)),
            _ => None,
        };
        self.partition(Arc::clone(&block.source), partition, now)
    }

    fn partition(&mut self, source: Arc<str>, partition: Option<Arc<str>>, now: i64) -> usize {
        let next = self.partitions.len();
        let moves = !self.waiting.contains(&*source);
        let place = *self.index.entry((source, partition)).or_insert(next);
        if place == next {
            self.partitions.push(Partition { latest: i64::MIN, seen: now, moves });
        }
        place
    }

    /// Takes in an event of a partition and gives the watermark after it.
    #[inline]
    pub fn observe(&mut self, place: usize, at: i64, now: i64) -> i64 {
        self.first.get_or_insert(at);
        let partition = &mut self.partitions[place];
        partition.seen = now;
        if at > partition.latest {
            partition.latest = at;
            self.latest = self.latest.max(at);
            self.settle();
        }
        self.at
    }

    fn settle(&mut self) {
        let known = self.partitions.iter().map(|p| p.latest).filter(|latest| *latest != i64::MIN);
        if let Some(least) = known.min() {
            self.at = self.at.max(least.saturating_sub(self.lateness));
        }
    }

    /// Partitions that have been silent for `idle` microseconds move with the clock.
    pub fn pass_time(&mut self, now: i64, idle: i64) -> i64 {
        let mut moved = false;
        for partition in self.partitions.iter_mut().filter(|p| p.moves && p.latest != i64::MIN) {
            if now.saturating_sub(partition.seen) >= idle && partition.latest < now {
                partition.latest = now;
                moved = true;
            }
        }
        if moved {
            self.settle();
        }
        self.at
    }

    /// At the end of bounded input the watermark is the largest event time.
    pub fn end(&mut self) -> i64 {
        self.at = self.at.max(self.latest);
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_least_of_the_partitions_and_never_goes_back() {
        let mut w = Watermark::new(10);
        let a = w.partition("topic".into(), Some("0".into()), 0);
        assert_eq!(w.observe(a, 100, 0), 90);
        assert_eq!(w.observe(a, 50, 0), 90);
        let b = w.partition("topic".into(), Some("1".into()), 0);
        assert_eq!(w.observe(b, 40, 0), 90);
        assert_eq!(w.observe(a, 200, 0), 90);
        assert_eq!(w.observe(b, 150, 0), 140);
        assert_eq!(w.end(), 200);
        let saved = w.save();
        assert_eq!(Watermark::restore(10, &saved, 0).save(), saved);
    }

    #[test]
    fn an_idle_partition_moves_with_the_clock() {
        let mut w = Watermark::new(10);
        let a = w.partition("a".into(), None, 0);
        let b = w.partition("b".into(), None, 0);
        w.observe(b, 500, 500);
        w.observe(a, 1000, 1000);
        assert_eq!(w.at(), 490);
        assert_eq!(w.pass_time(1400, 600), 990);
        assert_eq!(w.pass_time(2000, 600), 1990);
    }

    #[test]
    fn a_source_that_brings_a_history_waits_however_long_it_pauses() {
        let waiting = BTreeSet::from([String::from("history")]);
        let mut w = Watermark::new(10).waiting_for(&waiting);
        let a = w.partition("history".into(), None, 0);
        w.observe(a, 500, 500);
        assert_eq!(w.pass_time(1_000_000, 600), 490);
        // So it is after a start, and another source alone moves nothing.
        let mut w = Watermark::restore(10, &w.save(), 0).waiting_for(&waiting);
        let b = w.partition("live".into(), None, 0);
        w.observe(b, 900_000, 0);
        assert_eq!(w.pass_time(2_000_000, 600), 490);
        let mut w = Watermark::restore(10, &w.save(), 0);
        assert_eq!(w.pass_time(2_000_000, 600), 1_999_990, "without the flag they move");
    }
}
