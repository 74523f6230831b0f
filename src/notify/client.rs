//! What the sinks that speak HTTP have in common: a client with limits, and what an answer means.

use std::{path::Path, time::Duration};

use reqwest::{Client, RequestBuilder, Response, StatusCode, header, redirect};

use super::{
    SendError,
    answer::{reason, words},
    view::one_line,
};
use crate::{config::sinks::Secret, diagnostic::os_reason, say};

/// Bytes of an answer that are looked at.
const ANSWER_MAX: usize = 500;

/// A client that follows no redirect (a secret would go elsewhere) and uses no proxy but the one that is configured.
pub(super) fn client(
    timeout: Duration,
    ca_file: Option<&Path>,
    proxy: Option<&str>,
) -> Result<Client, String> {
    let mut client = Client::builder()
        .timeout(timeout)
        .connect_timeout(timeout)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("fiscwatch/", env!("CARGO_PKG_VERSION")))
        .no_proxy();
    if let Some(path) = ca_file {
        let fail = |reason: String| say!("ca_file {path}: {reason}", path = path.display(), reason);
        let text = std::fs::read(path).map_err(|e| fail(os_reason(&e)))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&text).map_err(|e| fail(reason(&e)))?;
        if certificates.is_empty() {
            return Err(fail(say!("there is no certificate (PEM) in it")));
        }
        client = client.tls_certs_merge(certificates);
    }
    if let Some(proxy) = proxy {
        let wrong = |e: reqwest::Error| say!("proxy: {reason}", reason = reason(&e.without_url()));
        let proxy = reqwest::Proxy::all(proxy).map_err(wrong)?;
        client = client.proxy(proxy);
    }
    client.build().map_err(|e| reason(&e))
}

/// Checks an address for HTTP and returns what may be shown of it.
pub(super) fn address(key: &str, text: &str) -> Result<String, String> {
    let wrong = || say!("{key}: this is no address such as https://host:port/path", key);
    let url = reqwest::Url::parse(text).map_err(|_| wrong())?;
    match url.host_str().filter(|_| ["http", "https"].contains(&url.scheme())) {
        // Neither user nor query: they may hold secrets, as may the path.
        Some(host) => Ok(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))),
        None => Err(wrong()),
    }
}

/// How a request proves who sends it.
#[derive(Debug, Clone, Default)]
pub(super) struct Login {
    pub basic: Option<(String, Secret)>,
    pub bearer: Option<Secret>,
}

impl Login {
    pub(crate) fn apply(&self, request: RequestBuilder) -> RequestBuilder {
        let request = match &self.basic {
            Some((user, password)) => request.basic_auth(user, Some(password.reveal())),
            None => request,
        };
        match &self.bearer {
            Some(token) => request.bearer_auth(token.reveal()),
            None => request,
        }
    }
}

/// Sends a request and judges the answer.
pub(super) async fn post(request: RequestBuilder) -> Result<(), SendError> {
    match request.send().await {
        Ok(response) => judge(response).await,
        Err(e) => Err(SendError::Temporary(explain(&e.without_url()))),
    }
}

async fn judge(response: Response) -> Result<(), SendError> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if status.is_redirection() {
        let to = text(header::LOCATION).and_then(|to| address("", &to).ok());
        return Err(SendError::Permanent(match to {
            Some(to) => say!(
                "it answered {status} and points to {to}: redirects are not followed; configure the address itself",
                status,
                to
            ),
            None => {
                say!("it answered {status}: redirects are not followed; configure the address itself", status)
            }
        }));
    }
    let asked = text(header::RETRY_AFTER);
    let until = asked.as_deref().and_then(|asked| retry_after(asked, text(header::DATE).as_deref()));
    let wait = asked.map_or_else(String::new, |wait| {
        say!(" (it asks to wait: Retry-After: {wait})", wait = one_line(&wait, 40))
    });
    let words = answer(response).await;
    let message = match words.is_empty() {
        true => say!("it answered {status}{wait}", status, wait),
        false => say!("it answered {status}{wait}: {words}", status, wait, words),
    };
    let later =
        [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    match (later || status.is_server_error(), until) {
        (true, Some(wait)) => Err(SendError::Later(message, wait)),
        (true, None) => Err(SendError::Temporary(message)),
        (false, _) => Err(SendError::Permanent(message)),
    }
}

/// RFC 9110: seconds, or a date, which is compared with the receiver's own clock.
fn retry_after(asked: &str, date: Option<&str>) -> Option<Duration> {
    let time = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp());
    match asked.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        // A date that is over asks for nothing.
        Err(_) => Some(time(asked)?.duration_since(time(date?)?).try_into().unwrap_or_default()),
    }
}

/// The beginning of an answer, however long it is.
async fn answer(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk[..chunk.len().min(ANSWER_MAX)]),
            _ => break,
        }
    }
    words(&String::from_utf8_lossy(&bytes))
}

/// Why there was no answer.
fn explain(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return say!("no answer in time");
    }
    let reason = reason(error);
    match error.is_connect() {
        true => say!("no connection: {reason}", reason),
        false => say!("the request failed: {reason}", reason),
    }
}
