//! Rules over batches: which events make a finding. Nothing here reads a clock or touches the store.

pub(crate) mod aggregate;
mod anomaly;
pub(crate) mod bounded;
mod closing;
mod crowd;
pub(crate) mod evaluator;
pub(crate) mod filling;
mod finding;
pub(crate) mod forecasts;
mod foreign;
pub(crate) mod guard;
mod key;
mod ledger_tables;
mod measures;
mod pane;
mod panes;
mod past;
pub(crate) mod plans;
mod pool;
pub(crate) mod row;
mod scale;
pub mod schedule;
mod select;
pub(crate) mod series;
pub(crate) mod sliding;
pub(crate) mod standing;
pub mod tables;
mod threads;
mod timeline;
pub(crate) mod windows;

pub use evaluator::{Batch, Evaluation, Evaluator, Prepared};
pub use filling::Filling;
pub use finding::finding_id;
pub use ledger_tables::LedgerTables;
pub(crate) use panes::windows_of;
pub use windows::{Held, Moved, Windows};
