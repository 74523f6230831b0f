//! The SQL functions that `DataFusion` does not have, for rules: docs/rules.md describes each.
//! All are immutable: a reload makes new ones with the new lists. NULL among the arguments makes NULL.

use std::sync::Arc;

use arrow::{array::ArrayRef, datatypes::DataType};
use datafusion::{
    common::{Result, ScalarValue},
    logical_expr::{AggregateUDF, ColumnarValue, ScalarUDF, Volatility, create_udf},
};

use crate::{event::time::Calendar, lists::Lists};

mod amounts;
mod benford;
mod calendar;
pub(crate) mod capped;
pub(crate) mod codes;
mod company;
mod concentration;
mod costs;
pub(crate) mod deviation;
pub mod exact;
pub(crate) mod growth;
mod lists;
mod names;
mod patterns;
mod places;
mod programmes;
mod series;
pub(crate) mod sizes;
pub(crate) mod widened;
mod workdays;

pub use calendar::{day_start, local_day};
pub use company::{core as company_core, similarity as name_similarity};
pub use workdays::{HOLIDAYS, Workdays};

/// The scalar functions: of lists, names, the calendar, amounts and programmes; each module names its own.
#[must_use]
pub fn scalars(calendar: &Arc<Calendar>, lists: &Lists) -> Vec<ScalarUDF> {
    let lists = Arc::new(lists.clone());
    let mut all = Vec::from(lists::functions(&lists));
    all.extend(codes::functions(calendar, &lists));
    all.extend(names::functions());
    all.extend(calendar::functions(calendar, lists.get(HOLIDAYS).map(AsRef::as_ref)));
    all.extend(amounts::functions());
    all.extend(programmes::functions());
    all
}

/// The aggregate functions: `benford_mad`, `top_share`, `top_value`, `median_deviation`.
///
/// Each can be merged from parts and retracted from, and its result does not depend on the order of the rows.
#[must_use]
pub fn aggregates() -> Vec<AggregateUDF> {
    let mut all = vec![benford::function(), deviation::function()];
    all.extend(concentration::functions());
    all
}

/// A function of exactly these types. `DataFusion` casts what it is given to them.
fn immutable(
    name: &str,
    arguments: &[DataType],
    result: DataType,
    function: impl Fn(&[ColumnarValue]) -> Result<ColumnarValue> + Send + Sync + 'static,
) -> ScalarUDF {
    create_udf(name, arguments.to_vec(), result, Volatility::Immutable, Arc::new(function))
}

/// A scalar stays a scalar, so that `DataFusion` can fold it.
fn shaped(result: ArrayRef, like: &ColumnarValue) -> ColumnarValue {
    match like {
        ColumnarValue::Scalar(_) => ScalarValue::try_from_array(&result, 0)
            .map_or_else(|_| ColumnarValue::Array(Arc::clone(&result)), ColumnarValue::Scalar),
        ColumnarValue::Array(_) => ColumnarValue::Array(result),
    }
}

/// The arguments as arrays of one length, and one of them that tells the result's shape.
fn pair(args: &[ColumnarValue]) -> Result<(ArrayRef, ArrayRef, &ColumnarValue)> {
    let arrays = ColumnarValue::values_to_arrays(args)?;
    let like = args.iter().find(|arg| matches!(arg, ColumnarValue::Array(_))).unwrap_or(&args[0]);
    Ok((Arc::clone(&arrays[0]), Arc::clone(&arrays[1]), like))
}

#[cfg(test)]
mod tests;
