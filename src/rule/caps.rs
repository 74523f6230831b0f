//! Caps on what expressions make, put in when they are planned: wherever a function stands, the one with its caps does
//! ([`crate::sql::functions::capped`]), and what has no bound is refused.

use arrow::datatypes::DataType;
use datafusion::{
    common::{
        Result, ScalarValue,
        config::ConfigOptions,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{
        BinaryExpr, Cast, Expr, LogicalPlan, Operator, TryCast, WindowFunctionDefinition,
        expr::ScalarFunction, expr_rewriter::NamePreserver,
    },
    optimizer::AnalyzerRule,
};

use crate::{
    diagnostic::{ExpressionProblem, Failure},
    say,
    sql::functions::{
        capped::{self, Capped},
        growth::{Keeps, of_aggregate},
    },
};

/// Bytes of the constants of a rule that are longer than [`SHORT`], after they are computed: each can stand in every row
/// of a batch.
const CONSTANT_BYTES: usize = 32 << 10;
/// A constant of so many bytes is not counted.
const SHORT: usize = 256;

/// Puts the caps into plans.
#[derive(Debug)]
pub(crate) struct Caps;

impl AnalyzerRule for Caps {
    fn name(&self) -> &'static str {
        "caps"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let capped = plan.transform_up_with_subqueries(|plan| {
            let names = NamePreserver::new(&plan);
            let capped = plan.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(cap(expr)?.update_data(|expr| name.restore(expr)))
            })?;
            if capped.transformed { capped.map_data(LogicalPlan::recompute_schema) } else { Ok(capped) }
        });
        capped.map(|capped| capped.data)
    }
}

/// An expression with caps.
///
/// # Errors
/// An [`ExpressionProblem`] of what has no bound.
pub(crate) fn cap(expr: Expr) -> Result<Transformed<Expr>> {
    expr.transform_up(|node| match node {
        Expr::ScalarFunction(ScalarFunction { func, args }) => {
            if matches!(func.name(), "arrow_cast" | "arrow_try_cast") {
                named(args.get(1))?;
            }
            let capped = Capped::of(&func).ok_or_else(|| unknown(func.name()))?;
            let changed = capped != *func;
            Ok(Transformed::new_transformed(capped.call(args), changed))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            Ok(Transformed::yes(capped::joined(*left, *right)))
        }
        Expr::BinaryExpr(BinaryExpr { op, ref right, .. }) if capped::matches_pattern(op) => {
            pattern(right, op)?;
            Ok(Transformed::no(node))
        }
        Expr::Cast(Cast { ref field, .. }) | Expr::TryCast(TryCast { ref field, .. }) => {
            wide(field.data_type())?;
            Ok(Transformed::no(node))
        }
        Expr::AggregateFunction(ref call) => {
            of_aggregate(call.func.name()).ok_or_else(|| unknown(call.func.name()))?;
            Ok(Transformed::no(node))
        }
        Expr::WindowFunction(ref call) => {
            if let WindowFunctionDefinition::AggregateUDF(function) = &call.fun {
                let name = function.name();
                let keeps = of_aggregate(name).ok_or_else(|| unknown(name))?;
                let grows = keeps != Keeps::Numbers || call.params.distinct;
                if grows && !call.params.order_by.is_empty() {
                    return Err(running(name).into());
                }
            }
            Ok(Transformed::no(node))
        }
        other => Ok(Transformed::no(other)),
    })
}

/// A pattern behind `~`: it must be a constant, whose machine can be measured.
fn pattern(expr: &Expr, op: Operator) -> Result<(), ExpressionProblem> {
    let name = op.to_string();
    match expr {
        Expr::Literal(value, _) => match value.try_as_str() {
            Some(Some(text)) => capped::pattern(text, &name),
            _ => Ok(()),
        },
        Expr::Cast(Cast { expr, .. }) => pattern(expr, op),
        _ => Err(ExpressionProblem {
            message: say!("the pattern behind '{name}' is no constant", name),
            hint: say!("use regexp_like(text, pattern)"),
            word: name,
        }),
    }
}

/// A type that is named in a text, before it becomes one of a cast.
fn named(data_type: Option<&Expr>) -> Result<(), ExpressionProblem> {
    match data_type {
        Some(Expr::Literal(value, _))
            if value.try_as_str().flatten().is_some_and(|t| t.contains("Fixed")) =>
        {
            Err(of_a_fixed_length())
        }
        _ => Ok(()),
    }
}

fn of_a_fixed_length() -> ExpressionProblem {
    ExpressionProblem {
        message: say!("a value of a fixed length cannot be cast to"),
        hint: say!("cast to a text or a list without a length"),
        word: String::from("cast"),
    }
}

/// Types whose every value has as many bytes as somebody wrote.
fn wide(data_type: &DataType) -> Result<(), ExpressionProblem> {
    match data_type {
        DataType::FixedSizeBinary(_) | DataType::FixedSizeList(..) => Err(of_a_fixed_length()),
        DataType::List(item) | DataType::LargeList(item) => wide(item.data_type()),
        _ => Ok(()),
    }
}

fn unknown(name: &str) -> ExpressionProblem {
    ExpressionProblem {
        message: say!("the function '{name}' is not available in rules", name),
        hint: say!("see the functions in docs/rules.md and what they take"),
        word: name.to_owned(),
    }
}

fn running(name: &str) -> ExpressionProblem {
    ExpressionProblem {
        message: say!("'{name}' over the rows up to each row keeps all of them for every row", name),
        hint: say!("leave ORDER BY out of OVER, or group by and join"),
        word: name.to_owned(),
    }
}

/// Whether the constants of an expression are short enough to stand in every row.
///
/// # Errors
/// If they are not.
pub(crate) fn constants(expr: &Expr) -> Result<(), Failure> {
    limited(long_constants(expr))
}

/// The same of a plan whose constants are computed.
///
/// # Errors
/// If they are not.
pub(crate) fn constants_of(plan: &LogicalPlan) -> Result<(), Failure> {
    let mut bytes = 0;
    let _ = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            bytes += long_constants(expr);
            Ok(TreeNodeRecursion::Continue)
        })
    });
    limited(bytes)
}

fn long_constants(expr: &Expr) -> usize {
    let mut bytes = 0;
    let _ = expr.apply(|node| {
        if let Expr::Literal(value, _) = node {
            bytes += Some(size(value)).filter(|size| *size > SHORT).unwrap_or(0);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    bytes
}

fn size(value: &ScalarValue) -> usize {
    match value.try_as_str() {
        Some(text) => text.map_or(0, str::len),
        None => value.size(),
    }
}

fn limited(bytes: usize) -> Result<(), Failure> {
    if bytes <= CONSTANT_BYTES {
        return Ok(());
    }
    let message = say!("its constants have {bytes} bytes, {most} are allowed", bytes, most = CONSTANT_BYTES);
    Err((message, Some(say!("put long texts and lists into a reference list"))))
}
