//! Wiring: a daemon is put together here, started and ended.

mod assembly;
pub(crate) mod audit;
mod counting;
mod deliver;
mod health;
mod ingest;
mod keeper;
pub(crate) mod listen;
mod log_moving;
mod output;
mod places;
mod quarantined;
mod query;
mod recheck;
pub mod replay;
mod replicating;
mod requests;
mod run;
mod sealing;
mod search;
mod standby;
mod statement;
mod tables;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use anyhow::anyhow;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::Config,
    daemon::{RunOptions, Shared, gate, supervisor},
    decode::Decoder,
    engine::{BatchLimits, EngineError, IdleWatch, Watermark, batches},
    event::{Instant, TimeDelta},
    failpoint,
    replica::Keeper,
    rule::RuleSet,
    say,
    store::{StateLock, Turns},
    stream::{Block, Position},
};

pub use assembly::Assembly;
pub use ingest::run_source;
pub use keeper::keep;
pub use output::StoreOutput;
pub(crate) use places::misplaced;
pub use quarantined::replay;
pub use query::{line_forecasts, query};
pub use recheck::{Range, recheck};
pub use run::{RunOutcome, run};
pub use search::{JournalEvent, Search};
use tables::StoredTables;

use deliver::DeliverTask;
use log_moving::MovingTask;
use replicating::Replica;
pub use sealing::SealingParts;
use sealing::SealingTask;

/// Blocks that wait for the batcher, over all sources.
const BLOCKS_WAITING: usize = 16;
/// How often one looks whether another machine has the state.
const SUPERSEDED_LOOK: Duration = Duration::from_millis(200);
/// How long a drain waits for long work that it has stopped.
const WORKS_MAX: Duration = Duration::from_secs(2);
/// How long a drain may take before the process gives up; what is not committed is read again.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// How a daemon ends after what came is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Seals all that can be sealed, and delivers what waits only for its group.
    Tidy,
    /// As soon as what is under way is done: whoever stops it waits.
    Soon,
}

/// A daemon whose loop runs.
pub struct Daemon {
    /// What the HTTP server and the loop share.
    pub shared: Arc<Shared>,
    /// Where sources put their blocks.
    pub blocks: mpsc::Sender<Block>,
    /// Asks everything to stop.
    pub stop: CancellationToken,
    /// How far the sources were read before.
    pub positions: BTreeMap<(String, String), Position>,
    closing: CancellationToken,
    /// Set when the input has come to its end by itself: every open window closes then.
    bounded: Arc<AtomicBool>,
    /// `None` when it has ended.
    engine: Option<EngineTask>,
    sealing: SealingTask,
    moving: MovingTask,
    deliver: DeliverTask,
    /// What goes on beside the loop until the end.
    beside: JoinSet<()>,
    /// Where the state is replicated.
    keeper: Option<Keeper>,
}

impl Daemon {
    /// Opens the state, recovers it, and starts the loop.
    ///
    /// # Errors
    /// If the state cannot be opened.
    pub fn start(
        config: &Config,
        rules: Arc<RuleSet>,
        options: &RunOptions,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        Self::start_locked(config, (StateLock::acquire(&config.state_dir)?, None), rules, options, clock)
    }

    fn start_locked(
        config: &Config,
        (lock, replica): (StateLock, Option<Replica>),
        rules: Arc<RuleSet>,
        options: &RunOptions,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let assembly = Assembly::locked(config, lock, rules, options, clock, parallel())?;
        let Assembly { shared, blocks, incoming, positions, engine, mut output, sealing, log_mover } =
            assembly;
        crate::store::mark_replicated(&config.state_dir, replica.is_some())?;
        let keeper =
            replica.map(|replica| Keeper::start(replica.candidate, replica.claimed, clock)).transpose()?;
        if let Some(keeper) = &keeper {
            let _ = shared.replica.set(keeper.figures());
        }
        shared.forecasts.are_made_by(query::make_forecasts(&Arc::new(config.clone())));
        shared.asker.is(query::answer_queries(&Arc::new(config.clone())), config.ask.clone());
        let (batches_in, batches_out) = mpsc::channel(parallel());
        let limits = BatchLimits { rows: config.batch_rows, wait: config.batch_wait };
        let (closing, bounded) = (CancellationToken::new(), Arc::clone(&engine.bounded));
        let (handed_on, taken) = mpsc::channel(1);
        tokio::spawn(gate::hand_on(incoming, handed_on, Arc::clone(&shared.gate), closing.clone()));
        // It ends with what is handed on.
        tokio::spawn(batches(taken, batches_in, limits, CancellationToken::new()));
        let sealing = SealingTask::start(sealing, &shared);
        let deliver = DeliverTask::start(&shared)?;
        let engine = Some(tokio::spawn(async move { engine.run(batches_out, &mut output).await }));
        let stop = CancellationToken::new();
        let mut beside = JoinSet::new();
        let moving = MovingTask::start(&shared, log_mover, &stop);
        beside.spawn(health::look_after(Arc::clone(&shared), config.watch.clone(), stop.clone()));
        Ok(Self {
            shared,
            blocks,
            stop,
            positions,
            closing,
            bounded,
            engine,
            sealing,
            moving,
            deliver,
            beside,
            keeper,
        })
    }

