//! Every function whose result can be larger than what it is given, asked for more than there may be, and for little.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use datafusion::{common::ScalarValue, logical_expr::ScalarUDF, prelude::SessionContext};

use super::super::{
    capped::{Capped, VALUE_BYTES},
    growth::{Growth, of_scalar},
};
use crate::rule::caps::Caps;

/// The engine as rules use it: each function with its caps.
static CAPPED: LazyLock<SessionContext> = LazyLock::new(|| {
    let context = super::context();
    // Some forms become functions past the registry.
    context.add_analyzer_rule(Arc::new(Caps));
    for function in context.state().scalar_functions().values() {
        context.register_udf(Capped::of(function).unwrap_or_else(|| panic!("{}", function.name())));
    }
    context
});

fn query(expression: &str) -> Result<ScalarValue, String> {
    let run = async {
        let batches = CAPPED.sql(&format!("SELECT {expression} AS x")).await?.collect().await?;
        ScalarValue::try_from_array(batches[0].column(0), 0)
    };
    tokio::runtime::Runtime::new().unwrap().block_on(run).map_err(|e| e.to_string())
}

const X: &str = "repeat('x', 200000)";
const Y: &str = "repeat('y', 200000)";

/// Of each function expressions that are too much, and one that is not.
#[allow(clippy::too_many_lines)] // A table.
fn table() -> Vec<(&'static str, Vec<String>, String)> {
    let of = |name, too_much: &[String], fits: &str| (name, too_much.to_vec(), fits.to_owned());
    vec![
        of("concat", &[format!("concat({X}, {Y})")], "concat('a', 'b')"),
        of(
            "concat_ws",
            &[format!("concat_ws({X}, 'a', 'b', 'c')"), format!("concat_ws(',', {X}, {Y})")],
            "concat_ws(',', 'a', 'b')",
        ),
        of("make_array", &[format!("make_array({X}, {Y})")], "make_array(1, 2)"),
        of("array_append", &[format!("array_append([{X}], {Y})")], "array_append([1], 2)"),
        of("array_prepend", &[format!("array_prepend({X}, [{Y}])")], "array_prepend(1, [2])"),
        of("array_concat", &[format!("array_concat([{X}], [{Y}])")], "array_concat([1], [2])"),
        of("array_union", &[format!("array_union([{X}], [{Y}])")], "array_union([1], [2])"),
        of("struct", &[format!("struct({X}, {Y})")], "struct(1, 2)"),
        of("named_struct", &[format!("named_struct('a', {X}, 'b', {Y})")], "named_struct('a', 1)"),
        of("map", &[format!("map([{X}], [{Y}])")], "map(['a'], [1])"),
        of("overlay", &[format!("overlay({X} placing {Y} from 1)")], "overlay('ab' placing 'c' from 1)"),
        of(
            "arrays_zip",
            &["arrays_zip(range(0, 30000), [1], [1])".to_owned()],
            "arrays_zip([1, 2], ['a', 'b'])",
        ),
        of("repeat", &["repeat('x', 2000000000)".to_owned()], "repeat('x', 3)"),
        of(
            "array_repeat",
            &[
                "array_repeat('x', 1000000000)".to_owned(),
                "array_repeat(array_repeat('', 30000), 30000)".to_owned(),
                "array_repeat(arrow_cast(array_repeat('', 30000), 'LargeList(Utf8)'), 30000)".to_owned(),
                format!("array_repeat(map(['a'], [{X}]), 30000)"),
                format!("array_repeat(arrow_cast({X}, 'Dictionary(Int32, Utf8)'), 30000)"),
            ],
            "array_repeat('x', 3)",
        ),
        of("lpad", &["lpad('x', 2000000000)".to_owned()], "lpad('x', 3)"),
        of("rpad", &["rpad('x', 2000000000, 'ab')".to_owned()], "rpad('x', 3)"),
        of("array_resize", &["array_resize([1], 1000000000, 1)".to_owned()], "array_resize([1], 3, 1)"),
        of("replace", &[format!("replace({X}, 'x', {Y})")], "replace('abc', 'b', 'xyz')"),
        of(
            "regexp_replace",
            &[
                format!("regexp_replace({X}, 'x', {Y}, 'g')"),
                format!("regexp_replace({X}, '(x*)', repeat('\\1', 100))"),
            ],
            "regexp_replace('abc', 'b', 'x')",
        ),
        of(
            "array_replace",
            &["array_replace(array_repeat('a', 1000), 'a', repeat('y', 1000))".to_owned()],
            "array_replace([1, 2], 1, 3)",
        ),
        of(
            "array_replace_n",
            &["array_replace_n(array_repeat('a', 1000), 'a', repeat('y', 1000), 1000)".to_owned()],
            "array_replace_n([1, 2], 1, 3, 1)",
        ),
        of(
            "array_replace_all",
            &["array_replace_all(array_repeat('a', 1000), 'a', repeat('y', 1000))".to_owned()],
            "array_replace_all([1, 2], 1, 3)",
        ),
        of(
            "array_to_string",
            &[
                "array_to_string(array_repeat('', 1000), repeat('y', 3000))".to_owned(),
                "array_to_string(array_repeat(arrow_cast(null, 'Utf8'), 1000), ',', repeat('y', 3000))"
                    .to_owned(),
                "array_to_string(array_repeat(array_repeat('', 100), 100), repeat('y', 100))".to_owned(),
                "array_to_string(array_repeat(power(cast(10 AS double), 300), 1000), ',')".to_owned(),
            ],
            "array_to_string(range(0, 5000), ', ')",
        ),
        of("range", &series("range"), "range(0, 20000)"),
        of("generate_series", &series("generate_series"), "generate_series(0, 20000)"),
        of(
            "string_to_array",
            &["string_to_array(repeat(',', 200000), ',')".to_owned(), format!("string_to_array({X}, NULL)")],
            "string_to_array('a,b', ',')",
        ),
        of("levenshtein", &[format!("levenshtein({X}, {Y})")], "levenshtein('a', 'b')"),
        of("strpos", &[format!("strpos({X}, {Y})")], "strpos('ab', 'b')"),
        of("find_in_set", &[format!("find_in_set({X}, {Y})")], "find_in_set('a', 'a,b')"),
        of("substr_index", &[format!("substr_index({X}, {Y}, 1)")], "substr_index('a.b', '.', 1)"),
        of("split_part", &[format!("split_part({X}, {Y}, 1)")], "split_part('a.b', '.', 1)"),
        of("array_has_any", &[format!("array_has_any([{X}], [{Y}])")], "array_has_any([1], [1])"),
        of("array_has_all", &[format!("array_has_all([{X}], [{Y}])")], "array_has_all([1], [1])"),
        of("array_except", &[format!("array_except([{X}], [{Y}])")], "array_except([1], [1])"),
        of("array_intersect", &[format!("array_intersect([{X}], [{Y}])")], "array_intersect([1], [1])"),
        of("array_remove_all", &[format!("array_remove_all([{X}], {Y})")], "array_remove_all([1], 1)"),
        of("regexp_like", &patterns("regexp_like"), "regexp_like('abc', '[0-9]+')"),
        of("regexp_count", &patterns("regexp_count"), "regexp_count('abc', 'b')"),
        of("regexp_instr", &patterns("regexp_instr"), "regexp_instr('abc', 'b')"),
        of(
            "regexp_match",
            &[patterns("regexp_match"), vec![format!("regexp_match({X}, '((((((x*))))))')")]].concat(),
            "regexp_match('abc', '(b)(c)')",
        ),
        of("to_char", &["to_char(now(), repeat('%c', 100000))".to_owned()], "to_char(now(), '%Y')"),
    ]
}

