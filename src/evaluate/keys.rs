//! What is known of each key of a window. Hundreds of thousands of keys are in no cache, so a look-up waits for memory three
//! times: for its slot, for the key, and for what is known of it. Those of a batch are made together, so that they wait at the
//! same time. Things lie side by side in pieces: nothing is left free between them, and none is moved when there are more.

use std::{hint::black_box, mem, ops::Range};

/// Keys, each with a thing.
#[derive(Debug)]
pub(crate) struct Keys<T> {
    /// In the lower half the place of a thing and one more, in the upper half bits of its key; zero where there is none. As
    /// many as a power of two.
    slots: Vec<u64>,
    pieces: Vec<Vec<Entry<T>>>,
    len: usize,
}

/// A key in two halves, which need no alignment of sixteen bytes.
#[derive(Debug, Default)]
struct Entry<T> {
    key: [u64; 2],
    thing: T,
}

/// Things of a piece.
const PIECE: usize = 1 << 12;
/// The fewest slots.
const SLOTS_MIN: usize = 16;
/// No place.
pub(crate) const NOWHERE: u32 = u32::MAX;

impl<T> Default for Keys<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), pieces: Vec::new(), len: 0 }
    }
}

fn halves(key: u128) -> [u64; 2] {
    [key as u64, (key >> 64) as u64]
}

