//! What the store has against something, and what to do about it.

use std::path::{Path, PathBuf};

use super::{DATABASE, SCHEMA_VERSION, checksums, ship::Unshipped};
use crate::{diagnostic::os_reason, say};

/// Why the store cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be made or read.
    #[error("{}", say!(
        "state directory {path}: {reason}. Check that it exists on a writable disk and belongs to the user that runs fiscwatch",
        path = path.display(), reason = os_reason(error)
    ))]
    Directory {
        /// The state directory, or the file in it.
        path: PathBuf,
        /// What the operating system says of it.
        error: std::io::Error,
    },
    /// Another instance runs on it.
    #[error("{}", say!(
        "state directory {path} is in use by another fiscwatch (process {pid}). Stop that one first, give this one a directory of its own (state.dir), or let it wait (state.standby: true)",
        path = path.display(), pid
    ))]
    Locked {
        /// The state directory, or the file in it.
        path: PathBuf,
        /// The other's process id.
        pid: String,
    },
    /// There is no state to read.
    #[error("{}", say!(
        "there is no state in {path}. Check state.dir in the configuration, or run `fiscwatch run` first",
        path = _0.display()
    ))]
    Missing(PathBuf),
    /// A newer version wrote it.
    #[error("{}", say!(
        "the state in {path} was written by a newer fiscwatch (schema {found}, this one knows {known}). Install that version again; nothing was changed",
        path = path.display(), found, known = SCHEMA_VERSION
    ))]
    Newer {
        /// The state directory, or the file in it.
        path: PathBuf,
        /// The schema version that the database has.
        found: i64,
    },
    /// An older version wrote it, and only the daemon may change it.
    #[error("{}", say!(
        "the state in {path} was written by an older fiscwatch (schema {found}, this one reads {known}). Start `fiscwatch run` on it once, which brings it up to date",
        path = path.display(), found, known = SCHEMA_VERSION
    ))]
    Older {
        /// The state directory, or the file in it.
        path: PathBuf,
        /// The schema version that the database has.
        found: i64,
    },
    /// A sealed file is damaged or gone.
    #[error("{}", say!(
        "the sealed file {path} is damaged: {what}. Put this file back from a backup of the state directory; the rest of the state is not affected",
        path = path.display(), what
    ))]
    SealedFile {
        /// The state directory, or the file in it.
        path: PathBuf,
        /// What was found there, as a part of the message.
        what: String,
    },
    /// A sealed file cannot be written.
    #[error("{}", say!(
        "cannot write {path}: {reason}. The journal keeps these events as they were; it is tried again later",
        path = path.display(), reason = os_reason(error)
    ))]
    Seal {
        /// The state directory, or the file in it.
        path: PathBuf,
        /// What the operating system says of it.
        error: std::io::Error,
    },
    /// A backup or what it is made of cannot be read or written.
    #[error("{}", say!(
        "{path}: {reason}. There is nothing half at the place of the copy; the state is what it was",
        path = path.display(), reason = os_reason(error)
    ))]
    Backup {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system says of it.
        error: std::io::Error,
    },
    /// Something is where a backup or a restored state should go.
    #[error("{}", say!(
        "{path} exists already, and nothing is overwritten. Name a directory that does not exist yet",
        path = _0.display()
    ))]
    Exists(PathBuf),
    /// A directory that is asked to be a backup has no manifest.
    #[error("{}", say!(
        "{path} is no backup: it has no backup.json. Name a directory that `fiscwatch state backup` made",
        path = _0.display()
    ))]
    NoBackup(PathBuf),
    /// A daemon is asked to run on a backup.
    #[error("{}", say!(
        "{path} is a backup, and a daemon would change it. Make a state directory of it with `fiscwatch state restore`, and run on that",
        path = _0.display()
    ))]
    IsBackup(PathBuf),
    /// The disk is full.
    #[error("{}", say!(
        "the disk of the state directory {path} is full: nothing of this batch was stored, and nothing is lost. Free some space and start again; reading goes on where it stood",
        path = _0.display()
    ))]
    Full(PathBuf),
    /// The stored data is damaged.
    #[error("{}", say!(
        "the state in {path} is damaged: {what}. Restore a backup, or move the directory away and read the sources again",
        path = path.display(), what
    ))]
    Corrupt {
        /// The state directory, or the file in it.
        path: PathBuf,
        /// What was found there, as a part of the message.
        what: String,
    },
    /// The disk failed while something was written, so nobody knows what of it is there.
    #[error("{}", say!(
        "the disk did not confirm what was written to {path}: {error}. What was answered or positioned before is stored; what was being processed is not acknowledged. Look at the disk (dmesg, its SMART values) before you start again: the start reads and compares everything it needs",
        path = path.display(), error
    ))]
    Unsure {
        /// The directory or file.
        path: PathBuf,
        /// What the operating system says.
        error: String,
    },
    /// The configuration counts days or years in another way.
    #[error("{}", say!("the state in {path} was made with {name} {stored}, and the configuration says {configured}. Its windows, days and years are counted so, and would make other findings now; nothing was changed. Set {name} back to {stored}, or name a new state.dir and read the sources again", path = path.display(), name, stored, configured))]
    Setting {
        /// The state directory, or the file in it.
        path: PathBuf,
        /// The key in the configuration.
        name: &'static str,
        /// Its value when the state was made.
        stored: String,
        /// What the configuration says of it now.
        configured: String,
    },
    /// Another program has the database and does not let go of it.
    #[error("{}", say!(
        "another program holds the database in {path} and did not let go of it in time; nothing was changed, and nothing is lost. End that program (sqlite3, a backup tool, a check of the disk), and try again",
        path = _0.display()
    ))]
    Busy(PathBuf),
    /// Nothing can be written there.
    #[error("{}", say!(
        "the state directory {path} cannot be written: its disk is mounted read-only, or its files belong to somebody else. Nothing is lost; mount it for writing or give the files to the user that runs fiscwatch, and start again",
        path = _0.display()
    ))]
    ReadOnly(PathBuf),
    /// The quarantine has no room, and the configuration asks to stop then.
    #[error("{}", say!(
        "the quarantine is full ({bytes} bytes) and state.quarantine_full is stop: nothing of this batch was stored, and nothing is lost. Look at `fiscwatch rejects list`, fix the feed and replay, or raise state.quarantine_mib, and start again",
        bytes
    ))]
    QuarantineFull {
        /// The bytes of all entries.
        bytes: u64,
    },
    /// Positions do not follow one another.
    #[error("{}", say!(
        "source {source}, partition {partition}: a block starts at {from}, but the store is at {at}: a gap or an overlap. This is a bug; nothing was stored",
        source = source_name, partition, from, at
    ))]
    Gap {
        /// The source's name in the configuration.
        source_name: String,
        /// The partition, as its source names it.
        partition: String,
        /// Where the block starts.
        from: u64,
        /// Where the store stands.
        at: u64,
    },
    /// What was committed here is not where the state is replicated to, so nobody may hear of it.
    #[error("{}", say!("the state in {path}: {why}", path = path.display(), why))]
    Unshipped {
        /// The state directory, or the file in it.
        path: PathBuf,
        /// What keeps it from being taken there.
        why: Unshipped,
    },
    /// Only the process that replicates a state may change it.
    #[error("{}", say!(
        "the state in {path} is replicated (state.replicate), so only its daemon may change it, or a copy elsewhere would miss the change. Ask the daemon: in the console, over HTTP, or by its socket (http.socket)",
        path = _0.display()
    ))]
    Replicated(PathBuf),
    /// Something is asked for that does not exist; this is a bug.
    #[error("{0}")]
    Request(String),
    /// Anything else of the database.
    #[error("{}", say!("the database in {path}: {error}", path = path.display(), error))]
    Database {
        /// The state directory, or the file in it.
        path: PathBuf,
        /// `SQLite`'s error.
        error: rusqlite::Error,
    },
}

