//! What the ledger would say of applications, without taking them in.

use std::{collections::HashMap, sync::Arc};

use arrow::record_batch::RecordBatch;

use super::{
    AfterEvent, Attributes, Balances, GroupSums, Ledger, LineGroupKey, applications::Application,
    apply::Events,
};
use crate::event::{Cents, Column};

/// Whether the events of a trial know of one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialScope {
    /// They come one after another.
    Together,
    /// Each comes alone: they are variants of one.
    Apart,
    /// So many come one after another, and each of the others comes alone behind those.
    Behind(usize),
}

impl TrialScope {
    /// How many of the events before it one sees.
    pub(crate) fn sees(self, row: usize) -> usize {
        match self {
            Self::Together => row,
            Self::Apart => 0,
            Self::Behind(first) => row.min(first),
        }
    }
}

/// A line as the trial has it.
#[derive(Clone)]
struct Tried {
    balances: Balances,
    attributes: u32,
    is_covered: bool,
    /// Its groups, as they are without the trial.
    groups: Vec<Option<GroupSums>>,
}

/// What a trial has changed of groups, by grouping and key.
#[derive(Default, Clone)]
struct Added(HashMap<(usize, LineGroupKey), (i64, Balances)>);

impl Added {
    fn of(&mut self, at: usize, group: &GroupSums) -> &mut (i64, Balances) {
        self.0.entry((at, Arc::clone(&group.key))).or_default()
    }

    /// A line with these balances joins groups, or leaves them.
    fn moves(&mut self, groups: &[Option<GroupSums>], balances: &Balances, joins: bool) {
        for (at, group) in groups.iter().enumerate().filter_map(|(at, group)| Some((at, group.as_ref()?))) {
            let (lines, sums) = self.of(at, group);
            if joins {
                *lines += 1;
                *sums += *balances;
            } else {
                *lines -= 1;
                *sums -= *balances;
            }
        }
    }
}

impl Ledger {
    /// What it would say right after each of these applications, with the store that its answer points into. It does what
    /// [`Ledger::apply`] does with applications, a property test holds that.
    #[must_use]
    pub fn try_out(
        &self,
        batch: &RecordBatch,
        trial: TrialScope,
    ) -> (AfterEvent, Arc<boxcar::Vec<Attributes>>) {
        let events = Events::new(batch);
        let store = boxcar::Vec::new();
        let mut after = self.after(batch.num_rows());
        let mut lines: HashMap<&str, Tried> = HashMap::new();
        let mut added = Added::default();
        // As it is behind those that all the others see.
        let mut behind = None;
        for row in 0..batch.num_rows() {
            if trial.sees(row) < row {
                (lines, added) = behind.clone().unwrap_or_default();
            } else if trial.sees(row + 1) == row {
                behind = Some((lines.clone(), added.clone()));
            }
            let id = events.text(Column::EventId, row).unwrap_or_default();
            let name = events.line.value(row);
            let line =
                lines.entry(name).or_insert_with(|| self.tried(name, (&events, row), &store, &mut added));
            // One that was paid or withdrawn before it comes reserves nothing.
            let is_over = matches!(self.applications.get(id), Some(Application::SettledEarly));
            let reserves = if is_over { Cents::ZERO } else { events.amount(row) };
            line.balances.reserved += reserves;
            after.push(line.attributes, &line.balances, line.is_covered);
            push_groups(&mut after, &line.groups, reserves, &mut added);
        }
        (after, Arc::new(store))
    }

    /// The line that an application is on, with what the ledger says of it, or what the application would open it with.
    fn tried(
        &self,
        name: &str,
        (events, row): (&Events<'_>, usize),
        store: &boxcar::Vec<Attributes>,
        added: &mut Added,
    ) -> Tried {
        let known = self.line(name);
        let told = known.map(|(_, attributes)| attributes).filter(|told| **told != Attributes::default());
        let attributes = told.map_or_else(|| events.attributes(row, false), Attributes::clone);
        let is_covered = self.covers_year(attributes.fiscal_year);
        let balances = known.map_or(Balances::default(), |(line, _)| line.balances);
        let now: Vec<_> = self.groups_of(name).into_iter().map(Option::<&GroupSums>::cloned).collect();
        let groups = match told {
            Some(_) => now,
            None => {
                let groups = self.groups.would_be_of(name, &attributes);
                added.moves(&now, &balances, false);
                added.moves(&groups, &balances, true);
                groups
            }
        };
        let attributes = u32::try_from(store.push(attributes)).unwrap_or(u32::MAX);
        Tried { balances, attributes, is_covered, groups }
    }
}

/// Says what the groups of a line sum up to with what the trial has added so far, and with what this application reserves.
fn push_groups(after: &mut AfterEvent, groups: &[Option<GroupSums>], reserves: Cents, added: &mut Added) {
    for (at, (after, group)) in after.groups.iter_mut().zip(groups).enumerate() {
        let Some(mut group) = group.clone() else {
            after.push(None);
            continue;
        };
        let (lines, sums) = added.of(at, &group);
        sums.reserved += reserves;
        group.balances += *sums;
        group.lines = u32::try_from(i64::from(group.lines) + *lines).unwrap_or_default();
        after.push(Some(&group));
    }
}
