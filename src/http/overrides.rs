//! 特批: people let one blocked application pass.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    approvals::{office, wanted},
    by::Requester,
    page,
    request::{JsonBody, Params, PathId, Who, at_once, blocking, page_size},
};
use crate::{
    access::Actor,
    approval::{Office, Person},
    daemon::Shared,
    decision::{Override, OverrideAct, OverrideState},
    event::{Instant, time::Calendar},
    store::{CaseError, Cases, OverrideFilter},
};

/// The permission for one application to pass what blocked it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Override)]
pub(crate) struct OverrideView {
    /// Its number, for `override` of `decide`.
    override_id: i64,
    /// Where it stands.
    state: OverrideState,
    /// The application that was blocked.
    application: String,
    budget_line_id: String,
    /// The rules that it lets pass; others still block.
    rules: Vec<String>,
    /// The largest amount that passes.
    amount: String,
    reason: String,
    /// How many people have to grant it.
    needed: usize,
    /// Who did, the first first.
    granted: Vec<ActView>,
    #[schema(format = DateTime)]
    expires_at: String,
    /// Who took it back; null if nobody did.
    revoked: Option<ActView>,
    /// The application that passed by it; null if none did.
    used_by: Option<String>,
}

/// Who did something, and when.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverrideAct)]
pub(crate) struct ActView {
    who: String,
    #[schema(format = DateTime)]
    at: String,
}

impl OverrideView {
    fn new(of: Override, calendar: &Calendar, now: Instant) -> Self {
        let act = |act: OverrideAct| ActView { who: act.who, at: calendar.format(act.at) };
        Self {
            override_id: of.override_id,
            state: of.standing(now),
            application: of.application,
            budget_line_id: of.budget_line_id,
            rules: of.rules,
            amount: of.cents.to_string(),
            reason: of.reason,
            needed: of.needed,
            granted: of.grants.into_iter().map(act).collect(),
            expires_at: calendar.format(of.expires_at),
            revoked: of.revoked.map(act),
            used_by: of.used_by,
        }
    }
}

/// Who may let an application pass once, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OverrideOrder {
    /// Why.
    reason: String,
    /// The largest amount that passes; that of the application without it.
    amount: Option<String>,
    /// How long it is good, such as `4h`; `decide.overrides.lasts` without it.
    duration: Option<String>,
    /// Who grants it; the proxy in front tells it where `http.user_header` is set.
    who: Option<String>,
}

/// Lets a blocked application pass once
///
/// Somebody else than who asked grants it; above `decide.overrides.two_above` another person has to confirm it. The
/// application is then asked for again under another `event_id`, with `override`.
#[utoipa::path(post, path = "/api/v1/decisions/{event_id}/overrides", operation_id = "grant_override", tag = "decisions",
    params(("event_id" = String, Path, description = "The blocked application")), request_body = OverrideOrder,
    responses(
        (status = 201, description = "The override", body = OverrideView),
        (status = 404, description = "Nothing was decided of it", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is not blocked, has an override, or this person asked for it", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The reason is missing, or the amount or the time cannot be", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn grant(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    headers: HeaderMap,
    PathId(application): PathId<String>,
    JsonBody(order): JsonBody<OverrideOrder>,
) -> Result<(StatusCode, Json<OverrideView>), Problem> {
    let actor = by.actor(&headers, order.who.as_deref())?;
    let wish = wanted(&shared, &actor, true, (order.reason, order.amount, order.duration))?;
    blocking(move || {
        let (person, office) = (by.person(&actor), office(&shared)?);
        let mut cases = Cases::open(&shared.state_dir)?.by(actor);
        let granted = cases.grant_override(&application, &wish, (&person, &office))?;
        count(&shared, "granted");
        Ok((StatusCode::CREATED, Json(OverrideView::new(granted, &shared.calendar, shared.clock.now()))))
    })
    .await
}

/// Which overrides to list, the newest first.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OverrideQuery {
    /// Only those of this blocked application
    application: Option<String>,
    /// Only those after this one in the list: the `next` of the page before
    before: Option<i64>,
    /// At most so many
    limit: Option<u32>,
}

/// A page of overrides.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OverridePage {
    /// The newest first.
    overrides: Vec<OverrideView>,
    /// Give it as `before` for the next page; null on the last one.
    next: Option<i64>,
}

