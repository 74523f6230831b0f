//! Notifications: what was told, what waits, what was refused.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Problem,
    by::Requester,
    page,
    request::{JsonBody, Params, PathId, blocking, page_size},
    view::NoticeView,
};
use crate::{
    daemon::Shared,
    store::{Cases, Notice, NoticeFilter},
};

/// A page of notifications.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NoticePage {
    /// The newest first.
    notifications: Vec<NoticeView>,
    /// Give it as `before` for the next page; null on the last one.
    next: Option<i64>,
}

/// The notifications, the newest first
#[utoipa::path(get, path = "/api/v1/notifications", operation_id = "list_notifications", tag = "notifications", params(NoticeFilter),
    responses((status = 200, description = "A page", body = NoticePage)))]
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Params(mut filter): Params<NoticeFilter>,
) -> Result<Json<NoticePage>, Problem> {
    filter.check().map_err(Problem::bad_request)?;
    let limit = page_size(filter.limit)?;
    blocking(move || {
        let (cases, before) = (Cases::open_read_only(&shared.state_dir)?, filter.before);
        let list = |before, limit| {
            (filter.before, filter.limit) = (before, Some(limit));
            cases.notifications(&filter)
        };
        let show = |notice: Notice| NoticeView::new(&notice, &shared.calendar);
        let (notifications, next) = page::read(limit, before, list, |notice| notice.seq, show)?;
        Ok(Json(NoticePage { notifications, next }))
    })
    .await
}

/// Nothing: `{}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// Tries a notification again that is parked or waits
#[utoipa::path(post, path = "/api/v1/notifications/{id}/retry", operation_id = "retry_notification", tag = "notifications",
    params(("id" = String, Path, description = "The notification's id")), request_body = Nothing,
    responses(
        (status = 200, description = "The notification, which is tried at once", body = NoticeView),
        (status = 404, description = "There is no such notification", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The sink has it already", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn retry(
    State(shared): State<Arc<Shared>>,
    PathId(id): PathId<String>,
    by: Requester,
    JsonBody(Nothing {}): JsonBody<Nothing>,
) -> Result<Json<NoticeView>, Problem> {
    let actor = by.unnamed();
    blocking(move || {
        let notice = Cases::open(&shared.state_dir)?.by(actor).retry_one(&id, shared.clock.now())?;
        shared.wake_dispatch();
        Ok(Json(NoticeView::new(&notice, &shared.calendar)))
    })
    .await
}
