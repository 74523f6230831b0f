//! Who has the state. A machine takes it by the record of its claim: whoever wrote before it finds that record where its
//! own next one should go, and writes nothing any more, however long it slept and whatever its clock says.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    Bucket, BucketError, ReplicaSettings, WhenAway, log,
    log::Written,
    objects::patiently,
    record::{Head, Kind, Record},
    restore, snapshot,
};
use crate::{
    event::Instant,
    failpoint, private, say,
    store::{StoreError, is_state},
};

/// Why a state cannot be replicated or taken.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// The replica's store did not do what it was asked.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The state did not do what it was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

/// What a state directory knows of the store: under which claim its commits went there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub(crate) to: String,
    /// The number of the claim.
    pub claim: u64,
    pub(crate) writer: String,
    /// The record that it was restored as of, if it was and nobody has claimed it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<u64>,
}

impl Mark {
    fn path(dir: &Path) -> PathBuf {
        dir.join("replica.json")
    }

    /// Reads it; `None` if the state was never replicated.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(dir: &Path) -> Result<Option<Self>, ReplicaError> {
        let path = Self::path(dir);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|e| super::objects::local(&path, &e))?,
        };
        // One that a crash left empty says nothing.
        Ok(serde_json::from_slice(&text).ok())
    }

    /// Writes it, durably.
    pub(super) fn write(&self, dir: &Path) -> Result<(), ReplicaError> {
        let (path, new) = (Self::path(dir), dir.join("replica.json.new"));
        let write = || {
            private::write(&new, serde_json::to_vec(self).unwrap_or_default())?;
            std::fs::File::open(&new)?.sync_all()?;
            std::fs::rename(&new, &path)?;
            std::fs::File::open(dir)?.sync_all()
        };
        Ok(write().map_err(|e| super::objects::local(&path, &e))?)
    }
}

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lease {
    pub host: String,
    /// Grows.
    pub beat: u64,
    /// Nobody writes any more.
    pub ended: bool,
    /// Commits go on without the store: what it has done since nobody else knows.
    pub goes_on: bool,
}

impl Lease {
    fn key(claim: u64) -> String {
        format!("leases/{claim:016}")
    }

    pub(super) fn put(&self, bucket: &Bucket, claim: u64) -> Result<(), BucketError> {
        bucket.put(&Self::key(claim), &serde_json::to_vec(self).unwrap_or_default())
    }

