//! Moments, lengths of time and money have types: what is a number yet is listed here, and the lists only grow shorter.

use std::{collections::BTreeMap, path::Path};

use regex::Regex;

use crate::support::source_files;

/// Rooms in which moments are numbers for a reason: columns of Arrow as slices, offsets of sources, and a treasury that is
/// made up.
const NUMBERS: &[&str] = &["evaluate/", "sql/", "simulate/", "source/"];

/// Files that have fields and parameters yet that are a time by their name and a number by their type, and how many. A number
/// here only falls, and a file that has none any more leaves the list.
const UNTYPED: &[(&str, usize)] =
    &[("alert/desk/order.rs", 2), ("decode/instant.rs", 1), ("event/instant.rs", 2), ("event/local.rs", 1)];

/// Fields, parameters and results that tell a time by their names: `at`, `now`, `opened_at`, `since_micros`.
fn untyped(code: &str) -> usize {
    let code = code.split("#[cfg(test)]\nmod ").next().unwrap();
    let name =
        Regex::new(r"(?m)^[^/\n]*?\b(?:at|now|\w+_at|\w+_micros|micros)\s*:\s*(?:Option<|&)*i64\b").unwrap();
    let spelled = Regex::new(r"\b(?:60_000_000|3_600_000_000|86_400_000_000)\b").unwrap();
    name.find_iter(code).count() + spelled.find_iter(code).count()
}

/// Rooms in which money is a number for a reason: columns of Arrow as slices, digits on their way into one, sums that are
/// divided and rounded, and a treasury that is made up.
const PLAIN_MONEY: &[&str] = &["decode/", "evaluate/", "forecast/", "map/", "simulate/", "source/", "sql/"];

/// The same of money: by its name, and `i128` or `i64` by its type.
const UNTYPED_MONEY: &[(&str, usize)] = &[
    ("alert/worth.rs", 1),
    ("event/cents.rs", 2),
    ("event/money.rs", 1),
    ("http/casework.rs", 1),
    ("ledger/after.rs", 4),
    ("trial/forecast.rs", 1),
];

/// Fields, parameters and results that tell money by their names.
fn untyped_money(code: &str) -> usize {
    let code = code.split("#[cfg(test)]\nmod ").next().unwrap();
    let name = Regex::new(
        r"(?m)^[^/\n]*?\b(?:\w*cents|\w*amount|two_above|least|up_to|total|executed|reserved|refunded|cleared)\s*:\s*(?:Option<|&|Vec<)*i(?:64|128)\b",
    );
    name.unwrap().find_iter(code).count()
}

/// What is wrong with a list of files that have numbers yet.
fn wrong(list: &[(&'static str, usize)], numbers: &[&str], count: fn(&str) -> usize) -> Vec<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut listed: BTreeMap<&str, usize> = list.iter().copied().collect();
    let (mut wrong, mut files) = (Vec::new(), 0);
    for (path, text) in source_files(&source) {
        let name = path.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
        let is_code = path.extension().is_some_and(|e| e == "rs") && !name.contains("tests");
        if !is_code || numbers.iter().any(|room| name.starts_with(room)) {
            continue;
        }
        files += 1;
        let (found, most) = (count(&text), listed.remove(name.as_str()));
        match (found, most.unwrap_or(0)) {
            (0, 0) => {}
            (0, _) => wrong.push(format!("{name} has none any more: take it from the list")),
            (found, most) if found > most => {
                wrong.push(format!(
                    "{name} has {found} that are plain numbers, {most} are listed: use the type"
                ));
            }
            (found, most) if found < most => wrong.push(format!("{name} has only {found} left: write that")),
            _ => {}
        }
    }
    wrong.extend(listed.keys().map(|name| format!("{name} is listed and is not there")));
    assert!(files > 300, "only {files} files are read");
    wrong
}

#[test]
fn times_have_types() {
    let wrong = wrong(UNTYPED, NUMBERS, untyped);
    assert!(wrong.is_empty(), "Instant or TimeDelta:\n{}", wrong.join("\n"));
}

#[test]
fn money_has_a_type() {
    let wrong = wrong(UNTYPED_MONEY, PLAIN_MONEY, untyped_money);
    assert!(wrong.is_empty(), "Cents:\n{}", wrong.join("\n"));
}

#[test]
fn money_that_is_a_number_is_seen() {
    assert_eq!(untyped_money("    pub total: i128,\n    /// cents: i128\n    pub left: Cents,"), 1);
    assert_eq!(untyped_money("fn f(most_cents: Option<i64>, id: i64) {}"), 1);
    assert_eq!(untyped_money("fn f(amount: Cents, total: Option<Cents>) {}"), 0);
}

#[test]
fn a_time_that_is_a_number_is_seen() {
    assert_eq!(
        untyped("fn f(at: i64, n: i64, opened_at: Option<i64>) {}"),
        1,
        "one a line is enough to be listed"
    );
    assert_eq!(untyped("    pub first_at: Instant,\n    /// at: i64\n    id: i64,"), 0);
    assert_eq!(untyped("const DAY: i64 = 86_400_000_000;"), 1);
}
