//! Signals, and new rules and lists without a restart: all or nothing.

use std::{
    path::Path,
    sync::{Arc, PoisonError},
};

use tokio::signal::unix::{SignalKind, signal};

use super::{Shared, deliver::Receivers, load_rules, supervisor};
use crate::{alert::Policy, config::Config, diagnostic::Diagnostic, evaluate::Evaluator};

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
    let result = load(shared).map(|(evaluator, policy, receivers)| {
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

fn load(shared: &Shared) -> Result<(Evaluator, Arc<Policy>, Receivers), Vec<Diagnostic>> {
    let path: &Path = &shared.config_path;
    let config = if path.as_os_str().is_empty() { Config::defaults() } else { Config::load(path) }?;
    let rules = load_rules(&config)?;
    let receivers = Receivers::load(&config, &shared.clock, &shared.metrics)?;
    Ok((Evaluator::new(rules, config.calendar), config.policy, receivers))
}
