//! Which events are known already, by a hash of their id and one of their content: 16 bytes an event.
//!
//! Among 10⁸ events two ids share a 64-bit hash with a chance of 0.03 %. Their contents differ then, so the second one
//! goes to quarantine as a conflict, where it is counted and seen; it is never lost in silence.

use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::{HashMap, hash_map::Entry};

/// What is known of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Nothing.
    New,
    /// The same event.
    Duplicate,
    /// Another event with this id.
    Conflict,
}

/// Growing a table copies it; a table in parts grows in parts, and the stream never waits long.
const SHARD_BITS: u32 = 6;

/// The events that were accepted.
#[derive(Debug)]
pub struct Dedup {
    shards: Vec<HashMap<u64, u64, BuildHasherDefault<Hashed>>>,
    len: usize,
}

impl Default for Dedup {
    fn default() -> Self {
        Self { shards: (0..1 << SHARD_BITS).map(|_| HashMap::default()).collect(), len: 0 }
    }
}

impl Dedup {
    /// The number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no event is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Says whether an event is known, and knows it from now on.
    pub fn see(&mut self, id: u64, content: u64) -> Seen {
        let shard = usize::try_from(id >> (u64::BITS - SHARD_BITS)).unwrap_or(0);
        match self.shards[shard].entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(content);
                self.len += 1;
                Seen::New
            }
            Entry::Occupied(entry) if *entry.get() == content => Seen::Duplicate,
            Entry::Occupied(_) => Seen::Conflict,
        }
    }
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

    #[test]
    fn tells_new_duplicate_and_conflict() {
        let mut dedup = Dedup::default();
        assert_eq!(dedup.see(7, 1), Seen::New);
        assert_eq!(dedup.see(7, 1), Seen::Duplicate);
        assert_eq!(dedup.see(7, 2), Seen::Conflict);
        assert_eq!(dedup.see(7, 1), Seen::Duplicate);
        assert_eq!(dedup.see(u64::MAX, 1), Seen::New);
        assert_eq!(dedup.len(), 2);
    }
}
