//! `groups:` of a rule file, and the rules that their tolerances are.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::{check_id, choice, list, optional, required, required_node, text};
use crate::{
    event::EventType,
    rule::{Group, Handling, Language, Param, Rule, RuleMode, RuleStatus, Severity, Text, window::View},
    say,
    yaml::{Document, MappingFields, Node, Placed},
};

const FIELDS: &[&str] = &["id", "title", "by", "where", "tolerances"];
const TOLERANCE: &[&str] = &["id", "handling", "severity", "mode", "share", "amount", "basis"];
/// The summary of a tolerance's findings.
const SUMMARY: [(Language, &str); 2] = [
    (
        Language::Zh,
        "{{ group.key }} 共 {{ group.lines }} 条指标，预算 {{ group.total | money }}，已执行和在途 {{ group.used | money }}",
    ),
    (
        Language::En,
        "{{ group.key }}: {{ group.lines }} lines, budget {{ group.total | money }}, executed and reserved {{ group.used | money }}",
    ),
];

/// The groups of a file, each with the rules that its tolerances are.
pub(crate) fn groups<'t>(d: &mut Document<'t>, node: &Node<'t>) -> Vec<(Arc<Group>, Vec<Rule>)> {
    let mut groups: Vec<(Arc<Group>, Vec<Rule>)> = Vec::new();
    for node in d.sequence(node, "groups") {
        let record = d.record(node, &say!("a group"), FIELDS);
        let id = required(d, &record, "id").map(|id| check_id(d, id)).unwrap_or_default();
        if groups.iter().any(|(known, _)| known.id == id) {
            let hint = say!("every group of a file needs an id of its own");
            d.problem(record.span, say!("there are two groups \"{id}\"", id), Some(hint));
        }
        let title = record.get("title").map(|node| text(d, node, "title")).unwrap_or_default();
        let by = list(d, &record, "by");
        if by.is_empty() {
            let hint =
                say!("name what its lines have in common, such as `by: [unit_code, left(economic_code, 3)]`");
            d.problem(record.span, say!("the group has no `by`"), Some(hint));
        }
        let filter = optional(d, &record, "where");
        let group = Arc::new(Group { id, title, by, filter, span: record.span });
        let tolerances = record.get("tolerances").map(|node| tolerances(d, node, &group));
        groups.push((group, tolerances.unwrap_or_default()));
    }
    groups
}

fn tolerances<'t>(d: &mut Document<'t>, node: &Node<'t>, group: &Arc<Group>) -> Vec<Rule> {
    let items = d.sequence(node, "tolerances");
    items.iter().filter_map(|item| tolerance(d, item, group)).collect()
}

/// A tolerance is a rule like any other: it is tested, tried in shadow, approved and decided as one.
fn tolerance<'t>(d: &mut Document<'t>, node: &Node<'t>, group: &Arc<Group>) -> Option<Rule> {
    let record = d.record(node, &say!("a tolerance"), TOLERANCE);
    let handling =
        required_node(d, &record, "handling").and_then(|node| d.choice(node, "handling", Handling::WORDS))?;
    let id = optional(d, &record, "id").map(|id| check_id(d, id));
    let id = id.unwrap_or_else(|| format!("{}-{}", group.id, handling.word()));
    let limits =
        [("share", "group.used > group.total * $share"), ("amount", "group.used - group.total > $amount")];
    let mut params = Vec::new();
    let mut conditions = Vec::new();
    for (name, condition) in limits {
        if let Some(number) = optional(d, &record, name).and_then(|placed| number(d, name, placed)) {
            params.push((name.to_owned(), Param::Number(number)));
            conditions.push(condition);
        }
    }
    if conditions.is_empty() {
        let hint = say!(
            "write `share: 1.00` for all of the group's budget, or `amount: 50000` for so much beyond it"
        );
        d.problem(record.span, say!("the tolerance needs `share` or `amount`"), Some(hint));
        return None;
    }
    let span = record.span;
    let placed = |text: &str| Placed { text: text.to_owned(), span };
    Some(Rule {
        id,
        title: title(group, &params),
        description: Text::default(),
        severity: choice(d, &record, "severity", Severity::WORDS).unwrap_or(severity(handling)),
        handling,
        mode: choice(d, &record, "mode", RuleMode::WORDS).unwrap_or(RuleMode::Live),
        status: RuleStatus::Stable,
        tags: Vec::new(),
        owner: None,
        basis: optional(d, &record, "basis").map(|placed| placed.text),
        false_positives: Vec::new(),
        exceptions: Vec::new(),
        params,
        key: vec![placed("group.key")],
        summary: SUMMARY.map(|(language, line)| (language, placed(line))).to_vec(),
        trigger: EventType::Application.bit() | EventType::Payment.bit(),
        group: Some(Arc::clone(group)),
        view: View::Event,
        filter: None,
        when: placed(&conditions.join(" or ")),
        span,
    })
}

