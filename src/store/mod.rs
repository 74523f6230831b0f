//! The embedded store (SQLite): the only place that knows the database. One append-only transaction a batch
//! holds source positions, journal block, findings and quarantine; balances are checkpointed inside it at
//! intervals. docs/decisions/0001-store.md says why.

mod checkpoint;
mod commit;
mod journal;
mod lock;
mod query;
mod recover;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

pub use commit::Commit;
pub use journal::{JournalBlock, decode_block};
pub use lock::StateLock;
pub use query::{FindingFilter, Reader, RejectFilter, StateInfo, StoredReject, store_bytes};
pub use recover::Recovered;

/// The schema this version writes.
pub const SCHEMA_VERSION: i64 = 1;
/// The database's name in the state directory.
pub const DATABASE: &str = "fiscwatch.db";

/// Why the store cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be made or read.
    #[error(
        "state directory {path}: {error}. Check that it exists on a writable disk and belongs to the user that runs fiscwatch"
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Another instance runs on it.
    #[error(
        "state directory {path} is in use by another fiscwatch (process {pid}). Stop that one first, or give this one a directory of its own (state.dir)"
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The other's process id.
        pid: String,
    },
    /// There is no state to read.
    #[error("there is no state in {0}. Check state.dir in the configuration, or run `fiscwatch run` first")]
    Missing(PathBuf),
    /// A newer version wrote it.
    #[error(
        "the state in {path} was written by a newer fiscwatch (schema {found}, this one knows {SCHEMA_VERSION}). Install that version again; nothing was changed"
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its schema version.
        found: i64,
    },
    /// The disk is full.
    #[error(
        "the disk of the state directory {0} is full: nothing of this batch was stored, and nothing is lost. Free some space and start again; reading goes on where it stood"
    )]
    Full(PathBuf),
    /// The stored data is damaged.
    #[error(
        "the state in {path} is damaged: {what}. Restore a backup, or move the directory away and read the sources again"
    )]
    Corrupt {
        /// The directory.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// Positions do not follow one another.
    #[error(
        "source {source_name}, partition {partition}: a block starts at {from}, but the store is at {at}: a gap or an overlap. This is a bug; nothing was stored"
    )]
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
    /// Anything else of the database.
    #[error("the database in {path}: {error}")]
    Database {
        /// The directory.
        path: PathBuf,
        /// SQLite's error.
        error: rusqlite::Error,
    },
}

/// The state directory, opened for writing by one process.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    connection: Connection,
    _lock: StateLock,
}

impl Store {
    /// Opens the state directory, and makes it if it is not there.
    ///
    /// # Errors
    /// If it is locked, damaged, of a newer version, or cannot be written.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(dir)
            .map_err(|error| StoreError::Directory { path: dir.to_owned(), error })?;
        let lock = StateLock::acquire(dir)?;
        let fail = |error| explain(dir, error);
        let connection = Connection::open(dir.join(DATABASE)).map_err(fail)?;
        check_version(dir, &connection)?;
        configure(&connection).map_err(fail)?;
        Ok(Self { dir: dir.to_owned(), connection, _lock: lock })
    }

    /// The state directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", 16384)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL, because NORMAL loses acknowledged commits when the power fails.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    connection.pragma_update(None, "cache_size", -65536)?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        let schema = include_str!("schema.sql");
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {schema} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        ))?;
    }
    Ok(())
}

/// A reading connection, which works beside a running daemon.
fn open_reader(dir: &Path) -> Result<Connection, StoreError> {
    let path = dir.join(DATABASE);
    if !path.exists() {
        return Err(StoreError::Missing(dir.to_owned()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // Reading a WAL database needs its shared-memory file, hence not read-only; `query_only` forbids changes.
    let connection = Connection::open_with_flags(path, flags).map_err(|error| explain(dir, error))?;
    check_version(dir, &connection)?;
    connection.pragma_update(None, "query_only", true).map_err(|error| explain(dir, error))?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(|error| explain(dir, error))?;
    Ok(connection)
}

fn check_version(dir: &Path, connection: &Connection) -> Result<(), StoreError> {
    let found: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|error| explain(dir, error))?;
    if found > SCHEMA_VERSION {
        return Err(StoreError::Newer { path: dir.to_owned(), found });
    }
    Ok(())
}

/// SQLite's error in words that say what to do.
fn explain(dir: &Path, error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase};
    let path = dir.to_owned();
    match error.sqlite_error_code() {
        Some(DiskFull) => StoreError::Full(path),
        Some(DatabaseCorrupt | NotADatabase) => StoreError::Corrupt { path, what: error.to_string() },
        _ => StoreError::Database { path, error },
    }
}
