use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{ArrayRef, Decimal128Array, Float64Array, StringViewArray},
    datatypes::{DataType, Field, Schema},
};
use datafusion::logical_expr::{
    Accumulator,
    function::{AccumulatorArgs, StateFieldsArgs},
};
use proptest::{collection::vec, prelude::*};

use super::{super::concentration, *};
use crate::event::money::format_scaled;

/// An accumulator of the function, and the types that its states have.
fn accumulator(name: &str) -> (Box<dyn Accumulator>, Vec<DataType>) {
    let function = aggregates().into_iter().find(|function| function.name() == name).unwrap();
    let return_field = Arc::new(Field::new("r", function.return_type(&[]).unwrap(), true));
    let accumulator = function.accumulator(AccumulatorArgs {
        return_field: Arc::clone(&return_field),
        schema: &Schema::empty(),
        ignore_nulls: false,
        order_bys: &[],
        is_reversed: false,
        name,
        is_distinct: false,
        exprs: &[],
        expr_fields: &[],
    });
    let args =
        StateFieldsArgs { name, input_fields: &[], return_field, ordering_fields: &[], is_distinct: false };
    let state = function.state_fields(args).unwrap().iter().map(|field| field.data_type().clone()).collect();
    (accumulator.unwrap(), state)
}

fn of(name: &str, columns: &[ArrayRef]) -> Result<ScalarValue, String> {
    let (mut accumulator, _) = accumulator(name);
    accumulator.update_batch(columns).and_then(|()| accumulator.evaluate()).map_err(|e| e.to_string())
}

/// The same by way of the states of two parts, cut at `at`, and by taking the rows after `at` out again.
fn check_parts(name: &str, columns: &[ArrayRef], at: usize) {
    let part = |from: usize, rows: usize| -> Vec<ArrayRef> {
        columns.iter().map(|column| column.slice(from, rows)).collect()
    };
    let (first, second) = (part(0, at), part(at, columns[0].len() - at));
    let (mut merged, types) = accumulator(name);
    for rows in [&second, &first] {
        let (mut one, _) = accumulator(name);
        one.update_batch(rows).unwrap();
        let state: Vec<_> = one.state().unwrap().iter().map(|state| state.to_array().unwrap()).collect();
        assert_eq!(state.iter().map(|state| state.data_type().clone()).collect::<Vec<_>>(), types);
        merged.merge_batch(&state).unwrap();
    }
    assert_eq!(merged.evaluate().unwrap(), of(name, columns).unwrap(), "{name}: merged");
    let (mut whole, _) = accumulator(name);
    assert!(whole.supports_retract_batch());
    whole.update_batch(columns).unwrap();
    assert_eq!(whole.state().unwrap(), merged.state().unwrap(), "{name}: equal rows make equal states");
    let (mut left, _) = accumulator(name);
    left.update_batch(columns).unwrap();
    left.retract_batch(&second).unwrap();
    assert_eq!(left.evaluate().unwrap(), of(name, &first).unwrap(), "{name}: retracted");
    assert!(left.size() > 0);
}

fn amounts(cents: &[Option<i128>]) -> ArrayRef {
    Arc::new(Decimal128Array::from(cents.to_vec()).with_precision_and_scale(38, 2).unwrap())
}

fn payees(names: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringViewArray::from(names.to_vec()))
}

/// Benford's measure by the texts of the amounts and the formula in floats.
#[allow(clippy::cast_precision_loss)]
fn benford_oracle(cents: &[Option<i128>]) -> Option<f64> {
    let digit = |cents: &i128| format_scaled(*cents, 2).chars().find(|c| "123456789".contains(*c));
    let first: Vec<char> = cents.iter().flatten().filter_map(digit).collect();
    let deviation = |d: char| {
        let share = first.iter().filter(|c| **c == d).count() as f64 / first.len() as f64;
        (share - (1.0 + 1.0 / f64::from(d.to_digit(10).unwrap())).log10()).abs()
    };
    (!first.is_empty()).then(|| ('1'..='9').map(deviation).sum::<f64>() / 9.0)
}

