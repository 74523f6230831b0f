//! Which events are known already, by a hash of their id and one of their content: 16 bytes an event.
//!
//! Among 10⁸ events two ids share a 64-bit hash with a chance of 0.03 %. Their contents differ then, so the second one
//! goes to quarantine as a conflict, where it is counted and seen; it is never lost in silence.
//!
//! Events older than a horizon are forgotten once they are in a sealed file: a filter remembers that there may be such
//! an id, and the file says whether there is. What is told of an event is the same whether it is forgotten or not.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasherDefault, Hasher},
};

use hashbrown::HashMap;

use super::{
    id_filter::IdFilter,
    ports::{KnownEvent, KnownIds, PortError},
};

use crate::event::{Instant, TimeDelta};

/// What is known of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// No event of this id was accepted.
    New,
    /// The same event was accepted before, with the same content.
    Duplicate,
    /// Another event with this id.
    Conflict,
}

/// Growing a table copies it; a table in parts grows in parts, and the stream never waits long.
const SHARD_BITS: u32 = 6;
/// Of a remembered event, the lower bits are the day of its time, and the others are of its content's hash.
const DAY_BITS: u32 = 20;
const DAY_MASK: u64 = (1 << DAY_BITS) - 1;
/// Added to a day of the epoch, so that the years 1900 to 2999 are positive.
const DAY_ZERO: i64 = 30_000;

/// The events that were accepted.
#[derive(Debug)]
pub struct Dedup {
    shards: Vec<HashMap<u64, u64, BuildHasherDefault<Hashed>>>,
    len: usize,
    horizon: Option<TimeDelta>,
    /// The latest event time, if there is any.
    latest_at: Option<Instant>,
    /// The first day within the horizon of it.
    floor: u64,
    old: Option<Box<dyn KnownIds>>,
    forgotten: IdFilter,
    /// The journal block that events go into now.
    block: i64,
    /// The last journal block with events of each day that is remembered.
    days: BTreeMap<u64, i64>,
    /// The day and block noted last, which most events share.
    last: (u64, i64),
    /// Days that are being forgotten, one shard a batch.
    leaving: BTreeSet<u64>,
    next_shard: usize,
    /// The floor when days were last looked through.
    tidied: u64,
}

impl Default for Dedup {
    fn default() -> Self {
        Self::new(None, None)
    }
}

impl Dedup {
    /// Knows nothing yet. Events more than `horizon` older than the latest one can be forgotten;
    /// `latest_at` is the latest event time so far.
    #[must_use]
    pub fn new(horizon: Option<TimeDelta>, latest_at: Option<Instant>) -> Self {
        let mut dedup = Self {
            shards: (0..1 << SHARD_BITS).map(|_| HashMap::default()).collect(),
            len: 0,
            horizon,
            latest_at: None,
            floor: 0,
            old: None,
            forgotten: IdFilter::default(),
            block: 0,
            days: BTreeMap::new(),
            last: (0, 0),
            leaving: BTreeSet::new(),
            next_shard: 0,
            tidied: 0,
        };
        latest_at.into_iter().for_each(|at| dedup.move_on(at));
        dedup
    }

    /// Lets it forget what `old` finds. `last_block` is the last journal block so far.
    #[must_use]
    pub fn forgetting(self, old: impl KnownIds + 'static, last_block: i64) -> Self {
        Self { old: Some(Box::new(old)), block: last_block + 1, ..self }
    }

    /// The first instant of which events are remembered.
    #[must_use]
    pub fn remembers_from(&self) -> Instant {
        start_of(self.floor)
    }

    /// Makes room for so many events at once; tables that grow step by step are copied at each step.
    pub fn reserve(&mut self, events: u64) {
        let events = usize::try_from(events).unwrap_or(0) >> SHARD_BITS;
        // Hashes spread evenly, but not exactly so.
        self.shards.iter_mut().for_each(|shard| shard.reserve(events + events / 32));
    }

    /// The number of events that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no event is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Knows an event of the journal.
    pub fn restore(&mut self, event: &KnownEvent) {
        let day = day_of(event.at);
        if day < self.floor && event.block.is_none() {
            self.forgotten.insert(event.id);
            return;
        }
        self.insert(event.id, event.content, day);
        let last = self.days.entry(day).or_default();
        *last = (*last).max(event.block.unwrap_or(0));
    }

    /// Says whether an event is known, and knows it from now on. `at` is its time.
    ///
    /// # Errors
    /// If it may be forgotten and the sealed files cannot be read.
    pub fn see(&mut self, event_id: &str, id: u64, content: u64, at: Instant) -> Result<Sighting, PortError> {
        match self.look(event_id, id, content)? {
            Sighting::New => {}
            known => return Ok(known),
        }
        let day = day_of(at);
        self.insert(id, content, day);
        if self.old.is_some() && self.last != (day, self.block) {
            self.last = (day, self.block);
            self.days.insert(day, self.block);
            // Not before it is sealed in turn.
            self.leaving.remove(&day);
        }
        self.move_on(at);
        Ok(Sighting::New)
    }

