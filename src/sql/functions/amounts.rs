//! The digits of amounts: `leading_digit`, `roundness`.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{AsArray, Int32Array},
    datatypes::{DataType, Decimal128Type, Int32Type},
};
use datafusion::{
    common::{Result, plan_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility},
};

use super::shaped;
use crate::event::schema::{AMOUNT_PRECISION, MONEY_SCALE};

/// Of exact amounts, see [`exact_type`]:
///
/// - `leading_digit(amount) -> Int32`: the first digit that is not zero, 1 to 9; NULL for zero;
/// - `roundness(amount) -> Int32`: the zeros at the end of the whole amount; 0 when it has cents, or is zero.
///
/// The sign does not count.
pub(crate) fn functions() -> [ScalarUDF; 2] {
    let of = |name, digits| {
        ScalarUDF::from(OfAmount { name, digits, signature: Signature::user_defined(Volatility::Immutable) })
    };
    [
        of("leading_digit", |value, _| leading_digit(value)),
        of("roundness", |value, scale| Some(roundness(value, scale))),
    ]
}

/// The decimal type that an amount of this type is read in: `Decimal128` as it is, of any precision and scale,
/// smaller decimals and whole numbers as the `Decimal128` that holds them all.
///
/// # Errors
/// For any other type: floats and texts are not exact amounts.
pub(crate) fn exact_type(function: &str, given: &DataType) -> Result<DataType> {
    Ok(match given {
        DataType::Decimal128(_, _) => given.clone(),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Null => DataType::Decimal128(AMOUNT_PRECISION, MONEY_SCALE),
        whole if whole.is_integer() => DataType::Decimal128(20, 0),
        other => return plan_err!("'{function}' needs an exact decimal or a whole number, not {other}"),
    })
}

/// The first digit that is not zero; `None` for zero. The scale does not matter.
#[must_use]
pub(crate) fn leading_digit(value: i128) -> Option<i32> {
    let value = value.unsigned_abs();
    let power = value.checked_ilog10()?;
    // Nearly all amounts fit 64 bits, where the processor divides tens of times faster.
    match u64::try_from(value) {
        Ok(value) => i32::try_from(value / 10u64.pow(power)).ok(),
        Err(_) => i32::try_from(value / 10u128.pow(power)).ok(),
    }
}

/// The zeros at the end of a decimal's whole part; 0 when something stands behind the point, or the value is zero.
#[must_use]
pub(crate) fn roundness(value: i128, scale: i8) -> i32 {
    if value == 0 {
        return 0;
    }
    let mut value = value;
    // Zeros behind the point come off first; a negative scale has left zeros away.
    let mut zeros = -i32::from(scale);
    while value % 10 == 0 {
        value /= 10;
        zeros += 1;
    }
    zeros.max(0)
}

#[derive(Debug)]
struct OfAmount {
    name: &'static str,
    digits: fn(i128, i8) -> Option<i32>,
    signature: Signature,
}

impl PartialEq for OfAmount {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for OfAmount {}

impl Hash for OfAmount {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for OfAmount {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [amount] => Ok(vec![exact_type(self.name, amount)?]),
            _ => plan_err!("'{}' takes one amount", self.name),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let array = args.args[0].to_array(1)?;
        let amounts = array.as_primitive::<Decimal128Type>();
        let scale = amounts.scale();
        let digits: Int32Array = amounts.unary_opt::<_, Int32Type>(|value| (self.digits)(value, scale));
        Ok(shaped(Arc::new(digits), &args.args[0]))
    }
}
