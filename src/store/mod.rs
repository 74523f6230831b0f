//! The embedded store (SQLite): the only place that knows the database. One append-only transaction a batch
//! holds source positions, journal block, findings and quarantine; balances are checkpointed inside it at
//! intervals. Old journal blocks become Parquet files. docs/decisions/0001-store.md and 0004-sealing.md say why.

mod alerts;
mod backup;
mod cases;
mod chain;
mod checkpoint;
mod commit;
mod desk;
mod filter;
mod history;
mod in_force;
mod indicators;
mod lock;
mod lookup;
mod migrate;
mod notices;
mod outbox;
mod passed;
mod ports;
mod quarantine;
mod query;
mod recover;
mod seal;
mod sealed;
mod settings;
mod silences;
mod sums;
mod ticks;
mod turn;
mod verify;
mod wal;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};

use crate::{diagnostic::os_reason, failpoint, private, say};

pub use backup::{BackupOptions, Manifest, back_up, restore};
pub use cases::{CaseError, Cases, FINDINGS_MAX, Verdicts};
pub use commit::Commit;
pub use filter::{ACTIVE, CaseFilter, SORTS, Wanted};
pub use history::{History, JournalTable, Order, Scan, Select};
pub use in_force::InForce;
pub use lock::StateLock;
pub use lookup::Lookup;
pub use notices::{Notice, NoticeFilter, Waiting};
pub use outbox::{Done, DueEntry, DueGroup, Fate, Group, Outbox, Pending, Round, RoundError, RoundResult};
pub use quarantine::{QuarantineLimit, WhenFull};
pub use query::{
    Overflow, Reader, RejectFilter, StateInfo, StoredReject, disk_free, sealed_bytes, store_bytes,
};
pub use recover::Recovered;
pub use seal::{SealOptions, Sealer, Sealing};
pub use silences::Muted;
pub use turn::Turns;
pub use verify::{Check, Outcome, Problems, verify_backup};

/// The schema this version writes.
pub const SCHEMA_VERSION: i64 = 5;
/// The database's name in the state directory.
pub const DATABASE: &str = "fiscwatch.db";

/// Why the store cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be made or read.
    #[error("{}", say!(
        "state directory {path}: {reason}. Check that it exists on a writable disk and belongs to the user that runs fiscwatch",
        path = path.display(), reason = os_reason(error)
    ))]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Another instance runs on it.
    #[error("{}", say!(
        "state directory {path} is in use by another fiscwatch (process {pid}). Stop that one first, give this one a directory of its own (state.dir), or let it wait (state.standby: true)",
        path = path.display(), pid
    ))]
    Locked {
        /// The directory.
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
        /// The directory.
        path: PathBuf,
        /// Its schema version.
        found: i64,
    },
    /// An older version wrote it, and only the daemon may change it.
    #[error("{}", say!(
        "the state in {path} was written by an older fiscwatch (schema {found}, this one reads {known}). Start `fiscwatch run` on it once, which brings it up to date",
        path = path.display(), found, known = SCHEMA_VERSION
    ))]
    Older {
        /// The directory.
        path: PathBuf,
        /// Its schema version.
        found: i64,
    },
    /// A sealed file is damaged or gone.
    #[error("{}", say!(
        "the sealed file {path} is damaged: {what}. Put this file back from a backup of the state directory; the rest of the state is not affected",
        path = path.display(), what
    ))]
    SealedFile {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// A sealed file cannot be written.
    #[error("{}", say!(
        "cannot write {path}: {reason}. The journal keeps these events as they were; it is tried again later",
        path = path.display(), reason = os_reason(error)
    ))]
    Seal {
        /// The file.
        path: PathBuf,
        /// Why.
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
        /// Why.
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
        /// The directory.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The disk failed while something was written, so nobody knows what of it is there.
    #[error("{}", say!(
        "the disk did not confirm what was written to {path}: {error}. What was answered or positioned before is stored; what was in work is not acknowledged. Look at the disk (dmesg, its SMART values) before you start again: the start reads and compares everything it needs",
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
        /// The directory.
        path: PathBuf,
        /// The key in the configuration.
        name: &'static str,
        /// Its value when the state was made.
        stored: String,
        /// Its value now.
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
        "the quarantine is full ({bytes} bytes) and state.quarantine_full is stop: nothing of this batch was stored, and nothing is lost. Look at `fiscwatch rejects list`, mend the feed and replay, or raise state.quarantine_mib, and start again",
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
        /// The source.
        source_name: String,
        /// The partition.
        partition: String,
        /// Where the block starts.
        from: u64,
        /// Where the store stands.
        at: u64,
    },
    /// Something is asked for that does not exist; this is a bug.
    #[error("{0}")]
    Request(String),
    /// Anything else of the database.
    #[error("{}", say!("the database in {path}: {error}", path = path.display(), error))]
    Database {
        /// The directory.
        path: PathBuf,
        /// `SQLite`'s error.
        error: rusqlite::Error,
    },
}

