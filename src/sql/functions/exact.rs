//! Exact arithmetic in the place of what `DataFusion` cuts off or lets wrap around. Planning puts these functions in
//! ([`crate::rule`]), so nobody writes them.
//!
//! - `/` of decimals and whole numbers is a decimal with [`SCALE`] digits after the point, cut off there;
//! - `*` of decimals with many digits after the point keeps [`SCALE`] of them;
//! - `+`, `-`, `*` of whole numbers stay whole.
//!
//! What does not fit, and a division by zero, is an error of its row and never another value.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Decimal128Array},
    compute::{kernels::numeric, try_binary},
    datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, i256},
    error::ArrowError,
};
use datafusion::{
    common::{Result, ScalarValue, plan_err},
    logical_expr::{
        ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
    physical_expr_common::datum,
};

/// Digits after the point that quotients and long products keep.
pub const SCALE: i8 = 18;
/// The type of quotients and long products.
pub const EXACT: DataType = DataType::Decimal128(DECIMAL128_MAX_PRECISION, SCALE);
/// Whole numbers as decimals.
const WHOLE: DataType = DataType::Decimal128(20, 0);
/// A product with more digits after the point than this keeps [`SCALE`] of them: it would have little room before it.
const LONG: i8 = 20;
/// What no decimal reaches.
const LIMIT: i128 = 10i128.pow(DECIMAL128_MAX_PRECISION as u32);

/// What a division by zero says.
pub const BY_ZERO: &str = "division by zero";
/// What a result beyond all decimals says.
pub const TOO_LARGE: &str = "the result has too many digits";

/// What is done with two exact numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
}

impl Operation {
    /// Whether operands of these types are computed here. All others are `DataFusion`'s: sums of decimals and short
    /// products are exact or an error there; floats, times and intervals are no exact numbers.
    #[must_use]
    pub fn takes(self, left: &DataType, right: &DataType) -> bool {
        let (Some(l), Some(r)) = (scale(left), scale(right)) else { return false };
        match self {
            Self::Divide => true,
            Self::Multiply if l + r > LONG => true,
            _ => is_whole(left) && is_whole(right),
        }
    }

    /// The expression `left` operation `right`.
    #[must_use]
    pub fn of(self, left: Expr, right: Expr) -> Expr {
        ScalarUDF::from(Exact { operation: self, signature: Signature::user_defined(Volatility::Immutable) })
            .call(vec![left, right])
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
        }
    }
}

/// Digits after the point of an exact number.
fn scale(data_type: &DataType) -> Option<i8> {
    match data_type {
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) => {
            Some(*scale)
        }
        DataType::Null => Some(0),
        whole if whole.is_integer() => Some(0),
        _ => None,
    }
}

fn is_whole(data_type: &DataType) -> bool {
    data_type.is_integer() || data_type.is_null()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Exact {
    operation: Operation,
    signature: Signature,
}

impl Exact {
    /// The type in which an operand is read.
    fn operand(&self, given: &DataType, whole: bool) -> Result<DataType> {
        Ok(match given {
            _ if whole && self.operation != Operation::Divide => DataType::Int64,
            DataType::Decimal128(..) => given.clone(),
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                DataType::Decimal128(*precision, *scale)
            }
            given if is_whole(given) => WHOLE,
            // The mean of floats comes this way.
            DataType::Float16 | DataType::Float32 | DataType::Float64 => DataType::Float64,
            other => return plan_err!("'{}' needs numbers, not {other}", self.operation.sign()),
        })
    }
}

impl ScalarUDFImpl for Exact {
    fn name(&self) -> &str {
        self.operation.sign()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<_> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(names.join(&format!(" {} ", self.operation.sign())))
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<_> = args.iter().map(ToString::to_string).collect();
        Ok(names.join(&format!(" {} ", self.operation.sign())))
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let whole = given.iter().all(is_whole);
        let operands: Vec<_> = given.iter().map(|given| self.operand(given, whole)).collect::<Result<_>>()?;
        match operands.contains(&DataType::Float64) {
            true => Ok(vec![DataType::Float64; operands.len()]),
            false => Ok(operands),
        }
    }

