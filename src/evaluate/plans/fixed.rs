//! What a plan computes of `now` alone has one value at a tick: it is computed once, not for every batch of rows, and stays
//! one value where a function would make a column of it.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::{
    common::{DFSchema, Result, ScalarValue, tree_node::TreeNode},
    execution::SessionState,
    logical_expr::{
        ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
        Signature, Volatility,
    },
    physical_expr::PhysicalExpr,
};
use parking_lot::Mutex;

use super::{moment::TickTime, rows::one_row};
use crate::event::Instant;

/// An expression of `now` alone, in a plan as a function without arguments.
#[derive(Debug)]
pub(crate) struct Fixed {
    /// What it computes, which tells it from others.
    of: Expr,
    field: FieldRef,
    now: TickTime,
    steps: Arc<dyn PhysicalExpr>,
    /// The tick that was the last, and the value at it.
    value: Mutex<Option<(Instant, ScalarValue)>>,
    signature: Signature,
}

impl Fixed {
    /// For an expression that can be one; `now` stands in it as `shown` has it.
    pub(crate) fn function(of: Expr, shown: Expr, now: &TickTime, state: &SessionState) -> Result<ScalarUDF> {
        let none = DFSchema::empty();
        let (_, field) = of.to_field(&none)?;
        let steps = state.create_physical_expr(shown, &none)?;
        let signature = Signature::nullary(Volatility::Volatile);
        Ok(ScalarUDF::from(Self { of, field, now: now.clone(), steps, value: Mutex::default(), signature }))
    }

    /// Whether an expression has one value at a tick, and is no constant.
    pub(crate) fn can_be(expr: &Expr) -> bool {
        let mut is_of_now = false;
        let other = expr.exists(|part| {
            is_of_now |= matches!(part, Expr::ScalarVariable(..));
            Ok(!is_plain(part))
        });
        is_of_now && !other.unwrap_or(true)
    }
}

/// Whether an expression has no row, no query and no chance in it by itself.
fn is_plain(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(call) => call.func.signature().volatility != Volatility::Volatile,
        Expr::Literal(..)
        | Expr::ScalarVariable(..)
        | Expr::BinaryExpr(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::Negative(_)
        | Expr::Not(_)
        | Expr::Between(_)
        | Expr::Case(_) => true,
        _ => false,
    }
}

impl PartialEq for Fixed {
    fn eq(&self, other: &Self) -> bool {
        self.of == other.of && self.now == other.now
    }
}

impl Eq for Fixed {}

impl Hash for Fixed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.of.hash(state);
        self.now.hash(state);
    }
}

impl ScalarUDFImpl for Fixed {
    fn name(&self) -> &'static str {
        "at_the_tick"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let now = self.now.get();
        let mut value = self.value.lock();
        if let Some((_, value)) = value.as_ref().filter(|(at, _)| *at == now) {
            return Ok(ColumnarValue::Scalar(value.clone()));
        }
        let computed = match self.steps.evaluate(&one_row())? {
            ColumnarValue::Scalar(value) => value,
            ColumnarValue::Array(values) => ScalarValue::try_from_array(&values, 0)?,
        };
        *value = Some((now, computed.clone()));
        Ok(ColumnarValue::Scalar(computed))
    }
}
