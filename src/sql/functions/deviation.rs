//! `median_deviation`: the spread of values that outliers do not widen (rule 33).

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use arrow::{
    array::{ArrayRef, AsArray, Float64Array, ListArray},
    buffer::OffsetBuffer,
    datatypes::{DataType, Field, FieldRef, Float64Type},
};
use datafusion::{
    common::{Result, ScalarValue, exec_err, not_impl_err, plan_err},
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
        utils::{AggregateOrderSensitivity, format_state_name},
    },
};

/// The most values of one group (8 MB in a state); more are an error.
pub(crate) const VALUES_MAX: usize = 1_000_000;

/// `median_deviation(Float64) -> Float64`: the median of the absolute differences from the median. With it,
/// 0.6745 · (x − median) / deviation is the robust z-score of B. Iglewicz and D. Hoaglin, "How to Detect and Handle
/// Outliers" (1993), who take 3.5 for an outlier.
///
/// NULL and what is not finite are left out; without any value it is NULL. Amounts are read as floats: the result
/// is a statistic and no money. It fails beyond [`VALUES_MAX`] values.
pub(crate) fn function() -> AggregateUDF {
    AggregateUDF::from(MedianDeviation { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MedianDeviation {
    signature: Signature,
}

impl AggregateUDFImpl for MedianDeviation {
    fn name(&self) -> &'static str {
        "median_deviation"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [value] if value.is_numeric() || value.is_null() => Ok(vec![DataType::Float64]),
            _ => plan_err!("'{}' takes one number", self.name()),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let element = Field::new_list_field(DataType::Float64, true);
        Ok(vec![Arc::new(Field::new_list(format_state_name(args.name, "values"), element, false))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return not_impl_err!("'{}' has no DISTINCT", self.name());
        }
        Ok(Box::new(Values::default()))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// A float with the order of all floats; zero has no sign.
#[derive(Debug, Clone, Copy)]
struct Value(f64);

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

/// Each value with how often it came, so that it can go again exactly.
#[derive(Debug, Default)]
struct Values {
    counts: BTreeMap<Value, usize>,
    n: usize,
}

impl Values {
    fn all(&self) -> Vec<f64> {
        self.counts.iter().flat_map(|(value, count)| std::iter::repeat_n(value.0, *count)).collect()
    }

    fn deviation(&self) -> Option<f64> {
        let mut values = self.all();
        let center = median(&values)?;
        values.iter_mut().for_each(|value| *value = (*value - center).abs());
        values.sort_unstable_by(f64::total_cmp);
        median(&values)
    }
}

/// The median of values in order.
fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 { upper } else { f64::midpoint(sorted[middle - 1], upper) })
}

fn finite(array: &ArrayRef) -> impl Iterator<Item = Value> {
    let values = array.as_primitive::<Float64Type>().iter().flatten();
    // Adding zero takes the sign off zero.
    values.filter(|value| value.is_finite()).map(|value| Value(value + 0.0))
}

impl Accumulator for Values {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in finite(&values[0]) {
            if self.n == VALUES_MAX {
                return exec_err!("more than {VALUES_MAX} values in one group of median_deviation");
            }
            *self.counts.entry(value).or_default() += 1;
            self.n += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in finite(&values[0]) {
            let Some(count) = self.counts.get_mut(&value) else {
                return exec_err!("median_deviation is to take out {}, which is not in it", value.0);
            };
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&value);
            }
            self.n -= 1;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        states[0].as_list::<i32>().iter().flatten().try_for_each(|values| self.update_batch(&[values]))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let field = Field::new_list_field(DataType::Float64, true);
        let (values, offsets) = (Float64Array::from(self.all()), OffsetBuffer::from_lengths([self.n]));
        let list = ListArray::new(Arc::new(field), offsets, Arc::new(values), None);
        Ok(vec![ScalarValue::List(Arc::new(list))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.deviation()))
    }

    fn size(&self) -> usize {
        // A tree's nodes are half full at least.
        size_of_val(self) + self.counts.len() * 2 * size_of::<(Value, usize)>()
    }
}
