//! The cookbook of docs/rules.md: its rules as they are printed there, against SQL over the whole history.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, StringArray},
    util::display::array_value_to_string,
};
use datafusion::prelude::SessionContext;
use jiff::Timestamp;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::support::{Bench, lines, payment};

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
/// Of Asia/Shanghai.
const OFFSET: i64 = 8 * HOUR;

/// What each pattern finds, by its id: the event, or the key, the start and the end of the window. `day` counts local days,
/// `month` local months, and all amounts are in cents. Schedules are not here: they are SQL themselves.
const PATTERNS: &[(&str, &str)] = &[
    (
        "meetings-of-the-month",
        "SELECT event_id FROM (
           SELECT *, sum(cents) OVER (PARTITION BY unit, month ORDER BY arrival) AS total FROM payments WHERE class = '30215')
         WHERE total > 8000000 AND total - cents <= 8000000",
    ),
    (
        "cash-beyond-the-cap",
        "SELECT event_id FROM (
           SELECT *, sum(cents) OVER (PARTITION BY unit, year ORDER BY arrival) AS total FROM payments
           WHERE settlement = 'cash' AND unit = 'u0')
         WHERE total > 30000000",
    ),
    (
        "refund-after-hours",
        "SELECT DISTINCT r.event_id FROM events r JOIN payments p ON p.line = r.line AND p.cents = r.cents AND p.arrival < r.arrival
         WHERE r.kind = 'refund' AND p.at > r.at - 86400000000",
    ),
    (
        "supplier-beyond-a-million",
        "SELECT p.event_id FROM events p LEFT JOIN payments q
           ON q.unit = p.unit AND q.account = p.account AND q.year = p.year AND q.arrival <= p.arrival
         WHERE p.kind IN ('application', 'payment') GROUP BY p.event_id, p.kind, p.cents
         HAVING coalesce(sum(q.cents), 0) + CASE WHEN p.kind = 'application' THEN p.cents ELSE 0 END > 100000000",
    ),
    (
        "same-bill-other-spelling",
        "SELECT event_id FROM (
           SELECT p.event_id, p.invoice, last_value(q.invoice ORDER BY q.arrival) AS written FROM bills p JOIN bills q
             ON q.account = p.account AND q.cents = p.cents AND q.digits = p.digits AND q.arrival < p.arrival AND q.day > p.day - 400
           GROUP BY p.event_id, p.invoice)
         WHERE written <> invoice",
    ),
    (
        "same-bill-again",
        "SELECT event_id FROM (
           SELECT p.event_id, count(DISTINCT o.account) AS payees,
             sum(CASE WHEN o.unit = p.unit AND o.account = p.account AND o.arrival < p.arrival THEN 1 ELSE 0 END) AS n
           FROM bills p JOIN bills o ON o.invoice = p.invoice AND o.arrival <= p.arrival AND o.day > p.day - 400
           GROUP BY p.event_id)
         WHERE n > 0 AND payees < 5",
    ),
    (
        "account-changed",
        "SELECT event_id FROM (
           SELECT *, lag(account, 1) OVER w AS one, lag(account, 2) OVER w AS two, lag(day, 2) OVER w AS from_day
           FROM payments WHERE payee_type = 'entity' WINDOW w AS (PARTITION BY name ORDER BY arrival))
         WHERE one = two AND account <> one AND from_day > day - 400",
    ),
    (
        "paid-by-another-unit",
        "SELECT event_id FROM (
           SELECT p.event_id, sum(CASE WHEN q.unit = p.unit THEN 1 ELSE 0 END) AS own FROM bills p JOIN bills q
             ON q.account = p.account AND q.invoice = p.invoice AND q.cents = p.cents AND q.arrival < p.arrival AND q.day > p.day - 90
           GROUP BY p.event_id)
         WHERE own = 0",
    ),
    (
        "more-than-a-usual-month",
        "SELECT event_id FROM (
           SELECT p.event_id, p.cents, sum(CASE WHEN q.day > p.day - 30 THEN q.cents ELSE 0 END) AS total, sum(q.cents) AS whole,
             count(DISTINCT q.month) AS months
           FROM payments p JOIN payments q
             ON q.unit = p.unit AND q.account = p.account AND q.arrival <= p.arrival AND q.day > p.day - 400
           GROUP BY p.event_id, p.cents)
         WHERE months >= 6 AND total * months > 3 * whole AND (total - cents) * months <= 3 * whole",
    ),
    (
        "refund-not-paid-again",
        "SELECT concat(r.line, ' ', cast(r.at AS varchar), ' ', cast((r.day + 11) * 86400000000 - 28800000000 AS varchar))
         FROM (SELECT * FROM events WHERE kind = 'refund') r
           LEFT JOIN payments p ON p.line = r.line AND p.cents = r.cents AND p.at >= r.at AND p.day <= r.day + 10
         GROUP BY r.line, r.cents, r.at, r.day HAVING count(p.event_id) = 0",
    ),
    (
        "no-word-from-the-bank",
        "SELECT concat(p.event_id, ' ', cast(p.at AS varchar), ' ', cast((p.day + 4) * 86400000000 - 28800000000 AS varchar))
         FROM payments p LEFT JOIN (SELECT * FROM events WHERE kind = 'confirmation') c ON c.original = p.event_id AND c.day <= p.day + 3
         GROUP BY p.event_id, p.at, p.day, p.cents HAVING p.cents > coalesce(sum(c.cents), 0)",
    ),
    (
        "in-small-parts",
        "SELECT concat(unit, ' ', account, ' ', cast(min(at) AS varchar), ' ',
           cast(least(max(day) + 3, max(next_year)) * 86400000000 - 28800000000 AS varchar))
         FROM (
           SELECT *, sum(begins) OVER (PARTITION BY unit, account ORDER BY arrival) AS session FROM (
             SELECT *, CASE WHEN lag(day) OVER w >= day - 2 AND lag(year) OVER w = year THEN 0 ELSE 1 END AS begins
             FROM payments WHERE cents < 20000000 WINDOW w AS (PARTITION BY unit, account ORDER BY arrival)))
         GROUP BY unit, account, session HAVING count(*) >= 3 AND sum(cents) >= 20000000",
    ),
    (
        "much-since-the-large-one",
        "WITH marks AS (
           SELECT p.event_id, max(l.arrival) AS mark FROM payments p JOIN payments l
             ON l.unit = p.unit AND l.account = p.account AND l.cents >= 10000000 AND l.arrival <= p.arrival AND l.day > p.day - 400
           GROUP BY p.event_id)
         SELECT event_id FROM (
           SELECT p.event_id, p.cents, l.cents AS base, sum(q.cents) - l.cents AS more
           FROM marks m JOIN payments p ON p.event_id = m.event_id JOIN payments l ON l.arrival = m.mark
             JOIN payments q ON q.unit = p.unit AND q.account = p.account AND q.arrival >= m.mark AND q.arrival <= p.arrival
           GROUP BY p.event_id, p.cents, l.cents)
         WHERE more > base AND more - cents <= base",
    ),
    (
        "one-payee-year",
        "SELECT concat(unit, ' ', cast((next_year - 365) * 86400000000 - 28800000000 AS varchar), ' ',
           cast(next_year * 86400000000 - 28800000000 AS varchar))
         FROM (SELECT unit, next_year, sum(cents) AS of_one, count(*) AS n FROM payments GROUP BY unit, next_year, account)
         GROUP BY unit, next_year HAVING sum(n) >= 20 AND max(of_one) * 10 > sum(of_one) * 4",
    ),
];

