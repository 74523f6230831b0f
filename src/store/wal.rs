//! A damaged write-ahead log is refused.
//!
//! `SQLite` reads its log up to the first frame that does not match its checksum, and takes the rest for what a crash
//! left unfinished. That is right for the last transaction, which may have been torn. But each commit waits for the
//! disk, so when more follows after it, what does not match was whole once: a bit has flipped, and commits that were
//! answered would be gone without a word. <https://sqlite.org/fileformat2.html#the_write_ahead_log> tells the format.

use std::{
    fs::File,
    io::{BufReader, ErrorKind, Read},
    path::Path,
};

use super::{DATABASE, StoreError};
use crate::say;

pub(super) const HEADER: usize = 32;
pub(super) const FRAME_HEADER: usize = 24;
pub(super) const MAGIC: u32 = 0x377f_0682;

/// Refuses a log that is damaged anywhere but in its last transaction.
///
/// # Errors
/// If it is, or cannot be read.
pub(crate) fn check(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join(format!("{DATABASE}-wal"));
    let fail = |error| StoreError::Directory { path: path.clone(), error };
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        file => file.map_err(fail)?,
    };
    let lost = damage(BufReader::with_capacity(1 << 18, file)).map_err(fail)?;
    let Some(frame) = lost else { return Ok(()) };
    let what = say!(
        "frame {frame} of {file}-wal does not match its checksum, and commits follow after it",
        frame,
        file = DATABASE
    );
    Err(StoreError::Corrupt { path: dir.to_owned(), what })
}

/// The frame that commits are lost with, if any are; 0 is the header.
fn damage(mut log: impl Read) -> std::io::Result<Option<u64>> {
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(None);
    }
    let big_endian = word(&header, 0) & 1 == 1;
    let page = word(&header, 8) as usize;
    let sum = checksum((0, 0), &header[..24], big_endian);
    let whole = sum == pair(&header, 24) && word(&header, 0) & !1 == MAGIC;
    let salt = pair(&header, 16);
    if !whole {
        // Every frame is unreadable then. A header that a crash tore is a new one: its salts are not those of the
        // frames, which were all moved into the database before.
        return is_of(log, salt).map(|ours| ours.then_some(0));
    }
    let mut frame = vec![0; FRAME_HEADER + page];
    let (mut sum, mut number, mut lost, mut committed) = (sum, 0, None, false);
    while fill(&mut log, &mut frame)? {
        number += 1;
        let ours = pair(&frame, 8) == salt;
        if lost.is_none() {
            sum = checksum(sum, &frame[..8], big_endian);
            sum = checksum(sum, &frame[FRAME_HEADER..], big_endian);
            if ours && sum == pair(&frame, 16) {
                continue;
            }
            lost = Some(number);
        }
        // Something follows on a commit that cannot be read.
        if ours && committed {
            return Ok(lost);
        }
        committed |= ours && word(&frame, 4) != 0;
    }
    Ok(None)
}

/// Whether the first frame is of the log that the header is of. Zeros are of none: a first transaction, which the power
/// failed in, can leave later sectors and not the first, which has both the header and the first frame's.
fn is_of(mut log: impl Read, salt: (u32, u32)) -> std::io::Result<bool> {
    if salt == (0, 0) {
        return Ok(false);
    }
    let mut frame = [0; FRAME_HEADER];
    let frame = fill(&mut log, &mut frame)?.then(|| pair(&frame, 8));
    Ok(frame.is_some_and(|(first, second)| first == salt.0 || second == salt.1))
}

/// `false` where the log ends.
pub(super) fn fill(log: &mut impl Read, bytes: &mut [u8]) -> std::io::Result<bool> {
    match log.read_exact(bytes) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        result => result.map(|()| true),
    }
}

pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |word, byte| (word << 8) | u32::from(*byte))
}

pub(super) fn pair(bytes: &[u8], at: usize) -> (u32, u32) {
    (word(bytes, at), word(bytes, at + 4))
}

pub(super) fn checksum((mut a, mut b): (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let native = |at: &[u8]| if big_endian { word(at, 0) } else { word(at, 0).swap_bytes() };
    for eight in bytes.chunks_exact(8) {
        a = a.wrapping_add(native(&eight[..4])).wrapping_add(b);
        b = b.wrapping_add(native(&eight[4..])).wrapping_add(a);
    }
    (a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of five commits.
    fn log() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        let db = rusqlite::Connection::open(&path).unwrap();
        db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA page_size = 4096; CREATE TABLE t (x)").unwrap();
        for n in 0..4 {
            db.execute("INSERT INTO t VALUES (?1)", [n]).unwrap();
        }
        std::fs::read(dir.path().join("x.db-wal")).unwrap()
    }

    #[test]
    fn a_flipped_bit_is_found_wherever_commits_would_be_lost() {
        let log = log();
        assert_eq!(damage(&log[..]).unwrap(), None);
        let frame = FRAME_HEADER + word(&log, 8) as usize;
        let frames = (log.len() - HEADER) / frame;
        let last = log.len() - frame;
        for at in (0..log.len()).step_by(61).chain(0..HEADER + FRAME_HEADER) {
            let mut damaged = log.clone();
            damaged[at] ^= 0x10;
            let found = damage(&damaged[..]).unwrap();
            // The page size leads elsewhere, where nothing matches.
            let expected = if at < last { found.is_some() } else { found.is_none() };
            assert!(expected, "byte {at} of {}, {frames} frames: {found:?}", log.len());
        }
    }

    #[test]
    fn what_a_crash_leaves_is_whole() {
        let log = log();
        let frame = FRAME_HEADER + word(&log, 8) as usize;
        for end in (0..log.len()).step_by(97) {
            assert_eq!(damage(&log[..end]).unwrap(), None, "cut at {end}");
        }
        // The last transaction, torn.
        let mut torn = log.clone();
        let at = torn.len() - frame;
        torn[at + 512..].fill(0);
        assert_eq!(damage(&torn[..]).unwrap(), None);
        // A first transaction whose first sector did not arrive.
        let mut headless = log.clone();
        headless[..512].fill(0);
        assert_eq!(damage(&headless[..]).unwrap(), None);
        // A log that was begun again, with the old frames behind the new header; and a new header that was torn.
        let mut again = log;
        again[16..24].fill(7);
        assert_eq!(damage(&again[..]).unwrap(), None);
        let sum = checksum((0, 0), &again[..24], word(&again, 0) & 1 == 1);
        again[24..28].copy_from_slice(&sum.0.to_be_bytes());
        again[28..32].copy_from_slice(&sum.1.to_be_bytes());
        assert_eq!(damage(&again[..]).unwrap(), None);
    }
}
