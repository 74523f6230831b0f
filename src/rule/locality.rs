//! Whether a rule can be judged from the events of one region alone, should regions ever be taken in apart
//! (docs/decisions/0015-shards-and-cluster.md): what it keeps apart by says so.

use super::{
    compile::{CompiledRule, CompiledView},
    window::View,
};
use crate::{say, yaml::Placed};

/// Columns whose values are never of two regions: a budget line, a unit and an event are of one.
const OF_A_REGION: &[&str] =
    &["region_code", "unit_code", "budget_line_id", "event_id", "original_event_id", "application_id"];

/// What a rule needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Locality {
    /// The events of a region.
    Local,
    /// Those of all of them, because of this: the columns of a window or group, or the tables of a query.
    Spanning(Vec<String>),
}

impl Locality {
    /// Why a rule needs the events of all regions, in words.
    #[must_use]
    pub fn because(columns: &[String]) -> String {
        if columns.is_empty() { say!("one window for all events") } else { columns.join(", ") }
    }

    /// That of a rule.
    #[must_use]
    pub fn of(rule: &CompiledRule) -> Self {
        if let (View::Schedule(_), CompiledView::Schedule(query)) = (&rule.rule.view, &rule.view) {
            // What a query puts beside each other is not told by the key of its findings.
            return Self::Spanning(query.tables.iter().cloned().collect());
        }
        let group = rule.rule.group.iter().map(|group| &group.by);
        let windows: Vec<_> = match &rule.rule.view {
            View::Sliding(windows) => windows.iter().map(|over| &over.by).collect(),
            View::Window(closing) => vec![&closing.by],
            View::Event | View::Schedule(_) => Vec::new(),
        };
        match windows.into_iter().chain(group).find(|by| !is_of_a_region(by)) {
            Some(by) => Self::Spanning(by.iter().map(|column| column.text.clone()).collect()),
            None => Self::Local,
        }
    }
}

/// Whether what shares these values is of one region.
fn is_of_a_region(by: &[Placed]) -> bool {
    by.iter().any(|column| OF_A_REGION.contains(&column.text.trim()))
}
