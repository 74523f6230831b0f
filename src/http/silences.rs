//! Silences: who is not to hear of what, until when and why.

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
    by::Requester,
    page,
    request::{JsonBody, Params, PathId, Who, blocking, page_size},
    view::{Preview, SilenceView},
};
use crate::{
    alert::{Matchers, Silence},
    daemon::Shared,
    event::{TimeDelta, duration},
    say,
    store::Cases,
    text::quoted,
};

/// Which silences to list, the newest first.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SilenceFilter {
    /// Those that are over too.
    #[serde(default)]
    expired: bool,
    /// Only those after this one in the list: the `next` of the page before.
    before: Option<i64>,
    /// At most so many.
    limit: Option<u32>,
}

/// A page of silences.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SilencePage {
    /// The newest first.
    silences: Vec<SilenceView>,
    /// Give it as `before` for the next page; null on the last one.
    next: Option<i64>,
}

/// The silences in force or to come, the newest first
#[utoipa::path(get, path = "/api/v1/silences", operation_id = "list_silences", tag = "silences", params(SilenceFilter),
    responses((status = 200, description = "A page", body = SilencePage)))]
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Params(filter): Params<SilenceFilter>,
) -> Result<Json<SilencePage>, Problem> {
    let limit = page_size(filter.limit)?;
    blocking(move || {
        let now = shared.clock.now();
        let cases = Cases::open_read_only(&shared.state_dir)?;
        let list = |before, limit| cases.silences(now, filter.expired, before, limit);
        let show = |silence: Silence| SilenceView::new(&silence, &shared.calendar, now);
        let (silences, next) = page::read(limit, filter.before, list, |silence| silence.silence_id, show)?;
        Ok(Json(SilencePage { silences, next }))
    })
    .await
}

/// A silence to be ordered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSilence {
    /// Matchers such as `rule="large-cash"`; all must match, and one at least must name a value.
    matchers: Vec<String>,
    /// From when; now without it.
    #[schema(format = DateTime)]
    starts_at: Option<String>,
    /// Until when.
    #[schema(format = DateTime)]
    ends_at: Option<String>,
    /// Or how long, such as `2h`.
    duration: Option<String>,
    /// Who orders it; the proxy in front tells it where `http.user_header` is set.
    author: Option<String>,
    /// Why.
    reason: Option<String>,
}

/// Orders a silence
#[utoipa::path(post, path = "/api/v1/silences", operation_id = "add_silence", tag = "silences", request_body = NewSilence,
    responses(
        (status = 201, description = "The silence", body = SilenceView),
        (status = 422, description = "It would silence everything or nothing, or who or why is missing",
            body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn add(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    headers: HeaderMap,
    JsonBody(new): JsonBody<NewSilence>,
) -> Result<(StatusCode, Json<SilenceView>), Problem> {
    let actor = by.actor(&headers, new.author.as_deref())?;
    let now = shared.clock.now();
    let time = |text: &str| {
        shared.calendar.parse(text).map_err(|e| {
            Problem::unprocessable(say!("{text} is no time: {reason}", text = quoted(text), reason = e))
        })
    };
    let starts_at = new.starts_at.as_deref().map_or(Ok(now), time)?;
    let ends_at = match (new.ends_at.as_deref(), new.duration.as_deref()) {
        (Some(text), None) => time(text)?,
        (None, Some(text)) => {
            let duration = duration(text).map_err(Problem::unprocessable)?;
            starts_at.saturating_add(TimeDelta::of(duration))
        }
        _ => return Err(Problem::unprocessable(say!("say until when: give either `ends_at` or `duration`"))),
    };
    let silence = Silence {
        silence_id: 0,
        matchers: Matchers::parse(&new.matchers).map_err(Problem::unprocessable)?,
        starts_at,
        ends_at,
        author: actor.who.clone(),
        reason: new.reason.unwrap_or_default(),
        created_at: now,
        expired_by: None,
    };
    blocking(move || {
        let silence = Cases::open(&shared.state_dir)?.by(actor).silence(&silence, now)?;
        Ok((StatusCode::CREATED, Json(SilenceView::new(&silence, &shared.calendar, now))))
    })
    .await
}

/// One silence
#[utoipa::path(get, path = "/api/v1/silences/{id}", operation_id = "show_silence", tag = "silences",
    params(("id" = i64, Path, description = "The silence's number")),
    responses(
        (status = 200, description = "The silence", body = SilenceView),
        (status = 404, description = "There is no such silence", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    PathId(id): PathId<i64>,
) -> Result<Json<SilenceView>, Problem> {
    blocking(move || {
        let silence = Cases::open_read_only(&shared.state_dir)?.find_silence(id)?;
        Ok(Json(SilenceView::new(&silence, &shared.calendar, shared.clock.now())))
    })
    .await
}

/// Ends a silence now
#[utoipa::path(delete, path = "/api/v1/silences/{id}", operation_id = "end_silence", tag = "silences",
    params(("id" = i64, Path, description = "The silence's number"), Who),
    responses(
        (status = 200, description = "The silence, which is over", body = SilenceView),
        (status = 404, description = "There is no such silence", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is over already", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Who is missing", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn expire(
    State(shared): State<Arc<Shared>>,
    PathId(id): PathId<i64>,
    by: Requester,
    headers: HeaderMap,
    Params(Who { who }): Params<Who>,
) -> Result<Json<SilenceView>, Problem> {
    let actor = by.actor(&headers, who.as_deref())?;
    let who = actor.who.clone();
    blocking(move || {
        let now = shared.clock.now();
        let silence = Cases::open(&shared.state_dir)?.by(actor).expire(id, &who, now)?;
        shared.wake_dispatch();
        Ok(Json(SilenceView::new(&silence, &shared.calendar, now)))
    })
    .await
}

/// Matchers to be tried.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MatcherTrial {
    /// Matchers such as `rule="large-cash"`; all must match.
    matchers: Vec<String>,
}

/// The alerts that a silence would mute now
#[utoipa::path(post, path = "/api/v1/silences/preview", operation_id = "preview_silence", tag = "silences", request_body = MatcherTrial,
    responses((status = 200, description = "The alerts that are not over and match", body = Preview)))]
pub(crate) async fn preview(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    JsonBody(trial): JsonBody<MatcherTrial>,
) -> Result<Json<Preview>, Problem> {
    let matchers = Matchers::parse(&trial.matchers).map_err(Problem::unprocessable)?;
    Silence::check_matchers(&matchers).map_err(Problem::unprocessable)?;
    let lens = by.lens();
    blocking(move || {
        let cases = Cases::open_read_only(&shared.state_dir)?;
        let muted = cases.muted_by(&matchers)?;
        let alerts = lens.alerts(muted.alerts, &cases, &shared.calendar)?;
        Ok(Json(Preview { count: muted.count, complete: muted.complete, alerts }))
    })
    .await
}
