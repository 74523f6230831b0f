//! The instants at which schedules are due.

use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use croner::Cron;
use jiff::civil;

use super::{Instant, period::Length, time::Calendar};

/// When a schedule is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ticks {
    /// At the start of every stretch of the local calendar.
    Every(Length),
    /// By a cron expression in local time.
    Cron(Box<Cron>),
}

impl Ticks {
    /// Reads a cron expression of five fields.
    ///
    /// # Errors
    /// In words, if it is none.
    pub fn cron(text: &str) -> Result<Self, String> {
        Cron::from_str(text).map(|cron| Self::Cron(Box::new(cron))).map_err(|e| e.to_string())
    }

    /// The first tick after `at`; `None` if there is none any more.
    #[must_use]
    pub fn next_after(&self, calendar: &Calendar, at: Instant) -> Option<Instant> {
        match self {
            Self::Every(length) => Some(calendar.stretch(at, *length).end),
            Self::Cron(cron) => {
                // The expression is read on the local clock, so its arithmetic needs no zone. A time that daylight
                // saving skips is due right after the gap, one that comes twice is due the first time.
                let mut local = to_chrono(calendar.local(at))?;
                loop {
                    local = cron.find_next_occurrence(&local, false).ok()?;
                    let tick = calendar.instant_of(to_civil(local)?);
                    if tick > at {
                        return Some(tick);
                    }
                }
            }
        }
    }
}

fn to_chrono(local: civil::DateTime) -> Option<DateTime<Utc>> {
    let ymd = (i32::from(local.year()), u32::try_from(local.month()).ok()?, u32::try_from(local.day()).ok()?);
    let date = NaiveDate::from_ymd_opt(ymd.0, ymd.1, ymd.2)?;
    let part = |n: i8| u32::try_from(n).ok();
    let time = date.and_hms_opt(part(local.hour())?, part(local.minute())?, part(local.second())?)?;
    Some(time.and_utc())
}

fn to_civil(local: DateTime<Utc>) -> Option<civil::DateTime> {
    let part = |n: u32| i8::try_from(n).ok();
    let date = (i16::try_from(local.year()).ok()?, part(local.month())?, part(local.day())?);
    let time = (part(local.hour())?, part(local.minute())?, part(local.second())?);
    civil::DateTime::new(date.0, date.1, date.2, time.0, time.1, time.2, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(zone: &str, ticks: &Ticks, from: &str, count: usize) -> Vec<String> {
        let calendar = Calendar::new(zone, 1, 1).unwrap();
        let mut at = calendar.parse(from).unwrap();
        let mut shown = Vec::new();
        for _ in 0..count {
            at = ticks.next_after(&calendar, at).unwrap();
            shown.push(calendar.format(at));
        }
        shown
    }

    #[test]
    fn every_day_is_local_midnight() {
        let daily = Ticks::Every(Length::Days(1));
        let expected = ["2026-03-05T00:00:00+08:00", "2026-03-06T00:00:00+08:00"];
        assert_eq!(ticks("Asia/Shanghai", &daily, "2026-03-04T10:00:00+08:00", 2), expected);
        // A tick is after the instant, never at it.
        assert_eq!(ticks("Asia/Shanghai", &daily, "2026-03-04", 2), expected);
    }

    #[test]
    fn cron_is_read_on_the_local_clock() {
        let first = Ticks::cron("0 9 1 * *").unwrap();
        let expected = ["2026-04-01T09:00:00+08:00", "2026-05-01T09:00:00+08:00"];
        assert_eq!(ticks("Asia/Shanghai", &first, "2026-03-01T09:00:00+08:00", 2), expected);
        // 02:30 does not exist on the first of these days, and comes twice on the second.
        let night = Ticks::cron("30 2 * * *").unwrap();
        let expected = ["2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"];
        assert_eq!(ticks("Europe/Berlin", &night, "2026-03-28T12:00:00+01:00", 2), expected);
        let expected = ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"];
        assert_eq!(ticks("Europe/Berlin", &night, "2026-10-24T12:00:00+02:00", 2), expected);
        assert!(Ticks::cron("every day").is_err());
    }
}
