//! What a test expects against what came, as a text that says what to look at.

mod alerts;
mod list;

use std::fmt::Write;

use arrow::datatypes::DataType;
use rust_decimal::Decimal;
use serde_json::{Map, Value};

use list::ListComparison;

use super::{
    expect::{Expected, ExpectedBalances, ExpectedMoment, ExpectedValue},
    play::TestOutcome,
    read::RuleTest,
};
use crate::{
    diagnostic::suggest,
    event::{money::format_cents, time::Calendar},
    finding::Finding,
    ledger::{Ledger, Line},
    say,
    text::quoted,
};

/// What is not as a test expects it to be at its end.
pub(crate) fn at_the_end(case: &RuleTest, outcome: &TestOutcome) -> String {
    let mut text = String::new();
    if let Some(expected) = &case.expect {
        findings(expected, outcome, &mut text);
    }
    balances(&case.balances, &outcome.ledger, &mut text);
    if let Some(expected) = &case.alerts {
        text.push_str(&alerts::compare(expected, &outcome.alerts, (&outcome.columns, &outcome.calendar)));
    }
    text
}

/// What is not as a test expects it to be at a moment, given what was found and paid up to then.
pub(crate) fn at_moment(moment: &ExpectedMoment, until: &TestOutcome) -> String {
    let mut text = String::new();
    if let Some(expected) = &moment.expect {
        findings(expected, until, &mut text);
    }
    balances(&moment.balances, &until.ledger, &mut text);
    if let Some(expected) = &moment.alerts {
        text.push_str(&alerts::compare(expected, &until.alerts, (&until.columns, &until.calendar)));
    }
    text
}

fn balances(expected: &ExpectedBalances, ledger: &Ledger, text: &mut String) {
    for (id, wanted) in expected {
        let Some((line, _)) = ledger.line(&id.text) else {
            let hint = suggest(&id.text, ledger.lines().map(|(line, _)| &*line.id));
            let _ = writeln!(
                text,
                "{}",
                say!("there is no budget line {id}: {hint}", id = quoted(&id.text), hint)
            );
            continue;
        };
        for (name, wanted) in wanted {
            let found = balance(line, &name.text).map_or(Value::Null, Value::String);
            if !same_number(wanted, &found) {
                let (wanted, found) = (shown(wanted), written(&found));
                let (name, id) = (&name.text, &id.text);
                let told = say!("{name} of {id}: expected {wanted}, found {found}", name, id, wanted, found);
                let _ = writeln!(text, "{told}");
            }
        }
    }
}

fn balance(line: &Line, name: &str) -> Option<String> {
    let balances = &line.balances;
    let cents = match name {
        "total" => balances.total,
        "executed" => balances.executed,
        "frozen" => balances.frozen,
        "reserved" => balances.reserved,
        "available" => balances.available(),
        "planned" => balances.planned,
        "plan_available" => balances.plan_available(),
        "opening" => balances.opening,
        "cleared" => balances.cleared,
        "uncleared" => balances.uncleared(),
        "executed_ratio" => return balances.executed_ratio().map(|ratio| ratio.to_string()),
        _ => return balances.overspend_ratio().map(|ratio| ratio.to_string()),
    };
    Some(format_cents(cents))
}

fn findings(expected: &[Expected], outcome: &TestOutcome, text: &mut String) {
    let lists = ListComparison {
        expected,
        found: &outcome.findings,
        alike: &|expected: &Expected, found: &Finding| expected.is_about(found),
        differences: &|expected: &Expected, found: &Finding| differences(expected, found, outcome),
        line: &|expected: &Expected| (expected.line, expected.describe()),
        name: &|found: &Finding| say!("{rule} on {event}", rule = found.rule_id, event = found.subject()),
        describe: &describe,
    };
    text.push_str(&lists.compare(&say!("expected and not found:"), &say!("found and not expected:")));
}

impl Expected {
    /// Whether a finding is of the rule and the event that are named.
    fn is_about(&self, finding: &Finding) -> bool {
        self.rule.as_ref().is_none_or(|rule| rule.text == finding.rule_id)
            && self.event.as_ref().is_none_or(|event| event == finding.subject())
    }

    fn describe(&self) -> String {
        let rule = self.rule.as_ref().map_or_else(|| say!("any rule"), |rule| rule.text.clone());
        let event = self.event.as_ref().map_or(String::new(), |event| say!(" on {event}", event));
        format!("{rule}{event}{}", pairs(self.key.iter().map(|(name, value)| (name, shown(value)))))
    }
}

