//! What a source tells of itself while it runs, for readiness, status and metrics.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use parking_lot::Mutex;
use serde::Serialize;

use crate::{say, stream::Receipt};

/// Partitions that are told of one by one; more are read, but not told.
const PARTITIONS_MAX: usize = 1000;
/// Losses that are kept in words; all are counted, and in quarantine.
const LOSSES_MAX: usize = 20;

/// Files that are told of one by one, the latest; all are counted.
const FILES_MAX: usize = 50;
/// Names that are told of what is left in a directory.
const NAMES_MAX: usize = 20;

/// What a running source told last.
#[derive(Debug, Default)]
pub struct SourceStatus {
    told: Mutex<SourceReport>,
}

/// What a source tells.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SourceReport {
    pub(crate) started: bool,
    /// What it cannot read yet, such as a topic that does not exist.
    pub waits_for: BTreeSet<String>,
    /// What is wrong at the moment, by what it is wrong with.
    pub troubles: BTreeMap<String, String>,
    /// Errors since the start; it went on after each.
    pub errors: u64,
    /// How far its partitions are read.
    pub partitions: BTreeMap<String, PartitionStatus>,
    /// What the broker no longer had, in words, the latest last.
    pub losses: Vec<String>,
    /// Records that the broker no longer had, by partition, as far as their number is known.
    pub lost: BTreeMap<String, u64>,
    /// Files read to their end since the start.
    pub files_read: u64,
    /// Files that could not be read, or not to their end, since the start.
    pub files_refused: u64,
    /// What became of the records of the latest files, the latest last.
    pub files: VecDeque<FileStatus>,
    /// What lies in the directory and is not read.
    pub left: Left,
    /// Rows of a database that were read again, and known.
    pub rows_again: u64,
    /// Rows that were found only because one reads again: they were committed late.
    pub rows_late: u64,
}

/// What became of a file.
#[derive(Debug, Clone, Serialize)]
pub struct FileStatus {
    pub file: String,
    /// Lines or rows seen: the sum of those that follow.
    pub seen: u64,
    /// Accepted, known already, in quarantine, and empty ones.
    #[serde(flatten)]
    pub counts: Receipt,
    /// Why it could not be read to its end.
    pub fault: Option<String>,
}

/// What lies in a drop directory and is not read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Files whose names do not match the pattern.
    pub unmatched: u64,
    /// Folders, which are not looked into.
    pub folders: u64,
    /// Files that could not be read and stay for a person to look at.
    pub refused: u64,
    /// The first names of the unmatched files and of the folders.
    pub names: BTreeSet<String>,
}

impl Left {
    /// One more thing that is not read.
    pub fn name(&mut self, name: &str) {
        if self.names.len() < NAMES_MAX {
            self.names.insert(name.to_owned());
        }
    }
}

/// How far a partition is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PartitionStatus {
    /// Where reading goes on.
    pub next: u64,
    /// Offsets from there to the partition's end.
    pub lag: u64,
}

impl SourceStatus {
    /// What was told last.
    pub fn told(&self) -> SourceReport {
        self.with(|told| told.clone())
    }

    /// The source runs, and waits for these.
    pub fn start(&self, waits_for: impl IntoIterator<Item = String>) {
        self.with(|told| {
            told.started = true;
            told.waits_for.extend(waits_for);
        });
    }

    /// This is read from now on.
    pub fn reads(&self, what: &str) {
        self.with(|told| told.waits_for.remove(what));
    }

    /// Something that is known to be wrong failed once more.
    pub fn error(&self) {
        self.with(|told| told.errors += 1);
    }

    /// Something is wrong; `true` if it was not known yet.
    pub fn trouble(&self, with: &str, trouble: &str) -> bool {
        self.with(|told| {
            told.errors += 1;
            told.troubles.insert(with.to_owned(), trouble.to_owned()).as_deref() != Some(trouble)
        })
    }

    /// Nothing is wrong any more; `true` if something was.
    pub fn recovered(&self, with: &str) -> bool {
        self.with(|told| told.troubles.remove(with).is_some())
    }

    /// The broker no longer has what was to be read next.
    pub fn lost(&self, partition: &str, records: Option<u64>, detail: &str) {
        self.with(|told| {
            *told.lost.entry(partition.to_owned()).or_default() += records.unwrap_or(0);
            if told.losses.len() == LOSSES_MAX {
                told.losses.remove(0);
            }
            told.losses.push(format!("{partition}: {detail}"));
        });
    }

    /// How far a partition is read.
    pub fn partition(&self, partition: &str, status: PartitionStatus) {
        self.with(|told| {
            let room = told.partitions.len() < PARTITIONS_MAX;
            if let Some(known) = told.partitions.get_mut(partition) {
                *known = status;
            } else if room {
                told.partitions.insert(partition.to_owned(), status);
            }
        });
    }

    /// What became of a file that is done with.
    pub fn file(&self, file: &str, counts: Receipt, fault: Option<&str>) {
        self.with(|told| {
            *(if fault.is_some() { &mut told.files_refused } else { &mut told.files_read }) += 1;
            if told.files.len() == FILES_MAX {
                told.files.pop_front();
            }
            let (file, fault) = (file.to_owned(), fault.map(str::to_owned));
            told.files.push_back(FileStatus { file, seen: counts.seen(), counts, fault });
        });
    }

    /// What lies in the directory and is not read.
    pub fn left(&self, left: Left) {
        self.with(|told| told.left = left);
    }

    /// Rows of a stretch that is read again: known ones, and those that came late.
    pub fn rows(&self, again: u64, late: u64) {
        self.with(|told| {
            told.rows_again += again;
            told.rows_late += late;
        });
    }

    /// A partition is gone.
    pub fn forget(&self, partition: &str) {
        self.with(|told| told.partitions.remove(partition));
    }

    fn with<T>(&self, change: impl FnOnce(&mut SourceReport) -> T) -> T {
        change(&mut self.told.lock())
    }
}

impl SourceReport {
    /// Whether it runs, and nothing is wrong with it.
    pub fn is_up(&self) -> bool {
        self.started && self.waits_for.is_empty() && self.troubles.is_empty()
    }

    /// Why the source is not read as configured yet; `None` if it is.
    pub fn not_ready(&self) -> Option<String> {
        if !self.started {
            return Some(say!("it is starting"));
        }
        let (first, more) = (self.waits_for.first()?, self.waits_for.len() - 1);
        let why = self.troubles.get(first).cloned().unwrap_or_else(|| say!("it is opened"));
        Some(match more {
            0 => say!("{what}: {why}", what = first, why),
            _ => say!("{what}: {why}; and {more} more", what = first, why, more),
        })
    }
}