/// The state directory, opened for writing by one process.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    connection: Connection,
    quarantine: QuarantineLimit,
    turns: Arc<Turns>,
    _lock: StateLock,
}

impl Store {
    /// Opens the state directory, and makes it if it is not there.
    ///
    /// # Errors
    /// If it is locked, damaged, of a newer version, or cannot be written.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        not_a_backup(dir)?;
        Self::open_locked(dir, StateLock::acquire(dir)?)
    }

    /// Opens the state directory whose lock is taken.
    ///
    /// # Errors
    /// If it is damaged, of a newer version, or cannot be written.
    pub fn open_locked(dir: &Path, lock: StateLock) -> Result<Self, StoreError> {
        not_a_backup(dir)?;
        reach(dir, "start.locked")?;
        let fail = |error| explain(dir, error);
        let turns = Turns::of(dir);
        wal::check(dir)?;
        // SQLite's other files take the mode of the database.
        private::open(&dir.join(DATABASE))
            .map_err(|error| StoreError::Directory { path: dir.to_owned(), error })?;
        let connection = Connection::open(dir.join(DATABASE)).map_err(fail)?;
        check_version(dir, &connection)?;
        configure(&connection).map_err(fail)?;
        migrate::migrate(dir, &connection, &turns)?;
        empty_log(dir, &connection).map_err(fail)?;
        // After that: a program that reads meanwhile would keep what is written before in the log.
        migrate::count(&connection, &turns).map_err(fail)?;
        // SQLite does so too, but does not say when it fails.
        sealed::sync_names(dir)
            .map_err(|error| StoreError::Unsure { path: dir.to_owned(), error: error.to_string() })?;
        reach(dir, "start.logged")?;
        // Before a file is deleted because the register does not have it, the register itself is compared.
        sums::check(dir, &connection, &sums::SEALED)?;
        sealed::check(dir, &connection)?;
        sealed::remove_unregistered(dir, &connection)?;
        reach(dir, "start.swept")?;
        let quarantine = QuarantineLimit::default();
        Ok(Self { dir: dir.to_owned(), connection, quarantine, turns, _lock: lock })
    }

    /// Bounds the quarantine.
    pub fn limit_quarantine(&mut self, limit: QuarantineLimit) {
        self.quarantine = limit;
    }

    /// The bytes in quarantine.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn quarantine_bytes(&self) -> Result<u64, StoreError> {
        quarantine::bytes(&self.connection).map_err(|error| explain(&self.dir, error))
    }

    /// The state directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The rules and budget lines that keep alerts open.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn watched_lines(&self) -> Result<Vec<(String, String)>, StoreError> {
        alerts::watched(&self.connection).map_err(|error| explain(&self.dir, error))
    }

    /// The latest event time, in microseconds; `None` if there is no event.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn latest_at(&self) -> Result<Option<i64>, StoreError> {
        recover::number(self, recover::LATEST)
    }
}

