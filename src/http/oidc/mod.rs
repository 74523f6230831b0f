//! Logging in by a provider of identities: the code flow with PKCE (OpenID Connect Core §3.1, RFC 7636). Nothing is kept
//! here between the way there and the way back: the browser keeps one random text in a cookie, from which the state, the
//! nonce and the verifier are made. Who comes back is a user of the store, with the roles that their groups have then.

mod claims;
mod jose;
mod page;
mod provider;

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::{
    Problem,
    arrival::{Arrival, arrive},
    by::Requester,
    cookie,
};
use crate::{
    access::{is_same, login},
    config::{clients::Clients, oidc::Oidc},
    daemon::Shared,
    say,
    store::External,
};
use claims::IdToken;
use page::{back, failed};
use provider::{Provider, query};

/// What can be wrong with the settings of a provider, as far as it has not to be asked.
///
/// # Errors
/// If `ca_file` cannot be used.
pub(crate) fn check_provider(oidc: &Oidc) -> Result<(), String> {
    Provider::new(oidc).map(drop)
}

/// Where a login begins, and where the provider sends people back to.
pub(crate) const BEGIN: &str = "/api/v1/session/oidc";
pub(crate) const CALLBACK: &str = "/api/v1/session/oidc/callback";
/// Logins that wait for the provider's answer at a time.
const AT_A_TIME: usize = 16;

/// The provider that people log in by, if there is one.
pub(crate) struct SingleSignOn {
    provider: Option<Provider>,
    asking: Semaphore,
}

impl SingleSignOn {
    /// As it is configured. What is wrong with the file of its certificates is told, and nobody can log in by it.
    pub(crate) fn new(clients: &Clients) -> Self {
        let provider = clients.oidc.as_ref().and_then(|oidc| {
            Provider::new(oidc)
                .inspect_err(|why| tracing::error!("nobody can log in by the provider of identities: {why}"))
                .ok()
        });
        Self { provider, asking: Semaphore::new(AT_A_TIME) }
    }

    fn provider(&self) -> Result<&Provider, Problem> {
        self.provider.as_ref().ok_or_else(|| {
            Problem::new(StatusCode::NOT_FOUND, say!("there is no provider to log in by (http.oidc)"))
        })
    }

    /// Where somebody logs out of the provider too, if it has said so: nobody waits for it to log out here.
    pub(crate) fn log_out_at(&self) -> Option<String> {
        let provider = self.provider.as_ref()?;
        let end = provider.at_hand()?.end_session_endpoint.clone()?;
        let Oidc { client_id, site, .. } = &provider.config;
        let back = format!("{site}/");
        Some(with(&end, &[("client_id", client_id), ("post_logout_redirect_uri", &back)]))
    }
}

fn with(endpoint: &str, pairs: &[(&str, &str)]) -> String {
    let joint = if endpoint.contains('?') { '&' } else { '?' };
    format!("{endpoint}{joint}{}", query(pairs))
}

fn callback(config: &Oidc) -> String {
    format!("{}{CALLBACK}", config.site)
}

