//! Budget lines as the console reads them: narrowed, sorted, summed up. What the daemon sums up is compared with what the
//! lines, as it lists them, sum up to here.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, lines, payment};

const LINES: usize = 240;

/// What a line is summed up by.
type Key = fn(&Value, &dyn Fn(&Value, &str, usize) -> String) -> Vec<String>;
/// Whether a query means a line.
type Holds<'h> = &'h dyn Fn(&Value) -> bool;

/// A daemon with lines of several regions, units and classes, some of which are overspent.
fn treasury() -> (Bench, Daemon) {
    let mut dice = ChaCha8Rng::seed_from_u64(19);
    let mut events = Vec::new();
    for n in 0..LINES {
        let mut code = |of: &[&str]| of[dice.random_range(0..of.len())].to_owned();
        let (region, unit) = (code(&["330100000", "330200000"]), code(&["101001", "101002", "102001"]));
        let (function, economic) = (code(&["2050201", "2050202", "2130135"]), code(&["30201", "31001"]));
        let total = dice.random_range(100..200_000);
        events.push(json!({
            "event_id": format!("b{n}"), "type": "budget", "action": "approve", "occurred_at": "2026-01-02",
            "budget_line_id": format!("L{n:03}"), "amount": format!("{total}.25"), "fiscal_year": 2025 + n % 2,
            "region_code": region, "unit_code": unit, "unit_name": format!("单位{unit}"),
            "function_code": function, "economic_code": economic,
        }));
        if n % 3 > 0 {
            let paid = format!("{}.{:02}", dice.random_range(1..150_000), dice.random_range(0..100));
            events.push(payment(&format!("p{n}"), &format!("L{n:03}"), &paid));
        }
    }
    let bench = Bench::new("", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    assert_eq!(daemon.post("/api/v1/events", &lines(&events)).0, 200);
    (bench, daemon)
}

fn cents(value: &Value) -> i128 {
    value.as_str().unwrap_or_else(|| panic!("{value}")).replace('.', "").parse().unwrap()
}

/// All lines of a list, page after page.
fn all(daemon: &Daemon, query: &str) -> Vec<Value> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = daemon.json(&format!("/api/v1/budget-lines?limit=70&{query}{after}"));
        found.extend(page["budget_lines"].as_array().unwrap_or_else(|| panic!("{page}")).clone());
        let Some(next) = page["next"].as_str() else { return found };
        after = format!("&after={next}");
    }
}

fn sum(lines: &[&Value], name: &str) -> i128 {
    lines.iter().map(|line| cents(&line[name])).sum()
}

const SUMS: [&str; 10] = [
    "total",
    "executed",
    "frozen",
    "reserved",
    "available",
    "planned",
    "plan_available",
    "opening",
    "cleared",
    "uncleared",
];

