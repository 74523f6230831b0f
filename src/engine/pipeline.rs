//! The stages of the loop, joined by bounded channels that keep the order of batches.

mod answers;
mod asked;
mod decide;
mod feed;
mod in_turn;
mod order;
mod together;
mod windows;

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use parking_lot::RwLock;
use tokio::{
    sync::{mpsc, watch},
    task::JoinError,
};

pub use self::asked::QuestionQueue;
use self::{order::Sequence, windows::WindowStage};
use super::{
    Committable, Scheduler, Sequencer, Windowing,
    in_flight::InFlight,
    ports::PortError,
    workers::{Workers, Working},
};
use crate::{
    decode::{Decoded, Decoder},
    evaluate::{Evaluator, Prepared},
    event::{Instant, TimeDelta},
    say,
    stream::Block,
};

/// Why the loop ended early.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// What is outside the loop cannot do what it is asked.
    #[error(transparent)]
    Port(#[from] PortError),
    /// An output cannot be written.
    #[error("{0}")]
    Output(String),
    /// A stage broke; this is a bug.
    #[error("{}", say!(
        "internal error: {what}. Nothing after the last commit was stored; please report this",
        what = _0
    ))]
    Internal(String),
}

/// The last stage of the loop, which makes batches last.
pub trait Output: Send {
    /// Makes batches durable, all that are given or none, and tells who waits for them.
    fn commit(
        &mut self,
        batches: Vec<Committable>,
    ) -> impl std::future::Future<Output = Result<(), EngineError>> + Send;
}

/// The loop with its state.
pub struct Engine {
    /// What makes columns of the bytes of a block.
    pub decoder: Arc<Decoder>,
    /// Holds the ledger, the known events and the watermark.
    pub sequencer: Sequencer,
    /// Holds the windows of the rules.
    pub windowing: Windowing,
    /// The rules; a reload puts others in.
    pub evaluator: Arc<RwLock<Arc<Evaluator>>>,
    /// What the last stage gets of the accepted events.
    pub record: OutputDetail,
    /// Evaluates rules on a schedule; without it they are not evaluated.
    pub scheduler: Option<Scheduler>,
    /// The latest acceptable event time at this moment.
    pub time_max: Arc<dyn Fn() -> Option<Instant> + Send + Sync>,
    /// Batches processed at the same time; with 0, everything is done on the thread that runs the loop ([`Workers`]).
    pub parallel: usize,
    /// Whether the input is complete when it ends, so that every open window closes then.
    pub bounded: Arc<AtomicBool>,
    /// What is asked beside the stream, and what is to be released; `None` where nobody asks.
    pub asked: Option<QuestionQueue>,
    /// The clock's time, and how long a source may be silent before its watermark moves with the
    /// clock; `None` where only events move it.
    pub silence: Option<IdleWatch>,
}

/// What the last stage gets of the accepted events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputDetail {
    /// Neither the events nor their block.
    Nothing,
    /// A block for the journal.
    Journal,
    /// What schedules can read of the events.
    Events,
    /// The events themselves, with their types.
    Whole,
}

/// How time passes for sources that are silent.
#[derive(Clone)]
pub struct IdleWatch {
    pub(crate) now: Arc<dyn Fn() -> Instant + Send + Sync>,
    /// How long a source may be silent.
    pub idle: TimeDelta,
    /// How often is looked.
    pub every: Duration,
}

type Decoding = Working<(Vec<Block>, Decoded, Duration)>;
type Preparing = Working<Result<(InFlight, Prepared), EngineError>>;
type Concluding = Working<Result<Committable, EngineError>>;

