//! The HTTP server (SPEC §7).

mod api;
mod ledger;
mod problem;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    app::{Shared, scrape_gauges},
    source::SourceStatus,
    telemetry::{CONTENT_TYPE, Metrics},
};

pub use ledger::line_json;
pub use problem::Problem;

/// Serves until asked to stop.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let body_limit = DefaultBodyLimit::max(shared.body_bytes_max);
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/-/healthy", get(|| async { "fiscwatch is running\n" }))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload))
        .route("/api/v1/events", post(api::events).layer(body_limit))
        .route("/api/v1/status", get(api::status))
        .route("/api/v1/rules", get(api::rules))
        .route("/api/v1/findings", get(api::findings))
        .route("/api/v1/budget-lines", get(ledger::lines))
        .route("/api/v1/budget-lines/{id}", get(ledger::line))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method")
        })
        .with_state(shared);
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await });
    if let Err(e) = serving.await {
        tracing::error!("the HTTP server ended: {e}");
    }
}

/// Serves while another instance has the state, until asked to stop.
pub async fn serve_standby(listener: TcpListener, metrics: Metrics, stop: CancellationToken) {
    const WAITS: &str =
        "standby: another fiscwatch has the state directory; this one takes over when it ends";
    let metrics = Arc::new(metrics);
    metrics.standby.set(1);
    let render = move || async move { ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.render()) };
    let router = Router::new()
        .route("/metrics", get(render))
        .route("/-/healthy", get(|| async { "fiscwatch is running (standby)\n" }))
        .route("/-/ready", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, format!("{WAITS}\n")) }))
        .fallback(|| async { Problem::new(StatusCode::SERVICE_UNAVAILABLE, WAITS) });
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await });
    if let Err(e) = serving.await {
        tracing::error!("the HTTP server ended: {e}");
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    scrape_gauges(&shared);
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], shared.metrics.render())
}

async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    match (shared.ready(), shared.sources_wait()) {
        (true, None) => {
            let troubles: String = shared.sources.iter().flat_map(troubles).collect();
            (
                StatusCode::OK,
                format!(
                    "fiscwatch is ready
{troubles}"
                ),
            )
        }
        (true, Some(why)) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "{why}
"
            ),
        ),
        (false, _) => (
            StatusCode::SERVICE_UNAVAILABLE,
            String::from(
                "fiscwatch is starting or stopping
",
            ),
        ),
    }
}

/// What is wrong with a source that was read before: the daemon is ready, and reads it again when it can.
fn troubles((name, status): (&String, &Arc<SourceStatus>)) -> Vec<String> {
    let troubles = status.told().troubles.into_iter();
    troubles
        .map(|(with, trouble)| {
            format!(
                "source {name}: {with}: {trouble}
"
            )
        })
        .collect()
}

async fn reload(State(shared): State<Arc<Shared>>) -> Result<String, Problem> {
    let reloaded = tokio::task::spawn_blocking(move || crate::app::reload(&shared)).await;
    match reloaded {
        Ok(Ok(rules)) => Ok(format!("{rules} rules are in force\n")),
        Ok(Err(problems)) => {
            let text: Vec<_> = problems.iter().map(ToString::to_string).collect();
            let detail = format!("the old rules stay in force: {}", text.join("\n"));
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail))
        }
        Err(e) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string())),
    }
}
