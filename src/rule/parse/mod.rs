//! A rule file's YAML into [`Rule`]s. All problems of a file are found, not the first.

mod group;
mod view;

pub(crate) use view::length;

use std::sync::Arc;

use saphyr::{ScalarStyle, YamlData};

use crate::{
    diagnostic::meant,
    event::{EventType, TypeSet, time::Calendar},
    rule::{Exception, Group, Handling, Language, Param, Rule, RuleMode, RuleStatus, Severity, Text},
    say,
    yaml::{Document, MappingFields, Node, Placed},
};

const FIELDS: &[&str] = &[
    "id",
    "title",
    "description",
    "severity",
    "handling",
    "mode",
    "status",
    "tags",
    "owner",
    "basis",
    "false_positives",
    "exceptions",
    "params",
    "key",
    "summary",
    "trigger",
    "group",
    "where",
    "when",
    "over",
    "measure",
    "also",
    "of",
    "window",
    "anomaly",
    "every",
    "cron",
    "sql",
];
const TRIGGERS: &[&str] = &[
    "payment",
    "application",
    "withdrawal",
    "refund",
    "correction",
    "budget",
    "indicator",
    "confirmation",
    "receipt",
    "reversal",
    "window",
    "schedule",
];

/// The rules of a document, those with problems too, so that all of their problems are found; they are noted.
pub(crate) fn rules<'t>(document: &mut Document<'t>, root: &Node<'t>, calendar: &Calendar) -> Vec<Rule> {
    let file = document.record(root, &say!("a rule file"), &["groups", "rules"]);
    let groups = file.get("groups").map(|node| group::groups(document, node)).unwrap_or_default();
    let Some(list) = file.get("rules") else {
        if groups.iter().all(|(_, tolerances)| tolerances.is_empty()) {
            let hint = say!("a rule file has one field `rules:` with a list of rules");
            document.problem(root.span, say!("there are no rules in this file"), Some(hint));
        }
        return groups.into_iter().flat_map(|(_, tolerances)| tolerances).collect();
    };
    let list = document.sequence(list, "rules");
    let mut rules: Vec<_> = list.iter().map(|node| rule(document, node, calendar, &groups)).collect();
    rules.extend(groups.into_iter().flat_map(|(_, tolerances)| tolerances));
    // Where a problem stands says which rule it is of.
    rules.sort_by_key(|rule| rule.span.start.index());
    rules
}

fn rule<'t>(
    document: &mut Document<'t>,
    node: &Node<'t>,
    calendar: &Calendar,
    groups: &[(Arc<Group>, Vec<Rule>)],
) -> Rule {
    let record = document.record(node, &say!("a rule"), FIELDS);
    let d = document;
    let trigger = required_node(d, &record, "trigger").map(|n| trigger(d, n)).unwrap_or_default();
    let (types, view) = view::view(d, &record, trigger);
    let group = group::named(d, &record, groups);
    // A schedule's condition is in its query, in one that is wrong too.
    let when = if trigger.schedule { None } else { required(d, &record, "when") };
    Rule {
        id: required(d, &record, "id").map(|id| check_id(d, id)).unwrap_or_default(),
        title: record.get("title").map(|n| text(d, n, "title")).unwrap_or_default(),
        description: record.get("description").map(|n| text(d, n, "description")).unwrap_or_default(),
        severity: required_node(d, &record, "severity")
            .and_then(|n| d.choice(n, "severity", Severity::WORDS))
            .unwrap_or(Severity::Low),
        handling: choice(d, &record, "handling", Handling::WORDS).unwrap_or(Handling::Warn),
        mode: choice(d, &record, "mode", RuleMode::WORDS).unwrap_or(RuleMode::Live),
        status: choice(d, &record, "status", RuleStatus::WORDS).unwrap_or(RuleStatus::Experimental),
        tags: list(d, &record, "tags").into_iter().map(|p| p.text).collect(),
        owner: optional(d, &record, "owner").map(|p| p.text),
        basis: optional(d, &record, "basis").map(|p| p.text),
        false_positives: list(d, &record, "false_positives").into_iter().map(|p| p.text).collect(),
        exceptions: exceptions(d, &record, calendar),
        params: record
            .get("params")
            .map(|n| params(d, n))
            .unwrap_or_default()
            .into_iter()
            .map(|(n, v)| (n.text, v))
            .collect(),
        key: required_node(d, &record, "key").map(|n| d.scalars(n, "key")).unwrap_or_default(),
        summary: record.get("summary").map(|n| summary(d, n)).unwrap_or_default(),
        trigger: types,
        group,
        view,
        filter: optional(d, &record, "where"),
        when: when.unwrap_or(Placed { text: String::new(), span: record.span }),
        span: record.span,
    }
}

