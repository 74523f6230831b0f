//! The threads that windows are kept on. They live as long as the process: what a window holds is allocated on them, and
//! the memory of a thread that ends would have to be taken over by others.

use std::sync::LazyLock;

use rayon_core::{ThreadPool, ThreadPoolBuilder};

use crate::rule::limits::STACK;

/// As many threads as there are processors; `None` where there is one, or the operating system gives no more.
static POOL: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // Windows that close are judged there.
    let threads = ThreadPoolBuilder::new().num_threads(processors).stack_size(STACK);
    (processors > 1).then(|| threads.thread_name(|n| format!("windows-{n}")).build().ok()).flatten()
});

/// Does every job, several at a time if that is wanted.
pub(crate) fn in_parallel<J: Send>(jobs: Vec<J>, wanted: bool, act: impl Fn(J) + Sync) {
    let act = &act;
    match POOL.as_ref().filter(|_| wanted && jobs.len() > 1) {
        Some(pool) => pool.scope(|scope| {
            jobs.into_iter().for_each(|job| scope.spawn(move |_| act(job)));
        }),
        None => jobs.into_iter().for_each(act),
    }
}

/// Does two things, at the same time where there is a thread for the second one.
pub(crate) fn side_by_side<A: Send, B: Send>(
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    match POOL.as_ref() {
        Some(pool) => pool.join(one, other),
        None => (one(), other()),
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use std::collections::HashSet;

    use super::*;

    /// Threads that were made for each batch would cost it more than its windows do.
    #[test]
    fn every_batch_has_the_same_threads() {
        let seen = Mutex::new(HashSet::new());
        for _ in 0..200 {
            in_parallel((0..64).collect(), true, |_: u32| {
                seen.lock().insert(std::thread::current().id());
            });
        }
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let seen = seen.into_inner();
        assert!(seen.len() <= processors, "{} threads on {processors} processors", seen.len());
    }
}
