//! What lies below the units and regions that somebody is limited to, by the tables of codes in force. A role that is limited to
//! a unit covers its subtree, whatever the codes in it begin with.

use std::{collections::HashMap, fmt, sync::Arc};

use parking_lot::Mutex;

use super::by::Authenticated;
use crate::{
    access::{Below, trees::below},
    daemon::Shared,
    event::{Instant, TimeDelta},
};

/// Limits that are remembered; with more of them all are looked up again.
const REMEMBERED: usize = 1024;

/// Looks in the trees.
#[derive(Default)]
pub(super) struct Trees {
    shared: Option<Arc<Shared>>,
    /// By the limits, what the tables hold, and the day.
    found: Mutex<HashMap<(String, u64, i64), Arc<Below>>>,
}

impl fmt::Debug for Trees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trees").finish_non_exhaustive()
    }
}

impl Trees {
    /// The trees of a daemon.
    pub(super) fn of(shared: &Arc<Shared>) -> Self {
        Self { shared: Some(Arc::clone(shared)), found: Mutex::default() }
    }

    /// Somebody, with what lies below their limits.
    pub(super) fn extend(&self, mut known: Authenticated, now: Instant) -> Authenticated {
        let limits = known.identity.roles.limits();
        let Some(shared) = self.shared.as_ref().filter(|_| !limits.is_none()) else { return known };
        let rules = shared.rules_in_force();
        let limits = limits.without_rules(rules.telling_of_others());
        let tables = [rules.lists.codes("unit_code"), rules.lists.codes("region_code")];
        if tables.iter().all(Option::is_none) {
            known.identity.roles = known.identity.roles.limited_to(limits);
            return known;
        }
        let print = tables.iter().flatten().fold(0_u64, |print, table| print.rotate_left(7) ^ table.print());
        let key = (limits.to_string(), print, now.as_micros().div_euclid(TimeDelta::DAY.as_micros()));
        let mut found = self.found.lock();
        if found.len() >= REMEMBERED && !found.contains_key(&key) {
            found.clear();
        }
        let below =
            Arc::clone(found.entry(key).or_insert_with(|| Arc::new(below(&limits, &rules.lists, now))));
        let limits = limits.with_below(below);
        known.identity.roles = known.identity.roles.limited_to(limits);
        known
    }
}