/// Fifteen months of a few units and payees, in the order of their times.
fn events(seed: u64) -> Vec<(i64, Value)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut clock = "2026-01-05T00:00:00Z".parse::<Timestamp>().unwrap().as_microsecond();
    let mut events: Vec<(i64, Value)> = Vec::new();
    for n in 0..900 {
        clock += if rng.random_ratio(1, 9) { 0 } else { rng.random_range(0..24 * HOUR) };
        let cents = match rng.random_range(0..10) {
            0 => 12_000_000,
            1 => 25_000_000,
            2..6 => 1_500_000,
            _ => rng.random_range(100..9_000_000),
        };
        let id = format!("e{n}");
        let mut event = payment(&id, &format!("L{}", rng.random_range(0..3)), &money(cents));
        let payee = [0, 0, 0, 0, 1, 2, 3, 4, 5][rng.random_range(0..9)];
        event["unit_code"] = json!(format!("u{}", rng.random_range(0..2)));
        event["payee_name"] = json!(["甲公司", "乙公司", "丙公司", "丁公司", "戊公司", "己公司"][payee]);
        event["payee_account"] = json!(format!("a{payee}{}", if rng.random_ratio(1, 12) { "x" } else { "" }));
        event["payee_type"] = json!(["entity", "entity", "entity", "person"][rng.random_range(0..4)]);
        event["economic_code"] = json!(["30215", "30201", "30214", "30299"][rng.random_range(0..4)]);
        event["settlement"] = json!(["cash", "transfer"][rng.random_range(0..2)]);
        if let Some(invoice) =
            [None, Some("A-1001"), Some("A1001"), Some("B-2002"), Some("0000"), Some("C-3003")]
                [rng.random_range(0..6)]
        {
            event["invoice_no"] = json!(invoice);
        }
        if rng.random_ratio(1, 8) {
            event["type"] = json!("application");
            events.push((clock, event));
            continue;
        }
        let line = event["budget_line_id"].clone();
        events.push((clock, event));
        let mut later = |kind: &str, days: i64, cents: i64, more: &mut dyn FnMut(&mut Value)| {
            let at = clock + rng.random_range(0..days * DAY);
            let id = format!("{kind}{n}");
            let mut event = json!({"event_id": id, "type": kind, "original_event_id": format!("e{n}"),
                "budget_line_id": line, "amount": money(cents)});
            more(&mut event);
            events.push((at, event));
        };
        match n % 6 {
            0 => later("refund", 3, cents, &mut |_| {}),
            1 => {}
            2 => later("confirmation", 3, (cents / 2).max(1), &mut |e| e["status"] = json!("partial")),
            _ => later("confirmation", 5, cents, &mut |e| e["status"] = json!("paid")),
        }
    }
    events.sort_by_key(|(at, _)| *at);
    for (at, event) in &mut events {
        event["occurred_at"] = json!(Timestamp::from_microsecond(*at).unwrap().to_string());
    }
    events
}