/// The bits of a key by which its slot is found.
fn mark([low, high]: [u64; 2]) -> u64 {
    // Keys are hashes, but nothing here depends on it.
    (low ^ high.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

impl<T: Default> Keys<T> {
    /// How many there are.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes without what things have beside themselves.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        let entries: usize = self.pieces.iter().map(Vec::capacity).sum();
        entries * size_of::<Entry<T>>() + self.slots.capacity() * size_of::<u64>()
    }

    /// The things at some places.
    pub(crate) fn things(&self, places: Range<usize>) -> impl Iterator<Item = &T> {
        places.map(|place| &self.pieces[place / PIECE][place % PIECE].thing)
    }

    fn entry(&self, place: u32) -> &Entry<T> {
        &self.pieces[place as usize / PIECE][place as usize % PIECE]
    }

    /// The thing at a place, which is its own until a key is removed.
    pub(crate) fn at(&mut self, place: u32) -> &mut T {
        &mut self.pieces[place as usize / PIECE][place as usize % PIECE].thing
    }

    /// The slot that a look-up begins at.
    fn first(&self, mark: u64) -> usize {
        // The upper bits of the mark, so that slots can be made anew without reading keys.
        (mark >> (32 - self.slots.len().trailing_zeros().min(32))) as usize
    }

    /// The slot after another one.
    fn after(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }

    /// The first slot of `mark` with a place that is wanted, or the free one that ends the search.
    fn slot(&self, mark: u64, wanted: impl Fn(u32) -> bool) -> usize {
        let mut slot = self.first(mark);
        loop {
            let word = self.slots[slot];
            if word == 0 || word >> 32 == mark && wanted(word as u32 - 1) {
                return slot;
            }
            slot = self.after(slot);
        }
    }

    fn found(&self, key: [u64; 2]) -> u32 {
        if self.slots.is_empty() {
            return NOWHERE;
        }
        let slot = self.slot(mark(key), |place| self.entry(place).key == key);
        // A free one says zero.
        (self.slots[slot] as u32).wrapping_sub(1)
    }

    /// Looks several keys up: their places, or [`NOWHERE`]. `touch` reads of each thing what will be read of it next.
    pub(crate) fn find(&self, keys: &[u128], places: &mut Vec<u32>, touch: impl Fn(&T) -> u64) {
        places.clear();
        if self.slots.is_empty() {
            places.resize(keys.len(), NOWHERE);
            return;
        }
        // No step of these loops needs another one of the same loop: the processor waits for all of them at once.
        places.extend(keys.iter().map(|key| {
            let slot = self.slot(mark(halves(*key)), |_| true);
            (self.slots[slot] as u32).wrapping_sub(1)
        }));
        let mut touched = 0;
        for (place, key) in places.iter_mut().zip(keys) {
            if *place != NOWHERE && self.entry(*place).key != halves(*key) {
                *place = self.found(halves(*key));
            }
            if *place != NOWHERE {
                touched ^= touch(&self.entry(*place).thing);
            }
        }
        black_box(touched);
    }

    /// The thing of a key.
    pub(crate) fn get_mut(&mut self, key: u128) -> Option<&mut T> {
        match self.found(halves(key)) {
            NOWHERE => None,
            place => Some(self.at(place)),
        }
    }

    /// The place of a key, which gets a thing if it has none.
    pub(crate) fn place(&mut self, key: u128) -> u32 {
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            self.reslot(self.len + 1);
        }
        let key = halves(key);
        let slot = self.slot(mark(key), |place| self.entry(place).key == key);
        if self.slots[slot] != 0 {
            return self.slots[slot] as u32 - 1;
        }
        let place = self.len as u32;
        self.slots[slot] = mark(key) << 32 | u64::from(place + 1);
        if self.len.is_multiple_of(PIECE) {
            // Few windows have a full piece; the others need none.
            self.pieces.push(if self.len == 0 { Vec::new() } else { Vec::with_capacity(PIECE) });
        }
        self.pieces[self.len / PIECE].push(Entry { key, thing: T::default() });
        self.len += 1;
        place
    }

    /// Makes slots for so many keys.
    fn reslot(&mut self, keys: usize) {
        let slots = vec![0; (keys * 2).next_power_of_two().max(SLOTS_MIN)];
        let old = mem::replace(&mut self.slots, slots);
        old.into_iter().filter(|word| *word != 0).for_each(|word| self.refill(word));
    }

    fn refill(&mut self, word: u64) {
        let slot = self.slot(word >> 32, |_| false);
        self.slots[slot] = word;
    }

    /// Takes a key out. The place of the last one may be another after it.
    pub(crate) fn remove(&mut self, key: u128) {
        let place = self.found(halves(key));
        if place == NOWHERE {
            return;
        }
        let Some(last) = self.pieces.last_mut().and_then(Vec::pop) else { return };
        self.len -= 1;
        self.free(halves(key), place);
        if self.pieces.last().is_some_and(Vec::is_empty) {
            self.pieces.pop();
        }
        if place as usize != self.len {
            let slot = self.slot(mark(last.key), |at| at as usize == self.len);
            self.slots[slot] = mark(last.key) << 32 | u64::from(place + 1);
            self.pieces[place as usize / PIECE][place as usize % PIECE] = last;
        }
    }

    /// Frees the slot of a place. Those behind it that a search would not come to any more go nearer.
    fn free(&mut self, key: [u64; 2], place: u32) {
        let mut free = self.slot(mark(key), |at| at == place);
        let mut slot = free;
        loop {
            self.slots[free] = 0;
            slot = self.after(slot);
            let word = self.slots[slot];
            if word == 0 {
                return;
            }
            let (size, first) = (self.slots.len(), self.first(word >> 32));
            // Whether a search that begins at its first slot passes the free one before it comes to it.
            if (slot + size - first) % size >= (slot + size - free) % size {
                self.slots[free] = word;
                free = slot;
            }
        }
    }

    /// Keeps the keys whose things are wanted, side by side again.
    pub(crate) fn retain(&mut self, mut wanted: impl FnMut(&mut T) -> bool) {
        let mut kept = 0;
        for at in 0..self.len {
            if wanted(self.at(at as u32)) {
                if kept < at {
                    self.pieces[kept / PIECE][kept % PIECE] =
                        mem::take(&mut self.pieces[at / PIECE][at % PIECE]);
                }
                kept += 1;
            }
        }
        if kept == self.len {
            return;
        }
        self.len = kept;
        self.pieces.truncate(kept.div_ceil(PIECE));
        if let Some(last) = self.pieces.last_mut() {
            last.truncate((kept - 1) % PIECE + 1);
        }
        self.slots = vec![0; (kept * 2).next_power_of_two().max(SLOTS_MIN)];
        for place in 0..kept as u32 {
            self.refill(mark(self.entry(place).key) << 32 | u64::from(place + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Keys with many of the same mark, and keys of all sizes.
    fn key(rng: &mut ChaCha8Rng) -> u128 {
        let low = rng.random_range(0..4000u64);
        match rng.random_range(0..3) {
            // The halves cancel each other out, so all of these have one mark.
            0 => u128::from(low % 40) | u128::from((low % 40).rotate_left(32)) << 64,
            1 => u128::from(low) << 64,
            _ => u128::from(low),
        }
    }

    #[test]
    fn they_are_a_map() {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let (mut keys, mut model): (Keys<u64>, HashMap<u128, u64>) = Default::default();
        let mut places = Vec::new();
        for round in 0..60_000u64 {
            let key = key(&mut rng);
            match rng.random_range(0..10) {
                0..7 => {
                    let place = keys.place(key);
                    *keys.at(place) += round;
                    *model.entry(key).or_default() += round;
                }
                _ => {
                    keys.remove(key);
                    model.remove(&key);
                }
            }
            if round % 20_000 == 19_999 {
                keys.retain(|thing| *thing % 3 == 0);
                model.retain(|_, thing| *thing % 3 == 0);
            }
            if round % 500 == 0 {
                let asked: Vec<u128> = (0..100).map(|_| self::key(&mut rng)).collect();
                keys.find(&asked, &mut places, |thing| *thing);
                for (key, place) in asked.iter().zip(&places) {
                    let found = (*place != NOWHERE).then(|| *keys.at(*place));
                    assert_eq!(found, model.get(key).copied(), "round {round}");
                    assert_eq!(keys.get_mut(*key).copied(), found);
                }
            }
            assert_eq!(keys.len(), model.len());
        }
        let (sum, of_model): (u64, u64) = (keys.things(0..keys.len()).sum(), model.values().sum());
        assert_eq!(sum, of_model);
        keys.retain(|_| false);
        assert_eq!((keys.len(), keys.pieces.len()), (0, 0));
        keys.find(&[1], &mut places, |thing| *thing);
        assert_eq!(places, [NOWHERE]);
    }
}
