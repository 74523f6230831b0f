//! When findings come: by week and severity, and by day of the week and hour.

use std::collections::{BTreeMap, HashMap};

use jiff::{
    Span,
    civil::{Date, Weekday},
};
use parking_lot::Mutex;

use super::{Reader, StoreError, conditions::Conditions};
use crate::event::{Instant, TimeDelta, pattern, time::Calendar};

const HOUR: i64 = TimeDelta::HOUR.as_micros();

/// Which findings are counted.
#[derive(Debug, Clone, Default)]
pub struct TimesFilter {
    /// Only of these rules; several are parted by commas.
    pub rule: Option<String>,
    /// Only of these severities.
    pub severity: Option<String>,
    /// Only from this event time on.
    pub from: Option<Instant>,
    /// Only before this event time.
    pub to: Option<Instant>,
}

/// How many findings there were, and when.
#[derive(Debug, Default)]
pub struct FindingTimes {
    /// By Monday and severity.
    pub weeks: BTreeMap<Date, BTreeMap<String, u64>>,
    /// By day of the week, from Monday, and hour.
    pub hours: [[u64; 24]; 7],
}

/// Tallies that are kept at most; a year of a busy province with the pack has a tenth of that.
const TALLIES_MAX: usize = 500_000;

/// Findings counted by hour, severity and rule. They are only added to, so what is counted once stays right, and only what
/// came since is read.
#[derive(Debug, Default)]
pub struct TimesKept(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// The last finding that is counted.
    upto: i64,
    /// By rule and severity, then by hour.
    of: HashMap<(String, String), BTreeMap<i64, u64>>,
    tallies: usize,
    /// Whether there are too many to keep.
    is_full: bool,
}

impl Kept {
    fn add(&mut self, hour: i64, rule: String, severity: String) {
        let tally = self.of.entry((rule, severity)).or_default().entry(hour).or_default();
        self.tallies += usize::from(*tally == 0);
        *tally += 1;
    }

    fn tallies(&self, wanted: &TimesFilter) -> Vec<(i64, String, u64)> {
        let is_one = |words: Option<&String>, value: &str| {
            words.is_none_or(|words| {
                pattern::words(words).next().is_none() || pattern::words(words).any(|word| word == value)
            })
        };
        let hour = |at: Instant| at.as_micros() / HOUR;
        let (from, to) = (wanted.from.map(hour), wanted.to.map(hour));
        let of = self.of.iter().filter(|((rule, severity), _)| {
            is_one(wanted.rule.as_ref(), rule) && is_one(wanted.severity.as_ref(), severity)
        });
        let hours = of.flat_map(|((_, severity), hours)| {
            let within = hours.range(from.unwrap_or(i64::MIN)..to.unwrap_or(i64::MAX));
            within.map(move |(hour, findings)| (*hour, severity.clone(), *findings))
        });
        hours.collect()
    }
}

impl Reader {
    /// As [`Self::finding_times`], by what is kept of them where the bounds are whole hours.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn finding_times_kept(
        &self,
        wanted: &TimesFilter,
        kept: &TimesKept,
        calendar: &Calendar,
        weeks: usize,
    ) -> Result<FindingTimes, StoreError> {
        let mut kept = kept.0.lock();
        let is_whole = |at: Option<Instant>| {
            at.is_none_or(|at| at.as_micros().rem_euclid(HOUR) == 0 && at >= Instant::EPOCH)
        };
        if kept.is_full
            || !is_whole(wanted.from)
            || !is_whole(wanted.to)
            || wanted.from > wanted.to.or(wanted.from)
        {
            drop(kept);
            return self.finding_times(wanted, calendar, weeks);
        }
        let sql = format!(
            "SELECT seq, at / {HOUR} AS hour, severity, rule_id, mode = 'live' AS is_live FROM findings WHERE seq > ? ORDER BY seq"
        );
        let new: Vec<(i64, i64, String, String, bool)> = self.rows(&sql, vec![kept.upto.into()], |row| {
            Ok((
                row.get("seq")?,
                row.get("hour")?,
                row.get("severity")?,
                row.get("rule_id")?,
                row.get("is_live")?,
            ))
        })?;
        for (seq, hour, severity, rule, is_live) in new {
            kept.upto = seq;
            if is_live {
                kept.add(hour, rule, severity);
            }
        }
        let tallies = kept.tallies(wanted);
        if kept.tallies > TALLIES_MAX {
            *kept = Kept { is_full: true, ..Kept::default() };
        }
        drop(kept);
        Ok(summed(tallies, calendar, weeks))
    }

    /// When live findings came, by their event times; of the weeks the latest so many that have any.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn finding_times(
        &self,
        wanted: &TimesFilter,
        calendar: &Calendar,
        weeks: usize,
    ) -> Result<FindingTimes, StoreError> {
        let mut conditions = Conditions::default();
        conditions.and("mode = 'live'", []);
        conditions.one_of("rule_id", wanted.rule.as_ref());
        conditions.one_of("severity", wanted.severity.as_ref());
        for (bound, value) in [("at >= ?", wanted.from), ("at < ?", wanted.to)] {
            if let Some(value) = value {
                conditions.and(bound, [value.into()]);
            }
        }
        // Hours, because no zone's days begin within one.
        let clause = conditions.clause();
        let sql = format!(
            "SELECT at / {HOUR} AS hour, severity, count(*) AS findings FROM findings {clause} GROUP BY 1, 2"
        );
        let rows: Vec<(i64, String, u64)> = self.rows(&sql, conditions.values, |row| {
            Ok((row.get("hour")?, row.get("severity")?, row.get("findings")?))
        })?;
        Ok(summed(rows, calendar, weeks))
    }
}

/// Hours put together.
fn summed(rows: Vec<(i64, String, u64)>, calendar: &Calendar, weeks: usize) -> FindingTimes {
    let mut found = FindingTimes::default();
    for (hour, severity, findings) in rows {
        let local = calendar.local(Instant::from_micros(hour * HOUR));
        let (day, minute) = calendar.weekday_and_minute(Instant::from_micros(hour * HOUR));
        found.hours[day][minute as usize / 60] += findings;
        let of_week = found.weeks.entry(monday(local.date())).or_default();
        *of_week.entry(severity).or_default() += findings;
    }
    while found.weeks.len() > weeks {
        found.weeks.pop_first();
    }
    found
}

/// The Monday of a day's week.
pub(super) fn monday(day: Date) -> Date {
    let since = i64::from(day.weekday().since(Weekday::Monday));
    day.checked_sub(Span::new().days(since)).unwrap_or(day)
}
