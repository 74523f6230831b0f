//! Sessions: who logs in and out in a browser, and who is logged in.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Problem,
    by::{Authenticated, Requester, Way, by_session},
    cookie,
    logins::{Claim, Logins},
    oidc::SingleSignOn,
    request::{JsonBody, PathId, blocking},
};
use crate::{
    access::{Action, Identity, Limits, NewToken, Password, Session, decide},
    daemon::Shared,
    event::time::Calendar,
    say,
    store::{Accounts, Factor},
};

/// Whoever asks, and what they may.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OwnSession)]
pub(crate) struct OwnSession {
    /// Whether anybody is asked who they are (`http.auth`). If not, everybody may do everything.
    auth: bool,
    /// Who asks; null if nobody knows.
    user: Option<String>,
    /// By what they are known: `session`, `token`, `proxy`, `certificate` or, at the socket, `local`.
    by: Option<&'static str>,
    /// Their roles.
    roles: Vec<String>,
    /// The beginnings of the codes of units that these are limited to; none for all.
    units: Vec<String>,
    /// The same of regions.
    regions: Vec<String>,
    /// What they may do; `fiscwatch access show` has the requests behind each.
    actions: Vec<&'static str>,
    /// What every request that changes something sends as `X-CSRF-Token`; of a session only.
    csrf: Option<String>,
    /// How they stand with a second factor: `on`, `off`, or `missing`: then it is set up before anything else. Of a session
    /// only, and of nobody who logs in elsewhere.
    second_factor: Option<&'static str>,
    /// When the session ends if no request comes. One with the header `X-Background` does not count: it is for what a page
    /// asks by itself.
    #[schema(format = DateTime)]
    idle_until: Option<String>,
    /// When it ends whatever comes.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// What the button says by which one logs in elsewhere (`GET /api/v1/session/oidc`); null where there is no provider.
    single_sign_on: Option<String>,
    /// Of a demo on this machine: users that anybody may log in as. Elsewhere there are none.
    offers: Vec<OfferView>,
}

/// A user of a demo, and what one logs in with to be them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DemoUser)]
pub(crate) struct OfferView {
    user: String,
    password: String,
    role: &'static str,
}

impl OwnSession {
    fn of(known: Option<&Authenticated>, shared: &Shared) -> Self {
        let (auth, time) = (shared.clients.auth || known.is_some(), |at| shared.calendar.format(at));
        let session = known.and_then(|known| match &known.way {
            Way::Session { session, factor, .. } => Some((session, factor)),
            _ => None,
        });
        let stands =
            |factor: &Factor| match (factor.secret(), factor.is_missing(shared.clients.second_factor)) {
                (Some(_), _) => "on",
                (None, true) => "missing",
                (None, false) => "off",
            };
        let limits = known.map_or_else(Limits::default, |known| known.identity.roles.limits().clone());
        let may =
            |action: &Action| !auth || known.is_some_and(|known| decide(&known.identity.roles, *action));
        Self {
            auth,
            user: known.map(|known| known.identity.name.clone()),
            by: known.map(|known| known.way.word()),
            roles: known.map_or_else(Vec::new, |known| known.identity.roles.words()),
            units: limits.units,
            regions: limits.regions,
            actions: Action::ALL.iter().filter(|action| may(action)).map(|action| action.word()).collect(),
            csrf: known.and_then(|known| known.way.csrf()).map(str::to_owned),
            second_factor: session
                .filter(|(_, factor)| !factor.is_elsewhere())
                .map(|(_, factor)| stands(factor)),
            idle_until: session.map(|(session, _)| time(session.idle_until())),
            until: session.map(|(session, _)| time(session.until())),
            single_sign_on: shared.clients.oidc.as_ref().map(|oidc| {
                oidc.label.clone().unwrap_or_else(|| say!("Log in with the account of your organisation"))
            }),
            offers: shared
                .clients
                .offers
                .iter()
                .map(|offer| OfferView {
                    user: offer.user.clone(),
                    password: offer.password.clone(),
                    role: offer.role,
                })
                .collect(),
        }
    }
}

