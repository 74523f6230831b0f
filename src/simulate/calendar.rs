//! Working days, opening hours and how the volume of payments moves over the year.

use jiff::civil::{Date, Weekday, date};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};

use super::Plan;
use super::dice::Dice;

pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;
/// Budget actions that concern every line go out before the counters open.
pub(super) const DESK: (i64, i64) = (8 * HOUR, 8 * HOUR + 30 * MINUTE);
/// Payments take place between these hours, which leaves room to be recorded before 18:00.
const COUNTER: (i64, i64) = (8 * HOUR + 31 * MINUTE, 17 * HOUR + 30 * MINUTE);
/// The day of the month from which wages are paid.
const WAGES_FROM: i8 = 5;
/// Relative activity of the hours from 08 to 17; noon is quiet.
const HOURS: [f64; 10] = [0.55, 1.0, 1.0, 0.8, 0.15, 0.35, 0.9, 1.0, 0.95, 0.55];
/// Relative activity of the months; December is moderately higher.
const MONTHS: [f64; 12] = [0.75, 0.8, 0.95, 0.95, 1.0, 1.05, 0.95, 0.95, 1.0, 0.95, 1.1, 1.3];

/// Public holidays as ranges, after the State Council's notices (2027: expected).
const HOLIDAYS: &[(Date, Date, &str)] = &[
    (date(2025, 1, 1), date(2025, 1, 1), "元旦"),
    (date(2025, 1, 28), date(2025, 2, 4), "春节"),
    (date(2025, 4, 4), date(2025, 4, 6), "清明节"),
    (date(2025, 5, 1), date(2025, 5, 5), "劳动节"),
    (date(2025, 5, 31), date(2025, 6, 2), "端午节"),
    (date(2025, 10, 1), date(2025, 10, 8), "国庆节、中秋节"),
    (date(2026, 1, 1), date(2026, 1, 3), "元旦"),
    (date(2026, 2, 15), date(2026, 2, 23), "春节"),
    (date(2026, 4, 4), date(2026, 4, 6), "清明节"),
    (date(2026, 5, 1), date(2026, 5, 5), "劳动节"),
    (date(2026, 6, 19), date(2026, 6, 21), "端午节"),
    (date(2026, 9, 25), date(2026, 9, 27), "中秋节"),
    (date(2026, 10, 1), date(2026, 10, 7), "国庆节"),
    (date(2027, 1, 1), date(2027, 1, 3), "元旦"),
    (date(2027, 2, 5), date(2027, 2, 11), "春节"),
    (date(2027, 4, 3), date(2027, 4, 5), "清明节"),
    (date(2027, 5, 1), date(2027, 5, 5), "劳动节"),
    (date(2027, 6, 9), date(2027, 6, 9), "端午节"),
    (date(2027, 9, 15), date(2027, 9, 15), "中秋节"),
    (date(2027, 10, 1), date(2027, 10, 7), "国庆节"),
];

/// Weekend days worked in exchange for the long holidays.
const MAKE_UP_DAYS: &[(Date, &str)] = &[
    (date(2025, 1, 26), "春节调休"),
    (date(2025, 2, 8), "春节调休"),
    (date(2025, 4, 27), "劳动节调休"),
    (date(2025, 9, 28), "国庆节调休"),
    (date(2025, 10, 11), "国庆节调休"),
    (date(2026, 1, 4), "元旦调休"),
    (date(2026, 2, 14), "春节调休"),
    (date(2026, 2, 28), "春节调休"),
    (date(2026, 5, 9), "劳动节调休"),
    (date(2026, 9, 20), "国庆节调休"),
    (date(2026, 10, 10), "国庆节调休"),
    (date(2027, 1, 31), "春节调休"),
    (date(2027, 2, 14), "春节调休"),
    (date(2027, 4, 25), "劳动节调休"),
    (date(2027, 5, 8), "劳动节调休"),
    (date(2027, 9, 26), "国庆节调休"),
    (date(2027, 10, 9), "国庆节调休"),
];

#[allow(clippy::struct_excessive_bools, reason = "five independent facts about a day")]
pub(super) struct Day {
    pub date: Date,
    pub offset: Offset,
    /// Local midnight in milliseconds since the epoch.
    pub midnight: i64,
    pub working: bool,
    /// Wages are paid on this day.
    pub payday: bool,
    /// Units begin to pay wages on this day.
    pub wages: bool,
    /// The first working day of the fiscal year within the plan.
    pub opening: bool,
    /// The first working day of the month within the plan.
    pub release: bool,
    /// Relative volume of payments; 0 on days off.
    pub volume: f64,
}

/// The days of the plan.
pub(super) struct Calendar {
    pub days: Vec<Day>,
}

impl Calendar {
    pub(super) fn new(plan: &Plan) -> Self {
        let dates = || plan.start.series(1.day()).take(plan.days as usize);
        // A plan of holidays only must still pay what it promised.
        let always = !dates().any(is_working_day);
        let mut days: Vec<Day> = dates().filter_map(|date| Day::new(plan, date, always)).collect();
        mark_firsts(&mut days);
        Self { days }
    }

