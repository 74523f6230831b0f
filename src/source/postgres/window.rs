//! The rows that were read lately, so that those that are read again are passed over. Digests are kept in the order of
//! the column that grows: of a round that goes on, and of the one before it.

use std::collections::{HashSet, VecDeque};

use serde::{Deserialize, Serialize};

/// Rows that are remembered while the source runs (8 MiB).
pub(crate) const REMEMBERED: usize = 1 << 18;
/// Rows that are remembered over a restart: they stand in every commit.
pub(crate) const KEPT: usize = 2048;

pub(crate) type Digest = u128;

/// The rows of two rounds.
#[derive(Debug, Default)]
pub(crate) struct RecentRows {
    before: Rows,
    now: Rows,
}

#[derive(Debug, Default)]
struct Rows {
    order: VecDeque<Digest>,
    known: HashSet<Digest>,
    /// Whether rows were let go of.
    let_go: bool,
}

impl Rows {
    fn add(&mut self, row: Digest) {
        if !self.known.insert(row) {
            return;
        }
        self.order.push_back(row);
        if self.order.len() > REMEMBERED
            && let Some(first) = self.order.pop_front()
        {
            self.known.remove(&first);
            self.let_go = true;
        }
    }
}

impl RecentRows {
    /// What is known of the time before a restart.
    pub(crate) fn restored(rows: impl IntoIterator<Item = Digest>) -> Self {
        let mut window = Self::default();
        for row in rows {
            window.before.add(row);
        }
        window.before.let_go = window.before.order.len() >= KEPT;
        window
    }

    pub(crate) fn knows(&self, row: Digest) -> bool {
        self.now.known.contains(&row) || self.before.known.contains(&row)
    }

    /// A row of the round that goes on.
    pub(crate) fn take(&mut self, row: Digest) {
        self.now.add(row);
    }

    /// The round is complete: what it did not bring is not read again.
    pub(crate) fn turn(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }

    /// The round broke off: what came before it may be read again.
    pub(crate) fn break_off(&mut self) {
        for row in std::mem::take(&mut self.now).order {
            self.before.add(row);
        }
    }

    /// Whether nothing was let go of that may be read again.
    pub(crate) fn is_whole(&self) -> bool {
        !self.before.let_go
    }

    /// The latest rows, in their order, to be remembered over a restart.
    pub(crate) fn latest(&self) -> Vec<Digest> {
        let before = self.before.order.iter().rev().filter(|row| !self.now.known.contains(row));
        let mut rows: Vec<_> = self.now.order.iter().rev().chain(before).take(KEPT).copied().collect();
        rows.reverse();
        rows
    }
}

/// How far a table is read, as it stands with the position in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TablePosition {
    /// The column that grows; the value of another one would mean nothing.
    pub cursor: String,
    /// The largest value that was read, as text.
    pub at: String,
    /// The latest rows: 32 digits each.
    rows: String,
}

impl TablePosition {
    pub(crate) fn new(cursor: &str, at: &str, window: &RecentRows) -> Self {
        use std::fmt::Write as _;
        let rows = window.latest().into_iter().fold(String::new(), |mut text, row| {
            let _ = write!(text, "{row:032x}");
            text
        });
        Self { cursor: cursor.to_owned(), at: at.to_owned(), rows }
    }

    /// The rows that are remembered.
    pub(crate) fn window(&self) -> RecentRows {
        let digits = |digits: &[u8]| Digest::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        RecentRows::restored(self.rows.as_bytes().chunks(32).filter_map(digits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_round_replaces_the_one_before_and_a_broken_one_does_not() {
        let mut window = RecentRows::restored([1, 2, 3]);
        assert!(window.is_whole());
        window.take(2);
        window.take(4);
        assert!([1, 2, 3, 4].into_iter().all(|row| window.knows(row)) && !window.knows(5));
        assert_eq!(window.latest(), [1, 3, 2, 4]);
        window.break_off();
        assert_eq!(window.latest(), [1, 2, 3, 4]);
        window.take(3);
        window.take(4);
        window.turn();
        assert!(!window.knows(1) && !window.knows(2) && window.knows(3));
    }

    #[test]
    fn a_restart_knows_the_latest_rows() {
        let mut window = RecentRows::default();
        (0..3000).for_each(|row| window.take(row));
        let place = TablePosition::new("c", "7", &window);
        let text = serde_json::to_string(&place).unwrap();
        let restored = serde_json::from_str::<TablePosition>(&text).unwrap().window();
        assert_eq!(restored.latest(), (3000 - KEPT as u128..3000).collect::<Vec<_>>());
        assert!(!restored.is_whole(), "older rows may be read again");
    }

    #[test]
    fn memory_is_bounded() {
        let mut window = RecentRows::default();
        (0..REMEMBERED as u128 + 10).for_each(|row| window.take(row));
        assert!(!window.knows(9) && window.knows(10));
        assert_eq!((window.now.order.len(), window.now.known.len()), (REMEMBERED, REMEMBERED));
        window.turn();
        assert!(!window.is_whole());
    }
}
