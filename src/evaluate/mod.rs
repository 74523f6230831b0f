//! Rules over batches: which events make a finding. Nothing here reads a clock or touches the store.

pub mod aggregate;
mod anomaly;
pub mod bounded;
mod closing;
mod crowd;
pub mod evaluator;
pub mod filling;
mod finding;
pub mod forecasts;
mod foreign;
pub mod guard;
mod key;
mod ledger_tables;
mod measures;
mod pane;
mod panes;
mod past;
pub mod plans;
mod pool;
pub mod row;
mod scale;
pub mod schedule;
mod select;
pub mod series;
pub mod sliding;
pub mod standing;
pub mod tables;
mod threads;
mod timeline;
pub mod windows;

pub use evaluator::{Batch, Evaluation, Evaluator, Prepared};
pub use filling::Filling;
pub use finding::finding_id;
pub use ledger_tables::LedgerTables;
pub use windows::{Held, Moved, Windows};
