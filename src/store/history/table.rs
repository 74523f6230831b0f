//! The journal as tables of `DataFusion`: `payments`, `refunds`, `budget_actions` and the like.

use std::{fmt, sync::Arc};

use arrow::{
    datatypes::{SchemaRef, TimeUnit},
    record_batch::RecordBatch,
};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{DataFusionError, Result, ScalarValue},
    execution::TaskContext,
    logical_expr::{Between, BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType},
    physical_plan::{
        ExecutionPlan, SendableRecordBatchStream,
        stream::RecordBatchReceiverStream,
        streaming::{PartitionStream, StreamingTableExec},
    },
};

use super::{Bounds, JournalView, ReadOrder, Select, shape::ScanShape};
use crate::{
    evaluate::bounded::Unread,
    event::{Column, EventType, Instant, TimeDelta},
    store::StoreError,
};

/// Batches that wait for the query.
const WAITING: usize = 4;

/// The events of one type or several, with all columns of the event schema. Comparisons of `occurred_at` with
/// constants keep files and blocks from being read; columns that a query does not name are not decoded. Rows come in
/// no particular order. `arrival` is not among the columns: it depends on how the stream was cut into batches, and
/// what a rule finds must not.
#[derive(Clone)]
pub struct JournalTable {
    history: JournalView,
    select: Select,
}

impl JournalTable {
    /// The events of these types.
    #[must_use]
    pub fn new(history: JournalView, types: &[EventType]) -> Self {
        let types = types.iter().fold(0, |set, t| set | t.bit());
        Self { history, select: Select { types: Some(types), ..Select::default() } }
    }

    /// Only events with these times and arrivals; its types are not looked at.
    #[must_use]
    pub fn only(self, select: &Select) -> Self {
        Self { select: Select { types: self.select.types, ..*select }, ..self }
    }
}

impl fmt::Debug for JournalTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalTable").field("select", &self.select).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for JournalTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.history.schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let select = filters.iter().fold(self.select, |select, filter| narrowed(select, filter).0);
        let history = self.history.clone();
        let shape = ScanShape::new(history.schema(), projection.map(Vec::as_slice), false)?;
        let schema = Arc::clone(&shape.schema);
        let partition: Arc<dyn PartitionStream> = Arc::new(Part { history, select, shape });
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![partition], None, [], false, limit)?))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = filters.iter().map(|filter| match narrowed(Select::default(), filter).1 {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        });
        Ok(support.collect())
    }
}

/// What a plan reads.
struct Part {
    history: JournalView,
    select: Select,
    shape: ScanShape,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("select", &self.select).finish_non_exhaustive()
    }
}

impl PartitionStream for Part {
    fn schema(&self) -> &SchemaRef {
        &self.shape.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (history, select, shape) = (self.history.clone(), self.select, self.shape.clone());
        stream(&self.shape, move |take| {
            for batch in history.read(&select, shape, ReadOrder::Any, Bounds::Exact)? {
                if !take(batch?) {
                    break;
                }
            }
            Ok(())
        })
    }
}

/// Rows as `read` gives them, on a thread that may wait, until it is told that the query has all it needs.
pub(super) fn stream(
    shape: &ScanShape,
    read: impl FnOnce(&mut dyn FnMut(RecordBatch) -> bool) -> Result<(), StoreError> + Send + 'static,
) -> SendableRecordBatchStream {
    let mut builder = RecordBatchReceiverStream::builder(Arc::clone(&shape.schema), WAITING);
    let sender = builder.tx();
    builder.spawn_blocking(move || {
        read(&mut |batch| sender.blocking_send(Ok(batch)).is_ok())
            .map_err(|e| DataFusionError::from(Unread(e.to_string())))
    });
    builder.build()
}

/// The selection within a filter's bounds of `occurred_at`, and whether it has any.
fn narrowed(select: Select, filter: &Expr) -> (Select, bool) {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            let (select, l) = narrowed(select, left);
            let (select, r) = narrowed(select, right);
            (select, l || r)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let bound = match (is_time(left), instant(right), is_time(right), instant(left)) {
                (true, Some(at), ..) => bounded(select, *op, at),
                (_, _, true, Some(at)) => op.swap().and_then(|op| bounded(select, op, at)),
                _ => None,
            };
            bound.map_or((select, false), |narrow| (narrow, true))
        }
        Expr::Between(Between { expr, negated: false, low, high }) if is_time(expr) => {
            let low = instant(low).and_then(|at| bounded(select, Operator::GtEq, at));
            let within = low.unwrap_or(select);
            let high = instant(high).and_then(|at| bounded(within, Operator::LtEq, at));
            (high.unwrap_or(within), low.is_some() || high.is_some())
        }
        _ => (select, false),
    }
}

