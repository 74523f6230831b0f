//! Sealing the audit log: with a key of this machine, now and then and at the end; each seal is also written to a file
//! outside of the state, which tells a state that was put back from one that goes on.

use std::{
    fs,
    io::{ErrorKind, Seek as _, SeekFrom, Write as _},
    path::Path,
};

use anyhow::{Context as _, anyhow};

use crate::{
    config::Config,
    daemon::signing_key,
    event::Instant,
    private, say,
    store::{Audit, Seal},
};

/// Seals what no seal covers yet, and moves what is old into files.
///
/// # Errors
/// If the key, the state or the file outside cannot be read or written.
pub(crate) fn seal(config: &Config, now: Instant) -> anyhow::Result<Option<Seal>> {
    let audit = Audit::open(&config.state_dir)?;
    // Where nothing is to be sealed, no key is made.
    let seal = match audit.is_sealed()? {
        true => None,
        false => audit.seal(&signing_key(config)?, now)?,
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
