//! The metrics of sources.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::{
    catalogue::Registry,
    make::{counters, opts, register},
};

/// What the sources tell.
#[derive(Debug)]
pub struct SourceMetrics {
    /// Whether a source is read.
    pub up: IntGaugeVec,
    /// Errors that a source went on after.
    pub errors: IntCounterVec,
    /// Offsets up to the end of a partition.
    pub lag: IntGaugeVec,
    /// Records that the broker deleted before they were read.
    pub lost: IntCounterVec,
    /// Files read, and those that could not be.
    pub files: IntCounterVec,
    /// What lies in drop directories and is not read.
    pub left: IntGaugeVec,
    /// Rows of databases that were read again.
    pub overlap: IntCounterVec,
}

impl SourceMetrics {
    pub(super) fn new(r: &Registry) -> prometheus::Result<Self> {
        let gauge = |name, help, labels: &[&str]| register(r, IntGaugeVec::new(opts(name, help), labels)?);
        let (source, partition) = (["source"], ["source", "partition"]);
        Ok(Self {
            up: gauge("source_up", "Whether a source is read without trouble.", &source)?,
            errors: counters(r, "source_errors_total", "Errors that a source went on after.", &source)?,
            lag: gauge("source_lag_records", "Records not read yet, at most.", &partition)?,
            lost: counters(
                r,
                "source_lost_records_total",
                "Records that the broker deleted before they were read, at most.",
                &partition,
            )?,
            files: counters(
                r,
                "source_files_total",
                "Files by what became of them since the start: read, refused.",
                &["source", "result"],
            )?,
            left: gauge(
                "source_files_left",
                "What lies in a drop directory and is not read: unmatched, folder, refused.",
                &["source", "kind"],
            )?,
            overlap: counters(
                r,
                "source_overlap_rows_total",
                "Rows of a database's overlap: known (read again), late (found only there).",
                &["source", "kind"],
            )?,
        })
    }
}
