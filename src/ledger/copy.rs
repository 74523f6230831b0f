//! The lines as they were at one moment, to be looked through while the ledger goes on.

use std::{collections::BTreeSet, sync::Arc};

use super::{Attributes, Ledger, Line, covers_year};

/// A copy of all lines.
#[derive(Debug)]
pub struct LedgerCopy {
    lines: Vec<Line>,
    attributes: Arc<boxcar::Vec<Attributes>>,
    whole_from: Option<i32>,
    opened: BTreeSet<i32>,
}

impl LedgerCopy {
    /// All lines with their attributes, in the order in which they were opened.
    pub fn lines(&self) -> impl Iterator<Item = (&Line, &Attributes)> {
        self.lines.iter().map(|line| (line, &self.attributes[line.attributes as usize]))
    }

    /// The same, each with whether everything that was executed in its fiscal year is known.
    pub fn lines_covered(&self) -> impl Iterator<Item = (&Line, &Attributes, bool)> {
        let is_covered = |year| covers_year(self.whole_from, &self.opened, year);
        self.lines().map(move |(line, attributes)| (line, attributes, is_covered(attributes.fiscal_year)))
    }
}

impl Ledger {
    /// The lines as they are now. Attributes only grow, and are shared.
    #[must_use]
    pub fn copy(&self) -> LedgerCopy {
        LedgerCopy {
            lines: self.lines.clone(),
            attributes: self.attributes(),
            whole_from: self.whole_from,
            opened: self.opened.clone(),
        }
    }
}
