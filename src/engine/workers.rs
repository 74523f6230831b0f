//! Where the pieces of a batch's work are done.

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinHandle},
};

/// The outer task waits for a worker, the inner one is its work.
pub(crate) type Working<T> = JoinHandle<Result<T, JoinError>>;

/// Threads that work on batches; or none, and then everything is done where it is asked for, so that on a runtime of
/// one thread the same stream always takes the same steps.
#[derive(Debug, Clone)]
pub struct Workers(Option<Threads>);

#[derive(Debug, Clone)]
struct Threads {
    free: Arc<Semaphore>,
    count: usize,
}

impl Workers {
    /// So many pieces are worked on at the same time; with 0, each at once on the thread that asks.
    #[must_use]
    pub fn new(parallel: usize) -> Self {
        Self((parallel > 0).then(|| Threads { free: Arc::new(Semaphore::new(parallel)), count: parallel }))
    }

    /// Whether there are any.
    #[must_use]
    pub fn are_threads(&self) -> bool {
        self.0.is_some()
    }

    /// Does a piece of work when a worker is free: more at a time than there are processors would only push each
    /// other's batches out of the caches. The caller does not wait.
    pub fn work<T: Send + 'static>(&self, piece: impl FnOnce() -> T + Send + 'static) -> Working<T> {
        let workers = self.0.clone();
        tokio::spawn(async move {
            let Some(workers) = workers else { return Ok(piece()) };
            // The semaphore is never closed, so this is always a permit.
            let _permit = workers.free.acquire().await;
            tokio::task::spawn_blocking(piece).await
        })
    }

    /// Does a small piece of work at once, whoever else works: somebody waits for it. To wake a thread for it would take
    /// longer than the work.
    pub fn work_at_once<T: Send + 'static>(piece: impl FnOnce() -> T + Send + 'static) -> Working<T> {
        tokio::spawn(async move { Ok(piece()) })
    }

    /// Takes a worker away from batches, for work that is done at once; `None` where there is only one, or none is free.
    pub fn reserve(&self) -> Option<OwnedSemaphorePermit> {
        let workers = self.0.as_ref().filter(|workers| workers.count > 1)?;
        Arc::clone(&workers.free).try_acquire_owned().ok()
    }

    /// Does something that may take its time while the caller waits.
    ///
    /// # Errors
    /// If it panics.
    pub async fn blocking<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        match self.0 {
            Some(_) => tokio::task::spawn_blocking(act).await,
            None => tokio::spawn(async { act() }).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a stage moves to a thread comes back or is an error: nobody goes on without it, and the thread is free for others.
    #[tokio::test]
    async fn a_piece_that_breaks_is_an_error_of_who_asked_for_it_and_keeps_no_worker() {
        let breaks = || -> u8 { std::panic::resume_unwind(Box::new("a piece that breaks")) };
        for workers in [Workers::new(0), Workers::new(1)] {
            for _ in 0..3 {
                assert!(!workers.work(breaks).await.is_ok_and(|done| done.is_ok()));
                assert!(workers.blocking(breaks).await.is_err());
            }
            assert_eq!(workers.work(|| 7).await.unwrap().unwrap(), 7);
            assert_eq!(workers.blocking(|| 8).await.unwrap(), 8);
        }
    }
}
