//! Jobs done by a few threads, their results in the order of the jobs.

use std::sync::{
    Arc,
    mpsc::{Receiver, SyncSender, sync_channel},
};

use parking_lot::Mutex;

/// Results of a job that wait for the reader.
const WAITING: usize = 4;

enum Part<T> {
    Result(T),
    /// All results of the job are there. Without it, its thread has died.
    End,
}

/// A thread ended in the middle of a job; this is a bug.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThreadLost;

/// The results. When it is dropped the threads end.
pub(crate) struct Ordered<T> {
    jobs: Receiver<Receiver<Part<T>>>,
    current: Option<Receiver<Part<T>>>,
}

impl<T: Send + 'static> Ordered<T> {
    /// Does `work` for each job on `threads` threads, which are at most that many jobs ahead of the reader. `work`
    /// gives results to the function it gets, and ends when that says `false`.
    pub(crate) fn new<J: Send + 'static>(
        jobs: Vec<J>,
        threads: usize,
        work: impl Fn(J, &mut dyn FnMut(T) -> bool) + Send + Sync + 'static,
    ) -> Self {
        let threads = threads.clamp(1, jobs.len().max(1));
        let (order, ordered) = sync_channel(threads);
        let queue = Arc::new(Mutex::new(jobs.into_iter()));
        let (work, order) = (Arc::new(work), Arc::new(Mutex::new(Some(order))));
        for _ in 0..threads {
            let (queue, work, order) = (Arc::clone(&queue), Arc::clone(&work), Arc::clone(&order));
            std::thread::spawn(move || {
                while let Some((job, results)) = next(&queue, &order) {
                    let mut gone = false;
                    work(job, &mut |result| {
                        gone = results.send(Part::Result(result)).is_err();
                        !gone
                    });
                    if gone || results.send(Part::End).is_err() {
                        break;
                    }
                }
            });
        }
        Self { jobs: ordered, current: None }
    }
}

/// Takes the next job and a place in the order for its results, both at once. It waits while the reader is too far behind.
fn next<J, T>(
    queue: &Mutex<impl Iterator<Item = J>>,
    order: &Mutex<Option<SyncSender<Receiver<Part<T>>>>>,
) -> Option<(J, SyncSender<Part<T>>)> {
    let mut order = order.lock();
    let job = queue.lock().next();
    let (results, receiver) = sync_channel(WAITING);
    let sent = job.is_some() && order.as_ref().is_some_and(|order| order.send(receiver).is_ok());
    if !sent {
        // The reader sees the end when the last sender is gone.
        order.take();
        return None;
    }
    job.map(|job| (job, results))
}

impl<T> Iterator for Ordered<T> {
    type Item = Result<T, ThreadLost>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(current) = &self.current else {
                self.current = Some(self.jobs.recv().ok()?);
                continue;
            };
            match current.recv() {
                Ok(Part::Result(result)) => return Some(Ok(result)),
                Ok(Part::End) => self.current = None,
                Err(_) => {
                    self.current = None;
                    return Some(Err(ThreadLost));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_jobs() {
        let work = |job: u32, take: &mut dyn FnMut(u32) -> bool| {
            let _ = (0..job % 7).all(|n| take(job * 10 + n));
        };
        let expected: Vec<u32> = (0..200).flat_map(|job| (0..job % 7).map(move |n| job * 10 + n)).collect();
        for threads in [1, 3, 8] {
            let found: Vec<u32> =
                Ordered::new((0..200).collect(), threads, work).map(Result::unwrap).collect();
            assert_eq!(found, expected);
        }
        assert_eq!(Ordered::new((0..200).collect(), 3, work).take(5).count(), 5);
        assert!(Ordered::new(Vec::new(), 3, work).next().is_none());
    }

    #[test]
    fn a_dead_thread_is_an_error_and_no_end() {
        let work = |job: u32, take: &mut dyn FnMut(u32) -> bool| {
            take(job);
            assert!(job != 2, "a bug");
        };
        let found: Vec<_> = Ordered::new((0..5).collect(), 1, work).map(Result::ok).collect();
        assert_eq!(found[..4], [Some(0), Some(1), Some(2), None]);
    }
}
