//! How many steps a series takes from its beginning to its end: of whole numbers, days or instants.

use std::{iter::repeat_n, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::cast,
    datatypes::{
        DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
    },
};
use datafusion::common::Result;

use super::{costs::CallInput, sizes::Sizes};

/// In nanoseconds. A day may be an hour short.
const DAY: i128 = 86_400_000_000_000;
const SHORT_DAY: i128 = DAY - 3_600_000_000_000;
const SHORT_MONTH: i128 = 28 * SHORT_DAY;

/// How many steps the series of `range` and `generate_series` take.
///
/// # Errors
/// If an argument cannot be read.
pub(crate) fn steps(given: &CallInput<'_>) -> Result<Sizes> {
    let Some(first) = given.array(0)? else { return Ok(Sizes::nothing()) };
    match first.data_type().is_integer() || first.data_type().is_null() {
        true => of_numbers(given),
        false => of_times(given),
    }
}

fn of_numbers(given: &CallInput<'_>) -> Result<Sizes> {
    let numbers = |at: usize| -> Result<Option<ArrayRef>> {
        Ok(given.array(at)?.map(|array| cast(&array, &DataType::Int64)).transpose()?)
    };
    let (a, b, c) = (numbers(0)?, numbers(1)?, numbers(2)?);
    // One value is the end of a series from zero.
    let (start, stop) = if b.is_some() { (a, b) } else { (None, a) };
    Ok(Sizes::zip(&[start, stop, c], |row| {
        let (start, stop, step) = (row[0].unwrap_or(0), row[1].unwrap_or(0), row[2].unwrap_or(1));
        (start.abs_diff(stop) / step.unsigned_abs().max(1)).saturating_add(1)
    }))
}

fn of_times(given: &CallInput<'_>) -> Result<Sizes> {
    let (starts, stops) = (nanoseconds(given.array(0)?)?, nanoseconds(given.array(1)?)?);
    let month_day_nano = DataType::Interval(IntervalUnit::MonthDayNano);
    let lengths: Vec<Option<i128>> =
        match given.array(2)?.map(|array| cast(&array, &month_day_nano)).transpose()? {
            Some(array) => array
                .as_primitive::<IntervalMonthDayNanoType>()
                .iter()
                .map(|step| Some(length(step?)))
                .collect(),
            None => vec![Some(DAY)],
        };
    let rows = starts.len().max(stops.len()).max(lengths.len());
    let at = |values: &[Option<i128>], row: usize| match values {
        [one] => *one,
        all => all.get(row).copied().flatten(),
    };
    let steps = |row: usize| {
        let (Some(start), Some(stop), Some(length)) = (at(&starts, row), at(&stops, row), at(&lengths, row))
        else {
            // Without one of them there is no list.
            return 0;
        };
        let steps = start.abs_diff(stop).checked_div(length.unsigned_abs()).unwrap_or(u128::MAX);
        u64::try_from(steps).unwrap_or(u64::MAX).saturating_add(1)
    };
    Ok((0..rows).map(steps).collect())
}

/// Days and instants since 1970, wherever in their type.
fn nanoseconds(array: Option<ArrayRef>) -> Result<Vec<Option<i128>>> {
    let Some(array) = array else { return Ok(Vec::new()) };
    let unit = match array.data_type() {
        DataType::Date32 => DAY,
        DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
        DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 1,
        // Nothing: NULL, or what the function refuses.
        _ => return Ok(repeat_n(None, array.len()).collect()),
    };
    let whole = match array.data_type() {
        DataType::Date32 => cast(&array, &DataType::Int32)?,
        _ => Arc::clone(&array),
    };
    let whole = cast(&whole, &DataType::Int64)?;
    Ok(whole.as_primitive::<Int64Type>().iter().map(|n| Some(i128::from(n?) * unit)).collect())
}

/// The shortest that a step can be; zero for one that may never arrive: its parts lead both ways.
fn length(step: IntervalMonthDayNano) -> i128 {
    let parts = [
        i128::from(step.months) * SHORT_MONTH,
        i128::from(step.days) * SHORT_DAY,
        i128::from(step.nanoseconds),
    ];
    let both_ways = parts.iter().any(|part| *part < 0) && parts.iter().any(|part| *part > 0);
    let days = parts[0] + parts[1];
    match both_ways {
        true => 0,
        // Between days the hours of a step do not count.
        false if days != 0 => days,
        false => parts[2],
    }
}
