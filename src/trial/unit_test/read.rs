//! A test file's YAML into a [`Suite`]. Field names are those of events, and a misspelt one is an error here.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use saphyr::YamlData;
use saphyr_parser::Span;
use serde_json::{Map, Value};

use super::{
    expect::{
        EXPECTATIONS, Expected, ExpectedAlert, ExpectedBalances, ExpectedMoment, alerts, balances, expect,
        moments,
    },
    files,
};
use crate::{
    diagnostic::{column_of, meant, os_reason, suggest},
    event::{
        EventType, TimeDelta,
        period::Length,
        schema::{FIELDS, FieldKind, FieldSpec, field},
        time::Calendar,
    },
    lists::{CODE_COLUMNS, CodeColumns, ColumnKind, List, ListError, Lists, list_name},
    paths::from_folder,
    rule::{Language, Param, parse},
    say,
    text::did_you_mean,
    yaml::{Document, MappingFields, Node, Placed, is_null},
};

pub(crate) struct Suite {
    pub rules: Vec<PathBuf>,
    pub lists: Lists,
    pub calendar: Arc<Calendar>,
    pub language: Language,
    /// How late events may be.
    pub lateness: TimeDelta,
    pub cases: Vec<RuleTest>,
}

pub(crate) struct RuleTest {
    pub name: Placed,
    pub events: Vec<TestEvent>,
    pub params: Vec<(Placed, Vec<(Placed, Param)>)>,
    /// `None` if findings are not compared.
    pub expect: Option<Vec<Expected>>,
    /// `None` if alerts are not compared.
    pub alerts: Option<Vec<ExpectedAlert>>,
    pub only: Vec<Placed>,
    pub balances: ExpectedBalances,
    /// What is expected at times in between.
    pub moments: Vec<ExpectedMoment>,
}

/// An event as it is written, with defaults.
pub(crate) struct TestEvent {
    pub id: String,
    pub line: usize,
    pub record: Map<String, Value>,
}

impl RuleTest {
    /// The rules of the findings that are expected.
    pub(crate) fn expected_rules(&self) -> impl Iterator<Item = &str> {
        self.expected().filter_map(|expected| expected.rule.as_ref()).map(|rule| &*rule.text)
    }

    /// All alerts that are expected, at the end and in between.
    pub(crate) fn expected_alerts(&self) -> impl Iterator<Item = &ExpectedAlert> {
        let moments = self.moments.iter().flat_map(|moment| moment.alerts.iter().flatten());
        self.alerts.iter().flatten().chain(moments)
    }

    /// All findings that are expected, at the end and in between.
    pub(crate) fn expected(&self) -> impl Iterator<Item = &Expected> {
        let moments = self.moments.iter().flat_map(|moment| moment.expect.iter().flatten());
        self.expect.iter().flatten().chain(moments)
    }
}

const SUITE: &[&str] = &["rules", "lists", "time_zone", "language", "lateness", "defaults", "tests"];
const CASE: &[&str] = &["name", "files", "events", "params", "expect", "alerts", "only", "balances", "at"];
/// How late events may be if a file does not say so: as in the configuration.
const LATENESS: TimeDelta = TimeDelta::minutes(10);

/// Reads a test file in `folder`; its paths are relative to that.
pub(crate) fn suite<'t>(d: &mut Document<'t>, root: &Node<'t>, folder: &Path) -> Option<Suite> {
    let record = d.record(root, &say!("a test file"), SUITE);
    let rules = paths(d, &record, folder);
    let calendar = calendar(d, &record);
    let at = (folder, calendar.as_ref());
    let lists = record.get("lists").map(|node| lists(d, node, at)).unwrap_or_default();
    let languages = [("zh", Language::Zh), ("en", Language::En)];
    let language = record.get("language").and_then(|node| d.choice(node, "language", &languages));
    let lateness = record.get("lateness").and_then(|node| parse::length(d, node, "lateness"));
    let lateness = lateness.map_or(LATENESS, Length::longest);
    let defaults = record.get("defaults").map(|node| defaults(d, node)).unwrap_or_default();
    let Some(tests) = record.get("tests") else {
        let hint = say!("add `tests:` with a list of tests");
        d.problem(record.span, say!("there are no tests in this file"), Some(hint));
        return None;
    };
    let calendar = Arc::new(calendar?);
    let sequence = d.sequence(tests, "tests");
    if sequence.is_empty() {
        let hint = say!("write a test under `tests:`, or delete the file");
        d.problem(tests.span, say!("there are no tests in this file"), Some(hint));
    }
    let cases = sequence.iter().filter_map(|node| case(d, node, &defaults, (folder, &calendar))).collect();
    Some(Suite { rules, lists, calendar, language: language.unwrap_or_default(), lateness, cases })
}

fn paths<'t>(d: &mut Document<'t>, record: &MappingFields<'_, 't>, folder: &Path) -> Vec<PathBuf> {
    let Some(node) = record.get("rules") else {
        let hint = say!("add `rules:` with files or folders, relative to this file");
        d.problem(record.span, say!("the file does not say which rules it tests"), Some(hint));
        return Vec::new();
    };
    d.scalars(node, "rules").into_iter().map(|path| from_folder(folder, Path::new(&path.text))).collect()
}

