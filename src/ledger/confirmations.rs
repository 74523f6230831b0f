//! Confirmations that came before their payments, which is usual where the bank's feed is faster than the treasury's.
//!
//! What is cleared must not depend on the order of arrival: a confirmation that names no line and no payment that came
//! before it waits, and is cleared on its payment's line when that comes. One whose payment never comes waits for ever: the
//! bank has paid what nobody ordered.

use hashbrown::{HashMap, HashSet};

use crate::event::Cents;

/// Payments that are awaited at most: some 100 MiB of them. What is cleared of further ones is on no line when they come; the
/// events themselves are kept, as all are.
pub(crate) const AWAITED_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
pub(crate) struct Confirmations {
    /// What waits, by the `event_id` of the payment.
    waiting: HashMap<Box<str>, Cents>,
    changed: HashSet<Box<str>>,
    /// Confirmations that were not kept.
    beyond: u64,
}

impl Confirmations {
    /// The payments that are waited for, and what is cleared of each.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, Cents)> {
        self.waiting.iter().map(|(id, cents)| (&**id, *cents))
    }

    /// Confirmations that were not kept since the start.
    pub(crate) fn beyond(&self) -> u64 {
        self.beyond
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// A confirmation waits for its payment.
    pub(crate) fn wait(&mut self, payment: &str, cents: Cents) {
        self.wait_among(payment, cents, AWAITED_MAX);
    }

    fn wait_among(&mut self, payment: &str, cents: Cents, most: usize) {
        if self.waiting.len() >= most && !self.waiting.contains_key(payment) {
            if self.beyond == 0 {
                tracing::error!(
                    most,
                    "so many payments are awaited that the bank confirmed: what it confirms of further ones is on no budget line when they come"
                );
            }
            self.beyond += 1;
            return;
        }
        *self.waiting.entry(payment.into()).or_default() += cents;
        self.changed.insert(payment.into());
    }

    /// A payment comes. Returns what of it is cleared already. Its id is asked for only if anything waits.
    pub(crate) fn meet<'p>(&mut self, payment: impl FnOnce() -> Option<&'p str>) -> Cents {
        if self.waiting.is_empty() {
            return Cents::ZERO;
        }
        let Some((id, cents)) = payment().and_then(|id| self.waiting.remove_entry(id)) else {
            return Cents::ZERO;
        };
        self.changed.insert(id);
        cents
    }

    pub(crate) fn restore(&mut self, payment: &str, cents: Cents) {
        self.waiting.insert(payment.into(), cents);
    }

    /// What changed since the last call: what waits, or `None` where the payment came.
    pub(crate) fn take_changes(&mut self) -> Vec<(Box<str>, Option<Cents>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|id| (self.waiting.get(&id).copied(), id)).map(|(c, id)| (id, c)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_bound_only_those_that_wait_go_on_waiting() {
        let mut confirmations = Confirmations::default();
        for (payment, cents) in [("a", 5), ("b", 7), ("c", 9), ("a", 1)] {
            confirmations.wait_among(payment, Cents::new(cents), 2);
        }
        assert_eq!((confirmations.len(), confirmations.beyond()), (2, 1));
        assert_eq!(["a", "b", "c"].map(|id| confirmations.meet(|| Some(id)).as_i128()), [6, 7, 0]);
        confirmations.wait_among("c", Cents::new(9), 2);
        assert_eq!(confirmations.meet(|| Some("c")), Cents::new(9), "there is room again");
    }
}