/// Begins a login by the provider of identities: a browser goes there
#[utoipa::path(get, path = "/api/v1/session/oidc", operation_id = "begin_oidc", tag = "sessions",
    responses(
        (status = 303, description = "Where to go"),
        (status = 404, description = "There is no provider (`http.oidc`)", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn begin(
    State(shared): State<Arc<Shared>>,
    State(single): State<Arc<SingleSignOn>>,
) -> Result<Response, Problem> {
    let provider = single.provider()?;
    let Ok(_asking) = single.asking.try_acquire() else {
        return Ok(failed(&shared, StatusCode::SERVICE_UNAVAILABLE, &busy()));
    };
    let metadata = match provider.metadata().await {
        Ok(metadata) => metadata,
        Err(why) => {
            tracing::error!("the provider of identities cannot be asked: {why}");
            return Ok(failed(&shared, StatusCode::BAD_GATEWAY, &away()));
        }
    };
    let secret = login::secret();
    let (state, nonce, challenge) = (login::state(&secret), login::nonce(&secret), challenge(&secret));
    let config = &provider.config;
    let address = with(
        &metadata.authorization_endpoint,
        &[
            ("response_type", "code"),
            ("client_id", &config.client_id),
            ("redirect_uri", &callback(config)),
            ("scope", &config.scope),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ],
    );
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    if let Ok(address) = HeaderValue::try_from(address) {
        headers.insert(header::LOCATION, address);
    }
    headers.extend(cookie::keep_login(&secret, &shared.clients).map(|cookie| (header::SET_COOKIE, cookie)));
    Ok(response)
}

fn challenge(secret: &str) -> String {
    jose::encode(&login::challenge(secret))
}

/// What the provider sends back.
#[derive(Deserialize)]
pub(crate) struct Back {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Ends a login by the provider of identities: it sends browsers here, and a session begins
#[utoipa::path(get, path = "/api/v1/session/oidc/callback", operation_id = "end_oidc", tag = "sessions",
    params(
        ("code" = Option<String>, Query, description = "What the provider gives for a token"),
        ("state" = Option<String>, Query, description = "What ties it to the browser that began"),
        ("iss" = Option<String>, Query, description = "Who the provider is"),
        ("error" = Option<String>, Query, description = "What the provider has against it")),
    responses(
        (status = 200, description = "A page that leads to the console"),
        (status = 401, description = "A page that says why nobody is logged in"),
        (status = 403, description = "A page that says why this user may not")))]
pub(crate) async fn end(
    State(shared): State<Arc<Shared>>,
    State(single): State<Arc<SingleSignOn>>,
    headers: HeaderMap,
    by: Requester,
    Query(given): Query<Back>,
) -> Result<Response, Problem> {
    let provider = single.provider()?;
    let place = by.place();
    let outcome = match single.asking.try_acquire() {
        Ok(_asking) => claimed(provider, &shared, &headers, given).await,
        Err(_) => Err((StatusCode::SERVICE_UNAVAILABLE, busy())),
    };
    let outcome = match outcome {
        Ok(token) => arrive(&shared, arrival(&provider.config, token, place))
            .await?
            .map(|(cookie, _)| cookie.text)
            .map_err(|why| (StatusCode::FORBIDDEN, why)),
        Err(failure) => Err(failure),
    };
    let count = |result: &str| shared.metrics.logins.with_label_values(&[result]).inc();
    Ok(match outcome {
        Ok(cookie) => {
            count("right");
            back(&shared, &provider.config.site, &cookie)
        }
        Err((status, why)) => {
            count("wrong");
            failed(&shared, status, &why)
        }
    })
}

type Failure = (StatusCode, String);

/// What the provider says of whoever came back, if this browser began the login.
async fn claimed(
    provider: &Provider,
    shared: &Shared,
    headers: &HeaderMap,
    given: Back,
) -> Result<IdToken, Failure> {
    let unknown = |text| (StatusCode::UNAUTHORIZED, text);
    let secret = cookie::shown_login(headers, &shared.clients).unwrap_or_default();
    let state = given.state.unwrap_or_default();
    if secret.is_empty() || !is_same(&login::state(&secret), &state) {
        return Err(unknown(say!(
            "this login was not begun in this browser, or too long ago; begin it again"
        )));
    }
    if let Some(error) = given.error {
        let error: String = error.chars().filter(char::is_ascii_graphic).take(100).collect();
        tracing::warn!(error, "the provider of identities refused a login");
        return Err(unknown(say!("the provider refused it ({error})", error)));
    }
    let wrong = |why: &str| {
        tracing::warn!("a login by the provider of identities failed: {why}");
        unknown(say!("what the provider said cannot be believed; the log of fiscwatch says why"))
    };
    if given.iss.is_some_and(|iss| iss != provider.config.issuer) {
        return Err(wrong("the answer is of another issuer"));
    }
    let code = given.code.unwrap_or_default();
    let back = callback(&provider.config);
    let token =
        provider.exchange(&code, &login::verifier(&secret), &back).await.map_err(|why| wrong(&why.0))?;
    match token.problem(&provider.config, &login::nonce(&secret), shared.clock.now()) {
        None => Ok(token),
        Some(problem) => Err(wrong(problem)),
    }
}

/// Who the provider says they are, and the roles of their groups.
fn arrival(config: &Oidc, token: IdToken, place: String) -> Arrival {
    Arrival {
        name: token.text(&config.name_claim).unwrap_or_default().to_owned(),
        roles: config.groups.roles(token.texts(&config.groups.claim).into_iter()),
        who: External { provider: "oidc", issuer: config.issuer.clone(), subject: token.sub },
        place,
    }
}

fn busy() -> String {
    say!("too many people log in at this moment; try again in a second")
}

fn away() -> String {
    say!("the provider of identities cannot be asked; the log of fiscwatch says why")
}
