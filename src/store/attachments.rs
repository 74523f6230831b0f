//! 附件: files of cases, beside the database, each under the digest of its bytes. A file is written while it comes in, and
//! named only when it is whole; the database names it in the transaction of what it came with. Nothing is ever executed.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OptionalExtension, Row, named_params};
use sha2::{Digest as _, Sha256};

use super::{
    CaseError, Cases, StoreError,
    alerts::{self, CauseTimes},
    checksums::{self, SumChanges, Summed},
    explain,
    named::insert,
};
use crate::{
    alert::{
        Desk, FileFact,
        attachment::{FileKind, HEAD},
        desk::Refusal,
        policy::FileLimits,
    },
    event::Instant,
    private, say,
};

/// The folder with the files.
pub const ATTACHMENTS: &str = "attachments";
/// What a file is called that is not whole.
const COMING: &str = "coming-";

/// A file that comes in.
#[derive(Debug)]
pub struct Upload {
    file: File,
    path: PathBuf,
    folder: PathBuf,
    digest: Sha256,
    head: Vec<u8>,
    bytes: u64,
    most: u64,
}

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It is too long.
    #[error("{0}")]
    TooLarge(String),
    /// It is of no kind that is taken.
    #[error("{0}")]
    Kind(String),
    /// It cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A file that is whole, and that nothing names yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its name, as whoever sent it calls it.
    pub name: String,
    /// What it is, by [`FileKind`]'s word.
    pub kind: String,
    /// How long it is.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub digest: String,
}

impl StoredFile {
    /// What a history says of it.
    #[must_use]
    pub fn fact(&self) -> FileFact {
        FileFact { name: self.name.clone(), bytes: self.bytes, sha256: self.digest.clone() }
    }
}

/// A file of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    pub(crate) seq: i64,
    pub(crate) at: Instant,
    pub(crate) who: String,
    /// The file that was attached.
    pub file: StoredFile,
}

fn failed(path: &Path, error: std::io::Error) -> StoreError {
    StoreError::Directory { path: path.to_owned(), error }
}