    /// The `count`-th working day after `day`, or the last one before the fiscal year or the plan ends.
    pub(super) fn workday_after(&self, day: usize, count: usize) -> usize {
        self.same_year_after(day).filter(|&next| self.days[next].working).take(count).last().unwrap_or(day)
    }

    /// The next day off in the same fiscal year.
    pub(super) fn day_off_after(&self, day: usize) -> Option<usize> {
        self.same_year_after(day).find(|&next| !self.days[next].working)
    }

    fn same_year_after(&self, day: usize) -> impl Iterator<Item = usize> {
        let year = self.days[day].date.year();
        (day + 1..self.days.len()).take_while(move |&next| self.days[next].date.year() == year)
    }

    /// The share of the fiscal year's volume that falls into the plan; the rest is never simulated.
    pub(super) fn coverage(&self, year: i16) -> f64 {
        let covered: f64 = self.days.iter().filter(|day| day.date.year() == year).map(|day| day.volume).sum();
        let Ok(first) = Date::new(year, 1, 1) else { return 1.0 };
        let whole: f64 = first.series(1.day()).take_while(|day| day.year() == year).map(volume).sum();
        (covered / whole).min(1.0)
    }
}

impl Day {
    fn new(plan: &Plan, date: Date, always: bool) -> Option<Self> {
        let noon = plan.zone.to_ambiguous_timestamp(date.at(12, 0, 0, 0)).compatible().ok()?;
        let offset = plan.zone.to_offset(noon);
        let midnight = offset.to_timestamp(date.at(0, 0, 0, 0)).ok()?.as_millisecond();
        let working = always || is_working_day(date);
        let volume = if always { 1.0 } else { volume(date) };
        let payday = is_payday(date);
        Some(Self {
            date,
            offset,
            midnight,
            working,
            payday,
            wages: false,
            opening: false,
            release: false,
            volume,
        })
    }

    /// How much of the fiscal year has passed when this day begins.
    pub(super) fn year_elapsed(&self) -> f64 {
        f64::from(self.date.day_of_year() - 1) / f64::from(self.date.days_in_year())
    }

    /// A time of this day at which the counters are open, more likely when they are busy.
    pub(super) fn counter_time(&self, dice: &mut Dice) -> i64 {
        loop {
            let time = COUNTER.0 + dice.below((COUNTER.1 - COUNTER.0) as u64) as i64;
            let hour = (time / HOUR - 8).clamp(0, 9) as usize;
            if dice.chance(HOURS[hour]) {
                return self.midnight + time;
            }
        }
    }

    /// The latest moment a clerk records something on this day.
    pub(super) fn close_of_business(&self) -> i64 {
        self.midnight + 17 * HOUR + 58 * MINUTE
    }

    pub(super) fn end(&self) -> i64 {
        self.midnight + 24 * HOUR
    }
}

fn mark_firsts(days: &mut [Day]) {
    let (mut year, mut month, mut wages) = (None, None, None);
    for day in days.iter_mut().filter(|day| day.working) {
        day.opening = year.replace(day.date.year()) != Some(day.date.year());
        day.wages = day.date.day() >= WAGES_FROM && wages.replace(day.date.month()) != Some(day.date.month());
        day.release = month.replace(day.date.month()) != Some(day.date.month());
    }
}

/// Whether offices are open, with public holidays and make-up days.
fn is_working_day(date: Date) -> bool {
    if MAKE_UP_DAYS.iter().any(|&(day, _)| day == date) {
        return true;
    }
    let weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
    !weekend && !HOLIDAYS.iter().any(|&(first, last, _)| (first..=last).contains(&date))
}

/// Wages go out on the last working day up to the 15th.
fn is_payday(date: Date) -> bool {
    let middle = date.with().day(15).build().unwrap_or(date);
    is_working_day(date) && date <= middle && working_days_until(date, middle) == 0
}

/// Working days in (from, to].
fn working_days_until(from: Date, to: Date) -> usize {
    from.series(1.day()).skip(1).take_while(|&day| day <= to).filter(|&day| is_working_day(day)).count()
}

fn volume(date: Date) -> f64 {
    if !is_working_day(date) {
        return 0.0;
    }
    let quarter_end = date.month() % 3 == 0;
    let rush = match working_days_until(date, date.last_of_month()) {
        0..=2 if quarter_end => 1.6,
        0..=2 => 1.35,
        _ => 1.0,
    };
    let friday = if date.weekday() == Weekday::Friday { 1.1 } else { 1.0 };
    let wages = if is_payday(date) { 1.7 } else { 1.0 };
    MONTHS[(date.month() - 1) as usize] * rush * friday * wages
}

/// The reference list of days off and make-up days, in order of date.
pub(super) fn holiday_rows() -> Vec<(Date, &'static str, &'static str)> {
    let off = HOLIDAYS.iter().flat_map(|&(first, last, name)| {
        first.series(1.day()).take_while(move |&day| day <= last).map(move |day| (day, "holiday", name))
    });
    let made_up = MAKE_UP_DAYS.iter().map(|&(day, name)| (day, "workday", name));
    let mut rows: Vec<_> = off.chain(made_up).collect();
    rows.sort_unstable();
    rows
}

/// The timestamp of a number of milliseconds since the epoch.
pub(super) fn timestamp(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX)
}
