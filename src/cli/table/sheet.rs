//! One object, a line a fact: nothing is cut, long values go on below themselves.

use std::fmt::Write;

use super::{
    Cell, Screen,
    fit::GAP,
    visible::{width, wrap},
};

/// The facts of one object.
#[derive(Debug, Default)]
pub(crate) struct FactSheet {
    facts: Vec<(String, Cell)>,
}

impl FactSheet {
    pub(crate) fn add(&mut self, name: impl Into<String>, value: Cell) {
        self.facts.push((name.into(), value));
    }

    /// The facts as lines, each with its end.
    pub(crate) fn render(&self, screen: Screen) -> String {
        let names = self.facts.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
        let mut text = String::new();
        for (name, value) in &self.facts {
            let shown = value.shown();
            let room = screen.width.map_or(usize::MAX, |all| all.saturating_sub(names + GAP).max(NARROWEST));
            for (number, line) in wrap(&shown, room).into_iter().enumerate() {
                let label = if number == 0 { name } else { "" };
                let blanks = names - width(label) + GAP;
                let (label, line) = (screen.paint(label, Some(FAINT)), screen.paint(line, value.colour()));
                let _ = writeln!(text, "{label}{:blanks$}{line}", "");
            }
        }
        text
    }
}

/// The colour of names: values are what is read.
const FAINT: &str = "2";
/// Values have so many columns, whatever the screen.
const NARROWEST: usize = 20;
