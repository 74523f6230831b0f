//! The journal as a table that outlives the moment it was made in: a plan over it reads what is there when it is executed.

use std::{fmt, sync::Arc};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::Result,
    execution::TaskContext,
    logical_expr::{Expr, TableProviderFilterPushDown, TableType},
    physical_plan::{
        ExecutionPlan, SendableRecordBatchStream,
        streaming::{PartitionStream, StreamingTableExec},
    },
};

use super::{
    JournalView, Remembered, Select,
    shape::ScanShape,
    table::{bounded, stream},
};
use crate::{
    evaluate::plans::within::TimeFilter,
    event::{EventType, Instant, TypeSet},
    store::StoreError,
};

/// Opens the journal, and says which of its events are there.
pub(crate) type Open = dyn Fn() -> Result<(JournalView, Select), StoreError> + Send + Sync;

/// The events of one type, as [`super::JournalTable`] has them, but of the time at which they are read.
#[derive(Clone)]
pub struct LastingTable {
    schema: SchemaRef,
    types: TypeSet,
    open: Arc<Open>,
    remembered: Arc<Remembered>,
}

impl LastingTable {
    /// The events of this type, in `schema`. What is read is `remembered`, which is of one state.
    #[must_use]
    pub fn new(
        schema: &SchemaRef,
        event_type: EventType,
        open: Arc<Open>,
        remembered: &Arc<Remembered>,
    ) -> Self {
        let remembered = Arc::clone(remembered);
        Self { schema: Arc::clone(schema), types: event_type.bit(), open, remembered }
    }
}

impl fmt::Debug for LastingTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LastingTable").field("types", &self.types).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for LastingTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let shape = ScanShape::new(&self.schema, projection.map(Vec::as_slice), false)?;
        let (schema, within) = (Arc::clone(&shape.schema), TimeFilter::of(filters, state)?);
        let partition: Arc<dyn PartitionStream> = Arc::new(Part { table: self.clone(), within, shape });
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![partition], None, [], false, limit)?))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(TimeFilter::support(filters))
    }
}

/// What a plan reads.
#[derive(Debug)]
struct Part {
    table: LastingTable,
    within: TimeFilter,
    shape: ScanShape,
}

impl PartitionStream for Part {
    fn schema(&self) -> &SchemaRef {
        &self.shape.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (table, shape, within) = (self.table.clone(), self.shape.clone(), self.within.now());
        stream(&self.shape, move |take| {
            let (history, select) = (table.open)()?;
            let select = Select { types: Some(table.types), ..select };
            let narrowed = |select, (operator, at)| {
                bounded(select, operator, (Instant::from_micros(at), true)).unwrap_or(select)
            };
            let select = within.into_iter().fold(select, narrowed);
            history.read_again(&select, &shape, &table.remembered, take)
        })
    }
}
