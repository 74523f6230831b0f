//! The functions of SPEC §3.4 that `DataFusion` does not have. All are immutable: a reload makes new ones with the
//! new lists.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    hash::{Hash, Hasher},
    sync::{Arc, LazyLock},
};

use aho_corasick::AhoCorasick;
use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, Decimal128Array, Int32Array, StringViewArray},
    datatypes::{DataType, Field, FieldRef, TimestampMicrosecondType},
};
use datafusion::{
    common::{Result, ScalarValue, exec_err, plan_err},
    logical_expr::{
        ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
        create_udf,
    },
};
use jiff::civil::Weekday;

use crate::{
    event::{normal_name, schema::time_type, time::Calendar},
    lists::{ColumnKind, List, Lists},
};

/// The list that [`is_workday`](functions) reads: `date` (its key) and `kind`, `holiday` or `workday`.
pub const HOLIDAYS: &str = "holidays";

/// `in_list('name', value)`, `name_in_list('name', value)`, `normal_name(value)`, `contains_any('name', text)`,
/// `lookup('name', key, 'column')`, `is_workday(time)`, `local_hour(time)`.
#[must_use]
pub fn functions(calendar: &Arc<Calendar>, lists: &Lists) -> Vec<ScalarUDF> {
    let lists = Arc::new(lists.clone());
    let time = time_type(&calendar.zone_name);
    let (hours, days) = (Arc::clone(calendar), Arc::clone(calendar));
    let (members, names, holidays) = (Arc::clone(&lists), Arc::clone(&lists), lists.get(HOLIDAYS).cloned());
    let words = words(&lists);
    let text = DataType::Utf8View;
    vec![
        create_udf(
            "in_list",
            vec![text.clone(), text.clone()],
            DataType::Boolean,
            Volatility::Immutable,
            Arc::new(move |args: &[ColumnarValue]| in_list(&members, args, List::contains)),
        ),
        create_udf(
            "name_in_list",
            vec![text.clone(), text.clone()],
            DataType::Boolean,
            Volatility::Immutable,
            Arc::new(move |args: &[ColumnarValue]| in_list(&names, args, List::contains_name)),
        ),
        create_udf(
            "normal_name",
            vec![text.clone()],
            DataType::Utf8View,
            Volatility::Immutable,
            Arc::new(normal_names),
        ),
        create_udf(
            "contains_any",
            vec![text.clone(), text],
            DataType::Boolean,
            Volatility::Immutable,
            Arc::new(move |args: &[ColumnarValue]| contains_any(&words, args)),
        ),
        create_udf(
            "local_hour",
            vec![time.clone()],
            DataType::Int32,
            Volatility::Immutable,
            Arc::new(move |args: &[ColumnarValue]| {
                by_time::<Int32Array, _>(args, |micros| i32::from(hours.local(micros).hour()))
            }),
        ),
        create_udf(
            "is_workday",
            vec![time],
            DataType::Boolean,
            Volatility::Immutable,
            Arc::new(move |args: &[ColumnarValue]| {
                // Neighbouring events are mostly of the same day.
                let mut last = None;
                by_time::<BooleanArray, _>(args, |micros| {
                    let date = days.local(micros).date();
                    match last {
                        Some((day, workday)) if day == date => workday,
                        _ => last.insert((date, is_workday(date, holidays.as_deref()))).1,
                    }
                })
            }),
        ),
        ScalarUDF::from(Lookup { lists, signature: Signature::any(3, Volatility::Immutable) }),
    ]
}

fn is_workday(date: jiff::civil::Date, holidays: Option<&List>) -> bool {
    let kind = holidays.and_then(|list| {
        let (column, _) = list.column("kind")?;
        list.value(&date.to_string(), column)
    });
    match kind {
        Some("workday") => true,
        Some(_) => false,
        None => !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday),
    }
}

fn by_time<A, T>(args: &[ColumnarValue], mut f: impl FnMut(i64) -> T) -> Result<ColumnarValue>
where
    A: FromIterator<Option<T>> + arrow::array::Array + 'static,
{
    let arrays = ColumnarValue::values_to_arrays(args)?;
    let times = arrays[0].as_primitive::<TimestampMicrosecondType>();
    let result: A = times.iter().map(|time| time.map(&mut f)).collect();
    Ok(ColumnarValue::Array(Arc::new(result)))
}

fn in_list(
    lists: &Lists,
    args: &[ColumnarValue],
    contains: impl Fn(&List, &str) -> bool,
) -> Result<ColumnarValue> {
    let list = list(lists, &args[0])?;
    let values = args[1].to_array(1)?;
    let found: BooleanArray = values.as_string_view().iter().map(|v| v.map(|v| contains(list, v))).collect();
    Ok(shaped(Arc::new(found), &args[1]))
}

