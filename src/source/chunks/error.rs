//! Why a file cannot be read, and opening one.

use std::{
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use crate::{diagnostic::os_reason, say, stream::RejectReason};

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be opened.
    #[error("{}", say!(
        "cannot read {path}: {reason}. {hint}",
        path = path.display(), reason = os_reason(error), hint = hint(error)
    ))]
    Open {
        /// The file that was read.
        path: PathBuf,
        /// What the system or the decompressor says.
        error: std::io::Error,
    },
    /// It breaks off, or is not what it says.
    #[error("{}", say!(
        "{path} breaks off after record {record}: {error}. The records before were read; get the file again and read it once more, what is known already is skipped",
        path = path.display(), record, error
    ))]
    Truncated {
        /// The file that was read.
        path: PathBuf,
        /// The last record that was read.
        record: u64,
        /// What the system or the decompressor says.
        error: String,
    },
    /// All of it is wrong in the same way: nothing of it is read.
    #[error("{}", refused(path, fault))]
    Refused {
        /// The file that was read.
        path: PathBuf,
        /// What is wrong, and what to do.
        fault: String,
    },
    /// It has bytes and no record.
    #[error("{}", no_record(path, *bytes))]
    NoRecord {
        /// The file that was read.
        path: PathBuf,
        /// Bytes that were read without a record's end.
        bytes: u64,
    },
    /// It is not what its name says.
    #[error("{}", say!("{path} is not a {format} file: {error}", path = path.display(), format, error))]
    Format {
        /// The file that was read.
        path: PathBuf,
        /// What it should be.
        format: &'static str,
        /// Why it is not.
        error: String,
    },
}

fn refused(path: &Path, fault: &str) -> String {
    say!("{file} is refused, nothing of it is read: {fault}", file = path.display(), fault)
}

fn no_record(path: &Path, bytes: u64) -> String {
    say!(
        "{file} has {bytes} bytes and no record: empty lines, or a header without rows. It stays where it is; write it again, or take it away",
        file = path.display(),
        bytes
    )
}

impl ReadError {
    /// The reason that it is kept in quarantine with.
    #[must_use]
    pub fn reason(&self) -> RejectReason {
        if matches!(self, Self::Truncated { .. }) {
            RejectReason::Truncated
        } else {
            RejectReason::Unreadable
        }
    }
}

/// Opens a file to read, with an error that says what to do.
///
/// # Errors
/// If it is missing, a directory or not readable.
pub fn open(path: &Path) -> Result<File, ReadError> {
    let file = File::open(path).map_err(|error| fail(path, error))?;
    match file.metadata() {
        Ok(metadata) if metadata.is_dir() => Err(fail(path, ErrorKind::IsADirectory.into())),
        Ok(_) => Ok(file),
        Err(error) => Err(fail(path, error)),
    }
}

pub(crate) fn refuse(path: &Path, fault: String) -> ReadError {
    ReadError::Refused { path: path.to_owned(), fault }
}

/// Why a stream of bytes breaks off. What has no number of the system's comes from what decompresses it, in words of a library.
pub(super) fn broken_stream(error: &std::io::Error) -> String {
    match (error.raw_os_error(), error.kind()) {
        (Some(_), _) => os_reason(error),
        (None, ErrorKind::UnexpectedEof) => say!("its compressed data ends too early"),
        (None, _) => say!("its compressed data is damaged, or ends too early"),
    }
}

pub(crate) fn fail(path: &Path, error: std::io::Error) -> ReadError {
    ReadError::Open { path: path.to_owned(), error }
}

/// What to do about a file that cannot be read.
fn hint(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => say!("Check the path"),
        ErrorKind::PermissionDenied => say!("Give the user that runs fiscwatch the right to read it"),
        ErrorKind::IsADirectory => say!("Name the files in it, or use a source of type directory"),
        _ => say!("Check the file and the disk"),
    }
}
