//! The log: records in a row without gaps. A record is written only where none is, so of two who would write the same
//! one only one does, and the other one learns of it.

use super::{
    Bucket, BucketError,
    record::{Head, Record},
};
use crate::say;

/// Where the records are.
pub(super) const FOLDER: &str = "log/";

/// The key of a record.
pub(super) fn key(number: u64) -> String {
    format!("{FOLDER}{number:016}")
}

/// The number of a key.
pub(super) fn number(key: &str) -> Option<u64> {
    key.strip_prefix(FOLDER)?.parse().ok()
}

/// What became of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It is there, and durable.
    Ours,
    Theirs(Box<Head>),
}

/// Writes a record where none is.
///
/// # Errors
/// If the store cannot be asked; the record may be there, and is found by the next try.
pub(super) fn write(bucket: &Bucket, number: u64, record: &Record) -> Result<Written, BucketError> {
    let key = key(number);
    if bucket.put_new(&key, &record.bytes())? {
        return Ok(Written::Ours);
    }
    // An earlier try may have arrived, although its answer did not.
    let there = read(bucket, number)?.ok_or_else(|| {
        bucket.damaged(&key, say!("it is there and is not there; is it deleted by somebody else?"))
    })?;
    let ours = &record.head;
    let is_ours = there.head.writer == ours.writer && there.head.claim == ours.claim && there == *record;
    Ok(if is_ours { Written::Ours } else { Written::Theirs(Box::new(there.head)) })
}

/// Checks that the store keeps a record that is there, as it is asked to with every one: some answer as if they did, and two
/// machines would have the state at once.
///
/// # Errors
/// If it does not, or cannot be asked.
pub(super) fn is_kept(bucket: &Bucket, number: u64, record: &Record) -> Result<(), BucketError> {
    match bucket.put_new(&key(number), &record.bytes())? {
        false => Ok(()),
        true => Err(BucketError::Unsuitable {
            place: bucket.place(),
            why: say!(
                "it overwrites an object that it was asked to keep (If-None-Match), so two machines could have the state at once; use another store"
            ),
        }),
    }
}

/// Reads a record; `None` if there is none.
///
/// # Errors
/// If it is damaged, or the store cannot be asked.
pub(super) fn read(bucket: &Bucket, number: u64) -> Result<Option<Record>, BucketError> {
    let key = key(number);
    let Some(bytes) = bucket.get(&key)? else { return Ok(None) };
    Record::read(&bytes).map(Some).map_err(|why| bucket.damaged(&key, why))
}

/// What is wrong with a store that has a snapshot and not the record that it is of, which is never deleted before it.
pub(super) fn lacks(bucket: &Bucket, number: u64) -> BucketError {
    bucket.damaged(&key(number), say!("it is not there, and a snapshot of it is"))
}

/// The numbers of the records after one.
///
/// # Errors
/// If the store cannot be asked.
pub(super) fn after(bucket: &Bucket, after: u64) -> Result<Vec<u64>, BucketError> {
    let keys = bucket.list(FOLDER, &key(after))?;
    Ok(keys.iter().filter_map(|key| number(key)).collect())
}
