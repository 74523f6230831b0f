//! What a line of an earlier year had, and had executed, by the same point of its own year.

use std::collections::HashMap;

use super::{LineYear, YearPosition};

use crate::event::Instant;

/// Sums up what happened to lines of earlier years by the same point of their years.
#[derive(Debug)]
pub struct Early<'l, 'a> {
    lines: &'l mut [LineYear<'a>],
    /// The lines of earlier years, by id.
    index: HashMap<&'a str, Past>,
}

#[derive(Debug)]
struct Past {
    line: usize,
    /// The same point of its year.
    point: Instant,
    /// All that is known to have happened to it.
    total: i128,
    executed: i128,
}

impl<'l, 'a> Early<'l, 'a> {
    /// Nothing has happened yet. Lines of other years keep what they have now.
    #[must_use]
    pub fn new(lines: &'l mut [LineYear<'a>], position: &YearPosition) -> Self {
        let mut index = HashMap::new();
        for (at, line) in lines.iter_mut().enumerate() {
            if let Some(point) = line.year.and_then(|year| position.same_point(year)) {
                (line.early_total, line.early_executed) = (0, 0);
                index.insert(line.id, Past { line: at, point, total: 0, executed: 0 });
            }
        }
        Self { lines, index }
    }

    /// Whether there are no lines of earlier years.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Money paid (or, below zero, given back) at an instant.
    pub fn execute(&mut self, line: &str, at: Instant, cents: i128) {
        if let Some(past) = self.index.get_mut(line) {
            past.executed += cents;
            self.lines[past.line].early_executed += if at < past.point { cents } else { 0 };
        }
    }

    /// Budget given (or, below zero, taken away) at an instant.
    pub fn budget(&mut self, line: &str, at: Instant, cents: i128) {
        if let Some(past) = self.index.get_mut(line) {
            past.total += cents;
            self.lines[past.line].early_total += if at < past.point { cents } else { 0 };
        }
    }

    /// All events were added. A line of which they do not tell all (they are not kept for ever) tells nothing of a season.
    pub fn finish(self) {
        for past in self.index.values() {
            let line = &mut self.lines[past.line];
            line.is_known = (past.total, past.executed) == (line.total, line.executed);
        }
    }
}
