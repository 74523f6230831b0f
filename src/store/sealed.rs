//! Which sealed files there are, and the folder they lie in.
//!
//! A file belongs to the journal from the moment it is registered in the database, and no longer than that. So what
//! writes files registers them last, what deletes files takes them off the register first, and a file that is not
//! registered can always go, unless a reader that opened the state earlier may still read it.

use std::{
    collections::BTreeSet,
    fs::{File, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, Row, Transaction};

use super::{
    StoreError, audit,
    backup::MANIFEST,
    checksums::{self, SumUpdate},
    explain,
    named::insert,
    reach,
};
use crate::{diagnostic::os_reason, event::Instant, private, say};

/// The folder of the sealed files in the state directory.
pub(crate) const FOLDER: &str = "sealed";
/// What a file is called while it is written.
pub(crate) const UNFINISHED: &str = ".parquet.tmp";
const FINISHED: &str = ".parquet";
/// Locked, shared, by who reads sealed files; exclusively, for a moment, by who deletes some.
const READERS: &str = "readers";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SealedFile {
    /// Its name in the folder, `2026-03-04.17-42.parquet`: the local day and the journal blocks.
    pub file: String,
    /// The local day, `2026-03-04`.
    pub day: String,
    /// The earliest event time.
    pub first_at: Instant,
    pub last_at: Instant,
    /// The number of events.
    pub events: i64,
    /// The first journal block that has events in it.
    pub first_seq: i64,
    pub last_seq: i64,
    pub bytes: i64,
    /// xxh3 of its bytes.
    pub checksum: i64,
}

impl SealedFile {
    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(FOLDER).join(&self.file)
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            file: row.get("file")?,
            day: row.get("day")?,
            first_at: row.get("first_at")?,
            last_at: row.get("last_at")?,
            events: row.get("events")?,
            first_seq: row.get("first_seq")?,
            last_seq: row.get("last_seq")?,
            bytes: row.get("bytes")?,
            checksum: row.get("checksum")?,
        })
    }
}

/// All registered files, by their first block.
pub(crate) fn list(connection: &Connection) -> rusqlite::Result<Vec<SealedFile>> {
    let sql = "SELECT file, day, first_at, last_at, events, first_seq, last_seq, bytes, checksum FROM sealed ORDER BY first_seq, day";
    connection.prepare_cached(sql)?.query_map([], SealedFile::read)?.collect()
}

pub(crate) fn register(transaction: &Transaction<'_>, f: &SealedFile) -> rusqlite::Result<()> {
    let SealedFile { file, day, first_at, last_at, events, first_seq, last_seq, bytes, checksum } = f;
    insert!(transaction, "INSERT INTO sealed", {
        file, day, first_at, last_at, events, first_seq, last_seq, bytes, checksum,
    })?;
    let mut change = SumUpdate::of(transaction, &checksums::SEALED);
    change.after([file])?;
    change.end()
}

/// Takes a file off the register.
pub(crate) fn unregister(transaction: &Transaction<'_>, file: &SealedFile) -> rusqlite::Result<()> {
    let mut change = SumUpdate::of(transaction, &checksums::SEALED);
    change.before([&file.file])?;
    transaction.prepare_cached("DELETE FROM sealed WHERE file = ?1")?.execute([&file.file])?;
    change.end()
}

/// Makes the folder and finds every registered file in it, with its size. The contents are checked when they are read.
///
/// # Errors
/// If a file is missing or of another size.
pub(crate) fn check(dir: &Path, connection: &Connection) -> Result<(), StoreError> {
    let folder = dir.join(FOLDER);
    make_folder(&folder).map_err(|error| StoreError::Directory { path: folder, error })?;
    for file in list(connection).map_err(|error| explain(dir, error))? {
        check_size(dir, &file)?;
    }
    Ok(())
}

/// Whether a file is there with its registered size.
///
/// # Errors
/// If not.
pub(crate) fn check_size(dir: &Path, file: &SealedFile) -> Result<(), StoreError> {
    let path = file.path(dir);
    let damaged = |what| StoreError::SealedFile { path: path.clone(), what };
    let found = std::fs::metadata(&path).map_err(|e| damaged(os_reason(&e)))?.len();
    if i64::try_from(found) != Ok(file.bytes) {
        return Err(damaged(say!(
            "it has {found} bytes and should have {wanted}",
            found,
            wanted = file.bytes
        )));
    }
    Ok(())
}

/// A reader's hold on the sealed files: none is deleted as long as it lives.
///
/// # Errors
/// If the lock file cannot be opened.
pub(crate) fn hold(dir: &Path) -> Result<File, StoreError> {
    // From a backup nothing is deleted, and nothing is written into it.
    let file = match File::open(dir.join(MANIFEST)) {
        Ok(manifest) => manifest,
        Err(_) => readers(dir)?,
    };
    file.lock_shared().map_err(|error| StoreError::Directory { path: dir.to_owned(), error })?;
    Ok(file)
}

fn readers(dir: &Path) -> Result<File, StoreError> {
    private::open(&dir.join(READERS)).map_err(|error| StoreError::Directory { path: dir.to_owned(), error })
}

/// Deletes files that are not registered: those of a crash, and those that were replaced or retired. Gives `false`,
/// and deletes nothing, while somebody reads.
///
/// # Errors
/// If the folder cannot be read or written.
pub(crate) fn remove_unregistered(dir: &Path, connection: &Connection) -> Result<bool, StoreError> {
    let folder = dir.join(FOLDER);
    let fail = |error| StoreError::Directory { path: folder.clone(), error };
    let lock = readers(dir)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(false),
        Err(TryLockError::Error(error)) => return Err(fail(error)),
    }
    let registered = list(connection).map_err(|error| explain(dir, error))?;
    let of_audit = audit::files(connection).map_err(|error| explain(dir, error))?;
    let registered = registered.into_iter().map(|f| f.file).chain(of_audit.into_iter().map(|f| f.file));
    let registered: BTreeSet<String> = registered.collect();
    for entry in std::fs::read_dir(&folder).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name();
        let name = name.to_string_lossy();
        // Whatever else somebody put here is not ours to delete.
        let ours = name.ends_with(FINISHED) || name.ends_with(UNFINISHED);
        if ours && !registered.contains(&*name) {
            reach(dir, "sweep.file")?;
            tracing::debug!(file = &*name, "a sealed file that is not in use is deleted");
            match std::fs::remove_file(folder.join(&*name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(fail(error)),
                _ => {}
            }
        }
    }
    Ok(true)
}

/// Makes the names in the folder durable.
pub(crate) fn sync_folder(dir: &Path) -> std::io::Result<()> {
    sync_names(&dir.join(FOLDER))
}

/// Makes the names in a folder durable: a file is lost with its name, however well it was written itself.
///
/// # Errors
/// If the disk does not confirm them.
pub(crate) fn sync_names(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes a folder, and those it is in, and their names durable.
///
/// # Errors
/// If one cannot be made or made durable.
pub(crate) fn make_folder(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    make_folder(parent)?;
    match private::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_names(parent)
}
