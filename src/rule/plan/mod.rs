//! What the measures of a window compile into: lanes of values, how they lie in a row of words, and the aggregates over
//! them. `evaluate/` fills the rows and keeps the tallies.

mod aggregate;
mod lane;

pub(crate) use aggregate::{Aggregate, AggregateKind, classify};
pub(crate) use lane::{LANES_MAX, Lane, LaneKind, Layout, NULL_TEXT, Others, float, ordered};

/// What the events of all keys of a window have in common.
#[derive(Debug, Clone)]
pub struct WindowPlan {
    /// How a row is laid out.
    pub layout: Layout,
    pub aggregates: Vec<Aggregate>,
    /// Whether the event itself counts.
    pub current: bool,
    /// The lane that marks the events from the last of which on a window holds.
    pub since: Option<usize>,
}
