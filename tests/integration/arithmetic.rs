//! Arithmetic in rules and queries is exact to 18 digits, or an error of its row: against whole numbers of 256 bits, by
//! multiplication where the program divides.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array},
    datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema, i256},
    record_batch::RecordBatch,
};
use datafusion::{datasource::MemTable, prelude::SessionContext};
use fiscwatch::{
    lists::Lists,
    rule::{Language, RuleSet, compile::Compiler},
    sql::functions::exact::SCALE,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::support::{Bench, calendar, lines, payment, run, write};

fn compiler() -> Compiler {
    Compiler::new(&calendar(), Lists::default(), Language::En)
}

/// An exact number: its digits, and how many of them stand after the point.
type Number = (i128, i8);

fn wide(value: i128) -> i256 {
    i256::from_i128(value)
}

fn ten(digits: i8) -> i256 {
    wide(10).checked_pow(u32::from(digits.unsigned_abs())).unwrap()
}

/// |a| · 10^k and |b|, brought to whole numbers, for a quotient with 18 digits.
fn sides((a, a_scale): Number, (b, b_scale): Number) -> (i256, i256) {
    let shift = SCALE + b_scale - a_scale;
    let (a, b) = (wide(a).wrapping_abs(), wide(b).wrapping_abs());
    if shift >= 0 { (a.checked_mul(ten(shift)).unwrap(), b) } else { (a, b.checked_mul(ten(shift)).unwrap()) }
}

/// Whether a quotient has more digits than a decimal.
fn overflows(a: Number, b: Number) -> bool {
    let (left, right) = sides(a, b);
    left >= ten(38).checked_mul(right).unwrap_or(i256::MAX)
}

/// Whether `q` is a / b, cut off after 18 digits.
fn is_quotient(q: i128, a: Number, b: Number) -> bool {
    let (left, right) = sides(a, b);
    let size = wide(q).wrapping_abs();
    let next = size.checked_add(i256::ONE).unwrap();
    let sign = (a.0 < 0) != (b.0 < 0);
    size.checked_mul(right).unwrap() <= left
        && left < next.checked_mul(right).unwrap()
        && (q == 0 || (q < 0) == sign)
}

const TYPES: [DataType; 5] = [
    DataType::Decimal128(18, 2),
    DataType::Decimal128(28, 2),
    DataType::Decimal128(24, 6),
    DataType::Decimal128(38, 18),
    DataType::Int64,
];

fn scale(data_type: &DataType) -> i8 {
    if let DataType::Decimal128(_, scale) = data_type { *scale } else { 0 }
}

/// A value of a type, of any size and sign; zero sometimes.
fn value(rng: &mut ChaCha8Rng, data_type: &DataType) -> i128 {
    let precision = if let DataType::Decimal128(precision, _) = data_type { *precision } else { 18 };
    let digits = rng.random_range(0..=u32::from(precision));
    let size = rng.random_range(0..10i128.pow(digits).max(1));
    if rng.random_ratio(1, 4) { -size } else { size }
}

fn column(values: &[i128], data_type: &DataType) -> ArrayRef {
    match data_type {
        DataType::Int64 => {
            Arc::new(Int64Array::from_iter_values(values.iter().map(|v| i64::try_from(*v).unwrap())))
        }
        _ => Arc::new(
            Decimal128Array::from_iter_values(values.iter().copied()).with_data_type(data_type.clone()),
        ),
    }
}

fn query(context: &SessionContext, columns: Vec<(&str, ArrayRef)>, sql: &str) -> Result<ArrayRef, String> {
    let fields: Vec<_> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let rows =
        RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, c)| c).collect()).unwrap();
    let table = MemTable::try_new(schema, vec![vec![rows]]).unwrap();
    context.deregister_table("t").unwrap();
    context.register_table("t", Arc::new(table)).unwrap();
    let run = async { context.sql(sql).await?.collect().await };
    let batches = futures::executor::block_on(run).map_err(|e| e.to_string())?;
    assert_eq!(batches.len(), 1);
    Ok(Arc::clone(batches[0].column(0)))
}

