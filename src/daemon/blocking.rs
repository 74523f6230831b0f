//! Work that blocks, on a thread of its own.

/// Does the work while the caller waits. If it breaks, so does who asked: nobody goes on as if it had been done.
pub(crate) async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(broken) => match broken.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asks_for_work_that_breaks_breaks() {
        assert_eq!(run_blocking(|| 7).await, 7);
        let asked = tokio::spawn(run_blocking(|| -> u8 { std::panic::resume_unwind(Box::new("broken")) }));
        assert!(asked.await.unwrap_err().is_panic());
    }
}
