//! Takes each commit to the store while it is its turn.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use parking_lot::{Mutex, MutexGuard};

use super::{
    Bucket, BucketError, WhenAway,
    log::{self, Written},
    record::{Head, Record},
    snapshot::Files,
};
use crate::{
    clock::Clock,
    event::Latest,
    failpoint,
    store::{Commits, Contents, LogTail, Ship, TailNews, Unshipped, finished_files},
};

/// How long a commit waits before it goes on without the store.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A folder that changed so lately may change again without another time.
const SETTLED: Duration = Duration::from_millis(100);

/// What metrics tell of a replica.
#[derive(Debug, Default)]
pub struct ReplicaFigures {
    /// Commits that are in the store.
    pub records: AtomicU64,
    /// Bytes that went there.
    pub bytes: AtomicU64,
    pub(crate) failures: AtomicU64,
    /// When the newest snapshot of this process was made.
    pub snapshot_at: Latest,
    /// Whether every commit is in the store.
    pub in_sync: AtomicBool,
    /// Time that commits have waited for the store, in microseconds.
    pub waited: AtomicU64,
}

/// Where the shipping stands.
#[derive(Debug)]
pub(super) struct Line {
    /// What is new here; `None` while the store is away and commits go on without it.
    pub tail: Option<LogTail>,
    /// The number of the next record.
    pub next: u64,
    /// What records say of who writes them.
    pub claim: Head,
    /// When the folders of files last changed, as far as they have been looked at.
    folders: Option<[Option<SystemTime>; 2]>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Shipper {
    pub bucket: Arc<Bucket>,
    pub dir: PathBuf,
    pub files: Files,
    pub figures: Arc<ReplicaFigures>,
    pub clock: Arc<dyn Clock>,
    when_away: WhenAway,
    line: Mutex<Line>,
    superseded: Mutex<Option<String>>,
    waiting: Mutex<Option<std::time::Instant>>,
    /// When the store last said that the state is ours.
    confirmed: Mutex<std::time::Instant>,
    takeover_after: Duration,
}

impl Shipper {
    pub(super) fn new(
        (bucket, dir, files): (Arc<Bucket>, PathBuf, Files),
        (figures, clock): (Arc<ReplicaFigures>, Arc<dyn Clock>),
        (when_away, takeover_after): (WhenAway, Duration),
        (number, claim): (u64, Head),
    ) -> Self {
        let line = Mutex::new(Line { tail: None, next: number + 1, claim, folders: None });
        let (superseded, waiting, confirmed) =
            (Mutex::default(), Mutex::default(), Mutex::new(std::time::Instant::now()));
        Self {
            bucket,
            dir,
            files,
            figures,
            clock,
            when_away,
            line,
            superseded,
            waiting,
            confirmed,
            takeover_after,
        }
    }

    pub(super) fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock()
    }

    /// Another one has the state.
    pub(super) fn superseded_by(&self, holder: &str) {
        self.figures.in_sync.store(false, Ordering::Relaxed);
        self.superseded.lock().get_or_insert_with(|| holder.to_owned());
    }

    /// The state is ours, as of a question that was asked then.
    pub(super) fn confirmed_at(&self, asked: std::time::Instant) {
        *self.confirmed.lock() = asked;
    }

    /// Notes a failure, and tells of it.
    pub(super) fn failed(&self, error: &BucketError) {
        self.figures.failures.fetch_add(1, Ordering::Relaxed);
        tracing::warn!("{error}");
    }

    /// Files that are complete and not in the store: they go there before the commit that registers them.
    fn new_files(&self, line: &mut Line) -> Result<BTreeMap<String, Contents>, BucketError> {
        let changed = ["sealed", "attachments"]
            .map(|folder| std::fs::metadata(self.dir.join(folder)).and_then(|about| about.modified()).ok());
        if line.folders == Some(changed) {
            return Ok(BTreeMap::new());
        }
        let mut new = BTreeMap::new();
        let all = finished_files(&self.dir).map_err(|e| super::objects::local(&self.dir, &e))?;
        for (name, about) in all {
            if let Some(contents) = self.files.put(&self.bucket, &self.dir, &name, &about)? {
                self.figures.bytes.fetch_add(contents.bytes, Ordering::Relaxed);
                new.insert(name, contents);
            }
        }
        let now = SystemTime::now();
        let is_settled = |at: &Option<SystemTime>| {
            at.is_none_or(|at| now.duration_since(at).is_ok_and(|age| age > SETTLED))
        };
        line.folders = changed.iter().all(is_settled).then_some(changed);
        Ok(new)
    }

