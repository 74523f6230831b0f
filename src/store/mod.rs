//! The embedded store (SQLite): the only place that knows the database. One append-only transaction a batch
//! holds source positions, journal block, findings and quarantine; balances are checkpointed inside it at
//! intervals. Old journal blocks become Parquet files. docs/decisions/0001-store.md and 0004-sealing.md say why.

mod accounts;
mod alert_counts;
mod alert_rows;
mod alerts;
mod answers;
mod approvals;
mod attachments;
mod audit;
mod backup;
mod casebook;
mod cases;
mod casework;
mod chain;
mod changes;
mod checkpoint;
mod checksums;
mod commit;
mod completeness;
mod conditions;
mod confirmations;
mod decisions;
mod desk;
mod error;
pub(crate) mod filter;
mod finding_times;
mod history;
mod in_force;
mod indicators;
mod instants;
mod limited;
mod line_history;
mod listed;
mod lock;
mod lookup;
mod migrate;
mod mover;
mod named;
mod notices;
mod outbox;
mod overrides;
mod passed;
mod payees;
mod ports;
mod quarantine;
mod query;
mod recover;
mod refunded;
mod rule_sets;
mod seal;
mod sealed;
mod search;
mod settings;
mod settled;
mod ship;
mod silences;
mod tail;
mod ticks;
mod trace;
mod turn;
mod verify;
mod versions;
mod wal;
mod wanted;
mod words;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::{event::Instant, failpoint, private};

pub use accounts::{AccountError, Accounts, Credential, External, Factor, TokenSpec, Used, no_user};
pub use alert_counts::AlertCounts;
pub use answers::LinkError;
pub use approvals::{Judgement, MatterFilter, MatterPlace, MatterSort, MatterVisibility, no_matter};
pub use attachments::{ATTACHMENTS, Attached, StoredFile, Upload, UploadError, too_large};
pub use audit::{Audit, AuditEntry, AuditFilter, AuditReport, AuditedAction, Listing as AuditListing, Seal};
pub(crate) use backup::BackupManifest;
pub use backup::{BackupOptions, back_up, restore};
pub(crate) use backup::{Contents, Pinned, digest_of, files_named_by, finished_files, is_state, make_whole};
pub use casebook::{CaseLine, Month, Service as ServiceNow, StepTimes, Took};
pub use cases::{CaseError, Cases, FINDINGS_MAX, VerdictCounts};
pub use casework::{HAND_OVER_MAX, HandOver, Kinship};
pub use changes::{Place, Update, Updates};
pub use commit::{Commit, Committed};
pub use completeness::DayStatement;
pub use decisions::{DecisionFilter, Decisions, StoredDecision};
pub use error::StoreError;
use error::explain;
pub use filter::{ACTIVE, ANY, CaseFilter, CaseQuery, SORTS};
pub use finding_times::{FindingTimes, TimesFilter, TimesKept};
pub use history::{
    EventBatches, JournalTable, JournalView, LastingTable, ReadOrder, Remembered, Select, shape::Wide,
};
pub use in_force::InForce;
pub use line_history::{LineEntry, LineHistory, line_history};
pub use listed::ListedAlert;
pub use lock::StateLock;
pub use lookup::Lookup;
pub use mover::LogMover;
pub use notices::{Notice, NoticeFilter, Waiting};
pub use outbox::{
    AlertStep, DueEntry, DueGroup, Fate, LateOf, Outbox, Pending, Round, RoundError, RoundResult, ToldGroup,
};
pub use overrides::OverrideFilter;
pub use payees::{Payee, PayeeKey, Payees, PayeesSought, payee_of};
pub use quarantine::{QuarantineLimit, WhenFull};
pub use query::{
    Overflow, Reader, RejectFilter, StateInfo, StoredReject, disk_free, sealed_bytes, store_bytes,
};
pub use recover::Recovered;
pub use rule_sets::{LabParams, ProposedSet, RuleSets};
pub use seal::{SealOptions, SealReport, Sealer};
pub(crate) use sealed::SealedFile;
pub use search::{FoundEvents, Sought, place_of};
pub use settled::{Freeze, freeze};
pub use ship::{Ship, Unshipped, mark_replicated};
pub use silences::Muted;
pub(crate) use tail::{Commits, LogTail, TailNews, put as put_pages};
pub use trace::{Trace, trace};
pub use turn::Turns;
pub use verify::{Check, CheckOutcome, Problems, verify_backup};

