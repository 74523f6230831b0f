//! Wiring: the only place that spawns. `run` is the daemon.

mod deliver;
mod ingest;
mod output;
mod query;
mod recheck;
pub mod replay;
mod sealing;
mod search;
mod standby;
mod tables;
mod wellbeing;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{anyhow, bail};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::{Config, Source},
    daemon::{
        NotReloaded, NotTaken, RunOptions, Shared, intake, journal::StoredPast, receivers::Receivers, reload,
        supervisor,
    },
    decode::Decoder,
    diagnostic::{self, os_reason},
    engine::{
        BatchLimits, Dedup, Engine, EngineError, Originals, PortError, Record, Scheduler, Sequencer, Silence,
        Watermark, Windowing, Workers, batches,
    },
    evaluate::Evaluator,
    failpoint, http,
    rule::RuleSet,
    say,
    store::{Lookup, StateLock, Store, StoreError, StoredReject, Turns},
    stream::{Block, Payload, Position, Receipt},
    telemetry::Metrics,
    text::quoted,
};

pub use ingest::run_source;
pub use output::StoreOutput;
pub use query::{line_forecast, query};
pub use recheck::{Range, recheck};
pub use search::{Deed, Search};
use standby::Waited;
use tables::StoredTables;

use deliver::DeliverTask;
pub use sealing::SealingParts;
use sealing::SealingTask;

/// Blocks that wait for the batcher, over all sources.
const BLOCKS_WAITING: usize = 16;
/// How long a drain may take before the process gives up; what is not committed is read again.
const DRAIN_MAX: Duration = Duration::from_secs(30);
/// How long sources may take to end.
const SOURCES_STOP: Duration = Duration::from_secs(5);
/// How often the files of reference lists are looked at.
const LISTS_EVERY: Duration = Duration::from_secs(1);
/// How long open HTTP requests may take at the end.
const SERVER_STOP: Duration = Duration::from_secs(2);

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
    deliver: DeliverTask,
    wellbeing: tokio::task::JoinHandle<()>,
}

/// A daemon that is wired and does not run yet.
pub struct Assembly {
    /// What the HTTP server and the loop share.
    pub shared: Arc<Shared>,
    /// Where sources put their blocks.
    pub blocks: mpsc::Sender<Block>,
    /// Where they and what is posted wait to be cut into batches.
    pub incoming: intake::Incoming,
    /// How far the sources were read before.
    pub positions: BTreeMap<(String, String), Position>,
    /// The loop.
    pub engine: Engine,
    /// Its last stage.
    pub output: StoreOutput,
    /// What seals.
    pub sealing: SealingParts,
}

impl Assembly {
    /// Opens the state, recovers it, and wires the loop, with `parallel` batches in work at the same time.
    ///
    /// # Errors
    /// If the state cannot be opened.
    pub fn new(
        config: &Config,
        rules: Arc<RuleSet>,
        options: &RunOptions,
        clock: &Arc<dyn Clock>,
        parallel: usize,
    ) -> anyhow::Result<Self> {
        Self::locked(config, StateLock::acquire(&config.state_dir)?, rules, options, clock, parallel)
    }

