//! The metrics of a keeper of shards.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::{
    catalogue::Registry,
    make::{counters, opts, register},
};

/// What is told of the shards of a machine.
#[derive(Debug)]
pub struct ShardMetrics {
    /// Whether the process of a shard runs here.
    pub up: IntGaugeVec,
    /// Processes that were started.
    pub starts: IntCounterVec,
    /// Processes that ended by themselves.
    pub deaths: IntCounterVec,
    /// Shards that came and went.
    pub moves: IntCounterVec,
}

impl ShardMetrics {
    pub(super) fn new(r: &Registry) -> prometheus::Result<Self> {
        let help = "1 while the process of a shard that is this machine's runs here, 0 while it does not.";
        Ok(Self {
            up: register(r, IntGaugeVec::new(opts("shard_up", help), &["shard"])?)?,
            starts: counters(r, "shard_starts_total", "Processes started for a shard.", &["shard"])?,
            deaths: counters(
                r,
                "shard_deaths_total",
                "Processes of a shard that ended without being asked to, and were started again.",
                &["shard"],
            )?,
            moves: counters(
                r,
                "shard_moves_total",
                "Shards that this machine was given or gave up.",
                &["change"],
            )?,
        })
    }
}
