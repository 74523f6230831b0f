//! One writing process for each state directory.

use std::{
    fs::{File, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
    sync::Arc,
};

use super::{StoreError, sealed, turn::Turns};
use crate::private;

/// Held while the process writes; the operating system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
    turns: Arc<Turns>,
}

impl Drop for StateLock {
    fn drop(&mut self) {
        self.turns.set_ours(false);
    }
}

impl StateLock {
    /// Takes the lock of a state directory, and makes the directory if it is not there.
    ///
    /// # Errors
    /// If another process has it, or the lock file cannot be written.
    pub fn acquire(dir: &Path) -> Result<Self, StoreError> {
        let fail = |error| StoreError::Directory { path: dir.to_owned(), error };
        sealed::make_folder(dir).map_err(fail)?;
        let mut file = private::open(&dir.join("lock")).map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                return Err(StoreError::Locked { path: dir.to_owned(), pid: pid.trim().to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(fail(error)),
        }
        // The number is for the message above only; a full disk must not keep a daemon from starting.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        let turns = Turns::of(dir);
        turns.take_up();
        turns.set_ours(true);
        Ok(Self { _file: file, turns })
    }
}
