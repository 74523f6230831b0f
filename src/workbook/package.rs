//! The archive that an `.xlsx` file is, and its parts, each read within bounds.

use std::{
    collections::HashMap,
    io::{BufReader, Read, Seek, SeekFrom},
};

use zip::{ZipArchive, result::ZipError};

use super::WorkbookFault;
use crate::{
    markup::{Bounds, Pull, XmlToken},
    say,
};

/// The largest file that is opened.
pub(crate) const FILE_MAX: u64 = 256 << 20;
/// Bytes that all parts together, and each of them, may unpack to.
const UNPACKED_MAX: u64 = 2 << 30;
/// Files in the archive; a workbook has some dozens.
const ENTRIES_MAX: usize = 10_000;

/// An archive of parts.
pub(crate) struct Package<R> {
    archive: ZipArchive<R>,
    /// By name, as names are compared in such archives: without case, with slashes.
    places: HashMap<String, usize>,
}

/// A part as XML.
pub(crate) struct XmlPart<'p> {
    name: &'p str,
    pull: Pull<BufReader<Box<dyn Read + 'p>>>,
}

impl XmlPart<'_> {
    /// The next piece of it.
    pub(crate) fn next_token(&mut self) -> Result<XmlToken<'_>, WorkbookFault> {
        let name = self.name;
        self.pull.next_token().map_err(|fault| WorkbookFault::of(name, fault))
    }

    /// What is wrong with it.
    pub(crate) fn damaged(&self, what: String) -> WorkbookFault {
        WorkbookFault::Damaged { part: self.name.to_owned(), what }
    }
}

/// Refuses a file that is too large to be opened.
pub(crate) fn check_size(file: &mut impl Seek) -> Result<(), WorkbookFault> {
    let bytes = file.seek(SeekFrom::End(0)).map_err(WorkbookFault::Read)?;
    file.seek(SeekFrom::Start(0)).map_err(WorkbookFault::Read)?;
    if bytes > FILE_MAX {
        let what = say!("a workbook of {n} MiB; {most} MiB are read", n = bytes >> 20, most = FILE_MAX >> 20);
        return Err(WorkbookFault::TooLarge { what });
    }
    Ok(())
}

impl<R: Read + Seek> Package<R> {
    /// Opens an archive, and refuses one that says it unpacks to more than is read.
    pub(crate) fn open(file: R) -> Result<Self, WorkbookFault> {
        let archive = ZipArchive::new(file).map_err(|error| told("ZIP", error))?;
        if archive.len() > ENTRIES_MAX {
            return Err(WorkbookFault::TooLarge { what: say!("an archive of {n} files", n = archive.len()) });
        }
        if archive.decompressed_size().is_some_and(|bytes| bytes > u128::from(UNPACKED_MAX)) {
            return Err(WorkbookFault::TooLarge { what: say!("an archive that unpacks to more than 2 GiB") });
        }
        let mut places = HashMap::new();
        for place in 0..archive.len() {
            if let Some(Ok(name)) = archive.name_for_index(place) {
                places.insert(folded(&name), place);
            }
        }
        Ok(Self { archive, places })
    }

    /// A part by its name, if it is there, of at most so many bytes.
    pub(crate) fn part<'p>(
        &'p mut self,
        name: &'p str,
        most: Option<u64>,
    ) -> Result<Option<XmlPart<'p>>, WorkbookFault> {
        let Some(place) = self.places.get(&folded(name)) else { return Ok(None) };
        let file = self.archive.by_index(*place).map_err(|error| told(name, error))?;
        let bounds = Bounds { bytes: most.unwrap_or(UNPACKED_MAX), ..Bounds::default() };
        let bytes: Box<dyn Read + 'p> = Box::new(file);
        Ok(Some(XmlPart { name, pull: Pull::new(BufReader::with_capacity(1 << 16, bytes), bounds) }))
    }

    /// Whether there is such a part.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.places.contains_key(&folded(name))
    }
}

fn folded(name: &str) -> String {
    name.trim_start_matches('/').replace('\\', "/").to_lowercase()
}

fn told(part: &str, error: ZipError) -> WorkbookFault {
    match error {
        ZipError::Io(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            WorkbookFault::Read(error)
        }
        ZipError::UnsupportedArchive(text) if text == ZipError::PASSWORD_REQUIRED => WorkbookFault::Password,
        ZipError::CompressionMethodNotSupported(_) => WorkbookFault::Damaged {
            part: part.to_owned(),
            what: say!("it is compressed in a way that workbooks are not"),
        },
        _ => WorkbookFault::Damaged {
            part: part.to_owned(),
            what: say!("the archive is broken, or not complete"),
        },
    }
}
