//! An alert: what is known of it, and what officers do with it.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Problem,
    by::Requester,
    casework::terms,
    lens::Lens,
    page::Page,
    request::{IfMatch, JsonBody, PathId, blocking},
    view::{AlertView, ChangeView, DraftView, NoticeView, WaitingView},
};
use crate::{
    alert::{Action, Alert, CaseOutcome, desk::Order, inquiry},
    daemon::Shared,
    event::time::Calendar,
    finding::Finding,
    notify::letter::Draft,
    say,
    store::{CaseError, Cases, FINDINGS_MAX},
};

/// An alert with everything that is known of it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AlertDetail {
    /// The alert.
    pub alert: AlertView,
    /// What happened to it, oldest first; the latest of it, if it is longer than about 1 MiB.
    pub history: Vec<ChangeView>,
    /// How many older changes are left out of `history`.
    pub history_left_out: u64,
    /// Its latest findings, newest first; 100 and about 4 MiB at most.
    pub findings: Vec<Finding>,
    /// What is still to be told of it, and what holds that back.
    pub waiting: Vec<WaitingView>,
    /// What was told of it, newest first; 100 and about 4 MiB at most.
    pub notifications: Vec<NoticeView>,
    /// The letter to its unit, while it is a draft.
    pub draft: Option<DraftView>,
}