    fn return_type(&self, operands: &[DataType]) -> Result<DataType> {
        Ok(match (self.operation, operands.first()) {
            (_, Some(DataType::Float64)) => DataType::Float64,
            (Operation::Divide, _) => EXACT,
            (_, Some(DataType::Int64)) => DataType::Int64,
            _ => EXACT,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = &args.args[..] else {
            return plan_err!("'{}' takes two numbers", self.operation.sign());
        };
        match (left.data_type(), right.data_type()) {
            (DataType::Decimal128(_, l), DataType::Decimal128(_, r)) => match self.operation {
                Operation::Divide => by_value(left, right, |a, b| divide(a, b, SCALE + r - l)),
                _ => by_value(left, right, |a, b| multiply(a, b, l + r - SCALE)),
            },
            _ => match self.operation {
                Operation::Add => datum::apply(left, right, numeric::add),
                Operation::Subtract => datum::apply(left, right, numeric::sub),
                Operation::Multiply => datum::apply(left, right, numeric::mul),
                Operation::Divide => datum::apply(left, right, numeric::div),
            },
        }
    }
}

fn by_value(
    left: &ColumnarValue,
    right: &ColumnarValue,
    f: impl Fn(i128, i128) -> Result<i128, ArrowError>,
) -> Result<ColumnarValue> {
    let decimal = |scalar: &ScalarValue| match scalar {
        ScalarValue::Decimal128(value, ..) => *value,
        _ => None,
    };
    let exact = |values: Decimal128Array| -> ArrayRef { Arc::new(values.with_data_type(EXACT)) };
    let nothing = |rows| ColumnarValue::Array(arrow::array::new_null_array(&EXACT, rows));
    Ok(match (left, right) {
        (ColumnarValue::Scalar(left), ColumnarValue::Scalar(right)) => {
            let value = decimal(left).zip(decimal(right)).map(|(a, b)| f(a, b)).transpose()?;
            ColumnarValue::Scalar(ScalarValue::Decimal128(value, DECIMAL128_MAX_PRECISION, SCALE))
        }
        (ColumnarValue::Array(left), ColumnarValue::Scalar(right)) => match decimal(right) {
            Some(b) => ColumnarValue::Array(exact(
                left.as_primitive::<Decimal128Type>().try_unary::<_, Decimal128Type, _>(|a| f(a, b))?,
            )),
            None => nothing(left.len()),
        },
        (ColumnarValue::Scalar(left), ColumnarValue::Array(right)) => match decimal(left) {
            Some(a) => ColumnarValue::Array(exact(
                right.as_primitive::<Decimal128Type>().try_unary::<_, Decimal128Type, _>(|b| f(a, b))?,
            )),
            None => nothing(right.len()),
        },
        (ColumnarValue::Array(left), ColumnarValue::Array(right)) => {
            let (left, right) =
                (left.as_primitive::<Decimal128Type>(), right.as_primitive::<Decimal128Type>());
            ColumnarValue::Array(exact(try_binary::<_, _, _, Decimal128Type>(left, right, f)?))
        }
    })
}

/// `a` · 10^`shift` / `b`, cut off.
fn divide(a: i128, b: i128, shift: i8) -> Result<i128, ArrowError> {
    if b == 0 {
        return Err(ArrowError::ComputeError(BY_ZERO.to_owned()));
    }
    let power = 10i128.checked_pow(u32::from(shift.unsigned_abs()));
    let short = match (power, shift >= 0) {
        (Some(power), true) => a.checked_mul(power).and_then(|a| a.checked_div(b)),
        (Some(power), false) => b.checked_mul(power).and_then(|b| a.checked_div(b)),
        (None, _) => None,
    };
    short.or_else(|| divide_long(a, b, shift)).and_then(fits).ok_or_else(too_large)
}

/// The same with twice the digits: amounts beyond 10¹⁸ get here.
fn divide_long(a: i128, b: i128, shift: i8) -> Option<i128> {
    let power = power(shift)?;
    let (a, b) = (i256::from_i128(a), i256::from_i128(b));
    let (a, b) = if shift >= 0 { (a.checked_mul(power)?, b) } else { (a, b.checked_mul(power)?) };
    a.checked_div(b)?.to_i128()
}

/// `a` · `b` / 10^`surplus`, cut off.
fn multiply(a: i128, b: i128, surplus: i8) -> Result<i128, ArrowError> {
    let product = i256::from_i128(a).checked_mul(i256::from_i128(b));
    let short = product.zip(power(surplus)).and_then(|(product, power)| product.checked_div(power));
    short.and_then(i256::to_i128).and_then(fits).ok_or_else(too_large)
}

fn power(digits: i8) -> Option<i256> {
    i256::from_i128(10).checked_pow(u32::from(digits.unsigned_abs()))
}

fn fits(value: i128) -> Option<i128> {
    (value.unsigned_abs() < LIMIT.unsigned_abs()).then_some(value)
}

fn too_large() -> ArrowError {
    ArrowError::ComputeError(TOO_LARGE.to_owned())
}
