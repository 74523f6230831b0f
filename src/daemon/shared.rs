//! What the HTTP server, the signals and the last stage share.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::{
    Asker, BalancesCopy, Bodies, ForecastCache, Gate, Lab, RunOptions,
    lists::{WatchedLists, gauge_rows},
    quarantine::QuarantineGauge,
    questions::Questions,
    receivers::Receivers,
    reload::Reloads,
    works::Works,
};
use crate::{
    access::LimitScope,
    alert::{Desk, Policy},
    clock::Clock,
    config::{Config, clients::Clients},
    diagnostic::Diagnostic,
    evaluate::{
        Evaluator,
        bounded::{Busy, PendingWork},
        condition::RuleCounts,
    },
    event::{Instant, Latest, TimeDelta, time::Calendar},
    finding::Finding,
    ledger::{Ledger, LedgerCopy},
    map::Map,
    rule::RuleSet,
    say,
    source::SourceStatus,
    sql::functions::{HOLIDAYS, Workdays},
    store::{TimesKept, Turns},
    stream::{Block, Payload, Receipt},
    telemetry::Metrics,
};

/// Rules that are due together on any day; more than this are those of a stretch of time.
const BUSY: usize = 64;
/// A query that the stream waits for longer is told.
const NOTICEABLE: Duration = Duration::from_secs(10);
/// Findings that a screen may be behind.
const FINDINGS_SHOWN: usize = 256;
/// How long a commit waits for another program before the daemon says that it is not ready.
const HELD: Duration = Duration::from_secs(2);
/// Unknown field names that are told apart in the log.
const FIELD_NAMES_MAX: usize = 256;

/// The daemon's shared state.
#[derive(Debug)]
pub struct Shared {
    pub(crate) metrics: Arc<Metrics>,
    /// The ledger that the loop changes.
    pub ledger: Arc<RwLock<Ledger>>,
    /// A copy of them for readers.
    pub balances: BalancesCopy,
    /// What the end of the year is expected to bring.
    pub forecasts: ForecastCache,
    /// Findings counted by time, as far as they were asked for.
    pub finding_times: TimesKept,
    /// Who answers questions in plain words.
    pub asker: Asker,
    /// The rules in force.
    pub evaluator: Arc<RwLock<Arc<Evaluator>>>,
    /// What the configuration says about alerts.
    pub policy: RwLock<Arc<Policy>>,
    pub(crate) receivers: tokio::sync::watch::Sender<Receivers>,
    /// Wakes those who tell of alerts.
    pub dispatch: tokio::sync::Notify,
    /// Wakes whoever reads certificates again.
    pub reloaded: tokio::sync::Notify,
    /// Wakes whoever brings into force what was approved.
    pub approved: tokio::sync::Notify,
    /// The time zone and fiscal year.
    pub calendar: Arc<Calendar>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The state directory, for readers.
    pub state_dir: PathBuf,
    /// What is told of the replica, if there is one.
    pub replica: std::sync::OnceLock<Arc<crate::replica::ReplicaFigures>>,
    /// Who writes to the state, and who waits.
    pub turns: Arc<Turns>,
    /// The configuration file; empty if there is none.
    pub config_path: PathBuf,
    /// What stands in the place of the environment's variables when it is read again.
    pub variables: Option<Vec<(String, String)>>,
    /// Whether events come in over HTTP.
    pub accept_events: bool,
    /// The sources that posted events can be read as, with how their records become events.
    pub maps: BTreeMap<String, Option<Arc<Map>>>,
    /// What the HTTP server grants its clients.
    pub clients: Clients,
    /// The longest HTTP body.
    pub body_bytes_max: usize,
    /// Room for the bytes of all bodies together.
    pub bodies: Bodies,
    /// Whether more events are taken.
    pub gate: Arc<Gate>,
    /// Units with a gauge of their own.
    pub top_units: usize,
    /// How much later than others events may be.
    pub lateness: TimeDelta,
    /// When the daemon started.
    pub started_at: Instant,
    /// What rules that are due do to the stream.
    pub busy: Arc<Busy>,
    /// Rules that are tried.
    pub lab: Lab,
    /// Long work that people asked for.
    pub(crate) works: Works,
    /// Commits so far.
    pub commits: AtomicU64,
    /// The latest event time that is committed.
    pub last_event_at: Latest,
    /// The same for each source since the start.
    pub last_by_source: Mutex<BTreeMap<String, Instant>>,
    /// Bytes of the sealed files.
    pub sealed_bytes: AtomicU64,
    /// What happened to each rule since the start.
    pub rule_counts: Mutex<BTreeMap<String, RuleCounts>>,
    /// Records since the start: accepted, duplicates, rejected.
    pub totals: Mutex<Receipt>,
    /// How full the quarantine is.
    pub quarantine: QuarantineGauge,
    /// Where applications are decided.
    pub questions: Questions,
    /// The reference lists in force, with their files.
    pub lists: Mutex<WatchedLists>,
    /// One reload at a time.
    pub reloads: Reloads,
    /// What the sources tell, by name.
    pub sources: BTreeMap<String, Arc<SourceStatus>>,
    /// Findings as they are committed, for screens; who is too slow misses some here, never in the store.
    pub findings: broadcast::Sender<Arc<Finding>>,
    ingest: Mutex<Option<mpsc::Sender<Block>>>,
    ready: AtomicBool,
    requests: AtomicU64,
    fields: Mutex<BTreeSet<String>>,
}

