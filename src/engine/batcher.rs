//! Cutting the stream into batches: many small blocks become one batch, so that a commit is worth its fsync;
//! a large block is a batch by itself.

use std::time::Duration;

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::stream::Block;

/// When a batch is full.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    pub(crate) rows: usize,
    /// Or this long after its first record.
    pub wait: Duration,
}

/// Reads blocks and sends batches, until the blocks end. At `closing` it takes what is waiting and no more, even if
/// a source that cannot be interrupted still holds a sender.
pub async fn batches(
    mut blocks: mpsc::Receiver<Block>,
    out: mpsc::Sender<Vec<Block>>,
    limits: BatchLimits,
    closing: CancellationToken,
) {
    let mut next: Option<Block> = None;
    loop {
        let first = match next.take() {
            Some(block) => Some(block),
            None => tokio::select! {
                block = blocks.recv() => block,
                () = closing.cancelled(), if !blocks.is_closed() => {
                    blocks.close();
                    continue;
                }
            },
        };
        let Some(first) = first else { return };
        let deadline = Instant::now() + limits.wait;
        let mut rows = first.records;
        let mut batch = vec![first];
        while rows < limits.rows {
            // What is there already is taken without waiting; for more, the batch waits until its deadline.
            let Ok(Some(block)) = tokio::time::timeout_at(deadline, blocks.recv()).await else { break };
            let more = block.records;
            if rows + more > limits.rows {
                next = Some(block);
                break;
            }
            rows += more;
            batch.push(block);
        }
        if out.send(batch).await.is_err() {
            return;
        }
    }
}
