//! The journal as windows and lists that changed ask it.

use std::path::PathBuf;

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};

use crate::{
    engine::{History, PortError},
    event::{EventType, Instant},
    store,
};

/// The journal that windows are filled from.
pub(crate) struct StoredPast {
    pub dir: PathBuf,
    /// The columns of events.
    pub schema: SchemaRef,
}

impl History for StoredPast {
    fn replay(
        &self,
        from: Option<Instant>,
        columns: &[usize],
        take: &mut dyn FnMut(&RecordBatch, &[EventType]),
    ) -> Result<(), PortError> {
        Ok(store::JournalView::open(&self.dir, &self.schema)?.replay(from, columns, take)?)
    }
}
