//! Applications that are decided over Kafka.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, task::JoinHandle};

use super::Daemon;
use crate::{
    access::Actor,
    config::Config,
    http,
    source::kafka::{Reply, Request},
};

/// The status of an answer that has to be asked for again.
const LATER: u16 = 503;
/// How long is waited with it.
const PAUSE: Duration = Duration::from_millis(500);

/// Answers requests until the daemon stops; `None` where none are read.
pub(crate) fn start(config: &Config, daemon: &Daemon) -> Option<JoinHandle<()>> {
    let settings = config.decide.kafka.clone()?;
    let (shared, stop, runtime) = (Arc::clone(&daemon.shared), daemon.stop.clone(), Handle::current());
    let metrics = Arc::clone(&shared.metrics);
    let who = format!("kafka:{}", settings.requests);
    tracing::info!(
        requests = settings.requests,
        replies = settings.replies,
        "applications are decided over Kafka"
    );
    Some(tokio::task::spawn_blocking(move || {
        let count = |result: &str| metrics.decision_requests.with_label_values(&[result]).inc();
        let answer = |request: Request<'_>| {
            let actor = Actor { who: who.clone(), place: request.place };
            let (status, body) = runtime.block_on(http::decide_message(&shared, actor, request.payload));
            // The next process answers it: what was decided by then is answered the same. A daemon that ends because a
            // commit failed says so a moment later.
            if status == LATER {
                std::thread::sleep(PAUSE);
                if stop.is_cancelled() {
                    return None;
                }
            }
            count(if status == 200 { "answered" } else { "refused" });
            Some(Reply { status, body })
        };
        let failed = |why: &str| {
            count("again");
            tracing::warn!("decisions over Kafka: {why}; it is tried again");
        };
        settings.serve(&stop, answer, failed);
    }))
}