/// Why a transaction came to nothing. The border of the transaction explains it (`Turns::write`).
#[derive(Debug)]
pub enum TransactionError {
    Database(rusqlite::Error),
    /// It is explained already.
    Store(StoreError),
}

impl TransactionError {
    /// The error of the state in a directory.
    pub fn explained(self, dir: &Path) -> StoreError {
        match self {
            Self::Database(error) => explain(dir, error),
            Self::Store(error) => error,
        }
    }
}

impl From<rusqlite::Error> for TransactionError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for TransactionError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl StoreError {
    /// Whether nothing may be believed of what was written last, so that the process must end.
    #[must_use]
    pub fn is_unsure(&self) -> bool {
        matches!(self, Self::Unsure { .. } | Self::Unshipped { .. })
    }
}

/// `SQLite`'s error in words that say what to do.
pub(crate) fn explain(dir: &Path, error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseCorrupt, DiskFull, NotADatabase, PermissionDenied, ReadOnly,
        SystemIoFailure,
    };
    let path = dir.to_owned();
    if let Some(damage) = damage(&error) {
        return StoreError::Corrupt { path, what: damage.to_string() };
    }
    if let Some(why) = Unshipped::of(&error) {
        return StoreError::Unshipped { path, why: why.clone() };
    }
    match error.sqlite_error_code() {
        Some(DiskFull) => StoreError::Full(path),
        Some(DatabaseBusy) => StoreError::Busy(path),
        Some(DatabaseCorrupt | NotADatabase) => StoreError::Corrupt { path, what: error.to_string() },
        Some(SystemIoFailure) => StoreError::Unsure { path, error: error.to_string() },
        Some(ReadOnly | PermissionDenied) => StoreError::ReadOnly(path),
        Some(CannotOpen) => StoreError::Directory { error: cannot_open(dir), path },
        None if is_unreadable(&error) => StoreError::Corrupt {
            path,
            what: say!(
                "a value in the database is not as fiscwatch writes it; `fiscwatch state verify` names the table"
            ),
        },
        _ => StoreError::Database { path, error },
    }
}

/// Whether a row was found whose value is none of what is written there.
fn is_unreadable(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(
        error,
        FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..)
    )
}

/// Why the database cannot be opened: `SQLite` does not say, so it is tried once more. It needs more files beside it.
fn cannot_open(dir: &Path) -> std::io::Error {
    let files = [DATABASE.to_owned(), format!("{DATABASE}-shm"), format!("{DATABASE}-wal")]
        .map(|name| dir.join(name));
    let tried = files.iter().find_map(|path| {
        std::fs::File::options()
            .read(true)
            .write(true)
            .open(path)
            .err()
            .filter(|error| error.kind() != std::io::ErrorKind::NotFound || path.ends_with(DATABASE))
    });
    tried.unwrap_or_else(|| std::io::Error::other(say!("the database cannot be opened")))
}

/// A sum that does not match, which came along as an error of the database.
pub(crate) fn damage(error: &rusqlite::Error) -> Option<&checksums::Damage> {
    carried(error)
}

/// One of our errors that came along as an error of the database, which is what a transaction ends with.
pub(super) fn carried<E: std::error::Error + 'static>(error: &rusqlite::Error) -> Option<&E> {
    match error {
        rusqlite::Error::ToSqlConversionFailure(inner) => inner.downcast_ref(),
        _ => None,
    }
}
