use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, Decimal128Array, Int64Array, StringViewArray, TimestampMicrosecondArray,
    },
    datatypes::{DataType, Decimal128Type, Field, Int32Type},
};
use datafusion::{
    common::config::ConfigOptions,
    logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs},
};
use proptest::prelude::*;

use super::{super::amounts, *};

#[test]
fn digits_of_amounts() {
    for (expression, expected) in [
        ("leading_digit(0.07)", "7"),
        ("leading_digit(-3900.00)", "3"),
        ("leading_digit(0.00)", "NULL"),
        ("leading_digit(120)", "1"),
        ("leading_digit(arrow_cast(9, 'Int8'))", "9"),
        ("leading_digit(arrow_cast(18446744073709551615, 'UInt64'))", "1"),
        ("leading_digit(arrow_cast(6.5, 'Decimal32(4, 2)'))", "6"),
        ("leading_digit(arrow_cast('99999999999999999999999999999999999999', 'Decimal128(38, 0)'))", "9"),
        ("leading_digit(arrow_cast('-0.00000000000000000000000000000000000002', 'Decimal128(38, 38)'))", "2"),
        ("leading_digit(NULL)", "NULL"),
        ("roundness(50000)", "4"),
        ("roundness(50000.00)", "4"),
        ("roundness(-1200.00)", "2"),
        ("roundness(1000.50)", "0"),
        ("roundness(0.10)", "0"),
        ("roundness(0.00)", "0"),
        ("roundness(7)", "0"),
        ("roundness(arrow_cast('10000000000000000000000000000000000000', 'Decimal128(38, 0)'))", "37"),
        ("roundness(arrow_cast(NULL, 'Decimal128(18, 2)'))", "NULL"),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
    assert_eq!(amounts::roundness(15, -3), 3);
    for wrong in ["leading_digit(cast(1 as double))", "roundness('100')", "roundness(1, 2)"] {
        let problem = problem(wrong);
        assert!(
            problem.contains("needs an exact decimal") || problem.contains("takes one amount"),
            "{problem}"
        );
    }
}

proptest! {
    /// The oracle reads the digits of the text.
    #[test]
    fn digits_are_those_of_the_text(value in any::<i128>(), zeros in 0u32..38, scale in 0i8..=38) {
        let value = value / 10i128.pow(zeros) % 10i128.pow(38 - zeros) * 10i128.pow(zeros);
        let text = crate::event::money::format_scaled(value, u32::try_from(scale).unwrap());
        let first = text.chars().find(|c| ('1'..='9').contains(c)).map(|c| i32::from(c as u8 - b'0'));
        prop_assert_eq!(amounts::leading_digit(value), first);
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let round = if value == 0 || fraction.contains(|c| c != '0') { 0 }
            else { whole.len() - whole.trim_end_matches('0').len() };
        prop_assert_eq!(amounts::roundness(value, scale), i32::try_from(round).unwrap());
    }
}

/// 14 February 2026 was a Saturday at work, 16 to 18 were holidays; the fiscal year of the test starts in April.
#[test]
fn the_calendar() {
    for (expression, expected) in [
        ("local_hour('2026-02-13T23:59:59Z')", "7"),
        ("is_workday('2026-02-13T16:00:00Z')", "true"),
        ("is_workday('2026-02-14T16:00:00Z')", "false"),
        ("is_workday('2026-02-16')", "false"),
        ("is_workday(NULL)", "NULL"),
        ("workdays_between('2026-02-12', '2026-02-12')", "0"),
        ("workdays_between('2026-02-12', '2026-02-20')", "4"),
        ("workdays_between('2026-02-13', '2026-02-14')", "1"),
        ("workdays_between('2026-02-14', '2026-02-18')", "0"),
        ("workdays_between('2026-02-20', '2026-02-12')", "-4"),
        // From Friday evening to Monday morning, local time.
        ("workdays_between('2026-03-06T15:59:00Z', '2026-03-08T16:00:00Z')", "1"),
        ("workdays_between(cast('2026-03-06' as date), cast('2027-03-05' as date))", "260"),
        ("workdays_between('1900-01-01', '2999-12-31')", "286974"),
        ("workdays_between(NULL, '2026-02-20')", "NULL"),
        ("fiscal_year_of('2026-03-31T15:59:59Z')", "2025"),
        ("fiscal_year_of('2026-03-31T16:00:00Z')", "2026"),
        ("fiscal_year_of('2026-12-31')", "2026"),
        ("fiscal_year_of(NULL)", "NULL"),
        ("fiscal_month('2026-03-31T15:59:59Z')", "12"),
        ("fiscal_month('2026-03-31T16:00:00Z')", "1"),
        ("fiscal_month('2026-12-31')", "9"),
        ("fiscal_month(NULL)", "NULL"),
        ("fiscal_quarter('2026-03-31T15:59:59Z')", "4"),
        ("fiscal_quarter('2026-03-31T16:00:00Z')", "1"),
        ("fiscal_quarter('2026-06-30')", "1"),
        ("fiscal_quarter('2026-07-01')", "2"),
        // Why there is no local_date: DataFusion's own cast takes the local day.
        (
            "cast(arrow_cast('2026-03-31T16:00:00Z', 'Timestamp(Microsecond, Some(\"Asia/Shanghai\"))') as date)",
            "2026-04-01",
        ),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

#[test]
fn lists_and_names() {
    for (expression, expected) in [
        ("in_list('holidays', '2026-02-16')", "true"),
        ("in_list('empty', 'a')", "false"),
        ("name_in_list('holidays', ' ２０２６-02-16')", "true"),
        ("name_in_list('empty', NULL)", "NULL"),
        ("contains_any('empty', 'a')", "false"),
        ("contains_any('holidays', 'on 2026-02-16')", "true"),
        ("lookup('holidays', '2026-02-16', 'kind')", "holiday"),
        ("lookup('empty', 'a', 'word')", "NULL"),
        ("normal_name('ａ（b） ')", "A(B)"),
        ("normal_name(NULL)", "NULL"),
        ("suspicious_text(concat('甲', chr(8238), '公司'))", "true"),
        ("suspicious_text('示例建筑（集团）有限公司')", "false"),
        ("suspicious_text(NULL)", "NULL"),
        ("company_core(' 杭州市示例建筑（集团）有限公司')", "示例建筑集团"),
        ("company_core(NULL)", "NULL"),
        ("name_similarity('示例', NULL)", "NULL"),
        ("name_similarity('示例', '示例有限公司') = 1", "true"),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

/// Calls a function on its arguments as they are.
fn call(name: &str, args: &[ColumnarValue]) -> ColumnarValue {
    let calendar = Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap());
    let functions = scalars(&calendar, &Lists::default());
    let function = functions.iter().find(|function| function.name() == name).unwrap();
    let arg_fields: Vec<_> =
        args.iter().map(|arg| Arc::new(Field::new("a", arg.data_type(), true))).collect();
    let scalar_arguments = &vec![None; args.len()];
    let return_field = function
        .return_field_from_args(ReturnFieldArgs { arg_fields: &arg_fields, scalar_arguments })
        .unwrap();
    let number_rows = args.iter().find_map(|arg| match arg {
        ColumnarValue::Array(array) => Some(array.len()),
        ColumnarValue::Scalar(_) => None,
    });
    let args = ScalarFunctionArgs {
        args: args.to_vec(),
        arg_fields,
        number_rows: number_rows.unwrap_or(1),
        return_field: Arc::clone(&return_field),
        config_options: Arc::new(ConfigOptions::default()),
    };
    let result = function.invoke_with_args(args).unwrap();
    assert_eq!(result.data_type(), *return_field.data_type(), "{name}");
    result
}

/// A column of two values and NULL, and the first of them as a scalar, for every function and type of argument.
#[test]
fn arrays_stay_arrays_and_scalars_scalars() {
    let names: ArrayRef = Arc::new(StringViewArray::from(vec![Some("示例建筑有限公司"), Some("甲"), None]));
    let times = TimestampMicrosecondArray::from(vec![Some(0), Some(86_400_000_000 * 40), None]);
    let times: ArrayRef = Arc::new(times.with_timezone("Asia/Shanghai"));
    let amounts = Decimal128Array::from(vec![Some(500_000), Some(123), None]);
    let amounts: ArrayRef = Arc::new(amounts.with_precision_and_scale(18, 2).unwrap());
    for (name, column, arguments) in [
        ("normal_name", &names, 1),
        ("company_core", &names, 1),
        ("suspicious_text", &names, 1),
        ("name_similarity", &names, 2),
        ("local_hour", &times, 1),
        ("is_workday", &times, 1),
        ("workdays_between", &times, 2),
        ("fiscal_year_of", &times, 1),
        ("fiscal_quarter", &times, 1),
        ("fiscal_month", &times, 1),
        ("leading_digit", &amounts, 1),
        ("roundness", &amounts, 1),
    ] {
        let array = ColumnarValue::Array(Arc::clone(column));
        let scalar = ColumnarValue::Scalar(ScalarValue::try_from_array(column, 0).unwrap());
        let ColumnarValue::Array(all) = call(name, &vec![array.clone(); arguments]) else { panic!("{name}") };
        assert_eq!((all.len(), all.is_null(1), all.is_null(2)), (3, false, true), "{name}");
        let ColumnarValue::Scalar(first) = call(name, &vec![scalar.clone(); arguments]) else {
            panic!("{name}")
        };
        assert_eq!(first, ScalarValue::try_from_array(&all, 0).unwrap(), "{name}");
        if arguments == 2 {
            for mixed in [[array.clone(), scalar.clone()], [scalar, array]] {
                let ColumnarValue::Array(all) = call(name, &mixed) else { panic!("{name}") };
                assert_eq!((all.len(), all.is_null(1), all.is_null(2)), (3, false, true), "{name}");
            }
        }
        let none = ColumnarValue::Array(column.slice(0, 0));
        assert_eq!(call(name, &vec![none; arguments]).into_array(0).unwrap().len(), 0, "{name}");
    }
}

#[test]
fn values_of_a_batch() {
    let amounts = Decimal128Array::from(vec![Some(500_000), Some(-123), None, Some(0)]);
    let amounts: ArrayRef = Arc::new(amounts.with_precision_and_scale(18, 2).unwrap());
    let digits = call("leading_digit", &[ColumnarValue::Array(Arc::clone(&amounts))]).into_array(4).unwrap();
    let digits: Vec<_> = digits.as_primitive::<Int32Type>().iter().collect();
    assert_eq!(digits, [Some(5), Some(1), None, None]);
    let zeros = call("roundness", &[ColumnarValue::Array(amounts)]).into_array(4).unwrap();
    let zeros: Vec<_> = zeros.as_primitive::<Int32Type>().iter().collect();
    assert_eq!(zeros, [Some(3), Some(0), None, Some(0)]);

    let day = 86_400_000_000;
    let times = TimestampMicrosecondArray::from(vec![Some(0), Some(7 * day), None, Some(0)]);
    let times: ArrayRef = Arc::new(times.with_timezone("Asia/Shanghai"));
    let start =
        ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(Some(day), Some("Asia/Shanghai".into())));
    let days = call("workdays_between", &[start, ColumnarValue::Array(times)]).into_array(4).unwrap();
    assert_eq!(days.as_ref(), &Int64Array::from(vec![Some(-1), Some(4), None, Some(-1)]));

    let a: ArrayRef = Arc::new(StringViewArray::from(vec![Some("甲乙丙丁"), None]));
    let b: ArrayRef = Arc::new(StringViewArray::from(vec![Some("甲乙丙戊"), Some("甲")]));
    let scores = call("name_similarity", &[ColumnarValue::Array(a), ColumnarValue::Array(b)]);
    let scores = scores.into_array(2).unwrap();
    let scores: Vec<_> = scores.as_primitive::<Decimal128Type>().iter().collect();
    assert_eq!(scores, [Some(750_000_000_000_000_000), None]);
    assert_eq!(crate::ledger::columns::RATIO_TYPE, DataType::Decimal128(38, 18));
}
