//! How fast a client has to be: who sends a body or takes an answer too slowly is cut off.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use super::{
    door::ConnectionPlace,
    refused::{Cause, Refusals},
};
use crate::say;

/// For so long a client may be as slow as it likes.
const GRACE: Duration = Duration::from_secs(10);
/// So many bytes a second it has to bring or to take on average after that.
const BYTES_A_SECOND: u64 = 1 << 10;

/// The pace of one body or answer.
struct Pace {
    started: Instant,
    bytes: u64,
    limit: Duration,
    alarm: Pin<Box<Sleep>>,
}

impl Pace {
    fn new(limit: Duration) -> Self {
        let started = Instant::now();
        Self { started, bytes: 0, limit, alarm: Box::pin(tokio::time::sleep(limit)) }
    }

    fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Ready when the client was too slow.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let enough = GRACE + Duration::from_millis(self.bytes.saturating_mul(1000) / BYTES_A_SECOND);
        let end = self.started + self.limit.min(enough);
        if self.alarm.deadline() != end {
            self.alarm.as_mut().reset(end);
        }
        self.alarm.as_mut().poll(cx)
    }
}

/// A body that has to come in time.
pub(crate) struct PacedBody<B> {
    body: B,
    limit: Duration,
    /// Once somebody reads it.
    pace: Option<Pace>,
    /// Whether it was given up.
    is_over: bool,
    refusals: Arc<Refusals>,
}

impl<B> PacedBody<B> {
    /// A body that may take so long.
    pub(crate) fn new(body: B, limit: Duration, refusals: &Arc<Refusals>) -> Self {
        Self { body, limit, pace: None, is_over: false, refusals: Arc::clone(refusals) }
    }
}

/// A body that did not come in time.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{}", say!("the body did not come in time"))]
pub(crate) struct TooSlow;

impl<B: Body<Data = Bytes, Error: Into<axum::BoxError>> + Unpin> Body for PacedBody<B> {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let Self { body, limit, pace, is_over, refusals } = &mut *self;
        if *is_over {
            return Poll::Ready(None);
        }
        let pace = pace.get_or_insert_with(|| Pace::new(*limit));
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(frame) => {
                if let Some(Ok(frame)) = &frame {
                    pace.count(frame.data_ref().map_or(0, Bytes::len));
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                ready!(pace.poll(cx));
                refusals.count(Cause::Body);
                *is_over = true;
                Poll::Ready(Some(Err(TooSlow.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection whose client has to take its answers in time.
pub(crate) struct PacedIo<S> {
    stream: S,
    limit: Duration,
    /// While the client has not taken everything.
    pace: Option<Pace>,
    refusals: Arc<Refusals>,
    /// Told when something was read, and when all was written.
    place: Arc<ConnectionPlace>,
}

impl<S> PacedIo<S> {
    /// A connection whose client may take so long.
    pub(crate) fn new(
        stream: S,
        limit: Duration,
        refusals: &Arc<Refusals>,
        place: Arc<ConnectionPlace>,
    ) -> Self {
        Self { stream, limit, pace: None, refusals: Arc::clone(refusals), place }
    }

    fn written<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        bytes: impl Fn(&T) -> usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        match &result {
            Poll::Ready(Ok(n)) => {
                if let Some(pace) = &mut self.pace {
                    pace.count(bytes(n));
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                let limit = self.limit;
                ready!(self.pace.get_or_insert_with(|| Pace::new(limit)).poll(cx));
                self.refusals.count(Cause::Answer);
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.place.reads();
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(result, |n| *n, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.written(result, |n| *n, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It is asked for when everything has been handed to the operating system.
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.pace = None;
        self.place.is_written();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
