//! Which events of the journal were read, and how far the loop is with them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::RwLock;

use crate::store::Select;

/// Where the events that were read stand in the journal.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// For each stretch of one block, how many events come before it, and the arrival of its first event.
    stretches: RwLock<Vec<(u64, i64)>>,
}

impl Places {
    pub(super) fn note(&self, events: u64, arrivals: &[i64]) {
        let mut stretches = self.stretches.write();
        let mut last = None;
        for (row, arrival) in arrivals.iter().enumerate() {
            if last.is_none_or(|last| last + 1 != *arrival) {
                stretches.push((events + row as u64, *arrival));
            }
            last = Some(*arrival);
        }
    }

    /// The arrival of the last of the first so many events; 0 before all of them.
    pub(super) fn last_of(&self, events: u64) -> i64 {
        let Some(last) = events.checked_sub(1) else { return 0 };
        let stretches = self.stretches.read();
        let at = stretches.partition_point(|(first, _)| *first <= last);
        let Some((first, arrival)) = at.checked_sub(1).and_then(|at| stretches.get(at)) else { return 0 };
        arrival + (last - first).cast_signed()
    }
}

/// How far the replay is.
pub(super) struct Through {
    pub(super) places: Arc<Places>,
    /// Events that are through.
    pub(super) committed: AtomicU64,
}

impl Through {
    /// The part of the journal that is through.
    pub(super) fn select(&self) -> Select {
        Select {
            until: Some(self.places.last_of(self.committed.load(Ordering::SeqCst))),
            ..Select::default()
        }
    }
}
