//! Tells how full the quarantine is: gauges, the status, and a line in the log before and when it is full.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::{store::Committed, stream::Reject, telemetry::Metrics};

/// How full the quarantine is.
#[derive(Debug)]
pub struct QuarantineGauge {
    limit: u64,
    bytes: AtomicU64,
    /// Records since the start that there was no room for.
    overflow: AtomicU64,
    told_of_little: AtomicBool,
    told_of_none: AtomicBool,
}

impl QuarantineGauge {
    /// A gauge of a quarantine that may have so many bytes.
    #[must_use]
    pub fn new(limit: u64, metrics: &Metrics) -> Self {
        metrics.quarantine_limit.set(limit.try_into().unwrap_or(i64::MAX));
        Self {
            limit,
            bytes: AtomicU64::new(0),
            overflow: AtomicU64::new(0),
            told_of_little: AtomicBool::new(false),
            told_of_none: AtomicBool::new(false),
        }
    }

    /// The bytes at the start.
    pub fn start(&self, bytes: u64, metrics: &Metrics) {
        self.bytes.store(bytes, Ordering::Relaxed);
        metrics.quarantine_bytes.set(bytes.try_into().unwrap_or(i64::MAX));
    }

    /// Takes in what became of a commit that had rejects.
    pub fn committed(&self, rejects: &[Reject], committed: &Committed, metrics: &Metrics) {
        self.start(committed.quarantine_bytes, metrics);
        for at in &committed.overflow {
            let reject = &rejects[*at];
            let source = metrics.source_label(&reject.source);
            metrics.quarantine_overflow.with_label_values(&[source, reject.reason.code()]).inc();
        }
        self.overflow.fetch_add(committed.overflow.len() as u64, Ordering::Relaxed);
        let (bytes, limit) = (committed.quarantine_bytes, self.limit);
        if !committed.overflow.is_empty() {
            if !self.told_of_none.swap(true, Ordering::Relaxed) {
                tracing::error!(
                    bytes,
                    limit,
                    "the quarantine is full: further records are counted, with position and digest, without their bytes. \
                     Correct the feed, replay what can be read now (fiscwatch rejects), or raise state.quarantine_mib"
                );
            }
        } else if bytes >= limit / 5 * 4 {
            if !self.told_of_little.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    bytes,
                    limit,
                    "the quarantine is nearly full: look at `fiscwatch rejects list`"
                );
            }
        } else {
            self.told_of_little.store(false, Ordering::Relaxed);
            self.told_of_none.store(false, Ordering::Relaxed);
        }
    }

    #[must_use]
    pub fn status(&self) -> Value {
        let bytes = self.bytes.load(Ordering::Relaxed);
        let overflow = self.overflow.load(Ordering::Relaxed);
        json!({ "bytes": bytes, "limit_bytes": self.limit, "overflow_since_start": overflow })
    }
}
