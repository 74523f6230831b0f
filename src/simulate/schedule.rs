//! Decides which anomaly begins on which day, and in which unit where that matters.

use super::AnomalyKind;
use super::anomalies::{ANOMALIES, Deed, Season};
use super::calendar::Day;
use super::dice::Dice;
use super::treasury::Treasury;

/// From this many payments on, there is at least one anomaly of each kind that fits into the plan.
const ONE_OF_EACH_FROM: u64 = 50_000;
/// Working days at the end of the plan in which nothing new is started.
const LAST_DAYS: usize = 10;

/// Days that an account is credited with nothing before it wakes.
pub(super) const WAKES_AFTER: usize = 380;
/// Payments of a region in a year with which it pays on nearly every working day.
const DAILY: f64 = 2_000.0;

/// An anomaly to be planted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planned {
    pub day: usize,
    pub anomaly: &'static AnomalyKind,
    pub unit: u32,
}

/// What is planted, in order of time.
pub(super) fn schedule(treasury: &Treasury) -> Vec<Planned> {
    if !treasury.plan.anomalies {
        return Vec::new();
    }
    let mut dice = Dice::new(treasury.plan.seed, 0xA0_0A);
    let mut left = treasury.plan.payments;
    let mut schedule: Vec<Planned> = Vec::new();
    for anomaly in ANOMALIES {
        let mut days = fitting_days(treasury, anomaly.season);
        if anomaly.deed == Deed::WakeAccount {
            days.retain(|day| day + WAKES_AFTER < treasury.calendar.days.len());
        }
        let units = fitting_units(treasury, anomaly.deed);
        for _ in 0..count(anomaly, treasury.plan.payments, &mut dice) {
            let day = days.get(dice.below(days.len() as u64) as usize).copied();
            let free = |unit: &&u32| {
                !lasting(anomaly.deed)
                    || !schedule.iter().any(|other| other.unit == **unit && lasting(other.anomaly.deed))
            };
            let start = dice.below(units.len() as u64) as usize;
            let unit = units[start..].iter().chain(&units[..start]).find(free).copied();
            if let (Some(day), Some(unit)) = (day, unit)
                && left >= anomaly.payments
            {
                left -= anomaly.payments;
                schedule.push(Planned { day, anomaly, unit });
            }
        }
    }
    schedule.sort_by_key(|planned| planned.day);
    schedule
}

fn count(anomaly: &AnomalyKind, payments: u64, dice: &mut Dice) -> u64 {
    let expected = payments * anomaly.rate;
    let count = expected / 100_000 + u64::from(dice.below(100_000) < expected % 100_000);
    if payments >= ONE_OF_EACH_FROM { count.max(1) } else { count }
}

/// Anomalies that show in a unit's year as a whole: one for each unit, or they hide each other.
fn lasting(deed: Deed) -> bool {
    matches!(
        deed,
        Deed::LeaveBehind
            | Deed::RushAtYearEnd
            | Deed::PayInLastDays
            | Deed::StopWages
            | Deed::CashInYear
            | Deed::JustBelow
            | Deed::Surge
            | Deed::CookDigits
            | Deed::OnePayee
            | Deed::OtherClasses
            | Deed::CapReached
            | Deed::CapPace
    )
}

/// The days on which an anomaly of the season may begin; the first day of the plan approves the budgets.
fn fitting_days(treasury: &Treasury, season: Season) -> Vec<usize> {
    let days = &treasury.calendar.days;
    let workdays: Vec<usize> = (0..days.len()).filter(|&day| days[day].working).collect();
    let last = match season {
        Season::December | Season::AfterChristmas => workdays.len(),
        _ => workdays.len().saturating_sub(LAST_DAYS).max(2),
    };
    let open = workdays.iter().take(last).skip(1);
    open.copied().filter(|&day| fits(&days[day], season)).collect()
}

fn fits(day: &Day, season: Season) -> bool {
    let (month, date) = (day.date.month(), day.date.day());
    match season {
        Season::Any => true,
        Season::Opening => month == 1,
        Season::Early => month <= 4,
        Season::Middle => (5..=8).contains(&month),
        Season::Late => (9..=11).contains(&month),
        Season::MonthStart => day.release && (5..=11).contains(&month),
        Season::QuarterStart => day.release && matches!(month, 4 | 7 | 10),
        Season::December => month == 12 && (3..=20).contains(&date),
        Season::AfterChristmas => month == 12 && (21..=25).contains(&date),
    }
}

/// The units in which it can be done and will show.
fn fitting_units(treasury: &Treasury, deed: Deed) -> Vec<u32> {
    let fits = |&unit: &u32| {
        let activity = treasury.activity(unit);
        match deed {
            Deed::RushAtYearEnd | Deed::OtherClasses => activity.general >= 60.0 && treasury.is_whole_year(),
            Deed::PayInLastDays => (12.0..90.0).contains(&activity.general),
            Deed::StopWages => {
                treasury.is_whole_year()
                    && treasury.lines_of(unit).any(|line| treasury.lines[line as usize].class().is_wages())
            }
            Deed::LeaveBehind | Deed::LeaveIdle => treasury.is_whole_year(),
            Deed::PayAffiliate => treasury.affiliate_of(unit).is_some(),
            Deed::CashInYear => treasury.cash_cap(unit) == super::treasury::LEAST_CASH_CAP,
            Deed::Surge => activity.general >= 100.0,
            Deed::CookDigits => activity.free_amounts >= 3_200.0,
            Deed::OnePayee => (20.0..400.0).contains(&activity.general),
            Deed::CapReached | Deed::CapPace => treasury.reception_line(unit).is_some(),
            Deed::SilenceFeed => {
                let region = treasury.units[unit as usize].region;
                let of_region = |(number, _): &(u32, &super::units::Unit)| treasury.activity(*number).general;
                let units = (0..).zip(&treasury.units).filter(|(_, other)| other.region == region);
                treasury.is_whole_year() && units.map(|unit| of_region(&unit)).sum::<f64>() >= DAILY
            }
            Deed::BondProject => !treasury.bond_lines().is_empty(),
            _ => true,
        }
    };
    (0..treasury.units.len() as u32).filter(fits).collect()
}
