//! Files in the store, in pieces that fit into memory and are tried again by themselves.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
};

use super::{Bucket, BucketError};
use crate::{diagnostic::os_reason, say, store::Contents};

/// Bytes of a piece.
const PIECE: usize = 8 << 20;
/// How often one piece is tried.
const TRIES: u32 = 4;

/// The key of a piece.
fn piece(folder: &str, number: usize) -> String {
    format!("{folder}{number:05}")
}

/// Where a file lies by its digest.
pub(super) fn of_file(digest: &str) -> String {
    format!("files/{digest}/")
}

/// Asks again, a few times, what the store was away for.
///
/// # Errors
/// If it stays away, or refuses.
pub(super) fn patiently<T>(mut ask: impl FnMut() -> Result<T, BucketError>) -> Result<T, BucketError> {
    let mut tries = 1;
    loop {
        match ask() {
            Err(BucketError::Away { .. }) if tries < TRIES => {
                std::thread::sleep(std::time::Duration::from_millis(100 << tries));
                tries += 1;
            }
            answer => return answer,
        }
    }
}

/// A file here that cannot be read or written.
pub(super) fn local(path: &Path, error: &std::io::Error) -> BucketError {
    BucketError::Refused {
        place: path.display().to_string(),
        why: match error.kind() {
            std::io::ErrorKind::StorageFull => say!("the disk is full; free some space, and try again"),
            _ => os_reason(error),
        },
    }
}

/// Puts a file, piece by piece, into a folder of the store. Gives its bytes.
///
/// # Errors
/// If it cannot be read, or the store stays away.
pub(super) fn put(bucket: &Bucket, folder: &str, path: &Path) -> Result<u64, BucketError> {
    let mut file = File::open(path).map_err(|e| local(path, &e))?;
    let mut buffer = Vec::with_capacity(PIECE);
    let (mut number, mut bytes) = (0, 0);
    loop {
        buffer.clear();
        let read = Read::by_ref(&mut file)
            .take(PIECE as u64)
            .read_to_end(&mut buffer)
            .map_err(|e| local(path, &e))?;
        // An empty file has one empty piece.
        if read == 0 && number > 0 {
            return Ok(bytes);
        }
        patiently(|| bucket.put(&piece(folder, number), &buffer))?;
        bytes += read as u64;
        number += 1;
        if read < PIECE {
            return Ok(bytes);
        }
    }
}

/// Gets a file, and compares it with what it should be.
///
/// # Errors
/// If a piece is missing, it is another one, or it cannot be written.
pub(super) fn get(bucket: &Bucket, folder: &str, expected: &Contents, to: &Path) -> Result<(), BucketError> {
    let mut file = crate::private::create(to).map_err(|e| local(to, &e))?;
    let (mut hasher, mut bytes, mut number) = (blake3::Hasher::new(), 0, 0);
    while bytes < expected.bytes || number == 0 {
        let key = piece(folder, number);
        let part =
            patiently(|| bucket.get(&key))?.ok_or_else(|| bucket.damaged(&key, say!("it is not there")))?;
        if part.is_empty() && expected.bytes > 0 {
            break;
        }
        hasher.update(&part);
        bytes += part.len() as u64;
        file.write_all(&part).map_err(|e| local(to, &e))?;
        number += 1;
    }
    if bytes != expected.bytes || hasher.finalize().to_hex().as_str() != expected.blake3 {
        return Err(bucket.damaged(folder, say!("it does not match its digest")));
    }
    file.sync_all().map_err(|e| local(to, &e))
}
