//! What stops notifications, never findings: silences, quiet hours, and inhibition of a lesser alert by a graver one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Labels, Matchers,
    desk::{name, reason},
    route::ALERT,
};
use crate::{
    event::{Instant, time::Calendar},
    finding::{Handling, Severity},
    say,
    text::quoted,
};

/// 静默: an officer's order not to be told of some alerts for a while.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Silence {
    /// Its number in the store, 0 before it has one.
    pub silence_id: i64,
    /// What alerts it is about; at least one.
    pub matchers: Matchers,
    /// The first instant at which it holds.
    pub starts_at: Instant,
    /// The first instant at which it no longer holds.
    pub ends_at: Instant,
    /// The officer who ordered the silence.
    pub author: String,
    /// Why it was ordered, for whoever looks later.
    pub reason: String,
    /// When it was ordered.
    pub created_at: Instant,
    /// Who ended it early, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_by: Option<String>,
}

/// Matchers of one silence.
const MATCHERS_MAX: usize = 20;

impl Silence {
    /// Whether it is in force.
    #[must_use]
    pub fn is_active(&self, now: Instant) -> bool {
        self.starts_at <= now && now < self.ends_at
    }

    /// `pending`, `active` or `expired`.
    #[must_use]
    pub fn state(&self, now: Instant) -> &'static str {
        match () {
            () if now < self.starts_at => "pending",
            () if now < self.ends_at => "active",
            () => "expired",
        }
    }

    /// What is wrong with the matchers of a silence.
    ///
    /// # Errors
    /// If there are none or too many, or they match everything.
    pub fn check_matchers(matchers: &Matchers) -> Result<(), String> {
        if matchers.0.is_empty() {
            return Err(say!("a silence needs at least one matcher, such as rule=\"large-cash\""));
        }
        if matchers.0.len() > MATCHERS_MAX {
            return Err(say!(
                "a silence may have {most} matchers; join values with =~\"a|b\"",
                most = MATCHERS_MAX
            ));
        }
        if matchers.matches(&Labels::default()) {
            return Err(say!(
                "these matchers also match an alert without any labels, so they would silence everything; add one that names a value",
            ));
        }
        if matches_every_severity(matchers) {
            return Err(say!(
                "these matchers match alerts of every severity, so they would silence everything; add one that names a rule, a unit or a payee",
            ));
        }
        Ok(())
    }

    /// What is wrong with a silence that somebody wants to order.
    ///
    /// # Errors
    /// If it would be in force never, or for everything.
    pub fn check(&self, now: Instant) -> Result<(), String> {
        Self::check_matchers(&self.matchers)?;
        if self.ends_at <= now {
            return Err(say!("this silence would be over already"));
        }
        if self.ends_at <= self.starts_at {
            return Err(say!("a silence must end after it starts"));
        }
        name(&self.author)?;
        if reason(&self.reason)?.is_empty() {
            return Err(say!("a silence needs a reason: say why"));
        }
        Ok(())
    }
}

/// Whether an alert of whatever severity and handling is matched of which nothing else is known.
fn matches_every_severity(matchers: &Matchers) -> bool {
    let matches = |severity: &str, handling: &str| {
        let mut labels = Labels::default();
        labels.set("severity", severity);
        labels.set("handling", handling);
        matchers.matches(&labels)
    };
    Severity::WORDS
        .iter()
        .all(|(severity, _)| Handling::WORDS.iter().all(|(handling, _)| matches(severity, handling)))
}

/// 免打扰: hours in which some alerts wait, again and again.
#[derive(Debug, Clone)]
pub struct QuietHours {
    pub name: String,
    /// What alerts it is about.
    pub matchers: Matchers,
    /// Minutes of the local day, half-open; an end before the start is on the next day.
    pub minutes: (u32, u32),
    /// Days of the week on which it starts, Monday first.
    pub weekdays: [bool; 7],
    pub calendar: Arc<Calendar>,
}

/// Minutes of a day.
const DAY: u32 = 24 * 60;

impl QuietHours {
    /// Whether it is quiet at this instant.
    #[must_use]
    pub fn is_active(&self, now: Instant) -> bool {
        let (weekday, minute) = self.calendar.weekday_and_minute(now);
        let (start, end) = self.minutes;
        let starts_on = |day: usize| self.weekdays[day % 7];
        if start < end {
            return starts_on(weekday) && (start..end).contains(&minute);
        }
        (starts_on(weekday) && minute >= start) || (starts_on(weekday + 6) && minute < end)
    }
}

/// Parses `22:00-06:30`.
///
/// # Errors
/// If it is not that.
pub(crate) fn parse_minutes(text: &str) -> Result<(u32, u32), String> {
    let wrong = || say!("{text} is not a time of day such as 22:00-06:30", text = quoted(text));
    let minute = |part: &str| -> Option<u32> {
        let (hour, minute) = part.trim().split_once(':')?;
        let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
        Some(hour * 60 + minute).filter(|m| minute < 60 && *m <= DAY)
    };
    let (start, end) = text.split_once('-').ok_or_else(wrong)?;
    match (minute(start), minute(end)) {
        (Some(start), Some(end)) if start < DAY && start != end => Ok((start, end)),
        _ => Err(wrong()),
    }
}

