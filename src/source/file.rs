//! One file: read once, or followed as it grows. A followed file survives rotation: the old one is read to its end
//! first, then the new one at the same path is opened; a restart in between finds the old one by its inode and
//! the hash of its start.

use std::{
    fs::{File, Metadata},
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::{
    Account, Chunk, Chunks, Format, Outlet, Positions, ReadError, SourceError,
    chunks::{can_grow, open},
};
use crate::map::Map;
use crate::stream::{Block, Payload, Position, Reject, RejectReason, Span};

/// How long to wait before a growing file is looked at again.
const POLL: Duration = Duration::from_millis(100);
/// The start of a file that tells it from another one.
const HEAD_BYTES: u64 = 1024;
/// What a source's trouble with its file is told under.
const FILE: &str = "the file";

/// Which file a position belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
    /// The bytes that `head` is the hash of.
    head_bytes: u64,
    head: u64,
}

/// A file to read.
#[derive(Debug, Clone)]
pub struct FileSource {
    pub path: PathBuf,
    pub format: Format,
    /// Whether to wait for more at its end.
    pub follow: bool,
    /// How its records become events, if they are none yet.
    pub map: Option<Arc<Map>>,
}

impl FileIdentity {
    /// The identity of an open file, by its first bytes up to `upto`.
    fn of(file: &File, metadata: &Metadata, upto: u64) -> std::io::Result<Self> {
        let head_bytes = upto.min(HEAD_BYTES);
        let mut head = Vec::new();
        // A second descriptor with a place of its own, so that the reader's is not moved.
        let mut start = File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file)))?;
        (&mut start).take(head_bytes).read_to_end(&mut head)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            head_bytes: head.len() as u64,
            head: xxh3_64(&head),
        })
    }

    /// Whether `path` is this file, perhaps grown since.
    fn is(&self, path: &Path, offset: u64, compressed: bool) -> bool {
        let Ok(file) = File::open(path) else { return false };
        let Ok(metadata) = file.metadata() else { return false };
        let same = Self::of(&file, &metadata, self.head_bytes);
        let long_enough = compressed || metadata.len() >= offset;
        metadata.is_file()
            && long_enough
            && same.is_ok_and(|other| other.head == self.head && other.head_bytes == self.head_bytes)
    }
}

/// One life of a path: from the file's creation to its rotation.
struct Generation {
    number: u64,
    position: Position,
}

impl FileSource {
    /// Reads until the end of a bounded file, or until asked to stop.
    ///
    /// # Errors
    /// If the file cannot be opened. A file that breaks off goes to quarantine with what is left of it.
    pub fn run(&self, outlet: &Outlet, positions: &Positions) -> Result<(), SourceError> {
        let follow = self.follow && can_grow(self.format) && !outlet.once;
        let mut account = Account::default();
        let mut generation = self.resume(outlet, positions);
        let mut at = self.place(&generation);
        loop {
            if follow && !Self::wait_for(&at, outlet) {
                return Ok(());
            }
            let last = at == self.path;
            match self.read(&at, &mut generation, &mut account, outlet, follow) {
                Ok(End::Stopped) => return Ok(()),
                Ok(end) => {
                    let fault = if let End::Broken(fault) = end { Some(fault) } else { None };
                    // What is asked to stop is not waited for: the loop commits it.
                    if account.wait() {
                        account.tell(&at.display().to_string(), fault.as_deref(), outlet);
                    }
                    account = Account::default();
                    if !follow && last {
                        return Ok(());
                    }
                    outlet.status.recovered(FILE);
                }
                Err(error) if follow => {
                    if outlet.status.trouble(FILE, &error.to_string()) {
                        tracing::warn!(source = %outlet.name, "{error}");
                    }
                    if stopped_after(outlet, POLL) {
                        return Ok(());
                    }
                    if last {
                        continue;
                    }
                }
                Err(error) => return Err(error.into()),
            }
            if outlet.stop.is_cancelled() {
                return Ok(());
            }
            generation = Generation { number: generation.number + 1, position: Position::default() };
            at.clone_from(&self.path);
        }
    }

