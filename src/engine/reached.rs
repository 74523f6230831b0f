//! The event times that a partition has reached, and which of them are believed.

use serde::{Deserialize, Serialize};

use crate::event::{Instant, TimeDelta};

/// The two largest event times: what the second one confirms is believed. They do not depend on the order of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    first: Instant,
    second: Option<Instant>,
    /// The event with the largest time is the one that came last.
    newest: bool,
    /// The clock's time, up to which the partition was silent.
    clock: Option<Instant>,
}

impl Reached {
    #[must_use]
    pub fn new(at: Instant) -> Self {
        Self { first: at, second: None, newest: true, clock: None }
    }

    /// After events that are beyond doubt.
    #[must_use]
    pub fn certain(at: Instant) -> Self {
        Self { second: Some(at), ..Self::new(at) }
    }

    /// Takes in an event; whether one of the two times changed.
    #[inline]
    pub fn observe(&mut self, at: Instant) -> bool {
        self.newest = at >= self.first;
        if self.newest {
            self.second = Some(self.first);
            self.first = at;
        } else if self.second.is_none_or(|second| at > second) {
            self.second = Some(at);
        } else {
            return false;
        }
        true
    }

    /// The partition was silent up to `now`.
    pub fn pass_time(&mut self, now: Instant) {
        self.clock = self.clock.max(Some(now));
    }

    /// The largest event time.
    #[must_use]
    pub fn first(self) -> Instant {
        self.first
    }

    /// Whether the event with the largest time came last.
    #[must_use]
    pub fn is_newest(self) -> bool {
        self.newest
    }

    /// Whether there was only one event.
    #[must_use]
    pub fn is_one_event(self) -> bool {
        self.second.is_none()
    }

    /// The largest time that is believed: the largest one if the second is no more than `outlier` before it, else the
    /// second.
    #[must_use]
    pub fn mark(self, outlier: Option<TimeDelta>) -> Option<Instant> {
        let events = match (self.second, outlier) {
            (Some(second), Some(outlier)) if self.first.saturating_since(second) > outlier => Some(second),
            (None, Some(_)) => None,
            (_, None) | (Some(_), Some(_)) => Some(self.first),
        };
        events.max(self.clock)
    }

    /// The largest time that two events have reached.
    #[must_use]
    pub fn settled(self, outlier: Option<TimeDelta>) -> Option<Instant> {
        let events = if outlier.is_none() { Some(self.first) } else { self.second };
        events.max(self.clock)
    }
}
