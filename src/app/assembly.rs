//! A daemon as it is wired: what is recovered, and the parts of the loop.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::RwLock;
use tokio::sync::mpsc;

use super::{
    BLOCKS_WAITING, decoder, output::StoreOutput, sealing::SealingParts, silence, tables::StoredTables,
    time_limit, watermark,
};
use crate::{
    clock::Clock,
    config::Config,
    daemon::{POSTED, Questions, RunOptions, Shared, gate, journal::StoredPast, receivers::Receivers},
    decode::Decoder,
    diagnostic,
    engine::{
        Dedup, Engine, Originals, OutputDetail, QuestionQueue, SavedWatermark, Scheduler, Sequencer,
        Versions, Watermark, Windowing, Workers,
    },
    evaluate::{Evaluator, WindowUsage},
    rule::RuleSet,
    store::{LogMover, Lookup, Recovered, StateLock, Store},
    stream::{Block, Position},
    telemetry::Metrics,
};

/// Questions that wait to be answered; more are asked to come again.
const QUESTIONS_WAITING: usize = 256;

/// A daemon that is wired and does not run yet.
pub struct Assembly {
    /// What the HTTP server and the loop share.
    pub shared: Arc<Shared>,
    /// Where sources put their blocks.
    pub blocks: mpsc::Sender<Block>,
    /// Where they and what is posted wait to be cut into batches.
    pub incoming: gate::IncomingBlocks,
    /// How far the sources were read before.
    pub positions: BTreeMap<(String, String), Position>,
    /// The loop, ready to be started.
    pub engine: Engine,
    /// Its last stage, which commits to the store.
    pub output: StoreOutput,
    /// What seals complete days beside the loop.
    pub sealing: SealingParts,
    /// Keeps the log of the database short.
    pub log_mover: LogMover,
}

impl Assembly {
    /// Opens the state, recovers it, and wires the loop, with `parallel` batches processed at the same time.
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

    pub(super) fn locked(
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
        let decoder = Arc::new(decoder(config));
        let Recovery { store, dedup, recovered } = Recovery::of(config, lock, &decoder, &metrics)?;
        warn_of_closed_windows(&recovered.watermark);

        let ledger = Arc::new(RwLock::new(recovered.ledger));
        let evaluator = Arc::new(Evaluator::new(rules, Arc::clone(&config.calendar)));
        let watermark =
            watermark(config).waiting_for(&config.backfill).restore(&recovered.watermark, clock.now());
        let mut windowing = windowing(config, &store, (&decoder, &evaluator, &watermark), &metrics)?;
        let evaluator = Arc::new(RwLock::new(evaluator));
        let (blocks, sources) = mpsc::channel(BLOCKS_WAITING);
        let (post, posted) = mpsc::channel(BLOCKS_WAITING);
        let (ask, questions) = mpsc::channel(QUESTIONS_WAITING);
        let is_asked = config.accept_events || config.decide.kafka.is_some();
        let ask = (is_asked && !options.once).then_some(ask);
        let ask = Questions::new(config, &decoder, ask);
        let shared =
            Shared::new(config, options, &metrics, &ledger, &evaluator, (&post, ask), clock, receivers);
        let shared = Arc::new(shared);
        show_recovered(&shared, &store, &recovered.watermark, windowing.held())?;
        let tables = Arc::new(StoredTables::new(&config.state_dir, decoder.schema(), &config.calendar));
        let engine = Engine {
            decoder,
            sequencer: Sequencer::new(ledger, dedup, watermark, Some(config.checkpoint_events))
                .finding(Originals::in_journal(Lookup::open(store.dir())?).within(config.retain_micros()))
                .comparing(Versions::stored(Lookup::open(store.dir())?)?.within(config.retain_micros())),
            windowing: windowing.telling(Arc::clone(&shared.busy)),
            evaluator,
            record: OutputDetail::Journal,
            scheduler: Some(Scheduler::new(tables, config.query_limits, Arc::clone(&shared.busy))),
            time_max: time_limit(config, clock),
            parallel,
            asked: Some(QuestionQueue::new(questions, POSTED, store.releases()?)),
            bounded: Arc::default(),
            // Input that is read once is whole at its end, and a pause on the way is no news.
            silence: (!options.once).then(|| silence(config, clock)),
        };
        let sealing = SealingParts::open(config, &store)?;
        let log_mover = store.log_mover()?;
        let workers = Workers::new(parallel);
        let output = StoreOutput::new(store, Arc::clone(&shared), sealing.waker(), workers)?;
        let (incoming, positions) = (gate::IncomingBlocks { sources, posted }, recovered.positions);
        Ok(Self { shared, blocks, incoming, positions, engine, output, sealing, log_mover })
    }
}

/// The store with the state that it was left with.
struct Recovery {
    store: Store,
    /// Which events are known.
    dedup: Dedup,
    recovered: Recovered,
}

impl Recovery {
    /// Opens the store, and reads the journal from the last checkpoint on.
    fn of(config: &Config, lock: StateLock, decoder: &Decoder, metrics: &Metrics) -> anyhow::Result<Self> {
        let started = std::time::Instant::now();
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
        Ok(Self { store, dedup, recovered })
    }
}

/// Tells of a run that closed its windows at its end, so that those of its last days are not told again.
fn warn_of_closed_windows(SavedWatermark { at, ends, .. }: &SavedWatermark) {
    if ends.last().is_some_and(|end| Some(*end) == *at) {
        tracing::warn!(
            "the run before closed all windows at its end; those that are not over yet are judged again with what comes now, and not told again (run --once --keep-open leaves them open)"
        );
    }
}

/// The windows, filled from the journal as they are asked for.
fn windowing(
    config: &Config,
    store: &Store,
    (decoder, evaluator, watermark): (&Decoder, &Arc<Evaluator>, &Watermark),
    metrics: &Metrics,
) -> anyhow::Result<Windowing> {
    let journal = StoredPast { dir: config.state_dir.clone(), schema: Arc::clone(decoder.schema()) };
    let at = (watermark.settled(), watermark.latest());
    let journal_start = watermark.journal_start(&config.calendar);
    metrics.journal_start.set(journal_start.map_or(0, |start| start.at.as_seconds()));
    metrics.window_limit.set(i64::try_from(config.window_bytes).unwrap_or(i64::MAX));
    let windows = (config.keep_late, config.window_bytes);
    Ok(Windowing::new(evaluator, Some(Arc::new(journal)), windows, at, journal_start)?
        .judging_again(store.lists_judged_by()?, config.rejudge))
}

/// What whoever asks the daemon sees of the recovered state before the first commit.
fn show_recovered(
    shared: &Shared,
    store: &Store,
    watermark: &SavedWatermark,
    held: WindowUsage,
) -> anyhow::Result<()> {
    for (source, _, latest) in &watermark.partitions {
        shared.saw_event(source, *latest);
    }
    shared.gate.holds(held.bytes.iter().sum());
    if let Some(at) = store.latest_at()? {
        shared.last_event_at.note(at);
    }
    shared.quarantine.start(store.quarantine_bytes()?, &shared.metrics);
    Ok(())
}