    fn partition(&self, generation: u64) -> String {
        format!("{}#{generation}", self.path.display())
    }

    /// The newest generation that was read from.
    fn resume(&self, outlet: &Outlet, positions: &Positions) -> Generation {
        let prefix = format!("{}#", self.path.display());
        let newest = positions
            .iter()
            .filter_map(|(partition, position)| {
                Some((partition.strip_prefix(&prefix)?.parse().ok()?, position))
            })
            .max_by_key(|(number, _): &(u64, _)| *number);
        let Some((number, position)) = newest else {
            return Generation { number: 0, position: Position::default() };
        };
        let generation = Generation { number, position: position.clone() };
        if self.find(&generation).is_none() {
            tracing::warn!(
                source = %outlet.name, path = %self.path.display(), offset = position.offset,
                "the file read so far is gone or was replaced; what it held after this offset cannot be read, \
                 and the file that is there now is read from its start"
            );
            return Generation { number: number + 1, position: Position::default() };
        }
        generation
    }

    fn place(&self, generation: &Generation) -> PathBuf {
        self.find(generation).unwrap_or_else(|| self.path.clone())
    }

    /// Where the file of a generation is now: at the path, or beside it under a new name.
    fn find(&self, generation: &Generation) -> Option<PathBuf> {
        if generation.position.token.is_empty() {
            return Some(self.path.clone());
        }
        let identity: FileIdentity = serde_json::from_str(&generation.position.token).ok()?;
        // Positions in a text that was decoded are none in the file.
        let compressed = self.format.compression != super::Compression::None || self.map.is_some();
        let is = |path: &Path| identity.is(path, generation.position.offset, compressed);
        if is(&self.path) {
            return Some(self.path.clone());
        }
        let folder =
            self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let mut beside: Vec<_> =
            std::fs::read_dir(folder).ok()?.filter_map(|e| Some(e.ok()?.path())).collect();
        beside.sort();
        let inode = |path: &PathBuf| {
            path.metadata().is_ok_and(|m| m.ino() == identity.inode && m.dev() == identity.device)
        };
        beside.into_iter().filter(inode).find(|path| is(path))
    }

    /// Waits until the file is there. `false` if asked to stop.
    fn wait_for(path: &Path, outlet: &Outlet) -> bool {
        let mut told = false;
        while !path.is_file() {
            if !std::mem::replace(&mut told, true) {
                tracing::info!(source = %outlet.name, path = %path.display(), "waiting for the file");
            }
            if stopped_after(outlet, POLL) {
                return false;
            }
        }
        !outlet.stop.is_cancelled()
    }

    /// Reads a file to its end, and if it is followed until it is rotated.
    fn read(
        &self,
        path: &Path,
        generation: &mut Generation,
        account: &mut Account,
        outlet: &Outlet,
        follow: bool,
    ) -> Result<End, ReadError> {
        let file = open(path)?;
        let (offset, records) = (generation.position.offset, generation.position.records);
        // A file that grows may end with half a record, also when it is read only once.
        let grows = self.follow && can_grow(self.format);
        let mut chunks =
            Chunks::open(path, self.format, outlet.rows, (offset, records), grows, self.map.as_deref())?;
        loop {
            match chunks.next_chunk() {
                Ok(Some(chunk)) => {
                    outlet.status.recovered(FILE);
                    if !self.send(chunk, &file, generation, account, outlet) {
                        return Ok(End::Stopped);
                    }
                }
                Ok(None) if !follow => return Ok(End::Whole),
                Ok(None) => match self.rotated(&file, chunks.bytes_read()) {
                    Rotation::None if stopped_after(outlet, POLL) => return Ok(End::Stopped),
                    Rotation::None => {
                        account.settle();
                    }
                    // What was written between the last look and the rotation is still there.
                    Rotation::Replaced => match chunks.next_chunk()? {
                        Some(chunk) => {
                            if !self.send(chunk, &file, generation, account, outlet) {
                                return Ok(End::Stopped);
                            }
                        }
                        None => {
                            self.leave_rest(&mut chunks, generation, account, outlet);
                            return Ok(End::Whole);
                        }
                    },
                    Rotation::Truncated => {
                        tracing::warn!(
                            source = %outlet.name, path = %path.display(), offset = chunks.position().0,
                            "the file was cut shorter than what was read of it; it is read again from its start"
                        );
                        return Ok(End::Whole);
                    }
                },
                Err(error) => {
                    tracing::error!(source = %outlet.name, "{error}");
                    let rest = chunks.rest();
                    let detail = error.to_string();
                    let sent =
                        self.send_reject((error.reason(), detail.clone(), rest), generation, account, outlet);
                    return Ok(if sent { End::Broken(detail) } else { End::Stopped });
                }
            }
        }
    }

