//! The state directory, as it is written, and where it is replicated to.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    Config,
    resolve::{RETAIN_MIN, Resolver},
    sinks::Secret,
};
use crate::{
    event::{TimeDelta, duration},
    replica::{Named, ReplicaLocation, ReplicaSettings, S3Settings, WhenAway},
    say,
    store::WhenFull,
    text::quoted,
};

/// The state directory.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "State")]
pub struct StateSpec {
    /// The directory.
    pub dir: PathBuf,
    /// A folder with backups of it (`fiscwatch state backup`), of which the newest is tried out from the console.
    pub backups: Option<PathBuf>,
    /// Whether to wait when another instance has the directory, and to take over when it ends.
    pub standby: bool,
    /// Where the state is replicated to, so that it survives this machine; nowhere without it.
    pub replicate: Option<ReplicateSpec>,
    /// Events between two checkpoints of the balances: more make commits cheaper and starts slower.
    pub checkpoint_events: u64,
    /// How far the latest event must be past the end of a local day for the day to be sealed.
    pub seal_after: String,
    /// How long events are kept, at least 180 days; everything is kept without it.
    pub retain: Option<String>,
    /// How far back from the latest event ids are remembered in memory.
    pub duplicate_horizon: String,
    /// How large the quarantine may become, in MiB.
    pub quarantine_mib: u64,
    /// What happens to records that it has no room for: `summarize` or `stop`.
    pub quarantine_full: WhenFull,
}

impl Default for StateSpec {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("state"),
            backups: None,
            standby: false,
            replicate: None,
            checkpoint_events: 500_000,
            seal_after: String::from("2d"),
            retain: None,
            duplicate_horizon: String::from("400d"),
            quarantine_mib: 1024,
            quarantine_full: WhenFull::Summarize,
        }
    }
}

/// A store that other machines reach, and that has the state whatever becomes of this one.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplicateSpec {
    /// The store: `s3://bucket/prefix`, or a folder that other machines have too, `file:///mnt/replica`.
    pub to: String,
    /// The time between two snapshots of the database. Commits go there at once.
    #[serde(default = "hour")]
    pub every: String,
    /// What becomes of commits while the store is away: `go_on` without it after ten seconds, and tell; or `wait` for it. Another
    /// machine takes over by itself only with `wait`.
    #[serde(default)]
    pub when_away: WhenAway,
    /// How long a machine may be silent before a standby takes its state, 5s or longer.
    #[serde(default = "fifteen_seconds")]
    pub takeover_after: String,
    /// The address of the S3 server, `https://s3.example.gov.cn:9000`; Amazon's without it.
    pub endpoint: Option<String>,
    /// The region of the bucket.
    #[serde(default = "region")]
    pub region: String,
    /// The id of the key; `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` of the environment without it.
    pub key_id: Option<String>,
    /// A file with the secret of the key.
    pub secret_file: Option<PathBuf>,
    /// The secret of the key; for a variable of the environment, not for the file.
    pub secret: Option<Secret>,
    /// A certificate to trust beside those of the system, PEM.
    pub ca_file: Option<PathBuf>,
}

fn hour() -> String {
    String::from("1h")
}

fn fifteen_seconds() -> String {
    String::from("15s")
}

fn region() -> String {
    String::from("us-east-1")
}

impl ReplicateSpec {
    /// The store of a URL, with everything else as usual.
    fn to(url: &str) -> Self {
        Self {
            to: url.to_owned(),
            every: hour(),
            when_away: WhenAway::default(),
            takeover_after: fifteen_seconds(),
            endpoint: None,
            region: region(),
            key_id: None,
            secret_file: None,
            secret: None,
            ca_file: None,
        }
    }
}

impl Config {
    /// `state.duplicate_horizon`.
    #[must_use]
    pub fn duplicate_horizon_micros(&self) -> TimeDelta {
        TimeDelta::of(self.duplicate_horizon)
    }

    /// `state.retain`.
    #[must_use]
    pub fn retain_micros(&self) -> Option<TimeDelta> {
        self.retain.map(TimeDelta::of)
    }

