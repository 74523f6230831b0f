//! Functions that could make much of little, with caps: how large a result will be is computed before it is made. The
//! caps hold wherever the function is called: for events, in queries, and where a constant is folded while rules are read.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::{cast, kernels::concat_elements::concat_elements_dyn},
    datatypes::{DataType, Int64Type, IntervalMonthDayNanoType, IntervalUnit},
};
use datafusion::{
    common::{Result, ScalarValue},
    logical_expr::{
        ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
        Signature, Volatility,
    },
};

use super::{
    growth::{Growth, of_scalar},
    sizes::{Sizes, items},
};
use crate::{diagnostic::Refusal, say};

/// Bytes of one value.
pub const VALUE_BYTES: u64 = 256 << 10;
/// Items of one list.
const VALUE_ITEMS: u64 = 32 << 10;
/// Bytes of all values that are made at once.
const BATCH_BYTES: u64 = 16 << 20;
/// Comparisons of characters that are made at once.
const BATCH_WORK: u64 = 4_000_000_000;
/// Bytes of a pattern, and of the machine that it becomes.
const PATTERN_BYTES: usize = 4 << 10;
const MACHINE_BYTES: usize = 1 << 20;

/// A function that is asked beforehand how large its result will be.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Capped {
    inner: ScalarUDF,
    growth: Growth,
}

impl Capped {
    /// The function with its caps; the function itself if it needs none. `None` for one that nobody has judged.
    #[must_use]
    pub fn of(function: &ScalarUDF) -> Option<ScalarUDF> {
        match of_scalar(function.name())? {
            Growth::Bounded => Some(function.clone()),
            _ if function.inner().downcast_ref::<Self>().is_some() => Some(function.clone()),
            growth => Some(ScalarUDF::from(Self { inner: function.clone(), growth })),
        }
    }

    fn check(&self, args: &ScalarFunctionArgs) -> Result<(), Refusal> {
        let all_scalars = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if all_scalars { 1 } else { args.number_rows };
        let given = Given { args: &args.args };
        let name = self.inner.name();
        if self.growth == Growth::Matched || (self.growth == Growth::Replaced && name == "regexp_replace") {
            given.pattern(name)?;
        }
        let costs = Costs::new(self.growth, &given).map_err(|_| unknown(name))?;
        let mut total = 0u64;
        for row in 0..rows {
            let (bytes, items) = costs.of(row);
            total = total.saturating_add(bytes);
            if costs.is_work() {
                continue;
            }
            if bytes > VALUE_BYTES || items > VALUE_ITEMS {
                return Err(too_large(name, bytes, items));
            }
        }
        match total > if costs.is_work() { BATCH_WORK } else { BATCH_BYTES } {
            true => Err(too_much(name)),
            false => Ok(()),
        }
    }
}

impl ScalarUDFImpl for Capped {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<arrow::datatypes::FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&args)?;
        self.inner.invoke_with_args(args)
    }
}

/// `||` of texts, which is an operator of the engine and not a function.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined(Signature);

/// `left || right`, with caps.
#[must_use]
pub fn joined(left: Expr, right: Expr) -> Expr {
    let function = ScalarUDF::from(Joined(Signature::user_defined(Volatility::Immutable)));
    Capped::of(&function).unwrap_or(function).call(vec![left, right])
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &'static str {
        "||"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(names.join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_scalars = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let result = concat_elements_dyn(&arrays[0], &arrays[1])?;
        Ok(match all_scalars {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?),
            false => ColumnarValue::Array(result),
        })
    }
}

/// Whether an operator matches a pattern.
#[must_use]
pub fn matches_pattern(operator: Operator) -> bool {
    use Operator::{RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch};
    matches!(operator, RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch)
}

/// Whether a pattern becomes a machine that is small enough; what is no pattern is told elsewhere.
///
/// # Errors
/// If it does not.
pub fn pattern(text: &str, name: &str) -> Result<(), Refusal> {
    let fits = text.len() <= PATTERN_BYTES
        && !matches!(
            regex::RegexBuilder::new(text).size_limit(MACHINE_BYTES).build(),
            Err(regex::Error::CompiledTooBig(_))
        );
    if fits {
        return Ok(());
    }
    Err(Refusal {
        message: say!("the pattern of '{name}' is too large", name),
        hint: say!("repeat less: '[0-9]+' instead of '[0-9]{{500}}'"),
        word: name.to_owned(),
    })
}

