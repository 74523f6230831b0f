//! The database as of a record, and its manifest, which is written last and only where none is.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::Write,
    path::{Path, PathBuf},
    time::SystemTime,
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{
    Bucket, BucketError,
    claim::{Lease, ReplicaError},
    log,
    objects::{self, local, patiently},
};
use crate::{
    event::Instant,
    private, say,
    store::{self, Contents, DATABASE, Pinned, digest_of},
};

const FOLDER: &str = "snapshots/";
const MANIFEST: &str = "/manifest.json";
/// So many snapshots stay, and the records since the first of them.
const KEPT: usize = 2;

/// What a snapshot says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotManifest {
    /// The state: its version, positions and files.
    #[serde(flatten)]
    pub state: store::BackupManifest,
    /// The record that it is as of.
    pub number: u64,
    /// The claim that it was made under.
    pub claim: u64,
    /// Where the packed database is.
    pub folder: String,
    /// What it is, packed.
    pub packed: Contents,
}

/// The numbers of the snapshots that are complete.
pub(super) fn numbers(bucket: &Bucket) -> Result<Vec<u64>, BucketError> {
    let keys = bucket.list(FOLDER, "")?;
    let number = |key: &String| key.strip_prefix(FOLDER)?.strip_suffix(MANIFEST)?.parse().ok();
    Ok(keys.iter().filter_map(number).collect())
}

pub(super) fn key(number: u64) -> String {
    format!("{FOLDER}{number:016}{MANIFEST}")
}

/// Reads a manifest; `None` if it is not there.
pub(super) fn read(bucket: &Bucket, number: u64) -> Result<Option<SnapshotManifest>, BucketError> {
    let key = key(number);
    let Some(bytes) = patiently(|| bucket.get(&key))? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|_| bucket.damaged(&key, say!("it is no manifest, or breaks off")))
}

/// A file that is in the store.
#[derive(Debug, Clone)]
struct Known {
    contents: Contents,
    /// The file here when it went there; one of the same name may be written again after a failure.
    modified: Option<SystemTime>,
}

/// Files of the state that are in the store.
#[derive(Debug, Default)]
pub(super) struct Files(Mutex<HashMap<String, Known>>);

impl Files {
    /// Those of a manifest, if they are here with their sizes.
    pub(super) fn of(manifest: Option<&SnapshotManifest>, dir: &Path) -> Self {
        let files = manifest.iter().flat_map(|manifest| &manifest.state.files);
        let known = files.filter_map(|(name, contents)| {
            let about = std::fs::metadata(dir.join(name)).ok()?;
            let known = Known { contents: contents.clone(), modified: about.modified().ok() };
            (about.len() == contents.bytes && name != DATABASE).then(|| (name.clone(), known))
        });
        Self(Mutex::new(known.collect()))
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock()
    }

    /// Puts a file into the store if it is not there; gives what it is if it is new.
    pub(super) fn put(
        &self,
        bucket: &Bucket,
        dir: &Path,
        name: &str,
        about: &std::fs::Metadata,
    ) -> Result<Option<Contents>, BucketError> {
        let modified = about.modified().ok();
        let is_there = |known: &Known| known.contents.bytes == about.len() && known.modified == modified;
        if self.lock().get(name).is_some_and(is_there) {
            return Ok(None);
        }
        let path = dir.join(name);
        let contents = match digest_of(&path) {
            // It was replaced and deleted in between.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            contents => contents.map_err(|e| local(&path, &e))?,
        };
        objects::put(bucket, &objects::of_file(&contents.blake3), &path)?;
        self.lock().insert(name.to_owned(), Known { contents: contents.clone(), modified });
        Ok(Some(contents))
    }

    fn contents(&self, name: &str) -> Option<Contents> {
        self.lock().get(name).map(|known| known.contents.clone())
    }

    /// Forgets those that are not here any more, and gives the digests of the others.
    fn digests(&self, dir: &Path) -> BTreeSet<String> {
        let mut files = self.lock();
        files.retain(|name, _| dir.join(name).exists());
        files.values().map(|known| known.contents.blake3.clone()).collect()
    }
}