#[test]
fn totals_are_those_of_the_lines_whatever_they_are_summed_up_by() {
    let (_bench, daemon) = treasury();
    let lines = all(&daemon, "");
    assert_eq!(lines.len(), LINES);
    let text = |line: &Value, name: &str, digits: usize| line[name].as_str().unwrap()[..digits].to_owned();
    let groupings: [(&str, Key); 5] = [
        ("region", |l, text| vec![text(l, "region_code", 9)]),
        ("department", |l, text| vec![text(l, "unit_code", 3)]),
        ("unit,class", |l, text| vec![text(l, "unit_code", 6), text(l, "function_code", 3)]),
        ("year", |l, _| vec![l["fiscal_year"].to_string()]),
        ("function,economic", |l, text| vec![text(l, "function_code", 7), text(l, "economic_code", 5)]),
    ];
    for (by, key) in groupings {
        let mut expected: BTreeMap<Vec<String>, Vec<&Value>> = BTreeMap::new();
        for line in &lines {
            expected.entry(key(line, &text)).or_default().push(line);
        }
        let told = daemon.json(&format!("/api/v1/budget/totals?group_by={by}"));
        let groups = told["groups"].as_array().unwrap_or_else(|| panic!("{told}"));
        assert_eq!(
            (told["total"].as_u64(), groups.len()),
            (Some(expected.len() as u64), expected.len()),
            "{by}"
        );
        for (group, (value, lines)) in groups.iter().zip(&expected) {
            assert_eq!(group["value"], json!(value), "{by}");
            assert_eq!(group["lines"], lines.len());
            let overspent = lines.iter().filter(|l| cents(&l["executed"]) > cents(&l["total"])).count();
            assert_eq!(group["overspent"], overspent);
            for name in SUMS {
                assert_eq!(cents(&group["sums"][name]), sum(lines, name), "{by} {value:?} {name}");
            }
        }
        for name in SUMS {
            assert_eq!(
                cents(&told["sums"][name]),
                sum(&lines.iter().collect::<Vec<_>>(), name),
                "{by} {name}"
            );
        }
    }
    let units = daemon.json("/api/v1/budget/totals?group_by=unit&sort=-executed&limit=2");
    assert_eq!(
        units["groups"][0]["name"],
        json!(format!("单位{}", units["groups"][0]["value"][0].as_str().unwrap()))
    );
    let executed = |at: usize| cents(&units["groups"][at]["sums"]["executed"]);
    assert!(executed(0) >= executed(1));
    let rest = format!(
        "/api/v1/budget/totals?group_by=unit&sort=-executed&limit=2&after={}",
        units["next"].as_str().unwrap().replace('|', "%7C")
    );
    let rest = daemon.json(&rest);
    assert_eq!(rest["groups"].as_array().unwrap().len(), 1);
    assert!(executed(1) >= cents(&rest["groups"][0]["sums"]["executed"]));
    for wrong in ["", "group_by=colour", "group_by=unit,region,year", "group_by=unit&sort=id"] {
        assert_eq!(daemon.get(&format!("/api/v1/budget/totals?{wrong}")).0, 400, "{wrong}");
    }
}

#[test]
fn lines_are_narrowed_and_sorted_and_each_is_on_one_page() {
    let (_bench, daemon) = treasury();
    let lines = all(&daemon, "");
    let holds = |line: &Value, name: &str, start: &str| line[name].as_str().unwrap().starts_with(start);
    let queries: [(&str, Holds<'_>); 7] = [
        ("unit_code=101001", &|l| holds(l, "unit_code", "101001")),
        ("unit=101001,102*", &|l| holds(l, "unit_code", "101001") || holds(l, "unit_code", "102")),
        ("region=3302*&function=205*", &|l| {
            holds(l, "region_code", "3302") && holds(l, "function_code", "205")
        }),
        ("year=2025", &|l| l["fiscal_year"] == 2025),
        ("overspent=true", &|l| cents(&l["executed"]) > cents(&l["total"])),
        ("q=l01", &|l| l["budget_line_id"].as_str().unwrap().contains("L01")),
        ("project=none", &|_| false),
    ];
    for (query, holds) in queries {
        let expected: Vec<&Value> = lines.iter().filter(|line| holds(line)).collect();
        let found = all(&daemon, query);
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query}");
        let page = daemon.json(&format!("/api/v1/budget-lines?limit=1&totals=true&{query}"));
        assert_eq!(page["total"], expected.len(), "{query}");
        for name in SUMS {
            assert_eq!(cents(&page["sums"][name]), sum(&expected, name), "{query} {name}");
        }
    }
    for sort in ["executed", "-available", "-executed_ratio", "last_event_at", "-id"] {
        let found = all(&daemon, &format!("sort={sort}"));
        assert_eq!(found.len(), LINES, "{sort}");
        let (name, descends) = sort.strip_prefix('-').map_or((sort, false), |name| (name, true));
        if matches!(name, "executed" | "available") {
            let sorted = found.windows(2).all(|pair| {
                let (one, other) = (cents(&pair[0][name]), cents(&pair[1][name]));
                if descends { one >= other } else { one <= other }
            });
            assert!(sorted, "{sort}");
        }
    }
    // A payment that was answered is in the next answer.
    let executed = || cents(&daemon.json("/api/v1/budget/totals?group_by=year")["sums"]["executed"]);
    let before = executed();
    assert_eq!(
        daemon.post("/api/v1/events", &crate::support::lines(&[payment("now", "L001", "12.34")])).0,
        200
    );
    assert_eq!(executed() - before, 1234);
}
