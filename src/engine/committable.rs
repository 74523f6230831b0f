//! A batch behind all stages but the last.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arrow::record_batch::RecordBatch;

use super::{Intake, KeptEvents, ListsStep, SavedWatermark, VersionResult};
use crate::{
    evaluate::{Evaluation, WindowUsage, schedule::PassedTick},
    event::{Cents, EventType, Instant, period::JournalStart},
    journal::JournalBlock,
    rule::RuleSet,
    stream::Receipt,
};

/// A batch that is ready to be committed.
#[derive(Debug, Default)]
pub struct Committable {
    /// What the store takes of it as it was sequenced.
    pub intake: Intake,
    /// Who waits for the commit, and what to tell them.
    pub receipts: Vec<(Arc<str>, Option<tokio::sync::oneshot::Sender<Receipt>>, Receipt)>,
    /// The accepted events, encoded; `None` where no journal is kept or no event was accepted.
    pub journal: Option<JournalBlock>,
    /// What is kept of the accepted events, where nothing else keeps them for schedules.
    pub events: Option<KeptEvents>,
    /// The accepted events themselves and their types, in order, for whoever asked for [`super::OutputDetail::Whole`].
    pub whole: Option<(RecordBatch, Vec<EventType>)>,
    /// The number of accepted events by source and type.
    pub accepted: Vec<(Arc<str>, EventType, u64)>,
    /// Cents of accepted payments.
    pub paid: Cents,
    /// The earliest event time of the batch.
    pub first_at: Option<Instant>,
    pub(crate) last_at: Option<Instant>,
    /// Findings with their event times, and what happened to each rule.
    pub evaluation: Evaluation,
    /// The rules that the batch was judged by.
    pub rules: Arc<RuleSet>,
    /// Events that the watermark had passed when they came.
    pub late: u64,
    /// Stretches without any event that schedules rested in.
    pub rests: u64,
    /// The tick that was passed without an answer.
    pub passed: Option<PassedTick>,
    /// It has to be stored even if it holds nothing but how far time has come: an earlier process ended here.
    pub again: bool,
    /// From when on the journal holds everything.
    pub journal_start: Option<JournalStart>,
    /// The tick and the rule that this is the evaluation of.
    pub tick: Option<(Instant, String)>,
    pub(crate) held: WindowUsage,
    /// Fields that the data dictionary does not know.
    pub unknown_fields: BTreeMap<String, u64>,
    /// The watermark after the batch.
    pub watermark: Option<SavedWatermark>,
    /// What became of their versions, by source.
    pub version_results: Vec<(Arc<str>, VersionResult, u64)>,
    /// What is to be stored about lists that have changed.
    pub lists: Option<ListsStep>,
    /// What it takes of the room between sequencing and the commit.
    pub(crate) room: Option<tokio::sync::OwnedSemaphorePermit>,
    /// Raw bytes of the batch, for progress.
    pub bytes: u64,
    /// When the first of its blocks was read.
    pub received: Option<std::time::Instant>,
    /// Time spent in the stages.
    pub stages: Stages,
}

/// Time a batch spent in each stage.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stages {
    /// Bytes to columns.
    pub decode: Duration,
    /// Duplicates and ledger.
    pub sequence: Duration,
    pub(crate) windows: Duration,
    /// Rules, and encoding the journal block.
    pub evaluate: Duration,
}

impl Stages {
    /// Adds another batch's.
    pub fn add(&mut self, other: Self) {
        self.decode += other.decode;
        self.sequence += other.sequence;
        self.windows += other.windows;
        self.evaluate += other.evaluate;
    }
}