impl Upload {
    /// Begins a file of at most so many bytes.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn begin(state_dir: &Path, most: u64) -> Result<Self, UploadError> {
        let folder = state_dir.join(ATTACHMENTS);
        private::create_dir_all(&folder).map_err(|e| failed(&folder, e))?;
        let path = folder.join(format!("{COMING}{:032x}", rand::random::<u128>()));
        let file = private::create_new(&path).map_err(|e| failed(&path, e))?;
        Ok(Self { file, path, folder, digest: Sha256::new(), head: Vec::new(), bytes: 0, most })
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// If there are too many, or they cannot be written.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.most {
            return Err(UploadError::TooLarge(too_large(self.most)));
        }
        let missing = HEAD.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..missing]);
        self.digest.update(bytes);
        self.file.write_all(bytes).map_err(|e| failed(&self.path, e))?;
        Ok(())
    }

    /// How long it is so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives the file its name, if it is of a kind that is taken.
    ///
    /// # Errors
    /// If it is not, or cannot be written.
    pub fn finish(self, name: &str) -> Result<StoredFile, UploadError> {
        let kind = FileKind::of(&self.head, self.bytes <= HEAD as u64).map_err(UploadError::Kind)?;
        let digest = self.digest.clone().finalize();
        let digest = digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        self.file.sync_all().map_err(|e| failed(&self.path, e))?;
        let path = self.folder.join(&digest);
        std::fs::rename(&self.path, &path).map_err(|e| failed(&path, e))?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(|e| failed(&self.folder, e))?;
        let (name, kind) = (crate::alert::attachment::name(name), kind.word().to_owned());
        Ok(StoredFile { name, kind, bytes: self.bytes, digest })
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // One that was finished has another name.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What is said of a file that is too long.
#[must_use]
pub fn too_large(most: u64) -> String {
    say!("a file may have {mib} MiB", mib = most >> 20)
}

/// Whether a case takes these files beside those it has.
pub(super) fn has_room(
    c: &Connection,
    alert_id: &str,
    files: &[StoredFile],
    limits: FileLimits,
) -> rusqlite::Result<Result<(), Refusal>> {
    let sql = "SELECT count(*), coalesce(sum(bytes), 0) FROM attachments WHERE alert_id = ?1";
    let (count, bytes): (u64, u64) =
        c.prepare_cached(sql)?.query_row([alert_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let more: u64 = files.iter().map(|file| file.bytes).sum();
    let fits = files.is_empty()
        || count + files.len() as u64 <= u64::from(limits.files) && bytes + more <= limits.case;
    Ok(match fits {
        true => Ok(()),
        false => Err(Refusal::State(say!(
            "a case takes {files} files with {mib} MiB together; send the rest by mail",
            files = limits.files,
            mib = limits.case >> 20
        ))),
    })
}

/// Bytes that a case has room for.
pub(super) fn room(c: &Connection, alert_id: &str, limits: FileLimits) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*), coalesce(sum(bytes), 0) FROM attachments WHERE alert_id = ?1";
    let (count, bytes): (u32, u64) =
        c.prepare_cached(sql)?.query_row([alert_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(if count < limits.files { limits.case.saturating_sub(bytes) } else { 0 })
}

/// Names files of a case. One that somebody discarded meanwhile is not there any more.
pub(super) fn add(
    dir: &Path,
    summed: &Summed<'_>,
    (alert_id, who): (&str, &str),
    files: &[StoredFile],
    at: Instant,
) -> rusqlite::Result<()> {
    for StoredFile { name, kind, bytes, digest } in files {
        if let Err(error) = std::fs::metadata(dir.join(ATTACHMENTS).join(digest)) {
            return Err(rusqlite::Error::ToSqlConversionFailure(Box::new(error)));
        }
        insert!(summed.transaction, "INSERT INTO attachments", { alert_id, at, who, name, kind, bytes, digest })?;
        summed.inserted(&checksums::ATTACHMENTS, [summed.transaction.last_insert_rowid()])?;
    }
    Ok(())
}

fn attached(row: &Row<'_>) -> rusqlite::Result<Attached> {
    let file = StoredFile {
        name: row.get("name")?,
        kind: row.get("kind")?,
        bytes: row.get("bytes")?,
        digest: row.get("digest")?,
    };
    Ok(Attached { seq: row.get("seq")?, at: row.get("at")?, who: row.get("who")?, file })
}

impl Cases {
    /// The files of an alert, oldest first.
    ///
    /// # Errors
    /// If there is no such alert.
    pub fn attachments(&self, id: &str) -> Result<Vec<Attached>, CaseError> {
        self.own(&self.connection, id)?;
        let sql = "SELECT seq, at, who, name, kind, bytes, digest FROM attachments WHERE alert_id = ?1 ORDER BY seq";
        Ok(self.read(|c| c.prepare_cached(sql)?.query_map([id], attached)?.collect())?)
    }

    /// Opens a file of an alert, and records who did.
    ///
    /// # Errors
    /// If there is none, or its bytes are not those that came.
    pub fn open_attachment(
        &mut self,
        id: &str,
        seq: i64,
        now: Instant,
    ) -> Result<(Attached, File), CaseError> {
        self.own(&self.connection, id)?;
        let sql = "SELECT seq, at, who, name, kind, bytes, digest FROM attachments WHERE alert_id = :id AND seq = :seq";
        let found = self.read(|c| {
            c.prepare_cached(sql)?.query_row(named_params! { ":id": id, ":seq": seq }, attached).optional()
        })?;
        let missing = || CaseError::NotFound(say!("the case has no file of this number"));
        let file = found.ok_or_else(missing)?;
        let path = self.dir.join(ATTACHMENTS).join(&file.file.digest);
        let what = wrong(&path, &file.file).map(std::io::Error::other);
        if let Some(error) = what {
            return Err(StoreError::Directory { path, error }.into());
        }
        let opened = File::open(&path).map_err(|e| failed(&path, e))?;
        let (who, detail) = (self.actor.who.clone(), format!("{} {}", file.file.digest, file.file.name));
        self.change(|summed| self.tell(summed, (&who, now), ("alerts.download", id, &detail)))?;
        Ok((file, opened))
    }

    /// Removes files that came with what was refused, unless a case names them.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn discard(&mut self, files: &[StoredFile]) -> Result<(), StoreError> {
        let dir = self.dir.clone();
        let fail = |error| explain(&dir, error);
        // Whoever names a file does so in its turn, too.
        let transaction = self.begin().map_err(fail)?;
        for file in files {
            let sql = "SELECT 1 FROM attachments WHERE digest = ?1";
            let is_named = transaction
                .prepare_cached(sql)
                .and_then(|mut named| named.exists([&file.digest]))
                .map_err(fail)?;
            if !is_named {
                // One that stays is swept at the next start.
                let _ = std::fs::remove_file(dir.join(ATTACHMENTS).join(&file.digest));
            }
        }
        transaction.commit().map_err(fail)
    }

    /// Adds an officer's file to an alert; one that is refused is not kept.
    ///
    /// # Errors
    /// If there is no such alert, it is over, or has too many files.
    pub fn attach(&mut self, id: &str, file: StoredFile, desk: &Desk, now: Instant) -> Result<(), CaseError> {
        let kept = self.keep_file(id, file.clone(), desk, now);
        if kept.is_err() {
            self.discard(&[file])?;
        }
        kept
    }

    fn keep_file(&mut self, id: &str, file: StoredFile, desk: &Desk, now: Instant) -> Result<(), CaseError> {
        let dir = self.dir.clone();
        let fail = |error| CaseError::from(explain(&dir, error));
        let transaction = self.begin().map_err(fail)?;
        let changes = SumChanges::default();
        let summed = changes.within(&transaction);
        let alert = self.own(&transaction, id)?;
        let files = [file];
        has_room(&transaction, id, &files, desk.policy.files).map_err(fail)??;
        let who = self.actor.who.clone();
        let step = desk.attach(alert, &who, files[0].fact(), now)?;
        alerts::save(&summed, &step, CauseTimes::at(now)).map_err(fail)?;
        add(&dir, &summed, (id, &who), &files, now).map_err(fail)?;
        let detail = format!("{} {}", files[0].digest, files[0].name);
        self.tell(&summed, (&who, now), ("alerts.attach", id, &detail)).map_err(fail)?;
        changes.end(&transaction).map_err(fail)?;
        transaction.commit().map_err(fail)?;
        Ok(())
    }
}

/// The files that a database names, each once, with their lengths.
pub(super) fn named(connection: &Connection) -> rusqlite::Result<Vec<StoredFile>> {
    let sql = "SELECT min(name) AS name, min(kind) AS kind, bytes, digest FROM attachments GROUP BY digest ORDER BY digest";
    let mut statement = connection.prepare(sql)?;
    statement
        .query_map([], |row| {
            Ok(StoredFile {
                name: row.get("name")?,
                kind: row.get("kind")?,
                bytes: row.get("bytes")?,
                digest: row.get("digest")?,
            })
        })?
        .collect()
}

/// What is wrong with a file, if anything is.
pub(super) fn wrong(path: &Path, file: &StoredFile) -> Option<String> {
    let mut digest = Sha256::new();
    let mut read = || -> std::io::Result<u64> {
        let mut source = File::open(path)?;
        let (mut buffer, mut bytes) = (vec![0; 1 << 16], 0);
        loop {
            let n = source.read(&mut buffer)?;
            if n == 0 {
                return Ok(bytes);
            }
            digest.update(&buffer[..n]);
            bytes += n as u64;
        }
    };
    let bytes = match read() {
        Ok(bytes) => bytes,
        Err(error) => return Some(crate::diagnostic::os_reason(&error)),
    };
    let found = digest.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    (bytes != file.bytes || found != file.digest).then(|| say!("its bytes are not those that came"))
}

/// Removes files that nothing names: what a crash or a refusal left. Whoever calls has the state to itself.
pub(super) fn sweep(dir: &Path, connection: &Connection) -> Result<usize, StoreError> {
    let folder = dir.join(ATTACHMENTS);
    if !folder.exists() {
        return Ok(0);
    }
    let known: BTreeSet<String> =
        named(connection).map_err(|e| explain(dir, e))?.into_iter().map(|file| file.digest).collect();
    let mut removed = 0;
    for entry in std::fs::read_dir(&folder).map_err(|e| failed(&folder, e))? {
        let entry = entry.map_err(|e| failed(&folder, e))?;
        if !entry.file_name().to_str().is_some_and(|name| known.contains(name)) {
            std::fs::remove_file(entry.path()).map_err(|e| failed(&entry.path(), e))?;
            removed += 1;
        }
    }
    Ok(removed)
}
