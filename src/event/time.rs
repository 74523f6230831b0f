//! The local calendar that instants are read in, and times as they are written.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{Instant, period::Stretch};
use crate::{say, text::quoted};

/// The calendar of a treasury: its time zone and the first day of its fiscal year.
#[derive(Debug, Clone)]
pub struct Calendar {
    /// The IANA name, as it stands in Arrow types.
    pub zone_name: String,
    zone: TimeZone,
    fiscal_month: i8,
    fiscal_day: i8,
    named_by: NamedBy,
}

/// Which calendar year a fiscal year has its name from.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum NamedBy {
    /// The one that its first day is in.
    #[default]
    Beginning,
    /// The one that its last day is in.
    End,
}

/// Why a text is not an instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TimeError(pub String);

/// Instants outside these years are taken for mistakes (seconds or nanoseconds given as milliseconds, say).
const YEARS: std::ops::RangeInclusive<i16> = 1900..=2999;

impl Calendar {
    /// A calendar in an IANA zone whose fiscal year starts on `month`-`day`.
    ///
    /// # Errors
    /// If the zone is not in the time zone database, or the day does not exist in every year.
    pub fn new(zone_name: &str, month: i8, day: i8) -> Result<Self, TimeError> {
        let zone = TimeZone::get(zone_name).map_err(|_| {
            let name = quoted(zone_name);
            TimeError(say!("unknown time zone {name}: use an IANA name such as Asia/Shanghai", name))
        })?;
        Date::new(2001, month, day).map_err(|_| {
            let day = format!("{month:02}-{day:02}");
            TimeError(say!("{day} is not a day of every year: use MM-DD such as 01-01", day))
        })?;
        let named_by = NamedBy::default();
        Ok(Self { zone_name: zone_name.to_owned(), zone, fiscal_month: month, fiscal_day: day, named_by })
    }

    /// The same with fiscal years that are named in another way.
    #[must_use]
    pub fn with_years_named_by(self, named_by: NamedBy) -> Self {
        Self { named_by, ..self }
    }

    /// The zone that local days and years are meant in.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The instant of an RFC 3339 text, or the start of a bare local date.
    /// Digits beyond the microsecond are cut off.
    ///
    /// # Errors
    /// If the text is neither, has no offset, or lies outside the years 1900 to 2999.
    pub fn parse(&self, text: &str) -> Result<Instant, TimeError> {
        if let Some(at) = plain_rfc3339(text.as_bytes()) {
            return Ok(at);
        }
        if text.len() == 10
            && let Ok(date) = text.parse::<Date>()
        {
            return self.start_of_day(date);
        }
        let shape = text.as_bytes();
        if shape.len() < 20
            || !matches!(shape[10], b'T' | b't' | b' ')
            || text.contains('[')
            || !offset_is_real(shape)
        {
            return Err(TimeError(say!(
                "no time such as 2026-03-04T10:00:00+08:00, and no day such as 2026-03-04"
            )));
        }
        let instant: Timestamp = text.parse().map_err(|_| TimeError(say!("there is no such day or time")))?;
        checked(instant)
    }

    /// The start of a local day.
    ///
    /// # Errors
    /// Outside the years 1900 to 2999.
    pub fn start_of_day(&self, date: Date) -> Result<Instant, TimeError> {
        let zoned = date.to_zoned_datetime(self.zone.clone()).map_err(|e| TimeError(e.to_string()))?;
        checked(zoned.timestamp())
    }

    /// The local date and time of an instant.
    #[must_use]
    pub fn local(&self, at: Instant) -> jiff::civil::DateTime {
        let instant = Timestamp::from_microsecond(at.as_micros()).unwrap_or(Timestamp::UNIX_EPOCH);
        self.zone.to_datetime(instant)
    }

    /// The local day of the week, from Monday = 0, and the minute of the day.
    #[must_use]
    pub fn weekday_and_minute(&self, at: Instant) -> (usize, u32) {
        let local = self.local(at);
        let part = |n: i8| u32::from(n.unsigned_abs());
        let weekday = usize::from(local.weekday().to_monday_zero_offset().unsigned_abs());
        (weekday, part(local.hour()) * 60 + part(local.minute()))
    }

    /// The fiscal year of this name.
    #[must_use]
    pub fn fiscal_year(&self, year: i32) -> Option<Stretch> {
        let year = year - self.years_ahead();
        let start = |year: i32| {
            let date = Date::new(i16::try_from(year).ok()?, self.fiscal_month, self.fiscal_day).ok()?;
            self.start_of_day(date).ok()
        };
        Some(Stretch { start: start(year)?, end: start(year + 1)? })
    }

