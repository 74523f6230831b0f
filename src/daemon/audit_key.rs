//! The key of this state: it seals the audit log and signs evidence. One is made where there is none.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};

use crate::{
    access::{provider::Provider, seal::SealKey},
    config::{Config, ProviderName},
    private, say,
};

/// The key's file in the state directory, if the configuration names no other place: one for each provider.
const KEY: &str = "audit.key";
const NATIONAL_KEY: &str = "audit-sm2.key";

/// The key that a state signs with; one is made where there is none.
///
/// # Errors
/// If it cannot be read or made.
pub(crate) fn signing_key(config: &Config) -> anyhow::Result<SealKey> {
    key(&key_file(config), config.audit.provider.provider())
}

/// Looks at the key of a state, and makes none.
///
/// # Errors
/// Why it cannot sign.
pub(crate) fn look_at_key(config: &Config) -> Result<(), String> {
    let Err(error) = known(&key_file(config), config.audit.provider.provider()) else { return Ok(()) };
    let refused = error.root_cause().downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    match refused {
        // Who checks a configuration may be another user than the daemon's; a folder that is none is told by its own name.
        Some(ErrorKind::PermissionDenied | ErrorKind::NotADirectory) => Ok(()),
        _ => Err(error.to_string()),
    }
}

/// Where the key of a state is.
fn key_file(config: &Config) -> PathBuf {
    let usual = match config.audit.provider {
        ProviderName::International => KEY,
        ProviderName::National => NATIONAL_KEY,
    };
    config.audit.key_file.clone().unwrap_or_else(|| config.state_dir.join(usual))
}

/// Reads the key, or makes one where there is none. Who makes one at the same moment as somebody else takes the other's: all
/// sign with the same.
fn key(path: &Path, by: &'static dyn Provider) -> anyhow::Result<SealKey> {
    if let Some(key) = known(path, by)? {
        return Ok(key);
    }
    let unreadable = || unreadable(path);
    let key = SealKey::make_by(by).with_context(unreadable)?;
    match private::write_new(path, key.text().as_bytes()) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            known(path, by)?.ok_or(error).with_context(unreadable)
        }
        written => {
            written.with_context(unreadable)?;
            tracing::info!(key = key.public(), path = %path.display(), "a key was made that seals the audit log; note it elsewhere");
            Ok(key)
        }
    }
}

/// The key in a file; `None` if the file is not there.
fn known(path: &Path, by: &'static dyn Provider) -> anyhow::Result<Option<SealKey>> {
    match fs::read_to_string(path) {
        Ok(text) => match SealKey::read(&text) {
            Some(key) if key.provider().word() == by.word() => Ok(Some(key)),
            Some(_) => Err(anyhow!(say!(
                "the key in {path} is not of `audit.provider`: name another `audit.key_file`, and a key is made there",
                path = path.display()
            ))),
            None => Err(anyhow!(say!(
                "{path} holds no key of the audit log: 64 hexadecimal digits",
                path = path.display()
            ))),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| unreadable(path)),
    }
}

fn unreadable(path: &Path) -> String {
    say!("the key of the audit log, {path}, cannot be read or made", path = path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::provider;

    #[test]
    fn all_who_make_a_key_at_the_same_moment_have_the_same() {
        for _ in 0..20 {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(KEY);
            let make = || key(&path, provider::INTERNATIONAL).unwrap().public().clone();
            let made: Vec<String> = std::thread::scope(|scope| {
                let makers: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
                makers.into_iter().map(|maker| maker.join().unwrap()).collect()
            });
            assert!(made.iter().all(|key| *key == made[0]), "{made:?}");
        }
    }

    /// A name that leads nowhere is neither a key nor a place for one.
    #[test]
    fn a_link_to_nothing_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(KEY);
        std::os::unix::fs::symlink(dir.path().join("none"), &path).unwrap();
        let error = key(&path, provider::INTERNATIONAL).unwrap_err();
        assert!(error.to_string().contains("cannot be read or made"), "{error:#}");
    }
}