/// The overrides, the newest first
#[utoipa::path(get, path = "/api/v1/overrides", operation_id = "list_overrides", tag = "decisions", params(OverrideQuery),
    responses((status = 200, description = "A page", body = OverridePage)))]
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Params(listed): Params<OverrideQuery>,
) -> Result<Json<OverridePage>, Problem> {
    let limit = page_size(listed.limit)?;
    blocking(move || {
        let now = shared.clock.now();
        let cases = Cases::open_read_only(&shared.state_dir)?;
        let read = |before, limit| {
            cases.overrides(&OverrideFilter { application: listed.application.clone(), before, limit })
        };
        let show = |one: Override| OverrideView::new(one, &shared.calendar, now);
        let (overrides, next) = page::read(limit, listed.before, read, |one| one.override_id, show)?;
        Ok(Json(OverridePage { overrides, next }))
    })
    .await
}

/// One override
#[utoipa::path(get, path = "/api/v1/overrides/{id}", operation_id = "show_override", tag = "decisions",
    params(("id" = i64, Path, description = "The override's number")),
    responses(
        (status = 200, description = "The override", body = OverrideView),
        (status = 404, description = "There is no such override", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    PathId(id): PathId<i64>,
) -> Result<Json<OverrideView>, Problem> {
    blocking(move || {
        let found = Cases::open_read_only(&shared.state_dir)?.find_override(id)?;
        Ok(Json(OverrideView::new(found, &shared.calendar, shared.clock.now())))
    })
    .await
}

/// Grants an override as the second person
#[utoipa::path(post, path = "/api/v1/overrides/{id}/confirm", operation_id = "confirm_override", tag = "decisions",
    params(("id" = i64, Path, description = "The override's number"), Who),
    responses(
        (status = 200, description = "The override, which is in force", body = OverrideView),
        (status = 404, description = "There is no such override", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It waits for nobody, or this person granted it or asked", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Who is missing", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn confirm(
    State(shared): State<Arc<Shared>>,
    PathId(id): PathId<i64>,
    by: Requester,
    headers: HeaderMap,
    Params(Who { who }): Params<Who>,
) -> Result<Json<OverrideView>, Problem> {
    let actor = by.actor(&headers, who.as_deref())?;
    change(shared, (by, actor), "confirmed", move |cases, by, office| cases.confirm_override(id, by, office))
        .await
}

/// Takes an override back before it is used
#[utoipa::path(delete, path = "/api/v1/overrides/{id}", operation_id = "revoke_override", tag = "decisions",
    params(("id" = i64, Path, description = "The override's number"), Who),
    responses(
        (status = 200, description = "The override, which is over", body = OverrideView),
        (status = 404, description = "There is no such override", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is over already", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Who is missing", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn revoke(
    State(shared): State<Arc<Shared>>,
    PathId(id): PathId<i64>,
    by: Requester,
    headers: HeaderMap,
    Params(Who { who }): Params<Who>,
) -> Result<Json<OverrideView>, Problem> {
    let actor = by.actor(&headers, who.as_deref())?;
    change(shared, (by, actor), "revoked", move |cases, by, office| cases.revoke_override(id, by, office))
        .await
}

/// Does one thing with an override, and shows what became of it.
async fn change(
    shared: Arc<Shared>,
    (by, actor): (Requester, Actor),
    counted: &'static str,
    work: impl FnOnce(&mut Cases, (&Person, Instant), &Office) -> Result<Override, CaseError> + Send + 'static,
) -> Result<Json<OverrideView>, Problem> {
    blocking(move || {
        let now = shared.clock.now();
        let (person, office) = (by.person(&actor), office(&shared)?);
        let mut cases = Cases::open(&shared.state_dir)?.by(actor);
        let changed = work(&mut cases, (&person, now), &office)?;
        count(&shared, counted);
        Ok(Json(OverrideView::new(changed, &shared.calendar, now)))
    })
    .await
}

/// The override that an application asks to pass by.
pub(super) async fn find(shared: &Arc<Shared>, id: i64) -> Result<Override, Problem> {
    let shared = Arc::clone(shared);
    at_once(move || Ok(Cases::open_read_only(&shared.state_dir)?.find_override(id)?)).await
}

fn count(shared: &Shared, act: &str) {
    shared.metrics.overrides.with_label_values(&[act]).inc();
}