/// A number that is not below zero, as it is written.
fn number(d: &mut Document<'_>, name: &str, placed: Placed) -> Option<String> {
    let whole = placed.text.split('.').collect::<Vec<_>>();
    let digits = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if whole.len() > 2 || !whole.iter().all(digits) {
        let hint = say!("write a number such as 1.10, of digits and a point alone");
        d.problem(
            placed.span,
            say!("{name}: \"{value}\" is not a number", name, value = placed.text),
            Some(hint),
        );
        return None;
    }
    Some(placed.text)
}

/// How bad it is that a group is beyond a tolerance, where nobody says so.
const fn severity(handling: Handling) -> Severity {
    match handling {
        Handling::Block => Severity::Critical,
        Handling::Explain => Severity::High,
        Handling::Warn => Severity::Medium,
        Handling::Remind | Handling::Record => Severity::Low,
    }
}

/// What people read: the group, and its limit.
fn title(group: &Group, params: &[(String, Param)]) -> Text {
    let limit = |(name, param): &(String, Param)| {
        let Param::Number(number) = param else { return (String::new(), String::new()) };
        match name.as_str() {
            "share" => {
                let percent = percent(number);
                (format!("超过预算的 {percent}%"), format!("more than {percent}% of the budget"))
            }
            _ => (format!("超出预算 {number} 元以上"), format!("more than {number} beyond the budget")),
        }
    };
    let (zh, en): (Vec<_>, Vec<_>) = params.iter().map(limit).unzip();
    let named = |language| match group.title.get(language) {
        "" => group.id.clone(),
        title => title.to_owned(),
    };
    Text {
        zh: Some(format!("{}用款{}", named(Language::Zh), zh.join("或"))),
        en: Some(format!("{}: {} used", named(Language::En), en.join(" or "))),
    }
}

/// A share as a percentage, without needless zeros.
fn percent(share: &str) -> String {
    let share: Decimal = share.parse().unwrap_or_default();
    share.checked_mul(Decimal::ONE_HUNDRED).unwrap_or(share).normalize().to_string()
}

/// The group that a rule names, of those of its file.
pub(crate) fn named<'t>(
    d: &mut Document<'t>,
    record: &MappingFields<'_, 't>,
    groups: &[(Arc<Group>, Vec<Rule>)],
) -> Option<Arc<Group>> {
    let placed = optional(d, record, "group")?;
    let found = groups.iter().find(|(group, _)| group.id == placed.text);
    if found.is_none() {
        let known = groups.iter().map(|(group, _)| group.id.as_str());
        let hint = match groups.is_empty() {
            true => say!("describe it under `groups:` in this file"),
            false => crate::diagnostic::suggest(&placed.text, known),
        };
        d.problem(placed.span, say!("there is no group \"{id}\" in this file", id = placed.text), Some(hint));
    }
    found.map(|(group, _)| Arc::clone(group))
}