#[test]
fn quotients_are_exact_or_errors() {
    let context = compiler().session().context(64 << 20);
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    let (mut checked, mut refused) = (0, 0);
    for a_type in &TYPES {
        for b_type in &TYPES {
            let pairs: Vec<(i128, i128)> = (0..300)
                .map(|_| (value(&mut rng, a_type), value(&mut rng, b_type)))
                .filter(|(_, b)| *b != 0)
                .collect();
            let number = |a: i128, b: i128| ((a, scale(a_type)), (b, scale(b_type)));
            let too_large = |(a, b): &(i128, i128)| overflows(number(*a, *b).0, number(*a, *b).1);
            let (large, fine): (Vec<_>, Vec<_>) = pairs.into_iter().partition(too_large);
            let (a, b): (Vec<_>, Vec<_>) = fine.iter().copied().unzip();
            let columns = vec![("a", column(&a, a_type)), ("b", column(&b, b_type))];
            let quotients = query(&context, columns, "SELECT a / b AS q FROM t").unwrap();
            assert_eq!(quotients.data_type(), &DataType::Decimal128(38, SCALE));
            for ((a, b), q) in fine.iter().zip(quotients.as_primitive::<Decimal128Type>().values()) {
                let (a, b) = number(*a, *b);
                assert!(is_quotient(*q, a, b), "{a:?} / {b:?} = {q}");
                checked += 1;
            }
            for (a, b) in large.into_iter().take(3) {
                let columns = vec![("a", column(&[a], a_type)), ("b", column(&[b], b_type))];
                let error = query(&context, columns, "SELECT a / b AS q FROM t").unwrap_err();
                assert!(error.contains("too many digits"), "{error}");
                refused += 1;
            }
        }
    }
    assert!(checked > 3000 && refused > 10, "{checked} {refused}");
}

#[test]
fn remainders_products_and_sums_are_exact_or_errors() {
    let context = compiler().session().context(64 << 20);
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    let mut exact = 0;
    for (a_type, b_type) in TYPES.iter().flat_map(|a| TYPES.iter().map(move |b| (a, b))) {
        let (a_scale, b_scale) = (scale(a_type), scale(b_type));
        let both = a_scale.max(b_scale);
        let same = |value: i128, from: i8| wide(value).checked_mul(ten(both - from)).unwrap();
        for _ in 0..60 {
            let (a, b) = (value(&mut rng, a_type), value(&mut rng, b_type));
            let (l, r) = (same(a, a_scale), same(b, b_scale));
            let long = a_scale + b_scale > 20;
            let product = wide(a).checked_mul(wide(b)).unwrap();
            let surplus = ten(a_scale + b_scale - SCALE);
            let product = if long { product.checked_div(surplus).unwrap() } else { product };
            let expected = [
                ("a + b", both, l.checked_add(r)),
                ("a - b", both, l.checked_sub(r)),
                ("a % b", both, l.checked_rem(r)),
                ("a * b", if long { SCALE } else { a_scale + b_scale }, Some(product)),
            ];
            for (sql, result_scale, wanted) in expected {
                let columns = vec![("a", column(&[a], a_type)), ("b", column(&[b], b_type))];
                // An error is allowed where a result does not fit; another value never is.
                let Ok(found) = query(&context, columns, &format!("SELECT {sql} AS x FROM t")) else {
                    continue;
                };
                let (found, found_scale) = match found.data_type() {
                    DataType::Int64 => (i128::from(found.as_primitive::<Int64Type>().value(0)), 0),
                    DataType::Decimal128(_, scale) => {
                        (found.as_primitive::<Decimal128Type>().value(0), *scale)
                    }
                    other => panic!("{sql} is {other}"),
                };
                assert_eq!(found_scale, result_scale, "{sql} of {a_type} and {b_type}");
                assert_eq!(Some(wide(found)), wanted, "{sql} of {a} and {b} ({a_type}, {b_type})");
                exact += 1;
            }
        }
    }
    assert!(exact > 4000, "{exact}");
}

