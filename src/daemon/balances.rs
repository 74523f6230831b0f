//! A copy of the ledger for readers, so that who sums up 250,000 lines holds up no payment. The ledger is held for as long
//! as it takes to copy it, and at most for a tenth of the time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};

use crate::ledger::{Ledger, LedgerCopy};

/// How many times as long as it took to make it a copy is good for, at least.
const GOOD_FOR: u32 = 10;

/// The latest copy of the ledger that readers were given.
#[derive(Debug, Default)]
pub struct BalancesCopy(Mutex<Option<Held>>);

#[derive(Debug)]
struct Held {
    copy: Arc<LedgerCopy>,
    /// The commits there were before it was made.
    commits: u64,
    made: std::time::Instant,
    took: Duration,
}

impl BalancesCopy {
    /// The lines after the last commit; where a copy takes long, those of a moment ago. Readers who come together wait for
    /// one copy.
    pub fn get(&self, ledger: &RwLock<Ledger>, commits: &AtomicU64) -> Arc<LedgerCopy> {
        let mut held = self.0.lock();
        let commits = commits.load(Ordering::SeqCst);
        if let Some(held) = held.as_ref()
            && (held.commits == commits || held.made.elapsed() < held.took * GOOD_FOR)
        {
            return Arc::clone(&held.copy);
        }
        // The old one is let go of first: there are never two that nobody reads.
        *held = None;
        let begun = std::time::Instant::now();
        let copy = Arc::new(ledger.read().copy());
        let made = std::time::Instant::now();
        *held = Some(Held { copy: Arc::clone(&copy), commits, made, took: made - begun });
        copy
    }
}