/// Who am I, and what may I do
#[utoipa::path(get, path = "/api/v1/session", operation_id = "show_own_session", tag = "sessions",
    responses((status = 200, description = "Whoever asks, known or not", body = OwnSession)))]
pub(crate) async fn show(State(shared): State<Arc<Shared>>, by: Requester) -> Json<OwnSession> {
    Json(OwnSession::of(by.known.as_ref(), &shared))
}

/// A name and a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    user: String,
    #[schema(value_type = String, format = Password)]
    password: Password,
    /// The code of who has a second factor; without it the answer is 401 with the `reason` `totp`.
    totp: Option<String>,
}

/// Logs in: the answer sets the cookie of a session
#[utoipa::path(post, path = "/api/v1/session", operation_id = "log_in", tag = "sessions", request_body = Login,
    responses(
        (status = 200, description = "The session that has begun", body = OwnSession),
        (status = 401, description = "The name, the password or the code is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Nobody has to log in here (`http.auth`)", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "There were too many wrong ones; `Retry-After` says how long to wait", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn log_in(
    State(shared): State<Arc<Shared>>,
    State(logins): State<Arc<Logins>>,
    by: Requester,
    JsonBody(login): JsonBody<Login>,
) -> Result<Response, Problem> {
    asked_for(&shared)?;
    let claim = Claim { user: login.user, password: login.password, totp: login.totp, peer: by.peer };
    let begun = logins.log_in(&shared, claim).await?;
    // Whoever had a session of this browser has it no more.
    if let Some(Authenticated { way: Way::Session { session, .. }, .. }) = &by.known {
        end(&shared, session.id.clone(), &by).await?;
    }
    answer(begun, &shared).await
}

/// Another password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    /// The one until now.
    #[schema(value_type = String, format = Password)]
    password: Password,
    /// The new one: at least 12 characters, without the user's name, and none of those that are tried first.
    #[schema(value_type = String, format = Password)]
    new: Password,
    /// The code of who has a second factor.
    totp: Option<String>,
}

/// Changes one's own password: all sessions end, and a new one begins
#[utoipa::path(post, path = "/api/v1/session/password", operation_id = "change_own_password", tag = "sessions",
    request_body = PasswordChange,
    responses(
        (status = 200, description = "The new session", body = OwnSession),
        (status = 401, description = "The password until now is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is nobody with a password who asks", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The new one may not be", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn change_password(
    State(shared): State<Arc<Shared>>,
    State(logins): State<Arc<Logins>>,
    by: Requester,
    JsonBody(change): JsonBody<PasswordChange>,
) -> Result<Response, Problem> {
    asked_for(&shared)?;
    let user = person(&by)?.name.clone();
    let claim = Claim { user, password: change.password, totp: change.totp, peer: by.peer };
    answer(logins.change(&shared, claim, change.new).await?, &shared).await
}

/// Where whoever logged in elsewhere logs out there too.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoggedOut {
    /// Send the browser there.
    log_out_at: String,
}

/// Logs out: the session ends
#[utoipa::path(delete, path = "/api/v1/session", operation_id = "log_out", tag = "sessions",
    responses(
        (status = 200, description = "Nobody is logged in any more here, but at the provider of identities", body = LoggedOut),
        (status = 204, description = "Nobody is logged in any more")))]
pub(crate) async fn log_out(
    State(shared): State<Arc<Shared>>,
    State(single): State<Arc<SingleSignOn>>,
    by: Requester,
) -> Result<Response, Problem> {
    let mut elsewhere = None;
    if let Some(Authenticated { way: Way::Session { session, factor, .. }, .. }) = &by.known {
        end(&shared, session.id.clone(), &by).await?;
        if factor.is_elsewhere() {
            elsewhere = single.log_out_at();
        }
    }
    let answer = match elsewhere {
        Some(log_out_at) => Json(LoggedOut { log_out_at }).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    };
    Ok(with_cookie(answer, cookie::forget(&shared.clients)))
}

/// A session of somebody.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionView {
    /// Its number; it opens nothing.
    id: String,
    user: String,
    /// The address that it was begun from.
    place: String,
    #[schema(format = DateTime)]
    began_at: String,
    /// When its last request came, to the minute.
    #[schema(format = DateTime)]
    seen_at: String,
    /// When it ends if no request comes.
    #[schema(format = DateTime)]
    idle_until: String,
}

