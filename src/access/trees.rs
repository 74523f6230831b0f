//! What limits mean in force: what lies below the units and regions that they name by the tables of codes, whatever the codes in it
//! begin with, and which rules tell of other units.

use std::collections::BTreeSet;

use super::{Below, Limits};
use crate::{
    event::Instant,
    lists::{List, Lists},
};

/// The tables of codes, and the rules whose alerts are not there for whoever is limited.
#[derive(Debug, Clone, Default)]
pub struct LimitScope {
    /// The lists in force.
    pub lists: Lists,
    /// The rules whose findings may show what is another unit's.
    pub telling: BTreeSet<String>,
}

impl LimitScope {
    /// What somebody of these limits sees.
    #[must_use]
    pub(crate) fn of(&self, limits: &Limits, now: Instant) -> Limits {
        let below = below(limits, &self.lists, now);
        limits.without_rules(self.telling.clone()).with_below(below.into())
    }
}

/// What lies below limits.
pub(crate) fn below(limits: &Limits, lists: &Lists, now: Instant) -> Below {
    let of = |column: &str, prefixes: &[String]| match lists.codes(column) {
        Some(table) => codes(table, prefixes, now),
        None => BTreeSet::new(),
    };
    Below { units: of("unit_code", &limits.units), regions: of("region_code", &limits.regions) }
}

/// Codes of which one of those above begins with a limit, and they themselves do not.
fn codes(table: &List, prefixes: &[String], now: Instant) -> BTreeSet<String> {
    let is_meant = |code: &str| prefixes.iter().any(|prefix| code.starts_with(prefix.as_str()));
    let lies_below = |code: &&str| !is_meant(code) && table.codes_above(code, now).any(is_meant);
    table.keys().filter(lies_below).map(str::to_owned).collect()
}