/// The selection within one more bound; an instant is whole microseconds, and whether that is all of it.
pub(super) fn bounded(mut select: Select, op: Operator, (floor, exact): (Instant, bool)) -> Option<Select> {
    // An instant between two microseconds is above its floor.
    let above = floor.checked_add(TimeDelta::MICROSECOND)?;
    if matches!(op, Operator::Gt | Operator::GtEq | Operator::Eq) {
        let from = if op == Operator::Gt || !exact { above } else { floor };
        select.from = select.from.max(Some(from));
    }
    if matches!(op, Operator::Lt | Operator::LtEq | Operator::Eq) {
        let to = if op == Operator::Lt && exact { floor } else { above };
        select.to = Some(select.to.map_or(to, |other| other.min(to)));
    }
    matches!(op, Operator::Gt | Operator::GtEq | Operator::Eq | Operator::Lt | Operator::LtEq)
        .then_some(select)
}

fn is_time(expr: &Expr) -> bool {
    matches!(expr, Expr::Column(column) if column.name == Column::OccurredAt.spec().name)
}

/// Whole microseconds of a constant instant, and whether that is all of it.
fn instant(expr: &Expr) -> Option<(Instant, bool)> {
    let Expr::Literal(value, _) = expr else { return None };
    let (value, unit) = match value {
        ScalarValue::TimestampSecond(Some(v), _) => (*v, TimeUnit::Second),
        ScalarValue::TimestampMillisecond(Some(v), _) => (*v, TimeUnit::Millisecond),
        ScalarValue::TimestampMicrosecond(Some(v), _) => (*v, TimeUnit::Microsecond),
        ScalarValue::TimestampNanosecond(Some(v), _) => (*v, TimeUnit::Nanosecond),
        _ => return None,
    };
    Some(match unit {
        TimeUnit::Second => (Instant::from_micros(value.checked_mul(1_000_000)?), true),
        TimeUnit::Millisecond => (Instant::from_micros(value.checked_mul(1000)?), true),
        TimeUnit::Microsecond => (Instant::from_micros(value), true),
        TimeUnit::Nanosecond => (Instant::from_micros(value.div_euclid(1000)), value.rem_euclid(1000) == 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::logical_expr::{col, lit};

    fn at(micros: i64) -> Expr {
        lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())))
    }

    #[test]
    fn comparisons_with_constants_become_bounds() {
        let bounds = |filter: &Expr| {
            let (select, some) = narrowed(Select::default(), filter);
            (some, select.from.map(Instant::as_micros), select.to.map(Instant::as_micros))
        };
        let time = || col("occurred_at");
        assert_eq!(bounds(&time().gt_eq(at(5))), (true, Some(5), None));
        assert_eq!(bounds(&time().gt(at(5))), (true, Some(6), None));
        assert_eq!(bounds(&time().lt(at(5))), (true, None, Some(5)));
        assert_eq!(bounds(&at(5).gt_eq(time())), (true, None, Some(6)));
        assert_eq!(bounds(&time().eq(at(5))), (true, Some(5), Some(6)));
        assert_eq!(bounds(&time().between(at(5), at(9))), (true, Some(5), Some(10)));
        assert_eq!(bounds(&time().gt(at(5)).and(col("amount").gt(lit(1)))), (true, Some(6), None));
        assert_eq!(bounds(&time().gt(at(5)).or(time().lt(at(1)))), (false, None, None));
        assert_eq!(bounds(&time().not_eq(at(5))), (false, None, None));
        let nanos = |n| lit(ScalarValue::TimestampNanosecond(Some(n), None));
        assert_eq!(bounds(&time().gt_eq(nanos(5001))), (true, Some(6), None));
        assert_eq!(bounds(&time().lt(nanos(5001))), (true, None, Some(6)));
        assert_eq!(bounds(&time().lt_eq(nanos(5000))), (true, None, Some(6)));
    }
}
