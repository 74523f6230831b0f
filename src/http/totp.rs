//! The second factor of one's own: set up, confirmed by a first code, and taken away.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Problem,
    by::Requester,
    logins::{Claim, Logins},
    request::{JsonBody, blocking},
    session::{asked_for, person},
};
use crate::{
    access::{Actor, Password, SecondFactor},
    daemon::Shared,
    say,
    store::{Accounts, Used},
};

/// Says once more who one is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Again)]
pub(crate) struct Reauthentication {
    #[schema(value_type = String, format = Password)]
    password: Password,
    /// A code, of who has a second factor.
    totp: Option<String>,
}

/// What an authenticator needs. It is shown once.
#[derive(Serialize, ToSchema)]
#[schema(as = Offer)]
pub(crate) struct TotpEnrolment {
    /// The secret in Base32, to be typed.
    secret: String,
    /// The same as `otpauth://…`, to be shown as a QR code.
    url: String,
}

/// Begins to set up a second factor: its first code confirms it
#[utoipa::path(post, path = "/api/v1/session/totp", operation_id = "offer_totp", tag = "sessions", request_body = Reauthentication,
    responses(
        (status = 200, description = "What an authenticator needs", body = TotpEnrolment),
        (status = 401, description = "The password is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "There is one already", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn offer(
    State(shared): State<Arc<Shared>>,
    State(logins): State<Arc<Logins>>,
    by: Requester,
    JsonBody(again): JsonBody<Reauthentication>,
) -> Result<Json<TotpEnrolment>, Problem> {
    let claim = claim(&shared, &by, again)?;
    let offer = logins.compared(&shared, claim, |shared, claim, _| {
        let factor = SecondFactor::make(&claim.user);
        let offer = TotpEnrolment { secret: factor.text(), url: factor.url() };
        let mut accounts = Accounts::open(&shared.state_dir)?;
        accounts.offer_factor(&offer.secret, &claim.actor(), shared.clock.now())?;
        Ok(offer)
    });
    Ok(Json(offer.await?))
}

/// A code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Code {
    /// Six digits.
    totp: String,
}

/// Confirms a second factor by its first code: each login asks for one from then on, and other sessions end
#[utoipa::path(post, path = "/api/v1/session/totp/confirm", operation_id = "confirm_totp", tag = "sessions", request_body = Code,
    responses(
        (status = 204, description = "Codes are asked for from now on"),
        (status = 409, description = "None waits for its first code", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The code is none of now", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn confirm(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    JsonBody(code): JsonBody<Code>,
) -> Result<StatusCode, Problem> {
    let session = match by.known.as_ref().map(|known| known.way.used()) {
        Some(Used::Session(id)) => id,
        _ => String::new(),
    };
    let by = Actor { who: person(&by)?.name.clone(), place: by.place() };
    blocking(move || {
        let now = shared.clock.now();
        let mut accounts = Accounts::open(&shared.state_dir)?;
        let kept = accounts.factor(&by.who)?.unwrap_or_default();
        let secret = kept.offered().unwrap_or_default();
        let step = SecondFactor::read(secret, &by.who).and_then(|factor| factor.step(&code.totp, now));
        let Some(step) = step.or_else(|| secret.is_empty().then_some(0)) else {
            return Err(Problem::unprocessable(say!(
                "the code is none of this minute; compare the clock of the authenticator"
            ))
            .because("totp"));
        };
        accounts.confirm_factor((secret, step), (&by, &session), now)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Takes one's own second factor away: all sessions end
#[utoipa::path(post, path = "/api/v1/session/totp/disable", operation_id = "disable_totp", tag = "sessions", request_body = Reauthentication,
    responses(
        (status = 204, description = "No codes are asked for any more"),
        (status = 401, description = "The password or the code is wrong", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn disable(
    State(shared): State<Arc<Shared>>,
    State(logins): State<Arc<Logins>>,
    by: Requester,
    JsonBody(again): JsonBody<Reauthentication>,
) -> Result<StatusCode, Problem> {
    let claim = claim(&shared, &by, again)?;
    let disabled = logins.compared(&shared, claim, |shared, claim, _| {
        let mut accounts = Accounts::open(&shared.state_dir)?;
        Ok(accounts.remove_factor(&claim.user, &claim.actor(), shared.clock.now())?)
    });
    disabled.await?;
    Ok(StatusCode::NO_CONTENT)
}

fn claim(shared: &Shared, by: &Requester, again: Reauthentication) -> Result<Claim, Problem> {
    asked_for(shared)?;
    let user = person(by)?.name.clone();
    Ok(Claim { user, password: again.password, totp: again.totp, peer: by.peer })
}
