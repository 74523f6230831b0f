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

/// Where the key of a state is.
fn key_file(config: &Config) -> PathBuf {
    let usual = match config.audit.provider {
        ProviderName::International => KEY,
        ProviderName::National => NATIONAL_KEY,
    };
    config.audit.key_file.clone().unwrap_or_else(|| config.state_dir.join(usual))
}

/// Reads the key, or makes one where there is none.
fn key(path: &Path, by: &'static dyn Provider) -> anyhow::Result<SealKey> {
    let unreadable =
        || say!("the key of the audit log, {path}, cannot be read or made", path = path.display());
    match fs::read_to_string(path) {
        Ok(text) => match SealKey::read(&text) {
            Some(key) if key.provider().word() == by.word() => Ok(key),
            Some(_) => Err(anyhow!(say!(
                "the key in {path} is not of `audit.provider`: name another `audit.key_file`, and a key is made there",
                path = path.display()
            ))),
            None => Err(anyhow!(say!(
                "{path} holds no key of the audit log: 64 hexadecimal digits",
                path = path.display()
            ))),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = SealKey::make_by(by).with_context(unreadable)?;
            private::write_new(path, key.text().as_bytes()).with_context(unreadable)?;
            tracing::info!(key = key.public(), path = %path.display(), "a key was made that seals the audit log; note it elsewhere");
            Ok(key)
        }
        Err(error) => Err(error).with_context(unreadable),
    }
}
