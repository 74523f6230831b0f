//! Reference lists in conditions: `in_list`, `name_in_list`, `contains_any`, `lookup`.

use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
    sync::{Arc, LazyLock},
};

use aho_corasick::AhoCorasick;
use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, Decimal128Array, StringViewArray},
    datatypes::{DataType, Field, FieldRef},
};
use datafusion::{
    common::{Result, ScalarValue, exec_err, plan_err},
    logical_expr::{
        ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
};

use super::{capped, immutable, shaped};
use crate::{
    ledger::columns::{BALANCE_TYPE, RATIO_TYPE},
    lists::{ColumnKind, List, Lists},
};

/// - `in_list('name', Utf8View) -> Boolean`: the value is a key of the list;
/// - `name_in_list('name', Utf8View) -> Boolean`: the same for names, both made normal;
/// - `contains_any('name', Utf8View) -> Boolean`: the text contains a key of the list;
/// - `lookup('name', Utf8View, 'column')`: the value in the row of the key, see [`Lookup`].
///
/// They fail when a list does not exist, which loading a rule reports before.
pub(crate) fn functions(lists: &Arc<Lists>) -> [ScalarUDF; 4] {
    let (members, names, words) = (Arc::clone(lists), Arc::clone(lists), words(lists));
    let texts = [DataType::Utf8View, DataType::Utf8View];
    [
        immutable("in_list", &texts, DataType::Boolean, move |args| in_list(&members, args, List::contains)),
        immutable("name_in_list", &texts, DataType::Boolean, move |args| {
            in_list(&names, args, List::contains_name)
        }),
        immutable("contains_any", &texts, DataType::Boolean, move |args| contains_any(&words, args)),
        ScalarUDF::from(Lookup {
            lists: Arc::clone(lists),
            signature: Signature::any(3, Volatility::Immutable),
        }),
    ]
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
            let list = args.scalar_arguments[0].and_then(|name| name.try_as_str().flatten());
            if let Some(name) = list.filter(|name| self.lists.get(name).is_none()) {
                return plan_err!("there is no list {name:?}");
            }
            return plan_err!("lookup needs the names of a list and of one of its columns as constants");
        };
        if !args.arg_fields[1].data_type().is_string() {
            return plan_err!("the key of 'lookup' must be text");
        }
        let data_type = match kind {
            ColumnKind::Money => BALANCE_TYPE,
            ColumnKind::Decimal => RATIO_TYPE,
            _ => DataType::Utf8View,
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
        let result: ArrayRef = match kind.is_text() {
            true => {
                // A cell may be longer than anything that asks for it, and every row may ask for the same one.
                let bytes =
                    values.clone().flatten().fold(0, |sum: u64, v| sum.saturating_add(v.len() as u64));
                capped::values(self.name(), bytes)?;
                Arc::new(values.collect::<StringViewArray>())
            }
            false => {
                let decimals: Decimal128Array = values.map(|v| kind.parse(v?)).collect();
                Arc::new(decimals.with_data_type(args.return_field.data_type().clone()))
            }
        };
        Ok(shaped(result, &args.args[1]))
    }
}