fn describe(finding: &Finding) -> String {
    let key = pairs(finding.key.iter().map(|(name, value)| (name, written(value))));
    say!(
        "{rule} on {event}{key}: {summary}",
        rule = finding.rule_id,
        event = finding.subject(),
        key,
        summary = finding.summary
    )
}

fn pairs<'n>(pairs: impl Iterator<Item = (&'n String, String)>) -> String {
    let all: Vec<_> = pairs.map(|(name, value)| format!("{name}: {value}")).collect();
    if all.is_empty() { String::new() } else { format!(" {{{}}}", all.join(", ")) }
}

/// What a finding has otherwise than expected.
fn differences(expected: &Expected, finding: &Finding, outcome: &TestOutcome) -> Vec<String> {
    let mut differences = Vec::new();
    let mut differ = |name: &str, wanted: &str, found: &str| {
        differences.push(say!("{name}: expected {wanted}, found {found}", name, wanted, found));
    };
    if let Some(rule) = expected.rule.as_ref().filter(|rule| rule.text != finding.rule_id) {
        differ("rule", &rule.text, &finding.rule_id);
    }
    if let Some(event) = expected.event.as_ref().filter(|event| *event != finding.subject()) {
        differ("event", event, finding.subject());
    }
    for (name, wanted) in &expected.others {
        let found = match *name {
            "severity" => finding.severity.word(),
            "handling" => finding.handling.word(),
            "mode" => finding.mode.word(),
            "at" => &finding.at,
            _ => &finding.summary,
        };
        let instant = |text: &str| outcome.calendar.parse(text).ok();
        let same_time = *name == "at" && instant(wanted).is_some() && instant(wanted) == instant(found);
        if wanted != found && !same_time {
            differ(name, wanted, found);
        }
    }
    for (part, wanted, found) in
        [("key", &expected.key, &finding.key), ("values", &expected.values, &finding.values)]
    {
        for (name, wanted) in wanted {
            let columns = outcome.columns.get(&finding.rule_id);
            let data_type = columns.and_then(|columns| Some(columns.field_with_name(name).ok()?.data_type()));
            if let Some(found) = column_difference(name, wanted, found, data_type, &outcome.calendar) {
                differ(&format!("{part}.{name}"), &shown(wanted), &found);
            }
        }
    }
    differences
}

/// What a finding shows in a column, if that is not what is wanted.
fn column_difference(
    name: &str,
    wanted: &ExpectedValue,
    found: &Map<String, Value>,
    data_type: Option<&DataType>,
    calendar: &Calendar,
) -> Option<String> {
    let Some(value) = found.get(name) else {
        let names: Vec<_> = found.keys().map(String::as_str).collect();
        return Some(say!("no such column (there are {names})", names = names.join(", ")));
    };
    let text = match wanted {
        ExpectedValue::Text(text) => Some(text.as_str()),
        _ => None,
    };
    let same = match data_type {
        // `100` and `100.00` are the same money, but `001` and `1` are not the same code.
        Some(DataType::Decimal128(..)) => same_number(wanted, value),
        Some(DataType::Timestamp(..)) => {
            let instant = |text: Option<&str>| calendar.parse(text?).ok();
            instant(text) == instant(value.as_str())
                && (instant(text).is_some() || *wanted == ExpectedValue::Null)
        }
        _ => same_text(wanted, value),
    };
    (!same).then(|| written(value))
}

fn same_number(wanted: &ExpectedValue, found: &Value) -> bool {
    let number = |text: &str| text.parse::<Decimal>().ok();
    match (wanted, found) {
        (ExpectedValue::Text(wanted), Value::String(found)) => {
            number(wanted).is_some() && number(wanted) == number(found)
        }
        _ => same_text(wanted, found),
    }
}

fn same_text(wanted: &ExpectedValue, found: &Value) -> bool {
    match (wanted, found) {
        (ExpectedValue::Null, found) => found.is_null(),
        (ExpectedValue::List(wanted), Value::Array(found)) => {
            wanted.iter().eq(found.iter().filter_map(Value::as_str))
        }
        (ExpectedValue::Text(wanted), found) => !found.is_null() && *wanted == written(found),
        (ExpectedValue::List(_), _) => false,
    }
}

fn shown(wanted: &ExpectedValue) -> String {
    match wanted {
        ExpectedValue::Null => String::from("null"),
        ExpectedValue::Text(text) => text.clone(),
        ExpectedValue::List(items) => format!("[{}]", items.join(", ")),
    }
}

fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