fn required_node<'n, 't>(
    d: &mut Document<'t>,
    record: &MappingFields<'n, 't>,
    name: &str,
) -> Option<&'n Node<'t>> {
    let node = record.get(name);
    if node.is_none() {
        d.problem(record.span, say!("the rule has no `{name}`", name), Some(say!("add `{name}:`", name)));
    }
    node
}

fn required<'t>(d: &mut Document<'t>, record: &MappingFields<'_, 't>, name: &str) -> Option<Placed> {
    required_node(d, record, name).and_then(|node| d.scalar(node, name))
}

fn optional<'t>(d: &mut Document<'t>, record: &MappingFields<'_, 't>, name: &str) -> Option<Placed> {
    record.get(name).and_then(|node| d.scalar(node, name))
}

fn list<'t>(d: &mut Document<'t>, record: &MappingFields<'_, 't>, name: &str) -> Vec<Placed> {
    record.get(name).map(|node| d.scalars(node, name)).unwrap_or_default()
}

fn choice<'t, T: Copy>(
    d: &mut Document<'t>,
    record: &MappingFields<'_, 't>,
    name: &str,
    words: &[(&str, T)],
) -> Option<T> {
    record.get(name).and_then(|node| d.choice(node, name, words))
}

fn check_id(d: &mut Document<'_>, id: Placed) -> String {
    let words = id.text.split('-');
    let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !words.clone().all(word) {
        let hint = say!("use small letters, digits and single hyphens, such as no-budget");
        d.problem(id.span, say!("the id \"{id}\" is not kebab-case", id = id.text), Some(hint));
    }
    id.text
}

fn text<'t>(d: &mut Document<'t>, node: &Node<'t>, what: &str) -> Text {
    match &node.data {
        YamlData::Mapping(_) => {
            let record = d.record(node, what, &["zh", "en"]);
            let mut language = |name| optional(d, &record, name).map(|p| p.text);
            Text { zh: language("zh").as_deref().map(unfolded), en: language("en") }
        }
        _ => {
            let text = d.scalar(node, what).map(|p| p.text);
            Text { zh: text.as_deref().map(unfolded), en: text }
        }
    }
}

/// A text without the spaces that YAML puts where its lines end, if it is Chinese there: it has none between its words.
fn unfolded(text: &str) -> String {
    let is_chinese = |c: char| matches!(c, '“' | '”' | '\u{3000}'..='\u{9fff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}');
    let mut kept = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let between = |next: &char| is_chinese(*next) && kept.chars().next_back().is_some_and(is_chinese);
        if c != ' ' || !characters.peek().is_some_and(between) {
            kept.push(c);
        }
    }
    kept
}

fn summary<'t>(d: &mut Document<'t>, node: &Node<'t>) -> Vec<(Language, Placed)> {
    if !matches!(node.data, YamlData::Mapping(_)) {
        let placed = d.scalar(node, "summary");
        return placed.into_iter().flat_map(|p| [(Language::Zh, p.clone()), (Language::En, p)]).collect();
    }
    let record = d.record(node, "summary", &["zh", "en"]);
    [(Language::Zh, "zh"), (Language::En, "en")]
        .into_iter()
        .filter_map(|(language, name)| Some((language, optional(d, &record, name)?)))
        .collect()
}

/// What makes a rule be evaluated.
#[derive(Debug, Clone, Copy, Default)]
struct Trigger {
    /// Events, as [`EventType::bit`]s.
    types: TypeSet,
    window: bool,
    schedule: bool,
}