impl SessionView {
    fn new(session: Session, calendar: &Calendar) -> Self {
        let time = |at| calendar.format(at);
        Self {
            began_at: time(session.began_at),
            seen_at: time(session.seen_at),
            idle_until: time(session.idle_until()),
            id: session.id,
            user: session.user,
            place: session.place,
        }
    }
}

/// The sessions that there are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionList {
    /// The newest first; at most 1000.
    sessions: Vec<SessionView>,
}

/// Who is logged in
#[utoipa::path(get, path = "/api/v1/sessions", operation_id = "list_sessions", tag = "sessions",
    responses((status = 200, description = "The sessions that are not over", body = SessionList)))]
pub(crate) async fn list(State(shared): State<Arc<Shared>>) -> Result<Json<SessionList>, Problem> {
    blocking(move || {
        let sessions = Accounts::open_read_only(&shared.state_dir)?.sessions(shared.clock.now())?;
        let view = |session| SessionView::new(session, &shared.calendar);
        Ok(Json(SessionList { sessions: sessions.into_iter().map(view).collect() }))
    })
    .await
}

/// Ends somebody's session at once
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", operation_id = "end_session", tag = "sessions",
    params(("id" = String, Path, description = "The session's number")),
    responses(
        (status = 204, description = "It is over"),
        (status = 404, description = "There is no such session", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn expel(
    State(shared): State<Arc<Shared>>,
    PathId(id): PathId<String>,
    by: Requester,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let actor = by.actor(&headers, None)?;
    blocking(move || {
        let mut accounts = Accounts::open(&shared.state_dir)?;
        match accounts.end_session(&id, &actor, shared.clock.now())? {
            true => Ok(StatusCode::NO_CONTENT),
            false => {
                let detail =
                    say!("there is no session {id}: it may be over already", id = crate::text::quoted(&id));
                Err(Problem::new(StatusCode::NOT_FOUND, detail))
            }
        }
    })
    .await
}

/// The person who asks.
///
/// # Errors
/// If it is a program.
pub(crate) fn person(by: &Requester) -> Result<&Identity, Problem> {
    let person = by.known.as_ref().map(|known| &known.identity).filter(|identity| !identity.is_program);
    person.ok_or_else(|| Problem::new(StatusCode::CONFLICT, say!("programs have tokens and no passwords")))
}

/// Whether anybody logs in here.
///
/// # Errors
/// If nobody does.
pub(crate) fn asked_for(shared: &Shared) -> Result<(), Problem> {
    match shared.clients.auth || !shared.clients.offers.is_empty() {
        true => Ok(()),
        false => {
            let detail = say!("nobody has to log in here: http.auth is off, and everybody may do everything");
            Err(Problem::new(StatusCode::CONFLICT, detail))
        }
    }
}

async fn end(shared: &Arc<Shared>, id: String, by: &Requester) -> Result<(), Problem> {
    let (shared, actor) = (Arc::clone(shared), by.unnamed());
    // One that is over already is what was asked for.
    blocking(move || {
        Accounts::open(&shared.state_dir)?.end_session(&id, &actor, shared.clock.now())?;
        Ok(())
    })
    .await
}

/// What is told of a session that has begun, with its cookie.
async fn answer((cookie, session): (NewToken, Session), shared: &Arc<Shared>) -> Result<Response, Problem> {
    let (own, text, user) = (Arc::clone(shared), cookie.text, session.user.clone());
    let read = blocking(move || {
        let accounts = Accounts::open_read_only(&own.state_dir)?;
        let factor = accounts.factor(&user)?.unwrap_or_default();
        let identity = accounts.user(&user)?.and_then(|user| user.identity());
        Ok((identity.ok_or_else(super::sign_in::unknown)?, factor))
    });
    let (identity, factor) = read.await?;
    let known = Authenticated { identity, way: by_session((session, factor), &text) };
    let answer = Json(OwnSession::of(Some(&known), shared)).into_response();
    Ok(with_cookie(answer, cookie::keep(&text, &shared.clients)))
}

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
