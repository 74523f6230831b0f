//! The alerts that a test expects against those that its findings were filed in.

use super::{
    super::{expect::ExpectedAlert, play::FindingSchemas},
    column_difference,
    list::ListComparison,
    pairs, shown, written,
};
use crate::say;
use crate::{alert::Alert, event::time::Calendar};

/// What is not as expected; the alerts stand in the order in which they were opened.
pub(crate) fn compare(
    expected: &[ExpectedAlert],
    found: &[Alert],
    (columns, calendar): (&FindingSchemas, &Calendar),
) -> String {
    let lists = ListComparison {
        expected,
        found,
        alike: &|expected: &ExpectedAlert, alert: &Alert| {
            expected.rule.as_ref().is_none_or(|rule| rule.text == alert.rule_id)
        },
        differences: &|expected: &ExpectedAlert, alert: &Alert| {
            differences(expected, alert, columns, calendar)
        },
        line: &|expected: &ExpectedAlert| (expected.line, expected.describe()),
        name: &|alert: &Alert| say!("the alert of {rule}{key}", rule = alert.rule_id, key = key(alert)),
        describe: &|alert: &Alert| {
            let (rule, state, count) = (&alert.rule_id, alert.state.word(), alert.findings);
            say!(
                "{rule}{key} {state}, findings: {count}: {summary}",
                rule,
                key = key(alert),
                state,
                count,
                summary = alert.summary
            )
        },
    };
    let text = lists.compare(&say!("expected and not filed:"), &say!("filed and not expected:"));
    if text.is_empty() {
        return text;
    }
    let mut indented = say!("alerts:") + "\n";
    text.lines().for_each(|line| indented.push_str(&format!("  {line}\n")));
    indented
}

fn key(alert: &Alert) -> String {
    pairs(alert.key.iter().map(|(name, value)| (name, written(value))))
}

impl ExpectedAlert {
    fn describe(&self) -> String {
        let rule = self.rule.as_ref().map_or_else(|| say!("any rule"), |rule| rule.text.clone());
        let mut all = format!("{rule}{}", pairs(self.key.iter().map(|(name, value)| (name, shown(value)))));
        self.others.iter().for_each(|(name, text)| all.push_str(&format!(", {name}: {text}")));
        all
    }
}

fn differences(
    expected: &ExpectedAlert,
    alert: &Alert,
    columns: &FindingSchemas,
    calendar: &Calendar,
) -> Vec<String> {
    let mut differences = Vec::new();
    let mut differ = |name: &str, wanted: &str, found: &str| {
        differences.push(say!("{name}: expected {wanted}, found {found}", name, wanted, found));
    };
    if let Some(rule) = expected.rule.as_ref().filter(|rule| rule.text != alert.rule_id) {
        differ("rule", &rule.text, &alert.rule_id);
    }
    let count = alert.findings.to_string();
    for (name, wanted) in &expected.others {
        let found = match *name {
            "state" => alert.state.word(),
            "severity" => alert.severity.word(),
            "handling" => alert.handling.word(),
            "findings" => &count,
            _ => &alert.summary,
        };
        if wanted != found {
            differ(name, wanted, found);
        }
    }
    let columns = columns.get(&alert.rule_id);
    for (name, wanted) in &expected.key {
        let data_type = columns.and_then(|columns| Some(columns.field_with_name(name).ok()?.data_type()));
        if let Some(found) = column_difference(name, wanted, &alert.key, data_type, calendar) {
            differ(&format!("key.{name}"), &shown(wanted), &found);
        }
    }
    differences
}
