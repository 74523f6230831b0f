//! Entries of the outbox that are due, and what is known of those they are told with.

use rusqlite::Row;

use crate::{
    alert::{
        Alert, Labels,
        desk::{EntryTopic, GroupKey},
    },
    event::Instant,
    store::alerts::from_json,
};

/// Some entries that are told together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueGroup {
    pub(crate) group_key: GroupKey,
    pub(crate) route: String,
    pub(crate) sink: String,
    /// The labels they share.
    pub labels: Labels,
}

/// An entry of a group that is due.
#[derive(Debug, Clone)]
pub struct DueEntry {
    pub(crate) seq: i64,
    pub(crate) matter: EntryTopic,
    /// When its cause was committed.
    pub received_at: Instant,
    /// Whether something muted it before.
    pub was_held: bool,
    /// The alert as it is now.
    pub alert: Alert,
}

/// What is known of a group that was told of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToldGroup {
    /// The thread of its notifications.
    pub thread: String,
    /// Its alerts that were told of and are not known to be over.
    pub alerts: Vec<String>,
}

/// The time and number of an entry that others follow on; `None` for the first ones.
pub(super) type Followed = Option<(Instant, i64)>;

impl DueGroup {
    /// Out of a row of the outbox or of its groups.
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            group_key: row.get("group_key")?,
            route: row.get("route")?,
            sink: row.get("sink")?,
            labels: from_json(row, "labels")?,
        })
    }
}
