//! What the outbox and the alerts look like in the metrics.

use crate::{
    alert::{Action, Policy},
    event::{Instant, TimeDelta},
    rule::Severity,
    store::{AlertStep, LateOf, Outbox, StoreError},
    telemetry::Metrics,
};

/// What the gauges were last made of.
#[derive(Debug, Default)]
pub(super) struct Gauged {
    at: Instant,
    /// The last line of the history that was counted.
    history: i64,
    /// When it was last counted what is late.
    late_at: Instant,
}

/// How often the gauges are computed.
const GAUGE: TimeDelta = TimeDelta::seconds(5);
/// How often it is counted what is late; and how many units and officers are told of.
const LATE: TimeDelta = TimeDelta::MINUTE;
const LATE_MAX: usize = 20;
/// Lines of the history that are counted at a time.
const HISTORY: usize = 10_000;

impl Gauged {
    /// Gauges that count what comes after a line of the history.
    pub(super) fn after(history: i64) -> Self {
        Self { history, ..Self::default() }
    }

    /// Brings the gauges up to date, if it is time.
    pub(super) fn look(
        &mut self,
        outbox: &Outbox,
        metrics: &Metrics,
        policy: &Policy,
        now: Instant,
    ) -> Result<(), StoreError> {
        if now.saturating_since(self.at).abs() < GAUGE {
            return Ok(());
        }
        self.at = now;
        for AlertStep { seq, action, severity, after, is_over, after_letter } in
            outbox.history_after(self.history, HISTORY)?
        {
            self.history = seq;
            #[allow(clippy::cast_precision_loss)]
            let seconds = after.max(TimeDelta::ZERO).as_seconds_f64();
            if let Some(after) = after_letter {
                #[allow(clippy::cast_precision_loss)]
                metrics
                    .alert_answer
                    .with_label_values(&[&severity])
                    .observe(after.max(TimeDelta::ZERO).as_seconds_f64());
            }
            if action == Action::Acknowledge.word() {
                metrics.alert_acknowledge.with_label_values(&[&severity]).observe(seconds);
            } else if is_over && action != Action::Comment.word() {
                metrics.alert_close.with_label_values(&[&severity]).observe(seconds);
            }
        }
        for (severity, of) in Severity::WORDS {
            let level = policy.service_levels.get(*of);
            let before = |after: Option<TimeDelta>| after.map(|after| now.saturating_sub(after));
            let open = before(level.acknowledge).map(|before| outbox.unacknowledged(severity, before));
            let unfinished = before(level.close).map(|before| outbox.unfinished(severity, before));
            for (stage, late) in [("acknowledge", open), ("close", unfinished)] {
                metrics.alerts_overdue.with_label_values(&[*severity, stage]).set(late.unwrap_or(Ok(0))?);
            }
        }
        if now.saturating_since(self.late_at).abs() >= LATE {
            self.late_at = now;
            late(outbox, metrics, now)?;
        }
        waiting(outbox, metrics, now)
    }
}

/// What is past its last day, and whose it is. Who has none any more has no series.
fn late(outbox: &Outbox, metrics: &Metrics, now: Instant) -> Result<(), StoreError> {
    metrics.cases_late.reset();
    for (by, word) in [(LateOf::Unit, "unit"), (LateOf::Officer, "officer")] {
        for (value, late) in outbox.late(by, now, LATE_MAX)? {
            metrics.cases_late.with_label_values(&[word, &value]).set(late);
        }
    }
    Ok(())
}

fn waiting(outbox: &Outbox, metrics: &Metrics, now: Instant) -> Result<(), StoreError> {
    let (waiting, oldest) = outbox.waiting()?;
    metrics.outbox_pending.reset();
    for (sink, n) in waiting {
        metrics.outbox_pending.with_label_values(&[&sink]).set(n);
    }
    #[allow(clippy::cast_precision_loss)]
    metrics
        .outbox_oldest_age
        .set(oldest.map_or(0.0, |at| now.saturating_since(at).max(TimeDelta::ZERO).as_seconds_f64()));
    metrics.alerts.reset();
    for (state, severity, n) in outbox.alert_counts()? {
        metrics.alerts.with_label_values(&[&state, &severity]).set(n);
    }
    Ok(())
}
