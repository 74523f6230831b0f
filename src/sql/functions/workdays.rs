//! Working days: Monday to Friday, but for the days of a list.

use jiff::{
    ToSpan,
    civil::{Date, Weekday, date},
};

use crate::lists::List;

/// The list of holidays: `date` (its key, `YYYY-MM-DD`) and `kind`, `holiday` or `workday` (a make-up day).
pub const HOLIDAYS: &str = "holidays";

/// A Monday, from which days are counted.
const MONDAY: Date = date(1970, 1, 5);

/// The working days of all time, countable without going through them.
#[derive(Debug, Default)]
pub struct Workdays {
    /// The days that are not as their weekday says, in order, with the working days won (or lost) up to each.
    exceptions: Vec<(i64, i64)>,
}

impl Workdays {
    /// By this list, or by the weekday alone. A key that is no day, and a row without a kind, say nothing.
    #[must_use]
    pub fn new(holidays: Option<&List>) -> Self {
        let mut exceptions = Vec::new();
        if let Some(list) = holidays
            && let Some((column, _)) = list.column("kind")
        {
            for key in list.keys() {
                let Ok(day) = key.parse::<Date>() else { continue };
                let Some(kind) = list.value(key, column).filter(|_| day.to_string() == key) else { continue };
                let change = i64::from(kind == "workday") - i64::from(is_weekday(day));
                if change != 0 {
                    exceptions.push((number(day), change));
                }
            }
        }
        exceptions.sort_unstable();
        let mut sum = 0;
        for (_, change) in &mut exceptions {
            sum += *change;
            *change = sum;
        }
        Self { exceptions }
    }

    /// The working days up to a day, inclusive, counted from 5 January 1970; negative before.
    #[must_use]
    pub fn until(&self, day: Date) -> i64 {
        let day = number(day);
        let (weeks, rest) = (day.div_euclid(7), day.rem_euclid(7));
        let listed = self.exceptions.partition_point(|(exception, _)| *exception <= day);
        let change = listed.checked_sub(1).map_or(0, |last| self.exceptions[last].1);
        weeks * 5 + (rest + 1).min(5) + change
    }

    /// The working day that is so many working days after this one.
    #[must_use]
    pub fn after(&self, mut day: Date, days: u16) -> Date {
        let mut left = days;
        while left > 0 {
            // The calendar of the world ends in the year 9999.
            let Ok(next) = day.checked_add(1.day()) else { return day };
            day = next;
            left -= u16::from(self.contains(day));
        }
        day
    }

    /// Whether the day is a working day.
    #[must_use]
    pub fn contains(&self, day: Date) -> bool {
        let number = number(day);
        let listed = self.exceptions.binary_search_by_key(&number, |(exception, _)| *exception);
        is_weekday(day) != listed.is_ok()
    }
}

fn is_weekday(day: Date) -> bool {
    !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// Days since [`MONDAY`].
fn number(day: Date) -> i64 {
    day.duration_since(MONDAY).as_hours() / 24
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a list says of a day, read as a clerk would.
    fn looked_up(day: Date, list: &[(Date, &str)]) -> bool {
        match list.iter().rev().find(|(listed, _)| *listed == day) {
            Some((_, kind)) if !kind.is_empty() => *kind == "workday",
            _ => is_weekday(day),
        }
    }

    proptest! {
        #[test]
        fn counting_is_going_through_the_days(
            start in -800i64..800, length in 0i64..90,
            listed in proptest::collection::vec((-820i64..900, 0usize..4), 0..60),
        ) {
            let kinds = ["workday", "holiday", "other", ""];
            let at = |days: i64| MONDAY.checked_add(days.days()).unwrap();
            let listed: Vec<_> = listed.into_iter().map(|(day, kind)| (at(day), kinds[kind])).collect();
            let texts: Vec<_> = listed.iter().map(|(day, kind)| [day.to_string(), (*kind).to_owned()]).collect();
            let rows: Vec<Vec<&str>> = texts.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
            let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
            let workdays = Workdays::new(Some(&List::of(&["date", "kind"], &rows)));
            let days: Vec<Date> = (start + 1..=start + length).map(at).collect();
            for day in &days {
                prop_assert_eq!(workdays.contains(*day), looked_up(*day, &listed), "{}", day);
            }
            let counted = days.iter().filter(|day| looked_up(**day, &listed)).count();
            let difference = workdays.until(at(start + length)) - workdays.until(at(start));
            prop_assert_eq!(difference, i64::try_from(counted).unwrap());
        }
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        let list =
            List::of(&["date", "kind"], &[&["20260105", "holiday"], &["", "holiday"], &["2026-01-06", ""]]);
        for holidays in [None, Some(&list), Some(&List::of(&["date"], &[&["2026-01-05"]]))] {
            let workdays = Workdays::new(holidays);
            assert!(workdays.contains(date(2026, 1, 5)) && workdays.contains(date(2026, 1, 6)));
            assert!(!workdays.contains(date(2026, 1, 4)));
            assert_eq!(workdays.until(date(2026, 1, 9)) - workdays.until(date(2026, 1, 2)), 5);
        }
    }
}
