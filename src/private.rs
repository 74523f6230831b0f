//! Files and folders for their owner alone, whatever the umask: what fiscwatch writes holds accounts and names. The daemon's
//! memory, which holds passwords for a moment, is for nobody.
//! Everything that it makes is made here, but for manual pages and test reports, which hold none. What is there already
//! keeps its mode.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{Result, Write},
    os::{
        fd::AsRawFd as _,
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, linkat},
    io::Errno,
    process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit},
};

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

/// Writes several files of a folder that belong together; those that are there are replaced. They get their names when all of
/// them are written: a full disk, or a process that is killed, leaves none of them half there.
///
/// # Errors
/// If one cannot be written; then there is none of them that was not there before.
pub(crate) fn write_all<B: AsRef<[u8]>>(folder: &Path, files: &[(String, B)]) -> Result<()> {
    let mut written = Vec::with_capacity(files.len());
    for (name, bytes) in files {
        let mut file = Unnamed::new(folder)?;
        file.file().write_all(bytes.as_ref())?;
        file.file().sync_all()?;
        written.push((name, file));
    }
    for (name, file) in written {
        file.name(folder, name)?;
    }
    File::open(folder)?.sync_all()
}

/// A file that gets its name when it is whole. Where the file system can, it has none until then, and goes with the process.
enum Unnamed {
    None(File),
    Named(tempfile::NamedTempFile),
}

impl Unnamed {
    fn new(folder: &Path) -> Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        match rustix::fs::open(folder, flags, Mode::from_raw_mode(FILE)) {
            Ok(file) => Ok(Self::None(File::from(file))),
            // Not every file system can.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
                Ok(Self::Named(tempfile::NamedTempFile::new_in(folder)?))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn file(&mut self) -> &mut File {
        match self {
            Self::None(file) => file,
            Self::Named(file) => file.as_file_mut(),
        }
    }

    fn name(self, folder: &Path, name: &str) -> Result<()> {
        let path = folder.join(name);
        let file = match self {
            Self::Named(file) => return file.persist(path).map(|_| ()).map_err(|unkept| unkept.error),
            Self::None(file) => file,
        };
        let own = format!("/proc/self/fd/{}", file.as_raw_fd());
        let link = |to: &Path| linkat(CWD, &own, CWD, to, AtFlags::SYMLINK_FOLLOW);
        match link(&path) {
            Ok(()) => Ok(()),
            // A link takes no other file's place; a rename does.
            Err(Errno::EXIST) => {
                let beside = folder.join(format!(".{name}.new"));
                let _ = std::fs::remove_file(&beside);
                link(&beside)?;
                std::fs::rename(&beside, &path)
            }
            Err(error) => Err(error.into()),
        }
    }
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

    #[test]
    fn files_that_belong_together_take_the_place_of_those_that_were_there() {
        let folder = tempfile::tempdir().unwrap();
        for round in ["one", "two"] {
            let files = [("a", round), ("b", round)].map(|(name, text)| (name.to_owned(), text));
            super::write_all(folder.path(), &files).unwrap();
            assert_eq!(fs::read_to_string(folder.path().join("b")).unwrap(), round);
        }
        let names = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 2, "nothing is left beside them");
        let mode = fs::metadata(folder.path().join("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
