//! One partition: messages gathered into blocks whose spans follow one another, over gaps in the offsets too
//! (compaction and transactions leave some).

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::{
    say,
    stream::{Block, Payload, Position, RECORD_BYTES_MAX, Receipt, Reject, RejectReason, Span},
};

/// A block is sent when it holds so many bytes.
const BLOCK_BYTES: usize = 4 << 20;

/// A partition being read.
pub(crate) struct Partition {
    source: Arc<str>,
    name: Arc<str>,
    /// The topic's id, kept with the position: offsets mean nothing in a topic that was made again.
    topic_id: Option<String>,
    /// The offset that the store holds, or will hold when what was sent is committed; where the next span starts.
    from: Option<u64>,
    /// The offset of the next message.
    next: i64,
    data: Vec<u8>,
    ends: Vec<(u32, u64)>,
    /// Blocks that are not committed yet, by their ends.
    sent: VecDeque<(u64, oneshot::Receiver<Receipt>)>,
    committed: Option<u64>,
}

impl Partition {
    /// A partition that goes on at the position in the store, or begins at `start`.
    pub(crate) fn new(source: &Arc<str>, name: &str, stored: Option<&Position>, start: i64) -> Self {
        let known = stored.and_then(|p| Some((i64::try_from(p.offset).ok()?, p)));
        Self {
            source: Arc::clone(source),
            name: name.into(),
            topic_id: known.map(|(_, p)| p.token.clone()).filter(|token| !token.is_empty()),
            from: known.map(|(_, p)| p.offset),
            next: known.map_or(start, |(at, _)| at),
            data: Vec::new(),
            ends: Vec::new(),
            sent: VecDeque::new(),
            committed: None,
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn next(&self) -> i64 {
        self.next
    }

    /// The id of the topic that the offsets belong to.
    pub(crate) fn topic_id(&self) -> Option<&str> {
        self.topic_id.as_deref()
    }

    /// The topic's id is known, or another one after [`Partition::lose`].
    pub(crate) fn belongs_to(&mut self, topic_id: Option<&str>) {
        if let Some(id) = topic_id {
            self.topic_id = Some(id.to_owned());
        }
    }

    /// Takes a message. `true` if what was gathered must be cut now.
    pub(crate) fn take(&mut self, offset: i64, payload: &[u8], rows: usize) -> bool {
        // Never before the position: what is there was read.
        if offset >= self.next {
            self.data.extend_from_slice(payload);
            self.ends.push((u32::try_from(self.data.len()).unwrap_or(u32::MAX), offset.unsigned_abs()));
            self.next = offset + 1;
        }
        self.ends.len() >= rows || self.data.len() >= BLOCK_BYTES
    }

    /// Everything before `offset` was taken: what is missing before it never comes.
    pub(crate) fn reach(&mut self, offset: i64) {
        self.next = self.next.max(offset);
    }

    /// What was gathered, as a block.
    pub(crate) fn cut(&mut self) -> Option<Block> {
        let first = self.ends.first().map(|(_, offset)| *offset)?;
        let (data, ends) = (std::mem::take(&mut self.data), std::mem::take(&mut self.ends));
        Some(self.block(first, Payload::Messages { data: Bytes::from(data), ends }))
    }

    /// A block without records, if the position in the store is behind.
    pub(crate) fn advance(&mut self) -> Option<Block> {
        let (data, ends) = (Bytes::new(), Vec::new());
        let behind = self.ends.is_empty() && self.from != Some(self.next.unsigned_abs());
        behind.then(|| self.block(self.next.unsigned_abs(), Payload::Messages { data, ends }))
    }

    /// A message that is too long; what was gathered must have been cut before.
    pub(crate) fn too_large(&mut self, offset: i64, payload: &[u8]) -> Option<Block> {
        if offset < self.next {
            return None;
        }
        self.next = offset + 1;
        let detail = say!(
            "{bytes} bytes, {most} are allowed; only the start is kept here",
            bytes = payload.len(),
            most = RECORD_BYTES_MAX
        );
        let raw = Bytes::copy_from_slice(&payload[..RECORD_BYTES_MAX.min(payload.len())]);
        Some(self.reject(RejectReason::TooLarge, detail, offset, raw))
    }

    /// The messages from here on are gone: a block that says so and leads to where reading goes on.
    pub(crate) fn lose(&mut self, detail: String, goes_on: i64, topic_id: Option<&str>) -> Block {
        let at = self.next;
        self.next = goes_on;
        self.topic_id = topic_id.map(str::to_owned);
        // Offsets that were committed before may be of another topic.
        self.committed = None;
        self.reject(RejectReason::Lost, detail, at, Bytes::new())
    }

    /// The offset up to which everything is committed, if it has moved.
    pub(crate) fn newly_committed(&mut self) -> Option<u64> {
        let mut moved = None;
        while let Some((to, receipt)) = self.sent.front_mut() {
            if receipt.try_recv().is_err() {
                break;
            }
            moved = Some(*to);
            self.sent.pop_front();
        }
        let moved = moved.filter(|to| self.committed != Some(*to));
        self.committed = moved.or(self.committed);
        moved
    }

    fn reject(&mut self, reason: RejectReason, detail: String, offset: i64, raw: Bytes) -> Block {
        let record = offset.unsigned_abs();
        let (source, partition) = (Arc::clone(&self.source), Arc::clone(&self.name));
        let reject = Reject { reason, detail, source, partition, record, raw };
        self.block(record, Payload::Rejected(vec![reject]))
    }

    fn block(&mut self, first: u64, payload: Payload) -> Block {
        let to = self.next.unsigned_abs();
        let token = self.topic_id.clone().unwrap_or_default();
        let span = Span {
            source: Arc::clone(&self.source),
            partition: Arc::clone(&self.name),
            from: self.from.unwrap_or(first),
            to: Position { offset: to, records: to, token },
        };
        self.from = Some(to);
        let (receipt, committed) = oneshot::channel();
        self.sent.push_back((to, committed));
        let block = Block::new(Arc::clone(&self.source), Arc::clone(&self.name), first, payload);
        Block { span: Some(span), receipt: Some(receipt), ..block }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(block: &Block) -> (u64, u64, &str) {
        let span = block.span.as_ref().unwrap();
        (span.from, span.to.offset, &span.to.token)
    }

    #[test]
    fn spans_follow_one_another_over_gaps_and_ends() {
        let mut p = Partition::new(&"core".into(), "t[0]", None, 5);
        p.belongs_to(Some("id"));
        // The start is kept at once: after it, nothing is passed over.
        assert_eq!(span(&p.advance().unwrap()), (5, 5, "id"));
        assert!(p.advance().is_none());
        assert!(!p.take(7, b"a", 2));
        assert!(!p.take(6, b"again", 2));
        assert!(p.take(9, b"b", 2));
        assert_eq!(span(&p.cut().unwrap()), (5, 10, "id"));
        assert!(p.cut().is_none());
        p.reach(8);
        assert!(p.advance().is_none());
        p.reach(12);
        assert_eq!(span(&p.advance().unwrap()), (10, 12, "id"));
    }

    #[test]
    fn what_is_lost_is_a_record_of_its_own_and_the_position_may_go_back() {
        let stored = Position { offset: 100, records: 100, token: String::from("old") };
        let mut p = Partition::new(&"core".into(), "t[0]", Some(&stored), 0);
        let block = p.lose(String::from("made again"), 3, Some("new"));
        assert_eq!(span(&block), (100, 3, "new"));
        assert!(
            matches!(&block.payload, Payload::Rejected(r) if r[0].reason == RejectReason::Lost && r[0].record == 100)
        );
        assert!(!p.take(3, b"a", 10));
        assert_eq!(span(&p.cut().unwrap()), (3, 4, "new"));
    }

    #[test]
    fn only_what_is_committed_without_a_gap_counts() {
        let mut p = Partition::new(&"core".into(), "t[0]", None, 0);
        let mut blocks = Vec::new();
        for offset in 0..3 {
            p.take(offset, b"a", 1);
            blocks.push(p.cut().unwrap());
        }
        let mut tell = |at: usize| blocks[at].receipt.take().unwrap().send(Receipt::default()).unwrap();
        assert_eq!(p.newly_committed(), None);
        tell(1);
        assert_eq!(p.newly_committed(), None);
        tell(0);
        assert_eq!(p.newly_committed(), Some(2));
        assert_eq!(p.newly_committed(), None);
    }
}
