//! A drop directory: every file that is put there is read once, in the order of names. Writers put a file there
//! under its final name when it is complete (write elsewhere, then rename).

mod watch;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use globset::GlobMatcher;
use serde::{Deserialize, Serialize};

use super::{
    Account, Chunks, Encoding, Format, Outlet, Positions, ReadError, SourceError,
    file::{file_block, stopped_after},
};
use crate::map::Map;
use crate::private;
use crate::stream::{Payload, Position, Reject, RejectReason, Span};
use watch::{DirectoryScan, DirectoryWatch, UncommittedFile};

/// How long to wait before the directory is looked at again.
const POLL: Duration = Duration::from_millis(500);
/// The token of a file that is read as far as it can be read, and stays for a person to look at.
const DONE: &str = "done";
/// The token of a file that is read whole, and may be put away.
const WHOLE: &str = "whole";

/// The folders beside the files that they are moved into.
const FINISHED: &str = "done";
const REFUSED: &str = "refused";
const OURS: [&str; 2] = [FINISHED, REFUSED];

/// Files that were seen and are not settled, with the time since when.
type Settling = HashMap<String, std::time::Instant>;

/// What is done with a file after everything in it is committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Afterwards {
    /// It stays.
    #[default]
    Keep,
    /// It is moved into the folder `done` beside it.
    Move,
    /// It is deleted.
    Delete,
}

/// A directory to read.
#[derive(Debug, Clone)]
pub struct DirectorySource {
    pub path: PathBuf,
    /// The names of the files to read.
    pub pattern: GlobMatcher,
    /// What they hold, if their names do not tell.
    pub encoding: Option<Encoding>,
    /// How their records become events, if they are none yet.
    pub map: Option<Arc<Map>>,
    /// What is done with a file afterwards.
    pub afterwards: Afterwards,
    /// Whether a file that cannot be read is moved into the folder `refused` beside it.
    pub move_refused: bool,
    /// A file is read when it was not changed for so long.
    pub settle: Duration,
}

impl DirectorySource {
    /// Reads the files that are there, and unless it is to be done once those that come, until asked to stop.
    ///
    /// # Errors
    /// If the directory cannot be read. A file that cannot be read goes to quarantine.
    pub fn run(&self, outlet: &Outlet, positions: &Positions) -> Result<(), SourceError> {
        let with = |token: &str| {
            let read = positions.iter().filter(|(_, p)| p.token == token);
            read.map(|(partition, _)| partition.clone()).collect::<HashSet<_>>()
        };
        let mut watch = DirectoryWatch::new(with(DONE));
        // A crash may have come between the commit of a file's end and putting it away.
        for (path, partition) in self.scan(&watch.refused, &mut Settling::new())?.files {
            if positions.get(&partition).is_some_and(|p| p.token == WHOLE) {
                self.put_away(&path, outlet);
            }
        }
        let mut seen: HashSet<String> = with(WHOLE).union(&watch.refused).cloned().collect();
        let mut settling = Settling::new();
        // What is read once: the files that are there at the start.
        let mut wanted: Option<BTreeSet<PathBuf>> = None;
        loop {
            let scan = self.scan(&seen, &mut settling)?;
            watch.tell(&scan, outlet);
            let there = scan.files.keys().chain(&scan.settling);
            match &mut wanted {
                None if outlet.once => wanted = Some(there.cloned().collect()),
                None => {}
                Some(wanted) => {
                    let there: HashSet<_> = there.collect();
                    wanted.retain(|path| there.contains(path));
                }
            }
            for (path, partition) in scan.files {
                if wanted.as_mut().is_some_and(|wanted| !wanted.remove(&path)) {
                    continue;
                }
                let at = positions.get(&partition).cloned().unwrap_or_default();
                if !self.read(&path, &partition, at, &mut watch, outlet) {
                    return Ok(());
                }
                seen.insert(partition);
            }
            watch.settle(outlet);
            if wanted.as_ref().is_some_and(BTreeSet::is_empty) {
                watch.wait(outlet);
                return Ok(());
            }
            if stopped_after(outlet, POLL) {
                return Ok(());
            }
        }
    }

    /// The first file by name that would be read, if there is one.
    #[must_use]
    pub fn sample(&self) -> Option<PathBuf> {
        let scan = self.scan(&HashSet::new(), &mut Settling::new()).ok()?;
        scan.files.keys().chain(&scan.settling).min().cloned()
    }