fn money(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// The rules that the cookbook prints.
fn printed() -> String {
    let page = include_str!("../../docs/rules.md");
    let cookbook = page.split("\n## Cookbook\n").nth(1).unwrap();
    let blocks = cookbook.split("```yaml\nrules:\n").skip(1);
    let rules: String = blocks.map(|block| block.split("```").next().unwrap()).collect();
    format!("rules:\n{rules}")
}

async fn in_sql(events: &[(i64, Value)]) -> BTreeMap<&'static str, BTreeSet<String>> {
    let number = |of: &dyn Fn(i64, &Value) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(events.iter().map(|(at, event)| of(*at, event))))
    };
    let text = |name: &str| -> ArrayRef {
        Arc::new(events.iter().map(|(_, event)| event[name].as_str()).collect::<StringArray>())
    };
    let local = |at: i64| {
        jiff::tz::TimeZone::UTC.to_datetime(Timestamp::from_microsecond(at + OFFSET).unwrap()).date()
    };
    let day =
        |date: jiff::civil::Date| i64::from(date.since(jiff::civil::date(1970, 1, 1)).unwrap().get_days());
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("arrival", Arc::new(Int64Array::from_iter_values(0..i64::try_from(events.len()).unwrap()))),
        ("event_id", text("event_id")),
        ("kind", text("type")),
        ("at", number(&|at, _| at)),
        ("day", number(&|at, _| day(local(at)))),
        ("month", number(&|at, _| i64::from(local(at).year()) * 12 + i64::from(local(at).month()))),
        ("year", number(&|at, _| i64::from(local(at).year()))),
        ("next_year", number(&|at, _| day(jiff::civil::date(local(at).year() + 1, 1, 1)))),
        ("cents", number(&|_, event| event["amount"].as_str().unwrap().replace('.', "").parse().unwrap())),
        ("line", text("budget_line_id")),
        ("unit", text("unit_code")),
        ("name", text("payee_name")),
        ("account", text("payee_account")),
        ("payee_type", text("payee_type")),
        ("class", text("economic_code")),
        ("settlement", text("settlement")),
        ("invoice", text("invoice_no")),
        ("original", text("original_event_id")),
    ];
    let context = SessionContext::new();
    context
        .register_batch(
            "events",
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, c)| (name, c, true)))
                .unwrap(),
        )
        .unwrap();
    for view in [
        "CREATE VIEW payments AS SELECT * FROM events WHERE kind = 'payment'",
        "CREATE VIEW bills AS SELECT *, CASE WHEN regexp_like(invoice, '[0-9]{4}') THEN regexp_replace(invoice, '[^0-9]', '', 'g') END AS digits
         FROM payments WHERE invoice IS NOT NULL",
    ] {
        context.sql(view).await.unwrap();
    }
    let mut found = BTreeMap::new();
    for (rule, sql) in PATTERNS {
        let batches =
            context.sql(sql).await.unwrap_or_else(|e| panic!("{rule}: {e}")).collect().await.unwrap();
        let rows = batches.iter().flat_map(|batch| {
            (0..batch.num_rows()).map(|row| array_value_to_string(batch.column(0), row).unwrap())
        });
        found.insert(*rule, rows.collect::<BTreeSet<_>>());
    }
    found
}

