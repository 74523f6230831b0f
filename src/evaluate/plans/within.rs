//! Bounds of `occurred_at` that a plan knows when it is executed, and not when it is made.

use std::sync::Arc;

use datafusion::{
    catalog::Session,
    common::{DFSchema, Result, ScalarValue},
    logical_expr::{BinaryExpr, ColumnarValue, Expr, Operator, TableProviderFilterPushDown},
    physical_expr::PhysicalExpr,
};

use super::rows::one_row;
use crate::event::{Column, schema::FIELDS};

/// The bounds, as what is compared with the time.
#[derive(Debug, Clone)]
pub(crate) struct TimeFilter(Vec<(Operator, Arc<dyn PhysicalExpr>)>);

impl TimeFilter {
    /// What filters say of `occurred_at`.
    ///
    /// # Errors
    /// If what it is compared with cannot be planned.
    pub(crate) fn of(filters: &[Expr], state: &dyn Session) -> Result<Self> {
        let none = DFSchema::empty();
        let planned = filters
            .iter()
            .filter_map(bound)
            .map(|(operator, at)| Ok((operator, state.create_physical_expr(at.clone(), &none)?)));
        Ok(Self(planned.collect::<Result<_>>()?))
    }

    /// Which filters it has something of; they are applied to the rows all the same.
    pub(crate) fn support(filters: &[&Expr]) -> Vec<TableProviderFilterPushDown> {
        let of = |filter: &&Expr| match bound(filter) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        filters.iter().map(of).collect()
    }

    /// The bounds as they are now, in microseconds; one that cannot be told is none.
    pub(crate) fn now(&self) -> Vec<(Operator, i64)> {
        let row = one_row();
        let at = |(operator, at): &(Operator, Arc<dyn PhysicalExpr>)| match at.evaluate(&row) {
            Ok(ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(Some(at), _))) => {
                Some((*operator, at))
            }
            _ => None,
        };
        self.0.iter().filter_map(at).collect()
    }
}

/// What a filter says of `occurred_at`, if it compares that with something that is the same for all rows.
fn bound(filter: &Expr) -> Option<(Operator, &Expr)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return None };
    let is_time =
        |expr: &Expr| matches!(expr, Expr::Column(c) if c.name == FIELDS[Column::OccurredAt.index()].name);
    let is_fixed = |expr: &Expr| !expr.any_column_refs() && !expr.contains_outer();
    let (operator, at) = match (left.as_ref(), right.as_ref()) {
        (time, at) if is_time(time) && is_fixed(at) => (*op, at),
        (at, time) if is_time(time) && is_fixed(at) => (op.swap()?, at),
        _ => return None,
    };
    let bounds =
        matches!(operator, Operator::Gt | Operator::GtEq | Operator::Lt | Operator::LtEq | Operator::Eq);
    bounds.then_some((operator, at))
}