/// What a function is given.
struct Given<'a> {
    args: &'a [ColumnarValue],
}

impl Given<'_> {
    fn array(&self, at: usize) -> Result<Option<ArrayRef>> {
        self.args
            .get(at)
            .map(|arg| match arg {
                ColumnarValue::Array(array) => Ok(Arc::clone(array)),
                ColumnarValue::Scalar(scalar) => scalar.to_array(),
            })
            .transpose()
    }

    fn sizes(&self, at: usize) -> Result<Sizes> {
        Ok(self.array(at)?.map_or_else(Sizes::nothing, |array| Sizes::of(&array)))
    }

    fn items(&self, at: usize) -> Result<Sizes> {
        Ok(self.array(at)?.map_or_else(Sizes::nothing, |array| items(&array)))
    }

    /// Whole numbers; below zero is nothing.
    fn counts(&self, at: usize) -> Result<Sizes> {
        let Some(array) = self.array(at)? else { return Ok(Sizes::nothing()) };
        let numbers = cast(&array, &DataType::Int64)?;
        let numbers = numbers.as_primitive::<Int64Type>();
        Ok(numbers.iter().map(|n| n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)).collect())
    }

    /// A pattern must be a constant: one from data could be any.
    fn pattern(&self, name: &str) -> Result<(), Refusal> {
        match self.args.get(1) {
            Some(ColumnarValue::Scalar(
                ScalarValue::Utf8(Some(text))
                | ScalarValue::Utf8View(Some(text))
                | ScalarValue::LargeUtf8(Some(text)),
            )) => pattern(text, name),
            Some(ColumnarValue::Array(array)) if array.data_type().is_string() => {
                let texts = cast(array, &DataType::Utf8View).map_err(|_| unknown(name))?;
                let mut last = None;
                for text in texts.as_string_view().iter().flatten() {
                    if last != Some(text) {
                        pattern(text, name)?;
                        last = Some(text);
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What the results cost, row by row.
enum Costs {
    /// Bytes and items of values that are put together.
    Sum(Vec<Sizes>, Vec<Sizes>),
    /// So many times so many bytes, and so many items.
    Times(Sizes, Sizes, bool),
    /// The first, with the third for each of its places.
    Replaced(Sizes, Sizes, Sizes),
    /// Steps between two values.
    Steps(Sizes),
    /// Lengths that are multiplied in time.
    Work(Sizes, Sizes),
}

impl Costs {
    fn new(growth: Growth, given: &Given<'_>) -> Result<Self> {
        Ok(match growth {
            Growth::Bounded | Growth::Sum => {
                let all = 0..given.args.len();
                let sizes = all.clone().map(|at| given.sizes(at)).collect::<Result<_>>()?;
                Self::Sum(sizes, all.map(|at| given.items(at)).collect::<Result<_>>()?)
            }
            Growth::Repeated => {
                let of_text = given.array(0)?.is_some_and(|array| array.data_type().is_string());
                let sizes = given.sizes(0)?;
                // An item of a list takes some bytes, however small it is.
                Self::Times(if of_text { sizes } else { sizes.at_least(8) }, given.counts(1)?, !of_text)
            }
            Growth::Padded => Self::Times(Sizes::always(4), given.counts(1)?, false),
            Growth::Resized => Self::Times(given.sizes(2)?.at_least(8), given.counts(1)?, true),
            Growth::Replaced => Self::Replaced(given.sizes(0)?, given.sizes(2)?, given.items(0)?),
            Growth::Joined => Self::Replaced(given.sizes(0)?.times(4), given.sizes(1)?, given.items(0)?),
            Growth::Formatted => Self::Times(given.sizes(1)?.at_least(1), Sizes::always(16), false),
            Growth::Series => Self::Steps(steps(given)?),
            Growth::Compared | Growth::Matched => Self::Work(given.sizes(0)?, given.sizes(1)?),
        })
    }

    const fn is_work(&self) -> bool {
        matches!(self, Self::Work(..))
    }

    /// Bytes (or steps of work) and items of a row.
    fn of(&self, row: usize) -> (u64, u64) {
        match self {
            Self::Sum(bytes, items) => {
                let sum =
                    |sizes: &[Sizes]| sizes.iter().fold(0u64, |sum, size| sum.saturating_add(size.at(row)));
                (sum(bytes), sum(items).saturating_add(items.len() as u64))
            }
            Self::Times(bytes, count, lists) => {
                let count = count.at(row);
                (bytes.at(row).saturating_mul(count), if *lists { count } else { 0 })
            }
            Self::Replaced(of, by, places) => {
                let (of, by) = (of.at(row), by.at(row));
                let places = places.at(row).max(of.saturating_add(1));
                // Where the new text is not longer than a character, the result is not longer either.
                let grown = if by > 1 { places.saturating_mul(by) } else { places };
                (of.saturating_add(grown), 0)
            }
            Self::Steps(steps) => (steps.at(row).saturating_mul(8), steps.at(row)),
            Self::Work(left, right) => (left.at(row).saturating_mul(right.at(row).max(1)), 0),
        }
    }
}

/// How many steps a series takes.
fn steps(given: &Given<'_>) -> Result<Sizes> {
    let Some(first) = given.array(0)? else { return Ok(Sizes::nothing()) };
    if first.data_type().is_integer() || first.data_type().is_null() {
        let numbers = |at: usize| -> Result<Option<ArrayRef>> {
            Ok(given.array(at)?.map(|array| cast(&array, &DataType::Int64)).transpose()?)
        };
        let (a, b, c) = (numbers(0)?, numbers(1)?, numbers(2)?);
        // One value is the end of a series from zero.
        let (start, stop) = if b.is_some() { (a, b) } else { (None, a) };
        return Ok(Sizes::zip(&[start, stop, c], |row| {
            let (start, stop, step) = (row[0].unwrap_or(0), row[1].unwrap_or(0), row[2].unwrap_or(1));
            start.abs_diff(stop) / step.unsigned_abs().max(1) + 1
        }));
    }
    // Days and instants, by an interval.
    let micros = |at: usize| -> Result<Option<ArrayRef>> {
        let time = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None);
        let array = given.array(at)?;
        Ok(array
            .map(|array| cast(&array, &time).and_then(|array| cast(&array, &DataType::Int64)))
            .transpose()?)
    };
    let month_day_nano = DataType::Interval(IntervalUnit::MonthDayNano);
    let step = given.array(2)?.map(|array| cast(&array, &month_day_nano)).transpose()?;
    let step = step.map(|array| {
        let steps = array.as_primitive::<IntervalMonthDayNanoType>();
        // The shortest that it can be, in microseconds; one of mixed signs may hardly move.
        let length = |step: arrow::datatypes::IntervalMonthDayNano| {
            let parts = [
                i64::from(step.months).saturating_mul(28 * DAY),
                i64::from(step.days).saturating_mul(DAY - HOUR),
                step.nanoseconds / 1000,
            ];
            let mixed = parts.iter().any(|part| *part < 0) && parts.iter().any(|part| *part > 0);
            if mixed { 1 } else { parts.iter().fold(0i64, |sum, part| sum.saturating_add(*part)) }
        };
        Arc::new(steps.iter().map(|step| step.map(length)).collect::<arrow::array::Int64Array>()) as ArrayRef
    });
    Ok(Sizes::zip(&[micros(0)?, micros(1)?, step], |row| {
        let (Some(start), Some(stop)) = (row[0], row[1]) else { return 0 };
        start.abs_diff(stop) / row[2].unwrap_or(DAY).unsigned_abs().max(1) + 1
    }))
}

/// In microseconds.
const DAY: i64 = 86_400_000_000;
const HOUR: i64 = 3_600_000_000;

fn too_large(name: &str, bytes: u64, items: u64) -> Refusal {
    let (most, most_items) = (VALUE_BYTES, VALUE_ITEMS);
    let message = match bytes > VALUE_BYTES {
        true => say!("a value of '{name}' would have {bytes} bytes, {most} are allowed", name, bytes, most),
        false => {
            say!(
                "a list of '{name}' would have {items} items, {most_items} are allowed",
                name,
                items,
                most_items
            )
        }
    };
    Refusal { message, hint: say!("make a shorter one"), word: name.to_owned() }
}

fn too_much(name: &str) -> Refusal {
    Refusal {
        message: say!("the values of '{name}' are too long for so many rows", name),
        hint: say!("make shorter ones, or narrow the condition"),
        word: name.to_owned(),
    }
}

fn unknown(name: &str) -> Refusal {
    Refusal {
        message: say!("'{name}' does not take {types}", name, types = say!("these values")),
        hint: say!("see the functions in docs/rules.md and what they take"),
        word: name.to_owned(),
    }
}