    fn locked(
        config: &Config,
        lock: StateLock,
        rules: Arc<RuleSet>,
        options: &RunOptions,
        clock: &Arc<dyn Clock>,
        parallel: usize,
    ) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new()?);
        let receivers = Receivers::load(config, rules.lists.clone(), clock, &metrics)
            .map_err(|problems| anyhow::anyhow!(diagnostic::lines(&problems)))?;
        let started = Instant::now();
        let decoder = Arc::new(decoder(config));
        let mut store = Store::open_locked(&config.state_dir, lock)?;
        store.settle(&config.calendar)?;
        store.limit_quarantine(config.quarantine);
        let mut dedup = Dedup::new(Some(config.duplicate_horizon_micros()), store.latest_at()?);
        dedup.reserve(store.events_since(dedup.remembers_from())?);
        let recovered = store.recover(decoder.schema(), &mut |event| dedup.restore(&event))?;
        let dedup = dedup.forgetting(Lookup::open(store.dir())?, recovered.last_seq);
        let seconds = started.elapsed().as_secs_f64();
        metrics.recovery_duration.set(seconds);
        metrics.journal_events.set(recovered.events.try_into().unwrap_or(i64::MAX));
        let (lines, replayed) = (recovered.ledger.len(), recovered.replayed);
        tracing::info!(events = recovered.events, lines, replayed, seconds, "state recovered");

        let ledger = Arc::new(RwLock::new(recovered.ledger));
        let evaluator = Arc::new(Evaluator::new(rules, Arc::clone(&config.calendar)));
        let watermark =
            watermark(config).waiting_for(&config.backfill).restore(&recovered.watermark, clock.now());
        let journal = StoredPast { dir: config.state_dir.clone(), schema: Arc::clone(decoder.schema()) };
        let tables = Arc::new(StoredTables::new(&config.state_dir, decoder.schema(), &config.calendar));
        let at = (watermark.settled(), watermark.latest());
        let journal_start = watermark.journal_start(&config.calendar);
        metrics.journal_start.set(journal_start.map_or(0, |start| start.at / 1_000_000));
        let mut windowing =
            Windowing::new(&evaluator, Some(Arc::new(journal)), config.keep_late, at, journal_start)?
                .judging_again(store.lists_judged_by()?, config.rejudge)
                .within(config.window_bytes);
        metrics.window_limit.set(i64::try_from(config.window_bytes).unwrap_or(i64::MAX));
        let evaluator = Arc::new(RwLock::new(evaluator));
        let (blocks, sources) = mpsc::channel(BLOCKS_WAITING);
        let (post, posted) = mpsc::channel(BLOCKS_WAITING);
        let shared = Shared::new(config, options, &metrics, &ledger, &evaluator, &post, clock, receivers);
        let shared = Arc::new(shared);
        shared.intake.holds(windowing.held().bytes.iter().sum());
        shared.last_event_at.store(store.latest_at()?.unwrap_or(0), Ordering::Relaxed);
        shared.quarantine.start(store.quarantine_bytes()?, &metrics);
        let engine = Engine {
            decoder,
            sequencer: Sequencer::new(ledger, dedup, watermark, Some(config.checkpoint_events))
                .finding(Originals::in_journal(Lookup::open(store.dir())?)),
            windowing: windowing.telling(Arc::clone(&shared.busy)),
            evaluator,
            record: Record::Journal,
            scheduler: Some(Scheduler {
                tables,
                limits: config.query_limits,
                busy: Arc::clone(&shared.busy),
            }),
            time_max: time_limit(config, clock),
            parallel,
            bounded: Arc::default(),
            // Input that is read once is whole at its end, and a pause on the way is no news.
            silence: (!options.once).then(|| silence(config, clock)),
        };
        let sealing = SealingParts::open(config, &store)?;
        let workers = Workers::new(parallel);
        let output = StoreOutput::new(store, Arc::clone(&shared), sealing.waker(), workers)?;
        let (incoming, positions) = (intake::Incoming { sources, posted }, recovered.positions);
        Ok(Self { shared, blocks, incoming, positions, engine, output, sealing })
    }
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
        Self::start_locked(config, StateLock::acquire(&config.state_dir)?, rules, options, clock)
    }

    fn start_locked(
        config: &Config,
        lock: StateLock,
        rules: Arc<RuleSet>,
        options: &RunOptions,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let assembly = Assembly::locked(config, lock, rules, options, clock, parallel())?;
        let Assembly { shared, blocks, incoming, positions, engine, mut output, sealing } = assembly;
        let (batches_in, batches_out) = mpsc::channel(parallel());
        let limits = BatchLimits { rows: config.batch_rows, wait: config.batch_wait };
        let (closing, bounded) = (CancellationToken::new(), Arc::clone(&engine.bounded));
        let (handed_on, taken) = mpsc::channel(1);
        tokio::spawn(intake::hand_on(incoming, handed_on, Arc::clone(&shared.intake), closing.clone()));
        // It ends with what is handed on.
        tokio::spawn(batches(taken, batches_in, limits, CancellationToken::new()));
        let sealing = SealingTask::start(sealing, &shared);
        let deliver = DeliverTask::start(&shared)?;
        let engine = Some(tokio::spawn(async move { engine.run(batches_out, &mut output).await }));
        let stop = CancellationToken::new();
        let wellbeing = wellbeing::start(&shared, config.watch.clone(), &stop);
        Ok(Self { shared, blocks, stop, positions, closing, bounded, engine, sealing, deliver, wellbeing })
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

    /// Takes no more events, commits what came, and ends. To `seal` takes the time to seal all that can be sealed.
    ///
    /// # Errors
    /// If a commit fails or takes too long.
    pub async fn drain(mut self, seal: bool) -> anyhow::Result<()> {
        failpoint::reach("drain.begun")?;
        self.shared.set_ready(false);
        supervisor::stopping();
        self.stop.cancel();
        self.shared.close_ingest();
        drop(self.blocks);
        self.closing.cancel();
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
        let sealed = tokio::task::spawn_blocking(move || sealing.end(seal)).await?;
        failpoint::reach("drain.sealed")?;
        self.deliver.end(seal).await;
        self.wellbeing.abort();
        patient.abort();
        drained?;
        Ok(sealed?)
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

/// Waits for the loop's end.
async fn ended(engine: &mut Option<EngineTask>) -> anyhow::Result<()> {
    let Some(task) = engine else { return Ok(()) };
    let result = task.await;
    *engine = None;
    Ok(result??)
}

/// Time passes for silent sources.
fn silence(config: &Config, clock: &Arc<dyn Clock>) -> Silence {
    let clock = Arc::clone(clock);
    Silence { now: Arc::new(move || clock.now()), idle: config.idle, every: Duration::from_secs(1) }
}

/// How time passes with the events of an input.
pub(crate) fn watermark(config: &Config) -> Watermark {
    let watermark = Watermark::new(config.lateness, Some(config.outlier)).complete_from(config.journal_from);
    if config.min_time.is_some() { watermark } else { watermark.judging_times(&config.calendar) }
}

/// Events later than this are rejected.
fn time_limit(config: &Config, clock: &Arc<dyn Clock>) -> Arc<dyn Fn() -> Option<i64> + Send + Sync> {
    let max_future = i64::try_from(config.max_future.as_micros()).unwrap_or(i64::MAX);
    let clock = Arc::clone(clock);
    Arc::new(move || Some(clock.now().saturating_add(max_future)))
}

/// Opens the port, with an error that says what to do.
///
/// # Errors
/// If it is taken or not allowed.
pub async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| match e.kind() {
        std::io::ErrorKind::AddrInUse => anyhow!(say!(
            "cannot listen on {address}: another program has the port, perhaps another fiscwatch. Stop it, or set http.listen to another one",
            address
        )),
        _ => anyhow!(say!(
            "cannot listen on {address}: {reason}. Set http.listen to an address of this machine, such as 127.0.0.1:9464, and a port above 1023",
            address,
            reason = os_reason(&e)
        )),
    })
}

