//! The lines as they were at one moment, to be looked through while the ledger goes on.

use std::sync::Arc;

use super::{Attributes, Ledger, Line};

/// A copy of all lines.
#[derive(Debug)]
pub struct LedgerCopy {
    lines: Vec<Line>,
    attributes: Arc<boxcar::Vec<Attributes>>,
}

impl LedgerCopy {
    /// All lines with their attributes, in the order in which they were opened.
    pub fn lines(&self) -> impl Iterator<Item = (&Line, &Attributes)> {
        self.lines.iter().map(|line| (line, &self.attributes[line.attributes as usize]))
    }
}

impl Ledger {
    /// The lines as they are now. Attributes only grow, and are shared.
    #[must_use]
    pub fn copy(&self) -> LedgerCopy {
        LedgerCopy { lines: self.lines.clone(), attributes: self.attributes() }
    }
}
