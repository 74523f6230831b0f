//! Alerts: what there is, and what officers do with it.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Problem,
    request::{Body, Id, IfMatch, Params, blocking, officer, page_size},
    view::{AlertView, ChangeView, NoticeView, WaitingView},
};
use crate::{
    alert::{Action, desk::Order},
    app::Shared,
    evaluate::Finding,
    event::time::Calendar,
    store::{AlertFilter, CaseError, Cases, FINDINGS_MAX},
};

/// A page of alerts.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertPage {
    /// The newest first.
    alerts: Vec<AlertView>,
    /// Give it as `before` for the next page; null on the last one.
    next: Option<String>,
}

/// The alerts, the newest first
#[utoipa::path(get, path = "/api/v1/alerts", operation_id = "list_alerts", tag = "alerts", params(AlertFilter),
    responses((status = 200, description = "A page", body = AlertPage)))]
pub async fn list(
    State(shared): State<Arc<Shared>>,
    Params(mut filter): Params<AlertFilter>,
) -> Result<Json<AlertPage>, Problem> {
    filter.check().map_err(Problem::bad_request)?;
    let limit = page_size(filter.limit)?;
    filter.limit = Some(limit + 1);
    blocking(move || {
        let found = Cases::open_read_only(&shared.state_dir)?.list(&filter)?;
        let limit = limit as usize;
        let next = found.get(limit).and(found.get(limit - 1)).map(|last| last.alert_id.clone());
        let alerts = found.iter().take(limit).map(|alert| AlertView::new(alert, &shared.calendar)).collect();
        Ok(Json(AlertPage { alerts, next }))
    })
    .await
}

/// An alert with everything that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertDetail {
    /// The alert.
    pub alert: AlertView,
    /// What happened to it, oldest first.
    pub history: Vec<ChangeView>,
    /// Its latest findings, newest first; 100 at most.
    pub findings: Vec<Finding>,
    /// What is still to be told of it, and what holds that back.
    pub waiting: Vec<WaitingView>,
    /// What was told of it, newest first; 100 at most.
    pub notifications: Vec<NoticeView>,
}

impl AlertDetail {
    /// Reads an alert.
    ///
    /// # Errors
    /// If there is none.
    pub fn read(cases: &Cases, id: &str, calendar: &Calendar) -> Result<Self, CaseError> {
        let (alert, history, findings) = cases.show(id, FINDINGS_MAX)?;
        let told = cases.told_of(id, alert.opened_at, FINDINGS_MAX)?;
        let waiting = cases.waiting_for(id, FINDINGS_MAX)?;
        Ok(Self {
            alert: AlertView::new(&alert, calendar),
            history: history.iter().map(|change| ChangeView::new(change, calendar)).collect(),
            findings,
            waiting: waiting.iter().map(|w| WaitingView::new(w, calendar)).collect(),
            notifications: told.iter().map(|notice| NoticeView::new(notice, calendar)).collect(),
        })
    }
}

/// One alert with its history and its evidence
#[utoipa::path(get, path = "/api/v1/alerts/{id}", operation_id = "show_alert", tag = "alerts",
    params(("id" = String, Path, description = "The alert's id")),
    responses(
        (status = 200, description = "The alert", body = AlertDetail,
            headers(("ETag" = String, description = "Its version, for `If-Match`"))),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(shared): State<Arc<Shared>>, Id(id): Id<String>) -> Result<Response, Problem> {
    blocking(move || {
        let cases = Cases::open_read_only(&shared.state_dir)?;
        let detail = AlertDetail::read(&cases, &id, &shared.calendar)?;
        Ok(tagged(detail.alert.version, detail))
    })
    .await
}

fn tagged(version: i64, body: impl Serialize) -> Response {
    ([(header::ETAG, format!("\"{version}\""))], Json(body)).into_response()
}

/// What to do with an alert.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// `acknowledge`, `confirm`, `dismiss`, `rectify`, `close` or `comment`.
    action: Action,
    /// Who does it; the proxy in front tells it where `http.user_header` is set.
    who: Option<String>,
    /// Why; `dismiss`, `close` and `comment` need it.
    why: Option<String>,
    /// The version that was seen; the same as `If-Match`. Without either, whatever there is changes.
    version: Option<i64>,
}

/// Moves an alert on, or adds a comment
#[utoipa::path(post, path = "/api/v1/alerts/{id}/transitions", operation_id = "change_alert", tag = "alerts",
    params(
        ("id" = String, Path, description = "The alert's id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the alert as it was seen")),
    request_body = Transition,
    responses(
        (status = 200, description = "The alert as it is now", body = AlertView,
            headers(("ETag" = String, description = "Its version, for `If-Match`"))),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Its state does not allow that", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "Somebody else changed it meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Who or why is missing", body = Problem, content_type = "application/problem+json")))]
pub async fn transition(
    State(shared): State<Arc<Shared>>,
    Id(id): Id<String>,
    IfMatch(seen): IfMatch,
    headers: HeaderMap,
    Body(body): Body<Transition>,
) -> Result<Response, Problem> {
    let who = officer(&headers, shared.user_header.as_deref(), body.who.as_deref())?;
    if seen.is_some() && body.version.is_some() && seen != body.version {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "If-Match and `version` differ; give one of them"));
    }
    let order = Order { action: body.action, who, why: body.why, version: seen.or(body.version) };
    blocking(move || {
        let (desk, now) = (shared.desk(), shared.clock.now());
        let alert = Cases::open(&shared.state_dir)?.act(&id, &order, &desk, now)?;
        shared.wake_dispatch();
        Ok(tagged(alert.version, AlertView::new(&alert, &shared.calendar)))
    })
    .await
}