/// A backup stays as it was made.
///
/// # Errors
/// If the directory is one.
pub fn not_a_backup(dir: &Path) -> Result<(), StoreError> {
    match dir.join(backup::MANIFEST).exists() {
        true => Err(StoreError::IsBackup(dir.to_owned())),
        false => Ok(()),
    }
}

/// How long somebody who cannot wait for ever waits for another writer, who takes milliseconds.
const BUSY: Duration = Duration::from_secs(30);

/// Prepares a writing connection: that of the commits, or that of the sealer.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "page_size", 16384)?;
    to_the_end(connection, "PRAGMA journal_mode = WAL")?;
    // FULL, because NORMAL loses acknowledged commits when the power fails.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    connection.pragma_update(None, "cache_size", -65536)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Moves the log into the database and empties it. After a failed fsync the kernel takes pages for written that are
/// not, and a log that is read back from its cache looks whole until the power fails. So what a start finds in the log
/// is written, and confirmed, once more. A program that reads meanwhile keeps the log from being cut, which is not waited
/// for. One that reads an earlier moment keeps what came after it from being moved: it is waited for, and then told.
fn empty_log(dir: &Path, connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(1))?;
    let (started, patience) = (Instant::now(), failpoint::within("patience.log", BUSY));
    while !is_moved(connection)? {
        if started.elapsed() >= patience {
            tracing::warn!(
                dir = %dir.display(),
                "another program reads an earlier moment of the state, so the log could not be written once more; \
                 the start goes on, and later commits write it when that program ends"
            );
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    connection.busy_timeout(BUSY)
}

/// Moves what can be moved of the log into the database; whether that was all.
fn is_moved(connection: &Connection) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare("PRAGMA wal_checkpoint(TRUNCATE)")?;
    let mut rows = statement.query([])?;
    let mut is_moved = false;
    while let Some(row) = rows.next()? {
        let (busy, log, moved): (bool, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        // Below zero: another program moves it at this moment.
        is_moved = !busy || (log >= 0 && moved >= log);
    }
    Ok(is_moved)
}

/// Runs a pragma to its end: it gives its row first, and commits, and fails, after that.
fn to_the_end(connection: &Connection, pragma: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(pragma)?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// A writing connection beside the one of the commits, to a state that a store has brought up to date.
fn open_writer(dir: &Path) -> Result<Connection, StoreError> {
    let path = dir.join(DATABASE);
    is_there(dir, &path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| explain(dir, error))?;
    is_of_this_version(dir, check_version(dir, &connection)?)?;
    configure(&connection).map_err(|error| explain(dir, error))?;
    Ok(connection)
}

/// Whether there is a database; one that this user may not see is not taken for none.
fn is_there(dir: &Path, path: &Path) -> Result<(), StoreError> {
    match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(StoreError::Missing(dir.to_owned())),
        Err(error) => Err(StoreError::Directory { path: dir.to_owned(), error }),
    }
}

/// A reading connection, which works beside a running daemon.
fn open_reader(dir: &Path) -> Result<Connection, StoreError> {
    let path = dir.join(DATABASE);
    is_there(dir, &path)?;
    let connection = if dir.join(backup::MANIFEST).exists() {
        // Nobody writes to a backup, and reading it must leave nothing beside it.
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(immutable(&path), flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
    } else {
        // Reading a WAL database needs its shared-memory file, hence not read-only; `query_only` forbids changes.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(path, flags)
    };
    let connection = connection.map_err(|error| explain(dir, error))?;
    is_of_this_version(dir, check_version(dir, &connection)?)?;
    connection.pragma_update(None, "query_only", true).map_err(|error| explain(dir, error))?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(|error| explain(dir, error))?;
    Ok(connection)
}

/// A database that does not change, as `SQLite` names it.
fn immutable(path: &Path) -> String {
    let escaped: String = path.display().to_string().chars().fold(String::new(), |mut uri, c| {
        match c {
            '%' | '?' | '#' => uri.push_str(&format!("%{:02x}", u32::from(c))),
            _ => uri.push(c),
        }
        uri
    });
    format!("file:{escaped}?immutable=1")
}

fn check_version(dir: &Path, connection: &Connection) -> Result<i64, StoreError> {
    let found = migrate::version(connection).map_err(|error| explain(dir, error))?;
    if found > SCHEMA_VERSION {
        return Err(StoreError::Newer { path: dir.to_owned(), found });
    }
    Ok(found)
}

/// Refuses an older state, and one that a daemon is about to make.
fn is_of_this_version(dir: &Path, found: i64) -> Result<(), StoreError> {
    match found {
        0 => Err(StoreError::Missing(dir.to_owned())),
        SCHEMA_VERSION => Ok(()),
        _ => Err(StoreError::Older { path: dir.to_owned(), found }),
    }
}

/// `SQLite`'s error in words that say what to do.
fn explain(dir: &Path, error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseCorrupt, DiskFull, NotADatabase, PermissionDenied, ReadOnly,
        SystemIoFailure,
    };
    let path = dir.to_owned();
    if let Some(damage) = damage(&error) {
        return StoreError::Corrupt { path, what: damage.to_string() };
    }
    match error.sqlite_error_code() {
        Some(DiskFull) => StoreError::Full(path),
        Some(DatabaseBusy) => StoreError::Busy(path),
        Some(DatabaseCorrupt | NotADatabase) => StoreError::Corrupt { path, what: error.to_string() },
        Some(SystemIoFailure) => StoreError::Unsure { path, error: error.to_string() },
        Some(ReadOnly | PermissionDenied) => StoreError::ReadOnly(path),
        Some(CannotOpen) => StoreError::Directory { error: cannot_open(dir), path },
        _ => StoreError::Database { path, error },
    }
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
fn damage(error: &rusqlite::Error) -> Option<&sums::Damage> {
    match error {
        rusqlite::Error::ToSqlConversionFailure(inner) => inner.downcast_ref(),
        _ => None,
    }
}

/// A place where a test can make the process die or fail.
fn reach(dir: &Path, name: &str) -> Result<(), StoreError> {
    failpoint::reach(name).map_err(|error| match error.kind() {
        std::io::ErrorKind::StorageFull => StoreError::Full(dir.to_owned()),
        _ => StoreError::Unsure { path: dir.to_owned(), error: error.to_string() },
    })
}

impl StoreError {
    /// Whether nothing may be believed of what was written last, so that the process must end.
    #[must_use]
    pub fn is_unsure(&self) -> bool {
        matches!(self, Self::Unsure { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_moved_unless_somebody_reads_an_earlier_moment() {
        let dir = tempfile::tempdir().unwrap();
        let open = || {
            let connection = Connection::open(dir.path().join("db")).unwrap();
            connection.busy_timeout(Duration::ZERO).unwrap();
            connection
        };
        let (writer, reader) = (open(), open());
        writer.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER)").unwrap();
        let read = || reader.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap();
        reader.execute_batch("BEGIN").unwrap();
        assert_eq!(read(), 0);
        assert!(
            is_moved(&writer).unwrap(),
            "the latest moment is read: the log stays, and all of it is moved"
        );
        writer.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        assert!(!is_moved(&writer).unwrap(), "an earlier moment is read");
        reader.execute_batch("COMMIT; BEGIN IMMEDIATE").unwrap();
        assert!(is_moved(&writer).unwrap(), "who writes keeps nothing from being moved");
        reader.execute_batch("COMMIT").unwrap();
        assert!(is_moved(&writer).unwrap());
        assert_eq!(read(), 1);
        assert_eq!(std::fs::metadata(dir.path().join("db-wal")).unwrap().len(), 0);
    }
}
