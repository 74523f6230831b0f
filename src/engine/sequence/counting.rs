//! What becomes of the records of a batch, counted for their sources.

use arrow::{
    array::BooleanArray, buffer::BooleanBuffer, compute::filter_record_batch, record_batch::RecordBatch,
};

use super::super::versions::ResolvedVersions;
use crate::{
    decode::Decoded,
    event::EventType,
    stream::{Block, Receipt, Reject},
};

/// Counts the records that led to no event, and gives how many of them came before.
pub(super) fn count_others(
    receipts: &mut [Receipt],
    blocks: &[Block],
    decoded: &Decoded,
    resolved: &ResolvedVersions,
) -> u64 {
    for (receipt, skipped) in receipts.iter_mut().zip(&decoded.skipped) {
        receipt.skipped = *skipped;
    }
    for reject in &decoded.rejects {
        count_reject(receipts, blocks, reject);
    }
    let mut again = 0;
    for (block, _) in resolved.results.iter().filter(|(_, result)| result.is_duplicate()) {
        receipts[*block].duplicates += 1;
        again += 1;
    }
    again
}

fn count_reject(receipts: &mut [Receipt], blocks: &[Block], reject: &Reject) {
    let of = |block: &Block| {
        [&block.source, &block.read_as].contains(&&reject.source) && block.partition == reject.partition
    };
    // Blocks of one source that share a batch share the count of its rejects, but for those that ask for receipts.
    if let Some(at) = blocks.iter().position(of) {
        receipts[at].rejected += 1;
    }
}

/// The accepted rows; the batch itself if that is all of them.
pub(super) fn keep(decoded: &Decoded, accepted: &[bool]) -> (RecordBatch, Vec<EventType>, Vec<(u64, u64)>) {
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