/// Batches that one transaction takes at most.
const GROUP: usize = 32;
/// Pieces between the windows and the commit. Those of the stream have their room (`feed.rs`); there are more where rules are
/// due for many ticks, or where many ask while one is evaluated.
const TO_COMMIT: usize = 1024;

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
        let workers = Workers::new(self.parallel);
        let ahead = self.parallel.max(1);
        let (decoding_in, decoding) = mpsc::channel(ahead);
        let (preparing_in, preparing) = mpsc::channel(ahead);
        // The stage with the windows does not wait for a commit.
        let (concluding_in, concluding) = mpsc::channel(TO_COMMIT);
        let (committed_in, committed) = watch::channel(0);
        let decode = tokio::spawn(decode_all(
            batches,
            decoding_in,
            Arc::clone(&self.decoder),
            self.time_max.clone(),
            workers.clone(),
        ));
        let Self { decoder, sequencer, windowing, evaluator, record, bounded, silence, scheduler, .. } = self;
        let (asked, time_max) = (self.asked.unwrap_or_default(), self.time_max);
        let windows = WindowStage {
            windowing,
            committed,
            forwarded: 0,
            record,
            scheduler,
            workers: workers.clone(),
            evaluated: None,
        };
        let windows = tokio::spawn(windows.run(preparing, concluding_in));
        let (ticker, told) = (None, None);
        let sequence = Sequence {
            decoder,
            sequencer,
            evaluator,
            bounded,
            silence,
            workers,
            ticker,
            told,
            asked,
            reserved: None,
            time_max,
        };
        let sequence = tokio::spawn(sequence.run(decoding, preparing_in));
        let result = commit_all(concluding, output, &committed_in).await;
        drop(committed_in);
        // A stage that has failed ends the stages behind it. Those before it may wait for a batch that never comes.
        decode.abort();
        if result.is_err() {
            windows.abort();
        }
        let windows = ended(windows.await);
        if result.is_err() || windows.is_err() {
            sequence.abort();
        }
        let sequence = ended(sequence.await);
        result.and(windows).and(sequence).and(ended(decode.await.map(Ok)))
    }
}

/// How a stage ended; one that was ended has nothing to say.
fn ended(stage: Result<Result<(), EngineError>, JoinError>) -> Result<(), EngineError> {
    match stage {
        Err(e) if e.is_cancelled() => Ok(()),
        stage => stage.map_err(|e| broken(&e))?,
    }
}

async fn done<T>(working: impl Future<Output = <Working<T> as Future>::Output>) -> Result<T, EngineError> {
    working.await.and_then(|piece| piece).map_err(|e| broken(&e))
}

fn broken(error: &JoinError) -> EngineError {
    EngineError::Internal(error.to_string())
}

async fn decode_all(
    mut batches: mpsc::Receiver<Vec<Block>>,
    out: mpsc::Sender<Decoding>,
    decoder: Arc<Decoder>,
    time_max: Arc<dyn Fn() -> Option<Instant> + Send + Sync>,
    workers: Workers,
) {
    while let Some(blocks) = batches.recv().await {
        let (decoder, limit) = (Arc::clone(&decoder), time_max());
        let decoding = workers.work(move || {
            let started = std::time::Instant::now();
            let decoded = decoder.decode(&blocks, limit);
            (blocks, decoded, started.elapsed())
        });
        if out.send(decoding).await.is_err() {
            return;
        }
    }
}

async fn commit_all<O: Output>(
    mut concluding: mpsc::Receiver<Concluding>,
    output: &mut O,
    committed: &watch::Sender<u64>,
) -> Result<(), EngineError> {
    let mut ready = VecDeque::new();
    loop {
        if ready.is_empty() {
            ready.extend(concluding.recv().await);
        }
        while let Ok(batch) = concluding.try_recv() {
            ready.push_back(batch);
        }
        let Some(first) = ready.pop_front() else { return Ok(()) };
        let mut group: Vec<Committable> = vec![done(first).await??];
        // What is judged already goes with it. Nobody whose answer is ready waits for what is not.
        while group.len() < GROUP
            && group.last().is_none_or(|batch| batch.intake.checkpoint.is_none())
            && let Some(batch) = ready.pop_front_if(|batch: &mut Concluding| batch.is_finished())
        {
            // A checkpoint is the state right after its batch, so it ends its transaction.
            group.push(done(batch).await??);
        }
        let batches = group.len() as u64;
        let rooms: Vec<_> = group.iter_mut().map(|batch| batch.room.take()).collect();
        output.commit(group).await?;
        drop(rooms);
        committed.send_modify(|n| *n += batches);
    }
}