    fn send(
        &self,
        chunk: Chunk,
        file: &File,
        generation: &mut Generation,
        account: &mut Account,
        outlet: &Outlet,
    ) -> bool {
        let identity = file.metadata().and_then(|m| FileIdentity::of(file, &m, HEAD_BYTES.min(chunk.to)));
        let token = identity.ok().and_then(|i| serde_json::to_string(&i).ok()).unwrap_or_default();
        let to = Position { offset: chunk.to, records: chunk.next_record, token };
        generation.position = to.clone();
        let span = Span {
            source: Arc::clone(&outlet.name),
            partition: self.partition(generation.number).into(),
            from: chunk.from,
            to,
        };
        let mut block = file_block(&outlet.name, &self.path, chunk.first_record, chunk.payload, Some(span));
        account.follow(&mut block);
        outlet.send_blocking(block)
    }

    /// A record without its line end that a rotated file ends with is whole: nobody will write its rest.
    fn leave_rest(
        &self,
        chunks: &mut Chunks,
        generation: &Generation,
        account: &mut Account,
        outlet: &Outlet,
    ) {
        let rest = chunks.rest();
        if !rest.is_empty() {
            let payload = chunks.payload(rest);
            let mut block = file_block(&outlet.name, &self.path, generation.position.records, payload, None);
            account.follow(&mut block);
            let _ = outlet.send_blocking(block);
        }
    }

    fn send_reject(
        &self,
        (reason, detail, raw): (RejectReason, String, bytes::Bytes),
        generation: &Generation,
        account: &mut Account,
        outlet: &Outlet,
    ) -> bool {
        let partition: Arc<str> = self.path.display().to_string().into();
        let record = generation.position.records + 1;
        let reject = Reject { reason, detail, source: Arc::clone(&outlet.name), partition, record, raw };
        let payload = Payload::Rejected(vec![reject]);
        let mut block = file_block(&outlet.name, &self.path, record, payload, None);
        account.follow(&mut block);
        outlet.send_blocking(block)
    }

    fn rotated(&self, file: &File, read: u64) -> Rotation {
        let Ok(ours) = file.metadata() else { return Rotation::None };
        match std::fs::metadata(&self.path) {
            Ok(now) if (now.dev(), now.ino()) != (ours.dev(), ours.ino()) => Rotation::Replaced,
            _ if ours.len() < read => Rotation::Truncated,
            // Moved away and not made again yet: more may still come.
            _ => Rotation::None,
        }
    }
}

/// How reading a file ended.
enum End {
    Stopped,
    Whole,
    /// It cannot be read further.
    Broken(String),
}

enum Rotation {
    None,
    Replaced,
    Truncated,
}

/// Waits, and says whether the source was asked to stop.
pub(crate) fn stopped_after(outlet: &Outlet, wait: Duration) -> bool {
    std::thread::sleep(wait);
    outlet.stop.is_cancelled()
}

/// A block of a file.
#[must_use]
pub(crate) fn file_block(
    source: &Arc<str>,
    path: &Path,
    first_record: u64,
    payload: Payload,
    span: Option<Span>,
) -> Block {
    let partition: Arc<str> = path.display().to_string().into();
    // A reader of chunks does not know the name of its source.
    let payload = match payload {
        Payload::Rejected(rejects) => Payload::Rejected(
            rejects.into_iter().map(|reject| Reject { source: Arc::clone(source), ..reject }).collect(),
        ),
        payload => payload,
    };
    Block { span, ..Block::new(Arc::clone(source), partition, first_record, payload) }
}
