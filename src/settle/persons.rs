//! The natural persons that each budget line paid. Who gave all of it back is none of them; whose payment a correction moved to
//! another line is one of that line's.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::statement::{cents, text};
use crate::{
    event::{Cents, Column, EventType},
    store::{JournalView, Select, StoreError},
};

/// A line that paid so many has enough of them; more are not told apart.
const TOLD_APART: usize = 1000;

/// What a payment says of its payee: the account, and the name.
type Payee = (String, String);

/// The natural persons that lines paid.
#[derive(Debug, Default)]
pub(crate) struct PaidPersons(BTreeMap<String, BTreeSet<Payee>>);

/// What was taken back of a payment, or moved to another line: how much, from which line and to which.
type TakenBack = HashMap<String, Vec<(Cents, Option<String>, Option<String>)>>;

impl PaidPersons {
    /// Those of the journal up to a place.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub(crate) fn read(history: &JournalView, until: i64) -> Result<Self, StoreError> {
        const BACK: [EventType; 3] = [EventType::Refund, EventType::Correction, EventType::Reversal];
        let select = |types: &[EventType]| Select {
            until: Some(until),
            types: Some(types.iter().fold(0, |bits, kind| bits | kind.bit())),
            ..Select::default()
        };
        let mut back = TakenBack::new();
        let columns = [Column::OriginalEventId, Column::BudgetLineId, Column::ToBudgetLineId, Column::Amount];
        let columns = columns.map(Column::index);
        history.replay_part(&select(&BACK), &columns, &mut |batch, _, _| {
            for row in 0..batch.num_rows() {
                let Some(original) = text(batch, Column::OriginalEventId, row) else { continue };
                let line = |column| text(batch, column, row).map(str::to_owned);
                let (from, to) = (line(Column::BudgetLineId), line(Column::ToBudgetLineId));
                back.entry(original.to_owned()).or_default().push((cents(batch, row), from, to));
            }
        })?;
        let mut paid = Net::default();
        let columns = [
            Column::EventId,
            Column::BudgetLineId,
            Column::PayeeType,
            Column::PayeeAccount,
            Column::PayeeName,
            Column::Amount,
        ];
        let payments = select(&[EventType::Payment]);
        history.replay_part(&payments, &columns.map(Column::index), &mut |batch, _, _| {
            for row in 0..batch.num_rows() {
                let taken = text(batch, Column::EventId, row).and_then(|id| back.remove(id));
                let (Some(line), Some("person")) =
                    (text(batch, Column::BudgetLineId, row), text(batch, Column::PayeeType, row))
                else {
                    continue;
                };
                let said = |column| text(batch, column, row).unwrap_or_default().to_owned();
                let payee = (said(Column::PayeeAccount), said(Column::PayeeName));
                paid.add(line, &payee, cents(batch, row));
                for (amount, from, to) in taken.into_iter().flatten() {
                    // A correction before may have moved it there.
                    paid.add(from.as_deref().unwrap_or(line), &payee, -amount);
                    to.into_iter().for_each(|to| paid.add(&to, &payee, amount));
                }
            }
        })?;
        // A correction whose payment is not known may move a person's money.
        for (original, moved) in back {
            for (amount, _, to) in moved {
                to.into_iter().for_each(|to| paid.add(&to, &(original.clone(), String::new()), amount));
            }
        }
        Ok(paid.persons())
    }

    /// How many persons some lines paid at least. Payees of one account are one person, and so are those of one name: a person
    /// with several accounts would look like several.
    pub(crate) fn count<'l>(&self, lines: impl Iterator<Item = &'l str>) -> usize {
        let payees: BTreeSet<&Payee> = lines.filter_map(|line| self.0.get(line)).flatten().collect();
        let mut groups: Vec<usize> = Vec::new();
        let mut known: HashMap<(bool, &str), usize> = HashMap::new();
        for (account, name) in payees {
            let own = groups.len();
            groups.push(own);
            for mark in [(true, account.as_str()), (false, name.as_str())] {
                if mark.1.is_empty() {
                    continue;
                }
                let other = *known.entry(mark).or_insert(own);
                let (a, b) = (root(&groups, own), root(&groups, other));
                groups[a] = b;
            }
        }
        (0..groups.len()).filter(|at| groups[*at] == *at).count()
    }
}

/// The first of the payees that are one person with this one.
fn root(groups: &[usize], mut at: usize) -> usize {
    while groups[at] != at {
        at = groups[at];
    }
    at
}

/// What each line paid to whom, less what came back.
#[derive(Debug, Default)]
struct Net(BTreeMap<String, BTreeMap<Payee, Cents>>);

impl Net {
    fn add(&mut self, line: &str, payee: &Payee, cents: Cents) {
        if !self.0.contains_key(line) {
            self.0.insert(line.to_owned(), BTreeMap::new());
        }
        let Some(of_line) = self.0.get_mut(line) else { return };
        if let Some(sum) = of_line.get_mut(payee) {
            *sum += cents;
        } else if of_line.len() < TOLD_APART {
            of_line.insert(payee.clone(), cents);
        }
    }

    fn persons(self) -> PaidPersons {
        let kept = |payees: BTreeMap<Payee, Cents>| {
            payees.into_iter().filter(|(_, sum)| *sum > Cents::ZERO).map(|(payee, _)| payee).collect()
        };
        PaidPersons(self.0.into_iter().map(|(line, payees)| (line, kept(payees))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paid(of: &[(&str, &str, &str, i128)]) -> PaidPersons {
        let mut net = Net::default();
        for (line, account, name, cents) in of {
            net.add(line, &((*account).to_owned(), (*name).to_owned()), Cents::new(*cents));
        }
        net.persons()
    }

    #[test]
    fn accounts_and_names_that_belong_together_are_one_person() {
        let count = |of: &[(&str, &str, &str, i128)]| paid(of).count(["L", "M"].into_iter());
        assert_eq!(count(&[]), 0);
        assert_eq!(count(&[("L", "1", "李四", 5), ("L", "2", "李四", 5), ("M", "3", "李四", 5)]), 1);
        assert_eq!(count(&[("L", "1", "李四", 5), ("L", "1", "李 四", 5), ("M", "1", "", 5)]), 1);
        assert_eq!(count(&[("L", "1", "a", 5), ("L", "2", "b", 5), ("L", "3", "c", 5)]), 3);
        // The last one ties the first two together.
        assert_eq!(count(&[("L", "1", "a", 5), ("L", "2", "b", 5), ("M", "1", "b", 5)]), 1);
        // Who gave it back was not paid.
        assert_eq!(count(&[("L", "1", "a", 5), ("L", "2", "b", 5), ("L", "2", "b", -5)]), 1);
        assert_eq!(paid(&[("N", "1", "a", 5)]).count(["L"].into_iter()), 0);
    }
}
