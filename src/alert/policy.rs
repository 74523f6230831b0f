//! What the configuration says about alerts, resolved: routes, silence by rule, escalation, levels of service, storms.

use std::sync::Arc;

use super::{
    Labels,
    mute::{Inhibition, QuietHours},
    route::Route,
};
use crate::{
    event::{Instant, TimeDelta, tick::Ticks, time::Calendar},
    rule::{Handling, Language, Severity},
};

/// A value for each severity, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BySeverity<T>(pub [T; 4]);

impl<T: Copy> BySeverity<T> {
    /// The value for a severity.
    #[must_use]
    pub fn get(&self, severity: Severity) -> T {
        self.0[severity.rank()]
    }
}

/// The time within which alerts should be acknowledged and ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServiceLevel {
    /// From opened to acknowledged.
    pub acknowledge: Option<TimeDelta>,
    /// From opened to over.
    pub close: Option<TimeDelta>,
}

/// What a second officer decides, by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reviews {
    /// Whether an alert is a false one.
    pub dismiss: BySeverity<bool>,
    /// Whether a case is closed.
    pub close: BySeverity<bool>,
    /// Whether a case is closed only with an outcome.
    pub outcome: bool,
}

/// When there are too many notifications.
#[derive(Debug, Clone, Copy)]
pub struct Storm {
    /// A sink gets at most so many notifications within `window`; the rest comes as one summary.
    pub notifications: u32,
    /// How far back they are counted.
    pub window: TimeDelta,
}

/// Whom the unit's explanation is asked from.
#[derive(Debug, Clone)]
pub struct Explain {
    /// The sink that sends the mail, by its name.
    pub sink: String,
    /// The reference list of the units' contacts.
    pub list: String,
    /// Its column with the address.
    pub column: String,
    /// The workdays that the unit has, unless the officer says otherwise.
    pub deadline: u16,
    /// What links begin with by which units answer; without it letters have none.
    pub answer_url: Option<String>,
    /// For how many days after the last day for the answer a link is good.
    pub link_days: u16,
}

/// How officers are reached when their letters are answered or not.
#[derive(Debug, Clone)]
pub struct Officers {
    pub(crate) sink: String,
    /// The reference list of officers, by the names under which they act.
    pub list: String,
    /// Its column with the address.
    pub column: String,
}

/// How much the files of cases may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLimits {
    /// Bytes of one file.
    pub file: u64,
    /// Bytes of all files of one case.
    pub case: u64,
    /// Files of one case.
    pub files: u32,
}

impl Default for FileLimits {
    fn default() -> Self {
        Self { file: 20 << 20, case: 100 << 20, files: 20 }
    }
}

/// What the configuration says about alerts.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The routing tree; `None` if there is no sink, and then nobody is told anything.
    pub routes: Option<Route>,
    /// What mutes what.
    pub inhibitions: Vec<Inhibition>,
    /// Hours in which alerts wait.
    pub quiet_hours: Vec<QuietHours>,
    /// How long an alert may be unacknowledged; `None` never escalates.
    pub escalate_after: BySeverity<Option<TimeDelta>>,
    /// How often an alert is escalated.
    pub escalations_max: u32,
    /// How many workdays an alert may take until it is over; `None` sets no day.
    pub due_after: BySeverity<Option<u16>>,
    /// What a second officer decides.
    pub reviews: Reviews,
    /// Levels of service.
    pub service_levels: BySeverity<ServiceLevel>,
    /// When there are too many notifications.
    pub storm: Storm,
    /// When the digest goes out.
    pub digest: Ticks,
    /// Whom units' explanations are asked from.
    pub explain: Option<Explain>,
    /// How officers are told what became of their letters.
    pub officers: Option<Officers>,
    /// How much the files of cases may take.
    pub files: FileLimits,
    /// The shard that alerts are of, where the stream is parted; it becomes a label of theirs.
    pub shard: Option<String>,
    /// The language of titles.
    pub language: Language,
    /// The zone in which quiet hours and workdays are meant.
    pub calendar: Arc<Calendar>,
}

impl Policy {
    /// No routes: alerts are kept, and nobody is told.
    #[must_use]
    pub fn silent(language: Language, calendar: &Arc<Calendar>) -> Self {
        Self {
            routes: None,
            inhibitions: Vec::new(),
            quiet_hours: Vec::new(),
            escalate_after: BySeverity::default(),
            escalations_max: 0,
            due_after: BySeverity::default(),
            reviews: Reviews::default(),
            service_levels: BySeverity::default(),
            storm: Storm { notifications: 30, window: TimeDelta::minutes(10) },
            digest: Ticks::Every(crate::event::period::Length::Days(1)),
            explain: None,
            officers: None,
            files: FileLimits::default(),
            shard: None,
            language,
            calendar: Arc::clone(calendar),
        }
    }

    /// Whether alerts of this handling wait for the digest (处置: 提醒, 记录).
    #[must_use]
    pub fn waits_for_digest(handling: Handling) -> bool {
        matches!(handling, Handling::Remind | Handling::Record)
    }

    /// The name of the quiet hours that these labels fall into now.
    #[must_use]
    pub fn quiet(&self, labels: &Labels, now: Instant) -> Option<&str> {
        let quiet = self.quiet_hours.iter().find(|q| q.is_active(now) && q.matchers.matches(labels));
        quiet.map(|q| q.name.as_str())
    }

    /// When the next digest goes out.
    #[must_use]
    pub fn next_digest(&self, now: Instant) -> Instant {
        self.digest.next_after(&self.calendar, now).unwrap_or(now)
    }
}
