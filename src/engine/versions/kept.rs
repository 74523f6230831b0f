//! The last versions of records: those of batches that are not committed yet are at hand, and some of the latest; all others
//! are in the store.

use std::{collections::VecDeque, sync::Arc};

use hashbrown::HashMap;

use super::state::{Kept, VersionChange};
use crate::engine::ports::{KnownVersions, PortError};

/// Records at hand. Those that are not committed stay, whatever their number.
const AT_HAND: usize = 1 << 14;

/// A source and the key of a record.
type Name = (Arc<str>, Box<str>);

/// The last version of each record.
#[derive(Debug, Default)]
pub struct Records {
    at_hand: HashMap<Name, (Kept, i64)>,
    /// In the order of their changes; a record that changed again stands there again.
    changed: VecDeque<(Name, i64)>,
    /// Finds what is not at hand; without it, everything is.
    store: Option<Box<dyn KnownVersions>>,
    /// The number of the last change.
    last: i64,
}

impl Records {
    /// Records whose versions are stored.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn stored(store: impl KnownVersions + 'static) -> Result<Self, PortError> {
        let last = store.last_change()?;
        Ok(Self { store: Some(Box::new(store)), last, ..Self::default() })
    }

    /// What is known of a record.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn find(&mut self, source: &Arc<str>, key: &str) -> Result<Option<Kept>, PortError> {
        let name = (Arc::clone(source), key.into());
        if let Some((kept, _)) = self.at_hand.get(&name) {
            return Ok(Some(kept.clone()));
        }
        self.store.as_mut().map_or(Ok(None), |store| store.version(source, key))
    }

    /// Notes what is known of a record from now on.
    pub fn put(&mut self, source: &Arc<str>, key: &str, kept: Kept) -> VersionChange {
        self.last += 1;
        let (source, key, number) = (Arc::clone(source), Box::<str>::from(key), self.last);
        let name = (Arc::clone(&source), key.clone());
        if self.store.is_some() {
            self.changed.push_back((name.clone(), number));
        }
        self.at_hand.insert(name, (kept.clone(), number));
        VersionChange { source, key, kept, number }
    }

    /// Lets go of records that are committed, if there are many.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn let_go(&mut self) -> Result<(), PortError> {
        let Some(store) = self.store.as_ref().filter(|_| self.changed.len() > AT_HAND) else { return Ok(()) };
        let committed = store.last_change()?;
        while self.changed.len() > AT_HAND
            && let Some((name, number)) = self.changed.pop_front_if(|(_, number)| *number <= committed)
        {
            if self.at_hand.get(&name).is_some_and(|(_, last)| *last == number) {
                self.at_hand.remove(&name);
            }
        }
        Ok(())
    }
}
