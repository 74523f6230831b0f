//! Users and tokens, for whoever manages them: who is known, what they may, and when they were here last.

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
    access::{Limits, Password, Role, Roles, User},
    daemon::Shared,
    event::time::Calendar,
    say,
    store::{AccountError, Accounts, Factor},
};

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserView {
    name: String,
    roles: Vec<String>,
    /// The beginnings of the codes of units that the roles are limited to; none for all.
    units: Vec<String>,
    /// The same of regions.
    regions: Vec<String>,
    /// `enabled`, or `disabled`: then they may nothing.
    state: &'static str,
    /// Whether they can log in by a password.
    has_password: bool,
    /// `on`, `required` (and not set up yet) or `off`.
    second_factor: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
    created_by: String,
    /// When they were here last, to the minute.
    #[schema(format = DateTime)]
    seen_at: Option<String>,
}

impl UserView {
    /// A user, and how they stand with a second factor if they have a password.
    #[must_use]
    pub fn new(user: &User, factor: Option<&Factor>, calendar: &Calendar) -> Self {
        Self {
            name: user.name.clone(),
            roles: user.roles.words(),
            units: user.roles.limits().units.clone(),
            regions: user.roles.limits().regions.clone(),
            state: if user.disabled_at.is_some() { "disabled" } else { "enabled" },
            has_password: factor.is_some(),
            second_factor: match factor {
                Some(factor) if factor.secret().is_some() => "on",
                Some(factor) if factor.is_required => "required",
                _ => "off",
            },
            created_at: calendar.format(user.created_at),
            created_by: user.created_by.clone(),
            seen_at: user.seen_at.map(|at| calendar.format(at)),
        }
    }
}

/// All users.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserList {
    /// By name.
    users: Vec<UserView>,
}

/// The users
#[utoipa::path(get, path = "/api/v1/users", operation_id = "list_users", tag = "users",
    responses((status = 200, description = "All of them, by name", body = UserList)))]
pub(crate) async fn list(State(shared): State<Arc<Shared>>) -> Result<Json<UserList>, Problem> {
    blocking(move || {
        let accounts = Accounts::open_read_only(&shared.state_dir)?;
        let factors = accounts.factors()?;
        let users = accounts.users()?;
        let view = |user: &User| UserView::new(user, factors.get(&user.name), &shared.calendar);
        Ok(Json(UserList { users: users.iter().map(view).collect() }))
    })
    .await
}

/// A user to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    /// What they log in with, and as a proxy or the operating system names them.
    name: String,
    /// What they are there for: `officer`, `supervisor`, `author`, `approver`, `auditor`, `security`, `system`.
    roles: Vec<String>,
    /// The beginnings of the codes of units that the roles are limited to; all without it.
    #[serde(default)]
    units: Vec<String>,
    /// The same of regions.
    #[serde(default)]
    regions: Vec<String>,
    /// Their first password; without it they come by a token or a proxy.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Password>,
}

/// Adds a user
#[utoipa::path(post, path = "/api/v1/users", operation_id = "add_user", tag = "users", request_body = NewUser,
    responses(
        (status = 201, description = "The user", body = UserView),
        (status = 409, description = "There is one of that name", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The roles do not go together, or the password may not be", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn add(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    headers: HeaderMap,
    JsonBody(new): JsonBody<NewUser>,
) -> Result<(StatusCode, Json<UserView>), Problem> {
    let actor = by.actor(&headers, None)?;
    let roles = roles(&new.roles, new.units, new.regions)?;
    blocking(move || {
        let kept = new.password.map(|password| kept(&password, &new.name)).transpose()?;
        let mut accounts = Accounts::open(&shared.state_dir)?;
        accounts.add_user_with((&new.name, kept.as_deref()), &roles, &actor, shared.clock.now())?;
        Ok((StatusCode::CREATED, Json(shown(&accounts, &new.name, &shared.calendar)?)))
    })
    .await
}

/// What is to change of a user. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserChange {
    /// Other roles than before; all their sessions end.
    roles: Option<Vec<String>>,
    /// With `roles`: the beginnings of the codes of units that they are limited to; all without it.
    #[serde(default)]
    units: Vec<String>,
    /// The same of regions.
    #[serde(default)]
    regions: Vec<String>,
    /// Whether they may anything; all their sessions end.
    enabled: Option<bool>,
    /// Another password; all their sessions end.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Password>,
    /// Whether they must have a second factor.
    second_factor_required: Option<bool>,
    /// Takes their second factor away, because they have lost it; all their sessions end.
    #[serde(default)]
    reset_second_factor: bool,
}

/// Changes what a user may, or logs in with. Nobody changes what they may themselves
#[utoipa::path(patch, path = "/api/v1/users/{name}", operation_id = "change_user", tag = "users",
    params(("name" = String, Path, description = "The user's name")), request_body = UserChange,
    responses(
        (status = 200, description = "The user as they are then", body = UserView),
        (status = 409, description = "There is no such user, it is oneself, or nobody would be left to manage users", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The roles do not go together, or the password may not be", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn change(
    State(shared): State<Arc<Shared>>,
    PathId(name): PathId<String>,
    by: Requester,
    headers: HeaderMap,
    JsonBody(change): JsonBody<UserChange>,
) -> Result<Json<UserView>, Problem> {
    let actor = by.actor(&headers, None)?;
    if change.roles.is_none() && !(change.units.is_empty() && change.regions.is_empty()) {
        return Err(Problem::unprocessable(say!("name the roles that are to be limited too (`roles`)")));
    }
    let (units, regions) = (change.units, change.regions);
    let roles = change.roles.as_deref().map(|words| roles(words, units, regions)).transpose()?;
    blocking(move || {
        let now = shared.clock.now();
        let kept = change.password.map(|password| kept(&password, &name)).transpose()?;
        let mut accounts = Accounts::open(&shared.state_dir)?;
        if let Some(roles) = roles {
            accounts.set_roles(&name, &roles, &actor, now)?;
        }
        if let Some(enabled) = change.enabled {
            accounts.set_enabled(&name, enabled, &actor, now)?;
        }
        if let Some(kept) = kept {
            accounts.set_password(&name, &kept, &actor, now)?;
        }
        if change.reset_second_factor {
            accounts.remove_factor(&name, &actor, now)?;
        }
        if let Some(is_required) = change.second_factor_required {
            accounts.require_factor(&name, is_required, &actor, now)?;
        }
        Ok(Json(shown(&accounts, &name, &shared.calendar)?))
    })
    .await
}

fn shown(accounts: &Accounts, name: &str, calendar: &Calendar) -> Result<UserView, Problem> {
    let user = accounts.user(name)?.ok_or_else(|| AccountError::Refused(crate::store::no_user(name)))?;
    Ok(UserView::new(&user, accounts.factor(name)?.as_ref(), calendar))
}

fn roles(words: &[String], units: Vec<String>, regions: Vec<String>) -> Result<Roles, Problem> {
    let roles: Result<Vec<Role>, String> = words.iter().map(|word| word.parse()).collect();
    let roles = roles.and_then(Roles::of_person).map_err(Problem::unprocessable)?;
    Ok(roles.limited_to(Limits::new(units, regions).map_err(Problem::unprocessable)?))
}

fn kept(password: &Password, name: &str) -> Result<String, Problem> {
    password.check(name).and_then(|()| password.hash()).map_err(Problem::unprocessable)
}
