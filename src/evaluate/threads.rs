//! Threads that queries run on. One that is done waits for the next query, which finds its memory still there: a thread
//! that is made again has each page zeroed by the operating system once more.

use std::{io, sync::mpsc};

use parking_lot::Mutex;

use crate::rule::limits::STACK;

/// So many threads wait at most. More are needed only where queries were left behind.
const IDLE: usize = 2;

/// What a thread does.
type Job = Box<dyn FnOnce() + Send>;

/// The threads that wait.
static WAITING: Mutex<Vec<mpsc::Sender<Job>>> = Mutex::new(Vec::new());

/// Does something on a thread that waits, or on a new one, with the stack that rules are measured for.
///
/// # Errors
/// If the operating system gives no thread; then nothing was done.
pub(crate) fn on_one(job: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut job: Job = Box::new(job);
    while let Some(thread) = waiting(Vec::pop) {
        match thread.send(job) {
            Ok(()) => return Ok(()),
            // It broke off while it put itself down.
            Err(mpsc::SendError(back)) => job = back,
        }
    }
    let thread = std::thread::Builder::new().name(String::from("query")).stack_size(STACK);
    thread.spawn(move || works(job)).map(drop)
}

fn works(first: Job) {
    let (sender, jobs) = mpsc::channel();
    let mut next = Some(first);
    while let Some(job) = next {
        job();
        let waits = waiting(|threads| {
            let waits = threads.len() < IDLE;
            if waits {
                threads.push(sender.clone());
            }
            waits
        });
        // The own sender keeps the channel open: it waits until somebody asks.
        next = if waits { jobs.recv().ok() } else { None };
    }
}

fn waiting<T>(act: impl FnOnce(&mut Vec<mpsc::Sender<Job>>) -> T) -> T {
    act(&mut WAITING.lock())
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, time::Duration};

    use super::*;

    /// One after the other they share a thread; side by side each has its own, and a few are kept.
    #[test]
    fn threads_are_used_again() {
        let (tell, told) = mpsc::channel();
        let one = |hold: Option<mpsc::Receiver<()>>| {
            let tell = tell.clone();
            on_one(move || {
                tell.send(std::thread::current().id()).unwrap();
                if let Some(hold) = hold {
                    let _ = hold.recv_timeout(Duration::from_secs(10));
                }
            })
            .unwrap();
        };
        let mut seen = HashSet::new();
        for _ in 0..200 {
            one(None);
            seen.insert(told.recv().unwrap());
        }
        assert!(seen.len() < 100, "{} threads for one query after another", seen.len());
        let (holds, held): (Vec<_>, Vec<_>) = (0..8).map(|_| mpsc::channel()).unzip();
        held.into_iter().for_each(|hold| one(Some(hold)));
        let beside: HashSet<_> = told.iter().take(8).collect();
        assert_eq!(beside.len(), 8, "none waits for another");
        drop(holds);
        assert!(waiting(|threads| threads.len()) <= IDLE);
    }
}
