//! Sends what the outbox holds for one sink until the sink has accepted it. A notification is removed only then; one
//! that a crash cut off between the sink's answer and our record is sent once more, with the same id.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::watch,
    task::{Id, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{SendError, Sink, SinkLimits};
use crate::{
    alert::Notification,
    clock::Clock,
    event::{Instant, TimeDelta},
    say,
    store::{Fate, Outbox, Pending, StoreError},
    telemetry::Metrics,
};

/// How long nothing is looked for when nothing is known to be due; commands of other processes are noticed then.
const LOOK: Duration = Duration::from_secs(2);
/// How long a stop waits for what is under way.
const STOP: Duration = Duration::from_secs(5);

/// The first pause after a failed attempt, and the longest.
const PAUSE_FIRST: TimeDelta = TimeDelta::SECOND;
const PAUSE_MAX: TimeDelta = TimeDelta::minutes(5);
/// The longest pause that a receiver may ask for.
const ASKED_MAX: TimeDelta = TimeDelta::HOUR;

/// The pause before the next attempt: doubled each time up to five minutes, and then somewhere between
/// its half and its whole, so that many do not come at once. `random` is uniform in 0 to 1.
#[must_use]
#[allow(clippy::cast_precision_loss)] // A pause is no sum of money.
pub fn pause(attempts: u32, random: f64) -> TimeDelta {
    let whole = PAUSE_FIRST.saturating_mul(1 << attempts.min(20)).min(PAUSE_MAX);
    TimeDelta::from_micros((whole.as_micros() as f64 * (0.5 + random / 2.0)) as i64)
}

/// Delivers for one sink.
pub struct Delivery {
    /// The name of the sink in the configuration.
    pub name: String,
    /// The sink that notifications are sent through.
    pub sink: Arc<dyn Sink>,
    /// How much it takes at a time.
    pub limits: SinkLimits,
    /// The outbox, shared by all deliveries.
    pub outbox: Arc<Mutex<Outbox>>,
    /// Changes when there may be something new.
    pub news: watch::Receiver<u64>,
    /// What ends the delivery between two attempts.
    pub stop: CancellationToken,
    /// What says when a notification is due.
    pub clock: Arc<dyn Clock>,
    /// Where attempts are counted.
    pub metrics: Arc<Metrics>,
}

type Attempt = (Notification, u32, Result<(), SendError>);
/// What is under way, with the attempts before, by the task that sends it.
type UnderWay = HashMap<Id, (String, u32)>;

fn ids(under_way: &UnderWay) -> Vec<String> {
    under_way.values().map(|(id, _)| id.clone()).collect()
}

impl Delivery {
    /// Delivers until it is stopped.
    ///
    /// # Errors
    /// If the outbox cannot be read or written.
    pub async fn run(mut self) -> Result<(), StoreError> {
        let limits = self.limits;
        let mut attempts: JoinSet<Attempt> = JoinSet::new();
        let mut under_way = UnderWay::new();
        let mut not_before = tokio::time::Instant::now();
        loop {
            let free = limits.concurrency.saturating_sub(under_way.len());
            let mut pending = Vec::new();
            if free > 0 && tokio::time::Instant::now() >= not_before && !self.stop.is_cancelled() {
                let take = if limits.per_minute.is_some() { 1 } else { free };
                pending = self.pending(&under_way, take).await?;
            }
            for Pending { notification, attempts: before } in pending {
                let (sink, id) = (Arc::clone(&self.sink), notification.id.clone());
                let task = attempts.spawn(async move {
                    let result = sink.send(&notification).await;
                    (notification, before, result)
                });
                under_way.insert(task.id(), (id, before));
                if let Some(per_minute) = limits.per_minute {
                    not_before = tokio::time::Instant::now() + Duration::from_mins(1) / per_minute.max(1);
                }
            }
            let wait = self.wait(&under_way, limits.concurrency, not_before).await?;
            tokio::select! {
                Some(done) = attempts.join_next_with_id(), if !attempts.is_empty() => {
                    let mut finished = vec![done];
                    while let Some(done) = attempts.try_join_next_with_id() {
                        finished.push(done);
                    }
                    self.record(finished, &mut under_way).await?;
                }
                () = self.stop.cancelled() => {
                    return self.finish(attempts, under_way).await;
                }
                _ = self.news.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Works on the outbox beside the runtime's threads: a commit waits for the disk.
    async fn outbox<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Outbox) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let outbox = Arc::clone(&self.outbox);
        let task = tokio::task::spawn_blocking(move || work(&mut outbox.lock()));
        task.await.map_err(|e| {
            StoreError::Request(say!("the outbox broke, please report this: {error}", error = e))
        })?
    }

    async fn pending(&self, under_way: &UnderWay, limit: usize) -> Result<Vec<Pending>, StoreError> {
        let (name, now, under_way) = (self.name.clone(), self.clock.now(), ids(under_way));
        self.outbox(move |outbox| outbox.pending(&name, now, &under_way, limit)).await
    }

    /// How long there is nothing to do, if nobody says otherwise.
    async fn wait(
        &self,
        under_way: &UnderWay,
        concurrency: usize,
        not_before: tokio::time::Instant,
    ) -> Result<Duration, StoreError> {
        if under_way.len() >= concurrency {
            return Ok(LOOK);
        }
        let rate = not_before.saturating_duration_since(tokio::time::Instant::now());
        let (name, under_way) = (self.name.clone(), ids(under_way));
        let next = self.outbox(move |outbox| outbox.next_attempt(&name, &under_way)).await?;
        let until = next.map_or(LOOK, |at| at.saturating_since(self.clock.now()).to_duration());
        Ok(until.min(LOOK).max(rate))
    }

    async fn record(
        &self,
        finished: Vec<Result<(Id, Attempt), JoinError>>,
        under_way: &mut UnderWay,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut outcomes = Vec::new();
        for attempt in finished {
            match attempt {
                Ok((task, (notification, before, result))) => {
                    under_way.remove(&task);
                    outcomes
                        .push((notification.id.clone(), self.outcome(&notification, before, result, now)));
                }
                // A sink that breaks is a bug. What it was given is tried again; what else is under way stays so.
                Err(e) => {
                    tracing::error!(sink = self.name, "a delivery broke, please report this: {e}");
                    if let Some((id, before)) = under_way.remove(&e.id()) {
                        self.metrics.notifications.with_label_values(&[self.name.as_str(), "retried"]).inc();
                        let again = now.saturating_add(pause(before, fastrand::f64()));
                        outcomes.push((id, Fate::Later(again, say!("the sink broke, please report this"))));
                    }
                }
            }
        }
        self.outbox(move |outbox| outbox.record(&outcomes, now)).await
    }

    fn outcome(&self, n: &Notification, before: u32, result: Result<(), SendError>, now: Instant) -> Fate {
        let count = |word| self.metrics.notifications.with_label_values(&[self.name.as_str(), word]).inc();
        let recipient = n.recipient.as_deref().unwrap_or_default();
        let asked = match &result {
            Err(SendError::Later(_, wait)) => TimeDelta::of(*wait).min(ASKED_MAX),
            _ => TimeDelta::ZERO,
        };
        match result {
            Ok(()) => {
                count("accepted");
                #[allow(clippy::cast_precision_loss)]
                let seconds = now.saturating_since(n.received_at).as_seconds_f64();
                self.metrics.alert_delivery.with_label_values(&[self.name.as_str()]).observe(seconds);
                tracing::info!(sink = self.name, notification = n.id, reason = ?n.reason, alerts = n.alerts.len(), "notified");
                Fate::Sent
            }
            Err(SendError::Temporary(why) | SendError::Later(why, _)) => {
                count("retried");
                let pause = pause(before, fastrand::f64()).max(asked);
                tracing::warn!(
                    sink = self.name,
                    notification = n.id,
                    attempts = before + 1,
                    retry_in_s = pause.as_seconds(),
                    "not accepted yet: {why}"
                );
                Fate::Later(now.saturating_add(pause), why)
            }
            Err(SendError::Permanent(why)) => {
                count("parked");
                tracing::error!(
                    sink = self.name,
                    notification = n.id,
                    recipient,
                    "refused for good: {why}. It is parked: see `fiscwatch notify list --parked`, fix the cause, then `fiscwatch notify retry`"
                );
                Fate::Parked(why)
            }
        }
    }

    /// Waits a little for what is under way, and records it; the rest is sent again after the next start.
    async fn finish(
        &self,
        mut attempts: JoinSet<Attempt>,
        mut under_way: UnderWay,
    ) -> Result<(), StoreError> {
        let deadline = tokio::time::Instant::now() + STOP;
        while let Ok(Some(done)) = tokio::time::timeout_at(deadline, attempts.join_next_with_id()).await {
            self.record(vec![done], &mut under_way).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes_and_differ() {
        assert_eq!(pause(0, 1.0), TimeDelta::from_micros(1_000_000));
        assert_eq!(pause(0, 0.0), TimeDelta::from_micros(500_000));
        assert_eq!(pause(3, 1.0), TimeDelta::from_micros(8_000_000));
        assert_eq!(pause(9, 1.0), TimeDelta::from_micros(300_000_000));
        assert_eq!(pause(u32::MAX, 1.0), TimeDelta::from_micros(300_000_000));
    }
}
