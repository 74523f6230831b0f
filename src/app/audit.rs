//! Sealing the audit log: with a key of this machine, now and then and at the end; each seal is also written to a file
//! outside of the state, which tells a state that was put back from one that goes on.

use std::{
    fs,
    io::{ErrorKind, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};

use crate::{
    access::seal::SealKey,
    config::Config,
    private, say,
    store::{Audit, Seal},
};

/// The key's file in the state directory, if the configuration names no other place.
const KEY: &str = "audit.key";

/// The key that a state signs with; one is made where there is none.
///
/// # Errors
/// If it cannot be read or made.
pub(crate) fn signing_key(config: &Config) -> anyhow::Result<SealKey> {
    key(&key_file(config))
}

/// Where the key of a state is.
fn key_file(config: &Config) -> PathBuf {
    config.audit.key_file.clone().unwrap_or_else(|| config.state_dir.join(KEY))
}

/// Seals what no seal covers yet, and moves what is old into files.
///
/// # Errors
/// If the key, the state or the file outside cannot be read or written.
pub(crate) fn seal(config: &Config, now: i64) -> anyhow::Result<Option<Seal>> {
    let audit = Audit::open(&config.state_dir)?;
    // Where nothing is to be sealed, no key is made.
    let seal = match audit.is_sealed()? {
        true => None,
        false => audit.seal(&key(&key_file(config))?, now)?,
    };
    if let Some(outside) = &config.audit.head_file
        && let Some(last) = audit.last_seal()?
    {
        keep(outside, &last)
            .with_context(|| say!("the seal could not be written to {path}", path = outside.display()))?;
    }
    file(&audit, config.audit.keep_records)?;
    Ok(seal)
}

/// Moves the oldest records into files until the database has no more than it keeps.
fn file(audit: &Audit, keep: u32) -> anyhow::Result<()> {
    while let Some(records) = audit.file(keep)? {
        tracing::info!(records, "records of the audit log were moved into a file");
    }
    Ok(())
}

/// Reads the key, or makes one where there is none.
fn key(path: &Path) -> anyhow::Result<SealKey> {
    let unreadable =
        || say!("the key of the audit log, {path}, cannot be read or made", path = path.display());
    match fs::read_to_string(path) {
        Ok(text) => SealKey::read(&text).ok_or_else(|| {
            anyhow!(say!(
                "{path} holds no key of the audit log: 64 hexadecimal digits",
                path = path.display()
            ))
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = SealKey::make();
            private::write_new(path, key.text().as_bytes()).with_context(unreadable)?;
            tracing::info!(key = key.public(), path = %path.display(), "a key was made that seals the audit log; note it elsewhere");
            Ok(key)
        }
        Err(error) => Err(error).with_context(unreadable),
    }
}

/// Adds a seal to the file, if it is not its last line already: a crash may have come in between.
fn keep(path: &Path, seal: &Seal) -> anyhow::Result<()> {
    if last_kept(path)?.as_ref() == Some(seal) {
        return Ok(());
    }
    let mut file = private::open(path)?;
    file.seek(SeekFrom::End(0))?;
    writeln!(file, "{}", serde_json::to_string(seal)?)?;
    Ok(file.sync_all()?)
}

/// The last seal in a file outside of the state; `None` if there is no file.
///
/// # Errors
/// If it cannot be read, or a line of it is no seal.
pub(crate) fn last_kept(path: &Path) -> anyhow::Result<Option<Seal>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let Some(line) = text.lines().rfind(|line| !line.trim().is_empty()) else { return Ok(None) };
    let seal = serde_json::from_str(line);
    seal.map(Some).map_err(|_| anyhow!(say!("the last line of {path} is no seal", path = path.display())))
}
