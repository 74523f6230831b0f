//! Queries that were left behind and still run, and whom they keep from beginning: their own rule as long as one of its
//! runs, and the others only where they are very many. So a slow rule costs itself its ticks, and no other rule.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU8, Ordering},
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};

/// With so many left behind, who is not among them waits for a while before it begins.
const FEW: usize = 2;
/// With so many, nobody begins: each may hold as much memory as a query may.
const MANY: usize = 8;
/// How often is looked whether one has ended.
const LOOK: Duration = Duration::from_millis(20);

/// The queries that were left behind and have not ended.
#[derive(Debug)]
pub(crate) struct Crowd(Mutex<BTreeSet<Left>>);

/// Whose it is, and since when it has been left.
type Left = (String, Instant);

impl Crowd {
    #[must_use]
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(BTreeSet::new()))
    }

    fn left(&self) -> MutexGuard<'_, BTreeSet<Left>> {
        self.0.lock()
    }

    /// How many there are.
    #[must_use]
    pub(crate) fn count(&self) -> usize {
        self.left().len()
    }

    /// How many there are in all, and whether one of them is of this owner.
    fn seen_by(&self, owner: &str) -> (usize, bool) {
        let left = self.left();
        (left.len(), left.iter().any(|(of, _)| of == owner))
    }

    /// Waits until a query of this owner may begin, at most for `patience`. `false` if it may not even then.
    pub(crate) async fn admits(&self, owner: &str, patience: Duration) -> bool {
        let started = Instant::now();
        loop {
            let (all, own) = self.seen_by(owner);
            if all < FEW && !own {
                return true;
            }
            if started.elapsed() >= patience {
                return all < MANY && !own;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A query that begins.
    #[must_use]
    pub(crate) fn course(&self, owner: &str) -> QueryCourse<'_> {
        QueryCourse {
            crowd: self,
            left: (owner.to_owned(), Instant::now()),
            state: AtomicU8::new(WAITED_FOR),
        }
    }
}

/// Whether a query has ended, and whether anybody waits for it.
#[derive(Debug)]
pub(crate) struct QueryCourse<'c> {
    crowd: &'c Crowd,
    left: Left,
    state: AtomicU8,
}

const WAITED_FOR: u8 = 0;
const LEFT_BEHIND: u8 = 1;
const ENDED: u8 = 2;

impl QueryCourse<'_> {
    /// Nobody waits for it any more.
    pub(crate) fn leave(&self) {
        // The lock is held meanwhile, so that an end does not come in between.
        let mut left = self.crowd.left();
        let order = Ordering::SeqCst;
        if self.state.compare_exchange(WAITED_FOR, LEFT_BEHIND, order, order).is_ok() {
            left.insert(self.left.clone());
        }
    }

    pub(crate) fn end(&self) {
        let mut left = self.crowd.left();
        if self.state.swap(ENDED, Ordering::SeqCst) == LEFT_BEHIND {
            left.remove(&self.left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(60);

    #[tokio::test]
    async fn a_rule_that_left_a_query_keeps_itself_waiting_and_nobody_else() {
        let crowd = Crowd::new();
        let slow = crowd.course("slow");
        slow.leave();
        assert!(!crowd.admits("slow", SOON).await);
        let started = Instant::now();
        assert!(crowd.admits("good", SOON).await);
        assert!(started.elapsed() < SOON, "one that is left does not keep others waiting");
        slow.end();
        assert!(crowd.admits("slow", SOON).await);
        // One that has ended when nobody waits for it any more is not left behind.
        let quick = crowd.course("quick");
        quick.end();
        quick.leave();
        assert_eq!(crowd.count(), 0);
    }

    #[tokio::test]
    async fn others_wait_while_some_are_left_and_are_refused_only_by_very_many() {
        let crowd = Crowd::new();
        let courses: Vec<_> = (0..MANY).map(|n| crowd.course(&format!("slow{n}"))).collect();
        courses[..FEW].iter().for_each(QueryCourse::leave);
        let started = Instant::now();
        assert!(crowd.admits("good", SOON).await);
        assert!(started.elapsed() >= SOON, "it waits before it runs beside them");
        let started = Instant::now();
        let long = Duration::from_mins(1);
        let (admitted, ()) = tokio::join!(crowd.admits("good", long), async {
            tokio::time::sleep(SOON).await;
            courses[0].end();
        });
        assert!(admitted && started.elapsed() < long / 2, "it begins as soon as one has ended");
        courses.iter().for_each(QueryCourse::leave);
        assert_eq!(crowd.count(), MANY - 1, "what has ended is not left");
        let another = crowd.course("another");
        another.leave();
        assert!(!crowd.admits("good", SOON).await);
    }
}