/// Runs the daemon until it is asked to stop.
///
/// # Errors
/// If it cannot start, or a commit fails.
pub async fn run(
    config: Config,
    rules: Arc<RuleSet>,
    options: RunOptions,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Outcome> {
    let mut signals = reload::Signals::new()?;
    let listener = listen(config.listen).await?;
    let waiting = tokio::select! {
        waited = standby::lock_state(&config, &listener, &mut signals) => waited?,
        never = supervisor::waiting(config.standby) => match never {},
    };
    let Waited::Locked { lock, after_another } = waiting else {
        return Ok(Outcome::default());
    };
    supervisor::recovering();
    // Opening the state keeps this thread, and may have to wait for another program: signals are heard beside it.
    let (turns, opened) = (Turns::of(&config.state_dir), CancellationToken::new());
    let hearing = tokio::spawn(signals.while_opening(Arc::clone(&turns), opened.clone()));
    let started = Daemon::start_locked(&config, lock, rules, &options, &clock);
    opened.cancel();
    let signals = hearing.await?;
    if signals.asked_to_stop() && started.as_ref().is_err_and(is_busy) {
        tracing::info!("asked to stop while another program held the database; nothing was changed");
        return Ok(Outcome::default());
    }
    turns.take_up();
    let daemon = started?;
    if after_another && let Err(NotReloaded::Wrong(problems)) = reload(&daemon.shared, false) {
        problems.iter().for_each(|p| tracing::error!("the rules of the start stay in force: {p}"));
    }
    let server = tokio::spawn(http::serve(listener, Arc::clone(&daemon.shared), daemon.stop.clone()));
    let sources = ingest::spawn(&config, &daemon, options.once);
    daemon.shared.set_ready(true);
    supervisor::ready();
    tokio::spawn(supervisor::heart(Arc::clone(&daemon.shared), daemon.blocks.clone(), daemon.stop.clone()));
    tracing::info!(listen = %config.listen, sources = config.sources.len(), "ready");
    let shared = Arc::clone(&daemon.shared);
    let reads_pipe = config.sources.iter().any(|(_, source)| matches!(source, Source::Stdin(_)));
    let result = watch(daemon, sources, signals, options.once).await;
    let _ = tokio::time::timeout(SERVER_STOP, server).await;
    let ended = result?;
    let unread = ended.is_full.then(|| left_unread(&shared, reads_pipe));
    Ok(Outcome { unread, ..Outcome::of(&shared) })
}

/// What became of an input that windows had no room for.
fn left_unread(shared: &Shared, reads_pipe: bool) -> String {
    let (held, limit) = (shared.intake.held() >> 20, shared.intake.limit >> 20);
    match reads_pipe {
        true => say!(
            "windows hold {held} MiB, and may hold {limit} (engine.window_memory_mib): not everything was read. What was read is committed; what was still to come through standard input is not. Raise the limit, or take out rules with windows over many keys, and send all of it again: what is known already changes nothing",
            held,
            limit
        ),
        false => say!(
            "windows hold {held} MiB, and may hold {limit} (engine.window_memory_mib): not everything was read. What was read is committed. Raise the limit, or take out rules with windows over many keys, and start again: it reads on from there",
            held,
            limit
        ),
    }
}

/// Whether another program holds the database.
fn is_busy(error: &anyhow::Error) -> bool {
    let asked = || error.downcast_ref::<PortError>().and_then(PortError::of);
    matches!(error.downcast_ref().or_else(asked), Some(StoreError::Busy(_)))
}

/// What came of a run.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// What became of all records.
    pub records: Receipt,
    /// Why not everything was read, and what became of the rest; `None` if it was.
    pub unread: Option<String>,
    /// Files that could not be read, or not to their end.
    pub files_refused: u64,
}