#[test]
fn the_cookbook_finds_what_sql_over_the_whole_history_finds() {
    let rules = printed();
    let ids: BTreeSet<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- id: ")).collect();
    let known: BTreeSet<&str> =
        PATTERNS.iter().map(|(rule, _)| *rule).chain(["no-rent-this-month"]).collect();
    assert_eq!(ids, known);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (seed, rows) in [(1, "64"), (2, "1"), (3, "4096")] {
        let events = events(seed);
        let all: Vec<Value> = events.iter().map(|(_, event)| event.clone()).collect();
        let bench = Bench::new(&lines(&all), "lists: { cash_caps: { path: caps.csv, key: unit_code } }\n");
        std::fs::write(bench.path().join("caps.csv"), "unit_code,cap\nu0,300000\n").unwrap();
        std::fs::write(bench.path().join("rules/rules.yaml"), &rules).unwrap();
        let (findings, _) = bench.backtest(&["--batch-rows", rows]);
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for finding in &findings {
            let finding: Value = serde_json::from_str(finding).unwrap();
            let rule = finding["rule_id"].as_str().unwrap().to_owned();
            let micros = |name: &str| {
                finding["window"][name].as_str().unwrap().parse::<Timestamp>().unwrap().as_microsecond()
            };
            let subject = match finding["event_id"].as_str() {
                Some(id) => id.to_owned(),
                None if finding["window"].is_null() => continue,
                None => {
                    let key = finding["key"].as_object().unwrap().values().map(|v| v.as_str().unwrap());
                    let key = key.collect::<Vec<_>>().join(" ");
                    format!("{key} {} {}", micros("start"), micros("end"))
                }
            };
            found.entry(rule).or_default().insert(subject);
        }
        for (rule, expected) in runtime.block_on(in_sql(&events)) {
            assert!(!expected.is_empty(), "seed {seed}: {rule} finds nothing, which is no test");
            assert_eq!(found.remove(rule).unwrap_or_default(), expected, "seed {seed}: {rule}");
        }
    }
}
