//! Signals, and new rules and lists without a restart: all or nothing.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    adopted::{set_adopted, set_agreed_rows, with_adopted},
    approval::is_approved,
    journal::StoredPast,
    lists::{self, WatchedLists, gauge_rows},
    receivers::Receivers,
    rules::{load_rules, rules_to_reload},
    supervisor,
};
use crate::{
    access::{Action, Actor},
    alert::Policy,
    config::Config,
    decode::Decoder,
    diagnostic::Diagnostic,
    engine::{History, Windowing},
    evaluate::Evaluator,
    rule::RuleSet,
    say,
    store::{Accounts, AuditedAction, LabParams, Reader, StoreError, Turns},
};

/// What a signal asks for.
pub enum Signal {
    /// SIGHUP
    Reload,
    /// SIGTERM, SIGINT
    Stop,
}

/// The signals of the daemon.
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
    /// The end of the process that keeps this one, where there is one.
    keeper: Option<oneshot::Receiver<()>>,
    /// What was asked for and not heard yet.
    pending: Option<Signal>,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            keeper: None,
            pending: None,
        })
    }

    /// The end of the process that keeps this one asks to stop, too.
    #[must_use]
    pub fn or_end_of(mut self, keeper: oneshot::Receiver<()>) -> Self {
        self.keeper = Some(keeper);
        self
    }

    /// Waits for the next signal that means something here.
    pub async fn next(&mut self) -> Signal {
        match self.pending.take() {
            Some(pending) => pending,
            None => self.arrives().await,
        }
    }

    async fn arrives(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.hang_up.recv() => Signal::Reload,
            () = ended(&mut self.keeper) => Signal::Stop,
        }
    }

    /// Listens while the state is opened, until that is `over`: who asks to stop ends all waiting for the database. What
    /// was asked for is the next signal.
    pub async fn while_opening(mut self, turns: Arc<Turns>, over: CancellationToken) -> Self {
        loop {
            tokio::select! {
                () = over.cancelled() => return self,
                never = supervisor::held_up(&turns) => match never {},
                signal = self.arrives() => {
                    let is_stop = matches!(signal, Signal::Stop);
                    self.pending = Some(signal);
                    if is_stop {
                        turns.give_up();
                        return self;
                    }
                }
            }
        }
    }

    /// Whether somebody has asked to stop.
    #[must_use]
    pub const fn asked_to_stop(&self) -> bool {
        matches!(self.pending, Some(Signal::Stop))
    }
}

/// Waits for the end of a keeper, which is told once; forever where there is none.
async fn ended(keeper: &mut Option<oneshot::Receiver<()>>) {
    match keeper {
        Some(hears) => {
            let _ = hears.await;
            *keeper = None;
        }
        None => std::future::pending().await,
    }
}

/// Reloads that are allowed within [`ALLOWANCE`]: each compiles every rule.
const OFTEN: usize = 60;
const ALLOWANCE: Duration = Duration::from_mins(1);

/// Reloads that wait for another one.
const WAITING: usize = 2;

/// One reload at a time, and not too many.
#[derive(Debug, Default)]
pub struct Reloads {
    begun: Mutex<Begun>,
    waiting: AtomicUsize,
}

impl Reloads {
    /// Waits until nobody else reloads.
    pub fn alone(&self) -> MutexGuard<'_, Begun> {
        self.begun.lock()
    }

    /// The same for who can also come again later.
    fn begin(&self) -> Result<MutexGuard<'_, Begun>, Duration> {
        let waiting = self.waiting.fetch_add(1, Ordering::SeqCst);
        let alone = (waiting < WAITING).then(|| self.alone());
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let mut begun = alone.ok_or(Duration::from_secs(1))?;
        begun.note(std::time::Instant::now())?;
        Ok(begun)
    }
}

/// When the last reloads began.
#[derive(Debug, Default)]
pub struct Begun(VecDeque<std::time::Instant>);

impl Begun {
    /// Notes a reload.
    ///
    /// # Errors
    /// After which time there can be one, if there were too many.
    fn note(&mut self, now: std::time::Instant) -> Result<(), Duration> {
        while self.0.front().is_some_and(|first| now.duration_since(*first) >= ALLOWANCE) {
            self.0.pop_front();
        }
        match self.0.front() {
            Some(first) if self.0.len() >= OFTEN => Err(ALLOWANCE.saturating_sub(now.duration_since(*first))),
            _ => {
                self.0.push_back(now);
                Ok(())
            }
        }
    }
}

