//! A folder as a store: on a disk that other machines have too, or for trials. Each object is synchronised before it has its
//! name, and the name after that.

use std::{
    fs::File,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use super::{BucketError, bucket::Existing};
use crate::{diagnostic::os_reason, private, say};

#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn place(&self) -> String {
        format!("file://{}", self.path.display())
    }

    fn fail(&self, error: &std::io::Error) -> BucketError {
        let place = self.place();
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                BucketError::Away { place, why: say!("its disk is full; free some space there") }
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => BucketError::Refused {
                place,
                why: say!("it cannot be written; give it to the user that runs fiscwatch"),
            },
            _ => BucketError::Away { place, why: os_reason(error) },
        }
    }

    /// The folder itself is made by who sets it up: one that is not mounted must not be taken for an empty one.
    fn is_there(&self) -> Result<(), BucketError> {
        match self.path.is_dir() {
            true => Ok(()),
            false => Err(BucketError::Away {
                place: self.place(),
                why: say!("the folder is not there; make it, or mount the disk that it is on"),
            }),
        }
    }

    pub(super) fn put(&self, key: &str, bytes: &[u8], existing: Existing) -> Result<bool, BucketError> {
        self.is_there()?;
        self.write(key, bytes, existing).map_err(|error| self.fail(&error))
    }

    fn write(&self, key: &str, bytes: &[u8], existing: Existing) -> std::io::Result<bool> {
        let path = self.path.join(key);
        if existing == Existing::Kept && path.exists() {
            return Ok(false);
        }
        let folder = path.parent().unwrap_or(&self.path);
        make(folder)?;
        let unfinished = folder.join(format!(".{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)));
        let written = write(&unfinished, bytes).and_then(|()| match existing {
            Existing::Replaced => std::fs::rename(&unfinished, &path).map(|()| true),
            // A link is made only where nothing is.
            Existing::Kept => match std::fs::hard_link(&unfinished, &path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
                linked => linked.map(|()| true),
            },
        });
        if existing == Existing::Kept || written.is_err() {
            let _ = std::fs::remove_file(&unfinished);
        }
        let written = written?;
        sync(folder)?;
        Ok(written)
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BucketError> {
        self.is_there()?;
        match std::fs::read(self.path.join(key)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.fail(&error)),
        }
    }

    pub(super) fn list(&self, prefix: &str, after: &str) -> Result<Vec<String>, BucketError> {
        self.is_there()?;
        let mut keys = Vec::new();
        walk(&self.path.join(prefix), prefix, &mut keys).map_err(|error| self.fail(&error))?;
        keys.retain(|key| key.as_str() > after);
        keys.sort();
        Ok(keys)
    }

    pub(super) fn delete(&self, key: &str) -> Result<(), BucketError> {
        let path = self.path.join(key);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(self.fail(&error)),
            _ => {}
        }
        // A folder that has become empty goes, too; one that has not stays.
        let mut folder = path.parent();
        while let Some(empty) =
            folder.filter(|folder| *folder != self.path && std::fs::remove_dir(folder).is_ok())
        {
            folder = empty.parent();
        }
        Ok(())
    }
}

/// Makes a folder and its names durable.
fn make(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make(parent)?;
    }
    match private::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    folder.parent().map_or(Ok(()), sync)
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = private::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

fn walk(folder: &Path, prefix: &str, keys: &mut Vec<String>) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        match entry.file_type()?.is_dir() {
            true => walk(&entry.path(), &format!("{prefix}{name}/"), keys)?,
            false if name.starts_with('.') => {}
            false => keys.push(format!("{prefix}{name}")),
        }
    }
    Ok(())
}
