//! Stretches of the local calendar: what windows are aligned to.

use std::{cell::Cell, fmt};

use jiff::{
    ToSpan,
    civil::{Date, DateTime},
};

use super::{Instant, TimeDelta, time::Calendar};

/// A Monday, from which stretches of several days are counted: weeks start on Mondays.
const MONDAY: Date = jiff::civil::date(1970, 1, 5);

/// A length of time as rules write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Length {
    /// `90m`, `24h`: exact.
    Exact(TimeDelta),
    /// `30d`, `2w`: local days.
    Days(u16),
    /// A month of the calendar.
    Month,
    /// A quarter of the fiscal year.
    Quarter,
    Year,
}

/// The most days that a length may have: a century.
const DAYS_MAX: u16 = 36_525;

impl Length {
    /// Reads `90m`, `24h`, `7d`, `2w`, `month`, `quarter` or `year`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "month" => return Some(Self::Month),
            "quarter" => return Some(Self::Quarter),
            "year" => return Some(Self::Year),
            _ => {}
        }
        let unit = text.chars().next_back()?;
        let number: u32 = text[..text.len() - unit.len_utf8()].parse().ok().filter(|n| *n > 0)?;
        let exact = |unit: TimeDelta| unit.checked_mul(i64::from(number)).map(Self::Exact);
        let days = |n: u32| u16::try_from(n).ok().filter(|n| *n <= DAYS_MAX).map(Self::Days);
        match unit {
            's' => exact(TimeDelta::SECOND),
            'm' => exact(TimeDelta::MINUTE),
            'h' => exact(TimeDelta::HOUR),
            'd' => days(number),
            'w' => days(number.checked_mul(7)?),
            _ => None,
        }
    }

    /// The longest it can be: a day of 25 hours, a month of 31 days, a leap year.
    #[must_use]
    pub fn longest(self) -> TimeDelta {
        match self {
            Self::Exact(length) => length,
            Self::Days(days) => TimeDelta::days(i64::from(days)) + TimeDelta::hours(2),
            Self::Month => TimeDelta::days(32),
            Self::Quarter => TimeDelta::days(93),
            Self::Year => TimeDelta::days(367),
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(length) if *length % TimeDelta::HOUR == TimeDelta::ZERO => {
                write!(f, "{}h", *length / TimeDelta::HOUR)
            }
            Self::Exact(length) if *length % TimeDelta::MINUTE == TimeDelta::ZERO => {
                write!(f, "{}m", *length / TimeDelta::MINUTE)
            }
            Self::Exact(length) => write!(f, "{}s", *length / TimeDelta::SECOND),
            Self::Days(days) => write!(f, "{days}d"),
            Self::Month => f.write_str("month"),
            Self::Quarter => f.write_str("quarter"),
            Self::Year => f.write_str("year"),
        }
    }
}

/// How far back a sliding window reaches from an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// `last:`
    Last(Length),
    /// `to_date:`
    ToDate(Length),
}

impl Reach {
    /// The longest it can be.
    #[must_use]
    pub fn longest(self) -> TimeDelta {
        match self {
            Self::Last(length) | Self::ToDate(length) => length.longest(),
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last(length) => write!(f, "last {length}"),
            Self::ToDate(length) => write!(f, "{length} to date"),
        }
    }
}

/// The stretch that an instant lies in, half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    pub start: Instant,
    /// The first instant after it.
    pub end: Instant,
}

impl Stretch {
    /// Whether an instant lies in it.
    #[must_use]
    pub fn contains(self, at: Instant) -> bool {
        self.start <= at && at < self.end
    }
}

/// From when on a journal holds everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalStart {
    pub at: Instant,
    /// The first fiscal year that it holds from its beginning.
    pub year: i32,
}

/// A journal that begins so early in a fiscal year holds the whole year: little happens before its budgets are there.
const YEAR_BEGINS: TimeDelta = TimeDelta::days(31);

