//! When findings come: by week and severity, and by day of the week and hour.

use std::collections::BTreeMap;

use jiff::{
    Span,
    civil::{Date, Weekday},
};

use super::{Reader, StoreError, conditions::Conditions};
use crate::event::time::Calendar;

const HOUR: i64 = 3_600_000_000;

/// Which findings are counted.
#[derive(Debug, Clone, Default)]
pub struct TimesFilter {
    /// Only of these rules; several are parted by commas.
    pub rule: Option<String>,
    /// Only of these severities.
    pub severity: Option<String>,
    /// Only from this event time on, in microseconds.
    pub from: Option<i64>,
    /// Only before this event time, in microseconds.
    pub to: Option<i64>,
}

/// How many findings there were, and when.
#[derive(Debug, Default)]
pub struct FindingTimes {
    /// By Monday and severity.
    pub weeks: BTreeMap<Date, BTreeMap<String, u64>>,
    /// By day of the week, from Monday, and hour.
    pub hours: [[u64; 24]; 7],
}

impl Reader {
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
        let mut found = FindingTimes::default();
        for (hour, severity, findings) in rows {
            let local = calendar.local(hour * HOUR);
            let (day, minute) = calendar.weekday_and_minute(hour * HOUR);
            found.hours[day][minute as usize / 60] += findings;
            let of_week = found.weeks.entry(monday(local.date())).or_default();
            *of_week.entry(severity).or_default() += findings;
        }
        while found.weeks.len() > weeks {
            found.weeks.pop_first();
        }
        Ok(found)
    }
}

/// The Monday of a day's week.
pub(super) fn monday(day: Date) -> Date {
    let since = i64::from(day.weekday().since(Weekday::Monday));
    day.checked_sub(Span::new().days(since)).unwrap_or(day)
}
