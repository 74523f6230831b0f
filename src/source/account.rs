//! What became of the records of a file, added up as its blocks are committed.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::oneshot::{self, error::TryRecvError};

use super::Outlet;
use crate::stream::{Block, Receipt};

/// The account of one file.
#[derive(Debug, Default)]
pub struct Account {
    waiting: VecDeque<oneshot::Receiver<Receipt>>,
    counts: Receipt,
    /// The loop ended before everything was committed.
    lost: bool,
}

impl Account {
    /// A block of the file is on its way. Those in flight are bounded by the channels.
    pub fn follow(&mut self, block: &mut Block) {
        self.settle();
        let (receipt, committed) = oneshot::channel();
        block.receipt = Some(receipt);
        self.waiting.push_back(committed);
    }

    /// Takes in what is committed; `true` if nothing is on its way any more.
    pub fn settle(&mut self) -> bool {
        while let Some(first) = self.waiting.front_mut() {
            match first.try_recv() {
                Ok(receipt) => self.counts += receipt,
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Closed) => self.lost = true,
            }
            self.waiting.pop_front();
        }
        true
    }

    /// Waits until everything is committed; `false` if the loop ended before.
    pub fn wait(&mut self) -> bool {
        while let Some(first) = self.waiting.pop_front() {
            match first.blocking_recv() {
                Ok(receipt) => self.counts += receipt,
                Err(_) => self.lost = true,
            }
        }
        !self.lost
    }

    /// What is committed so far.
    pub fn counts(&self) -> Receipt {
        self.counts
    }

    /// Tells what became of the file: in the log, and in the status of the source.
    pub fn tell(&self, file: &str, fault: Option<&str>, outlet: &Outlet) {
        let Receipt { accepted, duplicates, rejected, skipped } = self.counts;
        let seen = self.counts.seen();
        let source = Arc::clone(&outlet.name);
        match fault {
            // Its fault was logged when it was met.
            Some(_) => {}
            None if rejected > 0 => {
                tracing::warn!(%source, file, seen, accepted, duplicates, rejected, skipped, "read; what was rejected is in quarantine");
            }
            None => tracing::info!(%source, file, seen, accepted, duplicates, skipped, "read"),
        }
        outlet.status.file(file, self.counts, fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Payload;

    #[test]
    fn it_adds_up_what_is_committed() {
        let mut account = Account::default();
        let mut blocks: Vec<Block> = Vec::new();
        for _ in 0..3 {
            let mut block = Block::new("s".into(), "f".into(), 0, Payload::Rejected(Vec::new()));
            account.follow(&mut block);
            blocks.push(block);
        }
        let counts = |accepted| Receipt { accepted, rejected: 1, ..Receipt::default() };
        let mut commit = |accepted| blocks.remove(0).receipt.unwrap().send(counts(accepted)).unwrap();
        commit(2);
        assert!(!account.settle());
        assert_eq!(account.counts(), counts(2));
        commit(3);
        commit(4);
        assert!(account.settle() && account.wait());
        assert_eq!((account.counts().accepted, account.counts().seen()), (9, 12));
        let mut block = Block::new("s".into(), "f".into(), 0, Payload::Rejected(Vec::new()));
        account.follow(&mut block);
        drop(block);
        assert!(!account.wait(), "the loop ended");
    }
}
