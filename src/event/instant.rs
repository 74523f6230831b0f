//! The two types of time: a moment, and what lies between two moments. Both are whole microseconds, which they become in Arrow
//! columns and SQL rows and nowhere else.

use std::{
    ops::{Add, AddAssign, Div, Mul, Rem, Sub, SubAssign},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::whole::{adds_up, prints_its_number};

/// A moment in UTC, in microseconds since the epoch. What it is on a clock, a [`Calendar`](super::time::Calendar) knows.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
#[repr(transparent)]
pub struct Instant(i64);

/// A length of time, to the microsecond: what lies between two instants, and so below zero when the second comes first.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
#[repr(transparent)]
pub struct TimeDelta(i64);

impl Instant {
    /// The beginning of 1970 in UTC.
    pub const EPOCH: Self = Self(0);
    /// Before every other: a bound that bounds nothing.
    pub const MIN: Self = Self(i64::MIN);
    /// After every other: a bound that bounds nothing.
    pub const MAX: Self = Self(i64::MAX);

    /// The moment so many microseconds after the epoch.
    #[inline]
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    #[inline]
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch.
    #[inline]
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(TimeDelta::SECOND.0)
    }

    /// So much later, or the last instant there is.
    #[inline]
    #[must_use]
    pub const fn saturating_add(self, length: TimeDelta) -> Self {
        Self(self.0.saturating_add(length.0))
    }

    /// So much earlier, or the first instant there is.
    #[inline]
    #[must_use]
    pub const fn saturating_sub(self, length: TimeDelta) -> Self {
        Self(self.0.saturating_sub(length.0))
    }

    /// What has passed since an instant, or the longest there is.
    #[inline]
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> TimeDelta {
        TimeDelta(self.0.saturating_sub(earlier.0))
    }

    /// So much earlier, if there is such an instant.
    #[inline]
    #[must_use]
    pub const fn checked_sub(self, length: TimeDelta) -> Option<Self> {
        match self.0.checked_sub(length.0) {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }

    /// So much later, if there is such an instant.
    #[inline]
    #[must_use]
    pub const fn checked_add(self, length: TimeDelta) -> Option<Self> {
        match self.0.checked_add(length.0) {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }
}

impl TimeDelta {
    /// No time at all: 0 µs.
    pub const ZERO: Self = Self(0);
    /// The longest there is: longer than any two instants are apart.
    pub const MAX: Self = Self(i64::MAX);
    /// The least that two different instants are apart.
    pub const MICROSECOND: Self = Self(1);
    /// A thousandth of a second.
    pub const MILLISECOND: Self = Self(1000);
    /// One second, in microseconds.
    pub const SECOND: Self = Self(1_000_000);
    /// 60 seconds.
    pub const MINUTE: Self = Self::seconds(60);
    /// 60 minutes.
    pub const HOUR: Self = Self::minutes(60);
    /// 24 hours; days of a zone with daylight saving may be longer or shorter.
    pub const DAY: Self = Self::hours(24);

    /// A length of so many microseconds.
    #[inline]
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds.
    #[inline]
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// A length of so many seconds.
    #[inline]
    #[must_use]
    pub const fn seconds(seconds: i64) -> Self {
        Self(seconds * Self::SECOND.0)
    }

    /// A length of so many minutes.
    #[inline]
    #[must_use]
    pub const fn minutes(minutes: i64) -> Self {
        Self(minutes * Self::MINUTE.0)
    }

    /// A length of so many hours.
    #[inline]
    #[must_use]
    pub const fn hours(hours: i64) -> Self {
        Self(hours * Self::HOUR.0)
    }

    /// So many times 24 hours.
    #[inline]
    #[must_use]
    pub const fn days(days: i64) -> Self {
        Self(days * Self::DAY.0)
    }

    /// A duration to the microsecond, or the longest there is.
    #[must_use]
    pub fn of(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
    }

    /// The same as a duration; none if it is below zero.
    #[must_use]
    pub fn to_duration(self) -> Duration {
        Duration::from_micros(u64::try_from(self.0).unwrap_or(0))
    }

    /// Whole seconds, cut towards zero.
    #[inline]
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0 / Self::SECOND.0
    }

    /// Seconds, for gauges.
    #[inline]
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn as_seconds_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// The same forwards, or the longest there is.
    #[inline]
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }

    /// Both together, or the longest there is.
    #[inline]
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// One without the other, or the longest there is.
    #[inline]
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// So many times as long, or the longest there is.
    #[inline]
    #[must_use]
    pub const fn saturating_mul(self, times: i64) -> Self {
        Self(self.0.saturating_mul(times))
    }

    /// So many times as long, if there is such a length.
    #[inline]
    #[must_use]
    pub const fn checked_mul(self, times: i64) -> Option<Self> {
        match self.0.checked_mul(times) {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }
}

prints_its_number!(Instant, TimeDelta);
adds_up!(TimeDelta);

impl Add<TimeDelta> for Instant {
    type Output = Self;

    #[inline]
    fn add(self, length: TimeDelta) -> Self {
        Self(self.0 + length.0)
    }
}

impl Sub<TimeDelta> for Instant {
    type Output = Self;

    #[inline]
    fn sub(self, length: TimeDelta) -> Self {
        Self(self.0 - length.0)
    }
}

impl Sub for Instant {
    type Output = TimeDelta;

    #[inline]
    fn sub(self, earlier: Self) -> TimeDelta {
        TimeDelta(self.0 - earlier.0)
    }
}

impl AddAssign<TimeDelta> for Instant {
    #[inline]
    fn add_assign(&mut self, length: TimeDelta) {
        self.0 += length.0;
    }
}

impl SubAssign<TimeDelta> for Instant {
    #[inline]
    fn sub_assign(&mut self, length: TimeDelta) {
        self.0 -= length.0;
    }
}

impl Mul<i64> for TimeDelta {
    type Output = Self;

    #[inline]
    fn mul(self, times: i64) -> Self {
        Self(self.0 * times)
    }
}

impl Mul<TimeDelta> for i64 {
    type Output = TimeDelta;

    #[inline]
    fn mul(self, length: TimeDelta) -> TimeDelta {
        TimeDelta(self * length.0)
    }
}

impl Div<i64> for TimeDelta {
    type Output = Self;

    #[inline]
    fn div(self, parts: i64) -> Self {
        Self(self.0 / parts)
    }
}

/// How often one goes into the other.
impl Div for TimeDelta {
    type Output = i64;

    #[inline]
    fn div(self, other: Self) -> i64 {
        self.0 / other.0
    }
}

/// What is left of one when the other is taken out of it as often as it goes.
impl Rem for TimeDelta {
    type Output = Self;

    #[inline]
    fn rem(self, other: Self) -> Self {
        Self(self.0 % other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_lie_between_instants() {
        let at = Instant::from_micros(1_772_589_600_000_000);
        let later = at + TimeDelta::DAY + TimeDelta::MILLISECOND * 5;
        assert_eq!((later - at).as_micros(), 86_400_005_000);
        assert_eq!((at - later).as_seconds(), -86_400);
        assert_eq!(later - (later - at), at);
        assert_eq!(TimeDelta::days(3) / TimeDelta::HOUR, 72);
        assert_eq!(TimeDelta::minutes(61) % TimeDelta::HOUR, TimeDelta::MINUTE);
        assert_eq!(Instant::from_micros(-1).as_seconds(), -1);
    }

    #[test]
    fn bounds_stay_bounds() {
        assert_eq!(Instant::MAX.saturating_add(TimeDelta::DAY), Instant::MAX);
        assert_eq!(Instant::MIN.saturating_sub(TimeDelta::DAY), Instant::MIN);
        assert_eq!(Instant::MAX.saturating_since(Instant::MIN), TimeDelta::MAX);
        assert_eq!(Instant::MAX.checked_add(TimeDelta::MICROSECOND), None);
        assert_eq!(TimeDelta::of(Duration::MAX), TimeDelta::MAX);
        assert_eq!((-TimeDelta::SECOND).to_duration(), Duration::ZERO);
    }

    #[test]
    fn they_are_numbers_where_they_are_kept() {
        let at = Instant::from_micros(-7);
        assert_eq!(serde_json::to_string(&at).unwrap(), "-7");
        assert_eq!(serde_json::from_str::<Instant>("-7").unwrap(), at);
        assert_eq!(serde_json::to_string(&TimeDelta::SECOND).unwrap(), "1000000");
        // What digests are made of must stay as it is.
        assert_eq!(format!("{:?}", (at, Some(TimeDelta::SECOND))), "(-7, Some(1000000))");
    }
}
