//! Clients that are refused or cut off: each is counted, and the log says so now and then, so that nobody can flood it.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

use crate::telemetry::Metrics;

/// How often the log tells of one cause.
const TOLD: Duration = Duration::from_mins(1);

/// Why a client is refused or cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Too many connections: the one that has waited longest without a request makes room.
    Connections,
    /// Too many requests at a time.
    Requests,
    /// Too many bytes of events in work.
    Bytes,
    /// Windows hold more than they may.
    Windows,
    /// A name that the server does not answer to, several, or none.
    Host,
    /// A page of another site.
    Site,
    /// The head of a request took too long.
    Head,
    /// A body took too long.
    Body,
    /// The client does not take its answer.
    Answer,
    /// Too many bytes of answers under way.
    Answers,
    /// Too many streams of what changes.
    Streams,
    /// Nobody that is known.
    Identity,
    /// Somebody who may not.
    Role,
    /// A change without what only a page of ours knows.
    Csrf,
    /// Too many wrong passwords.
    Logins,
    /// TLS did not begin.
    Tls,
    /// Something that is served at another address.
    Entrance,
    /// More requests than one identity may send.
    Rate,
}

impl Cause {
    const ALL: [Self; 18] = [
        Self::Connections,
        Self::Requests,
        Self::Bytes,
        Self::Windows,
        Self::Host,
        Self::Site,
        Self::Head,
        Self::Body,
        Self::Answer,
        Self::Answers,
        Self::Streams,
        Self::Identity,
        Self::Role,
        Self::Csrf,
        Self::Logins,
        Self::Tls,
        Self::Entrance,
        Self::Rate,
    ];

    /// Its name in metrics.
    const fn word(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Requests => "requests",
            Self::Bytes => "bytes",
            Self::Windows => "windows",
            Self::Host => "host",
            Self::Site => "site",
            Self::Head => "slow_head",
            Self::Body => "slow_body",
            Self::Answer => "slow_answer",
            Self::Answers => "answers",
            Self::Streams => "streams",
            Self::Identity => "identity",
            Self::Role => "role",
            Self::Csrf => "csrf",
            Self::Logins => "logins",
            Self::Tls => "tls",
            Self::Entrance => "entrance",
            Self::Rate => "rate",
        }
    }
}

/// Counts who is refused.
#[derive(Debug)]
pub struct Refusals {
    metrics: Arc<Metrics>,
    /// By cause, when the log told of it last, and how many there were since.
    told: Mutex<[(Option<std::time::Instant>, u64); Cause::ALL.len()]>,
}

impl Refusals {
    /// Nobody was refused yet.
    #[must_use]
    pub fn new(metrics: &Arc<Metrics>) -> Self {
        for cause in Cause::ALL {
            metrics.http_refused.with_label_values(&[cause.word()]);
        }
        Self { metrics: Arc::clone(metrics), told: Mutex::default() }
    }

    pub fn count(&self, cause: Cause) {
        self.metrics.http_refused.with_label_values(&[cause.word()]).inc();
        let mut told = self.told.lock();
        let (last, clients) = &mut told[cause as usize];
        *clients += 1;
        if last.is_none_or(|last| last.elapsed() >= TOLD) {
            tracing::warn!(cause = cause.word(), clients = *clients, "HTTP clients were refused or cut off");
            (*last, *clients) = (Some(std::time::Instant::now()), 0);
        }
    }
}
