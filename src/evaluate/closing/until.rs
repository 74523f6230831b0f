//! How far windows are closed.

use crate::event::{Instant, TimeDelta};

/// Up to where windows are closed: those that end at or before it are over. In the order of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Until {
    /// None is.
    #[default]
    Nothing,
    /// Up to here.
    At(Instant),
    /// All are: the input is complete.
    Everything,
}

impl Until {
    /// Up to a watermark, which is the least instant where there is none yet, and the last one when nothing comes any more.
    #[must_use]
    #[inline]
    pub(crate) fn watermark(at: Instant) -> Self {
        match at {
            Instant::MIN => Self::Nothing,
            Instant::MAX => Self::Everything,
            at => Self::At(at),
        }
    }

    /// Whether a window that ends there is over.
    #[must_use]
    #[inline]
    pub(crate) fn is_past(self, end: i64) -> bool {
        match self {
            Self::Nothing => false,
            Self::At(at) => end <= at.as_micros(),
            Self::Everything => true,
        }
    }

    /// Whether an instant is before it.
    #[must_use]
    #[inline]
    pub(crate) fn is_after(self, at: i64) -> bool {
        match self {
            Self::Nothing => false,
            Self::At(closed) => at < closed.as_micros(),
            Self::Everything => true,
        }
    }

    /// What events that are `late` as often as they may be still need, if that is not everything.
    #[must_use]
    pub(crate) fn needed(self, late: TimeDelta) -> Option<i64> {
        match self {
            Self::Nothing => None,
            Self::At(at) => Some(at.saturating_sub(late).as_micros()),
            Self::Everything => Some(Instant::MAX.saturating_sub(late).as_micros()),
        }
    }
}
