//! The stages of the loop, joined by bounded channels that keep the order of batches.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arrow::record_batch::RecordBatch;
use tokio::{
    sync::{mpsc, watch},
    task::JoinError,
};

use super::{
    KeptEvents, ListsStep, SavedWatermark, Scheduler, Sequencer, Step, Windowing,
    in_flight::{InFlight, prepare},
    ticker::Ticker,
    watermark::Owed,
    workers::{Workers, Working},
};
use crate::{
    decode::{Decoded, Decoder},
    evaluate::{
        Evaluation, Evaluator, Held, Moved, Prepared,
        schedule::{Due, PassedTick},
    },
    event::{EventType, period::JournalStart},
    rule::RuleSet,
    say,
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
    /// What is kept of the accepted events, where nothing else keeps them for schedules.
    pub events: Option<KeptEvents>,
    /// The accepted events themselves and their types, in order, for who asked for [`Record::Whole`].
    pub whole: Option<(RecordBatch, Vec<EventType>)>,
    /// The number of accepted events by source and type.
    pub accepted: Vec<(Arc<str>, EventType, u64)>,
    /// Cents of accepted payments.
    pub paid: i128,
    /// The earliest event time of the batch, in microseconds.
    pub first_at: Option<i64>,
    /// The latest one.
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
    pub tick: Option<(i64, String)>,
    /// What windows hold.
    pub held: Held,
    /// The ledger's changes, when it is time for a checkpoint.
    pub checkpoint: Option<crate::ledger::Changes>,
    /// Fields that the data dictionary does not know.
    pub unknown_fields: BTreeMap<String, u64>,
    /// The watermark after the batch.
    pub watermark: Option<SavedWatermark>,
    /// What is to be stored about lists that have changed.
    pub lists: Option<ListsStep>,
    /// Raw bytes of the batch, for progress.
    pub bytes: u64,
    /// When the first of its blocks was read.
    pub received: Option<Instant>,
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
    /// Windows.
    pub windows: Duration,
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
    #[error("{}", say!(
        "internal error: {what}. Nothing after the last commit was stored; please report this",
        what = _0
    ))]
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
    /// Holds the ledger, the known events and the watermark.
    pub sequencer: Sequencer,
    /// Holds the windows of the rules.
    pub windowing: Windowing,
    /// The rules; a reload puts others in.
    pub evaluator: Arc<RwLock<Arc<Evaluator>>>,
    /// What the last stage gets of the accepted events.
    pub record: Record,
    /// Evaluates rules on a schedule; without it they are not evaluated.
    pub scheduler: Option<Scheduler>,
    /// The latest acceptable event time at this moment, in microseconds.
    pub time_max: Arc<dyn Fn() -> Option<i64> + Send + Sync>,
    /// Batches in work at the same time; with 0, everything is done on the thread that runs the loop ([`Workers`]).
    pub parallel: usize,
    /// Whether the input is complete when it ends, so that every open window closes then.
    pub bounded: Arc<AtomicBool>,
    /// The clock's time in microseconds, and how long a source may be silent before its watermark moves with the
    /// clock; `None` where only events move it.
    pub silence: Option<Silence>,
}

/// What the last stage gets of the accepted events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// Nothing.
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
pub struct Silence {
    /// The clock's time, in microseconds.
    pub now: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// How long a source may be silent, in microseconds.
    pub idle: i64,
    /// How often is looked.
    pub every: Duration,
}

