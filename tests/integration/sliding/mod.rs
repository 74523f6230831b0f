//! Sliding windows against `DataFusion`'s SQL over the whole history: the same aggregates over a self-join that
//! writes the definition in docs/rules.md down word for word.

mod oracle;

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use self::oracle::{events, oracle, same};
use crate::support::{Bench, assert_same, lines, payment, run};

/// Every aggregate family, with FILTER and DISTINCT, exact and generic.
const MEASURES: &[(&str, &str)] = &[
    ("n", "count(*)"),
    ("n_purpose", "count(purpose)"),
    ("n_cash", "count(*) filter (where settlement = 'cash')"),
    ("payees", "count(distinct payee_account)"),
    ("purposes", "count(distinct purpose) filter (where amount > 100)"),
    ("total", "sum(amount)"),
    ("cash", "sum(amount) filter (where settlement = 'cash')"),
    ("square", "sum(amount * amount)"),
    ("lo", "min(amount)"),
    ("hi", "max(amount)"),
    ("hi_cash", "max(amount) filter (where settlement = 'cash')"),
    ("first_at", "cast(min(occurred_at) as bigint)"),
    ("last_at", "cast(max(occurred_at) as bigint)"),
    ("mean", "avg(amount)"),
    ("sd", "stddev(amount)"),
    ("vp", "var_pop(amount)"),
    ("middle", "median(amount)"),
    ("middle_at", "median(cast(occurred_at as bigint))"),
    ("middle_log", "median(ln(amount)) filter (where settlement = 'cash')"),
    ("log_spread", "median_deviation(ln(amount))"),
    ("different", "array_agg(distinct purpose)"),
    ("different_cash", "array_agg(distinct payee_account) filter (where settlement = 'cash')"),
    ("first_name", "min(payee_account)"),
    ("last_name", "max(payee_account) filter (where settlement = 'cash')"),
    ("last_purpose", "max(purpose)"),
    ("once", "sum(distinct amount)"),
    ("spread", "max(amount) - min(amount)"),
    ("latest", "last_value(amount)"),
    ("oldest", "first_value(purpose)"),
    ("lag", "nth_value(amount, -2)"),
    ("share", "sum(amount) filter (where settlement = 'cash') / sum(amount)"),
    ("top", "top_share(payee_account, amount)"),
    ("benford", "benford_mad(amount)"),
];

/// `by`, the window, and whether the event itself counts.
const WINDOWS: &[(&str, &str, bool)] = &[
    ("unit_code", "last: 90m", true),
    ("unit_code", "last: 24h", false),
    ("unit_code, payee_account", "last: 1d", true),
    ("unit_code, purpose", "last: 7d", true),
    ("", "last: 2d", false),
    ("unit_code", "last: 30d", true),
    ("payee_account", "to_date: month", true),
    ("unit_code", "to_date: quarter", false),
    ("", "to_date: year", true),
    ("settlement", "last: 400d", true),
    ("upper(purpose)", "last: 7d", true),
    ("unit_code, amount % 3", "last: 30d", false),
    ("unit_code", "last: 30d, since: settlement = 'cash' and purpose is null", true),
    ("unit_code", "to_date: quarter, since: amount > 88000", false),
    ("", "last: 400d, since: payee_account = 'p3' and amount > 80000", true),
    ("", "last: 7d, since: settlement = 'cash'", false),
];

fn rules() -> String {
    let mut text = String::from("rules:\n");
    for (at, (by, window, current)) in WINDOWS.iter().enumerate() {
        text.push_str(&format!(
            "  - id: w{at}\n    severity: low\n    trigger: payment\n    where: payee_type <> 'self'\n    over: {{ by: [{by}], {window}, current: {} }}\n    measure:\n",
            if *current { "include" } else { "exclude" }
        ));
        MEASURES.iter().for_each(|(name, sql)| text.push_str(&format!("      {name}: \"{sql}\"\n")));
        let all: Vec<_> = MEASURES.iter().map(|(name, _)| format!("{{{{ {name} }}}}")).collect();
        text.push_str(&format!("    when: n >= 0\n    key: []\n    summary: \"{}\"\n", all.join(" ")));
    }
    text
}

