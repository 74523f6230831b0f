//! 通知: how alerts reach people and machines. `dispatch` bundles what the outbox holds into notifications, `deliver`
//! sends each until its sink has accepted it, and there is one file a sink. E-mail is the only place that knows lettre.

pub mod alertmanager;
mod answer;
mod build;
mod client;
pub mod deliver;
pub mod dispatch;
pub mod email;
mod evidence;
mod inhibit;
mod json;
pub mod kafka;
pub mod letter;
pub mod log;
mod mask;
pub mod render;
pub mod resend;
pub mod sample;
pub mod template;
mod view;
pub mod webhook;
pub mod wellbeing;
pub mod words;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    alert::{Alert, Labels},
    finding::Finding,
};

pub use build::{Setup, build, limits};
pub use render::Office;
pub use resend::Resender;

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
    /// Why.
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
    pub alerts: Vec<Told>,
    /// Alerts that are meant too but not listed.
    pub omitted: u64,
    /// What else is to be said, for `Daemon` and `Test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it was made, in microseconds.
    pub created_at: i64,
    /// When the earliest event that led to it was committed, in microseconds, for `alert_delivery_seconds`.
    pub received_at: i64,
}

/// Alerts listed in one notification.
pub const ALERTS_MAX: usize = 100;
/// Findings shown as evidence of one alert.
pub const EVIDENCE_MAX: usize = 50;

/// An alert in a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The alert as it was when the notification was made.
    #[serde(flatten)]
    pub alert: Alert,
    /// Its latest findings, newest first; at most [`EVIDENCE_MAX`].
    pub evidence: Vec<Finding>,
}

/// Why a sink did not take a notification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It may take it later: the connection failed, the server is busy (SMTP 4xx, HTTP 5xx and 429).
    #[error("{0}")]
    Temporary(String),
    /// It may take it then, as it says itself (HTTP `Retry-After`).
    #[error("{0}")]
    Later(String, Duration),
    /// It will never take it (SMTP 5xx, HTTP 4xx): it is parked and shown.
    #[error("{0}")]
    Permanent(String),
}

/// How much a sink takes at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Notifications under way at once.
    pub concurrency: usize,
    /// Notifications a minute; `None` is as many as it takes.
    pub per_minute: Option<u32>,
}

/// Where notifications go.
#[async_trait]
pub trait Sink: Send + Sync + std::fmt::Debug {
    /// Delivers one notification. `Ok` only when the receiver has accepted it; cancelling may have delivered it.
    ///
    /// # Errors
    /// What the receiver said, with what to do about it where that is known.
    async fn send(&self, notification: &Notification) -> Result<(), SendError>;

    /// The recipients that each get a notification (and an outbox row) of their own; empty for a sink that is one
    /// receiver.
    fn recipients(&self) -> &[String] {
        &[]
    }

    /// How often the receiver must be shown the alerts that there are, if it forgets them otherwise (see [`Resender`]).
    fn resend_every(&self) -> Option<Duration> {
        None
    }

    /// Shows it the alerts that there are, and those that ended lately.
    ///
    /// # Errors
    /// What the receiver said.
    async fn resend(&self, _alerts: &[Told]) -> Result<(), SendError> {
        Ok(())
    }
}

/// The sinks by name.
pub type Sinks = std::collections::BTreeMap<String, Arc<dyn Sink>>;