/// Why nothing was reloaded; what was in force stays.
#[derive(Debug)]
pub enum NotReloaded {
    /// Another reload is under way, or there were too many: it can be tried again after this time.
    Later(Duration),
    /// Everything that is wrong with the files.
    Wrong(Vec<Diagnostic>),
}

/// Reads configuration, rules, lists, routes and sinks again. They take effect with the next batch; a bad file
/// keeps the old ones. Sources, state and HTTP settings need a restart. `force` takes lists that lose most of their rows.
///
/// # Errors
/// If there is no reload now, or something is wrong with the files.
pub fn reload(shared: &Shared, force: bool, by: Actor) -> Result<usize, NotReloaded> {
    // Certificates do not wait for rules, nor hang on them.
    shared.reloaded.notify_one();
    let _alone = shared.reloads.begin().map_err(NotReloaded::Later)?;
    let _told = supervisor::reloading(shared.ready());
    let result = load(shared, force).map(|(evaluator, lists, policy, receivers)| {
        gauge_rows(&shared.metrics, lists.lists());
        *shared.lists.lock() = lists;
        let rules = evaluator.rules().rules.len();
        shared.take_rules(evaluator);
        *shared.policy.write() = policy;
        shared.receivers.send_replace(receivers);
        rules
    });
    shared.metrics.reload_successful.set(i64::from(result.is_ok()));
    if let Ok(rules) = result {
        tracing::info!(rules, "rules and lists reloaded");
    }
    record(shared, by, result.as_ref().ok().copied());
    result.map_err(NotReloaded::Wrong)
}

/// Records a reload, beside it: whoever holds the database does not hold it up.
fn record(shared: &Shared, by: Actor, rules: Option<usize>) {
    let (dir, now) = (shared.state_dir.clone(), shared.clock.now());
    std::thread::spawn(move || {
        let (result, detail) = match rules {
            Some(rules) => ("done", format!("{rules} rules")),
            None => ("refused", String::new()),
        };
        let deed = AuditedAction { action: Action::ReloadRules.word(), subject: "", result, detail: &detail };
        if let Err(error) = Accounts::open(&dir).and_then(|mut accounts| accounts.record(&by, deed, now)) {
            tracing::warn!("the reload could not be recorded: {error}");
        }
    });
}

/// What the loop of the daemon asks for: a reload, where a signal wanted one, and lists that have changed. It goes on
/// meanwhile, and asks again before long.
#[derive(Debug, Default)]
pub struct ReloadRequests {
    reload: bool,
    running: Option<JoinHandle<bool>>,
}

impl ReloadRequests {
    /// A signal asks for a reload. Several are one.
    pub fn reload(&mut self) {
        self.reload = true;
    }

    /// Begins what is asked for, unless the last one is still under way.
    pub async fn begin(&mut self, shared: &Arc<Shared>) {
        match &mut self.running {
            Some(running) if !running.is_finished() => return,
            Some(running) => self.reload |= running.await.unwrap_or(false),
            None => {}
        }
        let (shared, wanted) = (Arc::clone(shared), std::mem::take(&mut self.reload));
        self.running = Some(tokio::task::spawn_blocking(move || {
            let later = wanted && matches!(reload_and_tell(&shared), Err(NotReloaded::Later(_)));
            let mended = lists::refresh(&shared);
            if mended {
                tracing::info!("a list has changed, and rules are left out: they are read again");
            }
            later || mended
        }));
    }
}

/// Reloads, and says in the log what is wrong.
fn reload_and_tell(shared: &Shared) -> Result<usize, NotReloaded> {
    let by = Actor { who: String::new(), place: String::from("signal") };
    let result = reload(shared, false, by);
    if let Err(NotReloaded::Wrong(problems)) = &result {
        problems.iter().for_each(|p| tracing::error!("reload refused, the old rules stay: {p}"));
    }
    result
}

type Loaded = (Evaluator, WatchedLists, Arc<Policy>, Receivers);

