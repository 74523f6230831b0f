//! What people write wrong, and what they are told: in their language, in our words, at the place.
//!
//! The inputs are `fixtures/mistakes.txt`; the whole messages are snapshots, one a language.

use std::{fmt::Write, path::Path, process::Command};

use fiscwatch::{
    diagnostic::{Diagnostic, lines},
    lists::Lists,
    rule::{self, compile::Compiler},
    text::{self, Language},
    trial::unit_test,
};

use crate::support::{calendar, write};

const INPUTS: &str = include_str!("fixtures/mistakes.txt");

/// Words of libraries and of the operating system, which mean nothing to an officer or an author of rules.
const FORBIDDEN: &[&str] = &[
    "Decimal128",
    "Decimal256",
    "Utf8",
    "Int32",
    "Int64",
    "UInt64",
    "Float64",
    "Timestamp(",
    "Date32",
    "SchemaError",
    "Schema error",
    "os error",
    "unknown variant",
    "unknown field `",
    "expected one of",
    "invalid type",
    "invalid value",
    "missing field",
    "ParserError",
    "TokenizerError",
    "sql parser",
    "SQL error",
    "Arrow",
    "arrow",
    "DataFusion",
    "datafusion",
    "sqlparser",
    "Error during planning",
    "simple key",
    "mapping values",
    "while parsing",
    "while scanning",
    "block mapping",
    "Expected:",
    "found: EOF",
    "coerce",
    "coercion",
    "Candidate functions",
    "UDF",
    "No field named",
    "serde",
    "minijinja",
    "syntax error:",
    "unexpected character",
    "PGOverlap",
    "ScalarFunction",
    "Cast error",
    "Compute error",
    "Plan(",
    "External",
    "panicked",
];

/// The sections of the file: kind, name and text.
fn inputs() -> Vec<(&'static str, &'static str, String)> {
    let sections = INPUTS.split("\n== ").skip(1);
    sections
        .map(|section| {
            let (head, text) = section.split_once('\n').unwrap_or((section, ""));
            let (kind, name) = head.split_once(' ').unwrap();
            (kind, name, text.trim_end_matches('\n').to_owned())
        })
        .collect()
}

fn indented(text: &str) -> String {
    text.lines().flat_map(|line| ["      ", line, "\n"]).collect()
}

/// What is said about an input, with the folder left out.
fn told(kind: &str, text: &str, folder: &Path) -> String {
    let rule = |body: String| format!("rules:\n  - id: a\n    severity: low\n    key: []\n{body}");
    let file = match kind {
        "when" => rule(format!("    trigger: payment\n    when: |\n{}", indented(text))),
        "measure" => rule(format!(
            "    trigger: payment\n    over: {{ by: [], last: 7d }}\n    when: m is not null\n    measure:\n     m: |\n{}",
            indented(text)
        )),
        "sql" => rule(format!("    trigger: schedule\n    every: 1d\n    sql: |\n{}", indented(text))),
        _ => text.to_owned(),
    };
    let path = write(folder, "input.yaml", &file);
    let problems = match kind {
        "tests" => unit_test::run(&[path]).problems,
        _ => checked(&path),
    };
    lines(&problems).replace(&format!("{}/", folder.display()), "")
}

fn checked(path: &Path) -> Vec<Diagnostic> {
    let compiler = Compiler::new(&calendar(), Lists::default(), Language::En);
    rule::load(&[path.to_owned()], &compiler, &calendar(), &std::collections::BTreeMap::default()).problems
}

fn all_told() -> String {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        "r.yaml",
        "rules: [{id: r, severity: low, trigger: payment, when: amount > 5, key: []}]",
    );
    let mut all = String::new();
    for (kind, name, text) in inputs() {
        let said = told(kind, &text, dir.path());
        let _ = writeln!(all, "== {kind} {name}\n{said}");
    }
    let gbk = dir.path().join("gbk.yaml");
    std::fs::write(&gbk, b"rules:\n  - title: \xb4\xf3\xb6\xee\xcf\xd6\xbd\xf0\n").unwrap();
    for path in [gbk, dir.path().join("missing.yaml"), dir.path().join("r.yaml/below.yaml")] {
        let said = lines(&checked(&path)).replace(&format!("{}/", dir.path().display()), "");
        let _ = writeln!(all, "== file\n{said}");
    }
    all
}