fn calendar<'t>(d: &mut Document<'t>, record: &MappingFields<'_, 't>) -> Option<Calendar> {
    let node = record.get("time_zone");
    let zone = node.and_then(|node| d.scalar(node, "time_zone"));
    let name = zone.as_ref().map_or("Asia/Shanghai", |zone| &zone.text);
    let calendar = Calendar::new(name, 1, 1);
    if let Err(e) = &calendar {
        d.problem(zone.map_or(record.span, |zone| zone.span), e.to_string(), None);
    }
    calendar.ok()
}

/// A list called `codes_unit_code` is the table of that column.
fn lists<'t>(d: &mut Document<'t>, node: &Node<'t>, (folder, calendar): (&Path, Option<&Calendar>)) -> Lists {
    let mut lists = Lists::default();
    for (name, node) in d.mapping(node, "lists") {
        let list = match &node.data {
            YamlData::Sequence(rows) => inline_list(d, rows, name.span),
            _ => list_file(d, node, folder),
        };
        let is_of_codes = CODE_COLUMNS.iter().any(|column| name.text == list_name(column));
        let list = list.map(|list| match calendar.filter(|_| is_of_codes) {
            Some(calendar) => list.into_codes(&CodeColumns::default(), calendar),
            None => Ok(list),
        });
        match list {
            Some(Ok(list)) => lists.insert(&name.text, list),
            Some(Err(why)) => d.problem(name.span, why, None),
            None => {}
        }
    }
    lists
}

/// A path, or what the configuration says of a list: `{path, key, columns}`.
fn list_file<'t>(d: &mut Document<'t>, node: &Node<'t>, folder: &Path) -> Option<List> {
    let kinds = [
        ("text", ColumnKind::Text),
        ("code", ColumnKind::Code),
        ("account", ColumnKind::Account),
        ("name", ColumnKind::Name),
        ("money", ColumnKind::Money),
        ("decimal", ColumnKind::Decimal),
    ];
    let mut columns = BTreeMap::new();
    let (mut path, mut key) = (Some(node), None);
    if let YamlData::Mapping(_) = &node.data {
        let record = d.record(node, &say!("a reference list"), &["path", "key", "columns"]);
        path = record.get("path");
        key = record.get("key").and_then(|node| d.scalar(node, "key"));
        let named = record.get("columns").map(|node| d.mapping(node, "columns")).unwrap_or_default();
        for (name, node) in named {
            columns
                .extend(d.choice(node, &say!("the kind of a column"), &kinds).map(|kind| (name.text, kind)));
        }
    }
    let Some(path) = path else {
        d.problem(node.span, say!("the list has no `path`"), Some(String::from("add `path:`")));
        return None;
    };
    let path = d.scalar(path, &say!("a list's path"))?;
    let key = key.as_ref().map(|key| key.text.as_str());
    let list = List::read(&from_folder(folder, Path::new(&path.text)), key, &columns);
    if let Err(e) = &list {
        let message = match e {
            ListError::Io { error, .. } => format!("{}: {}", path.text, os_reason(error)),
            ListError::Row { .. } => e.to_string(),
        };
        d.problem(path.span, message, None);
    }
    list.ok()
}

/// Rows as mappings; the first field of the first row is the key, and its fields are the columns.
fn inline_list<'t>(d: &mut Document<'t>, rows: &[Node<'t>], place: Span) -> Option<List> {
    let Some(first) = rows.first() else {
        let hint = say!("write `[{{name: -}}]` for a list that nothing is in");
        d.problem(place, say!("an inline list needs a row, which names its columns"), Some(hint));
        return None;
    };
    let columns: Vec<_> = d.mapping(first, &say!("a row")).into_iter().map(|(name, _)| name.text).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut values = Vec::new();
    for row in rows {
        let record = d.record(row, &say!("a row of this list"), &columns);
        let value = |name: &&str| record.get(name).and_then(|node| d.scalar(node, name));
        values
            .push(columns.iter().map(value).map(|p| p.map_or(String::new(), |p| p.text)).collect::<Vec<_>>());
    }
    let values: Vec<Vec<&str>> = values.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
    let values: Vec<&[&str]> = values.iter().map(Vec::as_slice).collect();
    Some(List::of(&columns, &values))
}

/// Defaults of every event, and those of events of one type. An event takes only what its type has.
#[derive(Default)]
struct Defaults {
    common: Map<String, Value>,
    by_type: BTreeMap<&'static str, Map<String, Value>>,
}

fn defaults<'t>(d: &mut Document<'t>, node: &Node<'t>) -> Defaults {
    let mut defaults = Defaults::default();
    for (name, node) in d.mapping(node, "defaults") {
        if let Some(event_type) = EventType::parse(&name.text) {
            let entries = d.mapping(node, &say!("the defaults of a type"));
            let known = |f: &FieldSpec| f.on & event_type.bit() != 0;
            let fields = fields(d, entries, event_type.name(), known);
            defaults.by_type.insert(event_type.name(), fields);
        } else {
            defaults.common.append(&mut fields(d, vec![(name, node)], &say!("an event"), |_| true));
        }
    }
    defaults
}

