//! What the ledger would say of applications, without taking them in.

use std::{collections::HashMap, sync::Arc};

use arrow::record_batch::RecordBatch;

use super::{AfterEvent, Attributes, Balances, Ledger, applications::Application, apply::Events};
use crate::event::Column;

/// Whether the events of a trial know of one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// They come one after another.
    Together,
    /// Each comes alone: they are variants of one.
    Apart,
}

/// A line as the trial has it.
#[derive(Clone, Copy)]
struct Tried {
    balances: Balances,
    attributes: u32,
    is_covered: bool,
}

impl Ledger {
    /// What it would say right after each of these applications, with the store that its answer points into. It does what
    /// [`Ledger::apply`] does with applications, a property test holds that.
    #[must_use]
    pub fn try_out(&self, batch: &RecordBatch, trial: Trial) -> (AfterEvent, Arc<boxcar::Vec<Attributes>>) {
        let events = Events::new(batch);
        let store = boxcar::Vec::new();
        let mut after = AfterEvent::with_capacity(batch.num_rows());
        let mut lines: HashMap<&str, Tried> = HashMap::new();
        for row in 0..batch.num_rows() {
            if trial == Trial::Apart {
                lines.clear();
            }
            let id = events.text(Column::EventId, row).unwrap_or_default();
            let name = events.line.value(row);
            let line = lines.entry(name).or_insert_with(|| self.tried(name, &events, row, &store));
            // One that was paid or withdrawn before it comes reserves nothing.
            let is_over = matches!(self.applications.get(id), Some(Application::SettledEarly));
            if !is_over {
                line.balances.reserved += events.amount[row];
            }
            after.push(line.attributes, &line.balances, line.is_covered);
        }
        (after, Arc::new(store))
    }

    /// The line that an application is on, with what the ledger says of it, or what the application would open it with.
    fn tried(&self, name: &str, events: &Events<'_>, row: usize, store: &boxcar::Vec<Attributes>) -> Tried {
        let known = self.line(name);
        let opened = |attributes: &Attributes| *attributes == Attributes::default();
        let attributes = match known {
            Some((_, attributes)) if !opened(attributes) => attributes.clone(),
            _ => events.attributes(row, false),
        };
        let is_covered = self.covers_year(attributes.fiscal_year);
        let balances = known.map_or(Balances::default(), |(line, _)| line.balances);
        Tried { balances, attributes: u32::try_from(store.push(attributes)).unwrap_or(u32::MAX), is_covered }
    }
}
