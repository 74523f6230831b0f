//! The two pages that people see on their way back: one leads to the console, one says why there is no session.
//!
//! The first is a page and no redirect: a browser that came from the provider sends no strict cookie along a redirect, but
//! it does from a page of ours.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::super::cookie;
use crate::{daemon::Shared, say};

pub(super) fn back(shared: &Shared, site: &str, session: &str) -> Response {
    let to = escaped(&format!("{site}/"));
    let text = format!(
        "<!doctype html><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0;url={to}\"><title>fiscwatch</title>\
         <p><a href=\"{to}\">{}</a></p>\n",
        escaped(&say!("You are logged in: on to fiscwatch")),
    );
    let mut response = page(StatusCode::OK, text);
    let cookies = [cookie::keep(session, &shared.clients), cookie::forget_login(&shared.clients)];
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

pub(super) fn failed(shared: &Shared, status: StatusCode, why: &str) -> Response {
    let site = shared.clients.oidc.as_ref().map_or("", |oidc| &*oidc.site);
    let text = format!(
        "<!doctype html><meta charset=\"utf-8\"><title>fiscwatch</title><h1>{}</h1><p>{}</p><p><a href=\"{}/\">{}</a></p>\n",
        escaped(&say!("You are not logged in")),
        escaped(why),
        escaped(site),
        escaped(&say!("Back to fiscwatch")),
    );
    let mut response = page(status, text);
    response.headers_mut().extend(cookie::forget_login(&shared.clients).map(|c| (header::SET_COOKIE, c)));
    response
}

fn page(status: StatusCode, text: String) -> Response {
    let mut response = (status, text).into_response();
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
    response
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
