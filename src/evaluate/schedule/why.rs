//! Why a tick has no answer.

use datafusion::common::DataFusionError;

use crate::{
    evaluate::{
        bounded::{Broken, Unread},
        guard::TimeOver,
    },
    say,
};

/// Why a tick is passed without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It took too long.
    Time,
    /// It needed too much memory.
    Memory,
    /// It did not end when its time was over.
    Left,
    /// The query panicked, which is a bug.
    Panicked,
    /// Queries before it whose time is over have not ended.
    Crowded,
    /// So many processes ended while they evaluated it.
    Ended,
    /// The store could not be read, or the operating system gave no thread.
    Unread,
}

impl Why {
    const ALL: [Self; 7] =
        [Self::Time, Self::Memory, Self::Left, Self::Panicked, Self::Crowded, Self::Ended, Self::Unread];

    /// Its number in the store.
    #[must_use]
    pub fn code(self) -> i64 {
        Self::ALL.iter().zip(1..).find(|(why, _)| **why == self).map_or(0, |(_, code)| code)
    }

    /// By its number in the store.
    #[must_use]
    pub fn of_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.code() == code)
    }

    /// For an error of time, memory or reading: the same query over the same events may be answered another time.
    pub(super) fn of(error: &DataFusionError) -> Option<Self> {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Some(Self::Memory),
            DataFusionError::External(inner) if inner.is::<TimeOver>() => Some(Self::Time),
            DataFusionError::External(inner) if inner.is::<Unread>() => Some(Self::Unread),
            DataFusionError::External(inner) => inner.downcast_ref().map(|broken| match broken {
                Broken::Left => Self::Left,
                Broken::Panicked => Self::Panicked,
                Broken::Crowded => Self::Crowded,
            }),
            _ => None,
        }
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&match self {
            Self::Time => say!("it took too long"),
            Self::Memory => say!("it needed too much memory"),
            Self::Left | Self::Panicked => say!("it broke off"),
            Self::Crowded => say!("others before it had not ended"),
            Self::Ended => say!("the daemon ended several times while it was evaluated"),
            Self::Unread => say!("what is stored could not be read"),
        })
    }
}