    /// The store of a URL, with the key and the server of `state.replicate` if there is one.
    ///
    /// # Errors
    /// If it is no URL of a store.
    pub fn replica_at(&self, url: &str) -> Result<ReplicaSettings, String> {
        let named: Named = url.parse()?;
        let usual = ReplicateSpec::to(url);
        let like = self.replicate.as_ref().map(|settings| &settings.place);
        let place = match (named, like) {
            (Named::Folder(path), _) => ReplicaLocation::Folder(apart(path, &self.state_dir)?),
            (Named::Bucket(bucket, prefix), Some(ReplicaLocation::S3(s3))) => {
                ReplicaLocation::S3(Box::new(S3Settings { bucket, prefix, ..(**s3).clone() }))
            }
            (Named::Bucket(bucket, prefix), _) => ReplicaLocation::S3(Box::new(S3Settings {
                bucket,
                prefix,
                endpoint: None,
                region: usual.region,
                key: None,
                ca_file: None,
            })),
        };
        let like = self.replicate.as_ref();
        Ok(ReplicaSettings {
            place,
            every: like.map_or(Duration::from_hours(1), |like| like.every),
            when_away: like.map_or(WhenAway::default(), |like| like.when_away),
            takeover_after: like.map_or(Duration::from_secs(15), |like| like.takeover_after),
        })
    }
}

/// The shortest time after which a machine is taken for gone: less, and a slow answer would do.
const TAKEOVER_MIN: Duration = Duration::from_secs(5);

impl Resolver<'_> {
    /// Where the state is replicated to, unless something is wrong with it.
    pub(super) fn replicate(
        &mut self,
        spec: Option<ReplicateSpec>,
        standby: bool,
        state_dir: &Path,
    ) -> Option<ReplicaSettings> {
        let spec = spec?;
        if standby && spec.when_away == WhenAway::GoOn {
            self.problem(say!(
                "state.standby needs state.replicate.when_away: wait: who goes on without the store may have committed what a standby does not know"
            ));
        }
        let secret_file = spec.secret_file.map(|path| self.path(path));
        let secret = Secret::of(secret_file.as_deref(), spec.secret.as_ref(), "secret");
        let secret = self.value("state.replicate", secret);
        let key = match (spec.key_id, secret) {
            (Some(id), Some(secret)) => Some((id, secret.reveal().to_owned())),
            (None, None) => None,
            _ => {
                self.problem(say!("state.replicate: give both key_id and secret_file, or neither"));
                None
            }
        };
        let named = spec.to.parse::<Named>().and_then(|named| match named {
            Named::Folder(path) => Ok(Named::Folder(apart(path, state_dir)?)),
            bucket @ Named::Bucket(..) => Ok(bucket),
        });
        let named = named.map_err(|why| say!("{text} is no store: {why}", text = quoted(&spec.to), why));
        let place = match named {
            Err(problem) => {
                self.problem(say!("state.replicate.to: {problem}", problem));
                return None;
            }
            Ok(Named::Folder(path)) => ReplicaLocation::Folder(path),
            Ok(Named::Bucket(bucket, prefix)) => ReplicaLocation::S3(Box::new(S3Settings {
                bucket,
                prefix,
                endpoint: spec.endpoint,
                region: spec.region,
                key,
                ca_file: spec.ca_file.map(|path| self.path(path)),
            })),
        };
        let at_least = |text: &str, least: Duration| {
            let time = duration(text)?;
            match time < least {
                true => Err(say!("{text} is too short", text = quoted(text))),
                false => Ok(time),
            }
        };
        Some(ReplicaSettings {
            place,
            every: self.value("state.replicate.every", at_least(&spec.every, Duration::from_secs(10))),
            when_away: spec.when_away,
            takeover_after: self
                .value("state.replicate.takeover_after", at_least(&spec.takeover_after, TAKEOVER_MIN)),
        })
    }
}

/// A folder that is neither within the state directory nor around it: what is lost with the state is no second copy of it.
pub(crate) fn apart(folder: PathBuf, state_dir: &Path) -> Result<PathBuf, String> {
    let real = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
    let (Ok(place), Ok(dir)) = (real(&folder), real(state_dir)) else { return Ok(folder) };
    match place.starts_with(&dir) || dir.starts_with(&place) {
        true => Err(say!(
            "the folder {folder} and the state directory {dir} lie within each other: name one on another disk",
            folder = folder.display(),
            dir = state_dir.display()
        )),
        false => Ok(folder),
    }
}

pub(super) fn retention(text: &str) -> Result<Duration, String> {
    let retain = duration(text)?;
    match retain < RETAIN_MIN {
        true => Err(say!(
            "{text} is too short: keep events for 180d or longer, or leave it out to keep everything",
            text = quoted(text)
        )),
        false => Ok(retain),
    }
}
