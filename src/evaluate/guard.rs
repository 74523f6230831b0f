//! A plan whose every step looks at the time and at how much it holds. The engine's operators give way only where they
//! wait for rows; here each of them is asked before every batch, and is given no more rows at once than it can work on
//! in a moment.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use arrow::{
    array::{Array, AsArray},
    datatypes::{DataType, SchemaRef},
    record_batch::RecordBatch,
};
use datafusion::{
    common::{DataFusionError, Result, tree_node::TreeNodeRecursion},
    execution::{
        RecordBatchStream, SendableRecordBatchStream, TaskContext,
        memory_pool::{MemoryConsumer, MemoryReservation},
    },
    physical_expr::PhysicalExpr,
    physical_plan::{
        ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
        ReplaceChildrenOptions,
        joins::{CrossJoinExec, NestedLoopJoinExec},
        unnest::UnnestExec,
        windows::{BoundedWindowAggExec, WindowAggExec},
    },
};
use futures::Stream;

use crate::{diagnostic::ExpressionProblem, say, sql::functions::sizes};

/// Pairs of rows that a join without an equality compares at once, and in all.
const PAIRS_AT_ONCE: u64 = 4_000_000;
const PAIRS: u64 = 2_000_000_000;
/// Items that lists are taken apart into at once.
const ITEMS_AT_ONCE: u64 = 32 << 10;

/// The time of one query, and whether anybody still waits for it.
#[derive(Debug)]
pub struct QueryDeadline {
    limit: Duration,
    until: Instant,
    cancelled: AtomicBool,
}

impl QueryDeadline {
    /// From now on.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        // A limit that no clock reaches is none.
        let now = Instant::now();
        let until = now.checked_add(limit).unwrap_or_else(|| now + Duration::from_hours(24 * 365));
        Self { limit, until, cancelled: AtomicBool::new(false) }
    }

    /// Nobody waits any more.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether the time is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || Instant::now() >= self.until
    }

    /// What a query is told whose time is over.
    #[must_use]
    pub fn over(&self) -> DataFusionError {
        TimeOver(self.limit).into()
    }
}

/// The time of a query is over.
#[derive(Debug, Clone, Copy)]
pub struct TimeOver(pub Duration);

impl std::fmt::Display for TimeOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&say!("the query took more than {time}", time = format!("{:?}", self.0)))
    }
}

impl std::error::Error for TimeOver {}

impl From<TimeOver> for DataFusionError {
    fn from(over: TimeOver) -> Self {
        Self::External(Box::new(over))
    }
}

/// The plan with a guard on every step.
///
/// # Errors
/// If it cannot be put together again.
pub(crate) fn guarded(
    plan: Arc<dyn ExecutionPlan>,
    watch: &Arc<QueryDeadline>,
) -> Result<Arc<dyn ExecutionPlan>> {
    Ok(Guard::around(inside(plan, watch)?, watch, Care::Time))
}

/// The same with guards below the step only.
fn inside(plan: Arc<dyn ExecutionPlan>, watch: &Arc<QueryDeadline>) -> Result<Arc<dyn ExecutionPlan>> {
    let pairs = Arc::new(AtomicU64::new(0));
    let joins_pairs = plan.is::<NestedLoopJoinExec>() || plan.is::<CrossJoinExec>();
    let keeps = plan.is::<WindowAggExec>() || plan.is::<BoundedWindowAggExec>();
    let care = |side: usize| match side {
        0 if joins_pairs => Care::Left(Arc::clone(&pairs)),
        _ if joins_pairs => Care::Right(Arc::clone(&pairs)),
        _ if keeps => Care::Kept,
        _ if plan.is::<UnnestExec>() => Care::Lists,
        _ => Care::Time,
    };
    let guard = |(side, child): (usize, &Arc<dyn ExecutionPlan>)| {
        Ok(Guard::around(inside(Arc::clone(child), watch)?, watch, care(side)))
    };
    let children: Vec<_> = plan.children().into_iter().enumerate().map(guard).collect::<Result<_>>()?;
    if children.is_empty() { Ok(plan) } else { plan.replace_children(children, kept()) }
}

/// A guard has the properties of the step that it is around, so those of the step above it stay what they are.
fn kept() -> ReplaceChildrenOptions {
    ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep)
}

