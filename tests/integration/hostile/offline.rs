//! Rules and queries against their bounds, in `check` and in a backtest.

use serde_json::json;

use super::{Bench, CONFIG, row, rules, schedule, write_rules};
use crate::support::{lines, payment};

/// What makes much of little is refused where it is folded, and an error of its row where it is computed.
#[test]
fn functions_that_blow_up_are_capped() {
    for (when, said) in [
        ("length(repeat('x', 2000000000)) > 1", "a value of 'repeat' would have 2000000000 bytes"),
        ("cardinality(range(1, 1000000000)) > 1", "'range' would have"),
        ("cardinality(generate_series(1, 1000000000)) > 1", "'generate_series' would have"),
        ("length(lpad('x', 2000000000)) > 1", "a value of 'lpad' would have"),
        (
            "length(rpad(purpose, 2000000000, 'ab')) > 1 or length(rpad('x', 1000000000)) > 1",
            "a value of 'rpad' would have",
        ),
        ("cardinality(array_repeat('x', 1000000000)) > 1", "'array_repeat' would have"),
        ("cardinality(array_resize([1], 1000000000, 1)) > 1", "'array_resize' would have"),
        (
            "length(replace(repeat('x', 200000), 'x', repeat('y', 200000))) > 1",
            "its constants have 400000 bytes",
        ),
        (
            "length(array_to_string(array_repeat('', 1000), repeat('y', 3000))) > 1",
            "'array_to_string' would have",
        ),
        ("length(repeat('x', 200000) || repeat('x', 200000)) > 1", "its constants have 400000 bytes"),
        ("length(concat(repeat('x', 200000), repeat('x', 200000))) > 1", "its constants have 400000 bytes"),
        ("regexp_like(purpose, '(\\\\\\\\pL{500}){500}')", "the pattern of 'regexp_like' is too large"),
        ("arrow_cast('x', 'FixedSizeBinary(2000000000)') is null", "a fixed length cannot be cast to"),
    ] {
        let bench = Bench::new(&rules(&[row("a", when)]), 0);
        let held = bench.check();
        held.within(when).says(said);
        assert_eq!(held.code, Some(1), "{when}");
    }
}

/// The same in queries, over rows that are there.
#[test]
fn queries_are_ended_when_their_time_or_memory_is_over() {
    let hostile = [
        ("cross-join", "SELECT count(*) AS n FROM payments a, payments b WHERE a.amount + b.amount > 0.5"),
        (
            "skewed-join",
            "SELECT count(*) AS n FROM payments a JOIN payments b ON a.unit_code = b.unit_code JOIN payments c ON c.unit_code = b.unit_code WHERE a.amount + b.amount + c.amount < 0",
        ),
        ("endless", "SELECT count(*) AS n FROM generate_series(1, 4000000000000) a WHERE a.value % 7 = 8"),
        ("distinct", "SELECT count(distinct repeat(event_id, 100000)) AS n FROM payments"),
        (
            "lists",
            "SELECT count(*) AS n FROM (SELECT unnest(range(1, cast(amount as bigint) + 3000)) AS x FROM payments) WHERE x % 7 = 8",
        ),
        ("aggregated", "SELECT length(string_agg(repeat(event_id, 3500), '')) AS n FROM payments"),
        (
            "collected",
            "SELECT cardinality(array_agg(a.event_id || b.event_id)) AS n FROM payments a JOIN payments b ON a.unit_code = b.unit_code",
        ),
        (
            "windows",
            "SELECT max(n) AS n FROM (SELECT sum(a.amount) OVER (PARTITION BY a.unit_code ORDER BY b.amount) AS n FROM payments a JOIN payments b ON a.unit_code = b.unit_code)",
        ),
        (
            "sorted",
            "SELECT a.event_id FROM payments a JOIN payments b ON a.unit_code = b.unit_code ORDER BY a.amount + b.amount, a.event_id || b.event_id",
        ),
        ("wide", "SELECT event_id, repeat(event_id, 2000) AS x FROM payments"),
    ];
    let mut all: Vec<String> = hostile.iter().map(|(id, sql)| schedule(id, sql)).collect();
    all.push(schedule("good", "SELECT count(*) AS n FROM payments"));
    let bench = Bench::new(&rules(&all), 10_000);
    let held = bench.check();
    assert_eq!(held.within("check of hostile queries").code, Some(0), "{}", held.text);
    let held = bench.backtest();
    assert_eq!(held.within("backtest of hostile queries").code, Some(0), "{}", held.text);
    let found = std::fs::read_to_string(bench.path().join("found.jsonl")).unwrap();
    assert!(found.contains("\"good\""), "the rule beside them goes on: {found}");
    for (id, _) in hostile {
        held.says(&format!("rule {id}: "));
        assert!(!found.contains(&format!("\"rule_id\":\"{id}\"")), "{id} finds what it did not see");
    }
    // Ten queries at two ticks, each of which takes its time at most.
    assert!(held.seconds < 40.0, "{} s", held.seconds);
}

