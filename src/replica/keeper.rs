//! What goes on beside the commits: signs of life, snapshots now and then, and the way back after the store was away.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
};

use super::{
    BucketError, ReplicaFigures, ReplicaSettings, WhenAway,
    claim::{Candidate, Claimed, Lease, ReplicaError},
    shipper::Shipper,
    snapshot::{self, Files},
};
use crate::{
    clock::Clock,
    store::{LogTail, Pinned, Ship, Turns},
};

/// So many signs of life are given in the time after which a silent machine is taken for gone.
const BEATS: u32 = 5;
/// After so many records there is another snapshot, or a restore would take too long.
const RECORDS_MAX: u64 = 20_000;

/// A state that is replicated, until it is dropped.
#[derive(Debug)]
pub struct Keeper {
    shipper: Arc<Shipper>,
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Begins to replicate the state that a candidate has claimed, after a first snapshot. Nobody may write yet. What could not
    /// be claimed, because the store is away, is claimed when it is back.
    ///
    /// # Errors
    /// If the store has no snapshot in the end.
    pub fn start(
        candidate: Candidate,
        claimed: Option<Claimed>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, ReplicaError> {
        let claimed_now = claimed.is_some();
        let work = Work::new(candidate, claimed, clock)?;
        if claimed_now && let Err(error) = work.begin_anew() {
            match error {
                ReplicaError::Bucket(away @ BucketError::Away { .. })
                    if work.settings.when_away == WhenAway::GoOn =>
                {
                    work.shipper.goes_on(&mut work.shipper.line(), &away);
                }
                error => return Err(error),
            }
        }
        let shipper = Arc::clone(&work.shipper);
        Turns::of(&shipper.dir).ship_by(Some(Arc::clone(&shipper) as Arc<dyn Ship>));
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("replica-keeper".to_owned())
            .spawn(move || work.run(&stopped))
            .map_err(|e| super::objects::local(&shipper.dir, &e))?;
        Ok(Self { shipper, stop, thread: Some(thread) })
    }

    /// What metrics tell of it.
    #[must_use]
    pub fn figures(&self) -> Arc<ReplicaFigures> {
        Arc::clone(&self.shipper.figures)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // The shipper stays: what still runs of this process must not commit past it.
    }
}

/// One snapshot, and nothing else: the store has the state as of now.
///
/// # Errors
/// If the store has no snapshot in the end.
pub fn once(
    candidate: Candidate,
    claimed: Claimed,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<ReplicaFigures>, ReplicaError> {
    let work = Work::new(candidate, Some(claimed), clock)?;
    work.begin_anew()?;
    work.tidy();
    work.beat(1, true);
    Ok(Arc::clone(&work.shipper.figures))
}

struct Work {
    candidate: Candidate,
    shipper: Arc<Shipper>,
    settings: ReplicaSettings,
    clock: Arc<dyn Clock>,
    lost: AtomicBool,
}

impl Work {
    fn new(
        candidate: Candidate,
        claimed: Option<Claimed>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, ReplicaError> {
        let (bucket, dir) = (Arc::clone(&candidate.bucket), candidate.dir.clone());
        // What cannot be read is put there again.
        let last = snapshot::numbers(&bucket).ok().and_then(|numbers| numbers.last().copied());
        let manifest = last.and_then(|number| snapshot::read(&bucket, number).ok().flatten());
        let claimed = claimed.unwrap_or_else(|| candidate.not_yet());
        let files = Files::of(manifest.as_ref(), &dir);
        let settings = candidate.settings.clone();
        let shipper = Shipper::new(
            (bucket, dir, files),
            (Arc::default(), Arc::clone(clock)),
            (settings.when_away, settings.takeover_after),
            (claimed.number, claimed.head),
        );
        let (shipper, clock) = (Arc::new(shipper), Arc::clone(clock));
        Ok(Self { candidate, shipper, settings, clock, lost: AtomicBool::default() })
    }

    fn dir(&self) -> &Path {
        &self.shipper.dir
    }

    /// Ships from now on, and puts a snapshot of now under it.
    fn begin_anew(&self) -> Result<(), ReplicaError> {
        self.snapshot(true)
    }

    fn snapshot(&self, anew: bool) -> Result<(), ReplicaError> {
        let shipper = &self.shipper;
        let (pinned, (number, claim)) = Pinned::at(self.dir(), || {
            let mut line = shipper.line();
            if anew {
                let failed = |error| crate::store::StoreError::Directory { path: shipper.dir.clone(), error };
                line.tail = Some(LogTail::at_end(&shipper.dir).map_err(failed)?);
            }
            Ok((line.next - 1, line.claim.claim))
        })?;
        let now = self.clock.now();
        let bytes =
            snapshot::make(&shipper.bucket, self.dir(), &pinned, &shipper.files, (number, claim, now))?;
        let figures = &shipper.figures;
        figures.bytes.fetch_add(bytes, Ordering::Relaxed);
        figures.snapshot_at.note(now);
        // If the store went away meanwhile, it is not in sync after all.
        let in_sync = {
            let mut line = shipper.line();
            if line.claim.claim == claim {
                line.claim.snapshot = Some(number);
            }
            line.tail.is_some()
        };
        figures.in_sync.store(in_sync, Ordering::Relaxed);
        tracing::info!(bytes, record = number, "a snapshot of the state is in the store of the replica");
        Ok(())
    }

    fn run(self, stopped: &Receiver<()>) {
        let pause = self.settings.takeover_after / BEATS;
        let (mut beats, mut due) = (0, std::time::Instant::now() + self.settings.every);
        let mut records = 0;
        let mut tried = std::time::Instant::now();
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(pause) {
            beats += 1;
            self.beat(beats, false);
            if self.lost.load(Ordering::SeqCst) {
                continue;
            }
            let is_away = self.shipper.line().tail.is_none();
            let shipped = self.shipper.figures.records.load(Ordering::Relaxed);
            let done = if is_away {
                self.come_back()
            } else if (std::time::Instant::now() >= due || shipped - records >= RECORDS_MAX)
                && tried.elapsed() >= pause
            {
                self.snapshot(false).inspect(|()| self.tidy())
            } else {
                continue;
            };
            tried = std::time::Instant::now();
            match done {
                Ok(()) => (due, records) = (std::time::Instant::now() + self.settings.every, shipped),
                Err(ReplicaError::Bucket(error)) => self.shipper.failed(&error),
                Err(error) => {
                    self.shipper.figures.failures.fetch_add(1, Ordering::Relaxed);
                    tracing::error!("{error}");
                }
            }
        }
        self.beat(beats + 1, self.shipper.figures.in_sync.load(Ordering::Relaxed));
    }

    /// Gives a sign of life, and looks whether somebody else does.
    fn beat(&self, beat: u64, ended: bool) {
        let (bucket, claim) = (&self.shipper.bucket, self.shipper.line().claim.claim);
        if claim == 0 {
            return;
        }
        let asked = std::time::Instant::now();
        match Lease::later(bucket, claim) {
            Ok(Some(holder)) if !self.lost.swap(true, Ordering::SeqCst) => {
                self.shipper.superseded_by(&holder);
            }
            Ok(Some(_)) => {}
            Ok(None) => {
                self.shipper.confirmed_at(asked);
                if let Err(error) = self.candidate.lease(beat, ended).put(bucket, claim) {
                    self.shipper.failed(&error);
                }
            }
            Err(error) => self.shipper.failed(&error),
        }
    }

    /// The store was away, and commits went on without it: the state is claimed once more, unless somebody else has it,
    /// and a snapshot closes the gap.
    fn come_back(&self) -> Result<(), ReplicaError> {
        let Some(claimed) = self.candidate.claim_again(self.clock.now())? else {
            self.lost.store(true, Ordering::SeqCst);
            self.shipper.superseded_by(&crate::say!("another machine"));
            return Ok(());
        };
        {
            let mut line = self.shipper.line();
            (line.next, line.claim) = (claimed.number + 1, claimed.head);
        }
        self.snapshot(true)?;
        tracing::info!("the store of the replica has everything again");
        Ok(())
    }

    fn tidy(&self) {
        let claim = self.shipper.line().claim.claim;
        match snapshot::tidy(&self.shipper.bucket, self.dir(), &self.shipper.files, claim) {
            Ok(0) => {}
            Ok(deleted) => tracing::debug!(deleted, "what the replica does not need any more is deleted"),
            Err(error) => self.shipper.failed(&error),
        }
    }
}