fn findings(bench: &Bench, extra: &[&str]) -> Vec<Value> {
    bench.backtest(extra).0.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn check(zone_name: &str, seed: u64, count: usize) {
    let zone = TimeZone::get(zone_name).unwrap();
    let events = events(seed, count, &zone);
    let bench = Bench::new(&lines(&events), &format!("time_zone: {zone_name}\n"));
    std::fs::write(bench.path().join("rules/rules.yaml"), rules()).unwrap();
    let found = findings(&bench, &["--batch-rows", "100"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kept = events.iter().filter(|e| e["payee_type"] != "self").count();
    assert_eq!(found.len(), kept * WINDOWS.len());
    for (at, window) in WINDOWS.iter().enumerate() {
        let oracle = runtime.block_on(oracle(&events, &zone, at));
        for finding in found.iter().filter(|f| f["rule_id"] == format!("w{at}")) {
            let id = finding["event_id"].as_str().unwrap();
            for ((name, _), expected) in MEASURES.iter().zip(&oracle[id]) {
                let value = &finding["values"][name];
                assert!(
                    same(name, value, expected.as_deref()),
                    "{zone_name} seed {seed} {window:?} {id} {name}: {value} instead of {expected:?}"
                );
            }
        }
    }
}

#[test]
fn every_window_and_aggregate_is_what_sql_over_all_events_says() {
    for seed in 1..4 {
        check("Asia/Shanghai", seed, 700);
        check("Europe/Berlin", seed, 500);
    }
}

/// Two windows of one rule measure what two rules measure, each by its own key.
#[test]
fn windows_of_one_rule_are_those_of_two() {
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let events = events(11, 400, &zone);
    let over = |(by, window, current): (&str, &str, bool)| {
        let current = if current { "include" } else { "exclude" };
        format!("over: {{ by: [{by}], {window}, current: {current} }}")
    };
    let rule = |id: String, when: &str, rest: String, summary: &str| {
        format!(
            "  - {{ id: {id}, severity: low, trigger: payment, where: payee_type <> 'self', key: [], when: {when}, {rest}, summary: '{summary}' }}\n"
        )
    };
    let (a, b) = (
        "measure: { a: count(*), total: sum(amount) }",
        "measure: { b: count(*), newest: last_value(purpose) }",
    );
    let mut text = String::from("rules:\n");
    for (at, pair) in WINDOWS.windows(2).enumerate() {
        let (one, other) = (over(pair[0]), over(pair[1]));
        let both = format!("{one}, {a}, also: [{{ {other}, {b} }}]");
        let told = "{{ a }} {{ total }} {{ b }} {{ newest }}";
        text += &rule(format!("both{at}"), "a >= 0 and b >= 0", both, told);
        text += &rule(format!("a{at}"), "a >= 0", format!("{one}, {a}"), "{{ a }} {{ total }}");
        text += &rule(format!("b{at}"), "b >= 0", format!("{other}, {b}"), "{{ b }} {{ newest }}");
    }
    let bench = Bench::new(&lines(&events), "");
    std::fs::write(bench.path().join("rules/rules.yaml"), text).unwrap();
    let found = findings(&bench, &["--batch-rows", "50"]);
    let summary: BTreeMap<_, _> = found
        .iter()
        .map(|f| {
            (
                (f["rule_id"].as_str().unwrap(), f["event_id"].as_str().unwrap()),
                f["summary"].as_str().unwrap(),
            )
        })
        .collect();
    let both =
        summary.iter().filter_map(|((id, event), text)| Some((id.strip_prefix("both")?, *event, *text)));
    let mut compared = 0;
    for (at, event, text) in both {
        let (a, b) = (format!("a{at}"), format!("b{at}"));
        // A sum of nothing writes nothing, and blanks at an end are cut off.
        let apart = format!("{} {}", summary[&(a.as_str(), event)], summary[&(b.as_str(), event)]);
        assert!(text.split_whitespace().eq(apart.split_whitespace()), "{at} {event}: {text}, {apart}");
        compared += 1;
    }
    assert_eq!(compared * 3, found.len());
    assert!(compared > 2000, "{compared}");
}

/// An event whose key cannot be computed is an error of the rule; the others are judged as if it had no key.
#[test]
fn a_key_that_cannot_be_computed_is_an_error_of_its_event() {
    let with = |(n, purpose): (usize, &str)| {
        let mut event = payment(&format!("e{n}"), "L", "1.00");
        event["purpose"] = json!(purpose);
        event
    };
    let events: Vec<_> = ["1", "x", "01", "x", "2"].into_iter().enumerate().map(with).collect();
    let bench = Bench::new(&lines(&events), "");
    let rule = "rules:\n  - { id: a, severity: low, trigger: payment, over: { by: [cast(purpose as bigint)], last: 30d }, measure: { n: count(*) }, when: n > 0, key: [], summary: '{{ n }}' }\n";
    std::fs::write(bench.path().join("rules/rules.yaml"), rule).unwrap();
    for rows in ["1", "100"] {
        let found = findings(&bench, &["--batch-rows", rows]);
        let told: Vec<_> = found
            .iter()
            .map(|f| [f["event_id"].as_str(), f["summary"].as_str()].map(Option::unwrap))
            .collect();
        assert_eq!(told, [["e0", "1"], ["e2", "2"], ["e4", "1"]]);
    }
}

#[test]
fn windows_do_not_depend_on_batches_or_restarts() {
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let events = events(9, 900, &zone);
    let config = "state: { dir: state, checkpoint_events: 200 }\nengine: { keep_late: 1h }\n";
    let bench = Bench::new(&lines(&events), config);
    std::fs::write(bench.path().join("rules/rules.yaml"), rules()).unwrap();
    let expected = bench.backtest(&["--batch-rows", "65536"]);
    for rows in ["1", "7", "1000"] {
        assert_same(&bench.backtest(&["--batch-rows", rows]), &expected, rows);
    }
    // The daemon gets the stream in parts and is killed after each: windows are filled from the journal again.
    let mut sent = 0;
    for part in events.chunks(170) {
        let daemon = crate::support::Daemon::start(bench.path());
        let (status, answer) = daemon.post("/api/v1/events", &lines(part));
        assert_eq!(status, 200, "{answer}");
        sent += part.len();
    }
    assert_eq!(sent, events.len());
    assert_same(&bench.state(), &expected, "restarts");
}

/// A hot key: more events in the window than are added up again, with many that come late.
#[test]
fn keys_with_many_events_are_counted_on() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let start = "2026-01-05T00:00:00Z".parse::<Timestamp>().unwrap().as_microsecond();
    let events: Vec<_> = (0..1500i64)
        .map(|n| {
            let late = if rng.random_ratio(1, 3) { rng.random_range(0..400) } else { 0 };
            let at = start + (n - late).max(0) * 60_000_000;
            let cents = rng.random_range(1..500);
            let mut event = payment(&format!("e{n}"), "L", &format!("{}.{:02}", cents / 100, cents % 100));
            event["occurred_at"] = json!(Timestamp::from_microsecond(at).unwrap().to_string());
            event["payee_account"] = json!(format!("p{}", rng.random_range(0..40)));
            (at, cents, event)
        })
        .collect();
    let bench = Bench::new(&lines(&events.iter().map(|(_, _, e)| e.clone()).collect::<Vec<_>>()), "");
    let rule = "
rules:
  - id: hot
    severity: low
    trigger: payment
    over: { by: [unit_code], last: 5h }
    measure: { n: count(*), total: sum(amount), lo: min(amount), hi: max(amount), payees: count(distinct payee_account), a: min(payee_account), z: max(payee_account), m: median(amount), names: array_agg(distinct payee_account) }
    when: n > 0 and array_length(names) = payees
    key: []
    summary: '{{ n }} {{ total }} {{ lo }} {{ hi }} {{ payees }} {{ a }} {{ z }} {{ m }}'
";
    std::fs::write(bench.path().join("rules/rules.yaml"), rule).unwrap();
    let found = findings(&bench, &[]);
    assert_eq!(found.len(), events.len());
    for (p, finding) in found.iter().enumerate() {
        let at = events[p].0;
        let window: Vec<_> =
            events[..=p].iter().filter(|(t, ..)| *t > at - 5 * 3_600_000_000 && *t <= at).collect();
        let cents = |c: i64| format!("{}.{:02}", c / 100, c % 100);
        let payees: std::collections::BTreeSet<_> =
            window.iter().map(|(_, _, e)| e["payee_account"].to_string()).collect();
        let mut sorted: Vec<_> = window.iter().map(|(_, c, _)| *c).collect();
        sorted.sort_unstable();
        let both = sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2];
        let middle = cents(both / 2) + if both % 2 == 0 { "" } else { "5" };
        let name = |payee: Option<&String>| payee.unwrap().trim_matches('"').to_owned();
        let expected = format!(
            "{} {} {} {} {} {} {} {}",
            window.len(),
            cents(window.iter().map(|(_, c, _)| c).sum()),
            cents(window.iter().map(|(_, c, _)| *c).min().unwrap()),
            cents(window.iter().map(|(_, c, _)| *c).max().unwrap()),
            payees.len(),
            name(payees.first()),
            name(payees.last()),
            middle
        );
        assert_eq!(finding["summary"], expected, "event {p}");
    }
}

#[test]
fn mistakes_in_windows_are_told_with_their_place() {
    let bench = Bench::new("", "");
    let check = |rule: &str| {
        std::fs::write(
            bench.path().join("rules/rules.yaml"),
            format!(
                "rules:\n  - {{ id: a, severity: low, trigger: payment, key: [], when: n > 1, {rule} }}\n"
            ),
        )
        .unwrap();
        let (code, _, err) = run(bench.path(), &["check", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(1), "{rule}: {err}");
        err.replace(&bench.path().display().to_string(), "")
    };
    let told: Vec<_> = [
        "over: { by: [unit_cod], last: 7d }, measure: { n: count(*) }",
        "over: { by: [unit_code], last: 7 }, measure: { n: count(*) }",
        "over: { by: [unit_code] }, measure: { n: count(*) }",
        "over: { by: [unit_code], last: 7d, to_date: month }, measure: { n: count(*) }",
        "over: { last: 7d }, measure: { n: count(*) }",
        "over: { by: [unit_code], last: 7d }",
        "measure: { n: count(*) }",
        "over: { by: [unit_code], last: 7d }, measure: { n: amount }",
        "over: { by: [unit_code], last: 7d }, measure: { n: cont(*) }",
        "over: { by: [unit_code], last: 7d }, measure: { n: sum(amont) }",
        "over: { by: [unit_code], last: 7d }, measure: { amount: sum(amount) }",
        "over: { by: [unit_code], last: 7d }, measure: { n: amount / sum(amount) }",
        "over: { by: [unit_code], last: 7d }, measure: { n: count(*), m: sum(n) }",
        "over: { by: [unit_code], last: 7d }, measure: { n: array_agg(amount order by amount) }",
        "window: { by: [], size: 1d }",
        "over: { by: [uper(unit_code)], last: 7d }, measure: { n: count(*) }",
        "over: { by: [upper(unit_cod)], last: 7d }, measure: { n: count(*) }",
        "over: { by: [1 + 1], last: 7d }, measure: { n: count(*) }",
        "over: { by: [count(amount) + 1], last: 7d }, measure: { n: count(*) }",
        "over: { by: [unit_code], last: 7d }, measure: { n: count(*) }, also: [{ over: { by: [], last: 7d }, measure: { n: count(*) } }]",
        "over: { by: [unit_code], last: 7d }, measure: { n: count(*) }, also: [{ over: { by: [], last: 7d } }]",
        "also: [{ over: { by: [], last: 7d }, measure: { n: count(*) } }]",
    ]
    .iter()
    .map(|rule| format!("{rule}\n{}", check(rule)))
    .collect();
    insta::assert_snapshot!(told.join("\n"));
}

/// A reload: an unchanged window goes on, a new one has what the journal has, and nothing is found about the past.
#[test]
fn a_new_rule_starts_with_the_windows_of_the_past_and_no_findings_about_it() {
    let rule = |id: &str, last: &str, when: &str| {
        format!(
            "  - {{ id: {id}, severity: low, trigger: payment, over: {{ by: [unit_code], last: {last} }}, measure: {{ n: count(*), total: sum(amount) }}, when: {when}, key: [unit_code], summary: '{{{{ n }}}} {{{{ total }}}}' }}\n"
        )
    };
    let surge = "  - { id: surge, severity: low, trigger: window, of: payment, window: { by: [unit_code], size: 1d }, measure: { total: sum(amount) }, anomaly: { of: total, method: ratio, history: 5, min_history: 3 }, when: score > 1.5, key: [unit_code], summary: '{{ total }} {{ score }} {{ n_history }}' }\n";
    let bench = Bench::new("", "state: { dir: state }\n");
    let rules = bench.path().join("rules/rules.yaml");
    std::fs::write(&rules, format!("rules:\n{}", rule("old", "30d", "n >= 4"))).unwrap();
    let daemon = crate::support::Daemon::start(bench.path());
    let send = |id: &str, day: u32, amount: &str| {
        let mut event = payment(id, "L", amount);
        event["occurred_at"] = json!(format!("2026-03-{day:02}T10:00:00+08:00"));
        let (status, answer) = daemon.post("/api/v1/events", &lines(&[event]));
        assert_eq!(status, 200, "{answer}");
    };
    (1..=3).for_each(|day| send(&format!("a{day}"), day, "10.00"));
    std::fs::write(
        &rules,
        format!("rules:\n{}{}{surge}", rule("old", "30d", "n >= 4"), rule("new", "2d", "n >= 2")),
    )
    .unwrap();
    let (status, answer) = daemon.post("/-/reload", "");
    assert_eq!((status, answer.as_str()), (200, "3 rules are in force\n"));
    send("b1", 4, "25.00");
    // Two days later the day of b1 is over, once a second event says so.
    send("b2", 6, "1.00");
    send("b3", 6, "2.00");
    let found = daemon.json("/api/v1/findings");
    let mut found: Vec<String> = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| {
            format!(
                "{} {} {}",
                f["rule_id"].as_str().unwrap(),
                f["at"].as_str().unwrap(),
                f["summary"].as_str().unwrap()
            )
        })
        .collect();
    found.sort();
    let expected = [
        // The windows of the past are full, and a1 to a3 are not found for the new rule.
        "new 2026-03-04T10:00:00+08:00 2 35.00",
        "new 2026-03-06T10:00:00+08:00 2 3.00",
        "old 2026-03-04T10:00:00+08:00 4 55.00",
        "old 2026-03-06T10:00:00+08:00 5 56.00",
        "old 2026-03-06T10:00:00+08:00 6 58.00",
        "surge 2026-03-05T00:00:00+08:00 25.00 2.5 3",
    ];
    assert_eq!(found, expected);
    let metrics = daemon.get("/metrics").1;
    assert!(
        metrics.contains("fiscwatch_watermark_timestamp_seconds{source=\"http\"} 1772761800"),
        "{metrics}"
    );
    assert!(metrics.contains("fiscwatch_window_items{kind=\"panes\"}"), "{metrics}");
}
