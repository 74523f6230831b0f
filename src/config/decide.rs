//! What is asked before money moves.

pub(crate) use super::raw::{OnUnavailable, WhenStale};
use crate::source::kafka::KafkaRequests;

/// How applications are decided.
#[derive(Debug, Clone)]
pub struct Decide {
    /// How long ago the latest event of a source may be, in microseconds; `None` if any age will do.
    pub max_staleness: Option<i64>,
    /// The sources that this holds for.
    pub sources: Vec<String>,
    /// What is answered beyond that.
    pub when_stale: WhenStale,
    /// What programs that ask are to do while nobody answers.
    pub on_unavailable: OnUnavailable,
    /// Applications that one request decides at most.
    pub applications_max: usize,
    /// Who lets blocked applications pass.
    pub overrides: Overrides,
    /// The topics that applications are decided over.
    pub kafka: Option<KafkaRequests>,
}

/// How blocked applications may pass.
#[derive(Debug, Clone, Copy)]
pub struct Overrides {
    /// Above how many cents two people have to grant it.
    pub two_above: i128,
    /// How long an override is good, in microseconds.
    pub lasts: i64,
    /// How long at most.
    pub lasts_max: i64,
}
