//! Keeping alive what a receiver would forget: Alertmanager takes an alert for ended that it is not told of again.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{SendError, Sink};
use crate::{alert::NotifiedAlert, clock::Clock, event::TimeDelta, say, telemetry::Metrics};

/// An ended alert is told of for so long, in case the first telling was lost.
const ENDED: Duration = Duration::from_mins(15);

/// Gives the alerts that a sink was told of and that have not ended, and those that ended lately. It may take its time.
pub(crate) type Current = Arc<dyn Fn() -> Vec<NotifiedAlert> + Send + Sync>;

/// Shows one sink the alerts that there are, again and again.
pub struct Resender {
    /// The name of the sink in the configuration.
    pub name: String,
    /// The sink that repeats what still fires.
    pub sink: Arc<dyn Sink>,
    /// What asks the store for what fires now.
    pub current: Current,
    /// What says when a repetition is due.
    pub clock: Arc<dyn Clock>,
    /// What counts attempts and what came of them.
    pub metrics: Arc<Metrics>,
}

impl Resender {
    /// Goes on until asked to stop; returns at once for a sink that forgets nothing.
    pub async fn run(&self, stop: CancellationToken) {
        let Some(every) = self.sink.resend_every() else { return };
        // What is said about trouble is said once, until it is over.
        let mut trouble = false;
        loop {
            let result = tokio::select! {
                () = stop.cancelled() => return,
                result = self.once() => result,
            };
            match &result {
                Ok(_) if trouble => tracing::info!(sink = %self.name, "takes the current alerts again"),
                Err(e) if !trouble => {
                    tracing::warn!(sink = %self.name, "the current alerts cannot be sent again: {e}");
                }
                _ => {}
            }
            trouble = result.is_err();
            self.metrics.resend_errors.with_label_values(&[&self.name]).inc_by(u64::from(trouble));
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(every) => {}
            }
        }
    }

    /// Shows the sink what there is now, and says how many alerts that were.
    ///
    /// # Errors
    /// What the sink said.
    pub async fn once(&self) -> Result<usize, SendError> {
        let current = self.current.clone();
        let mut alerts = tokio::task::spawn_blocking(move || current()).await.map_err(|e| {
            SendError::Temporary(say!("the current alerts cannot be read: {error}", error = e))
        })?;
        let since = self.clock.now() - TimeDelta::of(ENDED);
        alerts.retain(|told| told.alert.ended_at.is_none_or(|at| at >= since));
        self.sink.resend(&alerts).await.map(|()| alerts.len())
    }
}
