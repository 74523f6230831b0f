//! The last versions of records: those of batches that are not committed yet are at hand, and some of the latest; all others
//! are in the store.

use std::{collections::VecDeque, sync::Arc};

use hashbrown::HashMap;

use super::{
    references::NamedEvent,
    state::{Issued, Kept, StandingEvents, VersionChange},
};
use crate::{
    engine::ports::{KnownVersions, PortError},
    event::{Instant, TimeDelta},
};

/// Records at hand. Those that are not committed stay, whatever their number.
const AT_HAND: usize = 1 << 14;

/// A source and the key of a record.
type Name = (Arc<str>, Box<str>);

/// The last version of each record.
#[derive(Debug, Default)]
pub(crate) struct Records {
    at_hand: HashMap<Name, (Kept, i64)>,
    /// The records at hand of which an event with this first id stands.
    by_first_id: HashMap<Box<str>, Name>,
    /// In the order of their changes; a record that changed again stands there again.
    changed: VecDeque<(Name, i64)>,
    /// Finds what is not at hand; without it, everything is.
    store: Option<Box<dyn KnownVersions>>,
    /// The number of the last change.
    last: i64,
    /// Records whose latest event is so much older than the latest of all are not known any more.
    retain: Option<TimeDelta>,
    /// Records at hand of which those that are too old are looked for, where nothing is stored.
    sweep_at: usize,
}

impl Records {
    /// Records whose versions are stored.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(crate) fn stored(store: impl KnownVersions + 'static) -> Result<Self, PortError> {
        let last = store.last_change()?;
        Ok(Self { store: Some(Box::new(store)), last, ..Self::default() })
    }

    /// Records that are known as long as events are kept.
    pub(crate) fn within(self, retain: Option<TimeDelta>) -> Self {
        Self { retain, ..self }
    }

    /// What is known of a record. One that is too old is not, whether it is let go of already or not: what becomes of it
    /// does not depend on when that is.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(crate) fn find(
        &mut self,
        source: &Arc<str>,
        key: &str,
        latest: Option<Instant>,
    ) -> Result<Option<Kept>, PortError> {
        let name = (Arc::clone(source), key.into());
        let known = match self.at_hand.get(&name) {
            Some((kept, _)) => Some(kept.clone()),
            None => self.store.as_mut().map_or(Ok(None), |store| store.version(source, key))?,
        };
        let bound = self.bound(latest);
        Ok(known.filter(|kept| Some(kept.at) >= bound))
    }

    /// Whether any record is known.
    pub(crate) fn are_any(&self) -> bool {
        self.last > 0
    }

    /// What stands of the record whose application or payment had this id first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(crate) fn standing(
        &mut self,
        named: NamedEvent,
        first_id: &str,
        latest: Option<Instant>,
    ) -> Result<Option<StandingEvents>, PortError> {
        let known = match self.by_first_id.get(first_id).and_then(|name| self.at_hand.get(name)) {
            Some((kept, _)) => Some(kept.clone()),
            None => {
                let store = self.store.as_mut();
                let found = store.map_or(Ok(None), |store| store.version_of(named, first_id))?;
                // What is at hand is newer than what is stored.
                let newest = |(source, key, stored): (String, String, Kept)| {
                    let name = (Arc::from(source), key.into());
                    self.at_hand.get(&name).map_or(stored, |(kept, _)| kept.clone())
                };
                found.map(newest)
            }
        };
        let bound = self.bound(latest);
        let stands = |kept: &Kept| named.of(&kept.standing).is_some_and(|issued| issued.base == first_id);
        Ok(known.filter(|kept| Some(kept.at) >= bound && stands(kept)).map(|kept| kept.standing))
    }

    /// The latest event of a record that is known is not before this; `None` where none is too old.
    fn bound(&self, latest: Option<Instant>) -> Option<Instant> {
        Some(latest?.saturating_sub(self.retain?))
    }

    /// Notes what is known of a record from now on.
    pub(crate) fn put(&mut self, source: &Arc<str>, key: &str, kept: Kept) -> VersionChange {
        self.last += 1;
        let (source, key, number) = (Arc::clone(source), Box::<str>::from(key), self.last);
        let name = (Arc::clone(&source), key.clone());
        if self.store.is_some() {
            self.changed.push_back((name.clone(), number));
        }
        if let Some((before, _)) = self.at_hand.insert(name.clone(), (kept.clone(), number)) {
            self.forget_ids(&name, &before);
        }
        for id in first_ids(&kept) {
            self.by_first_id.insert(id.into(), name.clone());
        }
        VersionChange { source, key, kept, number }
    }

    /// Lets go of records that are committed, if there are many; where nothing is stored, of those that are too old.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(crate) fn let_go(&mut self, latest: Option<Instant>) -> Result<(), PortError> {
        if self.store.is_none() && self.at_hand.len() > self.sweep_at.max(AT_HAND) {
            let bound = self.bound(latest);
            self.at_hand.retain(|_, (kept, _)| Some(kept.at) >= bound);
            self.by_first_id.retain(|_, name| self.at_hand.contains_key(name));
            // Twice as many, so that each record is looked at a few times at most.
            self.sweep_at = 2 * self.at_hand.len();
        }
        let Some(store) = self.store.as_ref().filter(|_| self.changed.len() > AT_HAND) else { return Ok(()) };
        let committed = store.last_change()?;
        while self.changed.len() > AT_HAND
            && let Some((name, number)) = self.changed.pop_front_if(|(_, number)| *number <= committed)
        {
            if self.at_hand.get(&name).is_some_and(|(_, last)| *last == number)
                && let Some((kept, _)) = self.at_hand.remove(&name)
            {
                self.forget_ids(&name, &kept);
            }
        }
        Ok(())
    }

    fn forget_ids(&mut self, name: &Name, kept: &Kept) {
        for id in first_ids(kept) {
            if self.by_first_id.get(id) == Some(name) {
                self.by_first_id.remove(id);
            }
        }
    }
}

/// The first ids of the events that stand of a record.
fn first_ids(kept: &Kept) -> impl Iterator<Item = &str> {
    let StandingEvents { application, payment, .. } = &kept.standing;
    application.iter().chain(payment).map(|Issued { base, .. }| base.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_known_as_long_as_events_are_kept_and_then_let_go_of() {
        let source: Arc<str> = "vouchers".into();
        let mut records = Records::default().within(Some(TimeDelta::from_micros(100)));
        let total = AT_HAND + AT_HAND / 2;
        for at in 0..i64::try_from(total).unwrap() {
            records.put(&source, &format!("V{at}"), Kept { at: Instant::from_micros(at), ..Kept::default() });
            records.let_go(Some(Instant::from_micros(at))).unwrap();
        }
        let latest = i64::try_from(total).unwrap() - 1;
        let is_known = |records: &mut Records, at: i64| {
            records.find(&source, &format!("V{at}"), Some(Instant::from_micros(latest))).unwrap().is_some()
        };
        assert!(is_known(&mut records, latest - 100) && !is_known(&mut records, latest - 101));
        assert!(records.at_hand.len() <= AT_HAND + 1, "{}", records.at_hand.len());
        assert!(records.by_first_id.len() <= AT_HAND + 1, "{}", records.by_first_id.len());
        // Without a bound everything stays.
        let mut all = Records::default();
        (0..total).for_each(|at| {
            all.put(&source, &format!("V{at}"), Kept::default());
            all.let_go(Some(Instant::from_micros(latest))).unwrap();
        });
        assert_eq!(all.at_hand.len(), total);
    }
}
