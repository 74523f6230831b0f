//! What systemd is told (`sd_notify(3)`): starting, ready, reloading, stopping, a status line, and a heartbeat that proves
//! that the loop turns. Without a supervisor that asks for it nothing is sent.

use std::{
    convert::Infallible,
    sync::{
        Arc, LazyLock,
        atomic::Ordering,
        mpsc::{SyncSender, sync_channel},
    },
    time::Duration,
};

use sd_notify::NotifyState;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::{
    say,
    store::Turns,
    stream::{Block, Payload},
};

/// How often the status line is brought up to date where no watchdog sets the pace.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// How many messages wait for a supervisor that does not read; what comes then is left out and told in the log.
const UNREAD_MAX: usize = 32;

/// What is told goes out on a thread of its own: a send waits for as long as nobody reads, and neither the loop nor a start
/// may wait for that.
static TOLD: LazyLock<SyncSender<String>> = LazyLock::new(|| {
    let (told, messages) = sync_channel::<String>(UNREAD_MAX);
    std::thread::spawn(move || {
        for message in messages {
            if let Err(e) = sd_notify::notify(&[NotifyState::Custom(&message)]) {
                tracing::debug!("the supervisor cannot be told: {e}");
            }
        }
    });
    told
});

fn tell(states: &[NotifyState<'_>]) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let message: Vec<String> = states.iter().map(ToString::to_string).collect();
    if TOLD.try_send(message.join("\n")).is_err() {
        tracing::warn!(
            unread = UNREAD_MAX,
            "the supervisor does not read what it is told; a message is left out"
        );
    }
}

/// Until it is dropped: the state is waited for, opened and recovered. A standby may wait for months, and says so, or it
/// would be taken for one that does not come up.
pub(crate) async fn waiting(is_standby: bool) -> Infallible {
    const EXTENSION: Duration = Duration::from_mins(2);
    let status = if is_standby { say!("standby: waits for the state") } else { say!("opening the state") };
    loop {
        let extension = u32::try_from(EXTENSION.as_micros()).unwrap_or(u32::MAX);
        tell(&[NotifyState::Status(&status), NotifyState::ExtendTimeoutUsec(extension)]);
        tokio::time::sleep(EXTENSION / 2).await;
    }
}

/// Until it is dropped: while another program holds the database, the start takes longer, and says why.
pub(crate) async fn held_up(turns: &Turns) -> Infallible {
    const LOOK: Duration = Duration::from_secs(1);
    const EXTENSION: Duration = Duration::from_mins(2);
    loop {
        tokio::time::sleep(LOOK).await;
        if let Some(held) = turns.held_up().filter(|held| *held >= LOOK) {
            let extension = u32::try_from(EXTENSION.as_micros()).unwrap_or(u32::MAX);
            tell(&[
                NotifyState::Status(&waits_for_database(held)),
                NotifyState::ExtendTimeoutUsec(extension),
            ]);
        }
    }
}

fn waits_for_database(held: Duration) -> String {
    say!("waits for the database, which another program has held for {seconds} s", seconds = held.as_secs())
}

/// The state is being recovered.
pub(crate) fn recovering() {
    tell(&[NotifyState::Status(&say!("recovering the state"))]);
}

pub(crate) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status(&say!("ready"))]);
}

/// A process that only looks after others is alive.
pub(crate) fn beat() {
    tell(&[NotifyState::Watchdog]);
}

/// No more is taken; what came is committed.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status(&say!("stopping: what was read is committed"))]);
}

/// Rules and lists are read again until this is dropped.
pub(crate) struct Reloading {
    was_ready: bool,
}

pub(crate) fn reloading(was_ready: bool) -> Reloading {
    if let (true, Ok(now)) = (was_ready, NotifyState::monotonic_usec_now()) {
        tell(&[NotifyState::Reloading, now]);
    }
    Reloading { was_ready }
}

impl Drop for Reloading {
    fn drop(&mut self) {
        if self.was_ready {
            tell(&[NotifyState::Ready]);
        }
    }
}

/// Beats while the loop turns: now and then an empty batch is sent through all of its stages, and only if something has
/// come out at the end since the last look, or the journal is being read, systemd hears of it. A loop that hangs, in a query or in a write to the disk,
/// misses its beats, and systemd restarts it.
pub(crate) async fn heart(shared: Arc<Shared>, blocks: mpsc::Sender<Block>, stop: CancellationToken) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let every = sd_notify::watchdog_enabled().map_or(STATUS_EVERY, |limit| limit / 4);
    // Reading a long journal again is no standstill either.
    let turns = || (shared.commits.load(Ordering::Relaxed), shared.busy.beats());
    let mut seen = turns();
    loop {
        // If there is no room the loop has something to do, or is stuck; either will show.
        let _ = blocks.try_send(Block::new(
            Arc::from("heartbeat"),
            Arc::from("heartbeat"),
            0,
            Payload::JsonLines(Vec::new().into()),
        ));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
        let turned = turns();
        if let Some(held) = shared.commits_wait() {
            // A restart would not take the database from another program.
            tell(&[NotifyState::Watchdog, NotifyState::Status(&waits_for_database(held))]);
            continue;
        }
        if let Some(waits) = shared.turns.waits_for_replica().filter(|waits| *waits >= STATUS_EVERY) {
            // Nor would it bring the store back.
            let seconds = waits.as_secs();
            let status =
                say!("waits for the store of state.replicate, which has been away for {seconds} s", seconds);
            tell(&[NotifyState::Watchdog, NotifyState::Status(&status)]);
            continue;
        }
        if turned == seen {
            tracing::warn!(
                seconds = every.as_secs(),
                "nothing has come through the loop; if that goes on, systemd restarts the daemon"
            );
            continue;
        }
        seen = turned;
        tell(&[NotifyState::Watchdog, NotifyState::Status(&status(&shared))]);
    }
}

fn status(shared: &Shared) -> String {
    let totals = *shared.totals.lock();
    let last = shared.last_event_at.get();
    let last = last.map_or_else(|| say!("no event yet"), |at| shared.calendar.format(at));
    say!(
        "{accepted} accepted, {duplicates} duplicates, {rejected} in quarantine since the start; latest event {last}",
        accepted = totals.accepted,
        duplicates = totals.duplicates,
        rejected = totals.rejected,
        last
    )
}