/// The schema this version writes.
pub const SCHEMA_VERSION: i64 = 11;
/// The database's name in the state directory.
pub const DATABASE: &str = "fiscwatch.db";

/// The state directory, opened for writing by one process.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    connection: Connection,
    quarantine: QuarantineLimit,
    lines: checkpoint::LineSums,
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
        // Whoever replicates it begins again.
        turns.ship_by(None);
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
        checksums::check(dir, &connection, &checksums::SEALED)?;
        checksums::check(dir, &connection, &checksums::AUDIT_FILES)?;
        sealed::check(dir, &connection)?;
        sealed::remove_unregistered(dir, &connection)?;
        checksums::check(dir, &connection, &checksums::ATTACHMENTS)?;
        attachments::sweep(dir, &connection)?;
        reach(dir, "start.swept")?;
        let (quarantine, lines) = (QuarantineLimit::default(), checkpoint::LineSums::default());
        Ok(Self { dir: dir.to_owned(), connection, quarantine, lines, turns, _lock: lock })
    }

    /// Reservations that end by themselves, and those of blocked applications.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn releases(&self) -> Result<Vec<crate::decision::Release>, StoreError> {
        decisions::releases(&self.connection).map_err(|error| explain(&self.dir, error))
    }

    pub(crate) fn limit_quarantine(&mut self, limit: QuarantineLimit) {
        self.quarantine = limit;
    }

    /// The bytes in quarantine.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn quarantine_bytes(&self) -> Result<u64, StoreError> {
        quarantine::bytes(&self.connection).map_err(|error| explain(&self.dir, error))
    }

    /// The directory that the state is kept in.
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

    /// The latest event time; `None` if there is no event.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn latest_at(&self) -> Result<Option<Instant>, StoreError> {
        Ok(recover::number(self, recover::LATEST)?.map(Instant::from_micros))
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

/// Bytes of the log from which a commit moves it into the database.
const LOG_MAX: i64 = 256 << 20;

/// Prepares a writing connection: that of the commits, or that of the sealer.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    // A commit writes a dozen pages, and little into each. A state that is there keeps the size that it was made with.
    connection.pragma_update(None, "page_size", 4096)?;
    to_the_end(connection, "PRAGMA journal_mode = WAL")?;
    // FULL, because NORMAL loses acknowledged commits when the power fails.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // `LogMover` does it before, as a rule.
    let page_size: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_MAX / page_size)?;
    connection.pragma_update(None, "cache_size", -65536)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Else a statement whose plan might depend on a value is planned again each time that it is used.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Moves the log into the database and empties it. After a failed fsync the kernel takes pages for written that are
/// not, and a log that is read back from its cache looks whole until the power fails. So what a start finds in the log
/// is written, and confirmed, once more. A program that reads meanwhile keeps the log from being cut, which is not waited
/// for. One that reads an earlier moment keeps what came after it from being moved: it is waited for, and then told.
fn empty_log(dir: &Path, connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(1))?;
    let (started, patience) = (std::time::Instant::now(), failpoint::within("patience.log", BUSY));
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
    ship::may_write(dir)?;
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
    // A list of 100,000 alerts goes over the same pages again and again.
    connection.pragma_update(None, "cache_size", -16384).map_err(|error| explain(dir, error))?;
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

/// A place where a test can make the process die or fail.
fn reach(dir: &Path, name: &str) -> Result<(), StoreError> {
    failpoint::reach(name).map_err(|error| match error.kind() {
        std::io::ErrorKind::StorageFull => StoreError::Full(dir.to_owned()),
        _ => StoreError::Unsure { path: dir.to_owned(), error: error.to_string() },
    })
}

/// The same within a transaction.
fn reach_in(name: &str) -> rusqlite::Result<()> {
    failpoint::reach(name).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
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
