//! One budget line and the equations of its balances (docs/events.md).

use crate::event::{Cents, Instant, Ratio};

/// The sums of a budget line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balances {
    /// approve + supplement + `carry_over` + transfers in − reduce − reclaim − transfers out
    pub total: Cents,
    /// opening + payments − reversals − refunds ± corrections
    pub executed: Cents,
    /// The part of `executed` from before the journal begins.
    pub opening: Cents,
    /// freeze − unfreeze
    pub frozen: Cents,
    /// Applications not yet paid or withdrawn.
    pub reserved: Cents,
    /// plan − `plan_reduce`
    pub planned: Cents,
    /// The part of `total` that transfers brought; over all lines it sums to zero.
    pub transferred: Cents,
    /// The part of `executed` that corrections brought; over all lines it sums to zero.
    pub corrected: Cents,
    /// What refunds took from `executed`.
    pub refunded: Cents,
    /// Confirmations paid or partial − returned
    pub cleared: Cents,
}

impl Balances {
    /// total − frozen − reserved − executed
    #[must_use]
    pub fn available(&self) -> Cents {
        self.total - self.frozen - self.reserved - self.executed
    }

    /// planned − reserved − executed
    #[must_use]
    pub fn plan_available(&self) -> Cents {
        self.planned - self.reserved - self.executed
    }

    /// Payments that were not taken out again: what `executed` has besides openings, refunds and corrections.
    #[must_use]
    pub fn paid(&self) -> Cents {
        self.executed - self.opening - self.corrected + self.refunded
    }

    /// payments − cleared
    #[must_use]
    pub fn uncleared(&self) -> Cents {
        self.paid() - self.cleared
    }

    /// executed / total; `None` when total is 0.
    #[must_use]
    pub fn executed_ratio(&self) -> Option<Ratio> {
        self.executed.share_of(self.total)
    }

    /// max(0, executed − total) / total; `None` when total is 0.
    #[must_use]
    pub fn overspend_ratio(&self) -> Option<Ratio> {
        (self.executed - self.total).max(Cents::ZERO).share_of(self.total)
    }
}

/// The sums of several lines together.
impl std::ops::AddAssign for Balances {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.executed += other.executed;
        self.opening += other.opening;
        self.frozen += other.frozen;
        self.reserved += other.reserved;
        self.planned += other.planned;
        self.transferred += other.transferred;
        self.corrected += other.corrected;
        self.refunded += other.refunded;
        self.cleared += other.cleared;
    }
}

impl std::ops::SubAssign for Balances {
    fn sub_assign(&mut self, other: Self) {
        self.total -= other.total;
        self.executed -= other.executed;
        self.opening -= other.opening;
        self.frozen -= other.frozen;
        self.reserved -= other.reserved;
        self.planned -= other.planned;
        self.transferred -= other.transferred;
        self.corrected -= other.corrected;
        self.refunded -= other.refunded;
        self.cleared -= other.cleared;
    }
}

/// A budget line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `budget_line_id`
    pub id: Box<str>,
    /// Which version of the attributes holds, in [`super::Ledger::attributes`].
    pub attributes: u32,
    /// What the line has, as of its last event.
    pub balances: Balances,
    /// The event time of the last event that named the line.
    pub last_event_at: Instant,
    /// Changed since the last checkpoint.
    pub(super) changed: bool,
}

impl Line {
    /// A line without money.
    #[must_use]
    pub fn new(id: &str, attributes: u32) -> Self {
        Self {
            id: id.into(),
            attributes,
            balances: Balances::default(),
            last_event_at: Instant::EPOCH,
            changed: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_overspent_by_a_share_of_its_total() {
        let line = |executed, total| Balances {
            total: Cents::new(total),
            executed: Cents::new(executed),
            ..Balances::default()
        };
        let tenth = Ratio::of(1, 10);
        assert_eq!(line(110, 100).overspend_ratio(), tenth);
        assert_eq!(line(90, 100).overspend_ratio(), Some(Ratio::default()));
        assert!(line(1_100_000_000_000_001, 1_000_000_000_000_000).overspend_ratio() > tenth);
        assert_eq!(line(1, 0).executed_ratio(), None);
    }
}
