//! The cookie of a session: no page reads it, no other site sends it, and behind TLS no plain connection has it.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::config::clients::Clients;

/// Its name; `__Host-` keeps a site below or beside ours from setting it.
fn name(clients: &Clients) -> &'static str {
    if clients.secure { "__Host-fiscwatch" } else { "fiscwatch" }
}

/// What a request shows.
pub(crate) fn shown(headers: &HeaderMap, clients: &Clients) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name(clients)).map(|(_, value)| value.to_owned())
}

/// Tells a browser to keep it until it is closed; the server ends the session before.
pub(crate) fn keep(text: &str, clients: &Clients) -> Option<HeaderValue> {
    set(text, "", clients)
}

/// Tells a browser to forget it.
pub(crate) fn forget(clients: &Clients) -> Option<HeaderValue> {
    set("", "; Max-Age=0", clients)
}

fn set(text: &str, age: &str, clients: &Clients) -> Option<HeaderValue> {
    let secure = if clients.secure { "; Secure" } else { "" };
    let cookie = format!("{}={text}; Path=/; HttpOnly; SameSite=Strict{secure}{age}", name(clients));
    let mut value = HeaderValue::try_from(cookie).ok()?;
    value.set_sensitive(true);
    Some(value)
}
