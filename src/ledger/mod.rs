//! 指标账: every budget line and its balances, exact to the cent. Applying an event is pure arithmetic:
//! no clock, no I/O, no refusal. What the ledger says after each event is kept as [`AfterEvent`] for the rules.

mod after;
mod applications;
mod apply;
mod attributes;
pub(crate) mod columns;
mod confirmations;
mod copy;
mod groups;
mod indicators;
mod line;
mod matching;
pub(crate) mod original;
pub mod report;
mod reversals;
mod trial;

use std::{collections::BTreeSet, hash::BuildHasher, sync::Arc};

use hashbrown::{DefaultHashBuilder, HashTable};

pub use after::{AfterEvent, OtherLines};
pub use apply::LEDGER_COLUMNS;
pub use attributes::Attributes;
pub use copy::LedgerCopy;
pub use groups::{GroupAfter, GroupSums, Grouping, LineGroupKey};
pub use indicators::{Indicator, Indicators, achievement};
pub use line::{Balances, Line};
pub use matching::{Completeness, Figure, Matching};
pub use reversals::{Reversal, Reversed};
pub use trial::TrialScope;

use applications::{Application, Applications};
use confirmations::Confirmations;
use groups::Groups;

use crate::event::Cents;
use reversals::Reversals;

/// The number of a budget line, in the order in which lines were opened.
pub type LineNumber = u32;

/// All budget lines with their balances, exact at every commit.
#[derive(Debug, Default)]
pub struct Ledger {
    lines: Vec<Line>,
    index: HashTable<LineNumber>,
    hasher: DefaultHashBuilder,
    /// Every version of every line's attributes. It only grows, so that evaluation can read it while the
    /// ledger goes on.
    attributes: Arc<boxcar::Vec<Attributes>>,
    applications: Applications,
    confirmations: Confirmations,
    indicators: Indicators,
    reversals: Reversals,
    groups: Groups,
    /// Lines changed since the last checkpoint.
    changed: Vec<LineNumber>,
    /// The other line that the event being applied touches.
    other: Option<LineNumber>,
    /// The first fiscal year that the journal has from its beginning; all of them without it.
    whole_from: Option<i32>,
    /// Earlier fiscal years of which openings tell what was executed before the journal begins.
    opened: BTreeSet<i32>,
}

/// Whether a fiscal year is known from its beginning: it is not before the first one that the journal has whole, or there
/// are openings for it.
fn covers_year(whole_from: Option<i32>, opened: &BTreeSet<i32>, year: Option<i32>) -> bool {
    let Some(whole_from) = whole_from else { return true };
    year.is_none_or(|year| year >= whole_from || opened.contains(&year))
}

/// What changed since the last checkpoint, complete enough to rebuild the ledger from all checkpoints.
#[derive(Debug, Default)]
pub struct Changes {
    /// The new state of each changed line, with its number and attributes.
    pub lines: Vec<(LineNumber, Line, Attributes)>,
    /// Applications that were opened or changed, by their `event_id`; `None` for one that is over.
    pub applications: Vec<(Box<str>, Option<SavedApplication>)>,
    /// Indicators that were stated, by their `indicator_id`.
    pub indicators: Vec<(Box<str>, Indicator)>,
    /// What the bank confirmed of payments which have not come, by their `event_id`; `None` for one that has.
    pub confirmations: Vec<(Box<str>, Option<Cents>)>,
}

/// An application as a checkpoint has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedApplication {
    /// The line and what it reserves there; `None` for one that was settled before it arrived.
    pub reserves: Option<(Box<str>, Cents)>,
}

impl Ledger {
    /// The number of lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no line yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// All lines with their attributes, in the order in which they were opened.
    pub fn lines(&self) -> impl Iterator<Item = (&Line, &Attributes)> {
        self.lines.iter().map(|line| (line, &self.attributes[line.attributes as usize]))
    }

    /// A line by its `budget_line_id`.
    #[must_use]
    pub fn line(&self, id: &str) -> Option<(&Line, &Attributes)> {
        let line = &self.lines[self.find(id)? as usize];
        Some((line, &self.attributes[line.attributes as usize]))
    }

    /// Says which is the first fiscal year that the journal has from its beginning.
    pub fn whole_from(&mut self, year: Option<i32>) {
        self.whole_from = year;
    }

    /// Whether everything that was executed in a line's fiscal year is known: from the journal, or from openings.
    #[must_use]
    pub fn covers(&self, line: &Line) -> bool {
        self.covers_year(self.attributes[line.attributes as usize].fiscal_year)
    }

    fn covers_year(&self, year: Option<i32>) -> bool {
        covers_year(self.whole_from, &self.opened, year)
    }

    /// The lines, each with whether everything that was executed in its fiscal year is known.
    pub fn lines_covered(&self) -> impl Iterator<Item = (&Line, &Attributes, bool)> {
        self.lines().map(|(line, attributes)| (line, attributes, self.covers_year(attributes.fiscal_year)))
    }

    /// Groups the lines by these, and by no others, from now on.
    pub fn group_by(&mut self, groupings: &[Arc<dyn Grouping>]) {
        self.groups.regroup(groupings, &self.lines, &self.attributes);
    }

    /// Whether lines are grouped by exactly these.
    #[must_use]
    pub fn is_grouped_by(&self, groupings: &[Arc<dyn Grouping>]) -> bool {
        self.groups.are_by(groupings)
    }

