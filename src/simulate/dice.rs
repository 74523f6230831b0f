//! Randomness: one seeded generator for what happens, one hash for what things are called.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A seeded source of draws; the same seed gives the same sequence on every run.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64, purpose: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(mix(seed, purpose)))
    }

    /// A number in [0, 1).
    pub(super) fn fraction(&mut self) -> f64 {
        self.0.random()
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0.random()
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// A whole number in [0, bound); 0 when the bound is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        scale(self.bits(), bound)
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.fraction()
    }

    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.fraction()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.fraction()).cos()
    }

    /// A rank in [0, bound) with frequency about 1 / rank (Zipf).
    pub(super) fn zipf(&mut self, bound: u32) -> u32 {
        zipf(self.fraction(), bound)
    }
}

/// Maps a fraction in [0, 1) to a Zipf-distributed rank in [0, bound).
pub(super) fn zipf(fraction: f64, bound: u32) -> u32 {
    let rank = ((f64::from(bound) + 1.0).ln() * fraction).exp() as u32;
    rank.saturating_sub(1).min(bound.saturating_sub(1))
}

/// Hashes two numbers into one (the finaliser of `SplitMix64`).
pub(super) fn mix(left: u64, right: u64) -> u64 {
    let mut z = left ^ right.wrapping_add(0x9E37_79B9_7F4A_7C15).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Scales 64 random bits to [0, bound).
pub(super) fn scale(bits: u64, bound: u64) -> u64 {
    ((u128::from(bits) * u128::from(bound)) >> 64) as u64
}

/// The fraction in [0, 1) that 64 random bits stand for.
pub(super) fn fraction_of(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// An approximately standard normal number from 64 random bits (Irwin–Hall of four).
pub(super) fn normal_of(bits: u64) -> f64 {
    let sum: f64 = (0..4).map(|part| ((bits >> (16 * part)) & 0xFFFF) as f64 / 65_536.0).sum();
    (sum - 2.0) * 3f64.sqrt()
}

/// Picks from a table by hash; the tables are never empty.
pub(super) fn choose<T>(table: &[T], bits: u64) -> &T {
    &table[scale(bits, table.len() as u64) as usize]
}

/// Walker's alias method: draws an index with probability proportional to its weight, in constant time.
pub(super) struct Alias {
    cells: Vec<(f32, u32)>,
}

impl Alias {
    pub(super) fn new(weights: &[f64]) -> Self {
        let mean = weights.iter().sum::<f64>() / weights.len().max(1) as f64;
        let mut share: Vec<f64> = weights.iter().map(|weight| weight / mean).collect();
        let mut cells: Vec<(f32, u32)> = (0..weights.len() as u32).map(|own| (1.0, own)).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..share.len()).partition(|&index| share[index] < 1.0);
        while let (Some(poor), Some(&rich)) = (small.pop(), large.last()) {
            cells[poor] = (share[poor] as f32, rich as u32);
            share[rich] -= 1.0 - share[poor];
            if share[rich] < 1.0 {
                large.pop();
                small.push(rich);
            }
        }
        Self { cells }
    }

    pub(super) fn draw(&self, dice: &mut Dice) -> usize {
        let cell = dice.below(self.cells.len() as u64) as usize;
        let (own, other) = self.cells[cell];
        if (dice.fraction() as f32) < own { cell } else { other as usize }
    }
}
