//! The sealed history as a table that others read without us: one object a sealed file, below its day, and a manifest that
//! says which of them belong together. A reader takes the newest manifest and reads the files it names; what a later
//! manifest does not name any more stays as long as a reader may take.

use std::{collections::BTreeSet, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    Bucket, BucketError,
    claim::ReplicaError,
    objects::{local, patiently},
};
use crate::{
    event::{Instant, TimeDelta},
    say,
    store::{Contents, Pinned, SealedFile, digest_of},
};

const MANIFESTS: &str = "manifests/";
const LATEST: &str = "latest.json";

/// A file of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LakeFile {
    /// Its key, from the folder of the lake on.
    pub path: String,
    /// Its name in the state.
    pub name: String,
    /// The local day of its events.
    pub day: String,
    pub(crate) rows: i64,
    /// The earliest and the latest event time.
    pub first_at: Instant,
    /// See above.
    pub last_at: Instant,
    pub(crate) bytes: u64,
    /// Its blake3 checksum.
    pub blake3: String,
}

/// The files that belong together, with the events that they hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LakeManifest {
    /// One more than the one before.
    pub number: u64,
    /// When it was made.
    pub made_at: Instant,
    /// The version of fiscwatch that made it.
    pub fiscwatch: String,
    /// The schema version of the state.
    pub schema_version: i64,
    pub(crate) files: Vec<LakeFile>,
}

/// What a publication added to the lake and took out of it.
#[derive(Debug, Clone, Serialize)]
pub struct LakePublication {
    pub(crate) manifest: String,
    /// Files in it.
    pub files: usize,
    pub(crate) rows: i64,
    /// Files that are new.
    pub new: usize,
    /// Bytes that went there.
    pub bytes: u64,
    /// Objects that were deleted because no reader needs them.
    pub deleted: u64,
}

fn key(number: u64) -> String {
    format!("{MANIFESTS}{number:016}.json")
}

fn read(bucket: &Bucket, key: &str) -> Result<LakeManifest, BucketError> {
    let missing = || bucket.damaged(key, say!("it is not there"));
    let bytes = patiently(|| bucket.get(key))?.ok_or_else(missing)?;
    serde_json::from_slice(&bytes).map_err(|_| bucket.damaged(key, say!("it is no manifest, or breaks off")))
}

/// Puts a sealed file below its day. Its name tells its contents, so that no reader finds others under it.
fn put_file(
    bucket: &Bucket,
    dir: &Path,
    sealed: &SealedFile,
    contents: Contents,
) -> Result<LakeFile, ReplicaError> {
    let path = sealed.path(dir);
    let bytes = std::fs::read(&path).map_err(|e| local(&path, &e))?;
    let stem = sealed.file.trim_end_matches(".parquet");
    let to = format!("day={}/{stem}.{}.parquet", sealed.day, &contents.blake3[..12]);
    patiently(|| bucket.put(&to, &bytes))?;
    Ok(LakeFile {
        path: to,
        name: sealed.file.clone(),
        day: sealed.day.clone(),
        rows: sealed.events,
        first_at: sealed.first_at,
        last_at: sealed.last_at,
        bytes: contents.bytes,
        blake3: contents.blake3,
    })
}

/// Publishes what is sealed now; for `keep` stays what no manifest names any more.
///
/// # Errors
/// If the state cannot be read, the store stays away, or another one publishes there at the same time.
pub fn publish(
    bucket: &Bucket,
    dir: &Path,
    now: Instant,
    keep: TimeDelta,
) -> Result<LakePublication, ReplicaError> {
    let (pinned, ()) = Pinned::at(dir, || Ok(()))?;
    let about = pinned.manifest(now)?;
    let manifests = patiently(|| bucket.list(MANIFESTS, ""))?;
    let last = manifests.last().map(|key| read(bucket, key)).transpose()?;
    let mut published =
        LakePublication { manifest: String::new(), files: 0, rows: 0, new: 0, bytes: 0, deleted: 0 };
    let mut files = Vec::new();
    for sealed in pinned.sealed()? {
        let known = last.iter().flat_map(|last| &last.files);
        let same = |file: &&LakeFile| file.name == sealed.file && file.bytes == sealed.bytes.unsigned_abs();
        let path = sealed.path(dir);
        let contents = digest_of(&path).map_err(|e| local(&path, &e))?;
        let file = match known.into_iter().find(same).filter(|file| file.blake3 == contents.blake3) {
            Some(file) => file.clone(),
            None => {
                published.new += 1;
                published.bytes += contents.bytes;
                put_file(bucket, dir, &sealed, contents)?
            }
        };
        published.rows += file.rows;
        files.push(file);
    }
    published.files = files.len();
    let unchanged = last.as_ref().filter(|last| last.files == files).cloned();
    let is_new = unchanged.is_none();
    let manifest = unchanged.unwrap_or_else(|| LakeManifest {
        number: last.as_ref().map_or(1, |last| last.number + 1),
        made_at: now,
        fiscwatch: about.fiscwatch,
        schema_version: about.schema_version,
        files,
    });
    published.manifest = key(manifest.number);
    let text = serde_json::to_vec(&manifest).map_err(|e| ReplicaError::Other(e.to_string()))?;
    // Of two who publish at the same time one gives way.
    if is_new && !patiently(|| bucket.put_new(&published.manifest, &text))? {
        return Err(ReplicaError::Other(say!(
            "another one publishes to {place} at this moment; try again",
            place = bucket.place()
        )));
    }
    patiently(|| bucket.put(LATEST, &text))?;
    published.deleted = tidy(bucket, &manifest, now.saturating_sub(keep))?;
    Ok(published)
}

/// Deletes manifests that were followed by another one before a moment, and the files that only they name. What somebody
/// else puts there at this moment is named by none yet, and stays.
fn tidy(bucket: &Bucket, newest: &LakeManifest, before: Instant) -> Result<u64, BucketError> {
    let keys = bucket.list(MANIFESTS, "")?;
    let manifests = keys.iter().map(|key| read(bucket, key)).collect::<Result<Vec<_>, _>>()?;
    let followed = |at: usize| manifests.get(at + 1).is_some_and(|next| next.made_at <= before);
    let (mut old, mut named) = (BTreeSet::new(), BTreeSet::new());
    for (at, manifest) in manifests.iter().enumerate() {
        let paths = manifest.files.iter().map(|file| file.path.as_str());
        if followed(at) { old.extend(paths) } else { named.extend(paths) }
    }
    named.extend(newest.files.iter().map(|file| file.path.as_str()));
    let keys = keys.iter().enumerate().filter(|(at, _)| followed(*at)).map(|(_, key)| key.as_str());
    let mut deleted = 0;
    for key in keys.chain(old.difference(&named).copied()) {
        bucket.delete(key)?;
        deleted += 1;
    }
    Ok(deleted)
}
