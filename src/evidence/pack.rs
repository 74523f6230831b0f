//! A pack is put together: what was gathered becomes files, and what can be made again of them is tried at once, so that a
//! pack never claims what its reader cannot repeat.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    BALANCES, EVENTS, FINDINGS, FORMAT, MANIFEST, RECIPE, RULE, again,
    archive::Files,
    recipe::{Recipe, RowsByList},
};
use crate::{
    finding::Finding,
    journal::layout::{block_of, row_of},
    say,
};

/// Everything that goes into a pack.
#[derive(Debug)]
pub(crate) struct Material {
    pub facts: PackManifest,
    pub recipe: Recipe,
    pub rule: String,
    pub rows: RowsByList,
    /// Events with their places in the journal, in its order.
    pub events: Vec<(i64, Map<String, Value>)>,
    /// Findings, oldest first.
    pub findings: Vec<Finding>,
    pub case: CaseFile,
}

/// What officers know of the case.
#[derive(Debug, Default, Clone)]
pub(crate) struct CaseFile {
    pub alert: Value,
    pub history: Vec<Value>,
    pub notifications: Vec<Value>,
    /// What was handed in: each with what is known of it, and its bytes.
    pub files: Vec<(Map<String, Value>, Vec<u8>)>,
    /// What of it is left out, in words.
    pub left_out: Vec<String>,
    /// What the codes of its events and findings are called, from the tables of codes: by column and code.
    pub codes: Vec<Value>,
}

/// What a pack says of itself: `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PackManifest {
    pub format: String,
    pub program: String,
    pub alert_id: String,
    pub rule_id: String,
    /// RFC 3339
    pub made_at: String,
    pub made_by: String,
    /// Whether accounts and names of persons are shown in part only.
    pub masked: bool,
    /// Whether the rule and its lists were the same since before the oldest finding in the pack, by the digests in the state.
    pub rule_unchanged: bool,
    /// Which of the journal's events are carried: `own`, `recent` or `all`.
    pub events_carried: String,
    pub events: usize,
    /// The findings that this pack makes again.
    pub made_again: Vec<String>,
    /// Those that it cannot, each with why.
    pub not_made_again: BTreeMap<String, String>,
    /// What is not in the pack.
    pub not_carried: Vec<String>,
}

impl PackManifest {
    /// Of a pack that says nothing yet.
    pub(crate) fn new(alert_id: &str, rule_id: &str, (made_at, made_by): (String, &str)) -> Self {
        Self {
            format: FORMAT.to_owned(),
            program: format!("fiscwatch {}", env!("CARGO_PKG_VERSION")),
            alert_id: alert_id.to_owned(),
            rule_id: rule_id.to_owned(),
            made_at,
            made_by: made_by.to_owned(),
            masked: false,
            rule_unchanged: true,
            events_carried: String::from("own"),
            events: 0,
            made_again: Vec::new(),
            not_made_again: BTreeMap::new(),
            not_carried: Vec::new(),
        }
    }
}

/// Events as the pack has them: one a line.
pub(crate) fn event_lines(events: &[(i64, Map<String, Value>)]) -> Bytes {
    Bytes::from(jsonl(events.iter().map(|(_, event)| event)))
}

/// Which findings these events give again, and why not the others.
pub(crate) fn tried(
    recipe: &Recipe,
    (rule, rows): (&str, &RowsByList),
    events: &Bytes,
    findings: &[Finding],
) -> (Vec<String>, BTreeMap<String, String>) {
    let made = recipe.rules(rule, rows.clone()).and_then(|rules| again::findings(recipe, &rules, events));
    let (mut same, mut others) = (Vec::new(), BTreeMap::new());
    for finding in findings {
        let why = match &made {
            Err(why) => why.clone(),
            Ok(made) => match difference(finding, made.get(&finding.finding_id)) {
                None => {
                    same.push(finding.finding_id.clone());
                    continue;
                }
                Some(why) => why,
            },
        };
        others.insert(finding.finding_id.clone(), why);
    }
    (same, others)
}

/// How a finding differs from what was made again; `None` if it does not.
pub(crate) fn difference(finding: &Finding, made: Option<&Finding>) -> Option<String> {
    let Some(made) = made else { return Some(say!("it is not found again")) };
    let (finding, made) = (json!(finding), json!(made));
    let fields = finding.as_object().into_iter().flatten();
    let mut differing = fields.filter(|(name, value)| made.get(name.as_str()) != Some(*value));
    let first = differing.next().map(|(name, value)| {
        let other = made.get(name.as_str()).cloned().unwrap_or_default();
        say!("{name} is {value}, and {other} is made again", name, value, other)
    });
    first.or_else(|| (finding != made).then(|| say!("a field is missing")))
}

/// The files of a pack, without its seal.
///
/// # Errors
/// In words, if its own events are refused.
pub(crate) fn files(material: &Material) -> Result<Files, String> {
    let Material { facts, recipe, rule, rows, events, findings, case } = material;
    let mut facts = facts.clone();
    let lines = event_lines(events);
    facts.events = events.len();
    if facts.masked {
        let why = say!("persons are masked in this pack, so its events are not those that were judged");
        facts.not_made_again = findings.iter().map(|f| (f.finding_id.clone(), why.clone())).collect();
    } else {
        (facts.made_again, facts.not_made_again) = tried(recipe, (rule, rows), &lines, findings);
    }
    let of: Vec<&str> = findings.iter().filter_map(|finding| finding.event_id.as_deref()).collect();
    let balances = if facts.masked { Vec::new() } else { again::balances(recipe, &lines, &of)? };
    let positions = events.iter().zip(1..).map(|((arrival, event), line)| {
        json!({"line": line, "event_id": event.get("event_id"), "block": block_of(*arrival), "row": row_of(*arrival)})
    });
    let mut files = Files::new();
    let mut add = |name: &str, data: String| files.insert(name.to_owned(), data.into_bytes());
    add(MANIFEST, pretty(&json!(facts)));
    add("case/alert.json", pretty(&case.alert));
    add("case/history.jsonl", jsonl(&case.history));
    add("case/notifications.jsonl", jsonl(&case.notifications));
    if !case.codes.is_empty() {
        add("case/codes.jsonl", jsonl(&case.codes));
    }
    add(FINDINGS, jsonl(findings));
    add("positions.jsonl", jsonl(positions));
    add(BALANCES, jsonl(&balances));
    add(RULE, rule.clone());
    add(RECIPE, pretty(&json!(recipe)));
    for (name, rows) in rows {
        add(&list_file(name), jsonl(rows));
    }
    let named = (1..).zip(&case.files).map(|(number, (known, _))| {
        let mut known = known.clone();
        known.insert(String::from("file"), attachment(number).into());
        known
    });
    add("case/files.jsonl", jsonl(named));
    files.extend((1..).zip(&case.files).map(|(number, (_, data))| (attachment(number), data.clone())));
    files.insert(EVENTS.to_owned(), lines.to_vec());
    Ok(files)
}

/// Names of people's files are their own; in the pack they are numbered.
fn attachment(number: usize) -> String {
    format!("files/{number:04}")
}

/// Where the rows of a list are. Names of lists may have signs that names of files do not.
pub(crate) fn list_file(name: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
            c.to_string()
        } else {
            format!("x{:x}", u32::from(c))
        }
    };
    format!("rule/lists/{}.jsonl", name.chars().map(safe).collect::<String>())
}

fn jsonl<T: Serialize>(rows: impl IntoIterator<Item = T>) -> String {
    rows.into_iter().map(|row| format!("{}\n", json!(row))).collect::<Vec<_>>().concat()
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