    /// Takes no more events and waits until all that came is judged and committed, however long that takes.
    ///
    /// # Errors
    /// If a commit fails.
    async fn finish(&mut self) -> anyhow::Result<()> {
        self.shared.close_ingest();
        self.closing.cancel();
        ended(&mut self.engine).await
    }

    /// Takes no more events, commits what came, and ends.
    ///
    /// # Errors
    /// If a commit fails or takes too long.
    pub async fn drain(mut self, ending: Ending) -> anyhow::Result<()> {
        failpoint::reach("drain.begun")?;
        self.shared.set_ready(false);
        supervisor::stopping();
        self.stop.cancel();
        self.shared.close_ingest();
        drop(self.blocks);
        self.closing.cancel();
        // A command that is killed is gone at once, unless a disk hangs.
        let _ = tokio::time::timeout(WORKS_MAX, self.shared.works.end()).await;
        let patience = failpoint::within("patience.drain", DRAIN_MAX);
        let drained = tokio::time::timeout(patience, ended(&mut self.engine)).await;
        let turns = Arc::clone(&self.shared.turns);
        let drained = drained.unwrap_or_else(|_| Err(anyhow!(too_long(turns.held_up()))));
        if drained.is_err() {
            turns.give_up();
        }
        // What is left is told and sealed; nobody waits for another program any longer than that.
        let patient = tokio::spawn(async move {
            tokio::time::sleep(patience + patience).await;
            turns.give_up();
        });
        failpoint::reach("drain.committed")?;
        // A signal waits for the step under way, which is at most about a second's work.
        let sealing = self.sealing;
        let sealed = tokio::task::spawn_blocking(move || sealing.end(ending)).await?;
        let moved = self.moving.ended().await;
        failpoint::reach("drain.sealed")?;
        let delivered = self.deliver.end(ending).await;
        self.beside.abort_all();
        patient.abort();
        // It says that nobody writes any more.
        tokio::task::spawn_blocking(move || drop(self.keeper)).await?;
        drained?;
        sealed?;
        moved?;
        delivered
    }
}

/// Why a daemon ends before everything that came is committed.
fn too_long(held: Option<Duration>) -> String {
    match held {
        Some(held) => say!(
            "another program has held the database for {seconds} s, so what came last is not stored. Files and topics are read from there again at the next start; send again what was posted and not answered. End that program (sqlite3, a backup tool, a check of the disk) first",
            seconds = held.as_secs()
        ),
        None => say!(
            "it took too long to store what came last. Files and topics are read from there again at the next start; send again what was posted and not answered"
        ),
    }
}

/// Waits until another machine has the state; for ever, if none does.
async fn superseded(turns: Arc<Turns>) -> String {
    loop {
        tokio::time::sleep(SUPERSEDED_LOOK).await;
        if let Some(why) = turns.refusal() {
            return why.to_string();
        }
    }
}

/// Waits for the loop's end.
async fn ended(engine: &mut Option<EngineTask>) -> anyhow::Result<()> {
    let Some(task) = engine else { return Ok(()) };
    let result = task.await;
    *engine = None;
    Ok(result??)
}

/// Time passes for silent sources.
fn silence(config: &Config, clock: &Arc<dyn Clock>) -> IdleWatch {
    let clock = Arc::clone(clock);
    IdleWatch { now: Arc::new(move || clock.now()), idle: config.idle, every: Duration::from_secs(1) }
}

/// How time passes with the events of an input.
pub(crate) fn watermark(config: &Config) -> Watermark {
    let watermark = Watermark::new(config.lateness, Some(config.outlier)).complete_from(config.journal_from);
    if config.min_time.is_some() { watermark } else { watermark.judging_times(&config.calendar) }
}

/// Events later than this are rejected.
fn time_limit(config: &Config, clock: &Arc<dyn Clock>) -> Arc<dyn Fn() -> Option<Instant> + Send + Sync> {
    let max_future = TimeDelta::of(config.max_future);
    let clock = Arc::clone(clock);
    Arc::new(move || Some(clock.now().saturating_add(max_future)))
}

/// What reads the events of a configuration's sources.
#[must_use]
pub fn decoder(config: &Config) -> Decoder {
    Decoder::new(Arc::clone(&config.calendar))
        .not_before(config.earliest_time())
        .in_currency(config.currency.clone())
        .with_readings(config.readings.clone())
}

/// How many batches are processed at a time.
#[must_use]
pub fn parallel() -> usize {
    std::thread::available_parallelism().map_or(4, std::num::NonZero::get)
}

type EngineTask = tokio::task::JoinHandle<Result<(), EngineError>>;
