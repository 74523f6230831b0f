//! The local days of many instants. The offset of the zone is looked up once for all instants up to its next change.

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use super::TimeDelta;

const EPOCH: Date = jiff::civil::date(1970, 1, 1);

/// Tells the local days of instants that mostly lie near one another.
#[derive(Debug)]
pub(crate) struct LocalDays<'z> {
    zone: &'z TimeZone,
    /// The instants with the offset that was found last, in microseconds.
    from: i64,
    until: i64,
    offset: i64,
}

impl<'z> LocalDays<'z> {
    #[must_use]
    pub(crate) fn new(zone: &'z TimeZone) -> Self {
        Self { zone, from: 0, until: 0, offset: 0 }
    }

    /// The day that an instant in microseconds lies in, counted from 1 January 1970. One that no calendar has counts as the
    /// epoch, as in [`super::time::Calendar::local`].
    pub(crate) fn number(&mut self, micros: i64) -> i64 {
        let mut micros = micros;
        if micros < self.from || micros >= self.until {
            let at = Timestamp::from_microsecond(micros).unwrap_or_else(|_| {
                micros = 0;
                Timestamp::UNIX_EPOCH
            });
            self.offset = i64::from(self.zone.to_offset(at).seconds()) * 1_000_000;
            let just_after = at.checked_add(SignedDuration::from_micros(1)).unwrap_or(at);
            let (before, after) = (self.zone.preceding(just_after).next(), self.zone.following(at).next());
            self.from =
                before.map_or(Timestamp::MIN.as_microsecond(), |change| change.timestamp().as_microsecond());
            self.until =
                after.map_or(Timestamp::MAX.as_microsecond(), |change| change.timestamp().as_microsecond());
        }
        (micros + self.offset).div_euclid(TimeDelta::DAY.as_micros())
    }

    /// The day of a number.
    #[must_use]
    pub(crate) fn date(number: i64) -> Date {
        EPOCH.checked_add(SignedDuration::from_hours(number.saturating_mul(24))).unwrap_or(EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::{Instant, time::Calendar};

    const DAY: i64 = TimeDelta::DAY.as_micros();

    proptest! {
        /// Also where days begin twice, have a change at midnight, or are left out.
        #[test]
        fn days_are_those_of_the_calendar(
            zone in prop::sample::select(vec!["Asia/Shanghai", "America/St_Johns", "Pacific/Apia", "Europe/Berlin", "UTC"]),
            instants in prop::collection::vec(-2_000_000_000i64..4_000_000_000, 1..50),
        ) {
            let calendar = Calendar::new(zone, 1, 1).unwrap();
            let mut days = LocalDays::new(calendar.zone());
            let changes = calendar.zone().following(Timestamp::UNIX_EPOCH).take(150);
            let changes = changes.map(|change| change.timestamp().as_microsecond());
            let near: Vec<i64> = changes.flat_map(|at| [at - 1, at, at + 1, at + DAY]).collect();
            for at in instants.into_iter().map(|at| at * 1_000_001).chain(near) {
                prop_assert_eq!(LocalDays::date(days.number(at)), calendar.local(Instant::from_micros(at)).date(), "{} {}", zone, at);
            }
        }
    }
}
