//! How a browser is told to save what is sent.

use axum::http::{HeaderName, HeaderValue, header};

/// The header by which it saves an answer under a name, which is one of our own: letters, digits, `.` and `-`.
#[must_use]
pub(crate) fn saved_as(name: &str) -> (HeaderName, HeaderValue) {
    let value = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    (header::CONTENT_DISPOSITION, value.unwrap_or(HeaderValue::from_static("attachment")))
}