/// A file that goes away with this.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Makes a snapshot. Gives its bytes in the store.
pub(super) fn make(
    bucket: &Bucket,
    dir: &Path,
    pinned: &Pinned,
    files: &Files,
    (number, claim, now): (u64, u64, Instant),
) -> Result<u64, ReplicaError> {
    let mut named = BTreeMap::new();
    for (name, _) in pinned.files()? {
        let path = dir.join(&name);
        let about = std::fs::metadata(&path).map_err(|e| local(&path, &e))?;
        files.put(bucket, dir, &name, &about)?;
        let gone = || ReplicaError::Other(say!("{path} is gone", path = path.display()));
        named.insert(name.clone(), files.contents(&name).ok_or_else(gone)?);
    }
    let plain = Scratch(dir.join("snapshot.db.partial"));
    let packed = Scratch(dir.join("snapshot.zst.partial"));
    let _ = std::fs::remove_file(&plain.0);
    let contents = pinned.copy(&plain.0)?;
    pack(&plain.0, &packed.0).map_err(|e| local(&packed.0, &e))?;
    drop(plain);
    named.insert(DATABASE.to_owned(), contents);
    let packed_contents = digest_of(&packed.0).map_err(|e| local(&packed.0, &e))?;
    let folder = format!("{FOLDER}{number:016}/{claim:016}-{:08x}/", rand::random::<u32>());
    let bytes = objects::put(bucket, &folder, &packed.0)?;
    let mut state = pinned.manifest(now)?;
    state.files = named;
    let manifest = SnapshotManifest { state, number, claim, folder, packed: packed_contents };
    let text = serde_json::to_vec(&manifest).map_err(|e| ReplicaError::Other(e.to_string()))?;
    crate::failpoint::reach("replica.manifest").map_err(|e| local(dir, &e))?;
    // If an earlier try arrived without its answer, what it says is as good.
    patiently(|| bucket.put_new(&key(number), &text))?;
    Ok(bytes)
}

fn pack(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut encoder = zstd::Encoder::new(private::create(to)?, 1)?;
    std::io::copy(&mut std::fs::File::open(from)?, &mut encoder)?;
    encoder.finish()?.flush()
}

/// Deletes snapshots before the last two, records before those, and files that neither they nor the state have.
pub(super) fn tidy(bucket: &Bucket, dir: &Path, files: &Files, claim: u64) -> Result<u64, BucketError> {
    let stored = bucket.list("files/", "")?;
    let mut kept = files.digests(dir);
    let mut numbers = numbers(bucket)?;
    let first = numbers.len().saturating_sub(KEPT);
    let old: Vec<u64> = numbers.drain(..first).collect();
    let Some(from) = numbers.first().copied() else { return Ok(0) };
    for number in &numbers {
        if let Some(manifest) = read(bucket, *number)? {
            kept.extend(manifest.state.files.into_values().map(|file| file.blake3));
        }
    }
    let mut deleted = 0;
    let mut delete = |key: &str| {
        deleted += 1;
        bucket.delete(key)
    };
    for number in old {
        // The manifest first: without it the rest is none.
        delete(&key(number))?;
    }
    let is_before = |key: &str| {
        let number = key.strip_prefix(FOLDER).and_then(|rest| rest.split('/').next()?.parse::<u64>().ok());
        number.is_some_and(|number| number < from)
    };
    for key in bucket.list(FOLDER, "")?.iter().filter(|key| is_before(key)) {
        delete(key)?;
    }
    for key in bucket.list(log::FOLDER, "")? {
        if log::number(&key).is_some_and(|number| number < from) {
            delete(&key)?;
        }
    }
    // Records since then name files that nobody has any more; the state as of the last record does not need them.
    let digest =
        |key: &str| key.strip_prefix("files/").and_then(|rest| rest.split('/').next().map(str::to_owned));
    for key in stored {
        if digest(&key).is_some_and(|digest| !kept.contains(&digest)) {
            delete(&key)?;
        }
    }
    Lease::forget(bucket, claim)?;
    Ok(deleted)
}
