//! A consistent copy of the state, made beside a running daemon, and its way back into a state directory.
//!
//! The database is copied within one read transaction, which commits go on beside of. Sealed files that this
//! transaction sees are registered, so they never change, and a reader's hold keeps them from being deleted.

mod manifest;
mod pinned;
mod unfinished;

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, backup, backup::StepResult};

pub(crate) use manifest::{BackupManifest, Contents, MANIFEST, contents as digest_of};
pub(crate) use pinned::{Pinned, files_named_by, finished_files, is_state};
use unfinished::Unfinished;

use super::{
    ATTACHMENTS, DATABASE, StoreError, attachments,
    audit::{self, AuditFile},
    explain, migrate,
    sealed::{self, FOLDER, SealedFile},
};
use crate::{event::Instant, private};

use crate::say;

/// Pages that are copied at a time: 64 MiB.
const PAGES: i32 = 4096;

/// How a backup is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct BackupOptions {
    /// Sealed files are hard links, which take no space and no time, but share their blocks on disk with the state.
    pub link: bool,
    pub(crate) now: Instant,
}

/// Copies the state in `dir` to `target`, which must not exist. A daemon may run on it.
///
/// # Errors
/// If there is no state, a sealed file is damaged, or `target` exists or cannot be written. There is nothing at
/// `target` then.
pub fn back_up(dir: &Path, target: &Path, options: BackupOptions) -> Result<BackupManifest, StoreError> {
    let fail = |error| explain(dir, error);
    let source = open(dir)?;
    // Held before the transaction begins, so that what it sees is not deleted.
    let _hold = sealed::hold(dir)?;
    source.execute_batch("BEGIN").map_err(fail)?;
    let schema_version = super::check_version(dir, &source)?;
    if schema_version == 0 {
        return Err(StoreError::Missing(dir.to_owned()));
    }
    let unfinished = Unfinished::start(target)?;
    let mut manifest = about(dir, &source, schema_version).map_err(fail)?;
    manifest.made_at = options.now;
    let database = unfinished.dir().join(DATABASE);
    copy_database(dir, &source, &database)?;
    let contents = manifest::contents(&database).map_err(|e| failed(&database, e))?;
    manifest.files.insert(DATABASE.to_owned(), contents);
    let folder = unfinished.dir().join(FOLDER);
    private::create_dir(&folder).map_err(|e| failed(&folder, e))?;
    for file in registered(&source).map_err(fail)? {
        let contents = copy_sealed(dir, &file, &folder.join(&file.file), options.link)?;
        manifest.files.insert(format!("{FOLDER}/{}", file.file), contents);
    }
    for file in registered_of_audit(&source).map_err(fail)? {
        let contents = copy_audit(dir, &file, &folder.join(&file.file), options.link)?;
        manifest.files.insert(format!("{FOLDER}/{}", file.file), contents);
    }
    let files = unfinished.dir().join(ATTACHMENTS);
    private::create_dir(&files).map_err(|e| failed(&files, e))?;
    for file in attached(&source).map_err(fail)? {
        let from = dir.join(ATTACHMENTS).join(&file.digest);
        if let Some(what) = attachments::wrong(&from, &file) {
            return Err(failed(&from, std::io::Error::other(what)));
        }
        let contents = copy(&from, &files.join(&file.digest))?;
        manifest.files.insert(format!("{ATTACHMENTS}/{}", file.digest), contents);
    }
    manifest.write(unfinished.dir())?;
    unfinished.finish(&[FOLDER, ATTACHMENTS])?;
    Ok(manifest)
}

/// Makes a state directory of a backup. `target` must not exist.
///
/// # Errors
/// If `backup` is none or is damaged, or `target` exists or cannot be written. There is nothing at `target` then.
pub fn restore(backup: &Path, target: &Path) -> Result<BackupManifest, StoreError> {
    let manifest = BackupManifest::read(backup)?.ok_or_else(|| StoreError::NoBackup(backup.to_owned()))?;
    if manifest.schema_version > super::SCHEMA_VERSION {
        return Err(StoreError::Newer { path: backup.to_owned(), found: manifest.schema_version });
    }
    let unfinished = Unfinished::start(target)?;
    for folder in [FOLDER, ATTACHMENTS] {
        let folder = unfinished.dir().join(folder);
        private::create_dir(&folder).map_err(|e| failed(&folder, e))?;
    }
    for (name, expected) in &manifest.files {
        let (from, to) = (backup.join(name), unfinished.dir().join(name));
        let copied = copy(&from, &to)?;
        if copied != *expected {
            let what = say!("it is not what the manifest says; take another backup");
            return Err(failed(&from, std::io::Error::other(what)));
        }
    }
    unfinished.finish(&[FOLDER, ATTACHMENTS])?;
    Ok(manifest)
}

/// Makes a state directory by `work`, or nothing. `target` must not exist.
///
/// # Errors
/// If `work` fails, or `target` exists or cannot be written. There is nothing at `target` then.
pub(crate) fn make_whole<T, E: From<StoreError>>(
    target: &Path,
    work: impl FnOnce(&Path) -> Result<T, E>,
) -> Result<T, E> {
    let unfinished = Unfinished::start(target)?;
    let done = work(unfinished.dir())?;
    unfinished.finish(&[FOLDER, ATTACHMENTS])?;
    Ok(done)
}

