//! Tables of codes in conditions: `code_known`, `code_name`, `code_within`, `code_related`. Each names the column of events
//! whose table is meant; where the configuration has none for it, nothing is unknown and nothing has a name.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, StringViewArray},
    datatypes::{DataType, TimestampMicrosecondType},
};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::{ColumnarValue, ScalarUDF},
};

use super::{capped, immutable};
use crate::{
    event::{Instant, schema::time_type, time::Calendar},
    lists::{List, Lists},
};

/// The functions, by which the compiler of rules knows them.
pub(crate) const FUNCTIONS: [&str; 4] = ["code_known", "code_name", "code_within", "code_related"];

/// - `code_known('column', code, time) -> Boolean`: whether the code is valid at that time; true where there is no table;
/// - `code_name('column', code, time) -> Utf8View`: what it is called then, or was called last;
/// - `code_within('column', code, above, time) -> Boolean`: whether it is that code or stands below it; without a table
///   whether it begins with it;
/// - `code_related('column', code, code, time) -> Boolean`: whether both stand under one code, or one above the other;
///   NULL where the table lacks one of them.
pub(crate) fn functions(calendar: &Arc<Calendar>, lists: &Arc<Lists>) -> [ScalarUDF; 4] {
    let time = time_type(&calendar.zone_name);
    let text = DataType::Utf8View;
    let one = [text.clone(), text.clone(), time.clone()];
    let two = [text.clone(), text.clone(), text, time];
    let [known, name, within, related] = std::array::from_fn(|_| Arc::clone(lists));
    let [is_known, is_called, is_within, is_related] = FUNCTIONS;
    [
        immutable(is_known, &one, DataType::Boolean, move |args| {
            let table = table(&known, &args[0])?;
            flags(args, |[code], at| {
                Some(table.is_none_or(|table| table.code_at(code, Instant::from_micros(at)).is_ok()))
            })
        }),
        immutable(is_called, &one, DataType::Utf8View, move |args| {
            let table = table(&name, &args[0])?;
            texts(args, |code, at| table?.code_name(code, Instant::from_micros(at)))
        }),
        immutable(is_within, &two, DataType::Boolean, move |args| {
            let table = table(&within, &args[0])?;
            flags(args, |[code, above], at| {
                Some(match table {
                    Some(table) => {
                        code == above
                            || table.codes_above(code, Instant::from_micros(at)).any(|code| code == above)
                    }
                    None => code.starts_with(above),
                })
            })
        }),
        immutable(is_related, &two, DataType::Boolean, move |args| {
            let table = table(&related, &args[0])?;
            flags(args, |[one, other], at| table?.codes_related(one, other, Instant::from_micros(at)))
        }),
    ]
}

/// The table of a column, if it has one.
fn table<'l>(lists: &'l Lists, column: &ColumnarValue) -> Result<Option<&'l List>> {
    let ColumnarValue::Scalar(column) = column else {
        return exec_err!("the column's name must be constant");
    };
    Ok(lists.codes(column.try_as_str().flatten().unwrap_or_default()))
}

/// A truth value for each row; the last argument is the time, and those between it and the first the codes.
fn flags<const N: usize>(
    args: &[ColumnarValue],
    of: impl Fn([&str; N], i64) -> Option<bool>,
) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(&args[1..])?;
    let times = arrays[N].as_primitive::<TimestampMicrosecondType>();
    let flag = |row: usize| {
        let mut codes = [""; N];
        for (code, array) in codes.iter_mut().zip(&arrays) {
            *code = array.is_valid(row).then(|| array.as_string_view().value(row))?;
        }
        of(codes, times.is_valid(row).then(|| times.value(row))?)
    };
    let found: BooleanArray = (0..times.len()).map(flag).collect();
    Ok(shaped(Arc::new(found), args))
}

fn texts<'l>(args: &[ColumnarValue], of: impl Fn(&str, i64) -> Option<&'l str>) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(&args[1..])?;
    let (codes, times) = (arrays[0].as_string_view(), arrays[1].as_primitive::<TimestampMicrosecondType>());
    let names = codes.iter().zip(times.iter()).map(|(code, at)| of(code?, at?));
    let bytes = names.clone().flatten().fold(0, |sum: u64, name| sum.saturating_add(name.len() as u64));
    capped::values(FUNCTIONS[1], bytes)?;
    let names: StringViewArray = names.collect();
    Ok(shaped(Arc::new(names), args))
}

/// Scalars make a scalar.
fn shaped(result: ArrayRef, args: &[ColumnarValue]) -> ColumnarValue {
    let is_array = |arg: &&ColumnarValue| matches!(arg, ColumnarValue::Array(_));
    super::shaped(result, args.iter().find(is_array).unwrap_or(&args[0]))
}
