//! What `+`, `-`, `*`, `/`, `avg` and `median` mean in expressions and queries: exact, or an error. `DataFusion` asks here when it
//! plans an operator, so nothing is looked at again while events flow.

use arrow::datatypes::DataType;
use datafusion::{
    common::{DFSchema, Result},
    functions_aggregate::{count::count_udaf, sum::sum_udaf},
    logical_expr::{
        AggregateUDF, Expr, ExprSchemable, WindowFunctionDefinition,
        expr::{AggregateFunction, WindowFunction, WindowFunctionParams},
        planner::{ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawWindowExpr},
    },
    sql::sqlparser::ast::BinaryOperator,
};

use crate::sql::functions::{exact::Operation, widened::widened};

#[derive(Debug)]
pub(crate) struct ExactArithmetic;

impl ExprPlanner for ExactArithmetic {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let operation = match expr.op {
            BinaryOperator::Plus => Operation::Add,
            BinaryOperator::Minus => Operation::Subtract,
            BinaryOperator::Multiply => Operation::Multiply,
            BinaryOperator::Divide => Operation::Divide,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let types = (expr.left.get_type(schema), expr.right.get_type(schema));
        Ok(match types {
            (Ok(left), Ok(right)) if operation.takes(&left, &right) => {
                PlannerResult::Planned(operation.of(expr.left, expr.right))
            }
            _ => PlannerResult::Original(expr),
        })
    }

    /// A mean is the sum divided by the count; a median has one more digit than what it is of.
    fn plan_aggregate(&self, mut expr: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        if is_median(&expr.func) {
            expr.args = expr.args.into_iter().map(widened).collect();
        }
        if !is_mean(&expr.func) || expr.args.len() != 1 {
            return Ok(PlannerResult::Original(expr));
        }
        let of = |function| {
            let RawAggregateExpr { args, distinct, filter, order_by, null_treatment, .. } = expr.clone();
            Expr::AggregateFunction(AggregateFunction::new_udf(
                function,
                args,
                distinct,
                filter,
                order_by,
                null_treatment,
            ))
        };
        Ok(PlannerResult::Planned(Operation::Divide.of(of(sum_udaf()), of(count_udaf()))))
    }

    fn plan_window(&self, mut expr: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        if let WindowFunctionDefinition::AggregateUDF(function) = &expr.func_def
            && is_median(function)
        {
            expr.args = expr.args.into_iter().map(widened).collect();
        }
        match &expr.func_def {
            WindowFunctionDefinition::AggregateUDF(function) if is_mean(function) && expr.args.len() == 1 => {
            }
            _ => return Ok(PlannerResult::Original(expr)),
        }
        let of = |function| {
            let RawWindowExpr { args, partition_by, order_by, window_frame, filter, .. } = expr.clone();
            let (null_treatment, distinct) = (expr.null_treatment, expr.distinct);
            let params = WindowFunctionParams {
                args,
                partition_by,
                order_by,
                window_frame,
                filter,
                null_treatment,
                distinct,
            };
            let fun = WindowFunctionDefinition::AggregateUDF(function);
            Expr::WindowFunction(Box::new(WindowFunction { fun, params }))
        };
        Ok(PlannerResult::Planned(Operation::Divide.of(of(sum_udaf()), of(count_udaf()))))
    }
}

fn is_mean(function: &AggregateUDF) -> bool {
    function.name() == "avg"
}

fn is_median(function: &AggregateUDF) -> bool {
    function.name() == "median"
}

/// Whether an expression is arithmetic on exact numbers that was not planned here, and is therefore not exact.
#[must_use]
pub(crate) fn is_inexact(expr: &Expr, schema: &DFSchema) -> bool {
    use datafusion::logical_expr::Operator::{Divide, Minus, Multiply, Plus};
    let Expr::BinaryExpr(binary) = expr else { return false };
    let operation = match binary.op {
        Plus => Operation::Add,
        Minus => Operation::Subtract,
        Multiply => Operation::Multiply,
        Divide => Operation::Divide,
        _ => return false,
    };
    let of = |expr: &Expr| expr.get_type(schema).unwrap_or(DataType::Null);
    operation.takes(&of(&binary.left), &of(&binary.right))
}
