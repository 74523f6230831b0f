//! Tokens, for whoever manages them.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Problem,
    by::Requester,
    request::{JsonBody, PathId, blocking},
};
use crate::{
    access::{NewToken, Role, Roles, Token, token_lasts},
    daemon::Shared,
    event::{Instant, duration, time::Calendar},
    store::{Accounts, TokenSpec},
};

/// A token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenView {
    /// Its number; it opens nothing.
    id: String,
    /// What it is for.
    name: String,
    /// Whose it is; a program's if it is nobody's.
    user: Option<String>,
    /// What a program may with it; a user's may what the user may.
    roles: Vec<String>,
    /// `good`, `expired` or `revoked`.
    state: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
    created_by: String,
    #[schema(format = DateTime)]
    expires_at: String,
    /// When it was used last, to the minute.
    #[schema(format = DateTime)]
    used_at: Option<String>,
}

impl TokenView {
    /// A token as it is at a moment.
    #[must_use]
    pub fn new(token: &Token, calendar: &Calendar, now: Instant) -> Self {
        Self {
            id: token.id.clone(),
            name: token.name.clone(),
            user: token.owner.clone(),
            roles: token.roles.words(),
            state: token.state(now),
            created_at: calendar.format(token.created_at),
            created_by: token.created_by.clone(),
            expires_at: calendar.format(token.expires_at),
            used_at: token.used_at.map(|at| calendar.format(at)),
        }
    }
}

/// All tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenList {
    /// The newest first.
    tokens: Vec<TokenView>,
}

/// The tokens, without their secrets
#[utoipa::path(get, path = "/api/v1/tokens", operation_id = "list_tokens", tag = "users",
    responses((status = 200, description = "All of them, the newest first", body = TokenList)))]
pub(crate) async fn list(State(shared): State<Arc<Shared>>) -> Result<Json<TokenList>, Problem> {
    blocking(move || {
        let (now, tokens) = (shared.clock.now(), Accounts::open_read_only(&shared.state_dir)?.tokens()?);
        let view = |token: &Token| TokenView::new(token, &shared.calendar, now);
        Ok(Json(TokenList { tokens: tokens.iter().map(view).collect() }))
    })
    .await
}

/// A token to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenOrder {
    /// What it is for, such as `prometheus`.
    name: String,
    /// Whose it is: who sends it may what this user may.
    user: Option<String>,
    /// Of a program: `ingest`, `decide`, `metrics`, `read`.
    #[serde(default)]
    roles: Vec<String>,
    /// How long it is good, such as `30d`; `90d` without it, `400d` at most.
    duration: Option<String>,
}

/// A token that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenMade {
    /// Its number.
    id: String,
    /// What its bearer sends. It is shown now and never again.
    token: String,
    #[schema(format = DateTime)]
    expires_at: String,
}

/// Makes a token; it is shown once
#[utoipa::path(post, path = "/api/v1/tokens", operation_id = "add_token", tag = "users", request_body = TokenOrder,
    responses(
        (status = 201, description = "The token", body = TokenMade),
        (status = 409, description = "There is no such user", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The roles are none of a program, or it would be good for too long", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn add(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    headers: HeaderMap,
    JsonBody(order): JsonBody<TokenOrder>,
) -> Result<(StatusCode, Json<TokenMade>), Problem> {
    let actor = by.actor(&headers, None)?;
    let roles = match &order.user {
        Some(_) => Ok(Roles::default()),
        None => order
            .roles
            .iter()
            .map(|word| word.parse::<Role>())
            .collect::<Result<Vec<_>, _>>()
            .and_then(Roles::of_program),
    };
    let roles = roles.map_err(Problem::unprocessable)?;
    let lasts = duration(order.duration.as_deref().unwrap_or("90d")).and_then(token_lasts);
    let lasts = lasts.map_err(Problem::unprocessable)?;
    blocking(move || {
        let now = shared.clock.now();
        let spec =
            TokenSpec { name: order.name, owner: order.user, roles, expires_at: now.saturating_add(lasts) };
        let NewToken { id, text, .. } = Accounts::open(&shared.state_dir)?.add_token(&spec, &actor, now)?;
        let expires_at = shared.calendar.format(spec.expires_at);
        Ok((StatusCode::CREATED, Json(TokenMade { id, token: text, expires_at })))
    })
    .await
}

/// Revokes a token: from the next request on it is good for nothing
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", operation_id = "revoke_token", tag = "users",
    params(("id" = String, Path, description = "The token's number")),
    responses(
        (status = 204, description = "It is revoked"),
        (status = 409, description = "There is none that is not revoked", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn revoke(
    State(shared): State<Arc<Shared>>,
    PathId(id): PathId<String>,
    by: Requester,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let actor = by.actor(&headers, None)?;
    blocking(move || {
        Accounts::open(&shared.state_dir)?.revoke(&id, &actor, shared.clock.now())?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
