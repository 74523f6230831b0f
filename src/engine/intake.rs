//! What the store takes of a batch as it was sequenced.

use crate::{
    decision::Decided,
    ledger::Changes,
    stream::{Reject, Span},
};

use super::VersionChange;

/// What nobody between sequencing and the commit reads or changes: it travels as one value, so that a stage can forget none
/// of it.
#[derive(Debug, Default)]
pub struct Intake {
    /// How far the sources were read, in order.
    pub spans: Vec<Span>,
    /// Records for the quarantine.
    pub rejects: Vec<Reject>,
    /// Quarantined records that were read again.
    pub replayed: Vec<i64>,
    /// Events that were known already.
    pub duplicates: u64,
    /// The ledger's changes since the last checkpoint, when it is time for one.
    pub checkpoint: Option<Changes>,
    /// What is known of records from now on that come again when they have changed.
    pub versions: Vec<VersionChange>,
    /// What was decided of applications.
    pub decided: Vec<Decided>,
}

impl Intake {
    /// Whether there is nothing to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { spans, rejects, replayed, duplicates, checkpoint, versions, decided } = self;
        spans.is_empty()
            && rejects.is_empty()
            && replayed.is_empty()
            && *duplicates == 0
            && checkpoint.is_none()
            && versions.is_empty()
            && decided.is_empty()
    }

    /// Adds that of the batch after it.
    pub fn append(&mut self, next: Self) {
        let Self { spans, rejects, replayed, duplicates, checkpoint, versions, decided } = next;
        self.spans.extend(spans);
        self.rejects.extend(rejects);
        self.replayed.extend(replayed);
        self.duplicates += duplicates;
        debug_assert!(self.checkpoint.is_none(), "a checkpoint must be the last part of its commit");
        self.checkpoint = checkpoint;
        self.versions.extend(versions);
        self.decided.extend(decided);
    }
}