/// Why events are not taken.
#[derive(Debug)]
pub enum IngestError {
    /// Windows have no room; this says so.
    Full(String),
    /// The daemon is stopping.
    Stopping,
}

/// The name of the source that posted events come from.
pub const POSTED: &str = "http";

impl Shared {
    /// The shared state of a daemon that is starting.
    #[must_use]
    pub fn new(
        config: &Config,
        options: &RunOptions,
        metrics: &Arc<Metrics>,
        ledger: &Arc<RwLock<Ledger>>,
        evaluator: &Arc<RwLock<Arc<Evaluator>>>,
        (ingest, questions): (&mpsc::Sender<Block>, Questions),
        clock: &Arc<dyn Clock>,
        receivers: Receivers,
    ) -> Self {
        let lists = evaluator.read().rules().lists.clone();
        gauge_rows(metrics, &lists);
        Self {
            metrics: Arc::clone(metrics),
            ledger: Arc::clone(ledger),
            balances: BalancesCopy::default(),
            forecasts: ForecastCache::default(),
            finding_times: TimesKept::default(),
            asker: Asker::default(),
            evaluator: Arc::clone(evaluator),
            policy: RwLock::new(Arc::clone(&config.policy)),
            receivers: tokio::sync::watch::channel(receivers).0,
            dispatch: tokio::sync::Notify::new(),
            reloaded: tokio::sync::Notify::new(),
            approved: tokio::sync::Notify::new(),
            calendar: Arc::clone(&config.calendar),
            clock: Arc::clone(clock),
            state_dir: config.state_dir.clone(),
            replica: std::sync::OnceLock::new(),
            turns: Turns::of(&config.state_dir),
            config_path: options.config_path.clone(),
            variables: options.variables.clone(),
            accept_events: config.accept_events,
            maps: config.readings.iter().map(|(name, r)| (name.clone(), r.map().cloned())).collect(),
            clients: config.clients.clone(),
            body_bytes_max: config.body_bytes_max,
            bodies: Bodies::new(config.clients.bodies_bytes),
            gate: Arc::new(Gate::new(config.window_bytes)),
            top_units: config.top_units,
            lateness: config.lateness,
            started_at: clock.now(),
            busy: Arc::default(),
            lab: Lab::default(),
            works: Works::default(),
            commits: AtomicU64::new(0),
            last_event_at: Latest::default(),
            last_by_source: Mutex::default(),
            sealed_bytes: AtomicU64::new(crate::store::sealed_bytes(&config.state_dir)),
            rule_counts: Mutex::default(),
            totals: Mutex::default(),
            quarantine: QuarantineGauge::new(config.quarantine.bytes, metrics),
            questions,
            lists: Mutex::new(WatchedLists::new(Arc::new(config.clone()), lists)),
            reloads: Reloads::default(),
            sources: config.sources.iter().map(|(name, _)| (name.clone(), Arc::default())).collect(),
            findings: broadcast::channel(FINDINGS_SHOWN).0,
            // What is approved becomes events also where none are taken over HTTP.
            ingest: Mutex::new(Some(ingest.clone()).filter(|_| !options.once)),
            ready: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            fields: Mutex::default(),
        }
    }

    /// The desk where findings become alerts, by the policy and the calendar of workdays in force.
    #[must_use]
    pub fn desk(&self) -> Desk {
        let policy = Arc::clone(&self.policy.read());
        let rules = self.rules_in_force();
        let holidays = rules.lists.get(HOLIDAYS).map(AsRef::as_ref);
        Desk { workdays: Arc::new(Workdays::new(holidays)), ..Desk::new(policy) }
    }

    /// The same for those who give alerts to others: it knows what people who are limited see.
    #[must_use]
    pub fn desk_with_people(&self) -> Desk {
        let rules = self.rules_in_force();
        let scope = LimitScope { lists: rules.lists.clone(), telling: rules.telling_of_others() };
        Desk { scope: Arc::new(scope), ..self.desk() }
    }

    /// The rules in force.
    #[must_use]
    pub fn rules_in_force(&self) -> Arc<RuleSet> {
        let evaluator = self.evaluator.read();
        Arc::clone(evaluator.rules())
    }