impl Outcome {
    fn of(shared: &Shared) -> Self {
        let records = *shared.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let files_refused = shared.sources.values().map(|s| s.told().files_refused).sum();
        Self { records, unread: None, files_refused }
    }
}

/// Reads quarantined records again, in one batch that also marks them as replayed.
///
/// # Errors
/// If a daemon has the state, or the commit fails.
pub async fn replay(
    config: Config,
    rules: Arc<RuleSet>,
    records: Vec<StoredReject>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Receipt> {
    let mut config = config;
    config.accept_events = true;
    let daemon = Daemon::start(&config, rules, &RunOptions::default(), &clock)?;
    let mut total = Receipt::default();
    let mut records = records;
    // Those of one source are read as that source's are.
    records.sort_by(|a, b| a.source.cmp(&b.source));
    let parts = records.chunk_by(|a, b| a.source == b.source).flat_map(|of| of.chunks(config.batch_rows));
    for part in parts {
        let mut data = Vec::new();
        let mut ends = Vec::new();
        for record in part {
            data.extend_from_slice(&record.raw);
            ends.push((u32::try_from(data.len()).unwrap_or(u32::MAX), record.seq.unsigned_abs()));
        }
        let payload = Payload::Messages { data: data.into(), ends };
        let seqs = part.iter().map(|record| record.seq).collect();
        match daemon.shared.submit(&part[0].source, payload, seqs).await {
            Ok(receipt) => total += receipt,
            Err(not_taken) => {
                daemon.drain(false).await?;
                bail!(match not_taken {
                    NotTaken::Full(why) => say!(
                        "{read} records were read again, the others stay in quarantine: {why}",
                        read = total.seen(),
                        why
                    ),
                    NotTaken::Stopping => say!("the commit failed"),
                });
            }
        }
    }
    daemon.drain(false).await?;
    Ok(total)
}

/// What reads the events of a configuration's sources.
fn decoder(config: &Config) -> Decoder {
    Decoder::new(Arc::clone(&config.calendar))
        .not_before(config.earliest_time())
        .in_currency(config.currency.clone())
        .with_readings(config.readings.clone())
}

/// How many batches are in work at a time.
#[must_use]
pub fn parallel() -> usize {
    std::thread::available_parallelism().map_or(4, std::num::NonZero::get)
}

type EngineTask = tokio::task::JoinHandle<Result<(), EngineError>>;

/// How a daemon ended that was not broken.
struct Ended {
    /// Windows had no room for the rest of the input.
    is_full: bool,
}

/// Waits for the end, whichever comes first: a signal, a failing engine or source, or (once) the sources' end.
async fn watch(
    mut daemon: Daemon,
    mut sources: ingest::SourceTasks,
    mut signals: reload::Signals,
    once: bool,
) -> anyhow::Result<Ended> {
    let (mut failed, mut is_full) = (None, false);
    let mut sources_left = !sources.is_empty();
    let mut lists = tokio::time::interval(LISTS_EVERY);
    let mut asked = reload::Asked::default();
    while !once || sources_left {
        tokio::select! {
            result = ended(&mut daemon.engine) => {
                daemon.stop.cancel();
                result?;
                bail!(say!("the loop ended by itself; please report this"));
            }
            error = daemon.sealing.failed() => {
                daemon.stop.cancel();
                return Err(error.into());
            }
            ended = sources.join_next(), if sources_left => match ended {
                None => {
                    sources_left = false;
                    daemon.bounded.store(once, Ordering::SeqCst);
                }
                Some((name, Ok(()))) => tracing::info!(source = name, "the source has ended"),
                Some((name, Err(e))) => {
                    failed = Some(anyhow::Error::from(e).context(say!("source {name}", name = quoted(&name))));
                    break;
                }
            },
            _ = lists.tick() => {
                is_full = once && daemon.shared.intake.is_full();
                if is_full {
                    break;
                }
                asked.begin(&daemon.shared).await;
            }
            signal = signals.next() => match signal {
                reload::Signal::Reload => {
                    asked.reload();
                    asked.begin(&daemon.shared).await;
                }
                reload::Signal::Stop => {
                    tracing::info!("stopping: the sources end, what was read is committed");
                    failed = once.then(interrupted);
                    break;
                }
            },
        }
    }
    let whole = !sources_left && failed.is_none() && !is_full;
    if once && whole {
        tracing::info!("everything is read; what is left of it is judged and committed");
        tokio::select! {
            finished = daemon.finish() => finished?,
            () = asked_to_stop(&mut signals) => {
                failed = Some(interrupted());
            }
        }
    }
    daemon.stop.cancel();
    let ended = async { while sources.join_next().await.is_some() {} };
    // A read of standard input cannot be interrupted; it is left behind.
    let _ = tokio::time::timeout(SOURCES_STOP, ended).await;
    // A run that ends by itself leaves the state tidy; one that is told to stop does not make its supervisor wait.
    daemon.drain(whole).await?;
    tracing::info!("stopped");
    failed.map_or(Ok(Ended { is_full }), Err)
}

/// A run that was to read everything and did not: what waits for it must not take it for done.
fn interrupted() -> anyhow::Error {
    anyhow!(say!(
        "asked to stop before everything was read and committed. What was read is committed, and the next run goes on from there"
    ))
}

async fn asked_to_stop(signals: &mut reload::Signals) {
    while !matches!(signals.next().await, reload::Signal::Stop) {}
}
