//! The state as of one commit, with what is known of that moment elsewhere.

use std::{fs::File, path::Path, path::PathBuf};

use rusqlite::Connection;

use super::{
    super::{
        ATTACHMENTS, DATABASE, StoreError, Turns, explain,
        sealed::{self, FOLDER},
    },
    BackupManifest, Contents, about, attached, copy_database, manifest, open, registered,
    registered_of_audit,
};

use crate::event::Instant;

/// The state of one commit, until it is dropped: later commits do not change it, and its files stay.
#[derive(Debug)]
pub(crate) struct Pinned {
    dir: PathBuf,
    connection: Connection,
    _hold: File,
}

impl Pinned {
    /// Keeps the state as it is between two commits, at which `moment` is called.
    ///
    /// # Errors
    /// If the state cannot be read, or `moment` fails.
    pub(crate) fn at<T>(
        dir: &Path,
        moment: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<(Self, T), StoreError> {
        let fail = |error| explain(dir, error);
        let (connection, line) = (open(dir)?, open(dir)?);
        line.pragma_update(None, "query_only", false).map_err(fail)?;
        let hold = sealed::hold(dir)?;
        let turns = Turns::of(dir);
        // Nobody commits as long as it is our turn.
        let turn = turns.begin(&line, None).map_err(fail)?;
        connection.execute_batch("BEGIN").map_err(fail)?;
        super::super::check_version(dir, &connection)?;
        let told = moment()?;
        drop(turn);
        Ok((Self { dir: dir.to_owned(), connection, _hold: hold }, told))
    }

    /// Copies the database, and gives what it is.
    ///
    /// # Errors
    /// If it cannot be read, or `to` cannot be written.
    pub(crate) fn copy(&self, to: &Path) -> Result<Contents, StoreError> {
        copy_database(&self.dir, &self.connection, to)?;
        manifest::contents(to).map_err(|e| super::failed(to, e))
    }

    /// What a manifest says of it, without its files.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(crate) fn manifest(&self, now: Instant) -> Result<BackupManifest, StoreError> {
        let fail = |error| explain(&self.dir, error);
        let version = super::super::check_version(&self.dir, &self.connection)?;
        Ok(BackupManifest { made_at: now, ..about(&self.dir, &self.connection, version).map_err(fail)? })
    }

    /// The sealed files that belong to it.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(crate) fn sealed(&self) -> Result<Vec<sealed::SealedFile>, StoreError> {
        registered(&self.connection).map_err(|error| explain(&self.dir, error))
    }

    /// The files that belong to it, beside the database, with their sizes.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(crate) fn files(&self) -> Result<Vec<(String, u64)>, StoreError> {
        files(&self.connection).map_err(|error| explain(&self.dir, error))
    }
}

/// The files that a database names, by their paths in the state directory.
fn files(connection: &Connection) -> rusqlite::Result<Vec<(String, u64)>> {
    let mut all = Vec::new();
    for file in registered(connection)? {
        all.push((format!("{FOLDER}/{}", file.file), file.bytes.unsigned_abs()));
    }
    for file in registered_of_audit(connection)? {
        all.push((format!("{FOLDER}/{}", file.file), file.bytes.unsigned_abs()));
    }
    for file in attached(connection)? {
        all.push((format!("{ATTACHMENTS}/{}", file.digest), file.bytes));
    }
    Ok(all)
}

/// The files that the database of a state directory names, which nobody has open.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn files_named_by(database: &Path) -> Result<Vec<(String, u64)>, StoreError> {
    let dir = database.parent().unwrap_or(database);
    let fail = |error| explain(dir, error);
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(super::super::immutable(database), flags).map_err(fail)?;
    super::super::check_version(dir, &connection)?;
    files(&connection).map_err(fail)
}

/// Whether there is a state in a directory.
#[must_use]
pub(crate) fn is_state(dir: &Path) -> bool {
    dir.join(DATABASE).exists()
}

/// The names of files in the folders of a state that are complete, with their sizes and times.
///
/// # Errors
/// If a folder cannot be read.
pub(crate) fn finished_files(dir: &Path) -> std::io::Result<Vec<(String, std::fs::Metadata)>> {
    let mut all = Vec::new();
    for folder in [FOLDER, ATTACHMENTS] {
        let entries = match std::fs::read_dir(dir.join(folder)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let complete = match folder {
                FOLDER => name.ends_with(".parquet"),
                _ => name.len() == 64,
            };
            match entry.metadata() {
                Ok(about) if complete && about.is_file() => all.push((format!("{folder}/{name}"), about)),
                // It was deleted in between.
                _ => {}
            }
        }
    }
    Ok(all)
}
