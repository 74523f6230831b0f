//! Where in the fiscal year an instant lies, and the same point of earlier years.

use jiff::ToSpan;

use super::{YEARS, float};
use crate::event::{Instant, TimeDelta, period::Stretch, time::Calendar};

/// A point of a fiscal year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YearPosition {
    year: i32,
    /// Start and end of the year, and the point in it.
    start: Instant,
    end: Instant,
    now: Instant,
    /// Whole months of the year that are over, and the end of the one that is not.
    months: u8,
    month_end: Instant,
    /// The same point of earlier years, the latest first.
    earlier: Vec<Instant>,
}

/// A length as a number that can be multiplied by money.
fn micros(length: TimeDelta) -> i128 {
    length.as_micros().into()
}

impl YearPosition {
    /// Where `now` lies; `None` beyond the calendar.
    #[must_use]
    pub fn at(calendar: &Calendar, now: Instant) -> Option<Self> {
        let year = calendar.fiscal_year_of(calendar.local(now).date());
        let Stretch { start, end } = calendar.fiscal_year(year)?;
        let month = |year: i32, months: i64| -> Option<Instant> {
            let start = calendar.fiscal_year(year)?.start;
            let date = calendar.local(start).date().checked_add(months.months()).ok()?;
            calendar.start_of_day(date).ok()
        };
        let starts: Option<Vec<_>> = (0..=12).map(|months| month(year, months)).collect();
        let passed = starts?.iter().filter(|start| **start <= now).count().clamp(1, 12);
        let months = i64::try_from(passed).ok()? - 1;
        // Months are of different lengths: the same point is as far into its month.
        let (from, to) = (month(year, months)?, month(year, months + 1)?);
        let same_point = |year: i32| -> Option<Instant> {
            let (first, last) = (month(year, months)?, month(year, months + 1)?);
            let into = micros(now - from) * micros(last - first) / micros(to - from);
            Some(first + TimeDelta::from_micros(i64::try_from(into).ok()?))
        };
        let earlier = (1..=YEARS).map_while(|back| same_point(year - back)).collect();
        let passed = u8::try_from(months).ok()?;
        Some(Self { year, start, end, now, months: passed, month_end: to, earlier })
    }

    /// The fiscal year that the point lies in.
    #[must_use]
    pub fn year(&self) -> i32 {
        self.year
    }

    /// Whole months of the year that are over.
    #[must_use]
    pub fn months(&self) -> u8 {
        self.months
    }

    /// The end of the month of the fiscal year that it lies in.
    #[must_use]
    pub fn month_end(&self) -> Instant {
        self.month_end
    }

    /// The same point of an earlier year; `None` for one that a forecast does not look at.
    #[must_use]
    pub fn same_point(&self, year: i32) -> Option<Instant> {
        let back = usize::try_from(self.year.checked_sub(year)?).ok()?.checked_sub(1)?;
        self.earlier.get(back).copied()
    }

    /// The elapsed share of the year.
    #[must_use]
    pub fn elapsed(&self) -> f64 {
        float(micros(self.now - self.start)) / float(micros(self.end - self.start))
    }

    /// Executed at the end of the year if it went on as evenly as it went so far; `None` where nothing of the year is over.
    /// Of a closed year what was executed.
    #[must_use]
    pub fn pace(&self, year: i32, executed: i128) -> Option<i128> {
        let elapsed = micros(self.now - self.start);
        match year.cmp(&self.year) {
            std::cmp::Ordering::Less => Some(executed),
            std::cmp::Ordering::Equal if elapsed > 0 => {
                Some(executed * micros(self.end - self.start) / elapsed)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_point_is_as_far_into_its_month() {
        let calendar = Calendar::new("Asia/Shanghai", 1, 1).unwrap();
        let at = |text: &str| calendar.parse(text).unwrap();
        let position = YearPosition::at(&calendar, at("2024-02-15T12:00:00+08:00")).unwrap();
        assert_eq!((position.year(), position.months()), (2024, 1));
        assert_eq!(position.month_end(), at("2024-03-01"));
        // Half of 29 days, and half of 28.
        assert_eq!(position.same_point(2023), Some(at("2023-02-15T00:00:00+08:00")));
        assert_eq!(position.same_point(2024), None);
        assert_eq!(position.same_point(2018), None);
        assert_eq!(position.pace(2023, 7), Some(7));
        assert_eq!(position.pace(2024, 455), Some(455 * 366 * 2 / 91));
        assert_eq!(position.pace(2025, 7), None);
        let start = YearPosition::at(&calendar, at("2024-01-01")).unwrap();
        assert_eq!((start.pace(2024, 7), start.same_point(2023)), (None, Some(at("2023-01-01"))));
    }

    #[test]
    fn fiscal_years_need_not_start_in_january() {
        let calendar = Calendar::new("Europe/London", 4, 6).unwrap();
        let at = |text: &str| calendar.parse(text).unwrap();
        let position = YearPosition::at(&calendar, at("2012-04-05T23:00:00+01:00")).unwrap();
        assert_eq!(position.year(), 2011);
        assert_eq!(position.same_point(2010), Some(at("2011-04-05T23:00:00+01:00")));
    }
}