/// What is looked at besides the time.
#[derive(Debug, Clone)]
enum Care {
    Time,
    /// The rows on the left of a join of all pairs are counted.
    Left(Arc<AtomicU64>),
    /// Those on the right come in pieces that make so many pairs.
    Right(Arc<AtomicU64>),
    /// The step above holds all of it, and does not say so.
    Kept,
    /// The step above takes lists apart.
    Lists,
}

/// A step that is looked after.
#[derive(Debug)]
struct Guard {
    input: Arc<dyn ExecutionPlan>,
    watch: Arc<QueryDeadline>,
    care: Care,
}

impl Guard {
    fn around(
        input: Arc<dyn ExecutionPlan>,
        watch: &Arc<QueryDeadline>,
        care: Care,
    ) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { input, watch: Arc::clone(watch), care })
    }
}

impl DisplayAs for Guard {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guard")
    }
}

impl ExecutionPlan for Guard {
    fn name(&self) -> &'static str {
        "Guard"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(Self::around(input, &self.watch, self.care.clone()))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, kept())
    }

    fn downcast_delegate(&self) -> Option<&dyn ExecutionPlan> {
        // Steps that know the one below them are to know it still.
        Some(self.input.as_ref())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let kept = MemoryConsumer::new("rows of a window").register(context.memory_pool());
        Ok(Box::pin(Guarded {
            input: self.input.execute(partition, context)?,
            watch: Arc::clone(&self.watch),
            care: self.care.clone(),
            kept,
            pairs: 0,
            rest: None,
        }))
    }
}

/// The rows of a step that is looked after.
struct Guarded {
    input: SendableRecordBatchStream,
    watch: Arc<QueryDeadline>,
    care: Care,
    kept: MemoryReservation,
    pairs: u64,
    /// What is left of a batch that is given in pieces.
    rest: Option<RecordBatch>,
}

impl Guarded {
    /// The first piece of a batch; the rest stays here.
    fn piece(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let rows = match &self.care {
            Care::Right(left) => {
                let left = left.load(Ordering::Relaxed).max(1);
                let rows = usize::try_from(PAIRS_AT_ONCE / left)
                    .unwrap_or(usize::MAX)
                    .clamp(1, batch.num_rows().max(1));
                self.pairs = self.pairs.saturating_add(left.saturating_mul(rows as u64));
                if self.pairs > PAIRS {
                    return Err(too_many_pairs().into());
                }
                rows
            }
            Care::Lists => rows_of_lists(&batch),
            _ => batch.num_rows(),
        };
        if rows < batch.num_rows() {
            self.rest = Some(batch.slice(rows, batch.num_rows() - rows));
            return Ok(batch.slice(0, rows));
        }
        Ok(batch)
    }

    fn taken(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        match &self.care {
            Care::Left(rows) => {
                rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
            }
            Care::Kept => {
                let bytes: u64 = batch.columns().iter().map(sizes::bytes).sum();
                self.kept.try_grow(usize::try_from(bytes).unwrap_or(usize::MAX))?;
            }
            Care::Time | Care::Right(_) | Care::Lists => {}
        }
        self.piece(batch)
    }
}

/// So many rows of the batch have few enough items in their lists.
fn rows_of_lists(batch: &RecordBatch) -> usize {
    let mut items = 0u64;
    for row in 0..batch.num_rows() {
        for column in batch.columns() {
            if let DataType::List(_) = column.data_type() {
                items += u64::from(column.as_list::<i32>().value_length(row).unsigned_abs());
            }
        }
        if items > ITEMS_AT_ONCE {
            return row.max(1);
        }
    }
    batch.num_rows()
}

fn too_many_pairs() -> ExpressionProblem {
    ExpressionProblem {
        message: say!("a join without an equality compares more than {most} pairs of rows", most = PAIRS),
        hint: say!("join ON a column of one table = a column of the other, or group the rows first"),
        word: String::from("join"),
    }
}

impl Stream for Guarded {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.watch.is_over() {
            return Poll::Ready(Some(Err(self.watch.over())));
        }
        if let Some(rest) = self.rest.take() {
            return Poll::Ready(Some(self.piece(rest)));
        }
        let next = ready!(self.input.as_mut().poll_next(context));
        Poll::Ready(next.map(|batch| batch.and_then(|batch| self.taken(batch))))
    }
}

impl RecordBatchStream for Guarded {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}
