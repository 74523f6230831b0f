//! Keys of windows as 128-bit hashes.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::LazyLock,
};

/// Keys are told apart by 128 bits of a hash: among 10⁹ keys two share one with a chance of 10⁻²⁰. The seed is drawn at
/// the start, so that nobody can make keys that collide; results do not depend on it.
pub(crate) static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one("fiscwatch"));

/// A hasher for keys, which are hashes already.
#[derive(Debug, Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.0 = self.0.rotate_left(8) ^ u64::from(*b));
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}