/// The fields of an event. Text is taken as it is written, so that codes need no quotes.
fn fields<'t>(
    d: &mut Document<'t>,
    entries: Vec<(Placed, &Node<'t>)>,
    who: &str,
    known: impl Fn(&FieldSpec) -> bool,
) -> Map<String, Value> {
    let mut map = Map::new();
    for (name, node) in entries {
        let Some((_, spec)) = field(&name.text).filter(|(_, spec)| known(spec)) else {
            let names = FIELDS.iter().filter(|spec| known(spec)).map(|spec| spec.name);
            let hint = match column_of(&name.text) {
                Some(near) => did_you_mean(near),
                None => suggest(&name.text, names),
            };
            d.problem(name.span, say!("{who} has no field \"{name}\"", who, name = name.text), Some(hint));
            continue;
        };
        let value = match spec.kind {
            _ if is_null(node) => Value::Null,
            FieldKind::Tags => d.scalars(node, spec.name).into_iter().map(|p| p.text).collect(),
            _ => d.scalar(node, spec.name).map(|p| p.text).into(),
        };
        map.insert(name.text, value);
    }
    map
}

fn case<'t>(
    d: &mut Document<'t>,
    node: &Node<'t>,
    defaults: &Defaults,
    (folder, calendar): (&Path, &Calendar),
) -> Option<RuleTest> {
    let record = d.record(node, &say!("a test"), CASE);
    let Some(name) = record.get("name").and_then(|node| d.scalar(node, "name")) else {
        d.problem(record.span, say!("the test has no name"), Some(String::from("add `name:`")));
        return None;
    };
    let mut all = record.get("files").map(|node| files::events(d, node, folder)).unwrap_or_default();
    all.extend(record.get("events").map(|node| events(d, node, defaults)).unwrap_or_default());
    let (expect, before) = (expect(d, &record), d.problems.len());
    let moments = record.get("at").map(|node| moments(d, node, calendar)).unwrap_or_default();
    let is_told = d.problems.len() > before;
    if moments.is_empty() && !is_told && EXPECTATIONS.into_iter().all(|name| record.get(name).is_none()) {
        let hint = say!("write `expect: []` if there must be no finding");
        d.problem(name.span, say!("the test expects nothing"), Some(hint));
    }
    let only = record.get("only").map(|node| d.scalars(node, "only")).unwrap_or_default();
    let params = record.get("params").map(|node| params(d, node)).unwrap_or_default();
    let balances = record.get("balances").map(|node| balances(d, node)).unwrap_or_default();
    let alerts = alerts(d, &record);
    Some(RuleTest { name, events: all, params, expect, alerts, only, balances, moments })
}

fn events<'t>(d: &mut Document<'t>, node: &Node<'t>, defaults: &Defaults) -> Vec<TestEvent> {
    let mut ids = BTreeSet::new();
    let nodes = d.sequence(node, "events");
    let mut events = Vec::new();
    for (number, node) in (1..).zip(nodes) {
        let entries = d.mapping(node, &say!("an event"));
        let given = entries.iter().find(|(name, _)| name.text == "type");
        let given = given.and_then(|(_, node)| d.scalar(node, "type"));
        let default = defaults.common.get("type").and_then(Value::as_str).unwrap_or("payment");
        let type_name = given.as_ref().map_or(default, |placed| &placed.text);
        let Some(event_type) = EventType::parse(type_name) else {
            let hint = meant(type_name, &EventType::ALL.map(EventType::name));
            d.problem(node.span, say!("unknown event type \"{type_name}\"", type_name), Some(hint));
            continue;
        };
        let has = |spec: &FieldSpec| spec.on & event_type.bit() != 0;
        let own = fields(d, entries, type_name, has);
        let mut record = Map::new();
        record.insert(String::from("type"), type_name.into());
        record.insert(String::from("event_id"), format!("e{number}").into());
        let typed = defaults.by_type.get(event_type.name());
        for (name, value) in defaults.common.iter().chain(typed.into_iter().flatten()).chain(&own) {
            if field(name).is_some_and(|(_, spec)| has(spec)) && (name != "type" || own.contains_key("type"))
            {
                record.insert(name.clone(), value.clone());
            }
        }
        // A null takes a default away.
        record.retain(|_, value| !value.is_null());
        let id = record.get("event_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !ids.insert(id.clone()) {
            let hint = say!("events without an event_id are e1, e2, … by their place in the test");
            d.problem(node.span, say!("the event_id \"{id}\" is taken", id), Some(hint));
        }
        events.push(TestEvent { id, line: node.span.start.line(), record });
    }
    events
}

fn params<'t>(d: &mut Document<'t>, node: &Node<'t>) -> Vec<(Placed, Vec<(Placed, Param)>)> {
    let rules = d.mapping(node, "params");
    rules.into_iter().map(|(rule, node)| (rule, parse::params(d, node))).collect()
}
