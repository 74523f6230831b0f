//! What a line of an earlier year had, and had executed, by the same point of its own year.

use std::collections::HashMap;

use super::{LineYear, Position};

/// Sums up what happened to lines of earlier years by the same point of their years.
#[derive(Debug)]
pub struct Early<'l, 'a> {
    lines: &'l mut [LineYear<'a>],
    /// The lines of earlier years and the points, by id.
    index: HashMap<&'a str, (usize, i64)>,
}

impl<'l, 'a> Early<'l, 'a> {
    /// Nothing has happened yet. Lines of other years keep what they have now.
    #[must_use]
    pub fn new(lines: &'l mut [LineYear<'a>], position: &Position) -> Self {
        let mut index = HashMap::new();
        for (at, line) in lines.iter_mut().enumerate() {
            let point = line.year.and_then(|year| position.same_point(year));
            if let Some(point) = point {
                (line.early_total, line.early_executed) = (0, 0);
                index.insert(line.id, (at, point));
            }
        }
        Self { lines, index }
    }

    /// The latest instant that matters; `None` if there are no lines of earlier years.
    #[must_use]
    pub fn until(&self) -> Option<i64> {
        self.index.values().map(|(_, point)| *point).max()
    }

    /// Money paid (or, below zero, given back) at an instant.
    pub fn execute(&mut self, line: &str, at: i64, cents: i128) {
        if let Some((index, _)) = self.index.get(line).filter(|(_, point)| at < *point) {
            self.lines[*index].early_executed += cents;
        }
    }

    /// Budget given (or, below zero, taken away) at an instant.
    pub fn budget(&mut self, line: &str, at: i64, cents: i128) {
        if let Some((index, _)) = self.index.get(line).filter(|(_, point)| at < *point) {
            self.lines[*index].early_total += cents;
        }
    }
}
