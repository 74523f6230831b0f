//! `top_share` and `top_value`: how much of a sum goes to one of several (rule 38: one payee of a unit), and to which.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray, Decimal128Array, ListArray, StringArray},
    buffer::OffsetBuffer,
    datatypes::{DataType, Decimal128Type, Field, FieldRef},
};
use datafusion::{
    common::{Result, ScalarValue, exec_err, not_impl_err, plan_err},
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
        utils::{AggregateOrderSensitivity, format_state_name},
    },
};
use hashbrown::HashMap;

use super::amounts::exact_type;
use crate::{event::Ratio, ledger::columns::RATIO_TYPE};

/// The most different values of one group; more are an error, as an estimate would depend on the order of the rows.
pub(crate) const VALUES_MAX: usize = 65_536;
/// The most bytes of text that they may have together.
pub(crate) const BYTES_MAX: usize = 16 << 20;
/// One more than the largest sum: what 38 digits hold.
const SUM_LIMIT: u128 = 10u128.pow(38);

/// Sums of an exact weight by a text:
///
/// - `top_share(Utf8View, amount) -> Decimal128(38, 18)`: the largest group's share of the whole sum, cut off after 18
///   digits; above 1 where other groups' sums are negative;
/// - `top_value(Utf8View, amount) -> Utf8View`: that group; the smallest text of several that are equally large.
///
/// NULL where the whole sum (for `top_value`, the group's) is not above zero. Rows without text or weight are left out.
/// They fail beyond [`VALUES_MAX`] different values, [`BYTES_MAX`] bytes of them, or 38 digits of a sum.
pub(crate) fn functions() -> [AggregateUDF; 2] {
    [Top::Share, Top::Value].map(|top| {
        AggregateUDF::from(Concentration { top, signature: Signature::user_defined(Volatility::Immutable) })
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Top {
    Share,
    Value,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Concentration {
    top: Top,
    signature: Signature,
}

impl AggregateUDFImpl for Concentration {
    fn name(&self) -> &'static str {
        match self.top {
            Top::Share => "top_share",
            Top::Value => "top_value",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [value, weight] if value.is_string() || value.is_integer() || value.is_null() => {
                Ok(vec![DataType::Utf8View, exact_type(self.name(), weight)?])
            }
            _ => plan_err!("'{}' takes a text or code and an amount", self.name()),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.top {
            Top::Share => RATIO_TYPE,
            Top::Value => DataType::Utf8View,
        })
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = |name, element| {
            Arc::new(Field::new_list(
                format_state_name(args.name, name),
                Field::new_list_field(element, true),
                false,
            ))
        };
        Ok(vec![list("values", DataType::Utf8), list("sums", SUM_TYPE)])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return not_impl_err!("'{}' has no DISTINCT", self.name());
        }
        Ok(Box::new(Sums { top: self.top, by_value: HashMap::new(), bytes: 0 }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The type of sums in a state. They are whole numbers of the weight's smallest unit, so that states do not depend
/// on its scale: neither a share nor the largest does.
const SUM_TYPE: DataType = DataType::Decimal128(38, 0);

/// The sum of each value; one of zero is not kept, as it is never the largest.
#[derive(Debug)]
struct Sums {
    top: Top,
    by_value: HashMap<Box<str>, i128>,
    bytes: usize,
}

impl Sums {
    fn add(&mut self, value: &str, weight: i128) -> Result<()> {
        if weight == 0 {
            return Ok(());
        }
        let Some(sum) = self.by_value.get_mut(value) else { return self.insert(value, weight) };
        match sum.checked_add(weight) {
            Some(0) => {
                self.by_value.remove(value);
                self.bytes -= value.len();
            }
            Some(new) if new.unsigned_abs() < SUM_LIMIT => *sum = new,
            _ => return exec_err!("the sum of {value:?} has more than 38 digits"),
        }
        Ok(())
    }

    fn insert(&mut self, value: &str, weight: i128) -> Result<()> {
        if self.by_value.len() == VALUES_MAX || self.bytes + value.len() > BYTES_MAX {
            return exec_err!(
                "more than {VALUES_MAX} different values, or {BYTES_MAX} bytes of them, in one group"
            );
        }
        self.bytes += value.len();
        self.by_value.insert(Box::from(value), weight);
        Ok(())
    }

    fn add_rows(&mut self, values: &[ArrayRef], sign: i128) -> Result<()> {
        let weights = values[1].as_primitive::<Decimal128Type>();
        for (value, weight) in values[0].as_string_view().iter().zip(weights) {
            if let (Some(value), Some(weight)) = (value, weight) {
                self.add(value, sign * weight)?;
            }
        }
        Ok(())
    }

    fn largest(&self) -> Option<(&str, i128)> {
        let groups =
            self.by_value.iter().map(|(value, sum)| (value.as_ref(), *sum)).filter(|(_, sum)| *sum > 0);
        groups.max_by(|(a, x), (b, y)| x.cmp(y).then_with(|| b.cmp(a)))
    }

    fn share(&self) -> Result<Option<i128>> {
        let whole = self.by_value.values().try_fold(0i128, |sum, weight| sum.checked_add(*weight));
        let Some(whole) = whole else { return exec_err!("the sum of all values has more than 38 digits") };
        Ok(self
            .largest()
            .filter(|_| whole > 0)
            .and_then(|(_, sum)| Ratio::of(sum, whole))
            .map(Ratio::as_scaled))
    }
}

impl Accumulator for Sums {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add_rows(values, 1)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add_rows(values, -1)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let (values, sums) = (states[0].as_list::<i32>(), states[1].as_list::<i32>());
        for (values, sums) in values.iter().zip(sums.iter()) {
            let (Some(values), Some(sums)) = (values, sums) else { continue };
            for (value, sum) in values.as_string::<i32>().iter().zip(sums.as_primitive::<Decimal128Type>()) {
                self.add(value.unwrap_or_default(), sum.unwrap_or_default())?;
            }
        }
        Ok(())
    }

    /// In the order of the values: equal sums make equal states.
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let mut groups: Vec<_> = self.by_value.iter().collect();
        groups.sort_unstable();
        let values = StringArray::from_iter_values(groups.iter().map(|(value, _)| value));
        let sums = Decimal128Array::from_iter_values(groups.iter().map(|(_, sum)| **sum));
        let list = |elements: ArrayRef| {
            let field = Field::new_list_field(elements.data_type().clone(), true);
            let offsets = OffsetBuffer::from_lengths([elements.len()]);
            ScalarValue::List(Arc::new(ListArray::new(Arc::new(field), offsets, elements, None)))
        };
        Ok(vec![list(Arc::new(values)), list(Arc::new(sums.with_data_type(SUM_TYPE)))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(match self.top {
            Top::Share => ScalarValue::Decimal128(self.share()?, 38, 18),
            Top::Value => ScalarValue::Utf8View(self.largest().map(|(value, _)| value.to_owned())),
        })
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.by_value.allocation_size() + self.bytes
    }
}
