//! The newest state of a store, on this machine: the last snapshot and every record after it.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use parking_lot::Mutex;

use super::{
    Bucket, SnapshotManifest,
    claim::{Mark, ReplicaError},
    log,
    objects::{self, local, patiently},
    record::{Head, Kind, Record},
    snapshot,
};
use crate::{
    private, say,
    store::{self, Contents, DATABASE, SCHEMA_VERSION, StoreError, digest_of, files_named_by, put_pages},
};

/// Where a state goes that another machine has gone on with.
const SUPERSEDED: &str = "superseded";
/// Requests that are under way at the same time.
const AT_ONCE: usize = 8;

/// What a state was restored from, and how far.
#[derive(Debug)]
pub struct Restored {
    pub(crate) manifest: SnapshotManifest,
    /// The last record that is in it.
    pub number: u64,
    /// How many records came after the snapshot.
    pub records: u64,
    /// The bytes that were fetched.
    pub bytes: u64,
    /// Commits that are in the store and not in this state: they are built on a snapshot that never was completed.
    pub beyond: u64,
}

/// Makes a state directory of what a store has, or had up to a record. `target` must not exist.
///
/// # Errors
/// If there is no snapshot in the store, something in it is damaged, or `target` cannot be written.
pub fn restore(bucket: &Bucket, target: &Path, upto: Option<u64>) -> Result<Restored, ReplicaError> {
    store::make_whole(target, |dir| {
        let (restored, head) = into(bucket, dir, upto)?;
        let mark =
            Mark { to: bucket.place(), claim: head.0, writer: head.1, restored: Some(restored.number) };
        mark.write(dir)?;
        Ok(restored)
    })
}