fn trigger<'t>(d: &mut Document<'t>, node: &Node<'t>) -> Trigger {
    let mut trigger = Trigger::default();
    let words = d.scalars(node, "trigger");
    let alone = words.len() == 1;
    for word in words {
        match word.text.as_str() {
            "window" if alone => trigger.window = true,
            "schedule" if alone => trigger.schedule = true,
            "window" | "schedule" => {
                let hint = say!("make two rules of it");
                d.problem(
                    word.span,
                    say!("`{word}` cannot stand beside other triggers", word = word.text),
                    Some(hint),
                );
            }
            _ => trigger.types |= event_type(d, &word, &say!("trigger")),
        }
    }
    trigger
}

/// The bit of a type of events; a word that is none is a problem.
fn event_type(d: &mut Document<'_>, word: &Placed, what: &str) -> TypeSet {
    let known = EventType::parse(&word.text).map(EventType::bit);
    if known.is_none() {
        let hint = meant(&word.text, TRIGGERS);
        d.problem(word.span, say!("unknown {what} \"{word}\"", what, word = word.text), Some(hint));
    }
    known.unwrap_or(0)
}

fn exceptions<'t>(
    d: &mut Document<'t>,
    record: &MappingFields<'_, 't>,
    calendar: &Calendar,
) -> Vec<Exception> {
    let Some(node) = record.get("exceptions") else { return Vec::new() };
    let mut exceptions = Vec::new();
    for item in d.sequence(node, "exceptions") {
        let record = d.record(item, &say!("an exception"), &["name", "when", "reason", "basis", "until"]);
        let (name, when) = (required(d, &record, "name"), required(d, &record, "when"));
        let reason = required(d, &record, "reason");
        let until = optional(d, &record, "until").and_then(|until| {
            let parsed = calendar.parse(&until.text);
            if let Err(e) = &parsed {
                let hint = say!("write a date such as 2026-12-31; the exception ends when that day begins");
                d.problem(until.span, say!("until \"{until}\": {e}", until = until.text, e), Some(hint));
            }
            parsed.ok()
        });
        let basis = optional(d, &record, "basis").map(|p| p.text);
        if let (Some(name), Some(when), Some(reason)) = (name, when, reason) {
            let reason = reason.text;
            exceptions.push(Exception { name: name.text, when, reason, basis, until, agreed: None });
        }
    }
    exceptions
}

pub(crate) fn params<'t>(d: &mut Document<'t>, node: &Node<'t>) -> Vec<(Placed, Param)> {
    let entries = d.mapping(node, "params");
    entries
        .into_iter()
        .filter_map(|(name, value)| {
            let param = param(value);
            if param.is_none() {
                d.problem(
                    value.span,
                    say!("the value of `{name}` is neither a value nor a list", name = name.text),
                    None,
                );
            }
            Some((name, param?))
        })
        .collect()
}

/// A constant with its digits as they are written.
fn param(node: &Node<'_>) -> Option<Param> {
    match &node.data {
        YamlData::Representation(text, ScalarStyle::Plain, _) => Some(plain_param(text)),
        YamlData::Representation(text, _, _) => Some(Param::Text(text.to_string())),
        YamlData::Sequence(items) => items.iter().map(param).collect::<Option<_>>().map(Param::List),
        _ => None,
    }
}

fn plain_param(text: &str) -> Param {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    match text {
        "true" => Param::Bool(true),
        "false" => Param::Bool(false),
        _ if number(whole) && number(fraction) => Param::Number(text.to_owned()),
        _ => Param::Text(text.to_owned()),
    }
}

impl Param {
    /// A constant given in the configuration instead of the rule's own.
    #[must_use]
    pub fn from_json(value: &serde_json::Value) -> Option<Self> {
        use serde_json::Value;
        match value {
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Number(number) => Some(plain_param(&number.to_string())),
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Array(items) => items.iter().map(Self::from_json).collect::<Option<_>>().map(Self::List),
            Value::Null | Value::Object(_) => None,
        }
    }
}
