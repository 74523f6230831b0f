//! Times that are no RFC 3339: numbers, which need a unit, and local times, which need a zone.

use jiff::{
    SignedDuration,
    civil::{Date, DateTime},
    tz::{AmbiguousOffset, TimeZone},
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    Instant,
    time::{Calendar, TimeError, check_years},
};
use crate::say;

/// What a number counts that is a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Unit")]
pub enum StampUnit {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    #[default]
    Milliseconds,
    /// Microseconds since 1970.
    Microseconds,
    /// Nanoseconds since 1970.
    Nanoseconds,
    /// Days of a spreadsheet: 1 is 1900-01-01. The fraction is the local time of the day.
    ExcelDays,
}

/// What a number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// An instant, whose zone was written or is UTC.
    Instant(Instant),
    /// A day of the local calendar.
    Day(Date),
    /// A local time, whose zone is the source's.
    Local(DateTime),
}

/// Days of a spreadsheet before this one are wrong by one in Excel, which knows a 29 February 1900.
const FIRST_EXCEL_DAY: i64 = 61;

impl StampUnit {
    /// All of them, the likeliest first.
    pub const ALL: [Self; 5] =
        [Self::Milliseconds, Self::Seconds, Self::Microseconds, Self::Nanoseconds, Self::ExcelDays];

    /// The word in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Milliseconds => "milliseconds",
            Self::Microseconds => "microseconds",
            Self::Nanoseconds => "nanoseconds",
            Self::ExcelDays => "excel_days",
        }
    }

    /// What a number means in this unit.
    ///
    /// # Errors
    /// If it is no whole number (but of days), or outside the years 1900 to 2999.
    pub fn read(self, number: &str) -> Result<Stamp, TimeError> {
        if self == Self::ExcelDays {
            return excel_days(number);
        }
        let Ok(count) = number.parse::<i64>() else {
            return Err(TimeError(say!("a number must be whole {unit} since the epoch", unit = self.word())));
        };
        let micros = match self {
            Self::Seconds => count.saturating_mul(1_000_000),
            Self::Milliseconds => count.saturating_mul(1000),
            Self::Nanoseconds => count.div_euclid(1000),
            Self::Microseconds | Self::ExcelDays => count,
        };
        check_years(Instant::from_micros(micros)).map(Stamp::Instant)
    }
}

/// A day of a spreadsheet with its time, to the millisecond: more than that its numbers do not hold.
fn excel_days(number: &str) -> Result<Stamp, TimeError> {
    let wrong = || TimeError(say!("this is no number of days that a spreadsheet writes"));
    let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let days: Decimal = number.parse().ok().filter(|_| plain).ok_or_else(wrong)?;
    let whole = i64::try_from(days.trunc().mantissa()).map_err(|_| wrong())?;
    if !(FIRST_EXCEL_DAY..500_000).contains(&whole) {
        return Err(wrong());
    }
    let date = jiff::civil::date(1899, 12, 30).checked_add(SignedDuration::from_hours(24 * whole));
    let date = date.map_err(|_| wrong())?;
    let millis = (days.fract() * Decimal::from(86_400_000)).round();
    match i64::try_from(millis.mantissa()).map_err(|_| wrong())? {
        0 if days.fract().is_zero() => Ok(Stamp::Day(date)),
        millis => {
            let time = date.at(0, 0, 0, 0).checked_add(SignedDuration::from_millis(millis));
            Ok(Stamp::Local(time.map_err(|_| wrong())?))
        }
    }
}

/// The local time that a text is, if it names neither an offset nor a zone.
#[must_use]
pub fn local_time(text: &str) -> Option<DateTime> {
    let time = text.get(10..).filter(|time| time.len() > 1 && time.starts_with(['T', 't', ' ']))?;
    let is_plain = time[1..].bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.'));
    if is_plain { text.parse().ok() } else { None }
}

/// The instant of a local time.
///
/// # Errors
/// If no zone is known for it, or the clock showed it never or twice.
pub fn instant(local: DateTime, zone: Option<&TimeZone>) -> Result<Instant, TimeError> {
    let Some(zone) = zone else {
        return Err(TimeError(say!(
            "a time without an offset. Write it with one (+08:00), or say with `zone` at the source (of posted events: http.events.zone) which zone such times are in"
        )));
    };
    let found = zone.to_ambiguous_timestamp(local);
    let offset = found.offset();
    match found.unambiguous() {
        Ok(instant) => check_years(Instant::from_micros(instant.as_microsecond())),
        Err(_) if matches!(offset, AmbiguousOffset::Gap { .. }) => Err(TimeError(say!(
            "there was no such time: the clocks of {zone} were put forward",
            zone = name(zone)
        ))),
        Err(_) => Err(TimeError(say!(
            "this time was there twice: the clocks of {zone} were put back",
            zone = name(zone)
        ))),
    }
}

