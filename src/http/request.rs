//! What handlers take from a request: its parts are checked before a handler sees them, and what is wrong is a problem
//! document.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{
    Json, RequestPartsExt,
    body::{self, BodyDataStream, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use futures::StreamExt;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::sync::Semaphore;
use utoipa::IntoParams;

use super::Problem;
use crate::{say, text::quoted};

/// The most that one page of a list has.
pub(crate) const PAGE_MAX: u32 = 1000;
/// What a page has when nobody says how much.
pub(crate) const PAGE: u32 = 100;

/// The query of the address; an unknown parameter is an error.
pub(crate) struct Params<T>(pub T);

impl<S: Sync, T: DeserializeOwned + 'static> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(query) = parts.extract::<Query<T>>().await?;
        Ok(Self(query))
    }
}

/// A part of the path.
pub(crate) struct PathId<T>(pub T);

impl<S: Sync, T: DeserializeOwned + Send + 'static> FromRequestParts<S> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Path(id) = parts.extract::<Path<T>>().await?;
        Ok(Self(id))
    }
}

/// A body of JSON. Only `application/json` is taken: a page of another site cannot send that without asking first.
pub(crate) struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + 'static> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json(body) = Json::<T>::from_request(request, state).await?;
        Ok(Self(body))
    }
}

/// A body as it came.
pub(crate) struct RawBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Ok(Self(Bytes::from_request(request, state).await?))
    }
}

/// The version that somebody saw, from `If-Match`; `None` without one, or for any.
pub(crate) struct IfMatch(pub Option<i64>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let version = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).and_then(|t| t.parse().ok());
        let wrong = || {
            Problem::bad_request(say!("If-Match must be the ETag of the alert as you saw it, such as \"3\""))
        };
        version.map(|version| Self(Some(version))).ok_or_else(wrong)
    }
}

/// Who acts, where nobody is known.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Who {
    /// Who acts; the proxy in front tells it where `http.user_header` is set.
    pub who: Option<String>,
}

/// The number of rows that a list gives.
///
/// # Errors
/// If it is none or too many.
pub(crate) fn page_size(limit: Option<u32>) -> Result<u32, Problem> {
    let limit = limit.unwrap_or(PAGE);
    match (1..=PAGE_MAX).contains(&limit) {
        true => Ok(limit),
        false => {
            let most = PAGE_MAX;
            Err(Problem::bad_request(say!("limit must be 1 to {most}; `next` of the answer leads on", most)))
        }
    }
}

/// Who acts: the one who is known, or the name that the proxy in front gives, if the configuration names its header, else
/// the one given.
///
/// # Errors
/// If the proxy gives none, or the one given is another.
pub(crate) fn officer(
    headers: &HeaderMap,
    known: Option<&str>,
    trusted: Option<&str>,
    given: Option<&str>,
) -> Result<String, Problem> {
    let who = match (known, trusted) {
        (Some(known), _) => known,
        (None, Some(header)) => named_by_proxy(headers, header)?,
        (None, None) => {
            let missing = || Problem::unprocessable(say!("say who you are: `who` is missing"));
            // Blanks around a name make nobody another person.
            return given.map(|given| given.trim().to_owned()).ok_or_else(missing);
        }
    };
    match given.is_none_or(|given| given.trim() == who) {
        true => Ok(who.to_owned()),
        false => Err(Problem::new(
            StatusCode::FORBIDDEN,
            say!(
                "you are logged in as {who} and cannot act as somebody else; leave out `who`",
                who = quoted(who)
            ),
        )),
    }
}

fn named_by_proxy<'h>(headers: &'h HeaderMap, header: &str) -> Result<&'h str, Problem> {
    let value = headers.get(header).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    value.map(str::trim).filter(|who| !who.is_empty()).ok_or_else(|| {
        let detail =
            say!("the proxy in front did not say who you are (http.user_header: {name})", name = header);
        Problem::new(StatusCode::FORBIDDEN, detail)
    })
}

/// How much reading and writing for clients goes on at a time: one more than there are processors. More would answer nobody
/// sooner, and take the processors from what comes in.
static AT_WORK: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Arc::new(Semaphore::new(processors + 1))
});

/// Runs what blocks on a thread of its own, when its turn comes.
///
/// # Errors
/// That of `work`.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let turn = Arc::clone(&AT_WORK).acquire_owned().await;
    // Whoever asked may go; the work goes on, and so does its turn.
    at_once(move || {
        let _turn = turn;
        work()
    })
    .await
}

/// The same without waiting for others: for who a client is, and for what comes in.
///
/// # Errors
/// That of `work`.
pub(crate) async fn at_once<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string())))
}

/// How much of an upload that is refused is read, in bytes, and for how long, so that whoever sends it comes to see why.
const HEARD: usize = 4 << 20;
pub(crate) const HEARD_FOR: Duration = Duration::from_secs(5);

/// Reads some of a body that is refused.
pub(crate) async fn hear_out(body: body::Body) {
    hear(body.into_data_stream()).await;
}

/// The same of what is left of one.
pub(crate) async fn hear(mut parts: BodyDataStream) {
    let mut left = HEARD;
    let rest = async {
        while let Some(Ok(part)) = parts.next().await {
            match left.checked_sub(part.len()) {
                Some(less) => left = less,
                None => break,
            }
        }
    };
    let _ = tokio::time::timeout(HEARD_FOR, rest).await;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_crowd_is_answered_by_one_more_than_there_are_processors() {
        let most = std::thread::available_parallelism().map_or(1, usize::from) + 1;
        let (at_work, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let one = || {
            let (at_work, seen) = (Arc::clone(&at_work), Arc::clone(&seen));
            blocking(move || {
                seen.fetch_max(at_work.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
                at_work.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            })
        };
        let crowd: Vec<_> = (0..50).map(|_| tokio::spawn(one())).collect();
        for answered in crowd {
            assert!(answered.await.unwrap().is_ok());
        }
        assert_eq!(seen.load(Ordering::SeqCst), most);
        // What is answered at once waits for nobody.
        assert!(at_once(|| Ok(())).await.is_ok());
    }
}
