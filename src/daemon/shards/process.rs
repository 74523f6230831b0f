//! The process of a shard: `fiscwatch run` with the variable that says which one it is. It is started again when it dies, and it
//! dies with its keeper, of whose death the end of its standard input tells it.

use std::{
    ffi::OsString,
    io::Read as _,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::atomic::Ordering,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;

use super::Life;
use crate::{
    config::shards::{Shard, VARIABLE},
    telemetry::Metrics,
};

/// How often it is looked whether a process has ended, or is to end.
const LOOK: Duration = Duration::from_millis(50);
/// How long it may take to finish its batch, ship it and let go of its claim. Then it is ended: what is not committed is read
/// again by whoever has the shard next.
const FINISH: Duration = Duration::from_mins(1);
/// The pause before a process is started again that has died, and the longest it becomes.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A process that has run for so long was well: the pause after it is the first one again.
const WELL: Duration = Duration::from_mins(1);

/// How a process is started.
#[derive(Debug)]
pub(super) struct Orders {
    pub args: Vec<OsString>,
    /// Where it listens; a port of 0 stands for any that is free. `None` if there is none for its number.
    pub address: Option<SocketAddr>,
}

/// Keeps the process of a shard until it is to end.
pub(super) fn keep(life: &Life, orders: &Orders, metrics: &Metrics) {
    let (shard, mut pause) = (life.part.to_string(), PAUSE);
    let up = metrics.shards.up.with_label_values(&[&shard]);
    while !life.ends() {
        let begun = std::time::Instant::now();
        match start(life, orders) {
            Ok(mut child) => {
                metrics.shards.starts.with_label_values(&[&shard]).inc();
                life.process.store(child.id(), Ordering::SeqCst);
                tracing::info!(shard, process = child.id(), "the process of the shard is started");
                up.set(1);
                let ended = watch(life, &mut child);
                up.set(0);
                life.process.store(0, Ordering::SeqCst);
                if life.ends() {
                    return;
                }
                metrics.shards.deaths.with_label_values(&[&shard]).inc();
                life.deaths.fetch_add(1, Ordering::SeqCst);
                tracing::error!(shard, "the process of the shard has ended ({ended}), and is started again");
            }
            Err(error) => tracing::error!(shard, "the process of the shard cannot be started: {error}"),
        }
        if begun.elapsed() >= WELL {
            pause = PAUSE;
        }
        let until = std::time::Instant::now() + pause;
        while std::time::Instant::now() < until && !life.ends() {
            std::thread::sleep(LOOK);
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn start(life: &Life, orders: &Orders) -> std::io::Result<Child> {
    let address = orders.address.ok_or_else(|| std::io::Error::other("there is no port for its number"))?;
    let address = super::free(address)?;
    *life.address.lock() = Some(address);
    let shard = Shard { part: life.part, kept_at: Some(address) };
    // The program that runs, also when another one has been put in its place since.
    let mut command = Command::new("/proc/self/exe");
    command.args(&orders.args).env(VARIABLE, shard.to_string());
    // The supervisor watches the keeper, and hears nobody else.
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()
}

/// Waits for the end of a process, and ends it when it is to end. Gives how it ended.
fn watch(life: &Life, child: &mut Child) -> String {
    let mut asked: Option<std::time::Instant> = None;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.to_string(),
            Ok(None) => {}
            Err(error) => return error.to_string(),
        }
        match asked {
            None if life.ends() => {
                signal(Some(child.id()), Signal::Term);
                asked = Some(std::time::Instant::now());
            }
            Some(since) if since.elapsed() >= FINISH => {
                tracing::error!(shard = %life.part, "the process of the shard does not end, and is ended");
                let _ = child.kill();
            }
            _ => {}
        }
        std::thread::sleep(LOOK);
    }
}

/// Sends a signal to a process that we started and have not heard the end of.
pub(super) fn signal(process: Option<u32>, signal: Signal) {
    let process = process.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(process) = process {
        let _ = kill_process(process, signal);
    }
}

/// Tells when the keeper of this process has ended: its end of our standard input is closed then, however it ended. A process
/// that does not come to its end afterwards is ended.
///
/// # Errors
/// If there is no thread for it.
pub(crate) fn end_with_keeper() -> std::io::Result<oneshot::Receiver<()>> {
    let (ended, hears) = oneshot::channel();
    let listen = move || {
        let mut byte = [0; 1];
        while std::io::stdin().read(&mut byte).is_ok_and(|read| read > 0) {}
        let _ = ended.send(());
        std::thread::sleep(FINISH);
        signal(Some(std::process::id()), Signal::Kill);
    };
    std::thread::Builder::new().name(String::from("keeper")).spawn(listen)?;
    Ok(hears)
}
