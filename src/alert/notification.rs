//! 通知: one message about alerts, as it waits for its sink.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Alert, Labels};
use crate::{event::Instant, finding::Finding, rule::Severity};

/// Why a notification is sent; a closed set, shown to templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The first of its group.
    First,
    /// New alerts in a group that was told before.
    New,
    /// Some of the group's alerts have ended, others have not.
    SomeEnded,
    /// All of the group's alerts have ended.
    AllEnded,
    /// Nobody has acknowledged within the time that the severity allows.
    Escalated,
    /// Still open after `repeat_interval`.
    Repeat,
    /// What can wait, once a day.
    Digest,
    /// One summary for many groups, because there are too many.
    Storm,
    /// The unit is asked to explain.
    Explain,
    /// The unit answered its letter.
    Answered,
    /// Nobody answered the letter in time, or no server takes it.
    Unanswered,
    /// Something that was proposed waits for somebody.
    Approval,
    /// The daemon itself is unwell, or well again.
    Daemon,
    /// Somebody tries whether a sink works.
    Test,
}

/// One message for one recipient of one sink. It is stored as it is here and rendered when it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// A digest of what is told to whom: stable over retries and restarts, so that a receiver can know a repeat.
    pub id: String,
    /// The sink, by its name in the configuration.
    pub sink: String,
    /// The recipient, for a sink that has several (an e-mail address).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// What it tells its recipient of.
    pub reason: Reason,
    /// The path of the route, such as `routes[0].routes[2]`.
    pub route: String,
    /// The labels that all its alerts share (those of `group_by`).
    pub group: Labels,
    /// What all notifications of one thread share: the id of the first alert that the group told of.
    pub thread: String,
    /// Whether it begins its thread.
    pub begins_thread: bool,
    /// The alerts, worst first; at most [`ALERTS_MAX`].
    pub alerts: Vec<NotifiedAlert>,
    /// Alerts that are meant too but not listed.
    pub omitted: u64,
    /// Those alerts by rule and severity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub omitted_by_rule: Vec<OmittedAlerts>,
    /// What else is to be said, for `Daemon` and `Test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it was made.
    pub created_at: Instant,
    /// When the earliest event that led to it was committed, for `alert_delivery_seconds`.
    pub received_at: Instant,
}

/// Alerts of a rule that a notification means and does not list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OmittedAlerts {
    pub(crate) rule_id: String,
    pub(crate) title: String,
    pub(crate) severity: Severity,
    pub(crate) alerts: u64,
    pub(crate) findings: u64,
    /// How many of the alerts are over.
    pub(crate) ended: u64,
}

impl OmittedAlerts {
    /// Those of each rule and severity, the gravest first.
    #[must_use]
    pub fn of(alerts: &[&Alert]) -> Vec<Self> {
        let mut rows: BTreeMap<(usize, &str), Self> = BTreeMap::new();
        for alert in alerts {
            let row = rows.entry((alert.severity.rank(), &alert.rule_id)).or_insert_with(|| Self {
                rule_id: alert.rule_id.clone(),
                title: alert.title.clone(),
                severity: alert.severity,
                alerts: 0,
                findings: 0,
                ended: 0,
            });
            row.alerts += 1;
            row.findings += alert.findings;
            row.ended += u64::from(alert.state.is_over());
        }
        rows.into_values().collect()
    }
}

/// Alerts listed in one notification.
pub const ALERTS_MAX: usize = 100;
/// Findings shown as evidence of one alert.
pub const EVIDENCE_MAX: usize = 50;

/// An alert in a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifiedAlert {
    /// The alert as it was when the notification was made.
    #[serde(flatten)]
    pub alert: Alert,
    /// Its latest findings, newest first; at most [`EVIDENCE_MAX`].
    pub evidence: Vec<Finding>,
}
