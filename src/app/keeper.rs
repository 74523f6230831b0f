//! The keeper of shards: a member of a consumer group, and the parent of a process for each partition that it is given.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::anyhow;
use tokio_util::sync::CancellationToken;

use super::listen;
use crate::{
    clock::Clock,
    config::{Config, shards::Shards},
    daemon::{
        reload::{Signal, Signals},
        shards::Board,
        supervisor,
    },
    http, private, say,
    source::kafka::Member,
    telemetry::Metrics,
};

/// How often the supervisor hears that the keeper is alive.
const BEAT: Duration = Duration::from_secs(15);

/// Keeps shards until asked to stop.
///
/// # Errors
/// If it cannot start, or cannot be a member of the group any more.
pub async fn keep(config: Config, config_path: PathBuf, clock: Arc<dyn Clock>) -> anyhow::Result<()> {
    if let Err(error) = private::keep_memory() {
        tracing::warn!("the memory of this process cannot be kept from others: {error}");
    }
    let mut signals = Signals::new()?;
    let (Some(shards), Some(source)) = (config.shards.clone(), Shards::source(&config).cloned()) else {
        return Err(anyhow!(say!("the configuration has no section shards")));
    };
    private::create_dir_all(&config.state_dir)?;
    let ports = listen::open(&config).await?;
    let metrics = Arc::new(Metrics::new()?);
    let board = Board::new(&config, config_path, clock, metrics).map_err(|why| anyhow!(why))?;
    let (board, stop) = (Arc::new(board), CancellationToken::new());
    let session = config.replicate.as_ref().map_or(BEAT, |replicate| replicate.takeover_after);
    let member = Member { group: shards.group, instance: shards.instance, session };
    tracing::info!(listen = %config.listen, group = member.group, instance = member.instance, "keeper of shards: joining the group");
    let mut server = {
        let (board, stop, config) = (Arc::clone(&board), stop.clone(), config.clone());
        tokio::spawn(async move { http::serve_shards(ports, board, &config, stop).await })
    };
    let leave = CancellationToken::new();
    let mut membership = {
        let (board, leave) = (Arc::clone(&board), leave.clone());
        tokio::task::spawn_blocking(move || {
            let held = member.hold(&source, &(Arc::clone(&board) as _), &leave);
            // Before the member leaves the group's sight: nobody else has them yet.
            board.end();
            held
        })
    };
    supervisor::ready();
    let (mut beat, mut is_served) = (tokio::time::interval(BEAT), true);
    let ended = loop {
        tokio::select! {
            ended = &mut membership => break ended,
            _ = beat.tick() => supervisor::beat(),
            // A keeper that nobody can ask looks well and is not.
            _ = &mut server, if is_served => {
                is_served = false;
                leave.cancel();
            }
            signal = signals.next() => match signal {
                Signal::Reload => board.reload(),
                Signal::Stop => {
                    tracing::info!("stopping: the shards finish what they have read");
                    supervisor::stopping();
                    leave.cancel();
                    break membership.await;
                }
            },
        }
    };
    stop.cancel();
    if !is_served {
        return Err(anyhow!(say!("a part of the daemon broke, please report this; the log says where")));
    }
    let _ = tokio::time::timeout(super::run::SERVER_STOP, server).await;
    tracing::info!("stopped");
    Ok(ended??)
}
