//! A query on a thread that does nothing else meanwhile, with the stack that rules are measured for (`threads.rs`). Who asks waits as long as the query may
//! take, and a moment longer; then the query is left behind, and ends at its next step ([`super::guard`]). Those left
//! behind are counted in `crowd.rs`.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use arrow::record_batch::RecordBatch;
use datafusion::{
    common::{DataFusionError, Result},
    execution::SendableRecordBatchStream,
    physical_plan::stream::RecordBatchStreamAdapter,
};
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::{
    crowd::{Crowd, QueryCourse},
    guard::QueryDeadline,
    threads,
};
use crate::{diagnostic::os_reason, rule::limits::STACK, say};

/// How long a query whose time is over is waited for: it ends by itself at its next step.
const GRACE: Duration = Duration::from_secs(2);
/// How long one that is left behind is waited for before the next begins: the stream waits with it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Queries of the whole process that nobody waits for any more.
static LEFT: Crowd = Crowd::new();

/// What a stream waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PendingWork {
    /// The query of this rule.
    Query(String),
    /// Events are judged again by these lists.
    Lists(String),
    /// Windows are filled from the journal.
    Windows,
}

/// What holds the stream up besides events.
#[derive(Debug, Default)]
pub struct Busy {
    /// Rules that are due and not evaluated yet.
    pub pending: AtomicUsize,
    running: Mutex<Option<(PendingWork, Instant)>>,
    beats: AtomicU64,
}

impl Busy {
    /// Notes that the stream waits for this, until what is returned is dropped.
    pub fn with(&self, work: PendingWork) -> impl Drop + use<'_> {
        struct Ended<'b>(&'b Busy);
        impl Drop for Ended<'_> {
            fn drop(&mut self) {
                *self.0.running.lock() = None;
            }
        }
        *self.running.lock() = Some((work, Instant::now()));
        Ended(self)
    }

    /// What the stream waits for, and for how long it has.
    #[must_use]
    pub fn running(&self) -> Option<(PendingWork, Duration)> {
        let running = self.running.lock();
        running.as_ref().map(|(work, since)| (work.clone(), since.elapsed()))
    }

    /// The rule whose query the stream waits for, and for how long it has.
    #[must_use]
    pub fn query(&self) -> Option<(String, Duration)> {
        match self.running() {
            Some((PendingWork::Query(rule), time)) => Some((rule, time)),
            _ => None,
        }
    }

    /// What reads the journal has come a step further.
    pub fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// How many steps reading the journal has come.
    #[must_use]
    pub fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }
}

/// How many queries run that nobody waits for any more.
#[must_use]
pub(crate) fn left_behind() -> usize {
    LEFT.count()
}

/// A query that came to no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// It did not end when its time was over.
    Left,
    Panicked,
    /// One before it did not end, of the same rule or of too many others.
    Crowded,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&match self {
            Self::Left => say!("the query did not end when its time was over"),
            Self::Panicked => say!("the query broke off; please report this"),
            Self::Crowded => say!("queries before it whose time is over have not ended yet"),
        })
    }
}

impl std::error::Error for Broken {}

/// What a query needs of the store or of the operating system, and did not get: the same query may be answered another time.
#[derive(Debug)]
pub struct Unread(pub String);

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unread {}

impl From<Unread> for DataFusionError {
    fn from(unread: Unread) -> Self {
        Self::External(Box::new(unread))
    }
}

impl From<Broken> for DataFusionError {
    fn from(broken: Broken) -> Self {
        Self::External(Box::new(broken))
    }
}

/// Held by who waits for a query: it is cancelled when nobody does any more.
struct Waiting(Arc<QueryDeadline>, Arc<QueryCourse<'static>>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.cancel();
        self.1.leave();
    }
}

/// Does `work` on a thread of its own, within `time`, once what was left behind lets it: it waits for that as long as it
/// may take itself, and 10 s at most. `owner` is the rule.
///
/// # Errors
/// What it fails with, or that there is no answer.
pub(crate) async fn run<T, W, F>(owner: &str, time: Duration, work: W) -> Result<T>
where
    T: Send + 'static,
    W: FnOnce(Arc<QueryDeadline>) -> F + Send + 'static,
    F: Future<Output = Result<T>>,
{
    if !LEFT.admits(owner, time.min(PATIENCE)).await {
        return Err(Broken::Crowded.into());
    }
    let (answer, answered) = oneshot::channel();
    let waiting = on_a_thread(owner, time, answer, work)?;
    let patience = tokio::time::timeout(time.saturating_add(GRACE), answered).await;
    drop(waiting);
    match patience {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(Broken::Panicked.into()),
        Err(_) => Err(Broken::Left.into()),
    }
}

/// The rows of a query that is run in the same way; they come as they are asked for.
///
/// # Errors
/// What it fails with before its first row.
pub(crate) async fn stream<W, F>(time: Duration, work: W) -> Result<SendableRecordBatchStream>
where
    W: FnOnce(Arc<QueryDeadline>) -> F + Send + 'static,
    F: Future<Output = Result<SendableRecordBatchStream>>,
{
    let (rows, taken) = mpsc::channel::<Result<RecordBatch>>(1);
    let (begun, schema) = oneshot::channel();
    let (answer, answered) = oneshot::channel();
    // Whoever asks a command of its own has a process of its own.
    let waiting = on_a_thread("", time, answer, move |watch| async move {
        let mut stream = work(watch).await?;
        // Who does not take the schema takes no rows either.
        let _ = begun.send(stream.schema());
        while let Some(batch) = stream.next().await {
            if rows.send(batch).await.is_err() {
                break;
            }
        }
        Ok(())
    })?;
    let Ok(schema) = schema.await else {
        return Err(answered.await.map_or(Broken::Panicked.into(), |ended| {
            ended.err().unwrap_or_else(|| Broken::Panicked.into())
        }));
    };
    let rows = futures::stream::unfold((taken, waiting), |(mut taken, waiting)| async move {
        taken.recv().await.map(|batch| (batch, (taken, waiting)))
    });
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
}

/// Begins `work` on a thread; it has a runtime of its own, so that nothing else waits while it computes.
fn on_a_thread<T, W, F>(
    owner: &str,
    time: Duration,
    answer: oneshot::Sender<Result<T>>,
    work: W,
) -> Result<Waiting>
where
    T: Send + 'static,
    W: FnOnce(Arc<QueryDeadline>) -> F + Send + 'static,
    F: Future<Output = Result<T>>,
{
    let unread = |e: std::io::Error| DataFusionError::from(Unread(os_reason(&e)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_stack_size(STACK)
        .build()
        .map_err(unread)?;
    let (watch, course) = (Arc::new(QueryDeadline::new(time)), Arc::new(LEFT.course(owner)));
    let waiting = Waiting(Arc::clone(&watch), Arc::clone(&course));
    let ended = Arc::clone(&course);
    let begun = threads::on_one(move || {
        let worked = AssertUnwindSafe(work(watch)).catch_unwind();
        let result = runtime.block_on(worked);
        // What reads files for it ends when it finds that nobody takes its rows.
        runtime.shutdown_background();
        course.end();
        let _ = answer.send(result.unwrap_or_else(|_| Err(Broken::Panicked.into())));
    });
    match begun {
        Ok(()) => Ok(waiting),
        Err(e) => {
            // What never began is not left behind.
            ended.end();
            Err(unread(e))
        }
    }
}