    /// Says whether an event is known, without knowing it from now on.
    ///
    /// # Errors
    /// If it may be forgotten and the sealed files cannot be read.
    pub fn look(&mut self, event_id: &str, id: u64, content: u64) -> Result<Sighting, PortError> {
        if let Some(known) = self.shards[shard_of(id)].get(&id) {
            return Ok(told(*known, content));
        }
        let floor = start_of(self.floor);
        if let Some(lookup) = self.old.as_mut().filter(|_| self.forgotten.may_have(id))
            && let Some(known) = lookup.content(event_id, floor)?
        {
            return Ok(told(known, content));
        }
        Ok(Sighting::New)
    }

    /// The times that an event can have of which the id is known, from and before; `None` if it is new.
    #[must_use]
    pub fn times(&self, id: u64) -> Option<(Instant, Instant)> {
        if let Some(known) = self.shards[shard_of(id)].get(&id) {
            let day = start_of(*known & DAY_MASK);
            return Some((day, day + TimeDelta::DAY));
        }
        self.forgotten.may_have(id).then(|| (Instant::MIN, start_of(self.floor)))
    }

    /// The latest event time; `None` before the first event.
    #[must_use]
    pub fn latest_at(&self) -> Option<Instant> {
        self.latest_at
    }

    /// The journal block that the events of the last batch are in.
    #[must_use]
    pub fn last_block(&self) -> i64 {
        self.block - 1
    }

    /// Says that a batch is over, and how many journal blocks it makes; forgets some of what is too old.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn end_batch(&mut self, blocks: usize) -> Result<(), PortError> {
        let first = self.block;
        self.block += i64::try_from(blocks).unwrap_or(i64::MAX);
        if blocks > 1 {
            // Which of its blocks an event is in was not known when it came.
            self.days.values_mut().filter(|block| **block == first).for_each(|block| *block = self.block - 1);
        }
        let Some(old) = &mut self.old else { return Ok(()) };
        if self.leaving.is_empty() {
            // Days become old one at a time, and the database is asked once for each.
            if self.floor == self.tidied || self.days.range(..self.floor).next().is_none() {
                return Ok(());
            }
            self.tidied = self.floor;
            let sealed = old.refresh()?;
            let sealed_days = self.days.range(..self.floor).filter(|(_, block)| **block <= sealed);
            self.leaving = sealed_days.map(|(day, _)| *day).collect();
            self.next_shard = 0;
            self.last = (0, 0);
            return Ok(());
        }
        let shard = &mut self.shards[self.next_shard];
        let before = shard.len();
        shard.retain(|id, known| {
            let stays = !self.leaving.contains(&(*known & DAY_MASK));
            if !stays {
                self.forgotten.insert(*id);
            }
            stays
        });
        self.len -= before - shard.len();
        if shard.len() < shard.capacity() / 4 {
            shard.shrink_to_fit();
        }
        self.next_shard += 1;
        if self.next_shard == self.shards.len() {
            for day in std::mem::take(&mut self.leaving) {
                self.days.remove(&day);
            }
        }
        Ok(())
    }

    fn insert(&mut self, id: u64, content: u64, day: u64) {
        let known = (content & !DAY_MASK) | day;
        if self.shards[shard_of(id)].insert(id, known).is_none() {
            self.len += 1;
        }
    }

    fn move_on(&mut self, at: Instant) {
        if Some(at) > self.latest_at {
            self.latest_at = Some(at);
            self.floor = self.horizon.map_or(0, |horizon| day_of(at.saturating_sub(horizon)));
        }
    }
}

fn told(known: u64, content: u64) -> Sighting {
    if (known ^ content) & !DAY_MASK == 0 { Sighting::Duplicate } else { Sighting::Conflict }
}

fn shard_of(id: u64) -> usize {
    usize::try_from(id >> (u64::BITS - SHARD_BITS)).unwrap_or(0)
}

/// The UTC day of an instant, as it is remembered.
fn day_of(at: Instant) -> u64 {
    (at.as_micros().div_euclid(TimeDelta::DAY.as_micros()) + DAY_ZERO)
        .clamp(0, DAY_MASK.cast_signed())
        .unsigned_abs()
}

/// The first microsecond of a day.
fn start_of(day: u64) -> Instant {
    Instant::EPOCH + TimeDelta::days(day.cast_signed() - DAY_ZERO)
}

/// The keys are hashes already. The bits that chose the shard are turned away from those that a table uses.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.0 = (self.0 << 8) | u64::from(*b));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash.rotate_left(SHARD_BITS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = TimeDelta::DAY.as_micros();

    #[test]
    fn tells_new_duplicate_and_conflict() {
        let mut dedup = Dedup::default();
        let mut see = |id, content: u64| dedup.see("", id, content << DAY_BITS, Instant::EPOCH).unwrap();
        assert_eq!(see(7, 1), Sighting::New);
        assert_eq!(see(7, 1), Sighting::Duplicate);
        assert_eq!(see(7, 2), Sighting::Conflict);
        assert_eq!(see(7, 1), Sighting::Duplicate);
        assert_eq!(see(u64::MAX, 1), Sighting::New);
        assert_eq!(dedup.len(), 2);
    }

    #[test]
    fn days_of_all_accepted_years_are_told_apart() {
        for at in [-2_208_988_800_000_000, -1, 0, 32_503_680_000_000_000] {
            assert!(
                (0..DAY).contains(&(at - start_of(day_of(Instant::from_micros(at))).as_micros())),
                "{at}"
            );
        }
    }
}
