//! Confirmations that came before their payments, which is usual where the bank's feed is faster than the treasury's.
//!
//! What is cleared must not depend on the order of arrival: a confirmation that names no line and no payment that came
//! before it waits, and is cleared on its payment's line when that comes. One whose payment never comes waits for ever: the
//! bank has paid what nobody ordered.

use hashbrown::{HashMap, HashSet};

#[derive(Debug, Default)]
pub struct Confirmations {
    /// Cents, by the `event_id` of the payment.
    waiting: HashMap<Box<str>, i128>,
    changed: HashSet<Box<str>>,
}

impl Confirmations {
    /// The payments that are waited for, and the cents that are cleared of each.
    pub fn all(&self) -> impl Iterator<Item = (&str, i128)> {
        self.waiting.iter().map(|(id, cents)| (&**id, *cents))
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// A confirmation waits for its payment.
    pub fn wait(&mut self, payment: &str, cents: i128) {
        *self.waiting.entry(payment.into()).or_default() += cents;
        self.changed.insert(payment.into());
    }

    /// A payment comes. Returns the cents of it that are cleared already. Its id is asked for only if anything waits.
    pub fn meet<'p>(&mut self, payment: impl FnOnce() -> Option<&'p str>) -> i128 {
        if self.waiting.is_empty() {
            return 0;
        }
        let Some((id, cents)) = payment().and_then(|id| self.waiting.remove_entry(id)) else { return 0 };
        self.changed.insert(id);
        cents
    }

    pub fn restore(&mut self, payment: &str, cents: i128) {
        self.waiting.insert(payment.into(), cents);
    }

    /// What changed since the last call: the cents that wait, or `None` where the payment came.
    pub fn take_changes(&mut self) -> Vec<(Box<str>, Option<i128>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|id| (self.waiting.get(&id).copied(), id)).map(|(c, id)| (id, c)).collect()
    }
}
