//! How far windows are closed.

use crate::event::{Instant, TimeDelta};

/// Up to where windows are closed: those that end at or before it are over. In the order of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Until {
    #[default]
    Nothing,
    /// Up to here.
    At(Instant),
    /// All are: the input is complete.
    Everything,
}

impl Until {
    /// Up to a watermark; nothing is closed where there is none yet.
    #[must_use]
    #[inline]
    pub(crate) fn watermark(at: Option<Instant>) -> Self {
        at.map_or(Self::Nothing, Self::At)
    }

    /// A watermark in a column of them, in microseconds: the least number where there is none yet.
    #[must_use]
    #[inline]
    pub(crate) fn in_column(at: Option<Instant>) -> i64 {
        at.map_or(i64::MIN, Instant::as_micros)
    }

    /// Up to a watermark out of a column of them.
    #[must_use]
    #[inline]
    pub(crate) fn of_column(micros: i64) -> Self {
        Self::watermark((micros != i64::MIN).then(|| Instant::from_micros(micros)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_closed_grows_from_nothing_to_everything() {
        let at = |micros| Until::watermark(Some(Instant::from_micros(micros)));
        assert!(Until::Nothing < at(-5) && at(-5) < at(7) && at(7) < Until::Everything);
        for watermark in [None, Some(Instant::EPOCH)] {
            assert_eq!(Until::of_column(Until::in_column(watermark)), Until::watermark(watermark));
        }
        let ends = [i64::MIN, 7, 8, i64::MAX];
        assert_eq!(ends.map(|end| at(7).is_past(end)), [true, true, false, false]);
        assert_eq!(ends.map(|at_| at(7).is_after(at_)), [true, false, false, false]);
        assert_eq!(ends.map(|end| Until::Nothing.is_past(end)), [false; 4]);
        assert_eq!(at(7).needed(TimeDelta::from_micros(2)), Some(5));
        assert_eq!(Until::Nothing.needed(TimeDelta::from_micros(2)), None);
    }
}
