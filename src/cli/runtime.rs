//! The threads that a command runs on.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};

use crate::{rule::limits::STACK, say};

/// Threads begin in milliseconds, if they begin at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// A runtime for commands that run the loop.
///
/// # Errors
/// If a thread cannot begin.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    let too_few = || say!("a thread cannot begin: there is no memory for it, or no more are allowed");
    // Where the second worker cannot begin, the runtime waits for the first one, and that for work: for ever.
    let (built, waits) = mpsc::channel::<()>();
    let watch = thread::Builder::new().spawn(move || {
        if waits.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            eprintln!("fiscwatch: {}", too_few());
            #[allow(clippy::exit)] // Nobody is left who could return.
            std::process::exit(1);
        }
    });
    let watch = watch.with_context(too_few)?;
    // Rules are evaluated on its threads, so they have the stack that rules are measured for.
    let runtime = Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build();
    drop(built);
    let _ = watch.join();
    runtime.with_context(too_few)
}
