//! The store as the loop asks it.

use arrow::record_batch::RecordBatch;

use super::{Lookup, StoreError};
use crate::{
    engine::{EngineError, Journal, KnownIds, PortError},
    event::{Column, Instant},
};

impl From<StoreError> for PortError {
    fn from(error: StoreError) -> Self {
        Self::new(error)
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        Self::Port(error.into())
    }
}

impl KnownIds for Lookup {
    fn refresh(&mut self) -> Result<i64, PortError> {
        Ok(Self::refresh(self)?)
    }

    fn content(&mut self, event_id: &str, before: Instant) -> Result<Option<u64>, PortError> {
        Ok(Self::content(self, event_id, before)?)
    }
}

impl Journal for Lookup {
    fn event(
        &mut self,
        event_id: &str,
        id: u64,
        times: (Instant, Instant),
        columns: &[Column],
    ) -> Result<Option<RecordBatch>, PortError> {
        Ok(Self::event(self, event_id, id, times, columns)?)
    }

    fn last_block(&self) -> Result<i64, PortError> {
        Ok(Self::last_block(self)?)
    }
}
