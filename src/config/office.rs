//! Whose daemon it is, and when it is unwell.

use crate::event::TimeDelta;

/// In whose name mails and letters are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Office {
    /// The bureau; mails name none without it.
    pub bureau: Option<String>,
    /// The office that signs letters; the bureau without it.
    pub sender: Option<String>,
    /// What stands under its name.
    pub signature: Option<String>,
}

/// From when on something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thresholds {
    /// Without an event for so long; `None` is never wrong.
    pub silent_after: Option<TimeDelta>,
    /// So many records behind.
    pub lag_records: u64,
    /// What is due waits so long.
    pub outbox_age: TimeDelta,
    /// So many records put into quarantine within an hour.
    pub rejects_per_hour: u64,
    /// Fewer bytes free.
    pub disk_free: u64,
    /// How long until what is still wrong is told again.
    pub repeat: TimeDelta,
}