    /// The groups that have lines, by each grouping's text.
    pub fn groups(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &GroupSums>)> {
        self.groups.all()
    }

    /// The groups of a line, by each grouping.
    pub fn groups_of(&self, id: &str) -> Vec<Option<&GroupSums>> {
        self.find(id).map(|number| self.groups.of(number).collect()).unwrap_or_default()
    }

    /// The store of attributes that [`AfterEvent`] refers to.
    #[must_use]
    pub fn attributes(&self) -> Arc<boxcar::Vec<Attributes>> {
        Arc::clone(&self.attributes)
    }

    /// Applications that still reserve money.
    #[must_use]
    pub fn open_applications(&self) -> usize {
        self.applications.open()
    }

    /// The line that an application still reserves money on.
    #[must_use]
    pub fn reserved_by(&self, application: &str) -> Option<&str> {
        let line = self.applications.line(application)?;
        Some(&self.lines[line as usize].id)
    }

    /// Takes what changed since the last call.
    pub fn take_changes(&mut self) -> Changes {
        let changed = std::mem::take(&mut self.changed);
        let lines = changed
            .into_iter()
            .map(|number| {
                let line = &mut self.lines[number as usize];
                line.changed = false;
                (number, line.clone(), self.attributes[line.attributes as usize].clone())
            })
            .collect();
        let applications = self.applications.take_changes().into_iter();
        let applications = applications.map(|(id, a)| (id, a.map(|a| self.saved(a)))).collect();
        let (indicators, confirmations) = (self.indicators.take_changes(), self.confirmations.take_changes());
        Changes { lines, applications, indicators, confirmations }
    }

    /// Payments that the bank confirmed and that have not come.
    #[must_use]
    pub fn payments_awaited(&self) -> usize {
        self.confirmations.len()
    }

    /// Confirmations since the start that were not kept, because so many payments were awaited.
    #[must_use]
    pub fn confirmations_beyond(&self) -> u64 {
        self.confirmations.beyond()
    }

    /// Each of them with what is cleared of it, in no particular order.
    pub fn saved_confirmations(&self) -> impl Iterator<Item = (&str, Cents)> {
        self.confirmations.all()
    }

    /// Puts back what a checkpoint has of a payment that the bank confirmed and that has not come.
    pub fn restore_confirmation(&mut self, payment: &str, cents: Cents) {
        self.confirmations.restore(payment, cents);
    }

    /// What programmes are to achieve and have achieved.
    #[must_use]
    pub fn indicators(&self) -> &Indicators {
        &self.indicators
    }

    /// Puts back an indicator as a checkpoint has it.
    pub fn restore_indicator(&mut self, id: &str, indicator: Indicator) {
        self.indicators.restore(id, indicator);
    }

    /// Every application that is not over, in no particular order.
    pub fn saved_applications(&self) -> impl Iterator<Item = (&str, SavedApplication)> {
        self.applications.all().map(|(id, application)| (id, self.saved(application)))
    }

    fn saved(&self, application: Application) -> SavedApplication {
        let reserves = match application {
            Application::SettledEarly => None,
            Application::Open { line, amount } => Some((self.lines[line as usize].id.clone(), amount)),
        };
        SavedApplication { reserves }
    }

    /// Puts back a line as a checkpoint has it.
    pub fn restore_line(&mut self, line: Line, attributes: Attributes) {
        let number = self.number(&line.id.clone());
        if line.balances.opening != Cents::ZERO {
            self.opened.extend(attributes.fiscal_year);
        }
        let attributes = self.add_attributes(attributes);
        self.lines[number as usize] = Line { attributes, changed: false, ..line };
    }

    /// Puts back an application as a checkpoint has it.
    pub fn restore_application(&mut self, id: &str, saved: &SavedApplication) {
        let application = match &saved.reserves {
            None => Application::SettledEarly,
            Some((line, amount)) => Application::Open { line: self.number(line), amount: *amount },
        };
        self.applications.restore(id, application);
    }

    /// Counts a reversal that a checkpoint has the balances of.
    pub fn restore_reversal(&mut self, reversal: &Reversal) {
        self.reversals.add(reversal);
    }

    fn hash(&self, id: &str) -> u64 {
        self.hasher.hash_one(id)
    }

    fn find(&self, id: &str) -> Option<LineNumber> {
        self.index.find(self.hash(id), |n| &*self.lines[*n as usize].id == id).copied()
    }

    /// The number of a line, which is opened if it is not there.
    fn number(&mut self, id: &str) -> LineNumber {
        let hash = self.hash(id);
        if let Some(number) = self.index.find(hash, |n| &*self.lines[*n as usize].id == id) {
            return *number;
        }
        let number = LineNumber::try_from(self.lines.len()).expect("fewer than 2^32 budget lines");
        let attributes = self.add_attributes(Attributes::default());
        self.lines.push(Line::new(id, attributes));
        let (hasher, lines) = (&self.hasher, &self.lines);
        self.index.insert_unique(hash, number, |n| hasher.hash_one(&*lines[*n as usize].id));
        number
    }

    fn add_attributes(&self, attributes: Attributes) -> u32 {
        u32::try_from(self.attributes.push(attributes)).expect("fewer than 2^32 versions of attributes")
    }

    fn touch(&mut self, number: LineNumber) -> &mut Line {
        let line = &mut self.lines[number as usize];
        self.groups.will_change(number, &line.balances);
        if !line.changed {
            line.changed = true;
            self.changed.push(number);
        }
        line
    }
}
