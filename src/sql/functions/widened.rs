//! Room for one more digit after the point: the median of two amounts lies between two cents, and `DataFusion` gives it in
//! the type of its argument. Planning puts this around what a median is taken of ([`crate::rule`]), so nobody writes it.

use arrow::{
    compute::{CastOptions, cast_with_options},
    datatypes::{DECIMAL128_MAX_PRECISION, DataType},
    error::ArrowError,
};
use datafusion::{
    common::{Result, ScalarValue, plan_err},
    logical_expr::{
        ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
};

use super::exact::TOO_LARGE;

/// Decimals and whole numbers as decimals with one more digit after the point; anything else as it is. A number that has no
/// room for the digit is an error of its row.
#[must_use]
pub(crate) fn widened(expr: Expr) -> Expr {
    ScalarUDF::from(Widened { signature: Signature::any(1, Volatility::Immutable) }).call(vec![expr])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Widened {
    signature: Signature,
}

fn of(given: &DataType) -> DataType {
    match given {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale) => {
            DataType::Decimal128((precision + 1).min(DECIMAL128_MAX_PRECISION), scale + 1)
        }
        whole if whole.is_integer() => DataType::Decimal128(21, 1),
        other => other.clone(),
    }
}

impl ScalarUDFImpl for Widened {
    fn name(&self) -> &'static str {
        "widened"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(|arg| arg.schema_name().to_string()).collect())
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(ToString::to_string).collect())
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given {
            [given] => Ok(of(given)),
            _ => plan_err!("'{}' takes one value", self.name()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let exact = CastOptions { safe: false, ..CastOptions::default() };
        let [value] = &args.args[..] else { return plan_err!("'{}' takes one value", self.name()) };
        let to = of(&value.data_type());
        let wider = |array| {
            cast_with_options(&array, &to, &exact).map_err(|_| ArrowError::ComputeError(TOO_LARGE.to_owned()))
        };
        Ok(match value {
            ColumnarValue::Array(array) => ColumnarValue::Array(wider(array.clone())?),
            ColumnarValue::Scalar(scalar) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&wider(scalar.to_array()?)?, 0)?)
            }
        })
    }
}
