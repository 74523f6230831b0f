//! The HTTP server (SPEC §7): one file a thing that the API has, and `openapi.rs`, which joins and describes them.

mod alerts;
mod api;
mod events;
mod indicators;
mod ledger;
mod notifications;
mod openapi;
mod problem;
mod request;
mod silences;
pub mod view;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    app::{Shared, scrape_gauges},
    say,
    source::SourceStatus,
    store::Cases,
    telemetry::{CONTENT_TYPE, Metrics},
};

pub use alerts::AlertDetail;
pub use problem::Problem;

/// Serves until asked to stop.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let (api, _) = openapi::api(shared.body_bytes_max);
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/-/healthy", get(|| async { "fiscwatch is running\n" }))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload))
        .merge(api)
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, say!("there is nothing at this path")) })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, say!("this path takes another method"))
        })
        .layer(axum::middleware::from_fn(request::refuse_other_sites))
        .with_state(shared);
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await });
    if let Err(e) = serving.await {
        tracing::error!("the HTTP server ended: {e}");
    }
}

/// Serves while another instance has the state, until asked to stop.
pub async fn serve_standby(listener: TcpListener, metrics: Metrics, stop: CancellationToken) {
    let waits =
        || say!("standby: another fiscwatch has the state directory; this one takes over when it ends");
    let metrics = Arc::new(metrics);
    metrics.standby.set(1);
    let render = move || async move { ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.render()) };
    let router = Router::new()
        .route("/metrics", get(render))
        .route("/-/healthy", get(|| async { "fiscwatch is running (standby)\n" }))
        .route("/-/ready", get(move || async move { (StatusCode::SERVICE_UNAVAILABLE, waits() + "\n") }))
        .fallback(move || async move { Problem::new(StatusCode::SERVICE_UNAVAILABLE, waits()) });
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await });
    if let Err(e) = serving.await {
        tracing::error!("the HTTP server ended: {e}");
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    scrape_gauges(&shared);
    let asked = Arc::clone(&shared);
    if let Err(problem) = request::blocking(move || count_verdicts(&asked)).await {
        tracing::error!("what officers said of rules cannot be counted: {problem:?}");
    }
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], shared.metrics.render())
}

/// What officers said of the rules in force.
fn count_verdicts(shared: &Shared) -> Result<(), Problem> {
    let verdicts = Cases::open_read_only(&shared.state_dir)?.verdicts()?;
    let metrics = &shared.metrics;
    for rule in &shared.rules_in_force().rules {
        let id = rule.rule.id.as_str();
        let Some(said) = verdicts.get(id) else { continue };
        for (verdict, n) in [("confirmed", said.confirmed), ("dismissed", said.dismissed)] {
            metrics.rule_verdicts.with_label_values(&[id, verdict]).set(n.try_into().unwrap_or(i64::MAX));
        }
        if let Some(precision) = said.precision() {
            metrics.rule_precision.with_label_values(&[id]).set(precision);
        }
    }
    Ok(())
}

async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    let unavailable = |why: String| (StatusCode::SERVICE_UNAVAILABLE, why + "\n");
    match (shared.ready(), shared.sources_wait()) {
        (true, None) if shared.busy_with_ticks().is_some() => {
            let due = shared.busy_with_ticks().unwrap_or_default();
            unavailable(say!(
                "fiscwatch is busy with {due} rules on a schedule that are due; events wait",
                due
            ))
        }
        (true, None) if shared.busy_with_query().is_some() => {
            let (rule, time) = shared.busy_with_query().unwrap_or_default();
            unavailable(say!(
                "fiscwatch waits for the query of rule {rule}, which has run for {seconds} s; events wait",
                rule,
                seconds = time.as_secs()
            ))
        }
        (true, None) => {
            let troubles: String = shared.sources.iter().flat_map(troubles).collect();
            (StatusCode::OK, format!("fiscwatch is ready\n{troubles}"))
        }
        (true, Some(why)) => unavailable(why),
        (false, _) => unavailable(say!("fiscwatch is starting or stopping")),
    }
}

/// What is wrong with a source that was read before: the daemon is ready, and reads it again when it can.
fn troubles((name, status): (&String, &Arc<SourceStatus>)) -> Vec<String> {
    let troubles = status.told().troubles.into_iter();
    troubles.map(|(with, trouble)| format!("source {name}: {with}: {trouble}\n")).collect()
}

async fn reload(State(shared): State<Arc<Shared>>) -> Result<String, Problem> {
    let reloaded = tokio::task::spawn_blocking(move || crate::app::reload(&shared)).await;
    match reloaded {
        Ok(Ok(rules)) => Ok(say!("{rules} rules are in force", rules) + "\n"),
        Ok(Err(problems)) => {
            let text: Vec<_> = problems.iter().map(ToString::to_string).collect();
            let detail = say!("the old rules stay in force: {problems}", problems = text.join("\n"));
            Err(Problem::unprocessable(detail))
        }
        Err(e) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string())),
    }
}
