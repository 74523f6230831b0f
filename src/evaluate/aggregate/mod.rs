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

pub use column::{Cells, Output};
pub use pack::{Beside, Failed, KEY, Packed, add_hashes, array};
pub use row::{Row, TextsOf};
pub use tally::Tally;
pub use texts::Texts;
