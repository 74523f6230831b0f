//! What was taken back of each event, and what the bank confirmed of it, by the hash that its id is known by. Nothing of it is stored: it is the sum of the
//! reversals in the journal.

use hashbrown::HashMap;

use crate::event::{Cents, EventType, id_hash};

/// What was taken back of one event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reversed {
    pub(crate) refunded: Cents,
    pub(crate) corrected: Cents,
    /// Times that it was taken out of the books.
    pub reversals: u32,
    pub(crate) refunds: u32,
    pub(crate) withdrawals: u32,
    /// What the bank confirmed, less what it returned.
    pub cleared: Cents,
}

/// An event that takes something back of another one, or confirms it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reversal {
    event_type: EventType,
    original: u64,
    line: u64,
    to_line: u64,
    cents: Cents,
}

impl Reversal {
    /// An event of this type that names `original`, with its lines and its money; below zero what the bank returned.
    #[must_use]
    pub fn new(
        event_type: EventType,
        original: &str,
        line: &str,
        to_line: Option<&str>,
        cents: Cents,
    ) -> Self {
        let (original, to_line) = (id_hash(original), to_line.map_or(0, id_hash));
        Self { event_type, original, line: id_hash(line), to_line, cents }
    }
}

/// What was taken back of all events.
#[derive(Debug, Default)]
pub(crate) struct Reversals {
    of: HashMap<u64, Reversed>,
    /// By event and line: what reversals brought to the line, less what they took from it.
    lines: HashMap<(u64, u64), Cents>,
    /// What is cleared of each payment. Nearly every payment has an entry, so it is a narrow one: it holds 92
    /// quadrillion yuan, which nine confirmations of the largest amount stay inside.
    cleared: HashMap<u64, i64>,
}

impl Reversals {
    /// Adds one. Returns what was taken back of its original with it, and what came to its line.
    pub(crate) fn add(&mut self, reversal: &Reversal) -> (Reversed, Cents) {
        let Reversal { event_type, original, line, to_line, cents } = *reversal;
        match event_type {
            EventType::Refund => {
                let reversed = self.of.entry(original).or_default();
                reversed.refunded += cents;
                reversed.refunds = reversed.refunds.saturating_add(1);
                self.bring(original, line, -cents);
            }
            EventType::Correction => {
                self.of.entry(original).or_default().corrected += cents;
                self.bring(original, line, -cents);
                self.bring(original, to_line, cents);
            }
            EventType::Reversal => {
                let reversed = self.of.entry(original).or_default();
                reversed.reversals = reversed.reversals.saturating_add(1);
                self.bring(original, line, -cents);
            }
            EventType::Withdrawal => {
                let reversed = self.of.entry(original).or_default();
                reversed.withdrawals = reversed.withdrawals.saturating_add(1);
            }
            EventType::Confirmation => {
                let cleared = self.cleared.entry(original).or_default();
                let sum = i128::from(*cleared) + cents.as_i128();
                *cleared = i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX });
            }
            // It names another event and takes nothing back.
            _ => {}
        }
        let mut reversed = self.of.get(&original).copied().unwrap_or_default();
        let cleared = self.cleared.get(&original).copied().unwrap_or(0);
        reversed.cleared = Cents::new(cleared.into());
        (reversed, self.lines.get(&(original, line)).copied().unwrap_or_default())
    }

    fn bring(&mut self, original: u64, line: u64, cents: Cents) {
        *self.lines.entry((original, line)).or_default() += cents;
    }
}
