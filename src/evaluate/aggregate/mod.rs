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

pub(crate) use column::Output;
pub(crate) use pack::{Beside, Failed, KEY, Packed, add_hashes, array};
pub(crate) use row::{Row, TextsOf};
pub(crate) use tally::Tally;
pub(crate) use texts::Texts;