fn series(name: &str) -> Vec<String> {
    let date = |from: i32, to: i32| {
        format!("arrow_cast({from}, 'Date32'), arrow_cast({to}, 'Date32'), interval '1 day'")
    };
    [
        String::from("1, 1000000000"),
        String::from("-9223372036854775808, 9223372036854775807"),
        String::from("1, 1000000000, 2"),
        date(0, 1_000_000),
        date(i32::MIN, i32::MAX),
        // These two never arrive.
        String::from("date '2026-02-01', date '2026-03-01', interval '1 month -28 days'"),
        String::from("date '2026-02-01', date '2026-02-01', interval '1 month -28 days'"),
        String::from("timestamp '2026-01-01', timestamp '2026-01-02', interval '1 nanosecond'"),
        String::from("timestamp '2026-01-01', timestamp '2026-01-02', interval '1 microsecond'"),
        String::from("timestamp '2026-01-01', timestamp '2026-01-02', interval '999 nanoseconds'"),
    ]
    .iter()
    .map(|arguments| format!("{name}({arguments})"))
    .collect()
}

fn patterns(name: &str) -> Vec<String> {
    vec![format!("{name}('abc', '(\\pL{{500}}){{500}}')"), format!("{name}('abc', repeat('a', 5000))")]
}

#[test]
fn every_function_that_grows_is_refused_what_is_too_much_and_does_the_rest() {
    let grows = |function: &Arc<ScalarUDF>| {
        let name = function.name().to_owned();
        (of_scalar(&name) != Some(Growth::Bounded)).then_some((name, false))
    };
    let mut tried: BTreeMap<String, bool> =
        CAPPED.state().scalar_functions().values().filter_map(grows).collect();
    for (name, too_much, fits) in table() {
        *tried.get_mut(name).unwrap_or_else(|| panic!("{name} does not grow")) = true;
        for expression in too_much {
            let started = std::time::Instant::now();
            let refused = query(&expression).map(|value| value.size()).expect_err(&expression);
            assert!(
                ["would have", "is too large", "too long for so many rows"]
                    .iter()
                    .any(|said| refused.contains(said)),
                "{expression}: {refused}"
            );
            assert!(started.elapsed().as_secs() < 5, "{expression}: {:?}", started.elapsed());
        }
        let value = query(&fits).unwrap_or_else(|e| panic!("{fits}: {e}"));
        assert!(value.size() as u64 <= VALUE_BYTES, "{fits}");
    }
    let untried: Vec<_> = tried.iter().filter(|(_, tried)| !**tried).map(|(name, _)| name).collect();
    assert!(untried.is_empty(), "nobody has tried {untried:?}");
}

/// Patterns may come from data, but each becomes a machine that is kept.
#[test]
fn many_different_patterns_are_refused() {
    let counted = |n: usize| {
        query(&format!(
            "(SELECT count(*) FROM (SELECT unnest(range(0, {n})) AS n) WHERE regexp_like('7', cast(n AS varchar)))"
        ))
    };
    assert_eq!(counted(20).unwrap(), ScalarValue::Int64(Some(1)));
    assert!(counted(100).unwrap_err().contains("more than 32 different patterns"));
}