    /// The budget lines as they were a moment ago, to be looked through at leisure.
    #[must_use]
    pub fn lines(&self) -> Arc<LedgerCopy> {
        self.balances.get(&self.ledger, &self.commits)
    }

    /// Puts other rules in force, from the next batch on.
    pub fn take_rules(&self, evaluator: Evaluator) {
        *self.evaluator.write() = Arc::new(evaluator);
    }

    /// Tells those who tell of alerts that there is something new.
    pub fn wake_dispatch(&self) {
        self.dispatch.notify_one();
    }

    /// Whether events can be taken.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    /// Why not all sources are read yet, or commits wait for the store that has them too; `None` if nothing waits.
    #[must_use]
    pub fn waits_for(&self) -> Option<String> {
        let waits = |(name, status): (&String, &Arc<SourceStatus>)| {
            status.told().not_ready().map(|why| say!("source {name}: {why}", name, why))
        };
        let replica = self.turns.waits_for_replica().filter(|waited| *waited >= HELD);
        let away = |waited: Duration| {
            let seconds = waited.as_secs();
            say!(
                "the store of state.replicate has been away for {seconds} seconds; commits wait for it, and nothing is lost",
                seconds
            )
        };
        replica.map(away).or_else(|| self.sources.iter().find_map(waits))
    }

    /// How many rules on a schedule are due, if that is so much that events wait for them noticeably.
    #[must_use]
    pub fn busy_with_ticks(&self) -> Option<usize> {
        Some(self.busy.pending.load(Ordering::Relaxed)).filter(|due| *due > BUSY)
    }

    /// What the stream waits for, and for how long it has, if that is noticeable.
    #[must_use]
    pub fn busy_with(&self) -> Option<(PendingWork, Duration)> {
        self.busy.running().filter(|(_, time)| *time > NOTICEABLE)
    }

    /// The rules that the daemon runs without, and what is wrong with them.
    #[must_use]
    pub fn skipped(&self) -> Vec<(String, Diagnostic)> {
        self.rules_in_force().skipped.clone()
    }

    /// Why no more events are taken: windows hold more than they may.
    #[must_use]
    pub fn takes_no_more(&self) -> Option<String> {
        let (held, limit) = (self.gate.held() >> 20, self.gate.limit >> 20);
        self.gate.is_full().then(|| {
            say!(
                "windows hold {held} MiB, and may hold {limit} (engine.window_memory_mib): no more events are taken, and nothing is lost. Take out rules with windows over many keys and reload, or raise the limit and start again",
                held,
                limit
            )
        })
    }

    /// For how long another program has kept commits waiting, if that is noticeable.
    #[must_use]
    pub fn commits_wait(&self) -> Option<Duration> {
        self.turns.held_up().filter(|held| *held >= HELD)
    }

    /// Says whether events can be taken.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::SeqCst);
    }

    /// Takes no more events over HTTP; the loop can end.
    pub fn close_ingest(&self) {
        self.ingest.lock().take();
        self.questions.close();
        self.works.all().iter().for_each(|work| work.stop());
    }

    /// Hands events, written as those of a source are, to the loop and waits until they are committed.
    ///
    /// # Errors
    /// If they are not taken.
    pub async fn submit(
        &self,
        read_as: &str,
        payload: Payload,
        replays: Vec<i64>,
    ) -> Result<Receipt, IngestError> {
        let taken = self.hand_in(read_as, payload, replays).await;
        taken.ok_or_else(|| self.takes_no_more().map_or(IngestError::Stopping, IngestError::Full))
    }

    async fn hand_in(&self, read_as: &str, payload: Payload, replays: Vec<i64>) -> Option<Receipt> {
        let sender = self.ingest.lock().clone()?;
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        let (receipt, committed) = oneshot::channel();
        let partition = format!("request {request}").into();
        let block = Block::new(Arc::from(POSTED), partition, 0, payload);
        let block = Block { read_as: Arc::from(read_as), replays, receipt: Some(receipt), ..block };
        sender.send(block).await.ok()?;
        drop(sender);
        committed.await.ok()
    }

    /// Remembers the latest event time of a source, by its label.
    pub fn saw_event(&self, source: &str, at: Instant) {
        let mut last = self.last_by_source.lock();
        match last.get_mut(source) {
            Some(latest) => *latest = at.max(*latest),
            None => {
                last.insert(source.to_owned(), at);
            }
        }
    }

    /// Says once for each name that the data dictionary does not know it.
    pub fn unknown_field(&self, name: &str) {
        let mut known = self.fields.lock();
        if known.len() < FIELD_NAMES_MAX && known.insert(name.to_owned()) {
            tracing::warn!(field = name, "an unknown field is ignored");
        }
    }
}
