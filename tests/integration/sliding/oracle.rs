//! The definition in docs/rules.md as a self-join in SQL, over the whole history.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    util::display::array_value_to_string,
};
use datafusion::prelude::SessionContext;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::{MEASURES, WINDOWS};
use crate::support::payment;

pub(super) fn events(seed: u64, count: usize, zone: &TimeZone) -> Vec<Value> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Over a year's end and, in zones that have it, the begin of summer time.
    let mut clock: i64 = "2025-12-20T08:00:00Z".parse::<Timestamp>().unwrap().as_microsecond();
    let mut events = Vec::new();
    for n in 0..count {
        clock += match rng.random_range(0..10) {
            0..3 => 0,
            3..8 => rng.random_range(0..3_600_000_000i64),
            _ => rng.random_range(0..30 * 3_600_000_000i64),
        };
        let at = match rng.random_range(0..20) {
            0..3 => clock - rng.random_range(0..7_200_000_000i64),
            3 => clock - rng.random_range(0..40 * 86_400_000_000i64),
            4 => clock - rng.random_range(0..380 * 86_400_000_000i64),
            5 => {
                let date = zone.to_datetime(Timestamp::from_microsecond(clock).unwrap()).date();
                let midnight = date.to_zoned_datetime(zone.clone()).unwrap().timestamp().as_microsecond();
                midnight - i64::from(rng.random_ratio(1, 2))
            }
            _ => clock,
        };
        let cents: i64 = match rng.random_range(0..30) {
            0 => rng.random_range(1..10i64.pow(18) - 1),
            1..6 => 50_000,
            _ => rng.random_range(1..9_000_000),
        };
        let mut event = payment(&format!("e{n}"), "L", &format!("{}.{:02}", cents / 100, cents % 100));
        event["occurred_at"] = json!(Timestamp::from_microsecond(at).unwrap().to_string());
        event["unit_code"] = json!(format!("u{}", rng.random_range(0..3)));
        event["payee_account"] = json!(format!("p{}", rng.random_range(0..6)));
        event["settlement"] = json!(["cash", "transfer"][rng.random_range(0..2)]);
        event["payee_type"] = json!(["entity", "entity", "self"][rng.random_range(0..3)]);
        if rng.random_ratio(2, 3) {
            event["purpose"] = json!(["paper", "travel", "training"][rng.random_range(0..3)]);
        }
        events.push(event);
    }
    events
}

/// What the language takes in the order of time has to be told to SQL.
fn in_sql(measure: &str) -> String {
    match measure.strip_suffix(')') {
        Some(call) if call.contains("_value(") && !call.starts_with("top") => {
            format!("{call} ORDER BY at, arrival)")
        }
        _ => measure.to_owned(),
    }
}

/// A part of a key over one side of the join.
fn of_side(part: &str, side: &str) -> String {
    let columns = ["unit_code", "payee_account", "settlement", "purpose", "amount"];
    columns.iter().fold(part.to_owned(), |part, column| part.replace(column, &format!("{side}.{column}")))
}

/// The first instant of a window, by calendar arithmetic of its own.
fn from(at: i64, window: &str, zone: &TimeZone) -> i64 {
    let start =
        |date: jiff::civil::Date| date.to_zoned_datetime(zone.clone()).unwrap().timestamp().as_microsecond();
    let date = zone.to_datetime(Timestamp::from_microsecond(at).unwrap()).date();
    let (kind, length) = window.split_once(": ").unwrap();
    match (kind, length) {
        ("to_date", "month") => start(date.first_of_month()),
        ("to_date", "quarter") => start(jiff::civil::date(date.year(), (date.month() - 1) / 3 * 3 + 1, 1)),
        ("to_date", _) => start(date.first_of_year()),
        (_, length) => {
            let number: i64 = length[..length.len() - 1].parse().unwrap();
            match &length[length.len() - 1..] {
                "d" => start(date - (number - 1).days()),
                "m" => at - number * 60_000_000 + 1,
                _ => at - number * 3_600_000_000 + 1,
            }
        }
    }
}

