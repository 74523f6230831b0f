//! A directory under construction: `DIR.partial`, which becomes `DIR` when everything in it is durable. Whatever
//! interrupts that leaves nothing at `DIR`.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use crate::private;

use super::{
    super::{StateLock, StoreError},
    failed,
};

use crate::say;

/// What is added to the name.
const PARTIAL: &str = ".partial";
/// The file that says whose work it is; it goes before the rename.
const LOCK: &str = "lock";

/// A directory that is being made. Dropped without [`Self::finish`], it goes away.
#[derive(Debug)]
pub(crate) struct Unfinished {
    target: PathBuf,
    dir: PathBuf,
    lock: Option<StateLock>,
}

impl Unfinished {
    /// Starts to make `target`, which must not exist. What an interrupted attempt has left is removed.
    ///
    /// # Errors
    /// If `target` exists, another process makes it at this moment, or nothing can be written there.
    pub(crate) fn start(target: &Path) -> Result<Self, StoreError> {
        if std::fs::symlink_metadata(target).is_ok() {
            return Err(StoreError::Exists(target.to_owned()));
        }
        let name = target.file_name().ok_or_else(|| {
            failed(target, std::io::Error::other(say!("the path must end in the name of a directory")))
        })?;
        let mut partial = name.to_owned();
        partial.push(PARTIAL);
        let dir = target.with_file_name(partial);
        let left_over = dir.exists();
        if left_over && !is_ours(&dir).map_err(|e| failed(&dir, e))? {
            return Err(StoreError::Exists(dir));
        }
        private::create_dir_all(&dir).map_err(|e| failed(&dir, e))?;
        let lock = StateLock::acquire(&dir)?;
        if left_over {
            tracing::info!(dir = %dir.display(), "what an interrupted attempt left is removed");
            clear(&dir).map_err(|e| failed(&dir, e))?;
        }
        Ok(Self { target: target.to_owned(), dir, lock: Some(lock) })
    }

    /// Where the files go.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Gives it its name, durably. Its files must be durable already.
    ///
    /// # Errors
    /// If that is impossible.
    pub(crate) fn finish(mut self, folders: &[&str]) -> Result<(), StoreError> {
        let give_name = || {
            std::fs::remove_file(self.dir.join(LOCK))?;
            folders.iter().try_for_each(|folder| sync(&self.dir.join(folder)))?;
            sync(&self.dir)?;
            // Nobody else makes it while the lock is held, but somebody may have put something else there.
            if std::fs::symlink_metadata(&self.target).is_ok() {
                return Err(std::io::ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(&self.dir, &self.target)?;
            sync(self.target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))
        };
        give_name().map_err(|e| failed(&self.target, e))?;
        self.lock = None;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // The error that led here is the one to tell; what stays is removed by the next attempt.
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// Makes the names in a folder durable.
fn sync(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Whether a directory was made by an attempt of ours: its first file is the lock, which is gone only when it is complete
/// and about to get its name.
fn is_ours(dir: &Path) -> std::io::Result<bool> {
    let has = |name: &str| dir.join(name).exists();
    Ok(has(LOCK) || has(super::MANIFEST) || std::fs::read_dir(dir)?.next().is_none())
}

/// Removes all but the lock.
fn clear(dir: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != LOCK {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
