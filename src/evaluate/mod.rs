//! Rules over batches: which events make a finding. Nothing here reads a clock or touches the store.

pub(crate) mod aggregate;
mod anomaly;

pub(crate) mod auto_resolve;
pub(crate) mod backfill;
pub(crate) mod bounded;
mod closing;
pub(crate) mod condition;
mod crowd;
mod evaluation;
mod evaluator;
mod finding;
pub(crate) mod forecasts;
mod foreign;
pub(crate) mod guard;
mod key;
mod key_history;
mod keys;
mod ledger_tables;
mod measures;
mod pane;
mod panes;
pub(crate) mod plans;
pub(crate) mod pool;
mod scale;
pub mod schedule;
mod select;
pub(crate) mod series;
mod shared_parts;
pub(crate) mod sliding;
pub mod tables;
mod threads;
mod timeline;
pub(crate) mod windows;

pub use backfill::Backfill;
pub(crate) use closing::Until;
pub use evaluation::{Evaluation, FindingOrigin};
pub use evaluator::{Batch, Evaluator, Prepared};
pub use finding::finding_id;
pub use ledger_tables::LedgerTables;
pub(crate) use panes::windows_of;
pub use windows::{Moved, WindowUsage, Windows};