pub(super) async fn oracle(
    events: &[Value],
    zone: &TimeZone,
    at: usize,
) -> BTreeMap<String, Vec<Option<String>>> {
    let (by, window, current) = WINDOWS[at];
    let (window, since) = window.split_once(", since: ").unwrap_or((window, "false"));
    let kept: Vec<_> = events.iter().filter(|e| e["payee_type"] != "self").collect();
    let text = |name: &str| kept.iter().map(|e| e[name].as_str()).collect::<StringArray>();
    let times: Vec<i64> = kept
        .iter()
        .map(|e| e["occurred_at"].as_str().unwrap().parse::<Timestamp>().unwrap().as_microsecond())
        .collect();
    let mut order: Vec<usize> = (0..kept.len()).collect();
    order.sort_by_key(|at| times[*at]);
    let mut places = vec![0; kept.len()];
    (0i64..).zip(&order).for_each(|(place, at)| places[*at] = place);
    let cents = |e: &&Value| e["amount"].as_str().unwrap().replace('.', "").parse::<i128>().unwrap();
    let amounts: Decimal128Array = kept.iter().map(|e| Some(cents(e))).collect();
    let columns: Vec<(&str, Arc<dyn Array>)> = vec![
        ("arrival", Arc::new(Int64Array::from_iter_values(0..i64::try_from(kept.len()).unwrap()))),
        ("event_id", Arc::new(text("event_id"))),
        ("occurred_at", Arc::new(TimestampMicrosecondArray::from(times.clone()).with_timezone("UTC"))),
        ("at", Arc::new(Int64Array::from(times.clone()))),
        ("place", Arc::new(Int64Array::from(places))),
        ("from_at", Arc::new(times.iter().map(|t| Some(from(*t, window, zone))).collect::<Int64Array>())),
        ("amount", Arc::new(amounts.with_precision_and_scale(18, 2).unwrap())),
        ("unit_code", Arc::new(text("unit_code"))),
        ("payee_account", Arc::new(text("payee_account"))),
        ("settlement", Arc::new(text("settlement"))),
        ("purpose", Arc::new(text("purpose"))),
    ];
    let context = SessionContext::new();
    fiscwatch::sql::functions::aggregates().into_iter().for_each(|f| context.register_udaf(f));
    context.register_batch("events", RecordBatch::try_from_iter(columns).unwrap()).unwrap();
    // A quotient is held against exact arithmetic, as the engine's own cuts it off.
    let quotient = |sql: &'static str| match sql {
        "avg(amount)" => Some(("sum(amount)", "count(amount)")),
        other => other.split_once(" / "),
    };
    let measure = |(name, sql): &(&str, &'static str)| match quotient(sql) {
        Some((above, below)) => {
            format!("cast({above} AS varchar) || '/' || cast({below} AS varchar) AS {name}")
        }
        // DataFusion's median has the digits of what it is of, and cuts off the others.
        None => {
            let exact =
                in_sql(sql).replace("median(amount)", "median(cast(amount as decimal(19, 3)))").replace(
                    "median(cast(occurred_at as bigint))",
                    "median(cast(cast(occurred_at as bigint) as decimal(21, 1)))",
                );
            format!("{exact} AS {name}")
        }
    };
    let measures: Vec<_> = MEASURES.iter().map(measure).collect();
    let same = by
        .split(", ")
        .filter(|k| !k.is_empty())
        .map(|k| format!("({} IS NOT DISTINCT FROM {})", of_side(k, "p"), of_side(k, "q")));
    let same: Vec<_> = same.chain([String::from("q.at >= p.from_at AND q.at <= p.at")]).collect();
    let order = if current { "<=" } else { "<" };
    let sql = format!(
        "WITH pairs AS (SELECT p.event_id AS subject, q.* FROM events p JOIN events q ON q.arrival {order} p.arrival AND {}),
           marks AS (SELECT subject AS whose, max(place) AS mark FROM pairs WHERE {since} GROUP BY subject)
         SELECT subject, {} FROM pairs LEFT JOIN marks ON whose = subject WHERE mark IS NULL OR place >= mark GROUP BY subject",
        same.join(" AND "),
        measures.join(", ")
    );
    let mut results: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
    for batch in context.sql(&sql).await.unwrap().collect().await.unwrap() {
        for row in 0..batch.num_rows() {
            let cell = |column: usize| {
                let array = batch.column(column);
                (!array.is_null(row)).then(|| array_value_to_string(array, row).unwrap())
            };
            results.insert(cell(0).unwrap(), (1..=MEASURES.len()).map(cell).collect());
        }
    }
    // An event whose window is empty has no row in a join.
    let empty = |name: &str| name.starts_with('n') || matches!(name, "payees" | "purposes");
    for event in kept {
        let row = || MEASURES.iter().map(|(name, _)| empty(name).then(|| String::from("0"))).collect();
        results.entry(event["event_id"].as_str().unwrap().to_owned()).or_insert_with(row);
    }
    results
}

pub(super) fn same(name: &str, found: &Value, expected: Option<&str>) -> bool {
    let found = match found {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    match (found, expected) {
        (None, None) => true,
        (Some(found), Some(expected)) if matches!(name, "sd" | "vp" | "benford") => {
            // DataFusion's own variance is computed in floats, ours from exact sums.
            let (a, b): (f64, f64) = (found.parse().unwrap(), expected.parse().unwrap());
            (a - b).abs() <= 1e-6 * a.abs().max(b.abs()) + 1e-9
        }
        (Some(found), Some(expected)) if matches!(name, "middle_log" | "log_spread") => {
            // Bit for bit the same before they were written (`aggregate/median.rs`); serde_json reads to the last bit but one.
            let (a, b): (f64, f64) = (found.parse().unwrap(), expected.parse().unwrap());
            (a - b).abs() <= 4.0 * f64::EPSILON * a.abs().max(b.abs())
        }
        (Some(found), Some(expected)) if matches!(name, "share" | "mean") => {
            let number = |text: &str| text.parse::<rust_decimal::Decimal>().unwrap();
            let (above, below) = expected.split_once('/').unwrap();
            number(&found) == (number(above) / number(below)).trunc_with_scale(18)
        }
        (Some(found), Some(expected)) if name.starts_with("different") => {
            // In which order they come is DataFusion's affair, and the order of a join's rows has a part in it.
            let sorted = |list: &str| {
                let mut items: Vec<_> =
                    list.trim_matches(['[', ']']).split(", ").map(str::to_owned).collect();
                items.sort();
                items
            };
            sorted(&found) == sorted(expected)
        }
        (Some(found), Some(expected)) => {
            let number = |text: &str| text.parse::<rust_decimal::Decimal>().map(|d| d.normalize());
            found == expected || matches!((number(&found), number(expected)), (Ok(a), Ok(b)) if a == b)
        }
        _ => false,
    }
}
