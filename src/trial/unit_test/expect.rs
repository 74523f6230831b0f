//! What a test expects: findings, alerts and balances, at its end and at moments before.

use crate::{
    event::{Instant, time::Calendar},
    say,
    sql::tables::{RATIOS, SUMS},
    yaml::{Document, MappingFields, Node, Placed, is_null},
};
use saphyr::YamlData;

/// What is expected of lines, by name.
pub(crate) type ExpectedBalances = Vec<(Placed, Vec<(Placed, ExpectedValue)>)>;

/// What is expected when all events up to a time have come.
pub(crate) struct ExpectedMoment {
    /// The time as it is written, and the instant.
    pub time: (String, Instant),
    /// All findings up to then; `None` if they are not compared.
    pub expect: Option<Vec<Expected>>,
    /// All alerts then; `None` if they are not compared.
    pub alerts: Option<Vec<ExpectedAlert>>,
    pub balances: ExpectedBalances,
}

/// A finding that is expected; what is missing is not compared.
pub(crate) struct Expected {
    pub line: usize,
    pub rule: Option<Placed>,
    pub event: Option<String>,
    /// Other fields of the finding by name.
    pub others: Vec<(&'static str, String)>,
    pub key: Vec<(String, ExpectedValue)>,
    pub values: Vec<(String, ExpectedValue)>,
}

/// An alert that is expected; what is missing is not compared.
pub(crate) struct ExpectedAlert {
    pub line: usize,
    pub rule: Option<Placed>,
    /// Other fields of the alert by name.
    pub others: Vec<(&'static str, String)>,
    pub key: Vec<(String, ExpectedValue)>,
}

/// A value that is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExpectedValue {
    Null,
    Text(String),
    List(Vec<String>),
}

const MOMENT: &[&str] = &["time", "expect", "alerts", "balances"];
const EXPECTED: &[&str] =
    &["rule", "event", "severity", "handling", "mode", "at", "summary", "key", "values"];
const OTHERS: [&str; 5] = ["severity", "handling", "mode", "at", "summary"];
const ALERT: &[&str] = &["rule", "key", "state", "severity", "handling", "findings", "summary"];
const ALERT_OTHERS: [&str; 5] = ["state", "severity", "handling", "findings", "summary"];
/// The names of a line's balances; the elapsed year is none.
pub(crate) fn balance_names() -> impl Iterator<Item = &'static str> {
    SUMS.into_iter().chain(RATIOS).filter(|name| *name != "year_elapsed")
}

/// The alerts that a test or a moment of it expects.
pub(crate) fn alerts<'t>(d: &mut Document<'t>, record: &MappingFields<'_, 't>) -> Option<Vec<ExpectedAlert>> {
    record.get("alerts").map(|node| {
        let items = d.sequence(node, "alerts");
        items.iter().map(|item| expected_alert(d, item)).collect()
    })
}

fn expected_alert<'t>(d: &mut Document<'t>, node: &Node<'t>) -> ExpectedAlert {
    let record = d.record(node, &say!("an expected alert"), ALERT);
    let mut text = |name: &str| record.get(name).and_then(|node| d.scalar(node, name));
    let rule = text("rule");
    let others = ALERT_OTHERS.into_iter().filter_map(|name| Some((name, text(name)?.text))).collect();
    let entries = record.get("key").map(|node| d.mapping(node, "key")).unwrap_or_default();
    let key = entries.into_iter().map(|(name, node)| (name.text, wanted(d, node))).collect();
    ExpectedAlert { line: node.span.start.line(), rule, others, key }
}

/// The findings that a test or a moment of it expects.
pub(crate) fn expect<'t>(d: &mut Document<'t>, record: &MappingFields<'_, 't>) -> Option<Vec<Expected>> {
    record.get("expect").map(|node| {
        let items = d.sequence(node, "expect");
        items.iter().map(|item| expected(d, item)).collect()
    })
}

/// What a test, or a moment of one, can expect.
pub(crate) const EXPECTATIONS: [&str; 3] = ["expect", "alerts", "balances"];

pub(crate) fn moments<'t>(d: &mut Document<'t>, node: &Node<'t>, calendar: &Calendar) -> Vec<ExpectedMoment> {
    let mut moments = Vec::new();
    for node in d.sequence(node, "at") {
        let record = d.record(node, &say!("a moment"), MOMENT);
        let Some(time) = record.get("time").and_then(|node| d.scalar(node, "time")) else {
            d.problem(record.span, say!("the moment has no time"), Some(String::from("add `time:`")));
            continue;
        };
        let at = match calendar.parse(&time.text) {
            Ok(at) => at,
            Err(e) => {
                d.problem(time.span, say!("time \"{time}\": {e}", time = time.text, e), None);
                continue;
            }
        };
        if EXPECTATIONS.into_iter().all(|name| record.get(name).is_none()) {
            let hint = say!("write `expect: []` if there must be no finding");
            d.problem(record.span, say!("the moment expects nothing"), Some(hint));
        }
        let balances = record.get("balances").map(|node| balances(d, node)).unwrap_or_default();
        let (expect, alerts) = (expect(d, &record), alerts(d, &record));
        moments.push(ExpectedMoment { time: (time.text, at), expect, alerts, balances });
    }
    moments
}

pub(crate) fn balances<'t>(d: &mut Document<'t>, node: &Node<'t>) -> ExpectedBalances {
    let mut lines = Vec::new();
    for (line, node) in d.mapping(node, "balances") {
        d.record(node, &say!("the balances of a line"), &balance_names().collect::<Vec<_>>());
        let entries = d.mapping(node, &say!("the balances of a line"));
        let wanted = entries.into_iter().map(|(name, node)| (name, wanted(d, node))).collect();
        lines.push((line, wanted));
    }
    lines
}

fn expected<'t>(d: &mut Document<'t>, node: &Node<'t>) -> Expected {
    let record = d.record(node, &say!("an expected finding"), EXPECTED);
    let mut text = |name: &str| record.get(name).and_then(|node| d.scalar(node, name));
    let (rule, event) = (text("rule"), text("event").map(|p| p.text));
    let others = OTHERS.into_iter().filter_map(|name| Some((name, text(name)?.text))).collect();
    let mut columns = |name: &str| -> Vec<(String, ExpectedValue)> {
        let entries = record.get(name).map(|node| d.mapping(node, name)).unwrap_or_default();
        entries.into_iter().map(|(name, node)| (name.text, wanted(d, node))).collect()
    };
    let (key, values) = (columns("key"), columns("values"));
    Expected { line: node.span.start.line(), rule, event, others, key, values }
}

fn wanted<'t>(d: &mut Document<'t>, node: &Node<'t>) -> ExpectedValue {
    match &node.data {
        _ if is_null(node) => ExpectedValue::Null,
        YamlData::Sequence(_) => {
            ExpectedValue::List(d.scalars(node, "a value").into_iter().map(|p| p.text).collect())
        }
        _ => d.scalar(node, &say!("a value")).map_or(ExpectedValue::Null, |p| ExpectedValue::Text(p.text)),
    }
}