proptest! {
    #[test]
    fn benford_agrees_with_the_formula(
        cents in vec(prop_oneof![Just(None), any::<i64>().prop_map(|c| Some(i128::from(c))), (-9i128..1000).prop_map(Some)], 0..60),
        at in 0usize..60,
    ) {
        let columns = [amounts(&cents)];
        let ScalarValue::Float64(found) = of("benford_mad", &columns).unwrap() else { panic!() };
        match (found, benford_oracle(&cents)) {
            (Some(found), Some(expected)) => prop_assert!((found - expected).abs() < 1e-12),
            (found, expected) => prop_assert_eq!(found, expected),
        }
        check_parts("benford_mad", &columns, at.min(cents.len()));
    }

    #[test]
    fn the_top_agrees_with_sorting(
        rows in vec((proptest::option::weighted(0.9, 0usize..5), proptest::option::weighted(0.9, -50i128..1_000)), 0..40),
        at in 0usize..40,
    ) {
        let names = ["甲", "乙", "丙", "", "丁公司"];
        let columns = [
            payees(&rows.iter().map(|(name, _)| name.map(|name| names[name])).collect::<Vec<_>>()),
            amounts(&rows.iter().map(|(_, cents)| *cents).collect::<Vec<_>>()),
        ];
        let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
        for (name, cents) in rows.iter().filter_map(|(name, cents)| Some((names[(*name)?], (*cents)?))) {
            *sums.entry(name).or_default() += cents;
        }
        let (whole, largest) = (sums.values().sum::<i128>(), sums.values().max().copied().unwrap_or_default());
        let first = sums.iter().find(|(_, sum)| **sum == largest && largest > 0).map(|(name, _)| (*name).to_owned());
        prop_assert_eq!(of("top_value", &columns).unwrap(), ScalarValue::Utf8View(first));
        match of("top_share", &columns).unwrap() {
            ScalarValue::Decimal128(Some(share), 38, 18) => {
                let one = 10i128.pow(18);
                prop_assert!(whole > 0 && share * whole <= largest * one && largest * one < (share + 1) * whole);
            }
            other => {
                prop_assert!(whole <= 0 || largest <= 0, "{:?}", other);
                prop_assert_eq!(other, ScalarValue::Decimal128(None, 38, 18));
            }
        }
        check_parts("top_share", &columns, at.min(rows.len()));
        check_parts("top_value", &columns, at.min(rows.len()));
    }

    #[test]
    fn the_median_deviation_agrees_with_sorting(
        values in vec(proptest::option::weighted(0.9, prop_oneof![Just(f64::NAN), Just(f64::NEG_INFINITY), Just(-0.0), -5.0..5.0f64, (-3i8..3).prop_map(f64::from)]), 0..30),
        at in 0usize..30,
    ) {
        let columns: [ArrayRef; 1] = [Arc::new(Float64Array::from(values.clone()))];
        let median = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            let n = values.len();
            (n > 0).then(|| f64::midpoint(values[(n - 1) / 2], values[n / 2]))
        };
        let kept: Vec<f64> = values.iter().copied().flatten().filter(|value| value.is_finite()).collect();
        let expected = median(kept.clone()).and_then(|m| median(kept.iter().map(|value| (value - m).abs()).collect()));
        prop_assert_eq!(of("median_deviation", &columns).unwrap(), ScalarValue::Float64(expected));
        check_parts("median_deviation", &columns, at.min(values.len()));
    }
}

#[test]
fn nothing_is_null() {
    for (name, columns) in [
        ("benford_mad", vec![amounts(&[None, Some(0)])]),
        ("top_share", vec![payees(&[Some("甲"), None]), amounts(&[None, Some(1)])]),
        ("top_value", vec![payees(&[Some("甲"), Some("乙")]), amounts(&[Some(0), Some(-5)])]),
        ("median_deviation", vec![Arc::new(Float64Array::from(vec![f64::INFINITY])) as ArrayRef]),
    ] {
        assert!(of(name, &columns).unwrap().is_null(), "{name}");
        let none: Vec<_> = columns.iter().map(|column| column.slice(0, 0)).collect();
        assert!(of(name, &none).unwrap().is_null(), "{name}");
    }
}

#[test]
fn memory_is_bounded() {
    let name = |n: usize| format!("{n}");
    let most: Vec<String> = (0..concentration::VALUES_MAX).map(name).collect();
    let ones = |n: usize| amounts(&vec![Some(1); n]);
    let column: ArrayRef = Arc::new(StringViewArray::from_iter_values(&most));
    assert!(of("top_share", &[Arc::clone(&column), ones(most.len())]).is_ok());
    let (mut full, _) = accumulator("top_share");
    full.update_batch(&[column, ones(most.len())]).unwrap();
    full.update_batch(&[payees(&[Some("7")]), ones(1)]).unwrap();
    let problem = full.update_batch(&[payees(&[Some("x")]), ones(1)]).unwrap_err().to_string();
    assert!(problem.contains("more than 65536 different values"), "{problem}");
    let long = "长".repeat(concentration::BYTES_MAX / 3 + 1);
    assert!(of("top_value", &[payees(&[Some(&long)]), ones(1)]).is_err());
}

