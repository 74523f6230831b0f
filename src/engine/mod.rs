//! The ingest loop: decode → sequence (duplicates, watermark, ledger) → prepare → windows → conclude → commit. Decoding,
//! preparing and concluding run in parallel on batches; the others see the batches one after another, in order. The
//! same loop serves the daemon and backtests: only the last stage differs.

mod alerts;
mod batcher;
mod committable;
mod dedup;
mod id_filter;
mod in_flight;
mod intake;
mod joined;
mod journal_replay;
mod lookups;
mod memory;
mod noted;
mod originals;
mod pipeline;
mod plausible;
mod ports;
mod reached;
mod recent;
mod rejudge;
mod scheduler;
mod sequence;
mod ticker;
mod versions;
mod watermark;
mod windowing;
mod workers;

pub use alerts::{MemoryAlerts, cleared};
pub use batcher::{BatchLimits, batches};
pub use committable::{Committable, Stages};
pub use dedup::{Dedup, Sighting};
pub use intake::Intake;
pub use memory::{KeptEvents, MemoryTables};
pub use noted::{Noted, RuleTicks};
pub use originals::Originals;
pub use pipeline::{Engine, EngineError, IdleWatch, Output, OutputDetail, QuestionQueue};
pub use ports::{History, Journal, KnownEvent, KnownIds, KnownVersions, PortError, Ticked};
pub use rejudge::ListsStep;
pub use scheduler::Scheduler;
pub use sequence::{SequenceCause, Sequenced, Sequencer};
pub use ticker::{RESTS_AFTER, TICKS_MAX, Ticker};
pub use versions::{Kept, NamedEvent, VersionChange, VersionResult, Versions};
pub use watermark::{Owed, SavedWatermark, Watermark};
pub use windowing::{LATE_WITHOUT_HISTORY, Windowing};
pub use workers::Workers;
