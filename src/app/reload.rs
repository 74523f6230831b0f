//! Signals, and new rules and lists without a restart: all or nothing.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::SystemTime,
};

use tokio::signal::unix::{SignalKind, signal};

use super::{Shared, deliver::Receivers, rules_to_run, supervisor};
use crate::{alert::Policy, config::Config, diagnostic::Diagnostic, evaluate::Evaluator, store::Reader};

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
        })
    }

    /// The next signal.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.hang_up.recv() => Signal::Reload,
        }
    }
}

/// Reads configuration, rules, lists, routes and sinks again. They take effect with the next batch; a bad file
/// keeps the old ones. Sources, state and HTTP settings need a restart.
///
/// # Errors
/// Everything that is wrong with the files.
pub fn reload(shared: &Shared) -> Result<usize, Vec<Diagnostic>> {
    let _told = supervisor::reloading(shared.ready());
    let result = load(shared).map(|(evaluator, lists, policy, receivers)| {
        *shared.lists.lock().unwrap_or_else(PoisonError::into_inner) = lists;
        let rules = evaluator.rules().rules.len();
        *shared.evaluator.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(evaluator);
        *shared.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
        shared.receivers.send_replace(receivers);
        rules
    });
    shared.metrics.reload_successful.set(i64::from(result.is_ok()));
    if let Ok(rules) = result {
        tracing::info!(rules, "rules and lists reloaded");
    }
    result
}

/// Reference lists whose files are looked at, and what their metadata said last.
#[derive(Debug, Default)]
pub struct WatchedLists(Vec<(PathBuf, Option<(SystemTime, u64)>)>);

impl WatchedLists {
    /// The lists of a configuration, as they are now.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self(config.list_paths().map(|path| (path.to_owned(), stamp(path))).collect())
    }

    /// Whether a file has changed since it was looked at last.
    pub fn changed(&mut self) -> bool {
        self.0.iter_mut().fold(false, |changed, (path, last)| {
            let now = stamp(path);
            changed | (std::mem::replace(last, now) != now)
        })
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = path.metadata().ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Reloads, and says in the log what is wrong.
pub fn reload_and_tell(shared: &Shared) {
    if let Err(problems) = reload(shared) {
        problems.iter().for_each(|p| tracing::error!("reload refused, the old rules stay: {p}"));
    }
}

type Loaded = (Evaluator, WatchedLists, Arc<Policy>, Receivers);

fn load(shared: &Shared) -> Result<Loaded, Vec<Diagnostic>> {
    let path: &Path = &shared.config_path;
    let config = if path.as_os_str().is_empty() { Config::defaults() } else { Config::load(path) }?;
    // The rules would count by another calendar than what is stored.
    let agrees = Reader::open(&shared.state_dir).and_then(|state| state.agrees(&config.calendar));
    agrees.map_err(|e| vec![Diagnostic::of_file(&path.display().to_string(), e.to_string(), None)])?;
    // Looked at before they are read, so that a change in between is seen the next time.
    let lists = WatchedLists::new(&config);
    let rules = rules_to_run(&config, Some(&shared.rules_in_force()))?;
    let receivers = Receivers::load(&config, &shared.clock, &shared.metrics)?;
    Ok((Evaluator::new(rules, config.calendar), lists, config.policy, receivers))
}
