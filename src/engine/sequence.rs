//! What must happen in order: duplicates and conflicts, and the ledger.

use std::sync::{Arc, PoisonError, RwLock};

use arrow::{
    array::{AsArray, BooleanArray},
    buffer::BooleanBuffer,
    compute::filter_record_batch,
    datatypes::TimestampMicrosecondType,
    record_batch::RecordBatch,
};

use super::dedup::{Dedup, Seen};
use crate::{
    decode::Decoded,
    event::{Column, EventType},
    ledger::{AfterEvent, Attributes, Changes, Ledger},
    store::StoreError,
    stream::{Block, Reason, Receipt, Reject},
};

/// The state that events are applied to, one batch after another.
pub struct Sequencer {
    ledger: Arc<RwLock<Ledger>>,
    dedup: Dedup,
    /// Events between two checkpoints; `None` for a run that keeps no state.
    checkpoint_every: Option<u64>,
    since_checkpoint: u64,
}

/// A batch after it was applied to the ledger.
pub struct Sequenced {
    /// The accepted events.
    pub events: RecordBatch,
    /// Their types.
    pub types: Vec<EventType>,
    /// The hashes of their ids and contents.
    pub hashes: Vec<(u64, u64)>,
    /// What the ledger says after each.
    pub after: AfterEvent,
    /// The store that `after` points into.
    pub attributes: Arc<boxcar::Vec<Attributes>>,
    /// Records for the quarantine.
    pub rejects: Vec<Reject>,
    /// Duplicates among the events.
    pub duplicates: u64,
    /// What became of each block's records.
    pub receipts: Vec<Receipt>,
    /// The accepted events of each block, by type.
    pub types_by_block: Vec<[u64; EventType::ALL.len()]>,
    /// The ledger's changes, when it is time for a checkpoint.
    pub checkpoint: Option<Changes>,
}

impl Sequencer {
    /// A sequencer that goes on from this state.
    #[must_use]
    pub fn new(ledger: Arc<RwLock<Ledger>>, dedup: Dedup, checkpoint_every: Option<u64>) -> Self {
        Self { ledger, dedup, checkpoint_every, since_checkpoint: 0 }
    }

    /// Events that are remembered.
    #[must_use]
    pub fn known_events(&self) -> usize {
        self.dedup.len()
    }

    /// Takes out duplicates and conflicts and applies the rest to the ledger. `last` asks for a checkpoint.
    ///
    /// # Errors
    /// If sealed events must be looked up and cannot be read.
    pub fn sequence(
        &mut self,
        blocks: &[Block],
        mut decoded: Decoded,
        last: bool,
    ) -> Result<Sequenced, StoreError> {
        let event_ids = decoded.events.column(Column::EventId.index()).as_string_view().clone();
        let times = decoded.events.column(Column::OccurredAt.index());
        let times = times.as_primitive::<TimestampMicrosecondType>().clone();
        let mut receipts = vec![Receipt::default(); blocks.len()];
        let mut types_by_block = vec![[0; EventType::ALL.len()]; blocks.len()];
        let rows = decoded.types.len();
        let mut accepted = Vec::with_capacity(rows);
        let mut duplicates = 0;
        for row in 0..rows {
            let (id, content) = (decoded.ids[row], decoded.contents[row]);
            let seen = self.dedup.see(event_ids.value(row), id, content, times.value(row))?;
            let receipt = &mut receipts[decoded.origins.block(row)];
            match seen {
                Seen::New => {
                    receipt.accepted += 1;
                    types_by_block[decoded.origins.block(row)][decoded.types[row] as usize] += 1;
                }
                Seen::Duplicate => {
                    receipt.duplicates += 1;
                    duplicates += 1;
                }
                Seen::Conflict => {
                    let detail = String::from("the event_id is known with other content");
                    decoded.rejects.push(decoded.origins.reject(row, Reason::Conflict, detail));
                }
            }
            accepted.push(seen == Seen::New);
        }
        for reject in &decoded.rejects {
            count_reject(&mut receipts, blocks, reject);
        }
        let (events, types, hashes) = keep(&decoded, &accepted);
        // A batch with events is a journal block, one without is none.
        self.dedup.end_batch(!types.is_empty())?;
        let (after, attributes, checkpoint) = self.apply(&events, &types, last);
        let rejects = decoded.rejects;
        Ok(Sequenced {
            events,
            types,
            hashes,
            after,
            attributes,
            rejects,
            duplicates,
            receipts,
            types_by_block,
            checkpoint,
        })
    }

    fn apply(
        &mut self,
        events: &RecordBatch,
        types: &[EventType],
        last: bool,
    ) -> (AfterEvent, Arc<boxcar::Vec<Attributes>>, Option<Changes>) {
        let mut ledger = self.ledger.write().unwrap_or_else(PoisonError::into_inner);
        let after = ledger.apply(events, types);
        self.since_checkpoint += types.len() as u64;
        let due = self.checkpoint_every.is_some_and(|every| last || self.since_checkpoint >= every);
        let checkpoint = due.then(|| {
            self.since_checkpoint = 0;
            ledger.take_changes()
        });
        (after, ledger.attributes(), checkpoint)
    }
}

fn count_reject(receipts: &mut [Receipt], blocks: &[Block], reject: &Reject) {
    let of = |block: &Block| block.source == reject.source && block.partition == reject.partition;
    // Blocks of one source that share a batch share the count of its rejects, but for those that ask for receipts.
    if let Some(at) = blocks.iter().position(of) {
        receipts[at].rejected += 1;
    }
}

/// The accepted rows; the batch itself if that is all of them.
fn keep(decoded: &Decoded, accepted: &[bool]) -> (RecordBatch, Vec<EventType>, Vec<(u64, u64)>) {
    let hashes = || decoded.ids.iter().copied().zip(decoded.contents.iter().copied());
    if accepted.iter().all(|yes| *yes) {
        return (decoded.events.clone(), decoded.types.clone(), hashes().collect());
    }
    let mask = BooleanArray::new(BooleanBuffer::from(accepted), None);
    let events = filter_record_batch(&decoded.events, &mask).expect("the mask is as long as the batch");
    let kept = |row: &usize| accepted[*row];
    let types = (0..accepted.len()).filter(kept).map(|row| decoded.types[row]).collect();
    (events, types, hashes().zip(accepted).filter(|(_, yes)| **yes).map(|(hash, _)| hash).collect())
}
