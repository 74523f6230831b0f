//! Bytes of event bodies that are being processed: from their arrival until nothing views them any more, whether or not their
//! sender still waits.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What the bytes of bodies are counted in.
const UNIT: usize = 1 << 10;

/// Room for the bytes of all bodies together.
#[derive(Debug, Clone)]
pub struct Bodies {
    free: Arc<Semaphore>,
    units: usize,
}

impl Bodies {
    /// Room for so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let units = bytes.div_ceil(UNIT).min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(units)), units }
    }

    /// Room for all bodies, in bytes.
    #[must_use]
    pub fn room(&self) -> usize {
        self.units * UNIT
    }

    /// Bytes that are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        (self.units - self.free.available_permits().min(self.units)) * UNIT
    }

    /// Whether so many bytes have room at this moment.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        bytes.div_ceil(UNIT) <= self.free.available_permits()
    }

    /// A body that holds nothing yet.
    #[must_use]
    pub fn begin(&self) -> Body {
        Body { bytes: Vec::new(), room: None, counted: 0, bodies: self.clone() }
    }
}

/// A body that takes up room for what it holds.
#[derive(Debug)]
pub struct Body {
    bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
    /// Units that it has room for.
    counted: usize,
    bodies: Bodies,
}

/// There is no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Body {
    /// Adds bytes.
    ///
    /// # Errors
    /// If there is no room for them.
    pub fn add(&mut self, more: &[u8]) -> Result<(), Full> {
        let units = (self.bytes.len() + more.len()).div_ceil(UNIT) - self.counted;
        if units > 0 {
            let wanted = u32::try_from(units).map_err(|_| Full)?;
            let room = Arc::clone(&self.bodies.free).try_acquire_many_owned(wanted).map_err(|_| Full)?;
            match &mut self.room {
                Some(all) => all.merge(room),
                none => *none = Some(room),
            }
            self.counted += units;
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    #[must_use]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it holds, to be changed in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The bytes, which take up their room until the last view of them is gone.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_by_what_came_and_given_back_with_the_last_view() {
        let bodies = Bodies::new(10 * UNIT);
        let mut body = bodies.begin();
        assert_eq!(bodies.taken(), 0, "nothing is promised to who sends nothing");
        body.add(&[1; 100]).unwrap();
        body.add(&[2; 6 * UNIT]).unwrap();
        assert_eq!(bodies.taken(), 7 * UNIT);
        let mut other = bodies.begin();
        assert_eq!(other.add(&[0; 4 * UNIT]), Err(Full));
        assert!(bodies.has_room(3 * UNIT) && !bodies.has_room(3 * UNIT + 1));
        let view = body.into_bytes().slice(5..6);
        assert_eq!(bodies.taken(), 7 * UNIT);
        drop(view);
        assert_eq!(bodies.taken(), 0);
        other.add(&[0; 10 * UNIT]).unwrap();
    }
}
