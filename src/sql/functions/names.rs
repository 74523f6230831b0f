//! Names of payees and units: `normal_name`, `company_core`, `name_similarity`, `suspicious_text`.

use std::{borrow::Cow, sync::Arc};

use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, Decimal128Array, StringViewArray},
    datatypes::DataType,
};
use datafusion::{
    common::Result,
    logical_expr::{ColumnarValue, ScalarUDF},
};

use super::{company, immutable, pair, shaped};
use crate::{
    event::{hidden::suspicious, normal_name},
    ledger::columns::RATIO_TYPE,
};

/// - `normal_name(Utf8View) -> Utf8View`: see [`normal_name`];
/// - `company_core(Utf8View) -> Utf8View`: see [`company::core`];
/// - `name_similarity(Utf8View, Utf8View) -> Decimal128(38, 18)`, 0 to 1: see [`company::similarity`];
/// - `suspicious_text(Utf8View) -> Boolean`: whether something is hidden in it, see [`suspicious`].
pub(crate) fn functions() -> [ScalarUDF; 4] {
    let text = [DataType::Utf8View];
    [
        immutable("normal_name", &text, DataType::Utf8View, |args| changed(args, normal_name)),
        immutable("company_core", &text, DataType::Utf8View, |args| changed(args, company::core)),
        immutable("name_similarity", &[DataType::Utf8View, DataType::Utf8View], RATIO_TYPE, similarity),
        immutable("suspicious_text", &text, DataType::Boolean, |args| {
            let texts = args[0].to_array(1)?;
            let found: BooleanArray = texts
                .as_string_view()
                .iter()
                .map(|text| text.map(|text| !suspicious(text).is_empty()))
                .collect();
            Ok(shaped(Arc::new(found), &args[0]))
        }),
    ]
}

/// Most names are normal already: a batch in which nothing changes is handed on as it is.
fn changed(args: &[ColumnarValue], change: fn(&str) -> Cow<'_, str>) -> Result<ColumnarValue> {
    let array = args[0].to_array(1)?;
    let names = array.as_string_view();
    let new: Vec<_> = names.iter().map(|name| name.map(change)).collect();
    let same = |(old, new): (Option<&str>, &Option<Cow<'_, str>>)| {
        matches!(new, None | Some(Cow::Borrowed(_))) && old.map(str::len) == new.as_deref().map(str::len)
    };
    if names.iter().zip(&new).all(same) {
        return Ok(args[0].clone());
    }
    let new: StringViewArray = new.into_iter().collect();
    Ok(shaped(Arc::new(new), &args[0]))
}

fn similarity(args: &[ColumnarValue]) -> Result<ColumnarValue> {
    let (a, b, like) = pair(args)?;
    let pairs = a.as_string_view().iter().zip(b.as_string_view());
    let scores: Decimal128Array = pairs.map(|(a, b)| Some(company::similarity(a?, b?))).collect();
    let scores: ArrayRef = Arc::new(scores.with_data_type(RATIO_TYPE));
    Ok(shaped(scores, like))
}
