//! The metrics of the replica.

use prometheus::{Gauge, IntCounter, IntGauge};

use super::{
    catalogue::Registry,
    make::{counter, gauge, opts, register},
};

/// What is told of the replica.
#[derive(Debug)]
pub struct ReplicaMetrics {
    /// Whether every commit is in the store.
    pub in_sync: IntGauge,
    /// Commits in the store.
    pub commits: IntCounter,
    /// Bytes that went there.
    pub bytes: IntCounter,
    pub(crate) failures: IntCounter,
    /// The age of the newest snapshot.
    pub snapshot_age: Gauge,
    /// Time that commits have waited for the store.
    pub waited: Gauge,
    /// How long one waits now.
    pub waits: Gauge,
}

/// 1 where there is nothing to be replicated: an alert on 0 is for every machine.
fn in_sync(r: &Registry) -> prometheus::Result<IntGauge> {
    let in_sync = gauge(
        r,
        "replica_in_sync",
        "0 while commits are on this machine only, and not in the store of state.replicate.",
    )?;
    in_sync.set(1);
    Ok(in_sync)
}

impl ReplicaMetrics {
    pub(super) fn new(r: &Registry) -> prometheus::Result<Self> {
        let seconds = |name, help| register(r, Gauge::with_opts(opts(name, help))?);
        Ok(Self {
            in_sync: in_sync(r)?,
            commits: counter(r, "replica_commits_total", "Commits that are in the store.")?,
            bytes: counter(r, "replica_bytes_total", "Bytes that went to the store.")?,
            failures: counter(r, "replica_failures_total", "Requests to the store that failed.")?,
            snapshot_age: seconds("replica_snapshot_age_seconds", "Time since the newest snapshot.")?,
            waited: seconds("replica_waited_seconds", "Time that commits have waited for the store.")?,
            waits: seconds("replica_waits_seconds", "How long a commit waits for the store at this moment.")?,
        })
    }
}