/// A reading connection to a state of any version that this one can bring up to date: a copy is made before that.
fn open(dir: &Path) -> Result<Connection, StoreError> {
    let path = dir.join(DATABASE);
    super::is_there(dir, &path)?;
    let fail = |error| explain(dir, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fail)?;
    connection.busy_timeout(super::BUSY).map_err(fail)?;
    connection.pragma_update(None, "query_only", true).map_err(fail)?;
    Ok(connection)
}

/// What the manifest says of the contents.
fn about(dir: &Path, source: &Connection, schema_version: i64) -> rusqlite::Result<BackupManifest> {
    let number = |sql: &str| source.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
    let files = registered(source)?;
    let sealed: i64 = files.iter().map(|file| file.events).sum();
    let blocks = number("SELECT sum(events) FROM journal")?.unwrap_or(0);
    let last_block =
        number("SELECT max(seq) FROM journal")?.max(files.iter().map(|file| file.last_seq).max());
    let last_at = number("SELECT max(last_at) FROM journal")?
        .max(files.iter().map(|file| file.last_at).max().map(Instant::as_micros));
    let mut statement = source.prepare("SELECT source, partition, \"offset\" FROM positions")?;
    let positions =
        statement.query_map([], |row| Ok((row.get("source")?, row.get("partition")?, row.get("offset")?)))?;
    Ok(BackupManifest {
        fiscwatch: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: Instant::EPOCH,
        of: dir.display().to_string(),
        schema_version,
        events: sealed + blocks,
        last_block: last_block.unwrap_or(0),
        last_at: last_at.map(Instant::from_micros),
        findings: number("SELECT count(*) FROM findings")?.unwrap_or(0),
        positions: positions.collect::<Result<_, _>>()?,
        files: std::collections::BTreeMap::new(),
    })
}

/// The sealed files; version 1 had none.
fn registered(source: &Connection) -> rusqlite::Result<Vec<SealedFile>> {
    match migrate::version(source)? {
        1 => Ok(Vec::new()),
        _ => sealed::list(source),
    }
}

/// The files of the audit log, which version 10 brought.
fn registered_of_audit(source: &Connection) -> rusqlite::Result<Vec<AuditFile>> {
    match migrate::version(source)? {
        ..10 => Ok(Vec::new()),
        _ => audit::files(source),
    }
}

/// The files of cases; versions before 10 had none.
fn attached(source: &Connection) -> rusqlite::Result<Vec<attachments::StoredFile>> {
    match migrate::version(source)? {
        ..10 => Ok(Vec::new()),
        _ => attachments::named(source),
    }
}

fn copy_database(dir: &Path, source: &Connection, to: &Path) -> Result<(), StoreError> {
    let fail = |error| match explain(to, error) {
        StoreError::Full(path) => failed(&path, std::io::ErrorKind::StorageFull.into()),
        other => other,
    };
    private::create_new(to).map_err(|e| failed(to, e))?;
    let mut copy = Connection::open(to).map_err(fail)?;
    {
        let backup = backup::Backup::new(source, &mut copy).map_err(fail)?;
        // The source is the snapshot of one transaction, so what is committed meanwhile starts nothing over again.
        loop {
            match backup.step(PAGES).map_err(fail)? {
                StepResult::Done => break,
                StepResult::More => {}
                _ => {
                    let busy =
                        say!("the database in {path} is locked by another program", path = dir.display());
                    return Err(failed(to, std::io::Error::other(busy)));
                }
            }
        }
    }
    copy.close().map_err(|(_, error)| fail(error))?;
    File::open(to).and_then(|file| file.sync_all()).map_err(|e| failed(to, e))
}

/// Copies or links a sealed file, and makes sure that it is what was written.
fn copy_sealed(dir: &Path, file: &SealedFile, to: &Path, link: bool) -> Result<Contents, StoreError> {
    // The checksum of the register first: what is damaged must not replace a backup that is not.
    super::history::file::verify(dir, file)?;
    let from = file.path(dir);
    if link && std::fs::hard_link(&from, to).is_ok() {
        return manifest::contents(to).map_err(|e| failed(to, e));
    }
    copy(&from, to)
}

/// The same of a file of the audit log.
fn copy_audit(dir: &Path, file: &AuditFile, to: &Path, link: bool) -> Result<Contents, StoreError> {
    let from = file.path(dir);
    let contents = match link && std::fs::hard_link(&from, to).is_ok() {
        true => manifest::contents(to).map_err(|e| failed(to, e))?,
        false => copy(&from, to)?,
    };
    match contents.blake3 == file.digest.to_string() {
        true => Ok(contents),
        false => Err(StoreError::SealedFile {
            path: from,
            what: say!("it does not match its digest: it was changed, or is another file"),
        }),
    }
}

fn copy(from: &Path, to: &Path) -> Result<Contents, StoreError> {
    let mut source = File::open(from).map_err(|e| failed(from, e))?;
    let mut write = || {
        let mut file = private::create_new(to)?;
        let contents = manifest::copy(&mut source, &mut file)?;
        file.sync_all()?;
        Ok(contents)
    };
    write().map_err(|e| failed(to, e))
}

fn failed(path: &Path, error: std::io::Error) -> StoreError {
    StoreError::Backup { path: PathBuf::from(path), error }
}
