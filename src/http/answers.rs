//! Room for what readers ask for. A page is made in memory, and stays there until its reader has taken it; so readers wait
//! until there is room for theirs, and are refused if that takes too long.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::sync::Semaphore;

use super::{
    Problem,
    refused::{Cause, Refusals},
};
use crate::say;

/// What bytes are counted in.
const UNIT: u64 = 1 << 10;
/// Room for all answers together, in units.
const ROOM: u32 = 192 << 10;
/// What one answer takes while it is made: rows as they are stored and as they are shown, and their text.
const MAKING: u32 = 24 << 10;
/// How long a reader waits for room.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Answers {
    room: Arc<Semaphore>,
    making: u32,
    patience: Duration,
    refusals: Arc<Refusals>,
}

impl Answers {
    /// Room that is all free.
    #[must_use]
    pub(crate) fn new(refusals: &Arc<Refusals>) -> Self {
        Self::with(ROOM, MAKING, PATIENCE, refusals)
    }

    fn with(room: u32, making: u32, patience: Duration, refusals: &Arc<Refusals>) -> Self {
        let room = Arc::new(Semaphore::new(room as usize));
        Self { room, making, patience, refusals: Arc::clone(refusals) }
    }

    /// Has an answer made when there is room for it. It takes up what it holds until it is taken.
    async fn make(&self, answer: impl Future<Output = Response>) -> Response {
        let room = Arc::clone(&self.room).acquire_many_owned(self.making);
        let Ok(Ok(mut room)) = tokio::time::timeout(self.patience, room).await else {
            self.refusals.count(Cause::Answers);
            let detail = say!("too many long answers are under way; ask again in a few seconds");
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).again_after(5).into_response();
        };
        let response = answer.await;
        let units = response.body().size_hint().exact().map_or(0, |bytes| bytes.div_ceil(UNIT));
        let units = usize::try_from(units).unwrap_or(usize::MAX);
        // One that is longer than was thought keeps what it has.
        let held = if units < room.num_permits() { room.split(units) } else { Some(room) };
        response.map(|body| Body::new(HoldingBody { body, held }))
    }
}

/// Has the answers to readers made one after another where there is little room.
pub(crate) async fn answers(State(answers): State<Arc<Answers>>, request: Request, next: Next) -> Response {
    match *request.method() {
        Method::GET => answers.make(next.run(request)).await,
        _ => next.run(request).await,
    }
}

/// A body that holds something until it is written.
pub(crate) struct HoldingBody<T> {
    pub body: Body,
    pub held: Option<T>,
}

impl<T: Unpin> hyper::body::Body for HoldingBody<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None)) {
            self.held = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    async fn made(answers: &Answers, bytes: usize) -> Response {
        answers.make(async move { Response::new(Body::from(vec![b'x'; bytes])) }).await
    }

    #[tokio::test]
    async fn an_answer_takes_up_its_room_until_it_is_taken() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let refusals = Arc::new(Refusals::new(&metrics));
        let answers = Answers::with(100, 40, Duration::from_millis(50), &refusals);
        let free = || answers.room.available_permits();
        let first = made(&answers, 30 << 10).await;
        assert_eq!(free(), 70, "it takes what it holds, and no longer what it was made in");
        let second = made(&answers, 35 << 10).await;
        assert_eq!(free(), 35);
        let third = made(&answers, 10).await;
        assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(third.headers()["retry-after"], "5");
        assert_eq!(metrics.http_refused.with_label_values(&["answers"]).get(), 1);
        assert_eq!(free(), 35, "what is refused takes nothing");
        let taken = axum::body::to_bytes(first.into_body(), usize::MAX).await.unwrap();
        assert_eq!((taken.len(), free()), (30 << 10, 65));
        drop(second);
        assert_eq!(free(), 100, "a client that is gone gives its room back");
        // Longer than thought, and one after another.
        drop(made(&answers, 70 << 10).await);
        assert_eq!(free(), 100);
    }
}
