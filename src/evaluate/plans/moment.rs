//! `now` as something that changes without planning. The optimizer must not fold `now`, and must still push down
//! comparisons with it, which it does not do for functions that it takes for random. So it sees a variable there; what is
//! executed is a function that reads the tick's time.

use std::{
    cell::RefCell,
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::{
    common::{
        DFSchema, Result, ScalarValue,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    execution::SessionState,
    logical_expr::{
        ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
        ScalarUDFImpl, Signature, Volatility, expr::ScalarFunction, expr_rewriter::NamePreserver,
    },
};

use super::fixed::Fixed;
use crate::{
    event::{Instant, schema::time_type},
    rule::query::MOMENT,
};

#[derive(Debug, Clone)]
pub(crate) struct TickTime {
    at: Arc<AtomicI64>,
    zone: Arc<str>,
    signature: Signature,
}

impl TickTime {
    /// A moment in local time.
    pub(crate) fn new(zone: &str) -> Self {
        let signature = Signature::nullary(Volatility::Volatile);
        Self { at: Arc::default(), zone: Arc::from(zone), signature }
    }

    pub(crate) fn set(&self, at: Instant) {
        self.at.store(at.as_micros(), Ordering::SeqCst);
    }

    pub(crate) fn get(&self) -> Instant {
        Instant::from_micros(self.at.load(Ordering::SeqCst))
    }

    /// What stands for `now` in queries.
    pub(crate) fn function(&self) -> ScalarUDF {
        ScalarUDF::from(self.clone())
    }

    fn field(&self) -> FieldRef {
        Arc::new(Field::new(MOMENT, time_type(&self.zone), false))
    }

    /// The plan with a variable in the place of the function.
    pub(crate) fn hidden(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        replaced(plan, &|expr| match expr {
            Expr::ScalarFunction(call) if call.func.name() == MOMENT => {
                Transformed::yes(Expr::ScalarVariable(self.field(), vec![format!("@{MOMENT}")]))
            }
            other => Transformed::no(other),
        })
    }

    /// The plan with functions in the place of the variables, and of what is computed of them alone.
    pub(crate) fn shown(
        &self,
        plan: LogicalPlan,
        alone: &[Expr],
        state: &SessionState,
    ) -> Result<LogicalPlan> {
        let function = Arc::new(self.function());
        replaced(plan, &|expr| {
            if !Fixed::can_be(&expr) {
                return Transformed::no(expr);
            }
            let of = written_out(expr, alone);
            if let Expr::ScalarVariable(..) = of {
                return Transformed::yes(call(&function));
            }
            let inner = with_function(of.clone(), &function);
            let fixed = Fixed::function(of, inner.clone(), self, state);
            let fixed = fixed.map_or(inner, |fixed| call(&Arc::new(fixed)));
            Transformed::new(fixed, true, TreeNodeRecursion::Jump)
        })
    }
}

/// The plan with variables in the place of what is computed of the first one alone, and what they stand for: the
/// optimizer would take a part that comes twice out of them, and make a column of it.
pub(crate) fn alone(plan: LogicalPlan) -> Result<(LogicalPlan, Vec<Expr>)> {
    let none = DFSchema::empty();
    let found = RefCell::new(Vec::new());
    let plan = replaced(plan, &|expr| {
        if matches!(expr, Expr::ScalarVariable(..)) || !Fixed::can_be(&expr) {
            return Transformed::no(expr);
        }
        let Ok((_, field)) = expr.to_field(&none) else { return Transformed::no(expr) };
        let mut found = found.borrow_mut();
        let at = found.iter().position(|other| *other == expr).unwrap_or(found.len());
        if at == found.len() {
            found.push(expr);
        }
        let names = vec![format!("@{MOMENT}"), at.to_string()];
        Transformed::new(Expr::ScalarVariable(field, names), true, TreeNodeRecursion::Jump)
    })?;
    Ok((plan, found.into_inner()))
}

/// An expression with what its variables stand for, of `now` alone.
fn written_out(expr: Expr, alone: &[Expr]) -> Expr {
    let meant = |names: &[String]| alone.get(names.get(1)?.parse::<usize>().ok()?).cloned();
    changed(expr, &|expr| match &expr {
        Expr::ScalarVariable(_, names) => {
            meant(names).map_or_else(|| Transformed::no(expr), Transformed::yes)
        }
        _ => Transformed::no(expr),
    })
}

/// An expression with the function in the place of `now`.
fn with_function(expr: Expr, function: &Arc<ScalarUDF>) -> Expr {
    changed(expr, &|expr| match expr {
        Expr::ScalarVariable(..) => Transformed::yes(call(function)),
        other => Transformed::no(other),
    })
}

fn changed(expr: Expr, change: &dyn Fn(Expr) -> Transformed<Expr>) -> Expr {
    let kept = expr.clone();
    expr.transform_up(|expr| Ok(change(expr))).map_or(kept, |changed| changed.data)
}

fn call(function: &Arc<ScalarUDF>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), Vec::new()))
}

/// The plan with other expressions in it, the outer ones first, under the names of those that were there.
fn replaced(plan: LogicalPlan, replace: &dyn Fn(Expr) -> Transformed<Expr>) -> Result<LogicalPlan> {
    let replaced = plan.transform_up_with_subqueries(|plan| {
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let replaced = expr.transform_down(|expr| Ok(replace(expr)))?;
            Ok(replaced.update_data(|expr| name.restore(expr)))
        })?
        .map_data(LogicalPlan::recompute_schema)
    });
    replaced.map(|replaced| replaced.data)
}

impl PartialEq for TickTime {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.at, &other.at)
    }
}

impl Eq for TickTime {}

impl Hash for TickTime {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.at).hash(state);
    }
}

impl ScalarUDFImpl for TickTime {
    fn name(&self) -> &str {
        MOMENT
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(time_type(&self.zone))
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(self.field())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(
            Some(self.get().as_micros()),
            Some(Arc::clone(&self.zone)),
        )))
    }
}
