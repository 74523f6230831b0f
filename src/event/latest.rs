//! The latest of instants, told by one thread and asked by others.

use std::sync::atomic::{AtomicI64, Ordering};

use super::Instant;

/// The latest instant so far; there is none at first.
#[derive(Debug)]
pub struct Latest(AtomicI64);

/// What no instant that anybody notes is.
const NONE: i64 = i64::MIN;

impl Default for Latest {
    fn default() -> Self {
        Self(AtomicI64::new(NONE))
    }
}

impl Latest {
    /// The latest so far.
    #[must_use]
    pub fn get(&self) -> Option<Instant> {
        Some(self.0.load(Ordering::Relaxed)).filter(|at| *at != NONE).map(Instant::from_micros)
    }

    /// Takes an instant, if it is later than those before.
    pub fn note(&self, at: Instant) {
        self.0.fetch_max(at.as_micros(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_stays() {
        let latest = Latest::default();
        assert_eq!(latest.get(), None);
        for (noted, expected) in [(-5, -5), (0, 0), (7, 7), (3, 7)] {
            latest.note(Instant::from_micros(noted));
            assert_eq!(latest.get(), Some(Instant::from_micros(expected)));
        }
    }
}
