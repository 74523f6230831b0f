//! Errors as RFC 9457 writes them.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    alert::desk::Refusal,
    daemon::NotReloaded,
    say,
    store::{AccountError, CaseError, StoreError},
};

/// The media type of problems.
pub(crate) const CONTENT_TYPE: &str = "application/problem+json";

/// What is wrong, as `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// `about:blank`: the status says it all.
    r#type: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status.
    #[serde(serialize_with = "number")]
    #[schema(value_type = u16)]
    status: StatusCode,
    /// What is wrong, and what to do.
    detail: String,
    /// Why in one word, where a program has to tell apart what has the same status: `credentials` (name or password is
    /// wrong), `totp` (the code is missing, wrong or was used), `throttled` (too many wrong passwords), `csrf` (the token of the
    /// session is missing), `second_factor` (it has to be set up first), `limited` (what is asked for cannot be parted by the
    /// units that roles are limited to).
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// When it may be worth to try again, in seconds; the header `Retry-After` has it.
    #[serde(skip)]
    #[schema(ignore)]
    again: Option<u32>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    /// A problem with this status.
    #[must_use]
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("error");
        Self { r#type: "about:blank", title, status, detail: detail.into(), reason: None, again: None }
    }

    /// The same, with why in one word.
    #[must_use]
    pub fn because(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }

    /// The same, to be tried again in some seconds.
    #[must_use]
    pub fn again_after(self, seconds: u32) -> Self {
        Self { again: Some(seconds), ..self }
    }

    #[must_use]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    #[must_use]
    pub(crate) fn into_detail(self) -> String {
        self.detail
    }

    /// A request that cannot mean anything.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// A request that lacks something, or has too much.
    #[must_use]
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).again_after(5)
            }
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Refused(why) => Self::new(StatusCode::CONFLICT, why),
            AccountError::Store(error) => error.into(),
        }
    }
}

impl From<CaseError> for Problem {
    fn from(error: CaseError) -> Self {
        let status = match &error {
            CaseError::NotFound(_) => StatusCode::NOT_FOUND,
            CaseError::Refused(Refusal::State(_)) => StatusCode::CONFLICT,
            CaseError::Refused(Refusal::Version { .. }) => StatusCode::PRECONDITION_FAILED,
            CaseError::Refused(Refusal::Missing(_)) => StatusCode::UNPROCESSABLE_ENTITY,
            CaseError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        match error {
            CaseError::Store(error) => error.into(),
            error => Self::new(status, error.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_string(&self).unwrap_or_default();
        let mut response = (self.status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"fiscwatch\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.again {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Why the old rules stay.
pub(crate) fn not_reloaded(why: NotReloaded) -> Response {
    match why {
        NotReloaded::Later(wait) => {
            let seconds = wait.as_secs() + 1;
            let detail = say!(
                "there is a reload under way, or there were too many within a minute; try again in {seconds} s",
                seconds
            );
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail);
            ([(header::RETRY_AFTER, seconds.to_string())], problem).into_response()
        }
        NotReloaded::Wrong(problems) => {
            let text: Vec<_> = problems.iter().map(ToString::to_string).collect();
            let detail = say!("the old rules stay in force: {problems}", problems = text.join("\n"));
            Problem::unprocessable(detail).into_response()
        }
    }
}