#[test]
fn conditions_of_rules_divide_as_queries_do() {
    let compiler = compiler();
    let rule = "rules: [{id: a, severity: low, trigger: payment, key: [], \
                when: amount / budget.total = budget.executed_ratio}]";
    let rules = RuleSet::from_text(rule, &compiler, &calendar()).unwrap();
    let condition = rules.rules.first().unwrap().when.as_ref().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(22);
    let (mut amounts, mut totals, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    while amounts.len() < 2000 {
        let (a, b) = (rng.random_range(1..10i128.pow(17)), rng.random_range(1..10i128.pow(26)));
        let (left, right) = sides((a, 2), (b, 2));
        amounts.push(a);
        totals.push(b);
        ratios.push(left.checked_div(right).unwrap().to_i128().unwrap());
    }
    let columns = condition.schema.fields().iter().map(|field| {
        let values = match field.name().as_str() {
            "amount" => &amounts,
            "budget.total" => &totals,
            _ => &ratios,
        };
        column(values, field.data_type())
    });
    let batch = RecordBatch::try_new(Arc::clone(&condition.schema), columns.collect()).unwrap();
    let held = condition.expr.evaluate(&batch).unwrap().into_array(2000).unwrap();
    assert_eq!(held.as_boolean().true_count(), 2000);
}

#[test]
fn means_are_exact_everywhere() {
    let context = compiler().session().context(64 << 20);
    let cents = vec![1i128, 1, 2, 7, 7];
    let of = |sql: &str| {
        let columns =
            vec![("a", column(&cents, &TYPES[0])), ("n", column(&[1, 2, 2, 3, 3], &DataType::Int64))];
        query(&context, columns, sql).unwrap().as_primitive::<Decimal128Type>().value(0)
    };
    assert_eq!(of("SELECT avg(a) AS x FROM t"), 36_000_000_000_000_000);
    assert_eq!(of("SELECT avg(a) AS x FROM t WHERE n < 3"), 13_333_333_333_333_333);
    assert_eq!(of("SELECT avg(a) FILTER (WHERE n = 3) AS x FROM t"), 70_000_000_000_000_000);
    assert_eq!(of("SELECT avg(DISTINCT a) AS x FROM t"), 33_333_333_333_333_333);
    assert_eq!(of("SELECT avg(n) AS x FROM t"), 2_200_000_000_000_000_000);
    assert_eq!(
        of("SELECT avg(a) OVER (ORDER BY n, a) AS x FROM t ORDER BY n DESC, a DESC"),
        36_000_000_000_000_000
    );
}

/// The decisions of case by case, in every place where a rule computes.
#[test]
fn ratios_decide_to_the_cent() {
    let bench = Bench::new("", "");
    let dir = bench.path();
    let budget = json!({"event_id": "b", "type": "budget", "action": "approve", "occurred_at": "2026-01-05",
        "budget_line_id": "L", "amount": "10000000000.00", "fiscal_year": 2026, "region_code": "r", "unit_code": "101001",
        "function_code": "f", "economic_code": "e"});
    let paid = payment("p", "L", "11000009999.99");
    write(dir, "events.jsonl", &lines(&[budget, paid]));
    write(
        dir,
        "rules/rules.yaml",
        r"
rules:
  - { id: row, severity: low, trigger: payment, key: [], when: (budget.executed - budget.total) / budget.total > 0.1 }
  - { id: row-mul, severity: low, trigger: payment, key: [], when: ((budget.executed - budget.total) / budget.total) * (amount / amount) > 0.1 }
  - { id: constant, severity: low, trigger: payment, params: { a: 1, b: 10 }, key: [], when: (budget.executed - budget.total) / budget.total > $a / $b }
  - { id: filtered, severity: low, trigger: payment, where: (budget.executed - budget.total) / budget.total > 0.1, when: amount > 0, key: [] }
  - id: measured
    severity: low
    trigger: payment
    over: { by: [], last: 7d }
    measure: { share: sum(amount) filter (where settlement = 'transfer') / 100000000000.00 }
    when: share > 0.11
    key: []
  - id: closed
    severity: low
    trigger: window
    of: payment
    window: { by: [unit_code], size: 1d }
    measure: { share: (sum(amount) - 10000000000) / sum(amount), n: count(*) }
    when: share > 0.0909 and n / 2 = 0.5
    key: [unit_code]
  - id: asked
    severity: low
    trigger: schedule
    every: 1d
    sql: SELECT budget_line_id FROM budget_lines WHERE (executed - total) / total > 0.1
    key: [budget_line_id]
  - id: excepted
    severity: low
    trigger: payment
    when: amount > 0
    exceptions: [{ name: x, when: (budget.executed - budget.total) / budget.total > 0.1, reason: r }]
    key: []
  - { id: over-three-halves, severity: low, trigger: payment, key: [], when: budget.executed_ratio > 3 / 2 }
  - { id: over-a-fifth, severity: low, trigger: payment, key: [], when: budget.overspend_ratio > 1 / 5 }
",
    );
    let (found, _) = bench.backtest(&[]);
    let mut rules: Vec<_> = found
        .iter()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["rule_id"].as_str().unwrap().to_owned()
        })
        .collect();
    rules.sort();
    rules.dedup();
    assert_eq!(rules, ["asked", "closed", "constant", "filtered", "measured", "row", "row-mul"]);
}

