//! `benford_mad`: how far the first digits of amounts are from Benford's law.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray},
    datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type},
};
use datafusion::{
    common::{Result, ScalarValue, exec_err, not_impl_err, plan_err},
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
        utils::{AggregateOrderSensitivity, format_state_name},
    },
};

use super::amounts::{exact_type, leading_digit};

/// log₁₀(1 + 1/d) for d = 1 to 9, written out because the last bit of a logarithm differs between machines.
const BENFORD: [f64; 9] = [
    std::f64::consts::LOG10_2,
    0.176_091_259_055_681_24,
    0.124_938_736_608_299_95,
    0.096_910_013_008_056_4,
    0.079_181_246_047_624_82,
    0.066_946_789_630_613_22,
    0.057_991_946_977_686_73,
    0.051_152_522_447_381_29,
    0.045_757_490_560_675_14,
];

/// `benford_mad(amount) -> Float64`: the mean, over the digits 1 to 9, of the absolute difference between the share
/// of amounts that begin with the digit and Benford's log₁₀(1 + 1/d).
///
/// By M. Nigrini, "Benford's Law" (2012): up to 0.006 close, to 0.012 acceptable, to 0.015 marginal conformity, and
/// none above; of some use from 500 amounts on. NULL and zero are left out, the sign does not count, and without
/// any amount it is NULL. A float, as it is a statistic and no money; the same on every machine.
pub(crate) fn function() -> AggregateUDF {
    AggregateUDF::from(BenfordMad { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct BenfordMad {
    signature: Signature,
}

impl AggregateUDFImpl for BenfordMad {
    fn name(&self) -> &'static str {
        "benford_mad"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [amount] => Ok(vec![exact_type(self.name(), amount)?]),
            _ => plan_err!("'{}' takes one amount", self.name()),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |digit| Field::new(format_state_name(args.name, digit), DataType::Int64, false);
        let digits = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
        Ok(digits.into_iter().map(|digit| Arc::new(field(digit))).collect())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return not_impl_err!("'{}' has no DISTINCT", self.name());
        }
        Ok(Box::new(Digits::default()))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// How many amounts begin with each digit.
#[derive(Debug, Default)]
struct Digits([i64; 9]);

impl Digits {
    fn add(&mut self, values: &[ArrayRef], sign: i64) {
        for value in values[0].as_primitive::<Decimal128Type>().iter().flatten() {
            if let Some(digit) = leading_digit(value).and_then(|digit| usize::try_from(digit - 1).ok()) {
                self.0[digit] += sign;
            }
        }
    }

    #[allow(clippy::cast_precision_loss)] // Counts stay below 2⁵³.
    fn deviation(&self) -> Option<f64> {
        let n: i64 = self.0.iter().sum();
        let parts = self.0.iter().zip(BENFORD).map(|(count, law)| (*count as f64 / n as f64 - law).abs());
        (n > 0).then(|| parts.sum::<f64>() / 9.0)
    }
}

impl Accumulator for Digits {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(values, 1);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(values, -1);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        if states.len() != self.0.len() {
            return exec_err!("the state of benford_mad has {} columns, not 9", states.len());
        }
        for (count, state) in self.0.iter_mut().zip(states) {
            *count += state.as_primitive::<Int64Type>().iter().flatten().sum::<i64>();
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(self.0.map(|count| ScalarValue::Int64(Some(count))).to_vec())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.deviation()))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_law() {
        for (d, law) in (1i32..).zip(BENFORD) {
            assert!((law - (1.0 + 1.0 / f64::from(d)).log10()).abs() < 1e-16, "{d}");
        }
    }
}