    fn get(bucket: &Bucket, claim: u64) -> Result<Option<Self>, BucketError> {
        Ok(bucket.get(&Self::key(claim))?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Whether somebody has claimed after this claim; then the lease says who.
    pub(super) fn later(bucket: &Bucket, claim: u64) -> Result<Option<String>, BucketError> {
        let keys = bucket.list("leases/", &Self::key(claim))?;
        let Some(last) = keys.last() else { return Ok(None) };
        let lease = bucket.get(last)?.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        Ok(Some(lease.map_or_else(|| last.clone(), |lease| lease.host)))
    }

    /// Removes those of claims before this one.
    pub(super) fn forget(bucket: &Bucket, claim: u64) -> Result<(), BucketError> {
        let keys = bucket.list("leases/", "")?;
        keys.iter().filter(|key| **key < Self::key(claim)).try_for_each(|key| bucket.delete(key))
    }
}

/// The last record of the log.
fn head(bucket: &Bucket) -> Result<Option<(u64, Head)>, BucketError> {
    let from = snapshot::numbers(bucket)?.last().copied().unwrap_or(0);
    // The record that the snapshot is of is kept, too.
    let there = log::after(bucket, from.saturating_sub(1))?;
    if from > 0 && there.first() != Some(&from) {
        return Err(log::lacks(bucket, from));
    }
    let Some(number) = there.last().copied() else { return Ok(None) };
    Ok(log::read(bucket, number)?.map(|record| (number, record.head)))
}

/// Whether the last record of a log is of the state that a mark is of, and nobody else's.
fn is_ours(head: Option<&(u64, Head)>, mark: Option<&Mark>) -> bool {
    head.is_none_or(|(_, head)| {
        let same = |mark: &Mark| mark.claim == head.claim && mark.writer == head.writer;
        mark.is_some_and(|mark| same(mark) && mark.restored.is_none())
    })
}

/// What a look at the store shows.
#[derive(Debug, PartialEq, Eq)]
pub enum ClaimStatus {
    /// Nobody has the state: it can be claimed.
    Free,
    /// Somebody has, or may have.
    Held {
        /// The machine that has the state.
        holder: String,
        /// How long no sign of life has been seen.
        silent: Duration,
        /// Whether one was seen since this process looks.
        lives: bool,
    },
    /// Somebody has, who goes on without the store: only people can tell whether that one is gone.
    ByHand {
        /// The machine that has the state.
        holder: String,
    },
}

/// A process that would have the state.
#[derive(Debug)]
pub struct Candidate {
    pub(super) bucket: Arc<Bucket>,
    pub(super) settings: ReplicaSettings,
    pub(super) dir: PathBuf,
    pub(super) writer: String,
    pub(super) host: String,
    /// What was last seen of who has it, and since when.
    seen: Option<(u64, Option<Lease>, std::time::Instant)>,
    /// Whether that has ever changed.
    lives: bool,
}

impl Candidate {
    /// One for a state directory, whose lock this process has.
    ///
    /// # Errors
    /// If the settings cannot be used.
    pub fn new(settings: &ReplicaSettings, dir: &Path) -> Result<Self, ReplicaError> {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Ok(Self {
            bucket: Arc::new(Bucket::open(&settings.place)?),
            settings: settings.clone(),
            dir: dir.to_owned(),
            writer: format!("{:032x}", rand::random::<u128>()),
            host: format!("{name}, process {}", std::process::id()),
            seen: None,
            lives: false,
        })
    }

    /// Looks who has the state. A look proves nothing; a claim does.
    ///
    /// # Errors
    /// If the store cannot be asked, or has another state.
    pub fn look(&mut self) -> Result<ClaimStatus, ReplicaError> {
        let before = head(&self.bucket)?;
        let mark = Mark::read(&self.dir)?;
        if is_ours(before.as_ref(), mark.as_ref()) {
            return Ok(ClaimStatus::Free);
        }
        let Some((number, head)) = before else { return Ok(ClaimStatus::Free) };
        if mark.is_none() && is_state(&self.dir) {
            return Err(ReplicaError::Other(say!(
                "the store {place} has the state of {holder}, and {dir} has one that never was there. Name another prefix in state.replicate.to, or move {dir} away to take the state of the store",
                place = self.bucket.place(),
                holder = head.host,
                dir = self.dir.display()
            )));
        }
        let lease = Lease::get(&self.bucket, head.claim)?;
        if lease.as_ref().is_some_and(|lease| lease.ended) {
            return Ok(ClaimStatus::Free);
        }
        let before = self.seen.take();
        let is_first = before.is_none();
        let same = before.filter(|(at, seen, _)| *at == number && *seen == lease);
        self.lives |= same.is_none() && !is_first;
        let since = same.map_or_else(std::time::Instant::now, |(_, _, since)| since);
        let goes_on = lease.as_ref().is_some_and(|lease| lease.goes_on && !lease.ended);
        self.seen = Some((number, lease, since));
        let silent = since.elapsed();
        if silent < failpoint::within("patience.takeover", self.settings.takeover_after) {
            return Ok(ClaimStatus::Held { holder: head.host, silent, lives: self.lives });
        }
        // Who restored it by hand has decided.
        let decided = mark.is_some_and(|mark| mark.restored.is_some());
        Ok(if goes_on && !decided { ClaimStatus::ByHand { holder: head.host } } else { ClaimStatus::Free })
    }

    /// Whether a claim would replace the state here by that of the store.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub fn would_restore(&self) -> Result<bool, ReplicaError> {
        let (before, mark) = (head(&self.bucket)?, Mark::read(&self.dir)?);
        Ok(!is_ours(before.as_ref(), mark.as_ref()))
    }

    /// Takes the state: from now on nobody else's commit gets into the store. If the newest state is not the one here, it
    /// is restored; `None` if another candidate was first.
    ///
    /// # Errors
    /// If the store cannot be asked, or what it has cannot be restored.
    pub fn claim(&self, now: Instant) -> Result<Option<Claimed>, ReplicaError> {
        self.take(now, true)
    }

    /// Takes the state that runs here once more; `None` if somebody else has it.
    pub(super) fn claim_again(&self, now: Instant) -> Result<Option<Claimed>, ReplicaError> {
        self.take(now, false)
    }

    /// What stands for a claim until there is one.
    pub(super) fn not_yet(&self) -> Claimed {
        Claimed {
            number: 0,
            head: Record::claim(0, &self.writer, &self.host, Instant::EPOCH).head,
            restored: false,
        }
    }

    fn take(&self, now: Instant, may_restore: bool) -> Result<Option<Claimed>, ReplicaError> {
        let before = head(&self.bucket)?;
        let mark = Mark::read(&self.dir)?;
        let is_ours = is_ours(before.as_ref(), mark.as_ref());
        // A state that runs is not replaced.
        if !is_ours && !may_restore {
            return Ok(None);
        }
        let mut number = before.as_ref().map_or(0, |(number, _)| *number) + 1;
        let head = loop {
            let record = Record::claim(number, &self.writer, &self.host, now);
            match patiently(|| log::write(&self.bucket, number, &record))? {
                Written::Ours => {
                    patiently(|| log::is_kept(&self.bucket, number, &record))?;
                    break record.head;
                }
                Written::Theirs(theirs) if theirs.kind == Kind::Claim => return Ok(None),
                // A commit that was under way.
                Written::Theirs(_) => number += 1,
            }
        };
        // Before anything that takes long: who slept meanwhile sees it, and tells nobody anything.
        patiently(|| self.lease(0, false).put(&self.bucket, number))?;
        let reach = |name: &str| failpoint::reach(name).map_err(|e| super::objects::local(&self.dir, &e));
        reach("replica.claimed")?;
        // Where no snapshot was ever completed nobody has begun to work.
        let restores = !is_ours && !patiently(|| snapshot::numbers(&self.bucket))?.is_empty();
        if restores {
            restore::into(&self.bucket, &self.dir, Some(number - 1))?;
        }
        reach("replica.restored")?;
        let mark =
            Mark { to: self.bucket.place(), claim: number, writer: self.writer.clone(), restored: None };
        mark.write(&self.dir)?;
        Ok(Some(Claimed { number, head, restored: restores }))
    }

    /// A sign of life.
    pub(super) fn lease(&self, beat: u64, ended: bool) -> Lease {
        Lease { host: self.host.clone(), beat, ended, goes_on: self.settings.when_away == WhenAway::GoOn }
    }

    /// Fetches sealed files, so that there is less to fetch when the state is taken.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub fn fetch_ahead(&self) -> Result<u64, ReplicaError> {
        restore::ahead(&self.bucket, &self.dir)
    }
}

/// A state that this process has.
#[derive(Debug)]
pub struct Claimed {
    /// The record of the claim.
    pub(super) number: u64,
    pub(super) head: Head,
    /// Whether it was restored from the store.
    pub restored: bool,
}