/// A rule whose query cannot be stopped loses its own ticks, and no other rule does.
#[test]
fn a_slow_rule_costs_no_other_rule_its_ticks() {
    // One step of it takes far longer than the query may and is waited for.
    let slow = "SELECT max(levenshtein(repeat(left(event_id, 1), 60000), repeat(left(unit_code, 1), 60000))) AS n FROM payments WHERE event_id = 'e0'";
    let good = schedule("good", "SELECT count(*) AS n FROM payments");
    let found = |bench: &Bench| {
        let found = std::fs::read_to_string(bench.path().join("found.jsonl")).unwrap();
        found.lines().filter(|line| line.contains("\"rule_id\":\"good\"")).count()
    };
    let bench = Bench::new(&rules(&[schedule("slow", slow), good.clone()]), 0);
    let events: Vec<_> = (0..6i64)
        .map(|day| {
            let mut event = payment(&format!("e{day}"), "L1", "1.00");
            event["occurred_at"] = json!(1_772_600_000_000i64 + day * 86_400_000);
            event
        })
        .collect();
    std::fs::write(bench.path().join("events.jsonl"), lines(&events)).unwrap();
    std::fs::write(bench.path().join("fiscwatch.yaml"), CONFIG.replace("500ms", "200ms")).unwrap();
    let held = bench.backtest();
    held.within("backtest of a query that cannot be stopped").says("rule slow: ");
    let beside = found(&bench);
    write_rules(&bench, &rules(&[good]));
    bench.backtest();
    assert!(beside >= 4, "{beside} ticks");
    assert_eq!(beside, found(&bench), "{}", held.text);
}

/// What an aggregate collects of a window is as bounded as any other value.
#[test]
fn aggregates_over_a_window_are_capped() {
    let judged = |id: &str, window: &str, measure: &str| {
        format!(
            "  - {{id: {id}, severity: low, {window}, measure: {{ n: \"length({measure})\" }}, when: n > 400000, key: [region_code]}}\n"
        )
    };
    let sliding = "trigger: payment, over: { by: [region_code], last: 30d }";
    let closing = "trigger: window, of: payment, window: { by: [region_code], size: 1d }";
    let long = "string_agg(repeat(event_id, 1000), ',')";
    let list = "array_to_string(array_agg(repeat(event_id, 1000)), ',')";
    let different = "array_to_string(array_agg(distinct repeat(event_id, 1000)), ',')";
    let bench = Bench::new(
        &rules(&[
            judged("sliding", sliding, long),
            judged("closing", closing, long),
            judged("listed", sliding, list),
            judged("different", sliding, different),
            judged("closed", closing, different),
        ]),
        400,
    );
    let checked = bench.check();
    assert_eq!(checked.code, Some(0), "{}", checked.text);
    let held = bench.backtest();
    held.within("backtest of aggregates that collect all of a window");
    for (id, function) in [
        ("sliding", "string_agg"),
        ("closing", "string_agg"),
        ("listed", "array_agg"),
        ("different", "array_agg"),
        ("closed", "array_agg"),
    ] {
        held.says(&format!("rule {id}: "));
        held.says(&format!("a value of '{function}' would have"));
    }
    let found = std::fs::read_to_string(bench.path().join("found.jsonl")).unwrap();
    assert_eq!(found, "", "nothing is found by half a window");
}