type Decoding = Working<(Vec<Block>, Decoded, Duration)>;
type Preparing = Working<Result<(InFlight, Prepared), EngineError>>;
type Concluding = Working<Result<Committable, EngineError>>;

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
        let workers = Workers::new(self.parallel);
        let ahead = self.parallel.max(1);
        let (decoding_in, decoding) = mpsc::channel(ahead);
        let (preparing_in, preparing) = mpsc::channel(ahead);
        let (concluding_in, concluding) = mpsc::channel(ahead);
        let (committed_in, committed) = watch::channel(0);
        let decode = tokio::spawn(decode_all(
            batches,
            decoding_in,
            Arc::clone(&self.decoder),
            self.time_max.clone(),
            workers.clone(),
        ));
        let Self { decoder, sequencer, windowing, evaluator, record, bounded, silence, scheduler, .. } = self;
        let forwarded = 0;
        let windows =
            Windows { windowing, committed, forwarded, record, scheduler, workers: workers.clone() };
        let windows = tokio::spawn(windows.run(preparing, concluding_in));
        let sequence =
            Sequence { decoder, sequencer, evaluator, bounded, silence, workers, ticker: None, told: None };
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

/// The stage that puts events in order: duplicates, watermark, ledger.
struct Sequence {
    decoder: Arc<Decoder>,
    sequencer: Sequencer,
    evaluator: Arc<RwLock<Arc<Evaluator>>>,
    bounded: Arc<AtomicBool>,
    silence: Option<Silence>,
    workers: Workers,
    ticker: Option<Ticker>,
    /// The rules that silence has told the stages behind of: other lists judge again what there is.
    told: Option<Arc<RuleSet>>,
}

impl Sequence {
    async fn run(
        mut self,
        mut decoding: mpsc::Receiver<Decoding>,
        out: mpsc::Sender<Preparing>,
    ) -> Result<(), EngineError> {
        if self.sequencer.owes() {
            let decoded = self.decoder.decode(&[], None);
            if !self.send(Vec::new(), decoded, Duration::ZERO, Step::Start, &out).await? {
                return Ok(());
            }
        }
        let mut tick = self.silence.as_ref().map(|silence| tokio::time::interval(silence.every));
        loop {
            let batch = match &mut tick {
                None => decoding.recv().await,
                Some(tick) => tokio::select! {
                    batch = decoding.recv() => batch,
                    _ = tick.tick() => {
                        if !self.silent(&out).await? {
                            return Ok(());
                        }
                        continue;
                    }
                },
            };
            let Some(batch) = batch else { break };
            let (blocks, decoded, decode) = done(batch).await?;
            if !self.send(blocks, decoded, decode, Step::Events, &out).await? {
                return Ok(());
            }
        }
        let decoded = self.decoder.decode(&[], None);
        let bounded = self.bounded.load(Ordering::SeqCst);
        self.send(Vec::new(), decoded, Duration::ZERO, Step::End { bounded }, &out).await?;
        Ok(())
    }

    /// Moves the watermark of silent sources with the clock. `false` if nobody takes batches any more.
    async fn silent(&mut self, out: &mpsc::Sender<Preparing>) -> Result<bool, EngineError> {
        let rules = self.evaluator.read().map(|e| Arc::clone(e.rules()));
        let rules = rules.unwrap_or_else(|e| Arc::clone(e.into_inner().rules()));
        let known =
            self.told.as_ref().is_some_and(|told| Arc::ptr_eq(told, &rules)) || rules.lists.is_empty();
        if known && !self.sequencer.is_silent(self.now()) {
            return Ok(true);
        }
        let decoded = self.decoder.decode(&[], None);
        self.send(Vec::new(), decoded, Duration::ZERO, Step::Silence, out).await
    }

    fn now(&self) -> (i64, i64) {
        self.silence.as_ref().map_or((0, i64::MAX), |silence| ((silence.now)(), silence.idle))
    }

