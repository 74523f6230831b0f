//! Files and folders for their owner alone, whatever the umask: what fiscwatch writes holds accounts and names. The daemon's
//! memory, which holds passwords for a moment, is for nobody.
//! Everything that it makes is made here, but for manual pages and test reports, which hold none. What is there already
//! keeps its mode.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{Result, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

const FILE: u32 = 0o600;
const FOLDER: u32 = 0o700;

/// Keeps this process' memory to itself: it leaves no core when it dies, and the system's user that it runs as can neither
/// trace it nor read its memory and variables. Root can.
///
/// # Errors
/// If the kernel refuses.
pub(crate) fn keep_memory() -> Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Opens a file for writing, empty.
///
/// # Errors
/// If it cannot be made or opened.
pub(crate) fn create(path: &Path) -> Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(FILE).open(path)
}

/// Makes a file that must not be there yet.
///
/// # Errors
/// If it is there, or cannot be made.
pub(crate) fn create_new(path: &Path) -> Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(FILE).open(path)
}

/// Opens a file for reading and writing with what it holds, and makes it if it is not there.
///
/// # Errors
/// If it cannot be made or opened.
pub(crate) fn open(path: &Path) -> Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(FILE).open(path)
}

/// Makes a file without a name, which is gone when nobody has it open any more.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn unnamed() -> Result<File> {
    tempfile::tempfile()
}

/// Writes a whole file.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    create(path)?.write_all(bytes.as_ref())
}

/// Writes a whole file that must not be there yet, durably. Whatever happens meanwhile, all of it is there or nothing.
///
/// # Errors
/// If it is there, or cannot be written.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map(|_| ()).map_err(|unkept| unkept.error)
}

/// Makes a folder that must not be there yet.
///
/// # Errors
/// If it is there, or cannot be made.
pub(crate) fn create_dir(path: &Path) -> Result<()> {
    DirBuilder::new().mode(FOLDER).create(path)
}

/// Makes a folder and those it is in, as far as they are not there.
///
/// # Errors
/// If one cannot be made.
pub(crate) fn create_dir_all(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER).create(path)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    #[test]
    fn a_new_file_is_whole_and_takes_no_other_ones_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        super::write_new(&path, b"one").unwrap();
        let again = super::write_new(&path, b"another").unwrap_err();
        assert_eq!(again.kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}