#[test]
fn whole_numbers_that_overflow_are_errors_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "r.yaml", "
rules:
  - { id: wraps, severity: low, trigger: payment, when: fiscal_year * 9000000000000000 < 0 or fiscal_year > 0, key: [] }
  - { id: adds, severity: low, trigger: payment, when: fiscal_year + 9223372036854775000 < 0, key: [] }
");
    write(dir.path(), "e.jsonl", &lines(&[payment("p", "L", "1")]));
    let args = ["backtest", "--rules", "r.yaml", "--events", "e.jsonl", "--findings", "f.jsonl"];
    let (_, out, err) = run(dir.path(), &args);
    let said = out + &err;
    assert_eq!(said.matches("too many digits").count(), 2, "{said}");
    assert_eq!(std::fs::read_to_string(dir.path().join("f.jsonl")).unwrap(), "");
}

/// The median of an even number of amounts lies between two cents, wherever it is asked for.
#[test]
fn a_median_is_not_cut_off() {
    let bench = Bench::new("", "");
    let measured = "measure: { n: count(*), md: median(amount), of_days: median(fiscal_year - 2000) }, when: n = 2 and md > 0.01 and md * 2 = 0.03, key: [unit_code], summary: '{{ md }} {{ of_days }}'";
    let rules = format!(
        "rules:
  - {{ id: over, severity: low, trigger: payment, over: {{ by: [unit_code], last: 30d }}, {measured} }}
  - {{ id: window, severity: low, trigger: window, of: payment, window: {{ by: [unit_code], size: 1d }}, {measured} }}
  - {{ id: asked, severity: low, trigger: schedule, every: 1d, key: [unit_code], summary: '{{{{ md }}}}',
      sql: 'SELECT unit_code, median(amount) AS md, max(m) AS most FROM (SELECT *, median(amount) OVER (PARTITION BY unit_code) AS m FROM payments) GROUP BY unit_code HAVING median(amount) > 0.01 AND max(m) * 2 = 0.03' }}
"
    );
    write(bench.path(), "rules/rules.yaml", &rules);
    let mut last = payment("p3", "L", "9.00");
    last["occurred_at"] = json!("2026-03-20T10:00:00+08:00");
    last["unit_code"] = json!("201001");
    let events = [payment("p1", "L", "0.01"), payment("p2", "L", "0.02"), last];
    write(bench.path(), "events.jsonl", &lines(&events));
    let (findings, _) = bench.backtest(&[]);
    let told: std::collections::BTreeSet<_> = findings
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|finding| format!("{} {}", finding["rule_id"], finding["summary"]))
        .collect();
    assert_eq!(
        told.iter().collect::<Vec<_>>(),
        [r#""asked" "0.015""#, r#""over" "0.015 26""#, r#""window" "0.015 26""#]
    );
}
