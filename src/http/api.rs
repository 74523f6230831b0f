//! Events in; findings, rules and status out.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, atomic::Ordering},
};

use axum::{
    Json,
    body::Bytes,
    extract::{
        Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::StatusCode,
};
use serde_json::{Value, json};

use super::Problem;
use crate::{
    app::Shared,
    store::{FindingFilter, Reader},
    stream::{Payload, Receipt},
};

/// `POST /api/v1/events`: JSON Lines, answered after the commit. Records that cannot be read are in quarantine
/// then; the answer counts them.
pub async fn events(
    State(shared): State<Arc<Shared>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Receipt>, Problem> {
    if !shared.accept_events {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "events are not taken over HTTP (http.accept_events)",
        ));
    }
    let body = body.map_err(|e| Problem::new(e.status(), e.body_text()))?;
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "the body is empty: send one JSON object a line"));
    }
    let receipt = shared.submit(Payload::JsonLines(body), Vec::new()).await;
    receipt.map(Json).ok_or_else(|| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping; send the events again later")
    })
}

/// `GET /api/v1/findings?rule=&severity=&event=&before=&limit=`: the newest first.
pub async fn findings(
    State(shared): State<Arc<Shared>>,
    filter: Result<Query<FindingFilter>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(filter) = filter.map_err(|e| Problem::new(StatusCode::BAD_REQUEST, e.body_text()))?;
    let read = move || Reader::open(&shared.state_dir)?.findings(&filter);
    let found = tokio::task::spawn_blocking(read)
        .await
        .map_err(|e| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))??;
    let next = found.last().map(|(seq, _)| *seq);
    let findings: Vec<_> = found.into_iter().map(|(_, finding)| finding).collect();
    Ok(Json(json!({ "findings": findings, "before": next })))
}

/// `GET /api/v1/rules`: the rules in force, with what happened to them since the start.
pub async fn rules(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let evaluator = shared.evaluator.read().map(|e| Arc::clone(&e));
    let evaluator = evaluator.unwrap_or_else(|e| Arc::clone(&e.into_inner()));
    let counts = shared.rule_counts.lock().unwrap_or_else(PoisonError::into_inner);
    let rules: Vec<_> = evaluator
        .rules()
        .rules
        .iter()
        .map(|compiled| {
            let rule = &compiled.rule;
            let c = counts.get(&rule.id).cloned().unwrap_or_default();
            json!({
                "id": rule.id, "title": rule.title, "description": rule.description, "severity": rule.severity,
                "handling": rule.handling, "mode": rule.mode, "status": rule.status, "tags": rule.tags,
                "basis": rule.basis, "evaluated": c.evaluated, "findings": c.findings, "excepted": c.excepted,
                "errors": c.errors, "last_error": c.last_error,
            })
        })
        .collect();
    Json(json!({ "rules": rules }))
}

/// `GET /api/v1/status`
pub async fn status(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let totals = *shared.totals.lock().unwrap_or_else(PoisonError::into_inner);
    let counts = shared.rule_counts.lock().unwrap_or_else(PoisonError::into_inner);
    let errors: BTreeMap<_, _> = counts
        .iter()
        .filter(|(_, c)| c.errors > 0)
        .map(|(id, c)| (id.clone(), json!({ "errors": c.errors, "last_error": c.last_error })))
        .collect();
    let findings: u64 = counts.values().map(|c| c.findings).sum();
    let (lines, applications) = {
        let ledger = shared.ledger.read().unwrap_or_else(PoisonError::into_inner);
        (ledger.len(), ledger.open_applications())
    };
    let last = shared.last_event_at.load(Ordering::Relaxed);
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": shared.ready() && shared.sources_wait().is_none(),
        "started_at": shared.calendar.format(shared.started_at),
        "last_event_at": (last != 0).then(|| shared.calendar.format(last)),
        "since_start": {
            "accepted": totals.accepted, "duplicates": totals.duplicates, "rejected": totals.rejected,
            "findings": findings, "commits": shared.commits.load(Ordering::Relaxed),
        },
        "sources": shared.sources.iter().map(|(name, s)| (name.clone(), json!(s.told()))).collect::<BTreeMap<_, _>>(),
        "journal_events": shared.metrics.journal_events.get(),
        "budget_lines": lines,
        "open_applications": applications,
        "rule_errors": errors,
        "quarantine": shared.quarantine.status(),
        "store_bytes": shared.metrics.store_bytes.get(),
    }))
}
