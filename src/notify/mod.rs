//! 通知: how alerts reach people and machines. `dispatch` bundles what the outbox holds into notifications, `deliver`
//! sends each until its sink has accepted it, and there is one file a sink. Only `email/` uses lettre.

pub(crate) mod alertmanager;
mod answer;
mod build;
mod client;
pub mod deliver;
pub mod dispatch;
pub mod email;
mod evidence;
pub(crate) mod health;
pub(crate) mod inhibit;
mod json;
pub(crate) mod kafka;
pub(crate) mod letter;
pub(crate) mod log;
pub(crate) mod mask;
pub mod render;
pub(crate) mod resend;
pub mod sample;
pub mod template;
mod view;
pub mod webhook;
pub(crate) mod words;

use std::{sync::Arc, time::Duration};

use crate::alert::{Notification, NotifiedAlert};
use async_trait::async_trait;

pub(crate) use build::SharedLists;
pub use build::{Setup, build, limits};
pub use resend::Resender;

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
pub struct SinkLimits {
    /// Notifications under way at once.
    pub concurrency: usize,
    /// Notifications a minute; `None` is as many as it takes.
    pub per_minute: Option<u32>,
}

/// A way out: it sends a notification, or says why not.
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
    async fn resend(&self, _alerts: &[NotifiedAlert]) -> Result<(), SendError> {
        Ok(())
    }
}

/// The sinks by name.
pub type Sinks = std::collections::BTreeMap<String, Arc<dyn Sink>>;
