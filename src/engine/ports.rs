//! What the loop asks of what is outside it: who stores and remembers is not its business.

use std::fmt::Debug;

use arrow::record_batch::RecordBatch;

use super::versions::{Kept, NamedEvent};
use crate::event::{Column, EventType, Instant};

/// Why something outside the loop cannot answer, in its own words.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct PortError(Box<dyn std::error::Error + Send + Sync>);

impl PortError {
    /// Takes the error of what was asked.
    pub fn new(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }

    /// What was asked says it itself, if it is of this kind.
    pub fn of<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

/// An event of the journal, for telling duplicates.
#[derive(Debug, Clone, Copy)]
pub struct KnownEvent {
    /// The hash of its id.
    pub id: u64,
    /// The hash of its content.
    pub content: u64,
    pub(crate) at: Instant,
    /// Its journal block; `None` if it is in a sealed file.
    pub block: Option<i64>,
}

/// Finds the events that are too old to be remembered.
pub trait KnownIds: Debug + Send {
    /// Learns what there is now; the last journal block of which every event is found.
    ///
    /// # Errors
    /// If it cannot be read.
    fn refresh(&mut self) -> Result<i64, PortError>;

    /// The content hash of an event whose time is before `before`.
    ///
    /// # Errors
    /// If it cannot be read.
    fn content(&mut self, event_id: &str, before: Instant) -> Result<Option<u64>, PortError>;
}

/// Finds committed events by their id.
pub trait Journal: Debug + Send {
    /// Some columns of the event with the id hash `id` whose time is from `times.0` on and before `times.1`.
    ///
    /// # Errors
    /// If it cannot be read.
    fn event(
        &mut self,
        event_id: &str,
        id: u64,
        times: (Instant, Instant),
        columns: &[Column],
    ) -> Result<Option<RecordBatch>, PortError>;

    /// The last journal block that is committed.
    ///
    /// # Errors
    /// If it cannot be read.
    fn last_block(&self) -> Result<i64, PortError>;
}

/// Finds the last versions of records that come again when they have changed.
pub trait KnownVersions: Debug + Send {
    /// What is known of the record of a source with this key.
    ///
    /// # Errors
    /// If it cannot be read.
    fn version(&mut self, source: &str, key: &str) -> Result<Option<Kept>, PortError>;

    /// The source, the key and what is known of the record whose application or payment had this id first, and that
    /// still has one.
    ///
    /// # Errors
    /// If it cannot be read.
    fn version_of(
        &mut self,
        named: NamedEvent,
        first_id: &str,
    ) -> Result<Option<(String, String, Kept)>, PortError>;

    /// The number of the last change that is committed.
    ///
    /// # Errors
    /// If it cannot be read.
    fn last_change(&self) -> Result<i64, PortError>;
}

/// The events that are stored, from which windows are filled.
pub trait History: Send + Sync {
    /// Gives every stored event in the order of arrival, at least those not before `from`. Of the columns
    /// of the event schema only those at the places in `columns` have to have their values.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn replay(
        &self,
        from: Option<Instant>,
        columns: &[usize],
        take: &mut dyn FnMut(&RecordBatch, &[EventType]),
    ) -> Result<(), PortError>;
}

/// A rule that was evaluated at a tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticked {
    /// The instant of event time that was due.
    pub at: Instant,
    /// The rule whose schedule was due.
    pub rule_id: String,
    /// The journal block after which it was.
    pub block: i64,
}
