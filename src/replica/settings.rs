//! Where a state is replicated to.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::say;

/// What becomes of commits while the store is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenAway {
    /// After ten seconds they go on without it, and it is told.
    #[default]
    GoOn,
    /// They wait for it.
    Wait,
}

/// How a state is replicated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSettings {
    pub(crate) place: ReplicaLocation,
    /// The time between two snapshots.
    pub every: Duration,
    /// What becomes of commits while it is away.
    pub when_away: WhenAway,
    /// How long a machine may be silent before another one takes its state.
    pub takeover_after: Duration,
}

/// Where a state is replicated to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaLocation {
    /// A folder of this machine or of a share.
    Folder(PathBuf),
    /// A bucket of an S3 store.
    S3(Box<S3Settings>),
}

/// A bucket that is reached by S3's protocol.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Settings {
    pub(crate) bucket: String,
    /// What all keys begin with: empty, or with a slash at its end.
    pub prefix: String,
    /// The server's address; Amazon's if there is none.
    pub endpoint: Option<String>,
    pub(crate) region: String,
    /// The key's id and the key; those of the environment without them.
    pub key: Option<(String, String)>,
    /// A certificate to trust beside those of the system.
    pub ca_file: Option<PathBuf>,
}

impl std::fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

impl std::fmt::Display for ReplicaLocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "file://{}", path.display()),
            Self::S3(s3) => write!(f, "s3://{}/{}", s3.bucket, s3.prefix),
        }
    }
}

/// A place as a URL names it.
#[derive(Debug, PartialEq, Eq)]
pub enum Named {
    /// `file:///srv/replica`
    Folder(PathBuf),
    /// `s3://bucket/prefix`, the prefix with a slash at its end.
    Bucket(String, String),
}

impl std::str::FromStr for Named {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("file://").filter(|path| path.starts_with('/')) {
            return Ok(Self::Folder(PathBuf::from(path)));
        }
        let Some(rest) = url.strip_prefix("s3://") else {
            return Err(say!("name a bucket, s3://bucket/prefix, or a folder, file:///srv/replica"));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '_');
        if bucket.is_empty() || !bucket.chars().all(is_name) {
            return Err(say!("the name of a bucket has small letters, digits, dots and hyphens"));
        }
        let prefix = prefix.trim_matches('/');
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '/');
        if !prefix.chars().all(plain) || prefix.contains("//") {
            return Err(say!("the prefix has letters, digits, hyphens and slashes"));
        }
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self::Bucket(bucket.to_owned(), prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_folders_and_buckets() {
        let bucket = |name: &str, prefix: &str| Ok(Named::Bucket(name.into(), prefix.into()));
        assert_eq!("file:///srv/x".parse(), Ok(Named::Folder("/srv/x".into())));
        assert_eq!("s3://b".parse(), bucket("b", ""));
        assert_eq!("s3://b/".parse(), bucket("b", ""));
        assert_eq!("s3://b/treasury/4201/".parse(), bucket("b", "treasury/4201/"));
        for wrong in ["", "b", "file://srv", "s3://", "s3://B/x", "s3://b/a b", "s3://b/a//b", "https://b/x"]
        {
            assert!(wrong.parse::<Named>().is_err(), "{wrong}");
        }
    }
}
