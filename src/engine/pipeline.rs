//! The stages of the loop, joined by bounded channels that keep the order of batches.

use std::{
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use arrow::{array::AsArray, datatypes::TimestampMicrosecondType};
use tokio::{
    sync::{Semaphore, mpsc},
    task::{JoinError, JoinHandle},
};

use super::{Sequenced, Sequencer};
use crate::{
    decode::{Decoded, Decoder},
    evaluate::{Evaluation, Evaluator, row::Batch},
    event::{Column, EventType},
    rule::RuleSet,
    store::{JournalBlock, StoreError},
    stream::{Block, Receipt, Reject, Span},
};

/// A batch that is ready to be committed.
#[derive(Debug, Default)]
pub struct Committable {
    /// How far the sources were read.
    pub spans: Vec<Span>,
    /// Who waits for the commit, and what to tell them.
    pub receipts: Vec<(Arc<str>, Option<tokio::sync::oneshot::Sender<Receipt>>, Receipt)>,
    /// The accepted events, encoded; `None` where no journal is kept or no event was accepted.
    pub journal: Option<JournalBlock>,
    /// The number of accepted events by source and type.
    pub accepted: Vec<(Arc<str>, EventType, u64)>,
    /// Cents of accepted payments.
    pub paid: i128,
    /// The latest event time of the batch, in microseconds.
    pub last_at: Option<i64>,
    /// Findings with their event times, and what happened to each rule.
    pub evaluation: Evaluation,
    /// The rules that the batch was judged by.
    pub rules: Arc<RuleSet>,
    /// Records for the quarantine.
    pub rejects: Vec<Reject>,
    /// Quarantined records that were read again.
    pub replayed: Vec<i64>,
    /// Duplicates.
    pub duplicates: u64,
    /// The ledger's changes, when it is time for a checkpoint.
    pub checkpoint: Option<crate::ledger::Changes>,
    /// Fields that the data dictionary does not know.
    pub unknown_fields: std::collections::BTreeMap<String, u64>,
    /// Raw bytes of the batch, for progress.
    pub bytes: u64,
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
    /// Rules, and encoding the journal block.
    pub evaluate: Duration,
}

impl Stages {
    /// Adds another batch's.
    pub fn add(&mut self, other: Self) {
        self.decode += other.decode;
        self.sequence += other.sequence;
        self.evaluate += other.evaluate;
    }
}

/// Why the loop ended early.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store cannot commit.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An output cannot be written.
    #[error("{0}")]
    Output(String),
    /// A stage broke; this is a bug.
    #[error("internal error: {0}. Nothing after the last commit was stored; please report this")]
    Internal(String),
}

/// The last stage.
pub trait Output: Send {
    /// Makes batches durable, all that are given or none, and tells who waits for them.
    fn commit(
        &mut self,
        batches: Vec<Committable>,
    ) -> impl std::future::Future<Output = Result<(), EngineError>> + Send;
}

/// The loop with its state.
pub struct Engine {
    /// Reads records.
    pub decoder: Arc<Decoder>,
    /// Holds the ledger and the known events.
    pub sequencer: Sequencer,
    /// The rules; a reload puts others in.
    pub evaluator: Arc<RwLock<Arc<Evaluator>>>,
    /// Whether accepted events are encoded for the journal.
    pub journal: bool,
    /// The latest acceptable event time at this moment, in microseconds.
    pub time_max: Arc<dyn Fn() -> Option<i64> + Send + Sync>,
    /// Batches in work at the same time.
    pub parallel: usize,
}

type Decoding = Working<(Vec<Block>, Decoded, Duration)>;
type Evaluating = Working<Result<Committable, EngineError>>;
/// The outer task waits for a worker, the inner one is its work.
type Working<T> = JoinHandle<Result<T, JoinError>>;

/// Batches that one transaction takes at most.
const GROUP: usize = 32;

impl Engine {
    /// Runs until the batches end, and commits everything that came.
    ///
    /// # Errors
    /// If a commit fails; nothing after it is committed.
    pub async fn run<O: Output>(
        self,
        batches: mpsc::Receiver<Vec<Block>>,
        output: &mut O,
    ) -> Result<(), EngineError> {
        let workers = Arc::new(Semaphore::new(self.parallel));
        let (decoding_in, decoding) = mpsc::channel(self.parallel);
        let (evaluating_in, evaluating) = mpsc::channel(self.parallel);
        let decode = tokio::spawn(decode_all(
            batches,
            decoding_in,
            Arc::clone(&self.decoder),
            self.time_max.clone(),
            Arc::clone(&workers),
        ));
        let sequence = tokio::spawn(self.sequence_all(decoding, evaluating_in, workers));
        let result = commit_all(evaluating, output).await;
        // After an error the other stages end by themselves: their channels are closed.
        decode.await.map_err(|e| broken(&e))?;
        sequence.await.map_err(|e| broken(&e))??;
        result
    }

    async fn sequence_all(
        mut self,
        mut decoding: mpsc::Receiver<Decoding>,
        out: mpsc::Sender<Evaluating>,
        workers: Arc<Semaphore>,
    ) -> Result<(), EngineError> {
        while let Some(batch) = decoding.recv().await {
            let (blocks, decoded, decode) = done(batch).await?;
            let started = Instant::now();
            let unknown_fields = decoded.unknown_fields.clone();
            let sequenced = self.sequencer.sequence(&blocks, decoded, false)?;
            let stages = Stages { decode, sequence: started.elapsed(), evaluate: Duration::ZERO };
            let evaluator = self.evaluator.read().map(|e| Arc::clone(&e));
            let evaluator = evaluator.unwrap_or_else(|e| Arc::clone(&e.into_inner()));
            let journal = self.journal;
            let evaluating = work(&workers, move || {
                let mut committable = evaluate(blocks, sequenced, &evaluator, journal)?;
                committable.unknown_fields = unknown_fields;
                committable.stages = Stages { evaluate: committable.stages.evaluate, ..stages };
                Ok(committable)
            });
            if out.send(evaluating).await.is_err() {
                return Ok(());
            }
        }
        self.last_checkpoint(&out).await
    }