/// What is too large is refused by numbers before it is planned.
#[test]
fn a_rule_that_is_too_large_is_refused_before_it_is_planned() {
    let ands = |n: usize| vec!["amount > 1"; n].join(" and ");
    let unions = |n: usize| vec!["SELECT unit_code FROM payments"; n].join(" UNION ALL ");
    let doubled = |n: usize| {
        let steps = (1..n).map(|n| {
            format!(
                "t{n} AS (SELECT a.unit_code FROM t{p} a JOIN t{p} b ON a.unit_code = b.unit_code)",
                p = n - 1
            )
        });
        let first = String::from("t0 AS (SELECT unit_code FROM payments)");
        let all: Vec<_> = std::iter::once(first).chain(steps).collect();
        format!("WITH {} SELECT unit_code FROM t{}", all.join(", "), n - 1)
    };
    let grown = |n: usize| {
        let steps = (1..n).map(|n| format!("t{n} AS (SELECT x + x AS x FROM t{p})", p = n - 1));
        let all: Vec<_> =
            std::iter::once(String::from("t0 AS (SELECT amount AS x FROM payments)")).chain(steps).collect();
        format!("WITH {} SELECT x FROM t{} WHERE x > 1", all.join(", "), n - 1)
    };
    let cases = [
        (row("a", &ands(800)), "conditions or parts stand in one another, 200 are allowed"),
        (row("a", &ands(3000)), "operators, 2000 are allowed"),
        (row("a", &ands(20_000)), "bytes, 65536 are allowed"),
        (
            row("a", &format!("{} amount > 1", "not ".repeat(400))),
            "400 signs stand before one value (`not`, `-`), 40 are allowed",
        ),
        (
            row("a", &format!("{}amount > 1{}", "(".repeat(5000), ")".repeat(5000))),
            "5000 brackets stand in one another",
        ),
        (row("a", &format!("amount {} > 1", "+ 1 ".repeat(1500))), "stand in one another, 200 are allowed"),
        (schedule("a", &unions(300)), "299 conditions or parts"),
        (schedule("a", &unions(150)), "it reads 150 tables, 64 are allowed"),
        (schedule("a", &unions(1500)), "stand in one another, 200 are allowed"),
        (schedule("a", &unions(3000)), "bytes, 65536 are allowed"),
        (schedule("a", &unions(20_000)), "bytes, 65536 are allowed"),
        (schedule("a", &doubled(25)), "it reads 16777216 tables, 64 are allowed"),
        (schedule("a", &grown(30)), "columns, calls and operators, 20000 are allowed"),
        (
            schedule(
                "a",
                "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT n FROM t",
            ),
            "a WITH that reads itself is not allowed",
        ),
        (format!("  - {}{}\n", "[".repeat(100_000), "]".repeat(100_000)), "the file is nested too deeply"),
        (format!("  - {{id: a, title: \"{}\"}}\n", "x".repeat(2 << 20)), "bytes, 1048576 are allowed"),
        (
            (0..2500).map(|n| row(&format!("r{n}"), "amount > 1")).collect(),
            "there are 2500 rules, 2000 are allowed",
        ),
    ];
    for (n, (rule, said)) in cases.into_iter().enumerate() {
        let bench = Bench::new(&rules(&[rule]), 0);
        let held = bench.check();
        held.within(&format!("case {n}: {said}")).says(said);
        assert_eq!(held.code, Some(1), "case {n}: {}", held.text);
    }
}

/// What is just small enough is planned and evaluated, on every way.
#[test]
fn what_is_small_enough_runs() {
    let ands = vec!["amount > 1"; 198].join(" and ");
    let sum = format!("amount {} > 1", "+ 1 ".repeat(190));
    let unions = vec!["SELECT count(*) AS n FROM payments"; 60].join(" UNION ALL ");
    let listed = (0..5000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let text = rules(&[
        row("ands", &ands),
        row("sum", &sum),
        row("listed", &format!("fiscal_year in ({listed})")),
        schedule("unions", &unions),
    ]);
    let bench = Bench::new(&text, 300);
    // Sixty tables take seconds to plan in a debug build.
    std::fs::write(bench.path().join("fiscwatch.yaml"), CONFIG.replace("500ms", "30s")).unwrap();
    assert_eq!(bench.check().within("check of large rules").code, Some(0));
    let held = bench.backtest();
    assert_eq!(held.within("backtest of large rules").code, Some(0), "{}", held.text);
    let found = std::fs::read_to_string(bench.path().join("found.jsonl")).unwrap();
    for id in ["ands", "sum", "listed", "unions"] {
        assert!(found.contains(&format!("\"rule_id\":\"{id}\"")), "{id} finds nothing: {}", held.text);
    }
    assert!(!held.text.contains("could not be evaluated"), "{}", held.text);
}
