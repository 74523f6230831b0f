//! What stands in the log: a line that says what it is, and after it, packed, the pages that a commit changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    event::Instant,
    say,
    store::{Commits, Contents},
};

/// The version of this format.
const FORMAT: u32 = 1;
/// The first byte of packed pages follows on this.
const END_OF_LINE: u8 = b'\n';
/// The most bytes that pages may have when they are unpacked: no commit is as large.
const PAGES_MAX: usize = 4 << 30;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Somebody takes the state. What follows is built on a snapshot that was made after this.
    Claim,
    Commit,
}

/// A record without its pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// The version of the format.
    pub format: u32,
    pub kind: Kind,
    /// The number of the claim that it was written under.
    pub claim: u64,
    /// Who wrote it: a number that was drawn when the process began.
    pub writer: String,
    /// The machine and process, for people.
    pub host: String,
    pub at: Instant,
    /// The snapshot that was completed last under this claim, by its record; `None` as long as none was. Whoever restores
    /// knows by it whether a snapshot was there once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<u64>,
    /// Files that are new since the record before, by their names in the state directory.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Contents>,
    /// Bytes of a page.
    #[serde(default)]
    pub page_size: u32,
    /// Pages of the database after it.
    #[serde(default)]
    pub database_pages: u32,
    /// The blake3 of the packed pages.
    #[serde(default)]
    pub blake3: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub head: Head,
    packed: Vec<u8>,
}

impl Record {
    pub(super) fn claim(claim: u64, writer: &str, host: &str, at: Instant) -> Self {
        let head = Head {
            format: FORMAT,
            kind: Kind::Claim,
            claim,
            writer: writer.to_owned(),
            host: host.to_owned(),
            at,
            snapshot: None,
            files: BTreeMap::new(),
            page_size: 0,
            database_pages: 0,
            blake3: String::new(),
        };
        Self { head, packed: Vec::new() }
    }

    /// A commit.
    ///
    /// # Errors
    /// If it cannot be packed.
    pub(super) fn commit(claim: &Head, pages: &Commits, at: Instant) -> std::io::Result<Self> {
        let mut plain = Vec::with_capacity(pages.pages.len() * (pages.page_size as usize + 4));
        for (number, page) in &pages.pages {
            plain.extend_from_slice(&number.to_le_bytes());
            plain.extend_from_slice(page);
        }
        let packed = zstd::bulk::compress(&plain, 1)?;
        let head = Head {
            kind: Kind::Commit,
            at,
            page_size: pages.page_size,
            database_pages: pages.database_pages,
            blake3: blake3::hash(&packed).to_hex().to_string(),
            ..claim.clone()
        };
        Ok(Self { head, packed })
    }

    /// As it stands in the store.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(&self.head).unwrap_or_default();
        bytes.push(END_OF_LINE);
        bytes.extend_from_slice(&self.packed);
        bytes
    }

    /// Reads one. What is wrong with it otherwise, in words.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let line = bytes.iter().position(|byte| *byte == END_OF_LINE);
        let line = line.ok_or_else(|| say!("it breaks off"))?;
        let head: Head = serde_json::from_slice(&bytes[..line]).map_err(|_| say!("it is no record"))?;
        if head.format != FORMAT {
            return Err(say!(
                "it is of format {found}, and this fiscwatch knows {known}; install the version that wrote it",
                found = head.format,
                known = FORMAT
            ));
        }
        let packed = bytes[line + 1..].to_vec();
        let is_whole = head.kind == Kind::Claim || blake3::hash(&packed).to_hex().as_str() == head.blake3;
        if !is_whole {
            return Err(say!("it does not match its digest"));
        }
        Ok(Self { head, packed })
    }

    /// The pages of a commit.
    pub(super) fn pages(&self) -> Result<Commits, String> {
        let broken = || say!("its pages cannot be unpacked");
        let Head { page_size, database_pages, .. } = self.head;
        let size = zstd::zstd_safe::get_frame_content_size(&self.packed).ok().flatten().ok_or_else(broken)?;
        let size = usize::try_from(size).ok().filter(|size| *size <= PAGES_MAX).ok_or_else(broken)?;
        let plain = zstd::bulk::decompress(&self.packed, size).map_err(|_| broken())?;
        let each = page_size as usize + 4;
        if page_size == 0 || plain.len() % each != 0 {
            return Err(broken());
        }
        let pages = plain.chunks_exact(each).map(|page| {
            let (number, page) = page.split_at(4);
            (number.iter().rev().fold(0, |n, byte| (n << 8) | u32::from(*byte)), page.to_vec())
        });
        Ok(Commits { page_size, database_pages, pages: pages.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_whole_or_not_at_all() {
        let claim = Record::claim(7, "w", "host", Instant::from_micros(5));
        assert_eq!(Record::read(&claim.bytes()), Ok(claim.clone()));
        let pages =
            Commits { page_size: 8, database_pages: 300, pages: [(1, vec![1; 8]), (299, vec![2; 8])].into() };
        let commit = Record::commit(&claim.head, &pages, Instant::from_micros(6)).unwrap();
        let bytes = commit.bytes();
        let read = Record::read(&bytes).unwrap();
        assert_eq!(read, commit);
        assert_eq!(read.pages(), Ok(pages));
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert!(Record::read(&wrong) != Ok(commit.clone()), "byte {at}");
            assert!(Record::read(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
