//! Which plans give no row, told without executing them: what they read is not there, or a condition that is the same
//! for all rows does not hold.

use std::sync::Arc;

use datafusion::{
    common::{JoinType, ScalarValue},
    logical_expr::ColumnarValue,
    physical_expr::{PhysicalExpr, split_conjunction, utils::collect_columns},
    physical_plan::{
        ExecutionPlan,
        aggregates::AggregateExec,
        coalesce_partitions::CoalescePartitionsExec,
        coop::CooperativeExec,
        empty::EmptyExec,
        filter::FilterExec,
        joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec},
        projection::ProjectionExec,
        scalar_subquery::ScalarSubqueryExec,
        sorts::sort::SortExec,
        windows::{BoundedWindowAggExec, WindowAggExec},
    },
};

use super::rows::{RowsExec, one_row};

/// Whether a plan, of which nothing is executed yet, gives no row. `false` means that it may give some.
pub(crate) fn gives_nothing(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let children = plan.children();
    let of = |side: usize| children.get(side).is_some_and(|child| gives_nothing(child));
    if let Some(rows) = plan.downcast_ref::<RowsExec>() {
        return rows.is_empty();
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        return of(0) || split_conjunction(filter.predicate()).into_iter().any(never_holds);
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        return joins_nothing(*join.join_type(), of);
    }
    if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        return joins_nothing(*join.join_type(), of);
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        // Without groups, no rows are one row of totals.
        let groups = aggregate.group_expr();
        return !groups.is_empty() && !groups.has_grouping_set() && of(0);
    }
    let passes = plan.is::<ProjectionExec>()
        || plan.is::<SortExec>()
        || plan.is::<WindowAggExec>()
        || plan.is::<BoundedWindowAggExec>()
        || plan.is::<CoalescePartitionsExec>()
        || plan.is::<CooperativeExec>()
        // Its other children are single values.
        || plan.is::<ScalarSubqueryExec>();
    plan.is::<EmptyExec>() || (passes && of(0)) || (plan.is::<CrossJoinExec>() && (of(0) || of(1)))
}

fn joins_nothing(join: JoinType, of: impl Fn(usize) -> bool) -> bool {
    match join {
        JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi => of(0) || of(1),
        JoinType::Left | JoinType::LeftAnti | JoinType::LeftMark => of(0),
        JoinType::Right | JoinType::RightAnti | JoinType::RightMark => of(1),
        JoinType::Full => of(0) && of(1),
    }
}

/// Whether a condition is the same for all rows, and does not hold. What a subquery gives is not there yet, which is an error.
fn never_holds(condition: &Arc<dyn PhysicalExpr>) -> bool {
    if !collect_columns(condition).is_empty() {
        return false;
    }
    match condition.evaluate(&one_row()) {
        Ok(ColumnarValue::Scalar(ScalarValue::Boolean(holds))) => holds != Some(true),
        _ => false,
    }
}