    /// At the end of the stream the store gets a last checkpoint, so that the next start has nothing to apply.
    async fn last_checkpoint(mut self, out: &mpsc::Sender<Evaluating>) -> Result<(), EngineError> {
        let empty = self.decoder.decode(&[], None);
        let sequenced = self.sequencer.sequence(&[], empty, true)?;
        if sequenced.checkpoint.is_some() {
            let committable = Committable { checkpoint: sequenced.checkpoint, ..Committable::default() };
            let _ = out.send(tokio::spawn(async { Ok(Ok(committable)) })).await;
        }
        Ok(())
    }
}

/// Does a piece of work when a worker is free: more at a time than there are processors would only push each
/// other's batches out of the caches. The caller does not wait.
fn work<T: Send + 'static>(
    workers: &Arc<Semaphore>,
    piece: impl FnOnce() -> T + Send + 'static,
) -> Working<T> {
    let workers = Arc::clone(workers);
    tokio::spawn(async move {
        // The semaphore is never closed, so this is always a permit.
        let _permit = workers.acquire().await;
        tokio::task::spawn_blocking(piece).await
    })
}

async fn done<T>(working: Working<T>) -> Result<T, EngineError> {
    working.await.and_then(|piece| piece).map_err(|e| broken(&e))
}

fn broken(error: &JoinError) -> EngineError {
    EngineError::Internal(error.to_string())
}

async fn decode_all(
    mut batches: mpsc::Receiver<Vec<Block>>,
    out: mpsc::Sender<Decoding>,
    decoder: Arc<Decoder>,
    time_max: Arc<dyn Fn() -> Option<i64> + Send + Sync>,
    workers: Arc<Semaphore>,
) {
    while let Some(blocks) = batches.recv().await {
        let (decoder, limit) = (Arc::clone(&decoder), time_max());
        let decoding = work(&workers, move || {
            let started = Instant::now();
            let decoded = decoder.decode(&blocks, limit);
            (blocks, decoded, started.elapsed())
        });
        if out.send(decoding).await.is_err() {
            return;
        }
    }
}

async fn commit_all<O: Output>(
    mut evaluating: mpsc::Receiver<Evaluating>,
    output: &mut O,
) -> Result<(), EngineError> {
    let mut ready = Vec::new();
    while evaluating.recv_many(&mut ready, GROUP).await > 0 {
        let mut group = Vec::with_capacity(ready.len());
        for batch in ready.drain(..) {
            group.push(done(batch).await??);
            // A checkpoint is the state right after its batch, so it ends its transaction.
            if group.last().is_some_and(|b: &Committable| b.checkpoint.is_some()) {
                output.commit(std::mem::take(&mut group)).await?;
            }
        }
        if !group.is_empty() {
            output.commit(group).await?;
        }
    }
    Ok(())
}

/// Evaluates the rules on a batch and encodes it for the journal.
fn evaluate(
    blocks: Vec<Block>,
    sequenced: Sequenced,
    evaluator: &Evaluator,
    journal: bool,
) -> Result<Committable, EngineError> {
    let started = Instant::now();
    let Sequenced {
        events,
        types,
        hashes,
        after,
        attributes,
        rejects,
        duplicates,
        receipts,
        types_by_block,
        checkpoint,
    } = sequenced;
    let batch = Batch { events: &events, types: &types, after: &after, attributes: &attributes };
    let evaluation = evaluator.evaluate(&batch);
    let journal = match journal && !types.is_empty() {
        true => {
            Some(JournalBlock::encode(&events, &hashes).map_err(|e| EngineError::Internal(e.to_string()))?)
        }
        false => None,
    };
    let times = events.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>();
    let amounts = events.column(Column::Amount.index()).as_primitive::<arrow::datatypes::Decimal128Type>();
    let payments = types.iter().zip(amounts.values()).filter(|(t, _)| **t == EventType::Payment);
    let accepted = blocks.iter().zip(&types_by_block).flat_map(|(block, counts)| {
        let present = EventType::ALL.into_iter().zip(*counts).filter(|(_, n)| *n > 0);
        present.map(|(event_type, n)| (Arc::clone(&block.source), event_type, n))
    });
    Ok(Committable {
        accepted: accepted.collect(),
        paid: payments.map(|(_, cents)| *cents).sum(),
        last_at: arrow::compute::max(times),
        rules: Arc::clone(evaluator.rules()),
        bytes: blocks.iter().map(Block::bytes).sum(),
        replayed: blocks.iter().flat_map(|b| b.replays.iter().copied()).collect(),
        spans: blocks.iter().filter_map(|b| b.span.clone()).collect(),
        receipts: blocks.into_iter().zip(receipts).map(|(b, r)| (b.source, b.receipt, r)).collect(),
        journal,
        evaluation,
        rejects,
        duplicates,
        checkpoint,
        stages: Stages { evaluate: started.elapsed(), ..Stages::default() },
        ..Committable::default()
    })
}
