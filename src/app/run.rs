//! Running until the end: of the sources, or by a signal.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{anyhow, bail};
use standby::Waited;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    Daemon, Ending, audit, deliver::DeliverTask, ended, ingest, listen, log_moving::MovingTask, requests,
    standby, superseded,
};
use crate::{
    access::Actor,
    clock::Clock,
    config::{Config, Source},
    daemon::{NotReloaded, RunOptions, Shared, carry_out, reload, shards, supervisor},
    engine::PortError,
    http, private,
    rule::RuleSet,
    say,
    store::{StoreError, Turns},
    stream::Receipt,
    text::quoted,
};

/// How long sources may take to end.
const SOURCES_STOP: Duration = Duration::from_secs(5);
/// How often the files of reference lists are looked at.
const LISTS_EVERY: Duration = Duration::from_secs(1);
/// How long open HTTP requests may take at the end.
pub(crate) const SERVER_STOP: Duration = Duration::from_secs(2);

/// Runs the daemon until it is asked to stop.
///
/// # Errors
/// If it cannot start, or a commit fails.
pub async fn run(
    config: Config,
    rules: Arc<RuleSet>,
    options: RunOptions,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<RunOutcome> {
    if let Err(error) = private::keep_memory() {
        tracing::warn!("the memory of this process cannot be kept from others: {error}");
    }
    let mut signals = reload::Signals::new()?;
    if config.shards.as_ref().and_then(|shards| shards.own).is_some_and(|own| own.kept_at.is_some()) {
        signals = signals.or_end_of(shards::end_with_keeper()?);
    }
    let mut ports = listen::open(&config).await?;
    // Before the state is opened, which can take its time.
    if let Some(files) = &config.clients.tls {
        http::tls::check(files).map_err(|why| anyhow!(why))?;
    }
    let Some((mut daemon, signals)) = start(&config, rules, (&options, &clock), &ports, signals).await?
    else {
        return Ok(RunOutcome::default());
    };
    let tls =
        http::tls::ServerTls::of(&config.clients, &daemon.shared.metrics).map_err(|why| anyhow!(why))?;
    let socket = listen::local(&config)?;
    let (local, _socket_file) = socket.unzip();
    ports.local = local;
    let mut server = tokio::spawn(http::serve(ports, Arc::clone(&daemon.shared), tls, daemon.stop.clone()));
    let sources = ingest::spawn(&config, &daemon, options.once);
    let requests = if options.once { None } else { requests::start(&config, &daemon) };
    daemon.shared.set_ready(true);
    supervisor::ready();
    let (shared, stop) = (Arc::clone(&daemon.shared), daemon.stop.clone());
    daemon.beside.spawn(supervisor::heart(Arc::clone(&shared), daemon.blocks.clone(), stop.clone()));
    if !options.once {
        daemon.beside.spawn(carry_out(Arc::clone(&shared), stop));
    }
    tracing::info!(listen = %config.listen, sources = config.sources.len(), "ready");
    // A run that ends by itself is no service that others could reach.
    if !config.clients.auth && !options.once {
        tracing::warn!(
            "nobody is asked who they are (http.auth): whoever reaches this port may do everything; fine for a trial"
        );
    }
    let reads_pipe = config.sources.iter().any(|(_, source)| matches!(source, Source::Stdin(..)));
    let seals = AuditSeals::begin(config, &shared);
    let result = watch(daemon, (sources, &mut server), signals, seals, (options, reads_pipe)).await;
    if !server.is_finished() {
        let _ = tokio::time::timeout(SERVER_STOP, server).await;
    }
    if let Some(requests) = requests {
        let _ = tokio::time::timeout(SERVER_STOP, requests).await;
    }
    let ended = result?;
    let unread = ended.is_full.then(|| left_unread(&shared, reads_pipe));
    Ok(RunOutcome { unread, ..RunOutcome::of(&shared) })
}

/// Waits for the state, recovers it and wires the daemon. `None` if we are asked to stop meanwhile.
async fn start(
    config: &Config,
    rules: Arc<RuleSet>,
    (options, clock): (&RunOptions, &Arc<dyn Clock>),
    ports: &http::Ports,
    mut signals: reload::Signals,
) -> anyhow::Result<Option<(Daemon, reload::Signals)>> {
    let waiting = tokio::select! {
        waited = standby::lock_state(config, ports, &mut signals) => waited?,
        never = supervisor::waiting(config.standby) => match never {},
    };
    let Waited::Locked { lock, replica, after_another } = waiting else { return Ok(None) };
    supervisor::recovering();
    // Opening the state keeps this thread, and may have to wait for another program: signals are heard beside it.
    let (turns, opened) = (Turns::of(&config.state_dir), CancellationToken::new());
    let hearing = tokio::spawn(signals.while_opening(Arc::clone(&turns), opened.clone()));
    let started =
        Daemon::start_locked(config, (lock, replica.map(|replica| *replica)), rules, options, clock);
    opened.cancel();
    let signals = hearing.await?;
    if signals.asked_to_stop() && started.as_ref().is_err_and(is_busy) {
        tracing::info!("asked to stop while another program held the database; nothing was changed");
        return Ok(None);
    }
    turns.take_up();
    let daemon = started?;
    if after_another && let Err(NotReloaded::Wrong(problems)) = reload(&daemon.shared, false, Actor::daemon())
    {
        problems.iter().for_each(|p| tracing::error!("the rules of the start stay in force: {p}"));
    }
    Ok(Some((daemon, signals)))
}

/// Seals the audit log at the start, then now and then, and at the end.
struct AuditSeals {
    config: Config,
    task: JoinHandle<()>,
}

impl AuditSeals {
    fn begin(config: Config, shared: &Arc<Shared>) -> Self {
        let (shared, each) = (Arc::clone(shared), config.clone());
        let task = tokio::spawn(async move {
            let mut due = tokio::time::interval(each.audit.every);
            loop {
                due.tick().await;
                seal(each.clone(), &shared).await;
            }
        });
        Self { config, task }
    }

    async fn end(self, shared: &Arc<Shared>) {
        self.task.abort();
        let _ = self.task.await;
        seal(self.config, shared).await;
    }
}

/// Seals the audit log. What keeps it from that is told, and keeps nobody from their work.
async fn seal(config: Config, shared: &Arc<Shared>) {
    let now = shared.clock.now();
    let sealed = tokio::task::spawn_blocking(move || audit::seal(&config, now)).await;
    match sealed {
        Ok(Ok(Some(seal))) => {
            tracing::info!(records = seal.records, head = seal.head, "the audit log was sealed");
        }
        Ok(Ok(None)) => {}
        Ok(Err(error)) => tracing::error!("the audit log could not be sealed: {error:#}"),
        Err(error) => tracing::error!("the audit log could not be sealed: {error}"),
    }
}

/// What became of an input that windows had no room for.
fn left_unread(shared: &Shared, reads_pipe: bool) -> String {
    let (held, limit) = (shared.gate.held() >> 20, shared.gate.limit >> 20);
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
pub struct RunOutcome {
    /// What became of all records.
    pub records: Receipt,
    /// Why not everything was read, and what became of the rest; `None` if it was.
    pub unread: Option<String>,
    /// Files that could not be read, or not to their end.
    pub files_refused: u64,
}

impl RunOutcome {
    fn of(shared: &Shared) -> Self {
        let records = *shared.totals.lock();
        let files_refused = shared.sources.values().map(|s| s.told().files_refused).sum();
        Self { records, unread: None, files_refused }
    }
}

/// How a daemon ended that was not broken.
struct Ended {
    /// Windows had no room for the rest of the input.
    is_full: bool,
}

/// Waits until the disk fails beside the loop, or the delivery of notifications breaks.
async fn beside_failed(moving: &mut MovingTask, deliver: &mut DeliverTask) -> anyhow::Error {
    tokio::select! {
        error = moving.failed() => error,
        error = deliver.broke() => error,
    }
}

/// Waits until a task panics, or the server ends: what goes on without one of them looks well and is not.
async fn broke(beside: &mut JoinSet<()>, server: &mut JoinHandle<()>) {
    loop {
        tokio::select! {
            _ = &mut *server => return,
            Some(ended) = beside.join_next() => if ended.is_err() { return },
        }
    }
}

/// Waits for the end, whichever comes first: a signal, a failing engine or source, or (once) the sources' end. What was read
/// until then is committed.
async fn watch(
    mut daemon: Daemon,
    (mut sources, server): (ingest::SourceTasks, &mut JoinHandle<()>),
    mut signals: reload::Signals,
    seals: AuditSeals,
    (options, reads_pipe): (RunOptions, bool),
) -> anyhow::Result<Ended> {
    let input = until_end(&mut daemon, (&mut sources, server), &mut signals, (&options, reads_pipe)).await;
    let InputEnd { mut failed, is_full, is_read } = match input {
        Ok(end) => end,
        Err(error) => {
            daemon.stop.cancel();
            return Err(error);
        }
    };
    // A daemon without sources, fed over HTTP, is never through with its input.
    let whole = options.once && is_read && failed.is_none() && !is_full;
    if whole {
        tracing::info!("everything is read; what is left of it is judged and committed");
        tokio::select! {
            finished = daemon.finish() => finished?,
            () = asked_to_stop(&mut signals) => {
                failed = Some(interrupted(reads_pipe));
            }
        }
    }
    daemon.stop.cancel();
    let ended = async { while sources.join_next().await.is_some() {} };
    // A read of standard input cannot be interrupted; it is left behind.
    let _ = tokio::time::timeout(SOURCES_STOP, ended).await;
    // Before the loops end: nobody writes the database after the store that closes it, which tells of a failed fsync.
    seals.end(&daemon.shared).await;
    // A run that ends by itself leaves the state tidy; one that is told to stop does not make its supervisor wait.
    daemon.drain(if whole { Ending::Tidy } else { Ending::Soon }).await?;
    tracing::info!("stopped");
    failed.map_or(Ok(Ended { is_full }), Err)
}

/// How the input ended while nothing of the daemon broke.
struct InputEnd {
    /// What kept it from being read whole: a source that failed, or an interrupt.
    failed: Option<anyhow::Error>,
    /// Windows had no room for the rest of it.
    is_full: bool,
    /// Every source has come to its end.
    is_read: bool,
}

/// Waits until no more is to be read.
///
/// # Errors
/// If a part of the daemon has failed, and the rest must not go on without it.
async fn until_end(
    daemon: &mut Daemon,
    (sources, server): (&mut ingest::SourceTasks, &mut JoinHandle<()>),
    signals: &mut reload::Signals,
    (options, reads_pipe): (&RunOptions, bool),
) -> anyhow::Result<InputEnd> {
    let (once, turns) = (options.once, Arc::clone(&daemon.shared.turns));
    let mut end = InputEnd { failed: None, is_full: false, is_read: sources.is_empty() };
    let mut lists = tokio::time::interval(LISTS_EVERY);
    let mut asked = reload::ReloadRequests::default();
    while !once || !end.is_read {
        tokio::select! {
            result = ended(&mut daemon.engine) => {
                result?;
                bail!(say!("the loop ended by itself; please report this"));
            }
            error = daemon.sealing.failed() => return Err(error),
            error = beside_failed(&mut daemon.moving, &mut daemon.deliver) => return Err(error),
            () = broke(&mut daemon.beside, server) => {
                bail!(say!("a part of the daemon broke, please report this; the log says where"));
            }
            why = superseded(Arc::clone(&turns)) => return Err(anyhow!(why)),
            ended = sources.join_next(), if !end.is_read => match ended {
                None => {
                    end.is_read = true;
                    daemon.bounded.store(once && !options.keep_open, Ordering::SeqCst);
                }
                Some((name, Ok(()))) => tracing::info!(source = name, "the source has ended"),
                Some((name, Err(e))) => {
                    let failed = anyhow::Error::from(e).context(say!("source {name}", name = quoted(&name)));
                    end.failed = Some(failed);
                    break;
                }
            },
            _ = lists.tick() => {
                end.is_full = once && daemon.shared.gate.is_full();
                if end.is_full {
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
                    end.failed = once.then(|| interrupted(reads_pipe));
                    break;
                }
            },
        }
    }
    Ok(end)
}

/// A run that was to read everything and did not: what waits for it must not take it for done.
fn interrupted(reads_pipe: bool) -> anyhow::Error {
    anyhow!(match reads_pipe {
        true => say!(
            "asked to stop before everything was read and committed. What was read is committed; what was still to come through standard input is not. Send all of it again: what is known already changes nothing"
        ),
        false => say!(
            "asked to stop before everything was read and committed. What was read is committed, and the next run goes on from there"
        ),
    })
}

async fn asked_to_stop(signals: &mut reload::Signals) {
    while !matches!(signals.next().await, reload::Signal::Stop) {}
}
