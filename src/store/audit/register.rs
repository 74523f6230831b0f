//! Which files hold the older part of the audit log. They lie in the folder of the sealed files and belong to the log
//! from the moment they are registered; none is ever taken off the register. Each has the digest of its bytes, and a
//! link that ties it to the file before: one that was changed, taken out or swapped is named.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row};

use crate::{
    event::Instant,
    store::{
        chain::Head,
        checksums::{self, Summed},
        named::insert,
        sealed::FOLDER,
    },
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuditFile {
    /// Its name in the folder, `audit.1-50000.parquet`.
    pub file: String,
    /// The number of its first record.
    pub first: i64,
    /// That of its last one.
    pub last: i64,
    /// The earliest time of a record.
    pub first_at: Instant,
    pub last_at: Instant,
    /// The end of the log as far as this file.
    pub end: Head,
    pub bytes: i64,
    /// BLAKE3 of its bytes.
    pub digest: blake3::Hash,
    /// What ties it to the file before.
    pub link: blake3::Hash,
}

/// Where a file begins: after the one before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct After {
    /// The number of the last record before it.
    pub seq: i64,
    /// The end of the log there.
    pub end: Head,
    /// The link of the file before.
    pub link: blake3::Hash,
}

impl After {
    /// Before the first file.
    pub(crate) const NONE: Self = Self { seq: 0, end: Head::NONE, link: blake3::Hash::from_bytes([0; 32]) };
}

impl AuditFile {
    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(FOLDER).join(&self.file)
    }

    /// What comes after it.
    pub(crate) fn after(&self) -> After {
        After { seq: self.last, end: self.end, link: self.link }
    }

    /// What its link must be after this file.
    pub(crate) fn linked(&self, before: &After) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"fiscwatch audit file 1\n");
        for digest in [before.link, before.end.digest, self.end.digest, self.digest] {
            hasher.update(digest.as_bytes());
        }
        for number in [before.end.records, self.end.records, self.first, self.last, self.bytes] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.finalize()
    }

    /// Whether it comes right after this one.
    pub(crate) fn follows(&self, before: &After) -> bool {
        self.first > before.seq && self.link == self.linked(before)
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let digest = |name: &str| row.get::<_, [u8; 32]>(name).map(blake3::Hash::from_bytes);
        Ok(Self {
            file: row.get("file")?,
            first: row.get("first")?,
            last: row.get("last")?,
            first_at: row.get("first_at")?,
            last_at: row.get("last_at")?,
            end: Head { records: row.get("records")?, digest: digest("head")? },
            bytes: row.get("bytes")?,
            digest: digest("digest")?,
            link: digest("link")?,
        })
    }
}

/// All of them, the oldest first.
pub(crate) fn list(connection: &Connection) -> rusqlite::Result<Vec<AuditFile>> {
    let sql = "SELECT file, first, last, first_at, last_at, records, head, bytes, digest, link FROM audit_files ORDER BY first";
    connection.prepare_cached(sql)?.query_map([], AuditFile::read)?.collect()
}

pub(crate) fn register(summed: &Summed<'_>, f: &AuditFile) -> rusqlite::Result<()> {
    let AuditFile { file, first, last, first_at, last_at, end, bytes, .. } = f;
    let (head, digest, link) = (&end.digest.as_bytes()[..], &f.digest.as_bytes()[..], &f.link.as_bytes()[..]);
    let records = end.records;
    insert!(summed.transaction, "INSERT INTO audit_files", {
        file, first, last, first_at, last_at, records, head, bytes, digest, link,
    })?;
    summed.inserted(&checksums::AUDIT_FILES, [file])
}
