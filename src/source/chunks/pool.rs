//! Read buffers used again: fresh memory for every one would cost as much as reading.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::lines::READ_BYTES;
use crate::stream::RECORD_BYTES_MAX;

/// Buffers that wait to be used again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

/// Buffers kept at most; those in flight are bounded by the channels.
const POOL_MAX: usize = 16;

impl Pool {
    /// A buffer with room for a read.
    pub(crate) fn take(&self) -> Vec<u8> {
        let kept = self.0.lock().pop();
        kept.unwrap_or_else(|| Vec::with_capacity(READ_BYTES + RECORD_BYTES_MAX))
    }

    /// Bytes whose buffer comes back when nobody looks at them any more.
    pub(crate) fn lend(&self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { buffer, pool: self.clone() })
    }
}

/// A buffer on its way through the loop.
struct Lent {
    buffer: Vec<u8>,
    pool: Pool,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut kept = self.pool.0.lock();
        if kept.len() < POOL_MAX {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            kept.push(buffer);
        }
    }
}