impl AlertDetail {
    /// Reads an alert.
    ///
    /// # Errors
    /// If there is none.
    pub fn read(
        cases: &Cases,
        id: &str,
        calendar: &Calendar,
        lens: Lens,
        drafts: impl FnOnce(&Alert, &[Finding]) -> Option<Draft>,
    ) -> Result<Self, CaseError> {
        let (alert, history, findings) = cases.show(id, FINDINGS_MAX)?;
        let told = cases.told_of(id, alert.opened_at, FINDINGS_MAX)?;
        let waiting = cases.waiting_for(id, FINDINGS_MAX)?;
        let history_left_out = cases.changes(id)?.saturating_sub(history.len() as u64);
        let draft = drafts(&alert, &findings).map(DraftView::from);
        let (alert, history, findings) = lens.case((alert, history, findings));
        Ok(Self {
            alert: AlertView::new(&alert, calendar),
            history_left_out,
            draft,
            history: history.iter().map(|change| ChangeView::new(change, calendar)).collect(),
            findings: Page::new(FINDINGS_MAX).fill(findings).rows,
            waiting: waiting.iter().map(|w| WaitingView::new(w, calendar)).collect(),
            notifications: Page::new(FINDINGS_MAX)
                .fill(told.iter().map(|notice| NoticeView::new(notice, calendar)))
                .rows,
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
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    PathId(id): PathId<String>,
) -> Result<Response, Problem> {
    let (limits, lens) = (by.limits(), by.lens());
    blocking(move || {
        let cases = Cases::open_read_only(&shared.state_dir)?.within(&limits);
        let (drafts, now) = (shared.receivers.borrow().drafts.clone(), shared.clock.now());
        let draft = |alert: &Alert, findings: &[Finding]| drafts?.write(alert, findings, now);
        let mut detail = AlertDetail::read(&cases, &id, &shared.calendar, lens, draft)?;
        if !limits.is_none() {
            // One message tells of several alerts.
            (detail.waiting, detail.notifications) = (Vec::new(), Vec::new());
        }
        detail.alert = detail.alert.named(&shared.rules_in_force().lists, now);
        Ok(tagged(detail.alert.version, detail))
    })
    .await
}

pub(super) fn tagged(version: i64, body: impl Serialize) -> Response {
    ([(header::ETAG, format!("\"{version}\""))], Json(body)).into_response()
}

/// What to do with an alert.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transition {
    /// `acknowledge`, `confirm`, `dismiss`, `rectify`, `close`, `comment`, `assign`, `postpone`, `merge` or `withdraw`; a
    /// letter is sent by `inquire` next door, and a second officer decides by `review`.
    action: Action,
    /// Who does it; the proxy in front tells it where `http.user_header` is set.
    who: Option<String>,
    /// Why; `dismiss`, `close`, `comment` and `postpone` need it.
    why: Option<String>,
    /// Who is to have it, for `assign`; `-` for nobody.
    to: Option<String>,
    /// The last day, for `postpone`.
    #[schema(format = Date)]
    due: Option<String>,
    /// What came of it, for `close`.
    outcome: Option<CaseOutcome>,
    /// The outcome's amount in yuan, such as `1200.00`.
    amount: Option<String>,
    /// The alert that goes on with it, for `merge`.
    into: Option<String>,
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
pub(crate) async fn transition(
    State(shared): State<Arc<Shared>>,
    PathId(id): PathId<String>,
    IfMatch(seen): IfMatch,
    by: Requester,
    headers: HeaderMap,
    JsonBody(body): JsonBody<Transition>,
) -> Result<Response, Problem> {
    let actor = by.actor(&headers, body.who.as_deref())?;
    let version = one_version(seen, body.version)?;
    let terms = terms(
        body.action,
        (body.to, body.into),
        body.due.as_deref(),
        (body.outcome, body.amount.as_deref()),
    )?;
    let who = actor.who.clone();
    let order = Order { action: body.action, who, why: body.why, version, letter: None, terms };
    let (limits, lens) = (by.limits(), by.lens());
    blocking(move || {
        let (desk, now) = (shared.desk_with_people(), shared.clock.now());
        let mut cases = Cases::open(&shared.state_dir)?.by(actor).within(&limits);
        let alert = cases.act(&id, &order, &desk, now)?;
        shared.wake_dispatch();
        Ok(tagged(alert.version, lens.alert(alert, &cases, &shared.calendar)?))
    })
    .await
}

/// The version that the officer saw, by the header or in the body.
pub(super) fn one_version(header: Option<i64>, body: Option<i64>) -> Result<Option<i64>, Problem> {
    match header.is_some() && body.is_some() && header != body {
        true => Err(Problem::bad_request(say!("If-Match and `version` differ; give one of them"))),
        false => Ok(header.or(body)),
    }
}

/// A letter that goes out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewInquiry {
    /// Who sends it; the proxy in front tells it where `http.user_header` is set.
    who: Option<String>,
    /// Workdays that the unit has for its answer, by the list of holidays; `alerts.explain.deadline` without it.
    #[schema(minimum = 1, maximum = 60)]
    deadline: Option<u16>,
    /// What is added to the letter, for the unit to read.
    note: Option<String>,
    /// Whether a unit that was asked already is asked again.
    #[serde(default)]
    again: bool,
    /// The version that was seen; the same as `If-Match`. Without either, whatever there is changes.
    version: Option<i64>,
}

/// Sends the letter that asks the alert's unit to explain
///
/// Whoever sends it takes the alert on, if nobody has.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/inquire", operation_id = "inquire_alert", tag = "alerts",
    params(
        ("id" = String, Path, description = "The alert's id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the alert as it was seen")),
    request_body = NewInquiry,
    responses(
        (status = 200, description = "The alert as it is now; the letter goes out", body = AlertView,
            headers(("ETag" = String, description = "Its version, for `If-Match`"))),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is over, or the unit was asked already", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "Somebody else changed it meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The unit cannot be reached, or who is missing", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn inquire(
    State(shared): State<Arc<Shared>>,
    PathId(id): PathId<String>,
    IfMatch(seen): IfMatch,
    by: Requester,
    headers: HeaderMap,
    JsonBody(body): JsonBody<NewInquiry>,
) -> Result<Response, Problem> {
    let actor = by.actor(&headers, body.who.as_deref())?;
    let (who, version) = (actor.who.clone(), one_version(seen, body.version)?);
    let (limits, lens) = (by.limits(), by.lens());
    blocking(move || {
        let (desk, now) = (shared.desk_with_people(), shared.clock.now());
        let lists = shared.receivers.borrow().lists.clone();
        let mut cases = Cases::open(&shared.state_dir)?.by(actor).within(&limits);
        let (alert, ..) = cases.show(&id, 0)?;
        let by = (who, body.note, version);
        let order = inquiry::order(&alert, &desk, &lists, by, (body.deadline, body.again), now);
        let alert = cases.act(&id, &order.map_err(CaseError::from)?, &desk, now)?;
        shared.wake_dispatch();
        Ok(tagged(alert.version, lens.alert(alert, &cases, &shared.calendar)?))
    })
    .await
}
