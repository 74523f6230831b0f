//! Waiting for another instance to let go of the state: a standby that takes over when it dies. On this machine a lock says
//! who has it; where the state is replicated, the store does (`replicating.rs`).

use std::{sync::Arc, time::Duration};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    listen,
    replicating::{self, Replica},
};
use crate::{
    config::Config,
    daemon::reload::{Signal, Signals},
    http::{self, Ports},
    store::{StateLock, StoreError},
    telemetry::Metrics,
};

/// How often the lock is tried.
const TRY: Duration = Duration::from_millis(200);

/// How waiting for the state directory ended.
pub(crate) enum Waited {
    /// It is ours; `after_another` if we had to wait for it.
    Locked { lock: StateLock, replica: Option<Box<Replica>>, after_another: bool },
    /// We were asked to stop.
    Stopped,
}

/// Takes the lock of the state directory, and with `state.standby` waits for it as long as it takes; then, where the state is
/// replicated, the state itself. Meanwhile the port answers, so that supervisors see the process live.
///
/// # Errors
/// If another instance has it and this one is no standby, or it cannot be taken at all.
pub(crate) async fn lock_state(
    config: &Config,
    ports: &Ports,
    signals: &mut Signals,
) -> anyhow::Result<Waited> {
    crate::store::not_a_backup(&config.state_dir)?;
    let mut door = None;
    let waited = locked(config, ports, signals, &mut door).await;
    let waited = match (waited, &config.replicate) {
        (Ok(Waited::Locked { lock, after_another, .. }), Some(settings)) => {
            let door = (ports, &mut door);
            replicating::take(config, settings, signals, door).await.map(|taken| match taken {
                None => Waited::Stopped,
                Some(replica) => {
                    let after_another = after_another || replica.after_another;
                    Waited::Locked { lock, replica: Some(Box::new(replica)), after_another }
                }
            })
        }
        (waited, _) => waited,
    };
    if let Some(door) = door {
        door.close().await;
    }
    waited
}

async fn locked(
    config: &Config,
    ports: &Ports,
    signals: &mut Signals,
    door: &mut Option<StandbyServer>,
) -> anyhow::Result<Waited> {
    let pid = match StateLock::acquire(&config.state_dir) {
        Ok(lock) => return Ok(Waited::Locked { lock, replica: None, after_another: false }),
        Err(StoreError::Locked { pid, .. }) if config.standby => pid,
        Err(e) => return Err(e.into()),
    };
    tracing::info!(holder = pid, dir = %config.state_dir.display(), "standby: waiting until the other instance ends");
    *door = Some(StandbyServer::open(config, ports)?);
    wait(config, signals).await
}

/// What answers at the port while the process waits.
pub(crate) struct StandbyServer {
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl StandbyServer {
    pub(crate) fn open(config: &Config, ports: &Ports) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let (ports, metrics) = (listen::again(ports)?, Arc::new(Metrics::new()?));
        let tls = http::tls::ServerTls::of(&config.clients, &metrics).map_err(|why| anyhow::anyhow!(why))?;
        let (clients, state_dir, stopped) = (config.clients.clone(), config.state_dir.clone(), stop.clone());
        let server = tokio::spawn(async move {
            http::serve_standby(ports, metrics, (clients, &state_dir, tls), stopped).await;
        });
        Ok(Self { stop, server })
    }

    async fn close(self) {
        self.stop.cancel();
        let _ = tokio::time::timeout(super::run::SERVER_STOP, self.server).await;
    }
}

async fn wait(config: &Config, signals: &mut Signals) -> anyhow::Result<Waited> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(TRY) => match StateLock::acquire(&config.state_dir) {
                Ok(lock) => {
                    tracing::info!("the other instance has ended: taking over");
                    return Ok(Waited::Locked { lock, replica: None, after_another: true });
                }
                Err(StoreError::Locked { .. }) => {}
                Err(e) => return Err(e.into()),
            },
            signal = signals.next() => match signal {
                Signal::Stop => return Ok(Waited::Stopped),
                // Rules and lists are read again at the take-over.
                Signal::Reload => {}
            },
        }
    }
}
