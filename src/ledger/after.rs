//! What the ledger says after events.

use super::{Balances, GroupAfter, original::Naming};

/// Stands for the attributes where an event names no line that there is: an indicator may be of no line, a receipt never is
/// of one, and a confirmation is of none until its payment comes.
const NO_LINE: u32 = u32::MAX;

/// What the ledger says right after each event about the line in its `budget_line_id`.
#[derive(Debug, Default)]
pub struct AfterEvent {
    /// The version of the line's attributes, in the ledger's store; beyond it where there is no line.
    pub attributes: Vec<u32>,
    /// Cents, as the column has them.
    pub total: Vec<i128>,
    /// Cents, as the column has them.
    pub executed: Vec<i128>,
    /// Cents, as the column has them.
    pub frozen: Vec<i128>,
    /// Cents, as the column has them.
    pub reserved: Vec<i128>,
    /// Cents, as the column has them.
    pub planned: Vec<i128>,
    /// Cents, as the column has them.
    pub opening: Vec<i128>,
    /// Cents, as the column has them.
    pub cleared: Vec<i128>,
    /// Cents, as the column has them.
    pub uncleared: Vec<i128>,
    /// Whether everything that was executed in the line's fiscal year is known.
    pub covered: Vec<bool>,
    /// The other lines that events touched.
    pub others: Option<Box<OtherLines>>,
    /// What the line's groups sum up to, by each grouping of the ledger.
    pub groups: Vec<GroupAfter>,
    /// The events that name another one, in order. Which one that is, the sequencer finds out.
    pub named: Vec<Naming>,
}

/// Lines that an event touched beside the one in its `budget_line_id`: where a transfer or correction went to, or where
/// the application of a payment had reserved.
#[derive(Debug, Default)]
pub struct OtherLines {
    /// The rows of the events, in order.
    pub rows: Vec<u32>,
    pub(crate) lines: Vec<Box<str>>,
    /// What the ledger says about them right after the events.
    pub after: AfterEvent,
}

impl AfterEvent {
    pub(super) fn with_capacity(rows: usize) -> Self {
        let cents = || Vec::with_capacity(rows);
        Self {
            attributes: Vec::with_capacity(rows),
            total: cents(),
            executed: cents(),
            frozen: cents(),
            reserved: cents(),
            planned: cents(),
            opening: cents(),
            cleared: cents(),
            uncleared: cents(),
            covered: Vec::with_capacity(rows),
            others: None,
            groups: Vec::new(),
            named: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, attributes: u32, balances: &Balances, covered: bool) {
        self.attributes.push(attributes);
        self.total.push(balances.total.as_i128());
        self.executed.push(balances.executed.as_i128());
        self.frozen.push(balances.frozen.as_i128());
        self.reserved.push(balances.reserved.as_i128());
        self.planned.push(balances.planned.as_i128());
        self.opening.push(balances.opening.as_i128());
        self.cleared.push(balances.cleared.as_i128());
        self.uncleared.push(balances.uncleared().as_i128());
        self.covered.push(covered);
    }

    /// An event of no line.
    pub(super) fn push_none(&mut self) {
        self.push(NO_LINE, &Balances::default(), true);
    }

    /// What it says after the next events of the same ledger comes behind.
    pub fn append(&mut self, more: Self) {
        let before = u32::try_from(self.attributes.len()).unwrap_or(u32::MAX);
        let Self {
            attributes,
            total,
            executed,
            frozen,
            reserved,
            planned,
            opening,
            cleared,
            uncleared,
            covered,
            others,
            groups,
            named,
        } = more;
        self.attributes.extend(attributes);
        self.total.extend(total);
        self.executed.extend(executed);
        self.frozen.extend(frozen);
        self.reserved.extend(reserved);
        self.planned.extend(planned);
        self.opening.extend(opening);
        self.cleared.extend(cleared);
        self.uncleared.extend(uncleared);
        self.covered.extend(covered);
        if let Some(others) = others {
            let OtherLines { rows, lines, after } = *others;
            let own = self.others.get_or_insert_default();
            own.rows.extend(rows.into_iter().map(|row| row.saturating_add(before)));
            own.lines.extend(lines);
            own.after.append(after);
        }
        self.groups.resize_with(groups.len().max(self.groups.len()), GroupAfter::default);
        self.groups.iter_mut().zip(groups).for_each(|(own, more)| own.append(more));
        let later = |naming: Naming| Naming { row: naming.row.saturating_add(before), ..naming };
        self.named.extend(named.into_iter().map(later));
    }

    /// Whether the event of a row names a line that there is.
    #[must_use]
    pub fn has_line(&self, row: usize) -> bool {
        self.attributes[row] != NO_LINE
    }
}