/// The newest snapshot that can be read, up to a record.
fn newest(bucket: &Bucket, upto: u64) -> Result<SnapshotManifest, ReplicaError> {
    let numbers = patiently(|| snapshot::numbers(bucket))?;
    let mut broken = None;
    for number in numbers.into_iter().rev().filter(|number| *number <= upto) {
        match snapshot::read(bucket, number) {
            Ok(Some(manifest)) => {
                if let Some(error) = broken {
                    tracing::warn!("{error}; the snapshot before it and more records take its place");
                }
                return Ok(manifest);
            }
            Ok(None) => {}
            Err(error @ super::BucketError::Damaged { .. }) => broken = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    Err(broken.map_or_else(
        || {
            ReplicaError::Other(say!(
                "there is no snapshot in the store {place}. Check the prefix of its URL; `fiscwatch state replicate` makes one",
                place = bucket.place()
            ))
        },
        ReplicaError::from,
    ))
}

/// Who has written last, as a mark keeps it.
type Owner = (u64, String);

/// Puts the newest state into a directory, whose lock this process has. What is there already and is the same stays;
/// a database that is there goes to `superseded/`.
pub(super) fn into(
    bucket: &Bucket,
    dir: &Path,
    upto: Option<u64>,
) -> Result<(Restored, Owner), ReplicaError> {
    let manifest = newest(bucket, upto.unwrap_or(u64::MAX))?;
    if manifest.state.schema_version > SCHEMA_VERSION {
        let found = manifest.state.schema_version;
        return Err(StoreError::Newer { path: PathBuf::from(bucket.place()), found }.into());
    }
    let database = dir.join("fiscwatch.db.restoring");
    let packed = dir.join("fiscwatch.zst.restoring");
    objects::get(bucket, &manifest.folder, &manifest.packed, &packed)?;
    unpack(&packed, &database).map_err(|e| local(&database, &e))?;
    let _ = std::fs::remove_file(&packed);
    if Some(&digest_of(&database).map_err(|e| local(&database, &e))?) != manifest.state.files.get(DATABASE) {
        return Err(bucket.damaged(&manifest.folder, say!("it does not match its digest")).into());
    }
    let mut files = manifest.state.files.clone();
    let mut restored =
        Restored { number: manifest.number, records: 0, bytes: manifest.packed.bytes, beyond: 0, manifest };
    let owner = replay(bucket, &database, &mut restored, &mut files, upto)?;
    let fetched = fetch(bucket, dir, &files_named_by(&database)?, &files)?;
    restored.bytes += fetched;
    put_in_place(dir, &database).map_err(|e| local(dir, &e))?;
    Ok((restored, owner))
}

fn unpack(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut file = private::create(to)?;
    std::io::copy(&mut zstd::Decoder::new(File::open(from)?)?, &mut file)?;
    file.sync_all()
}

/// Applies the records after the snapshot.
fn replay(
    bucket: &Bucket,
    database: &Path,
    restored: &mut Restored,
    files: &mut BTreeMap<String, Contents>,
    upto: Option<u64>,
) -> Result<Owner, ReplicaError> {
    let file = File::options().write(true).open(database).map_err(|e| local(database, &e))?;
    let from = restored.number;
    let mut numbers = patiently(|| log::after(bucket, from))?;
    numbers.retain(|number| upto.is_none_or(|upto| *number <= upto));
    let first = patiently(|| log::read(bucket, from))?.ok_or_else(|| log::lacks(bucket, from))?;
    let mut owner = (first.head.claim, first.head.writer);
    let mut ended = false;
    for (at, numbers) in numbers.chunks(AT_ONCE).enumerate() {
        for (n, record) in together(bucket, numbers)?.into_iter().enumerate() {
            let number = from + (at * AT_ONCE + n) as u64 + 1;
            if numbers[n] != number {
                return Err(bucket
                    .damaged(&log::key(number), say!("it is not there, and later ones are"))
                    .into());
            }
            let Head { claim, writer, kind, snapshot, .. } = &record.head;
            owner = (*claim, writer.clone());
            restored.number = number;
            // What follows on a claim is built on a snapshot that was to be made after it.
            ended |= *kind == Kind::Claim;
            if *kind == Kind::Claim {
                continue;
            }
            if let (true, Some(built_on)) = (ended, snapshot) {
                return Err(bucket.damaged(&snapshot::key(*built_on), built_on_it(*claim - 1)).into());
            }
            if ended {
                restored.beyond += 1;
                continue;
            }
            let pages = record.pages().map_err(|why| bucket.damaged(&log::key(number), why))?;
            put_pages(&file, &pages).map_err(|e| local(database, &e))?;
            files.extend(record.head.files.clone());
            restored.records += 1;
        }
    }
    file.sync_all().map_err(|e| local(database, &e))?;
    if restored.beyond > 0 {
        tracing::warn!(
            commits = restored.beyond,
            "the store was away before these commits, and no snapshot was completed after it: they are not in what is restored"
        );
    }
    Ok(owner)
}

/// What is lost with a snapshot that was complete once, and that commits are built on. Nobody who was answered is to miss
/// them without a word.
fn built_on_it(record: u64) -> String {
    say!(
        "it is missing or cannot be read, and commits that were answered are built on it. Get it back from the store's own versions or copies. `fiscwatch state restore --up-to {record}` restores what was before them; go on with that under another prefix",
        record
    )
}

/// Gets some records at the same time.
fn together(bucket: &Bucket, numbers: &[u64]) -> Result<Vec<Record>, ReplicaError> {
    let get = |number: u64| {
        let missing = || bucket.damaged(&log::key(number), say!("it is not there"));
        patiently(|| log::read(bucket, number))?.ok_or_else(missing)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = numbers.iter().map(|number| scope.spawn(move || get(*number))).collect();
        let records = threads.into_iter().map(|thread| match thread.join() {
            Ok(record) => record.map_err(ReplicaError::from),
            Err(panic) => std::panic::resume_unwind(panic),
        });
        records.collect()
    })
}

/// Fetches the files that the database names, unless they are here.
fn fetch(
    bucket: &Bucket,
    dir: &Path,
    named: &[(String, u64)],
    files: &BTreeMap<String, Contents>,
) -> Result<u64, ReplicaError> {
    let (next, failed, bytes) = (AtomicUsize::new(0), Mutex::new(None), Mutex::new(0));
    let work = || {
        while let Some((name, size)) = named.get(next.fetch_add(1, Ordering::Relaxed)) {
            let unknown = || {
                ReplicaError::Other(say!(
                    "the store {place} does not say where {name} is",
                    place = bucket.place(),
                    name
                ))
            };
            let contents = files.get(name).filter(|contents| contents.bytes == *size).ok_or_else(unknown);
            match contents.and_then(|contents| one(bucket, dir, name, contents)) {
                Ok(fetched) => *bytes.lock() += fetched,
                Err(error) => {
                    *failed.lock() = Some(error);
                    return;
                }
            }
        }
    };
    std::thread::scope(|scope| (0..AT_ONCE.min(named.len())).for_each(|_| drop(scope.spawn(work))));
    match failed.into_inner() {
        Some(error) => Err(error),
        None => Ok(bytes.into_inner()),
    }
}

/// Fetches a file, unless it is here; gives the bytes that came.
fn one(bucket: &Bucket, dir: &Path, name: &str, contents: &Contents) -> Result<u64, ReplicaError> {
    let path = dir.join(name);
    if digest_of(&path).is_ok_and(|here| here == *contents) {
        return Ok(0);
    }
    let folder = path.parent().unwrap_or(dir);
    private::create_dir_all(folder).map_err(|e| local(folder, &e))?;
    let mut unfinished = path.clone().into_os_string();
    unfinished.push(".tmp");
    let unfinished = PathBuf::from(unfinished);
    objects::get(bucket, &objects::of_file(&contents.blake3), contents, &unfinished)?;
    std::fs::rename(&unfinished, &path).map_err(|e| local(&path, &e))?;
    Ok(contents.bytes)
}

/// Fetches the sealed files of the newest snapshot that are not here.
pub(super) fn ahead(bucket: &Bucket, dir: &Path) -> Result<u64, ReplicaError> {
    let Some(number) = snapshot::numbers(bucket)?.last().copied() else { return Ok(0) };
    let Some(manifest) = snapshot::read(bucket, number)? else { return Ok(0) };
    let mut bytes = 0;
    for (name, contents) in manifest.state.files.iter().filter(|(name, _)| *name != DATABASE) {
        let here = std::fs::metadata(dir.join(name)).map(|about| about.len());
        if here.ok() != Some(contents.bytes) {
            bytes += one(bucket, dir, name, contents)?;
        }
    }
    Ok(bytes)
}

/// Gives the database its name. One that is there goes aside first, with its log: it would be read into the new one.
fn put_in_place(dir: &Path, database: &Path) -> std::io::Result<()> {
    let aside = dir.join(SUPERSEDED);
    for end in ["-wal", "-shm", ""] {
        let (old, name) = (dir.join(format!("{DATABASE}{end}")), format!("{DATABASE}{end}"));
        if old.exists() {
            private::create_dir_all(&aside)?;
            std::fs::rename(&old, aside.join(name))?;
        }
    }
    for folder in ["sealed", "attachments"] {
        private::create_dir_all(&dir.join(folder))?;
        File::open(dir.join(folder))?.sync_all()?;
    }
    std::fs::rename(database, dir.join(DATABASE))?;
    File::open(dir)?.sync_all()
}
