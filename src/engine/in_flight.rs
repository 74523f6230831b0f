//! A batch on its way from sequencing to the commit.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::AsArray,
    datatypes::{Decimal128Type, TimestampMicrosecondType},
};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    Committable, EngineError, Intake, KeptEvents, OutputDetail, SequenceCause, Sequenced, Stages,
    VersionResult, Windowing, joined::JoinedParts,
};
use crate::{
    evaluate::{Evaluation, Evaluator, Moved, Prepared, WindowUsage},
    event::{Cents, Column, EventType, Instant},
    journal::JournalBlock,
    ledger::TrialScope,
    rule::RuleSet,
    stream::Block,
};

/// A batch between preparing and committing.
pub(crate) struct InFlight {
    blocks: Vec<Block>,
    /// What sequencing made of it.
    pub parts: JoinedParts,
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
    parts: JoinedParts,
    unknown_fields: BTreeMap<String, u64>,
    evaluator: &Evaluator,
    stages: Stages,
    step: SequenceCause,
) -> (InFlight, Prepared) {
    let started = std::time::Instant::now();
    let prepared = evaluator.prepare(&parts.batch());
    let stages = Stages { evaluate: started.elapsed(), ..stages };
    let latest = parts.last().watermark.latest();
    let in_flight = InFlight {
        blocks,
        parts,
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
        let last = self.parts.last();
        windowing.complete_from(last.journal);
        let mut moved = windowing.observe(prepared, self.parts.watermarks(), last.watermark.settled());
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

    /// Judges the events by their windows, and encodes them for the journal: one after another what is committed of the batch.
    pub(crate) fn conclude(
        self,
        prepared: Prepared,
        moved: Moved,
        record: OutputDetail,
    ) -> Result<Vec<Committable>, EngineError> {
        let started = std::time::Instant::now();
        let Self { mut blocks, parts, unknown_fields, mut stages, held, room, turn, .. } = self;
        let rules = Arc::clone(prepared.evaluator().rules());
        let evaluations = prepared.conclude(moved).split(&parts.ends());
        let (mut committables, last) = (Vec::with_capacity(evaluations.len()), evaluations.len() - 1);
        for (number, (part, evaluation)) in parts.into_parts().zip(evaluations).enumerate() {
            // What came with the batch is told when all of it is stored.
            let blocks = if number == last { std::mem::take(&mut blocks) } else { Vec::new() };
            let committable = committable(part, blocks, &rules, record)?;
            committables.push(Committable { evaluation, held, ..committable });
        }
        stages.evaluate += started.elapsed();
        drop(turn);
        if let Some(last) = committables.last_mut() {
            (last.unknown_fields, last.room, last.stages) = (unknown_fields, room, stages);
        }
        Ok(committables)
    }
}

/// What there is to commit of a part of a batch but for what rules say.
fn committable(
    s: Sequenced,
    blocks: Vec<Block>,
    rules: &Arc<RuleSet>,
    record: OutputDetail,
) -> Result<Committable, EngineError> {
    let encode =
        || JournalBlock::encode(&s.events, &s.hashes).map_err(|e| EngineError::Internal(e.to_string()));
    let journal = (record == OutputDetail::Journal && !s.types.is_empty()).then(encode).transpose()?;
    let keep = record == OutputDetail::Events && rules.session.is_some() && !s.types.is_empty();
    let events = keep.then(|| KeptEvents::new(&s.events, &s.types, rules));
    let whole = (record == OutputDetail::Whole).then(|| (s.events.clone(), s.types.clone()));
    let times = s.events.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>();
    let amounts = s.events.column(Column::Amount.index()).as_primitive::<Decimal128Type>();
    let payments = s.types.iter().zip(amounts.values()).filter(|(t, _)| **t == EventType::Payment);
    let (accepted, version_results) = (accepted_of(&blocks, &s), version_results_of(&blocks, &s));
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
        rules: Arc::clone(rules),
        received: blocks.iter().map(|b| b.received).min(),
        bytes: blocks.iter().map(Block::bytes).sum(),
        intake,
        receipts: blocks.into_iter().zip(s.receipts).map(|(b, r)| (b.source, b.receipt, r)).collect(),
        journal,
        events,
        whole,
        late: s.late,
        rests: s.rests,
        journal_start: s.journal,
        again: watermark.owed.as_ref().is_some_and(|owed| owed.attempts > 0),
        watermark: Some(watermark),
        version_results,
        ..Committable::default()
    })
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