    /// Sequences a batch and has its parts prepared. `false` if nobody takes them any more.
    async fn send(
        &mut self,
        blocks: Vec<Block>,
        decoded: Decoded,
        decode: Duration,
        step: Step,
        out: &mpsc::Sender<Preparing>,
    ) -> Result<bool, EngineError> {
        let started = Instant::now();
        let mut unknown_fields = decoded.unknown_fields.clone();
        let evaluator = self.evaluator.read().map(|e| Arc::clone(&e));
        let evaluator = evaluator.unwrap_or_else(|e| Arc::clone(&e.into_inner()));
        if !self.ticker.as_ref().is_some_and(|ticker| ticker.is_for(evaluator.rules())) {
            self.ticker = None;
        }
        self.told = Some(Arc::clone(evaluator.rules()));
        let now = self.now();
        let new_ticker = || Ticker::new(evaluator.rules(), evaluator.calendar());
        let ticker = self.ticker.get_or_insert_with(new_ticker);
        let parts = self.sequencer.sequence(&blocks, decoded, step, now, ticker)?;
        let mut stages = Stages { decode, sequence: started.elapsed(), ..Stages::default() };
        let (mut blocks, last) = (Some(blocks), parts.len() - 1);
        for (number, part) in parts.into_iter().enumerate() {
            let is_last = number == last;
            let step = if is_last { step } else { Step::Events };
            let blocks = blocks.take_if(|_| is_last).unwrap_or_default();
            let fields = if is_last { std::mem::take(&mut unknown_fields) } else { BTreeMap::new() };
            let (stages, evaluator) = (std::mem::take(&mut stages), Arc::clone(&evaluator));
            let piece =
                self.workers.work(move || Ok(prepare(blocks, part, fields, &evaluator, stages, step)));
            if out.send(piece).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The stage with the windows.
struct Windows {
    windowing: Windowing,
    /// How many batches are committed.
    committed: watch::Receiver<u64>,
    /// How many batches were handed on.
    forwarded: u64,
    record: Record,
    scheduler: Option<Scheduler>,
    workers: Workers,
}

impl Windows {
    /// Does something with the windows on a thread that may take its time.
    async fn blocking<T: Send + 'static>(
        self,
        act: impl FnOnce(&mut Windowing) -> T + Send + 'static,
    ) -> Result<(Self, T), EngineError> {
        let Self { mut windowing, committed, forwarded, record, scheduler, workers } = self;
        let acted = workers.blocking(move || {
            let result = act(&mut windowing);
            (windowing, result)
        });
        let (windowing, result) = acted.await.map_err(|e| broken(&e))?;
        Ok((Self { windowing, committed, forwarded, record, scheduler, workers }, result))
    }

    async fn run(
        mut self,
        mut preparing: mpsc::Receiver<Preparing>,
        out: mpsc::Sender<Concluding>,
    ) -> Result<(), EngineError> {
        while let Some(batch) = preparing.recv().await {
            let (mut in_flight, prepared) = done(batch).await??;
            if !self.windowing.is_for(prepared.evaluator()) {
                // New windows are filled from the journal, which must have everything before this batch.
                if !self.all_committed().await {
                    return Ok(());
                }
                let (evaluator, latest) = (prepared.evaluator().clone(), in_flight.latest);
                let (rest, changed) =
                    self.blocking(move |windowing| windowing.change(&evaluator, latest)).await?;
                changed?;
                self = rest;
            }
            if self.windowing.rejudging().differ(&prepared.evaluator().rules().lists) {
                // What came before this batch was judged by other lists.
                if !self.all_committed().await {
                    return Ok(());
                }
                let begun = self.windowing.begin_again(prepared.evaluator());
                if let Some(begun) = begun
                    && !(self.forward(begun, &out).await && self.all_committed().await)
                {
                    return Ok(());
                }
                let (evaluator, latest) = (prepared.evaluator().clone(), in_flight.latest);
                let (rest, again) =
                    self.blocking(move |windowing| windowing.judge_again(&evaluator, latest)).await?;
                self = rest;
                for committable in again? {
                    if !self.forward(committable, &out).await {
                        return Ok(());
                    }
                }
            }
            let mut prepared = prepared;
            if self.windowing.lacks(&prepared) {
                if !self.all_committed().await {
                    return Ok(());
                }
                let (rest, (filled, back)) =
                    self.blocking(move |windowing| (windowing.reach_back(&prepared), prepared)).await?;
                filled?;
                (self, prepared) = (rest, back);
            }
            let due = std::mem::take(&mut in_flight.sequenced.due);
            let watermark = in_flight.sequenced.watermark.save();
            let evaluator = prepared.evaluator().clone();
            let journal = self.record;
            let piece = if self.windowing.is_empty() {
                self.workers.work(move || in_flight.conclude(prepared, Moved::default(), journal))
            } else {
                let (rest, moved) = self
                    .blocking(move |windowing| {
                        let started = Instant::now();
                        let moved = in_flight.observe(windowing, &prepared);
                        in_flight.stages.windows = started.elapsed();
                        in_flight.held = windowing.held();
                        (in_flight, prepared, moved)
                    })
                    .await?;
                self = rest;
                let (in_flight, prepared, moved) = moved;
                self.workers.work(move || in_flight.conclude(prepared, moved, journal))
            };
            self.forwarded += 1;
            if out.send(piece).await.is_err() || !self.tick(due, watermark, &evaluator, &out).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Evaluates the rules that are due on all that is committed. `false` if nobody takes batches any more.
    /// What is still owed is stored with what each of them finds, so that a process that dies in between leaves the
    /// rest to the next one.
    async fn tick(
        &mut self,
        due: Vec<Due>,
        mut watermark: SavedWatermark,
        evaluator: &Evaluator,
        out: &mpsc::Sender<Concluding>,
    ) -> bool {
        let last = due.len();
        for (number, due) in due.into_iter().enumerate() {
            let Some(scheduler) = self.scheduler.clone() else { return true };
            scheduler.busy.pending.store(last - number, Ordering::Relaxed);
            if !self.all_committed().await {
                return false;
            }
            let (evaluation, passed) = scheduler.run(&due, evaluator, self.workers.are_threads()).await;
            let rules = Arc::clone(evaluator.rules());
            let done = (due.tick, rules.rules[due.rule].rule.id.clone());
            let tick = Some(done.clone());
            watermark.owed = watermark.owed.filter(|_| number + 1 < last).map(|owed| Owed {
                done: Some(done),
                attempts: 0,
                ..owed
            });
            let held = self.windowing.held();
            let watermark = Some(watermark.clone());
            let again = due.attempt > 0;
            let committable = Committable {
                evaluation,
                rules,
                passed,
                again,
                tick,
                held,
                watermark,
                ..Committable::default()
            };
            if !self.forward(committable, out).await {
                return false;
            }
            scheduler.busy.pending.store(last - number - 1, Ordering::Relaxed);
        }
        true
    }

    /// Hands on what is ready. `false` if the last stage has ended.
    async fn forward(&mut self, committable: Committable, out: &mpsc::Sender<Concluding>) -> bool {
        self.forwarded += 1;
        out.send(tokio::spawn(async { Ok(Ok(committable)) })).await.is_ok()
    }

    /// Waits until everything that was handed on is committed. `false` if the last stage has ended.
    async fn all_committed(&mut self) -> bool {
        let forwarded = self.forwarded;
        self.committed.wait_for(|committed| *committed >= forwarded).await.is_ok()
    }
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
    workers: Workers,
) {
    while let Some(blocks) = batches.recv().await {
        let (decoder, limit) = (Arc::clone(&decoder), time_max());
        let decoding = workers.work(move || {
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
    mut concluding: mpsc::Receiver<Concluding>,
    output: &mut O,
    committed: &watch::Sender<u64>,
) -> Result<(), EngineError> {
    let mut ready = Vec::new();
    while concluding.recv_many(&mut ready, GROUP).await > 0 {
        let mut group = Vec::with_capacity(ready.len());
        let batches = ready.len() as u64;
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
        committed.send_modify(|n| *n += batches);
    }
    Ok(())
}