/// 抑制: while an alert that matches `source` is open, those that match `target` and have equal labels are not told of.
#[derive(Debug, Clone)]
pub struct Inhibition {
    /// The graver alert.
    pub source: Matchers,
    /// The lesser alert.
    pub target: Matchers,
    /// Labels that both must have, with equal values. A label that is missing is equal to nothing, unlike in
    /// Alertmanager, where two missing ones are equal and mute more than is meant.
    pub equal: Vec<String>,
}

impl Inhibition {
    /// Whether `source` mutes `target`. An alert never mutes one that is as grave as itself by this rule.
    #[must_use]
    pub fn mutes(&self, source: &Labels, target: &Labels) -> bool {
        let equal =
            |name: &String| !source.values(name).is_empty() && source.values(name) == target.values(name);
        source.first(ALERT) != target.first(ALERT)
            && self.target.matches(target)
            && !self.source.matches(target)
            && self.source.matches(source)
            && self.equal.iter().all(equal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[&str]) -> Labels {
        Labels::parse(&pairs.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    fn matchers(texts: &[&str]) -> Matchers {
        Matchers::parse(&texts.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn quiet_hours_pass_midnight() {
        let calendar = Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap());
        let mut quiet = QuietHours {
            name: String::from("night"),
            matchers: Matchers::default(),
            minutes: parse_minutes("22:00-06:30").unwrap(),
            weekdays: [true; 7],
            calendar: Arc::clone(&calendar),
        };
        let active = |quiet: &QuietHours, text: &str| quiet.is_active(calendar.parse(text).unwrap());
        assert!(active(&quiet, "2026-03-06T22:00:00+08:00"));
        assert!(active(&quiet, "2026-03-07T06:29:59+08:00"));
        assert!(!active(&quiet, "2026-03-07T06:30:00+08:00"));
        assert!(!active(&quiet, "2026-03-06T21:59:59+08:00"));
        // 2026-03-06 is a Friday: the night that starts on it ends on a Saturday.
        quiet.weekdays = [true, true, true, true, true, false, false];
        assert!(active(&quiet, "2026-03-07T03:00:00+08:00"));
        assert!(!active(&quiet, "2026-03-07T23:00:00+08:00"));
        assert!(!active(&quiet, "2026-03-08T03:00:00+08:00"));
        for text in ["", "22", "22:00", "25:00-26:00", "10:00-10:00", "10:60-11:00"] {
            assert!(parse_minutes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_graver_alert_mutes_a_lesser_one_of_the_same_line_only() {
        let inhibition = Inhibition {
            source: matchers(&["severity=critical"]),
            target: matchers(&["severity!=critical"]),
            equal: vec![String::from("budget_line_id")],
        };
        let grave = labels(&["severity=critical", "budget_line_id=L1", "alert=a"]);
        assert!(inhibition.mutes(&grave, &labels(&["severity=high", "budget_line_id=L1", "alert=b"])));
        assert!(!inhibition.mutes(&grave, &labels(&["severity=high", "budget_line_id=L2", "alert=b"])));
        assert!(!inhibition.mutes(&grave, &labels(&["severity=critical", "budget_line_id=L1", "alert=b"])));
        // Missing labels are not equal.
        assert!(!inhibition.mutes(&labels(&["severity=critical"]), &labels(&["severity=high"])));
    }

    #[test]
    fn a_silence_for_everything_is_refused() {
        let silence = |texts: &[&str]| Silence {
            silence_id: 0,
            matchers: matchers(texts),
            starts_at: Instant::from_micros(10),
            ends_at: Instant::from_micros(20),
            author: String::from("王"),
            reason: String::from("盘点"),
            created_at: Instant::from_micros(10),
            expired_by: None,
        };
        assert!(silence(&["rule=large-cash"]).check(Instant::from_micros(10)).is_ok());
        assert!(silence(&[]).check(Instant::from_micros(10)).is_err());
        assert!(silence(&["rule=~\".*\""]).check(Instant::from_micros(10)).is_err());
        assert!(silence(&["rule!=x"]).check(Instant::from_micros(10)).is_err());
        assert!(
            silence(&["severity=~\"critical|high|medium|low\""]).check(Instant::from_micros(10)).is_err()
        );
        let both = ["severity=~\".+\"", "handling=~\".+\""];
        assert!(silence(&both).check(Instant::from_micros(10)).is_err());
        assert!(silence(&["severity=~\"critical|high|medium\""]).check(Instant::from_micros(10)).is_ok());
        assert!(silence(&["rule=x"]).check(Instant::from_micros(20)).is_err());
        assert!(
            Silence { reason: String::new(), ..silence(&["rule=x"]) }
                .check(Instant::from_micros(10))
                .is_err()
        );
    }
}
