//! What a drop directory holds, and what is told of it: files that are done with, and what is not read.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    path::PathBuf,
};

use super::super::{Account, Left, Outlet};

/// Names that are told in the log.
const TOLD_MAX: usize = 1000;

/// What lies in a directory.
#[derive(Default)]
pub(crate) struct DirectoryScan {
    /// Files to read, with their partitions.
    pub files: BTreeMap<PathBuf, String>,
    /// Files that were changed a moment ago.
    pub settling: BTreeSet<PathBuf>,
    /// The partitions of files that were read before.
    pub known: HashSet<String>,
    pub unmatched: BTreeSet<String>,
    pub folders: BTreeSet<String>,
}

/// A file that is read, of which not everything may be committed yet.
pub(crate) struct UncommittedFile {
    pub name: String,
    pub fault: Option<String>,
    pub account: Account,
}

/// What a source remembers of its files to tell of them.
#[derive(Default)]
pub(crate) struct DirectoryWatch {
    /// The partitions of files that could not be read.
    pub refused: HashSet<String>,
    /// Names that were told of.
    told: HashSet<String>,
    /// Files whose last block is on its way; bounded by the channels.
    pub open: VecDeque<UncommittedFile>,
}

impl DirectoryWatch {
    /// A source of which these files could not be read before.
    pub(crate) fn new(refused: HashSet<String>) -> Self {
        Self { refused, ..Self::default() }
    }

    /// Says once of each file and folder that it is not read, and keeps count of them.
    pub(crate) fn tell(&mut self, scan: &DirectoryScan, outlet: &Outlet) {
        let mut left = Left {
            unmatched: scan.unmatched.len() as u64,
            folders: scan.folders.len() as u64,
            refused: self.refused.intersection(&scan.known).count() as u64,
            ..Left::default()
        };
        for name in &scan.unmatched {
            left.name(name);
            if self.is_news(name) {
                tracing::warn!(source = %outlet.name, file = name, "the name does not match the pattern, so the file is not read; rename it, or change `pattern`");
            }
        }
        for name in &scan.folders {
            left.name(&format!("{name}/"));
            if self.is_news(name) {
                tracing::warn!(source = %outlet.name, folder = name, "a folder is not looked into; give it a source of its own");
            }
        }
        outlet.status.left(left);
    }

    fn is_news(&mut self, name: &str) -> bool {
        self.told.len() < TOLD_MAX && self.told.insert(name.to_owned())
    }

    /// Tells of the files that are committed by now.
    pub(crate) fn settle(&mut self, outlet: &Outlet) {
        while self.open.front_mut().is_some_and(|done| done.account.settle()) {
            if let Some(done) = self.open.pop_front() {
                Self::close(done, outlet);
            }
        }
    }

    /// Waits for all files and tells of them.
    pub(crate) fn wait(&mut self, outlet: &Outlet) {
        while let Some(done) = self.open.pop_front() {
            Self::close(done, outlet);
        }
    }

    /// Waits until a file is committed, and tells of it; `false` if the loop ended before.
    pub(crate) fn close(mut done: UncommittedFile, outlet: &Outlet) -> bool {
        let committed = done.account.wait();
        if committed {
            done.account.tell(&done.name, done.fault.as_deref(), outlet);
        }
        committed
    }
}