impl Calendar {
    /// From when on a journal whose first event was at `first` holds everything.
    #[must_use]
    pub fn journal_start(&self, first: Instant) -> JournalStart {
        let year = self.stretch(first, Length::Year);
        let number = self.fiscal_year_of(self.local(first).date());
        match first - year.start <= YEAR_BEGINS {
            true => JournalStart { at: year.start, year: number },
            false => JournalStart { at: self.day(first).start, year: number + 1 },
        }
    }

    #[must_use]
    pub(crate) fn day(&self, at: Instant) -> Stretch {
        self.days(at, 1)
    }

    /// The stretch of `length` that `at` lies in. Lengths below a day are counted from local midnight and end with
    /// the day; several days are counted from a Monday; quarters from the start of the fiscal year.
    #[must_use]
    pub fn stretch(&self, at: Instant, length: Length) -> Stretch {
        match length {
            Length::Exact(length) => {
                let day = self.day(at);
                let start = day.start + length * ((at - day.start) / length);
                Stretch { start, end: (start + length).min(day.end) }
            }
            Length::Days(days) => self.days(at, days),
            Length::Month => self.months(self.local(at).date().first_of_month(), 1),
            Length::Quarter => {
                let year = self.fiscal_year_start(self.local(at).date());
                // From the year's first day, and not from one another: three months after 30 September is not 31 December.
                let begins = |quarter: i32| self.instant(add_months(year, quarter * 3));
                let passed = (0..4).rev().find(|quarter| begins(*quarter) <= at).unwrap_or(0);
                Stretch { start: begins(passed), end: begins(passed + 1) }
            }
            Length::Year => self.months(self.fiscal_year_start(self.local(at).date()), 12),
        }
    }

    /// The first instant of a sliding window that ends with `at`: the window is closed on both sides.
    #[must_use]
    pub fn reach(&self, at: Instant, reach: Reach) -> Instant {
        match reach {
            Reach::Last(Length::Exact(length)) => at - length + TimeDelta::MICROSECOND,
            Reach::Last(Length::Days(days)) => {
                self.instant(self.local(at).date().saturating_sub((i32::from(days) - 1).days()))
            }
            Reach::Last(length) | Reach::ToDate(length) => self.stretch(at, length).start,
        }
    }

    /// The first instant that is not within `length` after `at`: local days are those after its own, to the end of the last.
    #[must_use]
    pub fn forward(&self, at: Instant, length: Length) -> Instant {
        match length {
            Length::Exact(length) => at.saturating_add(length),
            Length::Days(days) => {
                self.instant(self.local(at).date().saturating_add((i32::from(days) + 1).days()))
            }
            length => self.stretch(at, length).end,
        }
    }

    fn days(&self, at: Instant, days: u16) -> Stretch {
        let date = self.local(at).date();
        let since = date.since(MONDAY).map_or(0, |span| span.get_days());
        let start = date.saturating_sub(since.rem_euclid(i32::from(days)).days());
        Stretch {
            start: self.instant(start),
            end: self.instant(start.saturating_add(i32::from(days).days())),
        }
    }

    fn months(&self, first: Date, months: i32) -> Stretch {
        Stretch { start: self.instant(first), end: self.instant(add_months(first, months)) }
    }

    /// The first instant of a local day.
    #[must_use]
    pub fn instant(&self, date: Date) -> Instant {
        let zoned = date.to_zoned_datetime(self.zone().clone());
        zoned.map_or(Instant::MAX, |zoned| Instant::from_micros(zoned.timestamp().as_microsecond()))
    }

    /// The instant of a local time; a time that daylight saving skips is the instant after the gap.
    #[must_use]
    pub fn instant_of(&self, local: DateTime) -> Instant {
        let zoned = local.to_zoned_datetime(self.zone().clone());
        zoned.map_or(Instant::MAX, |zoned| Instant::from_micros(zoned.timestamp().as_microsecond()))
    }
}

fn add_months(date: Date, months: i32) -> Date {
    date.saturating_add(months.months())
}

/// Stretches looked up again and again: neighbouring events mostly lie in the same one.
#[derive(Debug)]
pub(crate) struct StretchCache<'c> {
    calendar: &'c Calendar,
    length: Length,
    last: Cell<Stretch>,
}

