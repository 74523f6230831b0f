//! Keeps the log of the database short, beside the stream.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{daemon::Shared, store::LogMover};

/// How often the log is moved, if anything was committed.
const EVERY: Duration = Duration::from_millis(250);

/// Moves the log until the daemon stops.
pub(crate) async fn keep_short(shared: Arc<Shared>, mover: LogMover, stop: CancellationToken) {
    let (mut mover, mut seen) = (mover, 0);
    let mut interval = tokio::time::interval(EVERY);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(interval.tick()).await.is_some() {
        let commits = shared.commits.load(Ordering::Relaxed);
        if commits == seen {
            continue;
        }
        seen = commits;
        let step = tokio::task::spawn_blocking(move || (mover.step(), mover));
        // Who finds this task ended says that a part of the daemon broke.
        let Ok((moved, back)) = step.await else { return };
        mover = back;
        if let Err(error) = moved {
            shared.metrics.log_errors.inc();
            tracing::warn!(
                "the log of the database could not be moved into it, which is tried again: {error}"
            );
        }
    }
}
