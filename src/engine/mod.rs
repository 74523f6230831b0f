//! The ingest loop: decode → sequence (duplicates, watermark, ledger) → prepare → windows → conclude → commit. Decoding,
//! preparing and concluding run in parallel on batches; the others see the batches one after another, in order. The
//! same loop serves the daemon and backtests: only the last stage differs.

mod batcher;
mod dedup;
mod pipeline;
mod sequence;
mod watermark;
mod windowing;

pub use batcher::{BatchLimits, batches};
pub use dedup::{Dedup, Seen};
pub use pipeline::{Committable, Engine, EngineError, Output, Silence, Stages};
pub use sequence::{Sequenced, Sequencer, Step};
pub use watermark::{SavedWatermark, Watermark};
pub use windowing::{History, Windowing};
