//! Aggregates over windows of events. Those that rules mostly use are kept as exact integers that can be added to,
//! taken from and merged; every other one of `DataFusion`'s goes through its `Accumulator`.

mod column;
mod extreme;
mod median;
mod pack;
mod row;
mod sorted;
mod tally;
mod texts;

pub(crate) use column::AggregateColumn;
pub(crate) use pack::{FailedValue, KEY, LaneValues, Packed, add_hashes, array};
pub(crate) use row::{TextsOf, WindowRow};
pub(crate) use tally::Tally;
pub(crate) use texts::Texts;
