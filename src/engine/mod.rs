//! The ingest loop: decode → sequence (duplicates, ledger) → evaluate → commit. Decoding and evaluating run in
//! parallel on batches; sequencing and committing see the batches one after another, in order. The same loop
//! serves the daemon and backtests: only the last stage differs.

mod batcher;
mod dedup;
mod forgotten;
mod pipeline;
mod sequence;

pub use batcher::{BatchLimits, batches};
pub use dedup::{Dedup, Seen};
pub use pipeline::{Committable, Engine, EngineError, Output, Stages};
pub use sequence::{Sequenced, Sequencer};
