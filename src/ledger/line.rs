//! One budget line and the equations of its balances (docs/events.md). All sums are whole cents.

use arrow::datatypes::i256;

use crate::event::{Instant, money::format_scaled};

/// Digits after the point of a ratio. 10⁻¹⁸ tells one cent in ten quadrillion yuan, so a comparison with a
/// threshold is exact for every amount there can be.
pub(crate) const RATIO_SCALE: u32 = 18;
const RATIO_ONE: i128 = 1_000_000_000_000_000_000;
/// The largest value of `Decimal128(38, 18)`; a larger ratio is held at it.
const RATIO_MAX: i128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;

/// The sums of a budget line, in cents. Amounts are below 10¹⁸ cents, so that 10¹⁰ events stay inside the
/// 28 digits that rules see and inside `rust_decimal`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balances {
    /// approve + supplement + `carry_over` + transfers in − reduce − reclaim − transfers out
    pub total: i128,
    /// opening + payments − reversals − refunds ± corrections
    pub executed: i128,
    /// The part of `executed` from before the journal begins.
    pub opening: i128,
    /// freeze − unfreeze
    pub frozen: i128,
    /// Applications not yet paid or withdrawn.
    pub reserved: i128,
    /// plan − `plan_reduce`
    pub planned: i128,
    /// The part of `total` that transfers brought; over all lines it sums to zero.
    pub transferred: i128,
    /// The part of `executed` that corrections brought; over all lines it sums to zero.
    pub corrected: i128,
    /// What refunds took from `executed`.
    pub refunded: i128,
    /// Confirmations paid or partial − returned
    pub cleared: i128,
}

impl Balances {
    /// total − frozen − reserved − executed
    #[must_use]
    pub const fn available(&self) -> i128 {
        self.total - self.frozen - self.reserved - self.executed
    }

    /// planned − reserved − executed
    #[must_use]
    pub const fn plan_available(&self) -> i128 {
        self.planned - self.reserved - self.executed
    }

    /// Payments that were not taken out again: what `executed` has besides openings, refunds and corrections.
    #[must_use]
    pub const fn paid(&self) -> i128 {
        self.executed - self.opening - self.corrected + self.refunded
    }

    /// payments − cleared
    #[must_use]
    pub const fn uncleared(&self) -> i128 {
        self.paid() - self.cleared
    }

    /// executed / total at `RATIO_SCALE`; `None` when total is 0.
    #[must_use]
    pub fn executed_ratio(&self) -> Option<i128> {
        ratio(self.executed, self.total)
    }

    /// max(0, executed − total) / total at `RATIO_SCALE`; `None` when total is 0.
    #[must_use]
    pub fn overspend_ratio(&self) -> Option<i128> {
        ratio((self.executed - self.total).max(0), self.total)
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
    /// The sums.
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

/// `part / whole` at `RATIO_SCALE`, cut off beyond it; `None` when `whole` is 0.
#[must_use]
pub fn ratio(part: i128, whole: i128) -> Option<i128> {
    if whole == 0 {
        return None;
    }
    // Nearly all lines fit 64 bits, where the processor divides tens of times faster.
    if let Some(scaled) = part.checked_mul(RATIO_ONE) {
        return Some((scaled / whole).clamp(-RATIO_MAX, RATIO_MAX));
    }
    let scaled = i256::from_i128(part).wrapping_mul(i256::from_i128(RATIO_ONE));
    let quotient = scaled.wrapping_div(i256::from_i128(whole));
    Some(quotient.to_i128().unwrap_or(if quotient.is_negative() { -RATIO_MAX } else { RATIO_MAX }))
}

/// A ratio as text without needless zeros: `0.85`.
#[must_use]
pub fn ratio_text(ratio: i128) -> String {
    let text = format_scaled(ratio, RATIO_SCALE);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_exact_at_thresholds() {
        let tenth = RATIO_ONE / 10;
        let line = |executed, total| Balances { total, executed, ..Balances::default() };
        assert_eq!(line(110, 100).overspend_ratio(), Some(tenth));
        assert_eq!(line(90, 100).overspend_ratio(), Some(0));
        // One cent above 10 % of ten trillion yuan is above.
        assert!(line(1_100_000_000_000_001, 1_000_000_000_000_000).overspend_ratio() > Some(tenth));
        assert_eq!(line(1, 0).executed_ratio(), None);
        assert_eq!(ratio(1, 3), Some(333_333_333_333_333_333));
        assert_eq!(ratio(i128::from(u64::MAX) * 100, 1), Some(RATIO_MAX));
        assert_eq!(ratio_text(850_000_000_000_000_000), "0.85");
        assert_eq!(ratio_text(RATIO_ONE), "1");
        assert_eq!(ratio_text(0), "0");
    }
}
