//! Places where a test can make the process die, fail or wait: every step after which a crash would leave
//! something half done. They exist in debug builds only, so that a release binary has none: `cargo test` runs the
//! debug binary, and needs no feature for it. The environment variable `FAILPOINT` says what happens where:
//!
//! ```text
//! FAILPOINT=commit.journal=abort      dies there, like kill -9
//! FAILPOINT=commit.journal=abort@3    the third time it gets there
//! FAILPOINT=commit.journal=error      fails with an input/output error
//! FAILPOINT=commit.journal=full       fails with a full disk
//! FAILPOINT=commit.journal=delay:50   waits 50 milliseconds, every time
//! FAILPOINT=commit.journal=delay:50@3 waits the third time
//! FAILPOINT=patience.drain=within:500 makes a wait that has an end shorter
//! ```

/// Every place there is, in the order in which a life of the state passes them.
pub const NAMES: &[&str] = &[
    // A start.
    "start.locked",
    "migrate.step",
    "migrate.done",
    "start.logged",
    "start.swept",
    "start.recovered",
    // A commit.
    "commit.begun",
    "commit.positions",
    "commit.journal",
    "commit.versions",
    "commit.findings",
    "commit.alerts",
    "commit.watermark",
    "commit.quarantine",
    "checkpoint.lines",
    "checkpoint.applications",
    "checkpoint.confirmations",
    "commit.ready",
    "commit.done",
    "commit.counted",
    "commit.told",
    // Events are judged again by lists that have changed.
    "lists.batch",
    // Sealing, compaction, retention.
    "seal.created",
    "seal.written",
    "seal.synced",
    "seal.renamed",
    "seal.settled",
    "seal.registered",
    "seal.deleted",
    "seal.done",
    "compact.merged",
    "replace.unregistered",
    "replace.done",
    "sweep.file",
    // A drop directory.
    "directory.committed",
    "directory.folder",
    "directory.done",
    // The end.
    "drain.begun",
    "drain.committed",
    "drain.sealed",
];

/// Places within what people do, in the filing of the audit log and in the replica, which not every life of the state passes by itself.
pub const ACTS: &[&str] = &[
    "audit.record",
    "audit.recorded",
    "audit.written",
    "audit.renamed",
    "audit.registered",
    "audit.removed",
    "audit.moved",
    "decide.decided",
    "replica.claimed",
    "replica.restored",
    "replica.manifest",
    "replica.before",
    "replica.after",
    "approval.approved",
    "approval.journalled",
    "deliver.round",
    "beside.look",
    "seal.look",
];

/// Waits that have an end: for a log that is read, for a database that another program holds.
/// And for the store of a replica, and for a machine that is silent.
pub const PATIENCE: &[&str] = &[
    "patience.log",
    "patience.officer",
    "patience.drain",
    "patience.flush",
    "patience.replica",
    "patience.takeover",
];

/// How long something is waited for: as long as usual, unless a test asked for less.
#[cfg(not(debug_assertions))]
#[inline]
pub const fn within(_name: &str, usual: std::time::Duration) -> std::time::Duration {
    usual
}

/// Does what is asked for at this place, which is nothing in a release binary.
///
/// # Errors
/// Only if a test asked for one.
#[cfg(not(debug_assertions))]
#[inline]
pub const fn reach(_name: &str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(debug_assertions)]
pub use armed::{reach, within};

#[cfg(debug_assertions)]
mod armed {
    use std::{
        io,
        sync::{
            LazyLock,
            atomic::{AtomicU32, Ordering},
        },
        time::Duration,
    };

    enum Action {
        Abort,
        Fail(io::ErrorKind),
        Delay(Duration),
        Within(Duration),
    }

    struct Armed {
        name: String,
        action: Action,
        /// Whether it acts every time.
        always: bool,
        /// Times to pass before it acts once.
        left: AtomicU32,
    }

    static ARMED: LazyLock<Option<Armed>> =
        LazyLock::new(|| std::env::var("FAILPOINT").ok().map(|text| parse(&text)));

    fn parse(text: &str) -> Armed {
        let parts = text.split_once('=').and_then(|(name, action)| {
            let always = action.starts_with("delay") && !action.contains('@');
            let (action, nth) = action.split_once('@').unwrap_or((action, "1"));
            let action = match action.split_once(':') {
                None if action == "abort" => Action::Abort,
                None if action == "error" => Action::Fail(io::ErrorKind::Other),
                None if action == "full" => Action::Fail(io::ErrorKind::StorageFull),
                Some(("delay", millis)) => Action::Delay(Duration::from_millis(millis.parse().ok()?)),
                Some(("within", millis)) => Action::Within(Duration::from_millis(millis.parse().ok()?)),
                _ => return None,
            };
            let is_wait = matches!(action, Action::Within(_));
            let is_known = if is_wait { super::PATIENCE.contains(&name) } else { is_place(name) };
            let known = is_known.then(|| name.to_owned())?;
            Some(Armed { name: known, action, always, left: AtomicU32::new(nth.parse().ok()?) })
        });
        parts.unwrap_or_else(|| panic!("FAILPOINT={text}: see src/failpoint.rs for the names and actions"))
    }

    fn is_place(name: &str) -> bool {
        super::NAMES.contains(&name) || super::ACTS.contains(&name)
    }

    /// How long something is waited for: as long as usual, unless a test asked for less.
    #[must_use]
    pub fn within(name: &str, usual: Duration) -> Duration {
        debug_assert!(super::PATIENCE.contains(&name), "{name} is not in the list");
        match ARMED.as_ref() {
            Some(Armed { name: armed, action: Action::Within(time), .. }) if armed == name => *time,
            _ => usual,
        }
    }

    /// Does what is asked for at this place.
    ///
    /// # Errors
    /// If a test asked for one.
    pub fn reach(name: &str) -> io::Result<()> {
        debug_assert!(is_place(name), "{name} is not in the list");
        let Some(armed) = ARMED.as_ref().filter(|armed| armed.name == name) else { return Ok(()) };
        if !armed.always && armed.left.fetch_sub(1, Ordering::SeqCst) != 1 {
            return Ok(());
        }
        match armed.action {
            Action::Within(_) => Ok(()),
            Action::Delay(wait) => {
                std::thread::sleep(wait);
                Ok(())
            }
            Action::Fail(kind) => Err(io::Error::new(kind, format!("failpoint {name}"))),
            // Not a panic: nothing is unwound, flushed or told, as at a kill -9.
            Action::Abort => std::process::abort(),
        }
    }
}
