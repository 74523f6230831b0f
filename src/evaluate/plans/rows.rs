//! Rows in memory that a plan reads when it is executed, and not when it is made: those that are there then, less the
//! batches whose times cannot be meant.

use std::{fmt::Debug, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::{max, min},
    datatypes::{Schema, SchemaRef, TimestampMicrosecondType},
    record_batch::{RecordBatch, RecordBatchOptions},
};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{Result, exec_err, tree_node::TreeNodeRecursion},
    execution::{SendableRecordBatchStream, TaskContext},
    logical_expr::{Expr, Operator, TableProviderFilterPushDown, TableType},
    physical_expr::{EquivalenceProperties, PhysicalExpr},
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions,
        execution_plan::{Boundedness, EmissionType},
        memory::MemoryStream,
    },
};

use super::within::TimeFilter;
use crate::event::{Column, schema::FIELDS};

/// Rows with the least and the greatest of their times.
#[derive(Debug, Clone)]
pub(crate) struct Timed {
    rows: RecordBatch,
    times: Option<(i64, i64)>,
}

impl Timed {
    #[must_use]
    pub(crate) fn new(rows: RecordBatch) -> Self {
        let times = rows.column_by_name(FIELDS[Column::OccurredAt.index()].name).and_then(|column| {
            let times = column.as_primitive_opt::<TimestampMicrosecondType>()?;
            min(times).zip(max(times)).filter(|_| times.null_count() == 0)
        });
        Self { rows, times }
    }

    #[must_use]
    pub(crate) fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    fn may_be_in(&self, within: &[(Operator, i64)]) -> bool {
        self.times.is_none_or(|(from, to)| {
            within.iter().all(|(operator, at)| match operator {
                Operator::Gt => to > *at,
                Operator::GtEq => to >= *at,
                Operator::Lt => from < *at,
                Operator::LtEq => from <= *at,
                Operator::Eq => from <= *at && *at <= to,
                _ => true,
            })
        })
    }
}

/// The rows with text in a buffer of its own: the one that it stood in has all the other columns too.
#[must_use]
pub(crate) fn compacted(rows: RecordBatch) -> RecordBatch {
    let compact = |column: &ArrayRef| match column.as_string_view_opt() {
        Some(texts) => Arc::new(texts.gc()) as ArrayRef,
        None => Arc::clone(column),
    };
    let columns = rows.columns().iter().map(compact).collect();
    RecordBatch::try_new(rows.schema(), columns).unwrap_or(rows)
}

/// Where rows come from.
pub(crate) trait RowSource: Debug + Send + Sync {
    /// Gives each batch to `take`, in order, until it returns `false`.
    fn each(&self, take: &mut dyn FnMut(&Timed) -> bool);
}

/// A table with all columns to those who plan, of which only some may be there to be read.
#[derive(Debug)]
pub(crate) struct RowsTable {
    schema: SchemaRef,
    /// The columns that are there.
    columns: Vec<usize>,
    rows: Arc<dyn RowSource>,
}

impl RowsTable {
    /// The `columns` of `schema` that the batches of `rows` have.
    #[must_use]
    pub(crate) fn new(schema: SchemaRef, columns: Vec<usize>, rows: Arc<dyn RowSource>) -> Self {
        Self { schema, columns, rows }
    }

    /// Whether no column is there.
    #[must_use]
    pub(crate) fn lacks_columns(&self) -> bool {
        self.columns.is_empty()
    }
}

#[async_trait]
impl TableProvider for RowsTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(TimeFilter::support(filters))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = (0..self.schema.fields().len()).collect();
        let wanted = projection.unwrap_or(&all);
        let place = |column: &usize| self.columns.iter().position(|kept| kept == column);
        let Some(places) = wanted.iter().map(place).collect::<Option<Vec<_>>>() else {
            // `reads::names` has every column that a query can read, so this is a bug.
            return exec_err!("the query reads a column that was not kept for it");
        };
        let schema = Arc::new(self.schema.project(wanted)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Arc::new(RowsExec {
            rows: Arc::clone(&self.rows),
            places,
            schema,
            within: TimeFilter::of(filters, state)?,
            properties: Arc::new(properties),
        }))
    }
}

/// The step of a plan that reads them.
#[derive(Debug)]
pub(crate) struct RowsExec {
    rows: Arc<dyn RowSource>,
    /// Where the columns are among those that are there.
    places: Vec<usize>,
    schema: SchemaRef,
    /// Bounds of the times that are meant.
    within: TimeFilter,
    properties: Arc<PlanProperties>,
}

impl RowsExec {
    /// Whether there is no row that could be meant now.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        let (within, mut is_empty) = (self.within.now(), true);
        self.rows.each(&mut |batch| {
            is_empty &= !batch.may_be_in(&within);
            is_empty
        });
        is_empty
    }

    fn now(&self) -> Result<Vec<RecordBatch>> {
        let (within, mut batches) = (self.within.now(), Vec::new());
        self.rows.each(&mut |batch| {
            if batch.may_be_in(&within) {
                batches.push(batch.rows.project(&self.places));
            }
            true
        });
        Ok(batches.into_iter().collect::<std::result::Result<_, _>>()?)
    }
}

/// A batch without columns, of one row: what is the same for all rows is evaluated on it.
pub(crate) fn one_row() -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)
        .unwrap_or_else(|_| RecordBatch::new_empty(Arc::new(Schema::empty())))
}

impl DisplayAs for RowsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rows")
    }
}

impl ExecutionPlan for RowsExec {
    fn name(&self) -> &'static str {
        "Rows"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        Ok(Box::pin(MemoryStream::try_new(self.now()?, Arc::clone(&self.schema), None)?))
    }
}
