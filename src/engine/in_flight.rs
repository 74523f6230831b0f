//! A batch on its way from sequencing to the commit.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::AsArray,
    datatypes::{Decimal128Type, TimestampMicrosecondType},
};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    Committable, EngineError, Intake, KeptEvents, OutputDetail, SequenceCause, Sequenced, Stages,
    VersionResult, Windowing,
};
use crate::{
    evaluate::{Batch, Evaluation, Evaluator, Moved, Prepared, WindowUsage},
    event::{Cents, Column, EventType, Instant},
    journal::JournalBlock,
    ledger::TrialScope,
    stream::Block,
};

/// A batch between preparing and committing.
pub(crate) struct InFlight {
    blocks: Vec<Block>,
    /// What sequencing made of it.
    pub sequenced: Sequenced,
    unknown_fields: BTreeMap<String, u64>,
    step: SequenceCause,
    /// The largest event time before and in the batch, if there is any.
    pub latest: Option<Instant>,
    /// What windows hold after it.
    pub held: WindowUsage,
    /// Time spent so far.
    pub stages: Stages,
    /// What it takes of the room between sequencing and the commit.
    pub room: Option<OwnedSemaphorePermit>,
    /// Given back when it is judged.
    pub turn: Option<OwnedSemaphorePermit>,
    /// Whether it is so small that no thread is woken for it: a piece of a batch where somebody may ask, or applications that
    /// were decided, as many as one request may ask of.
    pub is_small: bool,
    /// It is only tried out: how, and who is told what would be found.
    pub trial: Option<(TrialScope, oneshot::Sender<Evaluation>)>,
}

/// Judges the events of a batch by themselves.
pub(crate) fn prepare(
    blocks: Vec<Block>,
    sequenced: Sequenced,
    unknown_fields: BTreeMap<String, u64>,
    evaluator: &Evaluator,
    stages: Stages,
    step: SequenceCause,
) -> (InFlight, Prepared) {
    let started = std::time::Instant::now();
    let batch = Batch {
        events: &sequenced.events,
        types: &sequenced.types,
        after: &sequenced.after,
        attributes: &sequenced.attributes,
    };
    let prepared = evaluator.prepare(&batch);
    let stages = Stages { evaluate: started.elapsed(), ..stages };
    let latest = sequenced.watermark.latest();
    let in_flight = InFlight {
        blocks,
        sequenced,
        unknown_fields,
        step,
        latest,
        held: WindowUsage::default(),
        stages,
        room: None,
        turn: None,
        is_small: false,
        trial: None,
    };
    (in_flight, prepared)
}

impl InFlight {
    /// Takes the batch into the windows.
    pub(crate) fn observe(&self, windowing: &mut Windowing, prepared: &Prepared) -> Moved {
        let watermark = self.sequenced.watermark.settled();
        windowing.complete_from(self.sequenced.journal);
        let mut moved = windowing.observe(prepared, &self.sequenced.watermarks, watermark);
        if self.step == (SequenceCause::End { bounded: true }) {
            windowing.end(&mut moved);
        }
        moved
    }

    /// Takes the batch into the windows, and notes how long that took and what they hold then.
    pub(crate) fn take_in(&mut self, windowing: &mut Windowing, prepared: &Prepared) -> Moved {
        let started = std::time::Instant::now();
        let moved = self.observe(windowing, prepared);
        self.stages.windows = started.elapsed();
        self.held = windowing.held();
        moved
    }

    /// Judges the events by their windows, and encodes them for the journal.
    pub(crate) fn conclude(
        self,
        prepared: Prepared,
        moved: Moved,
        record: OutputDetail,
    ) -> Result<Committable, EngineError> {
        let started = std::time::Instant::now();
        let Self { blocks, sequenced: s, unknown_fields, mut stages, held, room, turn, .. } = self;
        let rules = Arc::clone(prepared.evaluator().rules());
        let evaluation = prepared.conclude(moved);
        let encode =
            || JournalBlock::encode(&s.events, &s.hashes).map_err(|e| EngineError::Internal(e.to_string()));
        let journal = (record == OutputDetail::Journal && !s.types.is_empty()).then(encode).transpose()?;
        let keep = record == OutputDetail::Events && rules.session.is_some() && !s.types.is_empty();
        let events = keep.then(|| KeptEvents::new(&s.events, &s.types, &rules));
        let whole = (record == OutputDetail::Whole).then(|| (s.events.clone(), s.types.clone()));
        let times = s.events.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>();
        let amounts = s.events.column(Column::Amount.index()).as_primitive::<Decimal128Type>();
        let payments = s.types.iter().zip(amounts.values()).filter(|(t, _)| **t == EventType::Payment);
        let (accepted, version_results) = (accepted_of(&blocks, &s), version_results_of(&blocks, &s));
        stages.evaluate += started.elapsed();
        drop(turn);
        let watermark = s.watermark.save();
        let intake = Intake {
            spans: blocks.iter().filter_map(|b| b.span.clone()).collect(),
            replayed: blocks.iter().flat_map(|b| b.replays.iter().copied()).collect(),
            ..s.intake
        };
        Ok(Committable {
            accepted,
            paid: payments.map(|(_, cents)| Cents::new(*cents)).sum(),
            first_at: (arrow::compute::min(times)).map(Instant::from_micros),
            last_at: (arrow::compute::max(times)).map(Instant::from_micros),
            rules,
            received: blocks.iter().map(|b| b.received).min(),
            bytes: blocks.iter().map(Block::bytes).sum(),
            intake,
            receipts: blocks.into_iter().zip(s.receipts).map(|(b, r)| (b.source, b.receipt, r)).collect(),
            journal,
            events,
            whole,
            evaluation,
            late: s.late,
            rests: s.rests,
            journal_start: s.journal,
            tick: None,
            held,
            passed: None,
            again: watermark.owed.as_ref().is_some_and(|owed| owed.attempts > 0),
            unknown_fields,
            watermark: Some(watermark),
            version_results,
            lists: None,
            room,
            stages,
        })
    }
}

/// The accepted events by source and type.
fn accepted_of(blocks: &[Block], sequenced: &Sequenced) -> Vec<(Arc<str>, EventType, u64)> {
    let of = |(block, counts): (&Block, &[u64; EventType::ALL.len()])| {
        let source = Arc::clone(&block.source);
        let present = EventType::ALL.into_iter().zip(*counts).filter(|(_, n)| *n > 0);
        present.map(move |(event_type, n)| (Arc::clone(&source), event_type, n))
    };
    blocks.iter().zip(&sequenced.types_by_block).flat_map(of).collect()
}

/// What became of versions of records, by source.
fn version_results_of(blocks: &[Block], sequenced: &Sequenced) -> Vec<(Arc<str>, VersionResult, u64)> {
    let mut counts: BTreeMap<_, u64> = BTreeMap::new();
    for (block, result) in &sequenced.version_results {
        *counts.entry((&blocks[*block].source, *result)).or_default() += 1;
    }
    counts.into_iter().map(|((source, result), n)| (Arc::clone(source), result, n)).collect()
}
