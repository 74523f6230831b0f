//! Whether more events are taken. Windows hold what their rules say, and nothing less would be right: so when they hold
//! more than the memory that they may have, no more events come in, and that is told. Sources wait where they stand,
//! requests are answered 503, and nothing is lost. It goes on when rules or the limit are changed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::stream::{Block, Payload};

/// How often the loop is asked again while nothing is taken: a reload comes in with that.
const ASK: Duration = Duration::from_millis(500);

/// What windows hold and may hold.
#[derive(Debug)]
pub struct Gate {
    /// Bytes that they may hold.
    pub limit: u64,
    held: AtomicU64,
    is_full: AtomicBool,
}

impl Gate {
    /// Windows that hold nothing yet.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, held: AtomicU64::new(0), is_full: AtomicBool::new(false) }
    }

    /// Bytes that windows hold.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether they hold too much for more events.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// Says what they hold now.
    pub fn holds(&self, bytes: u64) {
        self.held.store(bytes, Ordering::Relaxed);
        let is_full = bytes > self.limit;
        if self.is_full.swap(is_full, Ordering::Relaxed) != is_full {
            let (held_mib, limit_mib) = (bytes >> 20, self.limit >> 20);
            match is_full {
                true => tracing::error!(
                    held_mib,
                    limit_mib,
                    "windows hold more than engine.window_memory_mib: no more events are taken, and nothing is lost"
                ),
                false => tracing::info!(held_mib, limit_mib, "windows have room again: events are taken"),
            }
        }
    }
}

pub struct IncomingBlocks {
    /// Blocks of sources, which wait where they stand.
    pub sources: mpsc::Receiver<Block>,
    /// Posted events, whose senders wait for an answer.
    pub posted: mpsc::Receiver<Block>,
}

/// Hands blocks on as long as windows have room. Posted ones are dropped meanwhile, which tells their senders that they are
/// not taken. At `closing` it hands on what is waiting and no more.
pub(crate) async fn hand_on(
    incoming: IncomingBlocks,
    out: mpsc::Sender<Block>,
    gate: Arc<Gate>,
    closing: CancellationToken,
) {
    let IncomingBlocks { mut sources, mut posted } = incoming;
    let (mut sources_end, mut posted_end) = (false, false);
    while !(sources_end && posted_end) {
        let has_room = !gate.is_full() || closing.is_cancelled();
        let block = tokio::select! {
            block = posted.recv(), if !posted_end => {
                posted_end = block.is_none();
                block.filter(|_| !gate.is_full() || closing.is_cancelled())
            }
            block = sources.recv(), if has_room && !sources_end => {
                sources_end = block.is_none();
                block
            }
            () = closing.cancelled(), if !(sources.is_closed() && posted.is_closed()) => {
                sources.close();
                posted.close();
                None
            }
            // What is in the loop may fill the windows meanwhile, and a reload may empty them.
            () = tokio::time::sleep(ASK) => Some(nothing()).filter(|_| !has_room),
        };
        if let Some(block) = block
            && out.send(block).await.is_err()
        {
            return;
        }
    }
}

/// A block that only has the loop look around.
fn nothing() -> Block {
    Block::new(Arc::from("intake"), Arc::from("intake"), 0, Payload::JsonLines(Vec::new().into()))
}
