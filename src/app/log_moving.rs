//! Keeps the log of the database short, beside the stream.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::anyhow;
use tokio::{task::JoinHandle, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    daemon::{Shared, run_blocking},
    say,
    store::{LogMover, StoreError},
};

/// How often the log is moved, if anything was committed.
const EVERY: Duration = Duration::from_millis(250);

/// When it is tried again after a failure: a disk that is full stays so for a while, and each time is told.
const AGAIN: Duration = Duration::from_secs(10);

/// What moves the log until the daemon stops; `None` when it has ended.
#[derive(Debug)]
pub(crate) struct MovingTask(Option<JoinHandle<Result<(), StoreError>>>);

impl MovingTask {
    pub(crate) fn start(shared: &Arc<Shared>, mover: LogMover, stop: &CancellationToken) -> Self {
        Self(Some(tokio::spawn(keep_short(Arc::clone(shared), mover, stop.clone()))))
    }

    /// Waits until the disk fails, after which nothing may be written; for ever, if it does not.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        match self.ended().await {
            Err(error) => error,
            Ok(()) => std::future::pending().await,
        }
    }

    /// Waits for its end, which comes after the stop.
    ///
    /// # Errors
    /// If the disk failed.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<()> {
        let Some(task) = &mut self.0 else { return Ok(()) };
        let ended = task.await;
        self.0 = None;
        let broken = |_| anyhow!(say!("a part of the daemon broke, please report this; the log says where"));
        Ok(ended.map_err(broken)??)
    }
}

async fn keep_short(
    shared: Arc<Shared>,
    mut mover: LogMover,
    stop: CancellationToken,
) -> Result<(), StoreError> {
    let (mut interval, mut seen) = (tokio::time::interval(EVERY), 0);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(interval.tick()).await.is_some() {
        let commits = shared.commits.load(Ordering::Relaxed);
        if commits == seen {
            continue;
        }
        seen = commits;
        let (moved, back) = run_blocking(move || (mover.step(), mover)).await;
        mover = back;
        let Err(error) = moved else { continue };
        shared.metrics.log_errors.inc();
        // What the disk did not confirm is never believed, though it is in the log too.
        if error.is_unsure() {
            return Err(error);
        }
        interval.reset_after(AGAIN);
        seen = 0;
        let why = match error {
            // What a commit says of it would be wrong here: everything is stored.
            StoreError::Full(dir) => format!("the disk of {} is full", dir.display()),
            error => error.to_string(),
        };
        tracing::warn!(
            "what is committed could not be moved from the database's log into the database: {why}. It is stored, and this is tried again"
        );
    }
    Ok(())
}