    /// The name of the fiscal year that a day lies in.
    #[must_use]
    pub fn fiscal_year_of(&self, date: Date) -> i32 {
        i32::from(self.fiscal_year_start(date).year()) + self.years_ahead()
    }

    /// By how much the name of a fiscal year is ahead of the year that it begins in. One that begins on 1 January ends in
    /// the same year.
    fn years_ahead(&self) -> i32 {
        let same_year = self.fiscal_month == 1 && self.fiscal_day == 1;
        i32::from(self.named_by == NamedBy::End && !same_year)
    }

    /// What fiscal years are named by, as it was set.
    #[must_use]
    pub(crate) fn fiscal_year_named_by(&self) -> NamedBy {
        self.named_by
    }

    /// What fiscal years are named by, in the word of the configuration.
    #[must_use]
    pub fn fiscal_year_named_by_text(&self) -> String {
        String::from(if self.years_ahead() == 0 { "beginning" } else { "end" })
    }

    /// The first day of the fiscal year as the configuration has it, `MM-DD`.
    #[must_use]
    pub fn fiscal_year_start_text(&self) -> String {
        format!("{:02}-{:02}", self.fiscal_month, self.fiscal_day)
    }

    /// The first day of the fiscal year that a day lies in.
    #[must_use]
    pub fn fiscal_year_start(&self, date: Date) -> Date {
        let start = |year| Date::new(year, self.fiscal_month, self.fiscal_day).unwrap_or(date);
        let this = start(date.year());
        if this <= date { this } else { start(date.year() - 1) }
    }

    /// The month of the fiscal year that a day lies in, 1 to 12. Months begin on the day of the month that the year does, or on
    /// their last day where they do not have it.
    #[must_use]
    pub fn fiscal_month(&self, date: Date) -> i32 {
        let months = i32::from(date.month()) - i32::from(self.fiscal_month);
        let begins = self.fiscal_day.min(date.days_in_month());
        (months - i32::from(date.day() < begins)).rem_euclid(12) + 1
    }

    /// RFC 3339 in local time with offset, for people and findings.
    #[must_use]
    pub fn format(&self, at: Instant) -> String {
        let micros = at.as_micros();
        let Ok(instant) = Timestamp::from_microsecond(micros) else { return micros.to_string() };
        let offset = self.zone.to_offset(instant);
        instant.display_with_offset(offset).to_string()
    }
}

fn checked(instant: Timestamp) -> Result<Instant, TimeError> {
    check_years(Instant::from_micros(instant.as_microsecond()))
}

/// An instant inside the accepted years.
///
/// # Errors
/// Outside the years 1900 to 2999.
pub fn check_years(at: Instant) -> Result<Instant, TimeError> {
    let year = Timestamp::from_microsecond(at.as_micros()).map(|t| TimeZone::UTC.to_datetime(t).year());
    match year {
        Ok(year) if YEARS.contains(&year) => Ok(at),
        _ => Err(TimeError(say!("outside the years 1900 to 2999"))),
    }
}

/// The instants that an event may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeBounds {
    pub(crate) earliest: Instant,
    pub(crate) latest: Instant,
}

impl TimeBounds {
    /// No bounds.
    pub const NONE: Self = Self { earliest: Instant::MIN, latest: Instant::MAX };

    /// Whether an instant is within them.
    #[must_use]
    pub fn contain(self, at: Instant) -> bool {
        self.earliest <= at && at <= self.latest
    }
}

/// `YYYY-MM-DDThh:mm:ss[.f…](Z|±hh:mm)`, at most six fraction digits: the shape nearly every feed uses, read
/// without the general parser. Anything unusual (leap seconds, other separators) returns `None`.
fn plain_rfc3339(text: &[u8]) -> Option<Instant> {
    let two = |at: usize| -> Option<i64> {
        let (a, b) = (text.get(at)?.wrapping_sub(b'0'), text.get(at + 1)?.wrapping_sub(b'0'));
        (a < 10 && b < 10).then(|| i64::from(a) * 10 + i64::from(b))
    };
    let is = |at: usize, byte: u8| text.get(at) == Some(&byte);
    if text.len() < 20 || !(is(4, b'-') && is(7, b'-') && is(10, b'T') && is(13, b':') && is(16, b':')) {
        return None;
    }
    let (year, month, day) = (two(0)? * 100 + two(2)?, two(5)?, two(8)?);
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    if !(1900..3000).contains(&year) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction, at) = fraction(text, 19)?;
    let offset = match text.get(at)? {
        b'Z' if text.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if text.len() == at + 6 && is(at + 3, b':') => {
            let (hours, minutes) = (two(at + 1)?, two(at + 4)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -60 } else { 60 }
        }
        _ => return None,
    };
    let days = days_from_civil(year, month, day)?;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some(Instant::from_micros(seconds * 1_000_000 + fraction))
}

