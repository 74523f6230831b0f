//! The cookie of a session: no page reads it, no other site sends it, and behind TLS no plain connection has it.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::config::clients::Clients;

/// Its name; `__Host-` keeps a site below or beside ours from setting it.
fn name(clients: &Clients) -> &'static str {
    if clients.secure { "__Host-fiscwatch" } else { "fiscwatch" }
}

/// That of what a browser keeps while it is at a provider of identities.
fn login_name(clients: &Clients) -> &'static str {
    if clients.secure { "__Host-fiscwatch-login" } else { "fiscwatch-login" }
}

/// What a request shows.
pub(crate) fn shown(headers: &HeaderMap, clients: &Clients) -> Option<String> {
    named(headers, name(clients))
}

/// What it kept while it was at a provider of identities.
pub(crate) fn shown_login(headers: &HeaderMap, clients: &Clients) -> Option<String> {
    named(headers, login_name(clients))
}

fn named(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

/// Tells a browser to keep it until it is closed; the server ends the session before.
pub(crate) fn keep(text: &str, clients: &Clients) -> Option<HeaderValue> {
    set((name(clients), text), "Strict", "", clients)
}

/// Tells a browser to forget it.
pub(crate) fn forget(clients: &Clients) -> Option<HeaderValue> {
    set((name(clients), ""), "Strict", "; Max-Age=0", clients)
}

/// Tells a browser to keep something for ten minutes, and to show it when another site sends it back.
pub(crate) fn keep_login(text: &str, clients: &Clients) -> Option<HeaderValue> {
    set((login_name(clients), text), "Lax", "; Max-Age=600", clients)
}

/// Tells a browser to forget it.
pub(crate) fn forget_login(clients: &Clients) -> Option<HeaderValue> {
    set((login_name(clients), ""), "Lax", "; Max-Age=0", clients)
}

fn set((name, text): (&str, &str), site: &str, age: &str, clients: &Clients) -> Option<HeaderValue> {
    let secure = if clients.secure { "; Secure" } else { "" };
    let cookie = format!("{name}={text}; Path=/; HttpOnly; SameSite={site}{secure}{age}");
    let mut value = HeaderValue::try_from(cookie).ok()?;
    value.set_sensitive(true);
    Some(value)
}