#[test]
fn sums_beyond_38_digits_are_errors() {
    let most = 10i128.pow(38) - 1;
    let one = of("top_share", &[payees(&[Some("甲")]), amounts(&[Some(most)])]).unwrap();
    assert_eq!(one, ScalarValue::Decimal128(Some(10i128.pow(18)), 38, 18));
    let problem = of("top_share", &[payees(&[Some("甲"); 2]), amounts(&[Some(most), Some(1)])]).unwrap_err();
    assert!(problem.contains("the sum of \"甲\" has more than 38 digits"), "{problem}");
    let problem =
        of("top_share", &[payees(&[Some("甲"), Some("乙")]), amounts(&[Some(most); 2])]).unwrap_err();
    assert!(problem.contains("the sum of all values"), "{problem}");
}

/// Through the planner: types, groups, FILTER, sliding frames and what is refused.
#[test]
fn as_sql() {
    let rows = "(VALUES ('u1', '甲', 60.00, 1), ('u1', '乙', 30.00, 2), ('u1', '丙', 30.00, 3), ('u2', '乙', 5.00, 1), \
                ('u2', NULL, 99.00, 2)) AS t(unit, payee, amount, at)";
    for (select, expected) in [
        ("top_share(payee, amount)", "0.480000000000000000"),
        ("top_value(payee, amount)", "甲"),
        ("top_share(payee, amount) FILTER (WHERE unit = 'u1')", "0.500000000000000000"),
        ("top_share(at, 1)", "0.400000000000000000"),
        ("benford_mad(amount) = benford_mad(-amount * 10)", "true"),
        ("benford_mad(at) FILTER (WHERE at > 3)", "NULL"),
        ("median_deviation(amount)", "25"),
        ("median_deviation(at)", "1"),
        // ln(99) is 1.72 deviations of 0.69 from ln(30), times 0.6745.
        ("floor(674.5 * (max(ln(amount)) - median(ln(amount))) / median_deviation(ln(amount)))", "1161"),
    ] {
        let found =
            query(&format!("SELECT {select} FROM {rows}")).unwrap_or_else(|e| panic!("{select}: {e}"));
        assert_eq!(found.to_string(), expected, "{select}");
    }
    let by_unit = format!("SELECT top_share(payee, amount) FROM {rows} GROUP BY unit ORDER BY unit DESC");
    assert_eq!(query(&by_unit).unwrap().to_string(), "1.000000000000000000");
    for function in ["top_value(payee, amount)", "benford_mad(amount)", "median_deviation(amount)"] {
        let sliding = format!(
            "SELECT {function} OVER (ORDER BY at DESC, payee ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS v \
             FROM {rows} ORDER BY at, payee"
        );
        assert!(!query(&sliding).unwrap().is_null(), "{function}");
    }
    for (wrong, message) in [
        ("benford_mad(payee)", "needs an exact decimal or a whole number"),
        ("top_share(payee)", "takes a text or code and an amount"),
        ("top_share(payee, cast(amount as double))", "needs an exact decimal"),
        ("top_value(distinct payee, amount)", "has no DISTINCT"),
        ("median_deviation(payee)", "takes one number"),
    ] {
        let problem = query(&format!("SELECT {wrong} FROM {rows}")).expect_err(wrong);
        assert!(problem.contains(message), "{problem}");
    }
}

#[test]
fn a_condition_on_one_event_has_no_aggregate() {
    use crate::rule::{Language, RuleSet, compile::Compiler};
    let calendar = Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap());
    let compiler = Compiler::new(&calendar, Lists::default(), Language::En);
    for when in ["benford_mad(amount) > 0.015", "top_share(payee_name, amount) > 0.5"] {
        let rule =
            format!("rules: [{{id: a, severity: low, trigger: payment, key: [unit_code], when: '{when}'}}]");
        let problems = RuleSet::from_text(&rule, &compiler, &calendar).unwrap_err();
        let function = when.split('(').next().unwrap();
        assert!(problems[0].message.contains(&format!("cannot contain '{function}'")), "{}", problems[0]);
    }
}
