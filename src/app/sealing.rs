//! The thread that seals old parts of the journal, compacts and retires sealed files, beside the stream.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use anyhow::anyhow;
use tokio::sync::oneshot;

use super::Ending;
use crate::{
    config::Config,
    daemon::Shared,
    event::TimeDelta,
    say,
    store::{SealOptions, SealReport, Sealer, Store, StoreError},
};

/// What seals, before it has a thread.
#[derive(Debug)]
pub struct SealingParts {
    /// Does one thing after another.
    pub sealer: Sealer,
    wake: SyncSender<()>,
    woken: Receiver<()>,
}

impl SealingParts {
    /// Opens the state once more.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(config: &Config, store: &Store) -> Result<Self, StoreError> {
        let sealer = store.sealer(SealOptions {
            after: TimeDelta::of(config.seal_after),
            retain: config.retain_micros(),
            calendar: Arc::clone(&config.calendar),
        })?;
        let (wake, woken) = sync_channel(1);
        Ok(Self { sealer, wake, woken })
    }

    /// What wakes the thread after a checkpoint.
    pub fn waker(&self) -> SyncSender<()> {
        self.wake.clone()
    }
}

/// The thread, and how it is woken.
#[derive(Debug)]
pub(crate) struct SealingTask {
    wake: SyncSender<()>,
    flags: Arc<Flags>,
    thread: JoinHandle<()>,
    /// Told when the disk failed, after which nothing may be written.
    failed: oneshot::Receiver<StoreError>,
}

impl SealingTask {
    /// Starts the thread; it looks once at what there is to do, and then whenever it is woken.
    pub(crate) fn start(sealing: SealingParts, shared: &Arc<Shared>) -> Self {
        let SealingParts { sealer, wake, woken } = sealing;
        let flags = Arc::new(Flags::default());
        let (theirs, shared) = (Arc::clone(&flags), Arc::clone(shared));
        let (failing, failed) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            if let Err(error) = work(sealer, &woken, &theirs, &shared) {
                let _ = failing.send(error);
            }
        });
        let _ = wake.try_send(());
        Self { wake, flags, thread, failed }
    }

    /// Waits until the disk fails or the thread breaks; for ever, if neither happens.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        match (&mut self.failed).await {
            Ok(error) => error.into(),
            Err(_) => anyhow!(say!("a part of the daemon broke, please report this; the log says where")),
        }
    }

    /// Ends the thread: after the thing it is doing, or, if it is tidy, when there is nothing more to do.
    ///
    /// # Errors
    /// If the disk failed.
    pub(crate) fn end(mut self, ending: Ending) -> Result<(), StoreError> {
        self.flags.stop.store(ending == Ending::Soon, Ordering::SeqCst);
        self.flags.ending.store(true, Ordering::SeqCst);
        // If there is no room, it is about to look anyway.
        let _ = self.wake.try_send(());
        if self.thread.join().is_err() {
            tracing::error!("the sealing thread has died; what was not sealed stays in the journal");
        }
        self.failed.try_recv().map_or(Ok(()), Err)
    }
}

#[derive(Debug, Default)]
struct Flags {
    /// This time is the last.
    ending: AtomicBool,
    /// And it should be over soon.
    stop: AtomicBool,
}

fn work(mut sealer: Sealer, woken: &Receiver<()>, flags: &Flags, shared: &Shared) -> Result<(), StoreError> {
    while woken.recv().is_ok() {
        crate::failpoint::reach("seal.look").expect("a test breaks it");
        // Asked first, so that what was committed before the end is seen.
        let last = flags.ending.load(Ordering::SeqCst);
        while !flags.stop.load(Ordering::SeqCst) {
            match sealer.step() {
                Ok(Some(done)) => count(&done, shared),
                Ok(None) => break,
                Err(error) if error.is_unsure() => {
                    shared.metrics.seal_errors.inc();
                    return Err(error);
                }
                Err(error) => {
                    // The journal is whole without it, so the stream goes on; the next checkpoint tries again.
                    shared.metrics.seal_errors.inc();
                    tracing::error!("sealing: {error}");
                    break;
                }
            }
        }
        if last {
            break;
        }
    }
    Ok(())
}

fn count(done: &SealReport, shared: &Shared) {
    let m = &shared.metrics;
    m.sealed_events.inc_by(done.events);
    m.retired_events.inc_by(done.retired_events);
    m.retired_records.inc_by(done.retired_records);
    m.journal_events.sub(done.retired_events.cast_signed());
    shared.sealed_bytes.store(crate::store::sealed_bytes(&shared.state_dir), Ordering::Relaxed);
    let SealReport { blocks, events, files, compacted, retired_files, retired_events, retired_records } =
        done;
    if *retired_files > 0 {
        tracing::info!(
            files = retired_files,
            events = retired_events,
            "events older than state.retain were deleted"
        );
    } else if *retired_records > 0 {
        tracing::info!(
            records = retired_records,
            "what was known of records older than state.retain was deleted"
        );
    } else if *compacted > 0 {
        tracing::debug!(files = compacted, "files of one day became one");
    } else {
        tracing::info!(blocks, events, files, "the journal was sealed");
    }
}