/// Says everything in one language; the language is a process's own, so each has one.
#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn says() {
    let chinese = std::env::var("MISTAKES_LANGUAGE").is_ok_and(|language| language == "zh");
    text::speak(if chinese { Language::Zh } else { Language::En });
    println!("<<<\n{}>>>", all_told());
}

fn said_in(language: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "mistakes::says", "--ignored", "--nocapture"])
        .env("MISTAKES_LANGUAGE", language)
        .output()
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let said = out.split_once("<<<\n").and_then(|(_, rest)| rest.rsplit_once(">>>"));
    said.unwrap_or_else(|| panic!("{out}{}", String::from_utf8_lossy(&output.stderr))).0.to_owned()
}

/// Every input is a mistake, told with its place, and never in a library's words.
fn check(said: &str) {
    let mut wrong = Vec::new();
    for section in said.split("== ").filter(|section| !section.is_empty()) {
        let (name, message) = section.split_once('\n').unwrap();
        if message.trim().is_empty() {
            wrong.push(format!("{name}: nothing is wrong with it"));
        }
        wrong.extend(
            FORBIDDEN
                .iter()
                .filter(|word| message.contains(*word))
                .map(|word| format!("{name} says {word:?}: {message}")),
        );
        for line in message.lines().filter(|line| !line.starts_with(' ')) {
            let placed = line
                .strip_prefix("input.yaml:")
                .is_none_or(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == ' '));
            if !placed {
                wrong.push(format!("{name} has no place: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn mistakes_are_told_in_english() {
    assert!(inputs().len() >= 35);
    let said = said_in("en");
    insta::assert_snapshot!("mistakes_en", said);
    check(&said);
}

#[test]
fn mistakes_are_told_in_chinese() {
    let said = said_in("zh");
    insta::assert_snapshot!("mistakes_zh", said);
    check(&said);
    // A message without a sign of Chinese has been forgotten.
    let english = said.lines().filter(|line| !line.starts_with("== ") && !line.is_empty());
    let english: Vec<_> =
        english.filter(|line| !line.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))).collect();
    assert!(english.is_empty(), "{english:#?}");
}

/// Whatever the query engine and its parser say of expressions that are broken at random, nobody hears it.
#[test]
fn broken_expressions_are_never_told_in_the_words_of_a_library() {
    use rand::{RngExt, SeedableRng, seq::IndexedRandom};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    let words = [
        "amount",
        "purpose",
        "occurred_at",
        "tags",
        "budget.approved",
        "fiscal_year",
        "'text'",
        "5",
        "0.5",
        "null",
        "true",
        "+",
        "-",
        "*",
        "/",
        "%",
        "=",
        "<",
        "and",
        "or",
        "not",
        "in",
        "(",
        ")",
        ",",
        "case",
        "when",
        "then",
        "else",
        "end",
        "like",
        "between",
        "is",
        "interval '1 day'",
        "date '2026-01-01'",
        "sum(",
        "substr(",
        "date_trunc('day',",
        "cast(",
        "as int)",
        "lower(",
        "abs(",
        "array_has(",
        "lookup('x',",
        "coalesce(",
        "round(",
    ];
    let compiler = Compiler::new(&calendar(), Lists::default(), Language::En);
    let mut told = 0;
    for _ in 0..1500 {
        let length = rng.random_range(1..9);
        let when: Vec<_> = (0..length).map(|_| *words.choose(&mut rng).unwrap()).collect();
        let rule = serde_json::json!({"rules": [{"id": "a", "severity": "low", "trigger": "payment", "key": [], "when": when.join(" ")}]});
        if let Err(problems) = rule::RuleSet::from_text(&rule.to_string(), &compiler, &calendar()) {
            let said = lines(&problems);
            let word = FORBIDDEN.iter().find(|word| said.contains(*word));
            assert!(word.is_none(), "{when:?} is told with {word:?}: {said}");
            told += 1;
        }
    }
    assert!(told > 1000, "{told}");
}