    /// Files that are ready and were not read, by name, and what else lies there. A file that was changed is another file.
    fn scan(&self, seen: &HashSet<String>, settling: &mut Settling) -> Result<DirectoryScan, SourceError> {
        let fail = |error| SourceError::Directory { path: self.path.clone(), error };
        let mut scan = DirectoryScan::default();
        let mut waiting = Settling::new();
        for entry in std::fs::read_dir(&self.path).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(metadata) = entry.metadata() else { continue };
            if name.starts_with('.') || OURS.contains(&name.as_str()) {
                continue;
            }
            if metadata.is_dir() {
                scan.folders.insert(name);
                continue;
            }
            if !metadata.is_file() || !self.pattern.is_match(&name) {
                scan.unmatched.insert(name);
                continue;
            }
            let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
            let settled = SystemTime::now().duration_since(modified).is_ok_and(|age| age >= self.settle);
            let stamp = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
            let partition = format!("{name}#{}-{stamp}", metadata.len());
            if seen.contains(&partition) {
                scan.known.insert(partition);
                continue;
            }
            // The clock may stand before the file's time, here or where the file was written; so a file is also
            // settled when it was seen for so long as it is.
            let since = settling.get(&partition).copied().unwrap_or_else(std::time::Instant::now);
            if settled || since.elapsed() >= self.settle {
                scan.files.insert(entry.path(), partition);
            } else {
                waiting.insert(partition, since);
                scan.settling.insert(entry.path());
            }
        }
        *settling = waiting;
        Ok(scan)
    }

    /// Reads one file. `false` if asked to stop.
    fn read(
        &self,
        path: &Path,
        partition: &str,
        at: Position,
        watch: &mut DirectoryWatch,
        outlet: &Outlet,
    ) -> bool {
        let format = Format::of(path, self.encoding);
        let partition: Arc<str> = partition.into();
        let (mut at, mut account) = (at, Account::default());
        let opened =
            Chunks::open(path, format, outlet.rows, (at.offset, at.records), false, self.map.as_deref());
        let mut failed = None;
        match opened {
            Err(error) => failed = Some((RejectReason::Unreadable, error, bytes::Bytes::new())),
            Ok(mut chunks) => loop {
                match chunks.next_chunk() {
                    Ok(Some(chunk)) => {
                        let to =
                            Position { offset: chunk.to, records: chunk.next_record, token: String::new() };
                        let span = Self::span(outlet, &partition, &at, to.clone());
                        at = to;
                        let mut block =
                            file_block(&outlet.name, path, chunk.first_record, chunk.payload, Some(span));
                        account.follow(&mut block);
                        if !outlet.send_blocking(block) {
                            return false;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        failed = Some((error.reason(), error, chunks.rest()));
                        break;
                    }
                }
            },
        }
        self.finish(path, &partition, &at, failed, account, watch, outlet)
    }

    fn span(outlet: &Outlet, partition: &Arc<str>, from: &Position, to: Position) -> Span {
        Span { source: Arc::clone(&outlet.name), partition: Arc::clone(partition), from: from.offset, to }
    }

    /// Marks a file as read, with what is wrong with it, and puts it away after that is committed.
    #[allow(clippy::too_many_arguments)] // They are what is known of one file.
    fn finish(
        &self,
        path: &Path,
        partition: &Arc<str>,
        at: &Position,
        failed: Option<(RejectReason, ReadError, bytes::Bytes)>,
        mut account: Account,
        watch: &mut DirectoryWatch,
        outlet: &Outlet,
    ) -> bool {
        let fault = failed.as_ref().map(|(_, error, _)| error.to_string());
        let token = if failed.is_some() { DONE } else { WHOLE };
        let to = Position { token: String::from(token), ..at.clone() };
        let span = Self::span(outlet, partition, at, to);
        let rejects = failed.map(|(reason, error, raw)| {
            tracing::error!(source = %outlet.name, "{error}");
            let partition: Arc<str> = path.display().to_string().into();
            let record = at.records + 1;
            Reject {
                reason,
                detail: error.to_string(),
                source: Arc::clone(&outlet.name),
                partition,
                record,
                raw,
            }
        });
        let payload = Payload::Rejected(rejects.into_iter().collect());
        let mut block = file_block(&outlet.name, path, at.records, payload, Some(span));
        account.follow(&mut block);
        if !outlet.send_blocking(block) {
            return false;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if fault.is_some() {
            watch.refused.insert(partition.to_string());
        }
        let whole = fault.is_none();
        let done = UncommittedFile { name, fault, account };
        // A file that could not be read whole stays where it is, for a person to look at.
        let stays = if whole { self.afterwards == Afterwards::Keep } else { !self.move_refused };
        if stays {
            watch.open.push_back(done);
            watch.settle(outlet);
        } else if DirectoryWatch::close(done, outlet) {
            if whole { self.put_away(path, outlet) } else { self.refuse(path, outlet) }
        }
        true
    }

    /// Moves a file that could not be read out of the way.
    fn refuse(&self, path: &Path, outlet: &Outlet) {
        if let Some(name) = path.file_name() {
            let moved = self.beside(REFUSED).and_then(|folder| std::fs::rename(path, folder.join(name)));
            if let Err(error) = moved {
                tracing::warn!(source = %outlet.name, path = %path.display(), "refused, but it cannot be moved: {error}");
            }
        }
    }

    /// The folder of that name in the drop directory. Whoever may use the one may use the other: no more, whatever the
    /// umask, and no fewer.
    fn beside(&self, name: &str) -> std::io::Result<PathBuf> {
        let folder = self.path.join(name);
        if !folder.is_dir() {
            private::create_dir_all(&folder)?;
            std::fs::set_permissions(&folder, self.path.metadata()?.permissions())?;
        }
        Ok(folder)
    }

    fn put_away(&self, path: &Path, outlet: &Outlet) {
        let result = crate::failpoint::reach("directory.committed").and_then(|()| {
            match (self.afterwards, path.file_name()) {
                (Afterwards::Delete, _) => std::fs::remove_file(path),
                (Afterwards::Move, Some(name)) => {
                    let done = self.beside(FINISHED)?;
                    crate::failpoint::reach("directory.folder")?;
                    std::fs::rename(path, done.join(name))
                }
                _ => Ok(()),
            }?;
            crate::failpoint::reach("directory.done")
        });
        if let Err(error) = result {
            tracing::warn!(source = %outlet.name, path = %path.display(), "read, but it cannot be put away: {error}");
        }
    }
}
