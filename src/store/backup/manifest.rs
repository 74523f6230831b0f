//! What a backup says about itself: `backup.json`, with the size and blake3 checksum of every file.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::failed;
use crate::{event::Instant, private, say, store::StoreError};

/// The name of the manifest. A directory that has one is a backup, and no daemon runs on it.
pub(crate) const MANIFEST: &str = "backup.json";

/// The manifest of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupManifest {
    /// The version of fiscwatch that made it.
    pub fiscwatch: String,
    /// When it was made.
    pub made_at: Instant,
    /// The state directory that it was made of.
    pub of: String,
    /// The schema version of the database.
    pub schema_version: i64,
    /// Events of the journal, sealed ones included.
    pub events: i64,
    /// The number of the last journal block.
    pub last_block: i64,
    /// The time of the latest event.
    pub last_at: Option<Instant>,
    pub findings: i64,
    /// How far each partition was read: source, partition, offset.
    pub positions: Vec<(String, String, i64)>,
    /// Every other file of the backup, by its path in it.
    pub files: BTreeMap<String, Contents>,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    pub bytes: u64,
    /// Its blake3 checksum, in hexadecimal.
    pub blake3: String,
}

impl BackupManifest {
    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }

    /// Reads the manifest of a backup; `None` if the directory is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(dir: &Path) -> Result<Option<Self>, StoreError> {
        let path = dir.join(MANIFEST);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(&path, e)),
        };
        let manifest = serde_json::from_str(&text);
        manifest
            .map(Some)
            .map_err(|e| failed(&path, std::io::Error::other(say!("it is damaged: {reason}", reason = e))))
    }

    /// Writes it durably.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, dir: &Path) -> Result<(), StoreError> {
        let path = dir.join(MANIFEST);
        let write = || {
            let mut file = private::create(&path)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            file.sync_all()
        };
        write().map_err(|e| failed(&path, e))
    }

    /// Whatever of a backup's files is not what the manifest says, and files that it does not name.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn differences(&self, dir: &Path) -> Result<Vec<String>, StoreError> {
        let mut wrong = Vec::new();
        for (name, expected) in &self.files {
            match contents(&dir.join(name)) {
                Ok(found) if found == *expected => {}
                Ok(found) if found.bytes != expected.bytes => {
                    wrong.push(say!(
                        "{name} has {found} bytes and should have {wanted}",
                        name,
                        found = found.bytes,
                        wanted = expected.bytes
                    ));
                }
                Ok(_) => wrong.push(say!("{name} does not match its checksum", name)),
                Err(e) => wrong.push(format!("{name}: {e}")),
            }
        }
        for folder in ["", super::super::sealed::FOLDER] {
            let path = dir.join(folder);
            let entries = std::fs::read_dir(&path).map_err(|e| failed(&path, e))?;
            for entry in entries {
                let entry = entry.map_err(|e| failed(&path, e))?;
                let name = Path::new(folder).join(entry.file_name()).display().to_string();
                let is_known = name == MANIFEST || self.files.contains_key(&name);
                if !is_known && !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    wrong.push(say!("{name} is not in the manifest", name));
                }
            }
        }
        Ok(wrong)
    }
}

/// The size and checksum of a file.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn contents(path: &Path) -> std::io::Result<Contents> {
    copy(&mut File::open(path)?, &mut std::io::sink())
}

/// Copies everything and gives its size and checksum.
///
/// # Errors
/// If it cannot be read or written.
pub(crate) fn copy(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<Contents> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let n = from.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        hasher.update(&buffer[..n]);
        to.write_all(&buffer[..n])?;
        bytes += n as u64;
    }
    Ok(Contents { bytes, blake3: hasher.finalize().to_hex().to_string() })
}
