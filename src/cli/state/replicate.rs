//! `fiscwatch state replicate`, and `fiscwatch state restore --from`

use std::{path::Path, process::ExitCode, sync::Arc, sync::atomic::Ordering};

use anyhow::{anyhow, bail};
use clap::Args;

use super::ConfigArg;
use crate::{
    access::Action,
    clock::{Clock, SystemClock},
    config::Config,
    replica::{self, Bucket, Candidate, ClaimStatus, ReplicaSettings, Restored},
    say,
    store::{StateLock, Store, StoreError},
};

#[derive(Debug, Args)]
pub(crate) struct ReplicateArgs {
    /// The store, `s3://bucket/prefix` or `file:///srv/replica`; that of the configuration (`state.replicate.to`) if it is not given
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    #[command(flatten)]
    config: ConfigArg,
    /// JSON instead of a sentence
    #[arg(long)]
    json: bool,
}

/// The store of a URL, or that of the configuration.
fn settings(url: Option<&str>, config: &Config) -> anyhow::Result<ReplicaSettings> {
    match (url, &config.replicate) {
        (Some(url), _) => config.replica_at(url).map_err(|why| anyhow!(why)),
        (None, Some(settings)) => Ok(settings.clone()),
        (None, None) => bail!(say!("name a store: --to URL, or state.replicate.to in the configuration")),
    }
}

pub(crate) fn replicate(args: &ReplicateArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::BackUpState)?;
    let settings = settings(args.to.as_deref(), &config)?;
    let dir = &config.state_dir;
    if !dir.exists() {
        return Err(StoreError::Missing(dir.clone()).into());
    }
    let lock = match StateLock::acquire(dir) {
        Err(StoreError::Locked { pid, .. }) => bail!(say!(
            "a daemon (process {pid}) has the state. With state.replicate it puts each commit into the store by itself, and a snapshot every {every}; without it, stop the daemon for the while, or take a backup",
            pid,
            every = format!("{:?}", settings.every)
        )),
        lock => lock?,
    };
    let store = Store::open_locked(dir, lock)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut candidate = Candidate::new(&settings, dir)?;
    if let ClaimStatus::Held { holder, .. } | ClaimStatus::ByHand { holder } = candidate.look()? {
        bail!(say!(
            "the state in the store {place} is that of {holder}, and not the one in {dir}; nothing was changed. Name another prefix",
            place = settings.place,
            holder,
            dir = dir.display()
        ));
    }
    if candidate.would_restore()? {
        bail!(say!(
            "the store {place} has a newer state than {dir}, of another machine; nothing was changed. `fiscwatch state restore --from` gets it",
            place = settings.place,
            dir = dir.display()
        ));
    }
    let claimed = candidate.claim(clock.now())?;
    let claimed = claimed.ok_or_else(|| {
        anyhow!(say!("another machine has just taken the state of the store; nothing was changed"))
    })?;
    let figures = replica::once(candidate, claimed, &clock)?;
    drop(store);
    let (bytes, place) = (figures.bytes.load(Ordering::Relaxed), settings.place.to_string());
    match args.json {
        true => println!("{}", serde_json::json!({ "store": place, "bytes": bytes })),
        false => println!("{}", say!("The state is in {place}; {bytes} bytes went there.", place, bytes)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a state directory of what a store has.
pub(super) fn fetch(
    (url, upto): (&str, Option<u64>),
    to: &Path,
    config: &Config,
) -> anyhow::Result<Restored> {
    let settings = settings(Some(url), config)?;
    Ok(replica::restore(&Bucket::open(&settings.place)?, to, upto)?)
}

pub(super) fn restore(
    from: (&str, Option<u64>),
    to: &Path,
    json: bool,
    config: &Config,
) -> anyhow::Result<ExitCode> {
    let restored = fetch(from, to, config)?;
    let code = super::backup::show("state", to, &restored.manifest.state, json, config)?;
    if !json {
        let (records, bytes) = (restored.records, restored.bytes);
        println!(
            "{}",
            say!(
                "The snapshot is of the time above; {records} commits that came after it are in the state, too. {bytes} bytes were fetched.",
                records,
                bytes
            )
        );
        if restored.beyond > 0 {
            println!(
                "{}",
                say!(
                    "{commits} later commits are not: the store was away before them, and no snapshot was completed after that.",
                    commits = restored.beyond
                )
            );
        }
    }
    Ok(code)
}
