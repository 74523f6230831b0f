//! A state that is replicated: each commit goes elsewhere before anybody hears of it.

use std::{path::Path, time::Duration};

use super::{StoreError, Turns, error::carried};
use crate::{private, say};

/// Is in a state directory whose daemon takes each commit elsewhere.
const MARK: &str = "replicated";

/// Takes commits to where another machine can read them.
pub trait Ship: Send + Sync + std::fmt::Debug {
    /// Takes what was committed since the last time, and comes back when it is durable there. It is called between a commit and
    /// whatever follows from it. `is_over` says that the process ends.
    ///
    /// # Errors
    /// If it is not there. Nobody may hear of the commit then, and the process ends.
    fn ship(&self, is_over: &dyn Fn() -> bool) -> Result<(), Unshipped>;

    /// Why nothing more may be committed here, if so.
    fn refuses(&self) -> Option<Unshipped>;

    /// Whether the other place said lately that the state is ours.
    fn may_tell(&self) -> bool;

    /// How long a commit has waited for the other place.
    fn waits(&self) -> Option<Duration>;
}

/// Why a commit stayed here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unshipped {
    /// Another machine has gone on with the state.
    #[error("{}", say!(
        "another machine has taken over ({holder}); nothing more is committed here. What this one had committed before is there. Start it again with state.standby: true: it then waits, with the state of the other one",
        holder
    ))]
    Superseded {
        /// Who has it now.
        holder: String,
    },
    /// The process ended before the other place answered.
    #[error("{}", say!(
        "the store of state.replicate did not confirm what was committed last before this process ended: {why}. Nothing of it was answered; the next start here takes it along",
        why
    ))]
    Unconfirmed {
        /// What the store said last.
        why: String,
    },
}

impl Unshipped {
    /// As an error of the database, which commits end with.
    pub(crate) fn into_database(self) -> rusqlite::Error {
        rusqlite::Error::ToSqlConversionFailure(Box::new(self))
    }

    /// The one that an error of the database brought along.
    pub(crate) fn of(error: &rusqlite::Error) -> Option<&Self> {
        carried(error)
    }
}

/// Says whether the commits of a state go elsewhere from now on: other processes see it.
///
/// # Errors
/// If the directory cannot be written.
pub fn mark_replicated(dir: &Path, replicated: bool) -> Result<(), StoreError> {
    let mark = dir.join(MARK);
    let done = match replicated {
        true => private::write(&mark, []),
        false => match std::fs::remove_file(&mark) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            done => done,
        },
    };
    done.map_err(|error| StoreError::Directory { path: mark, error })
}

/// Refuses to write to a state that another process replicates.
///
/// # Errors
/// If one does.
pub(crate) fn may_write(dir: &Path) -> Result<(), StoreError> {
    match dir.join(MARK).exists() && !Turns::of(dir).are_ours() {
        true => Err(StoreError::Replicated(dir.to_owned())),
        false => Ok(()),
    }
}