/// Most names are normal already: a batch of such is handed on as it is.
fn normal_names(args: &[ColumnarValue]) -> Result<ColumnarValue> {
    let array = args[0].to_array(1)?;
    let names = array.as_string_view();
    let normal: Vec<_> = names.iter().map(|name| name.map(normal_name)).collect();
    if normal.iter().flatten().all(|name| matches!(name, Cow::Borrowed(_))) {
        return Ok(args[0].clone());
    }
    let normal: StringViewArray = normal.into_iter().collect();
    Ok(shaped(Arc::new(normal), &args[0]))
}

type Words = BTreeMap<String, LazyLock<Option<AhoCorasick>, Box<dyn FnOnce() -> Option<AhoCorasick> + Send>>>;

/// The keys of each list as one pattern, made when a rule first asks for it: most lists hold no words.
fn words(lists: &Arc<Lists>) -> Words {
    let pattern = |name: &str| {
        let list = lists.get(name).cloned();
        let make = move || AhoCorasick::new(list?.keys().filter(|key| !key.is_empty())).ok();
        (name.to_owned(), LazyLock::new(Box::new(make) as Box<dyn FnOnce() -> _ + Send>))
    };
    lists.names().map(pattern).collect()
}

fn contains_any(words: &Words, args: &[ColumnarValue]) -> Result<ColumnarValue> {
    let ColumnarValue::Scalar(name) = &args[0] else { return exec_err!("the list's name must be constant") };
    let name = name.try_as_str().flatten().unwrap_or_default();
    let Some(pattern) = words.get(name).and_then(|pattern| pattern.as_ref()) else {
        return exec_err!("there is no list {name:?}, or it is too long for contains_any");
    };
    let texts = args[1].to_array(1)?;
    let found: BooleanArray =
        texts.as_string_view().iter().map(|text| text.map(|text| pattern.is_match(text))).collect();
    Ok(shaped(Arc::new(found), &args[1]))
}

/// A scalar stays a scalar, so that `DataFusion` can fold it.
fn shaped(result: ArrayRef, like: &ColumnarValue) -> ColumnarValue {
    match like {
        ColumnarValue::Scalar(_) => ScalarValue::try_from_array(&result, 0)
            .map_or_else(|_| ColumnarValue::Array(Arc::clone(&result)), ColumnarValue::Scalar),
        ColumnarValue::Array(_) => ColumnarValue::Array(result),
    }
}

fn list<'l>(lists: &'l Lists, name: &ColumnarValue) -> Result<&'l Arc<List>> {
    let ColumnarValue::Scalar(name) = name else { return exec_err!("the list's name must be constant") };
    let name = name.try_as_str().flatten().unwrap_or_default();
    match lists.get(name) {
        Some(list) => Ok(list),
        None => exec_err!("there is no list {name:?}"),
    }
}

/// `lookup('name', key, 'column')`: the value in the row of `key`, NULL where there is none. Its type is that of
/// the list's column, which must therefore be known when a rule is loaded.
#[derive(Debug)]
struct Lookup {
    lists: Arc<Lists>,
    signature: Signature,
}

impl PartialEq for Lookup {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.lists, &other.lists)
    }
}

impl Eq for Lookup {}

impl Hash for Lookup {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.lists).hash(state);
    }
}

impl Lookup {
    fn column(
        &self,
        list_name: Option<&ScalarValue>,
        column: Option<&ScalarValue>,
    ) -> Option<(&List, usize, ColumnKind)> {
        let list = self.lists.get(list_name?.try_as_str()??)?;
        let (at, kind) = list.column(column?.try_as_str()??)?;
        Some((list, at, kind))
    }
}

impl ScalarUDFImpl for Lookup {
    fn name(&self) -> &'static str {
        "lookup"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("the type of lookup depends on its list")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let Some((_, _, kind)) = self.column(args.scalar_arguments[0], args.scalar_arguments[2]) else {
            return plan_err!("lookup needs the names of a list and of one of its columns as constants");
        };
        if !args.arg_fields[1].data_type().is_string() {
            return plan_err!("the key of 'lookup' must be text");
        }
        let data_type = match kind {
            ColumnKind::Text => DataType::Utf8View,
            ColumnKind::Money => DataType::Decimal128(28, 2),
            ColumnKind::Decimal => DataType::Decimal128(38, 18),
        };
        Ok(Arc::new(Field::new("lookup", data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = |at: usize| match &args.args[at] {
            ColumnarValue::Scalar(value) => Some(value),
            ColumnarValue::Array(_) => None,
        };
        let Some((list, column, kind)) = self.column(scalar(0), scalar(2)) else {
            return exec_err!("lookup needs constant names");
        };
        let keys = args.args[1].cast_to(&DataType::Utf8View, None)?.to_array(1)?;
        let values = keys.as_string_view().iter().map(|key| list.value(key?, column));
        let result: ArrayRef = match kind {
            ColumnKind::Text => Arc::new(values.collect::<StringViewArray>()),
            _ => {
                let decimals: Decimal128Array = values.map(|v| kind.parse(v?)).collect();
                Arc::new(decimals.with_data_type(args.return_field.data_type().clone()))
            }
        };
        Ok(shaped(result, &args.args[1]))
    }
}
