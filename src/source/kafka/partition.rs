//! One partition: messages gathered into blocks whose spans follow one another, over gaps in the offsets too
//! (compaction and transactions leave some).

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    source::Outlet,
    stream::{Block, Payload, Position, RECORD_BYTES_MAX, Reason, Reject, Span},
};

/// A block is sent when it holds so many bytes.
const BLOCK_BYTES: usize = 4 << 20;

/// A partition being read.
pub struct Partition {
    name: Arc<str>,
    /// The offset that the store holds, or will hold when what was sent is committed; where the next span starts.
    from: Option<u64>,
    /// The offset of the next message.
    next: i64,
    data: Vec<u8>,
    ends: Vec<(u32, u64)>,
}

impl Partition {
    /// A partition whose next message is at `next`; `stored` is the position in the store.
    pub fn new(name: String, next: i64, stored: Option<i64>) -> Self {
        let from = stored.and_then(|at| u64::try_from(at).ok());
        Self { name: name.into(), from, next, data: Vec::new(), ends: Vec::new() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn next(&self) -> i64 {
        self.next
    }

    /// Goes on elsewhere; the next span covers the hole.
    pub fn jump(&mut self, to: i64) {
        self.next = to;
    }

    /// Takes a message; a full block is sent. `false` if nobody takes blocks any more.
    pub fn take(&mut self, offset: i64, payload: &[u8], outlet: &Outlet) -> bool {
        if offset < self.next {
            // A new assignment may hand out a message once more.
            return true;
        }
        if payload.len() > RECORD_BYTES_MAX {
            return self.send(outlet) && self.too_large(offset, payload, outlet);
        }
        self.data.extend_from_slice(payload);
        self.ends.push((u32::try_from(self.data.len()).unwrap_or(u32::MAX), offset.unsigned_abs()));
        self.next = offset + 1;
        let full = self.ends.len() >= outlet.rows || self.data.len() >= BLOCK_BYTES;
        !full || self.send(outlet)
    }

    /// Sends what was gathered. `false` if nobody takes blocks any more.
    pub fn send(&mut self, outlet: &Outlet) -> bool {
        if self.ends.is_empty() {
            return true;
        }
        let (data, ends) = (std::mem::take(&mut self.data), std::mem::take(&mut self.ends));
        let first = ends.first().map_or(0, |(_, offset)| *offset);
        self.send_block(first, Payload::Messages { data: Bytes::from(data), ends }, outlet)
    }

    fn too_large(&mut self, offset: i64, payload: &[u8], outlet: &Outlet) -> bool {
        self.next = offset + 1;
        let reject = Reject {
            reason: Reason::TooLarge,
            detail: format!(
                "{} bytes, {RECORD_BYTES_MAX} are allowed; only the start is kept here",
                payload.len()
            ),
            source: Arc::clone(&outlet.name),
            partition: Arc::clone(&self.name),
            record: offset.unsigned_abs(),
            raw: Bytes::copy_from_slice(&payload[..RECORD_BYTES_MAX]),
        };
        self.send_block(offset.unsigned_abs(), Payload::Rejected(vec![reject]), outlet)
    }

    fn send_block(&mut self, first: u64, payload: Payload, outlet: &Outlet) -> bool {
        let to = self.next.unsigned_abs();
        let span = Span {
            source: Arc::clone(&outlet.name),
            partition: Arc::clone(&self.name),
            from: self.from.unwrap_or(first),
            to: Position { offset: to, records: to, token: String::new() },
        };
        self.from = Some(to);
        let block = Block::new(Arc::clone(&outlet.name), Arc::clone(&self.name), first, payload);
        outlet.send_blocking(Block { span: Some(span), ..block })
    }
}