    fn attempt(
        &self,
        line: &mut Line,
        record: &mut Record,
        files: &mut BTreeMap<String, Contents>,
    ) -> Result<Written, BucketError> {
        files.extend(self.new_files(line)?);
        record.head.files.clone_from(files);
        failpoint::reach("replica.before").map_err(|e| super::objects::local(&self.dir, &e))?;
        let written = log::write(&self.bucket, line.next, record)?;
        failpoint::reach("replica.after").map_err(|e| super::objects::local(&self.dir, &e))?;
        Ok(written)
    }

    fn deliver(&self, line: &mut Line, pages: &Commits, is_over: &dyn Fn() -> bool) -> Result<(), Unshipped> {
        let unconfirmed = |why: String| Unshipped::Unconfirmed { why };
        let mut record = Record::commit(&line.claim, pages, self.clock.now())
            .map_err(|error| unconfirmed(error.to_string()))?;
        let (started, mut pause, mut told) = (std::time::Instant::now(), Duration::from_millis(50), false);
        let mut files = BTreeMap::new();
        let mut asked;
        loop {
            asked = std::time::Instant::now();
            let error = match self.attempt(line, &mut record, &mut files) {
                Ok(Written::Ours) => break,
                Ok(Written::Theirs(theirs)) => {
                    self.superseded_by(&theirs.host);
                    return Err(Unshipped::Superseded { holder: theirs.host });
                }
                Err(error) => error,
            };
            self.figures.failures.fetch_add(1, Ordering::Relaxed);
            if !told {
                tracing::warn!("{error}; the commit waits for it");
                told = true;
            }
            if is_over() {
                return Err(unconfirmed(error.to_string()));
            }
            let patience = failpoint::within("patience.replica", PATIENCE);
            if self.when_away == WhenAway::GoOn && started.elapsed() >= patience {
                self.goes_on(line, &error);
                return Ok(());
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
        if told {
            tracing::info!(seconds = started.elapsed().as_secs(), "the store of the replica answers again");
        }
        line.next += 1;
        self.confirmed_at(asked);
        self.figures.records.fetch_add(1, Ordering::Relaxed);
        self.figures.bytes.fetch_add(record.bytes().len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Commits go on without the store until a snapshot is in it again.
    pub(super) fn goes_on(&self, line: &mut Line, error: &BucketError) {
        line.tail = None;
        self.figures.in_sync.store(false, Ordering::Relaxed);
        tracing::error!(
            "{error}; commits go on without it (state.replicate.when_away), and what is committed from now on is on this machine only, until it answers and has another snapshot"
        );
    }
}

impl Ship for Shipper {
    fn ship(&self, is_over: &dyn Fn() -> bool) -> Result<(), Unshipped> {
        if let Some(why) = self.refuses() {
            return Err(why);
        }
        let mut line = self.line();
        let Some(tail) = &mut line.tail else { return Ok(()) };
        let news = tail.look();
        let started = std::time::Instant::now();
        *self.waiting.lock() = Some(started);
        let shipped = match news {
            Ok(TailNews::Nothing) => Ok(()),
            Ok(TailNews::Pages(pages)) => self.deliver(&mut line, &pages, is_over),
            // The next start has a snapshot with it.
            Ok(TailNews::Missed) if self.when_away == WhenAway::Wait => {
                Err(Unshipped::Unconfirmed { why: crate::say!("another program wrote to the database") })
            }
            Ok(TailNews::Missed) => {
                let why = crate::say!("another program wrote to the database");
                self.goes_on(&mut line, &super::objects::local(&self.dir, &std::io::Error::other(why)));
                Ok(())
            }
            Err(error) => {
                Err(Unshipped::Unconfirmed { why: super::objects::local(&self.dir, &error).to_string() })
            }
        };
        *self.waiting.lock() = None;
        let waited = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.figures.waited.fetch_add(waited, Ordering::Relaxed);
        shipped
    }

    fn refuses(&self) -> Option<Unshipped> {
        self.superseded.lock().clone().map(|holder| Unshipped::Superseded { holder })
    }

    fn may_tell(&self) -> bool {
        // Who goes on without the store is not taken over from.
        let lately = self.confirmed.lock().elapsed() < self.takeover_after;
        self.refuses().is_none() && (lately || self.when_away == WhenAway::GoOn)
    }

    fn waits(&self) -> Option<Duration> {
        self.waiting.lock().as_ref().map(std::time::Instant::elapsed)
    }
}