/// Whether an offset `±hh:mm` at the end is less than a day, as RFC 3339 has it.
fn offset_is_real(text: &[u8]) -> bool {
    match text.last_chunk::<6>() {
        Some([b'+' | b'-', tens, ones, b':', _, _]) => [*tens, *ones] <= *b"23",
        _ => true,
    }
}

/// Microseconds of a fraction that may start at `at`, and the position after it.
fn fraction(text: &[u8], at: usize) -> Option<(i64, usize)> {
    if text.get(at) != Some(&b'.') {
        return Some((0, at));
    }
    let digits = text[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 || digits > 6 {
        return None;
    }
    let value = text[at + 1..=at + digits].iter().fold(0, |n, b| n * 10 + i64::from(b - b'0'));
    Some((value * 10i64.pow(6 - u32::try_from(digits).ok()?), at + 1 + digits))
}

/// Days since the epoch of a proleptic Gregorian date (H. Hinnant, "chrono-compatible low-level date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    const LENGTHS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = *LENGTHS.get(usize::try_from(month - 1).ok()?)? + i64::from(leap && month == 2);
    if day < 1 || day > length {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::TimeDelta;
    use proptest::prelude::*;

    fn shanghai() -> Calendar {
        Calendar::new("Asia/Shanghai", 1, 1).unwrap()
    }

    #[test]
    fn reads_what_the_contract_names() {
        let calendar = shanghai();
        let expected = Instant::from_micros(1_767_225_600_000_000) - TimeDelta::hours(8);
        for text in [
            "2026-01-01",
            "2026-01-01T00:00:00+08:00",
            "2025-12-31T16:00:00Z",
            "2025-12-31T16:00:00.000000Z",
            "2025-12-31 16:00:00Z",
            "2025-12-31T11:00:00.000-05:00",
        ] {
            assert_eq!(calendar.parse(text), Ok(expected), "{text}");
        }
        assert_eq!(
            calendar.parse("2026-01-01T00:00:00.1234569+08:00"),
            Ok(expected + TimeDelta::from_micros(123_456))
        );
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "2026-01-01T00:00:00",
            "2026-02-30",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T25:00:00Z",
            "20260101",
            "yesterday",
            "0001-01-01T00:00:00Z",
            "2026-01-01T00:00:00+08:00[Asia/Shanghai]",
            "1767225600",
            "2026-01-01 00:00:00+25:00",
            "2026-01-01T00:00:00+24:00",
        ] {
            assert!(shanghai().parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn fiscal_years_follow_the_configured_start() {
        let april = Calendar::new("Europe/London", 4, 6).unwrap();
        let year = april.fiscal_year(2026).unwrap();
        assert_eq!(april.format(year.start), "2026-04-06T00:00:00+01:00");
        assert_eq!(april.format(year.end), "2027-04-06T00:00:00+01:00");
        let november = "2026-11-01".parse().unwrap();
        assert_eq!(april.fiscal_year_of(november), 2026);
        let named = april.with_years_named_by(NamedBy::End);
        assert_eq!((named.fiscal_year(2027), named.fiscal_year_of(november)), (Some(year), 2027));
        let whole = shanghai().with_years_named_by(NamedBy::End);
        assert_eq!(whole.fiscal_year(2026), shanghai().fiscal_year(2026));
        assert_eq!(whole.fiscal_year_named_by_text(), "beginning");
        assert!(Calendar::new("Asia/Peking", 1, 1).is_err());
        assert!(Calendar::new("UTC", 2, 29).is_err());
    }

    proptest! {
        /// The oracle is jiff's general parser.
        #[test]
        fn the_fast_path_agrees_with_jiff(seconds in -2_208_988_800i64..32_503_680_000, micros in 0i64..1_000_000, offset in -86_340i32..86_340) {
            let instant = Timestamp::from_microsecond(seconds * 1_000_000 + micros).unwrap();
            let offset = jiff::tz::Offset::from_seconds(offset / 60 * 60).unwrap();
            let text = instant.display_with_offset(offset).to_string();
            if let Some(fast) = plain_rfc3339(text.as_bytes()) {
                prop_assert_eq!(fast.as_micros(), text.parse::<Timestamp>().unwrap().as_microsecond());
            }
        }
    }
}
