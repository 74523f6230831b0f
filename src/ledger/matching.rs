//! The three-way match of a day: what was ordered, what the bank did, and what the budget lines say.

use hashbrown::HashMap;

use crate::event::Cents;

/// So many, and so much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figure {
    pub(crate) count: u64,
    pub(crate) cents: Cents,
}

impl Figure {
    /// Counts one more, with its amount.
    pub fn add(&mut self, cents: Cents) {
        self.count += 1;
        self.cents += cents;
    }

    fn and(self, other: Self) -> Self {
        Self { count: self.count + other.count, cents: self.cents + other.cents }
    }
}

/// What a day comes to. `ordered` is `cleared` and `open`; it is `budgeted` and `unbudgeted`; and `confirmed` is `matched` and
/// `without_order`: in number and in cents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Completeness {
    /// Payments of the day.
    pub ordered: Figure,
    /// Of them, what the bank has confirmed since: payments that it confirmed whole, and cents, those of parts too.
    pub cleared: Figure,
    /// The others, and what is left of them.
    pub open: Figure,
    /// Of the ordered: those on approved lines.
    pub budgeted: Figure,
    /// And those on lines that nobody approved.
    pub unbudgeted: Figure,
    /// Confirmations of the day; what was returned counts below zero.
    pub confirmed: Figure,
    /// Of them, those of a payment.
    pub matched: Figure,
    /// And those of none.
    pub without_order: Figure,
}

/// The payments of a day, and the confirmations of it and of them.
#[derive(Debug, Default)]
pub struct Matching {
    payments: HashMap<u64, Payment>,
    confirmed: HashMap<u64, Figure>,
}

#[derive(Debug)]
struct Payment {
    cents: Cents,
    cleared: Cents,
    budgeted: bool,
}

impl Matching {
    /// A payment of the day, by the hash of its id; on a line that was approved or not.
    pub fn order(&mut self, id: u64, cents: Cents, budgeted: bool) {
        self.payments.insert(id, Payment { cents, cleared: Cents::ZERO, budgeted });
    }

    /// A payment was taken out of the books, by the hash of its id. All payments of the day come before.
    pub fn take_out(&mut self, payment: u64) {
        self.payments.remove(&payment);
    }

    /// A confirmation, by the hash of the payment's id: cents below zero were returned. All payments of the day come before.
    pub fn confirm(&mut self, payment: u64, cents: Cents, of_the_day: bool) {
        if let Some(payment) = self.payments.get_mut(&payment) {
            payment.cleared += cents;
        }
        if of_the_day {
            self.confirmed.entry(payment).or_default().add(cents);
        }
    }

    /// The payments that confirmations of the day name and that are of another day, or of none.
    #[must_use]
    pub fn sought(&self) -> Vec<u64> {
        self.confirmed.keys().filter(|id| !self.payments.contains_key(*id)).copied().collect()
    }

    /// The figures; `is_known` says of the payments that are sought which ones there are.
    #[must_use]
    pub fn figures(&self, is_known: &dyn Fn(u64) -> bool) -> Completeness {
        let mut day = Completeness::default();
        for payment in self.payments.values() {
            day.ordered.add(payment.cents);
            let cleared = payment.cleared.clamp(Cents::ZERO, payment.cents);
            let whole = cleared == payment.cents;
            day.cleared.count += u64::from(whole);
            day.cleared.cents += cleared;
            day.open.count += u64::from(!whole);
            day.open.cents += payment.cents - cleared;
            if payment.budgeted { &mut day.budgeted } else { &mut day.unbudgeted }.add(payment.cents);
        }
        for (id, figure) in &self.confirmed {
            day.confirmed = day.confirmed.and(*figure);
            let matched = self.payments.contains_key(id) || is_known(*id);
            let side = if matched { &mut day.matched } else { &mut day.without_order };
            *side = side.and(*figure);
        }
        day
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against sums over the plain lists; and the sums tie, whatever the bank says.
        #[test]
        fn the_sums_tie(
            payments in proptest::collection::vec((1i128..500, any::<bool>()), 0..20),
            confirmations in proptest::collection::vec((0u64..30, -400i128..500, any::<bool>()), 0..60),
        ) {
            let mut matching = Matching::default();
            (0u64..).zip(&payments).for_each(|(id, (cents, budgeted))| matching.order(id, Cents::new(*cents), *budgeted));
            confirmations.iter().for_each(|(id, cents, of_the_day)| matching.confirm(*id, Cents::new(*cents), *of_the_day));
            // Those from 25 on are of no payment, the others of one of another day.
            let day = matching.figures(&|id| id < 25);
            prop_assert_eq!(day.ordered, day.cleared.and(day.open));
            prop_assert_eq!(day.ordered, day.budgeted.and(day.unbudgeted));
            prop_assert_eq!(day.confirmed, day.matched.and(day.without_order));

            let ordered: i128 = payments.iter().map(|(cents, _)| cents).sum();
            prop_assert_eq!(day.ordered, Figure { count: payments.len() as u64, cents: Cents::new(ordered) });
            let cleared_of = |id: u64| confirmations.iter().filter(|c| c.0 == id).map(|c| c.1).sum::<i128>();
            let open = (0u64..).zip(&payments).filter(|(id, (cents, _))| cleared_of(*id) < *cents).count();
            prop_assert_eq!(day.open.count, open as u64);
            let here = || confirmations.iter().filter(|(_, _, of_the_day)| *of_the_day);
            let nobodys = || here().filter(|(id, ..)| *id >= 25 && *id >= payments.len() as u64);
            prop_assert_eq!(day.confirmed.count, here().count() as u64);
            prop_assert_eq!(day.without_order.count, nobodys().count() as u64);
            prop_assert_eq!(day.without_order.cents.as_i128(), nobodys().map(|c| c.1).sum::<i128>());
            prop_assert!(matching.sought().iter().all(|id| *id >= payments.len() as u64));
        }
    }
}