fn name(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

/// The other unit in which a number is a time of the years 2000 to 2099, and that time.
#[must_use]
pub fn likely_unit(number: &str, stated: StampUnit, calendar: &Calendar) -> Option<(StampUnit, String)> {
    let plausible = |day: Date| (2000..2100).contains(&day.year());
    StampUnit::ALL.into_iter().filter(|unit| *unit != stated).find_map(|unit| {
        let (day, shown) = match unit.read(number).ok()? {
            Stamp::Instant(at) => (calendar.local(at).date(), calendar.format(at)),
            Stamp::Day(day) => (day, day.to_string()),
            Stamp::Local(time) => (time.date(), time.to_string()),
        };
        plausible(day).then_some((unit, shown))
    })
}

/// The day that eight digits look like: `20260304`.
#[must_use]
pub fn looks_like_day(number: &str) -> Option<Date> {
    let digits = number.len() == 8 && number.bytes().all(|b| b.is_ascii_digit());
    let day: Date =
        digits.then(|| format!("{}-{}-{}", &number[..4], &number[4..6], &number[6..]))?.parse().ok()?;
    (2000..2100).contains(&day.year()).then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shanghai() -> TimeZone {
        TimeZone::get("Asia/Shanghai").unwrap()
    }

    #[test]
    fn a_number_is_what_its_unit_says() {
        let at = Stamp::Instant(Instant::from_micros(1_772_589_600_000_000));
        for (unit, number) in [
            (StampUnit::Seconds, "1772589600"),
            (StampUnit::Milliseconds, "1772589600000"),
            (StampUnit::Microseconds, "1772589600000000"),
            (StampUnit::Nanoseconds, "1772589600000000999"),
        ] {
            assert_eq!(unit.read(number), Ok(at), "{unit:?}");
        }
        let day = jiff::civil::date(2026, 3, 4);
        assert_eq!(StampUnit::ExcelDays.read("46085"), Ok(Stamp::Day(day)));
        assert_eq!(StampUnit::ExcelDays.read("46085.0"), Ok(Stamp::Day(day)));
        // A third of a day, as a spreadsheet has it in binary.
        assert_eq!(StampUnit::ExcelDays.read("46085.4166666667"), Ok(Stamp::Local(day.at(10, 0, 0, 0))));
        assert_eq!(
            StampUnit::ExcelDays.read("46085.99999999999"),
            Ok(Stamp::Local(jiff::civil::date(2026, 3, 5).at(0, 0, 0, 0)))
        );
        for number in ["60", "-1", "1e5", "1000000", "x", "99999999999999999999999999999999"] {
            assert!(StampUnit::ExcelDays.read(number).is_err(), "{number}");
        }
        for number in ["1.5", "x", "", "99999999999999999999"] {
            assert!(StampUnit::Milliseconds.read(number).is_err(), "{number}");
        }
    }

    #[test]
    fn a_local_time_needs_a_zone() {
        let local = local_time("2026-12-31T17:00:00").unwrap();
        assert_eq!(instant(local, Some(&shanghai())), Ok(Instant::from_micros(1_798_707_600_000_000)));
        assert!(instant(local, None).unwrap_err().0.contains("zone"));
        assert_eq!(local_time("2026-12-31 17:00"), Some(local));
        for text in [
            "2026-12-31",
            "2026-12-31T17:00:00Z",
            "2026-12-31T17:00:00+08:00",
            "2026-12-31T17:00:00-08",
            "2026-12-31T17:00:00[UTC]",
            "31.12.2026 17:00",
        ] {
            assert_eq!(local_time(text), None, "{text}");
        }
        let paris = TimeZone::get("Europe/Paris").unwrap();
        let at = |text: &str| instant(local_time(text).unwrap(), Some(&paris));
        assert!(at("2026-03-29T02:30:00").unwrap_err().0.contains("put forward"));
        assert!(at("2026-10-25T02:30:00").unwrap_err().0.contains("put back"));
    }

    #[test]
    fn the_likely_unit_is_told() {
        let calendar = Calendar::new("Asia/Shanghai", 1, 1).unwrap();
        let likely = |number, stated| likely_unit(number, stated, &calendar);
        let at = "2026-03-04T10:00:00+08:00".to_owned();
        assert_eq!(likely("1772589600", StampUnit::Milliseconds), Some((StampUnit::Seconds, at.clone())));
        assert_eq!(likely("1772589600000", StampUnit::Seconds), Some((StampUnit::Milliseconds, at)));
        assert_eq!(
            likely("46085.5", StampUnit::Milliseconds),
            Some((StampUnit::ExcelDays, "2026-03-04T12:00:00".to_owned()))
        );
        assert_eq!(likely("5", StampUnit::Milliseconds), None);
        assert_eq!(looks_like_day("20260304"), Some(jiff::civil::date(2026, 3, 4)));
        assert_eq!(looks_like_day("20261304"), None);
    }
}