impl<'c> StretchCache<'c> {
    #[must_use]
    pub(crate) fn new(calendar: &'c Calendar, length: Length) -> Self {
        Self { calendar, length, last: Cell::new(Stretch { start: Instant::MAX, end: Instant::MIN }) }
    }

    /// The stretch that `at` lies in.
    pub(crate) fn get(&self, at: Instant) -> Stretch {
        if !self.last.get().contains(at) {
            self.last.set(self.calendar.stretch(at, self.length));
        }
        self.last.get()
    }
}

/// The starts of sliding windows, looked up again and again.
#[derive(Debug)]
pub(crate) struct Reaches<'c> {
    calendar: &'c Calendar,
    reach: Reach,
    days: StretchCache<'c>,
    /// The start of a day, and that of the windows that end in it.
    known: Cell<Option<(Instant, Instant)>>,
}

impl<'c> Reaches<'c> {
    #[must_use]
    pub(crate) fn new(calendar: &'c Calendar, reach: Reach) -> Self {
        let days = StretchCache::new(calendar, Length::Days(1));
        Self { calendar, reach, days, known: Cell::new(None) }
    }

    /// The first instant of the window that ends with `at`.
    #[must_use]
    pub(crate) fn from(&self, at: Instant) -> Instant {
        if let Reach::Last(Length::Exact(length)) = self.reach {
            return at - length + TimeDelta::MICROSECOND;
        }
        // Every such window starts where that of any other instant of the same day starts.
        let day = self.days.get(at).start;
        match self.known.get() {
            Some((known, start)) if known == day => start,
            _ => {
                let start = self.calendar.reach(at, self.reach);
                self.known.set(Some((day, start)));
                start
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(calendar: &Calendar, text: &str) -> Instant {
        calendar.parse(text).unwrap()
    }

    #[test]
    fn lengths_are_read_as_rules_write_them() {
        for text in ["90s", "15m", "24h", "30d", "month", "quarter", "year"] {
            assert_eq!(Length::parse(text).map(|l| l.to_string()).as_deref(), Some(text), "{text}");
        }
        assert_eq!(Length::parse("2w"), Some(Length::Days(14)));
        for text in ["", "d", "0d", "-1d", "1.5h", "7", "1y", "1天", "99999999999h"] {
            assert_eq!(Length::parse(text), None, "{text}");
        }
    }

    /// Whatever day the fiscal year begins on, and whatever daylight saving does to midnight.
    #[test]
    fn stretches_hold_their_instants_and_follow_one_another() {
        let lengths =
            ["90s", "7h", "24h", "1d", "2w", "month", "quarter", "year"].map(|l| Length::parse(l).unwrap());
        let zones = ["Asia/Shanghai", "Africa/Cairo", "America/Santiago", "Atlantic/Azores", "Pacific/Apia"];
        let starts = [(1, 1), (1, 31), (2, 28), (4, 6), (7, 1), (8, 30), (10, 31), (11, 29), (12, 31)];
        for (zone, (month, day)) in zones.iter().flat_map(|zone| starts.map(|start| (zone, start))) {
            let c = Calendar::new(zone, month, day).unwrap();
            let first = at(&c, "2011-01-01T03:00:00Z");
            for hours in (0..3 * 366 * 24).step_by(17) {
                let at = first + TimeDelta::hours(hours);
                for length in lengths {
                    let stretch = c.stretch(at, length);
                    let told = format!("{zone} {month}-{day}: {length} of {}", c.format(at));
                    assert!(stretch.contains(at), "{told}");
                    assert_eq!(c.stretch(stretch.end, length).start, stretch.end, "{told}");
                }
                let date = c.local(at).date();
                let quarter = c.stretch(at, Length::Quarter);
                let months = [quarter.start, at, quarter.end - TimeDelta::MICROSECOND]
                    .map(|at| (c.fiscal_month(c.local(at).date()) - 1) / 3);
                assert!(
                    months.iter().all(|quarter| *quarter == months[0]),
                    "{zone} {month}-{day}: {date} {months:?}"
                );
            }
        }
    }

    #[test]
    fn stretches_follow_the_local_calendar() {
        let c = Calendar::new("Asia/Shanghai", 1, 1).unwrap();
        let t = at(&c, "2026-03-04T10:20:30+08:00");
        let shown = |length: &str| {
            let stretch = c.stretch(t, Length::parse(length).unwrap());
            format!("{} {}", &c.format(stretch.start)[..16], &c.format(stretch.end)[..16])
        };
        assert_eq!(shown("15m"), "2026-03-04T10:15 2026-03-04T10:30");
        assert_eq!(shown("1d"), "2026-03-04T00:00 2026-03-05T00:00");
        assert_eq!(shown("1w"), "2026-03-02T00:00 2026-03-09T00:00");
        assert_eq!(shown("month"), "2026-03-01T00:00 2026-04-01T00:00");
        assert_eq!(shown("quarter"), "2026-01-01T00:00 2026-04-01T00:00");
        assert_eq!(shown("year"), "2026-01-01T00:00 2027-01-01T00:00");
        let from = |reach| c.format(c.reach(t, reach))[..16].to_owned();
        assert_eq!(from(Reach::Last(Length::Days(30))), "2026-02-03T00:00");
        assert_eq!(from(Reach::ToDate(Length::Year)), "2026-01-01T00:00");
        assert_eq!(
            c.reach(t, Reach::Last(Length::Exact(TimeDelta::SECOND))),
            t - TimeDelta::SECOND + TimeDelta::MICROSECOND
        );
        let until = |length: &str| c.format(c.forward(t, Length::parse(length).unwrap()))[..16].to_owned();
        assert_eq!(until("90m"), "2026-03-04T11:50");
        assert_eq!(until("1d"), "2026-03-06T00:00");
    }

    #[test]
    fn days_of_daylight_saving_are_as_long_as_they_are() {
        let c = Calendar::new("Europe/Berlin", 1, 1).unwrap();
        let hours = |text: &str| {
            let day = c.day(at(&c, text));
            (day.end - day.start) / TimeDelta::HOUR
        };
        assert_eq!(hours("2026-03-29T12:00:00+02:00"), 23);
        assert_eq!(hours("2026-10-25T12:00:00+01:00"), 25);
        assert_eq!(hours("2026-06-01"), 24);
        // Six hours from midnight at a time; the last stretch ends with the day.
        let last = c.stretch(at(&c, "2026-03-29T23:30:00+02:00"), Length::Exact(TimeDelta::hours(6)));
        assert_eq!(c.format(last.start), "2026-03-29T19:00:00+02:00");
        assert_eq!(c.format(last.end), "2026-03-30T00:00:00+02:00");
    }

    #[test]
    fn fiscal_years_and_their_quarters_start_where_they_are_told_to() {
        let c = Calendar::new("Europe/London", 4, 6).unwrap();
        let t = at(&c, "2026-03-04");
        let shown = |length| {
            let stretch = c.stretch(t, length);
            format!("{} {}", &c.format(stretch.start)[..10], &c.format(stretch.end)[..10])
        };
        assert_eq!(shown(Length::Year), "2025-04-06 2026-04-06");
        assert_eq!(shown(Length::Quarter), "2026-01-06 2026-04-06");
        assert_eq!(shown(Length::Month), "2026-03-01 2026-04-01");
    }

    #[test]
    fn the_windows_of_many_events_are_those_of_each() {
        let c = Calendar::new("Europe/Berlin", 4, 6).unwrap();
        let start = at(&c, "2025-12-30");
        let times: Vec<Instant> =
            (0..3000).map(|n| start + TimeDelta::from_micros(n * 5_000_017 * 3600)).collect();
        for text in ["90m", "1d", "30d", "month"] {
            let reach = Reach::Last(Length::parse(text).unwrap());
            let each: Vec<Instant> = times.iter().map(|at| c.reach(*at, reach)).collect();
            let cached = Reaches::new(&c, reach);
            assert_eq!(times.iter().map(|at| cached.from(*at)).collect::<Vec<_>>(), each, "{text}");
        }
    }
}