/// The rules that the configuration names now, which need not be those in force, with these constants of the rule lab.
///
/// # Errors
/// Everything that is wrong with them.
pub(super) fn configured_rules_with(
    shared: &Shared,
    params: &LabParams,
) -> Result<Arc<RuleSet>, Vec<Diagnostic>> {
    let mut config = written_configuration(shared)?;
    config.state_dir.clone_from(&shared.state_dir);
    set_adopted(&mut config, params);
    let wrong = |error: StoreError| vec![Diagnostic::of_itself(error.to_string())];
    set_agreed_rows(&mut config).map_err(wrong)?;
    load_rules(&config)
}

/// The configuration with what people agreed on in the rule lab.
fn configuration(shared: &Shared) -> Result<Config, Vec<Diagnostic>> {
    let mut config = written_configuration(shared)?;
    // The state that runs has the last word, also where the file names another one.
    config.state_dir.clone_from(&shared.state_dir);
    with_adopted(config)
}

/// The configuration as it is written.
fn written_configuration(shared: &Shared) -> Result<Config, Vec<Diagnostic>> {
    let path: &Path = &shared.config_path;
    match (&shared.variables, path.as_os_str().is_empty()) {
        (None, true) => Config::defaults(),
        (None, false) => Config::load(path),
        (Some(variables), _) => Config::load_with(path, variables.iter().cloned()),
    }
}

fn load(shared: &Shared, force: bool) -> Result<Loaded, Vec<Diagnostic>> {
    let path: &Path = &shared.config_path;
    let config = configuration(shared)?;
    // The rules would count by another calendar than what is stored.
    let agrees = Reader::open(&shared.state_dir).and_then(|state| state.agrees(&config.calendar));
    agrees.map_err(|e| vec![Diagnostic::of_file(&path.display().to_string(), e.to_string(), None)])?;
    let config = Arc::new(config);
    let watched = lists::read(shared, &config, force)?;
    let rules = rules_to_reload(&config, watched.lists().clone(), &shared.rules_in_force())?;
    is_approved(&config, &rules)?;
    let receivers = Receivers::load(&config, watched.lists().clone(), &shared.clock, &shared.metrics)?;
    let evaluator = Evaluator::new(rules, Arc::clone(&config.calendar));
    has_room(shared, &config, &evaluator)?;
    Ok((evaluator, watched, Arc::clone(&config.policy), receivers))
}

/// Whether the windows that rules bring have room beside those that stay. It is tried beforehand, because they cannot be
/// left out again once events are judged by them. Rules that hold less than those in force always come into force.
fn has_room(shared: &Shared, config: &Config, evaluator: &Evaluator) -> Result<(), Vec<Diagnostic>> {
    let in_force = Arc::clone(&shared.evaluator.read());
    let schema = Arc::clone(Decoder::new(Arc::clone(&config.calendar)).schema());
    let journal: Arc<dyn History> = Arc::new(StoredPast { dir: shared.state_dir.clone(), schema });
    let latest = shared.last_event_at.get();
    let (most, held) = (shared.gate.limit, shared.gate.held());
    let at = (latest.map(|latest| latest.saturating_sub(shared.lateness)), latest);
    let weigh = |beside: &Arc<RuleSet>, enough| {
        Windowing::weigh(beside, evaluator, Arc::clone(&journal), (config.keep_late, enough), at)
    };
    let enough = most.max(held);
    let fits = weigh(in_force.rules(), enough).and_then(|new| {
        // Which of those in force go is known only by weighing what will be there.
        Ok(new.saturating_add(held) <= most || (new <= enough && weigh(&Arc::default(), enough)? <= enough))
    });
    let wrong = match fits {
        Ok(true) => return Ok(()),
        Ok(false) => say!(
            "the windows of these rules do not fit into {limit} MiB (engine.window_memory_mib): make them shorter or of fewer keys, or raise the limit and start again",
            limit = most >> 20
        ),
        Err(error) => error.to_string(),
    };
    let path = &shared.config_path;
    Err(vec![Diagnostic::of_file(&path.display().to_string(), wrong, None)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_reloads_a_minute_and_no_more() {
        let (mut reloads, start) = (Begun::default(), std::time::Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert!((0..60).all(|n| reloads.note(at(n * 500)).is_ok()));
        assert_eq!(reloads.note(at(40_000)), Err(Duration::from_secs(20)));
        assert_eq!(reloads.note(at(60_000)), Ok(()));
        assert_eq!(reloads.note(at(60_000)), Err(Duration::from_millis(500)));
    }
}
