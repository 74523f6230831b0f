//! What the descriptions of the shipped rules, and their catalogue, say of constants is what the constants are.

use std::sync::LazyLock;

use regex::Regex;

use super::tests::{shipped, shipped_rules};
use crate::rule::Param;

static EN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(\w+)(?:-th)? \(default ([^)]*)\)").unwrap());
static ZH: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"([a-z_]+)[^a-z（]{0,8}（默认([^）]*)）").unwrap());

/// A number in English: `500,000`, `0.2 %`, `30 points`, `half`, `fifth`.
fn english(text: &str) -> Option<f64> {
    const WORDS: [(&str, f64); 10] = [
        ("half", 0.5),
        ("a quarter", 0.25),
        ("three quarters", 0.75),
        ("a third", 1.0 / 3.0),
        ("nine tenths", 0.9),
        ("third", 3.0),
        ("fourth", 4.0),
        ("fifth", 5.0),
        ("sixth", 6.0),
        ("two", 2.0),
    ];
    if let Some((_, number)) = WORDS.iter().find(|(word, _)| *word == text) {
        return Some(*number);
    }
    let of = if text.contains('%') || text.contains("points") { 100.0 } else { 1.0 };
    digits(text).map(|number| number / of)
}

/// The number that a text begins with.
fn digits(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || ",.".contains(c))).unwrap_or(text.len());
    text[..end].replace(',', "").parse().ok()
}

/// A number in Chinese: 五百元, 一百八十天, 两成五, 千分之二, 一笔半, 第三次, 0.8, 30 个百分点.
fn chinese(text: &str) -> Option<f64> {
    let text = text.trim().trim_start_matches('第');
    for (part, of) in [("百分之", 100.0), ("千分之", 1000.0)] {
        if let Some(rest) = text.strip_prefix(part) {
            return chinese(rest).map(|number| number / of);
        }
    }
    if text == "一半" {
        return Some(0.5);
    }
    if let Some(number) = digits(text) {
        let of = if text.contains('%') || text.contains("百分点") { 100.0 } else { 1.0 };
        return Some(number / of);
    }
    let (number, rest) = numerals(text)?;
    let tenth = |rest: &str| match rest {
        "半" => 0.5,
        rest => numerals(rest).map_or(0.0, |(tenths, _)| tenths / 10.0),
    };
    if let Some(rest) = rest.strip_prefix('成') {
        return Some((number + tenth(rest)) / 10.0);
    }
    if rest.starts_with("分之一") {
        return Some(1.0 / number);
    }
    if rest.starts_with("个百分点") {
        return Some(number / 100.0);
    }
    Some(if rest.ends_with('半') { number + 0.5 } else { number })
}

/// The number that a text begins with in Chinese numerals, and what is behind it.
fn numerals(text: &str) -> Option<(f64, &str)> {
    let digit = |c: char| match c {
        '两' => Some(2),
        c => "零一二三四五六七八九".chars().position(|known| known == c),
    };
    let unit = |c: char| match c {
        '十' => Some(10),
        '百' => Some(100),
        '千' => Some(1000),
        _ => None,
    };
    let (mut whole, mut section, mut last, mut end) = (0, 0, 0, 0);
    for (at, c) in text.char_indices() {
        match (digit(c), unit(c)) {
            (Some(number), _) => last = number,
            (_, Some(unit)) => (section, last) = (section + last.max(1) * unit, 0),
            _ if c == '万' => (whole, section, last) = ((section + last) * 10_000, 0, 0),
            _ => break,
        }
        end = at + c.len_utf8();
    }
    let number = u32::try_from(whole + section + last).ok()?;
    (end > 0).then(|| (f64::from(number), &text[end..]))
}

#[test]
fn constants_are_what_descriptions_and_the_catalogue_say() {
    let catalogue = std::fs::read_to_string(shipped("rules/README.md")).unwrap();
    let (mut wrong, mut said) = (Vec::new(), 0);
    for rule in shipped_rules().rules {
        let rule = &rule.rule;
        let number = |name: &str| {
            rule.params.iter().find_map(|(known, param)| match param {
                Param::Number(number) if known == name => number.parse::<f64>().ok(),
                _ => None,
            })
        };
        let mut compare = |name: &str, told: &str, read: Option<f64>| {
            let Some(number) = number(name) else { return };
            said += 1;
            if read.is_none_or(|read| (read - number).abs() > 1e-9) {
                wrong.push(format!("{}: {name} is {number}, and {told:?} is said", rule.id));
            }
        };
        for found in EN.captures_iter(rule.description.en.as_deref().unwrap_or_default()) {
            compare(&found[1], &found[2], english(&found[2]));
        }
        for found in ZH.captures_iter(rule.description.zh.as_deref().unwrap_or_default()) {
            compare(&found[1], &found[2], chinese(&found[2]));
        }
        let row = catalogue.lines().find(|line| line.starts_with(&format!("| `{}` ", rule.id)));
        for (name, _) in &rule.params {
            let behind = row.and_then(|row| row.split_once(&format!("`{name}` "))).map(|(_, behind)| behind);
            if let Some(behind) = behind.filter(|behind| digits(behind).is_some()) {
                compare(name, behind, digits(behind.split(", `").next().unwrap_or(behind)));
            }
        }
    }
    assert!(said > 400, "only {said} constants are told");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn numbers_are_read_as_they_are_written() {
    for (text, number) in [
        ("五百元", 500.0),
        ("一百八十天", 180.0),
        ("两成五", 0.25),
        ("两成半", 0.25),
        ("千分之二", 0.002),
        ("一笔半", 1.5),
        ("第三次", 3.0),
        ("五十万元", 500_000.0),
        ("十分钟", 10.0),
        ("一半", 0.5),
        ("四分之一", 0.25),
        ("二十五个百分点", 0.25),
        (" 0.32，即四月底", 0.32),
        (" 30 个百分点", 0.3),
    ] {
        assert!(
            chinese(text).is_some_and(|read| (read - number).abs() < 1e-9),
            "{text}: {:?}",
            chinese(text)
        );
    }
    for (text, number) in
        [("500,000", 5e5), ("0.2 %", 0.002), ("30 points", 0.3), ("half", 0.5), ("fifth", 5.0)]
    {
        assert!(
            english(text).is_some_and(|read| (read - number).abs() < 1e-9),
            "{text}: {:?}",
            english(text)
        );
    }
    assert_eq!((english("some"), chinese("若干")), (None, None));
}

/// Lines of a description are folded with spaces, and Chinese has none.
#[test]
fn descriptions_in_chinese_have_no_gaps() {
    let gap = Regex::new(r"[\p{Han}，。：；、（）“”] [\p{Han}，。：；、（）“”]").unwrap();
    let mut seen = 0;
    for rule in shipped_rules().rules {
        let text = rule.rule.description.zh.as_deref().unwrap_or_default();
        seen += usize::from(text.chars().count() > 60);
        assert!(!gap.is_match(text), "{}: {text}", rule.rule.id);
    }
    assert!(seen > 50, "only {seen} descriptions are long enough to be folded");
}
