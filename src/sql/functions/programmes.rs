//! What programmes achieve: `achievement`.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Decimal128Array},
    datatypes::{DataType, Decimal128Type},
};
use datafusion::{
    common::Result,
    logical_expr::{ColumnarValue, ScalarUDF},
};

use super::{immutable, shaped};
use crate::{
    event::{Ratio, schema::NUMBER_TYPE},
    ledger::{achievement, columns::RATIO_TYPE},
};

/// `achievement(target, actual, direction) -> Decimal(38, 18)`: see [`achievement`]; a missing direction is `at_least`.
pub(crate) fn functions() -> [ScalarUDF; 1] {
    [immutable("achievement", &[NUMBER_TYPE, NUMBER_TYPE, DataType::Utf8View], RATIO_TYPE, shares)]
}

fn shares(args: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(args)?;
    let number = |at: usize| arrays[at].as_primitive::<Decimal128Type>().iter();
    let directions = arrays[2].as_string_view().iter();
    let shares: Decimal128Array = number(0)
        .zip(number(1))
        .zip(directions)
        .map(|((target, actual), direction)| achievement(target?, actual?, direction == Some("at_most")))
        .map(|share| share.map(Ratio::as_scaled))
        .collect();
    debug_assert_eq!(shares.len(), arrays[0].len());
    let like = args.iter().find(|arg| matches!(arg, ColumnarValue::Array(_))).unwrap_or(&args[0]);
    Ok(shaped(Arc::new(shares.with_data_type(RATIO_TYPE)) as ArrayRef, like))
}
