//! A value of a column, as people and programs read it.

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{
        DataType, Decimal128Type, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    },
    util::display::array_value_to_string,
};
use serde_json::Value;

use crate::event::{Instant, Ratio, money::format_scaled, time::Calendar};

/// A value as JSON: decimals as strings, ratios and the last digit of medians without needless zeros, times in local RFC 3339.
#[must_use]
pub fn value(array: &ArrayRef, row: usize, calendar: &Calendar) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Decimal128(_, scale) => {
            decimal(array.as_primitive::<Decimal128Type>().value(row), *scale).into()
        }
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => calendar
            .format(Instant::from_micros(array.as_primitive::<TimestampMicrosecondType>().value(row)))
            .into(),
        DataType::List(field) if *field.data_type() == DataType::Utf8 => {
            let items = array.as_list::<i32>().value(row);
            items.as_string::<i32>().iter().flatten().collect()
        }
        // Anything else as Arrow shows it.
        _ => array_value_to_string(array, row).unwrap_or_else(|e| format!("({e})")).into(),
    }
}

/// A median has one digit more than what it is of, which is shown where it is one.
fn decimal(value: i128, scale: i8) -> String {
    match scale {
        1 | 3 | 7 | 19 if value % 10 == 0 => decimal(value / 10, scale - 1),
        18 => Ratio::from_scaled(value).to_string(),
        _ => format_scaled(value, u32::try_from(scale).unwrap_or(0)),
    }
}

/// JSON has no infinity, so it is the word that other languages read.
fn float(value: f64) -> Value {
    let word = || match value {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    };
    serde_json::Number::from_f64(value).map_or_else(|| word().into(), Value::Number)
}
