//! Findings against labels: which of them are about a known anomaly, and which anomalies were found.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    diagnostic::json_fault,
    event::{Instant, TimeDelta, time::Calendar},
    finding::Finding,
    say,
    text::quoted,
};

/// How long after an anomaly that names no rule a tick may be about it.
const SOON: TimeDelta = TimeDelta::days(45);

/// A known anomaly, a line of the labels' file. Other fields are ignored.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct KnownAnomaly {
    /// What kind of anomaly it is.
    pub kind: String,
    /// The rules that may find it, its own first; none if it is not known which might, and then any may.
    pub rule_ids: Vec<String>,
    /// The events it consists of.
    #[serde(default)]
    pub event_ids: Vec<String>,
    /// The time of its first event.
    pub from: String,
    /// The time of its last event.
    pub to: String,
    /// Values by column that identify it to findings about a window or a tick.
    #[serde(default)]
    pub key: Map<String, Value>,
}

/// Why labels cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LabelError {
    /// A line is no label.
    #[error("{}", say!("line {line} is no label: {error}. docs/rules.md tells how they are written", line, error = json_fault(error)))]
    Shape { line: usize, error: serde_json::Error },
    /// A time is no time.
    #[error("{}", say!("line {line}: the time {time}: {error}", line, time = quoted(text), error))]
    Time { line: usize, text: String, error: String },
}

/// Labels by what they are matched with.
#[derive(Debug)]
pub(crate) struct LabelIndex {
    known: Vec<Known>,
    by_event: HashMap<String, Vec<usize>>,
    by_rule: HashMap<String, Vec<usize>>,
    /// Those that any rule may find.
    of_any: Vec<usize>,
    rules: BTreeMap<String, RuleScore>,
}

#[derive(Debug)]
struct Known {
    label: KnownAnomaly,
    from: Instant,
    to: Instant,
    /// The rules that found it.
    found_by: BTreeSet<String>,
}

/// How well a rule does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct RuleScore {
    /// Findings about a labelled anomaly that the rule may find.
    pub right: u64,
    pub wrong: u64,
    /// Anomalies that are the rule's own.
    pub planted: u64,
    /// Those of them that it found.
    pub found: u64,
}

impl LabelIndex {
    /// Reads labels, a JSON object a line.
    ///
    /// # Errors
    /// The first line that is no label.
    pub(crate) fn parse(text: &str, calendar: &Calendar) -> Result<Self, LabelError> {
        let mut labels = Self {
            known: Vec::new(),
            by_event: HashMap::new(),
            by_rule: HashMap::new(),
            of_any: Vec::new(),
            rules: BTreeMap::new(),
        };
        for (line, text) in (1..).zip(crate::stream::lines(text)).filter(|(_, text)| !text.trim().is_empty())
        {
            let label: KnownAnomaly =
                serde_json::from_str(text).map_err(|error| LabelError::Shape { line, error })?;
            let time = |text: &str| {
                calendar.parse(text).map_err(|error| LabelError::Time {
                    line,
                    text: text.to_owned(),
                    error: error.to_string(),
                })
            };
            let (from, to) = (time(&label.from)?, time(&label.to)?);
            labels.add(Known { label, from, to, found_by: BTreeSet::new() });
        }
        Ok(labels)
    }

    fn add(&mut self, known: Known) {
        let at = self.known.len();
        for event in &known.label.event_ids {
            self.by_event.entry(event.clone()).or_default().push(at);
        }
        for rule in &known.label.rule_ids {
            self.by_rule.entry(rule.clone()).or_default().push(at);
        }
        match known.label.rule_ids.first() {
            Some(own) => self.rules.entry(own.clone()).or_default().planted += 1,
            None => self.of_any.push(at),
        }
        self.known.push(known);
    }

    /// Counts a finding; `at` is its time and `window` the span it is about. Whether it is right.
    pub(crate) fn count(&mut self, finding: &Finding, at: Instant, window_start: Option<Instant>) -> bool {
        let matching = self.matching(finding, at, window_start);
        for &index in &matching {
            self.known[index].found_by.insert(finding.rule_id.clone());
        }
        let score = self.rules.entry(finding.rule_id.clone()).or_default();
        if matching.is_empty() {
            score.wrong += 1;
        } else {
            score.right += 1;
        }
        !matching.is_empty()
    }

    /// The anomalies that a finding is about, of those that its rule may find: the event is one of theirs; or the
    /// key is theirs, and the event took place between their events, or after them if the key is more than a unit;
    /// or the window or tick comes not before them.
    fn matching(&self, finding: &Finding, at: Instant, window_start: Option<Instant>) -> Vec<usize> {
        let may_find = |index: &usize| {
            let label = &self.known[*index].label;
            label.rule_ids.contains(&finding.rule_id)
                || label.rule_ids.is_empty() && tells_of_more(&finding.key)
        };
        let events = finding.event_id.as_ref().and_then(|event| self.by_event.get(event));
        let of_event: Vec<usize> = events.into_iter().flatten().copied().filter(may_find).collect();
        if !of_event.is_empty() {
            return of_event;
        }
        let candidates = self.by_rule.get(&finding.rule_id).into_iter().flatten().copied();
        let of_rule = candidates.filter(|&index| {
            let known = &self.known[index];
            if finding.event_id.is_some() {
                let whole_key = shares(&finding.key, &known.label.key, true);
                return whole_key && known.from <= at && (at <= known.to || finding.key.len() > 1);
            }
            let in_time = known.from < at && window_start.is_none_or(|start| start <= known.to);
            in_time && shares(&finding.key, &known.label.key, false)
        });
        let of_any = self.of_any.iter().copied().filter(|index| {
            let known = &self.known[*index];
            let soon =
                at <= known.to.saturating_add(SOON) && window_start.is_none_or(|start| start <= known.to);
            known.from < at && soon && finding.event_id.is_none() && is_about(&finding.key, &known.label.key)
        });
        of_rule.chain(of_any).collect()
    }

    /// The scores by rule; every rule that found something or has anomalies of its own.
    #[must_use]
    pub(crate) fn rules(&self) -> BTreeMap<String, RuleScore> {
        let mut rules = self.rules.clone();
        for known in &self.known {
            if let Some(own) = known.label.rule_ids.first().filter(|own| known.found_by.contains(*own)) {
                rules.entry(own.clone()).or_default().found += 1;
            }
        }
        rules
    }

    /// How many anomalies there are, and how many of them at least one of their rules found.
    #[must_use]
    pub(crate) fn recall(&self) -> (u64, u64) {
        let found = self.known.iter().filter(|known| !known.found_by.is_empty()).count();
        (self.known.len() as u64, found as u64)
    }

    /// Anomalies that were not found, by kind.
    #[must_use]
    pub(crate) fn missed(&self) -> BTreeMap<&str, u64> {
        let mut missed = BTreeMap::new();
        for known in self.known.iter().filter(|known| known.found_by.is_empty()) {
            *missed.entry(known.label.kind.as_str()).or_default() += 1;
        }
        missed
    }
}

/// What only says how far a budget line is used says nothing of an anomaly that names no rule.
fn tells_of_more(key: &Map<String, Value>) -> bool {
    key.keys().any(|name| name != "budget_line_id")
}

/// Whether a finding about a window or a tick is about an anomaly that names no rule: its key has all that identifies the
/// anomaly, and names no payee if that does not.
fn is_about(key: &Map<String, Value>, label: &Map<String, Value>) -> bool {
    let payee = "payee_account";
    let same = label.iter().all(|(name, value)| key.get(name) == Some(value));
    !label.is_empty() && same && (label.contains_key(payee) || !key.contains_key(payee))
}

/// Whether a finding's key has the values of a label's in the columns that both have, and there is one. A column
/// that the label lacks is a difference if the `whole` key is compared.
fn shares(key: &Map<String, Value>, label: &Map<String, Value>, whole: bool) -> bool {
    let mut shared = false;
    for (name, value) in key {
        match label.get(name) {
            Some(other) if other == value => shared = true,
            None if !whole => {}
            _ => return false,
        }
    }
    shared
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::finding::{Handling, RuleMode, Severity};

    const LABELS: &str = r#"
{"kind":"paid-twice","rule_ids":["duplicate"],"event_ids":["a","b"],"from":"2026-03-02","to":"2026-03-05","key":{"unit_code":"1","payee_account":"9"}}
{"kind":"rush","rule_ids":["rush","late"],"from":"2026-12-10","to":"2026-12-20","key":{"unit_code":"2"},"note":"x"}
"#;

    fn finding(rule: &str, event: Option<&str>, key: &Value) -> Finding {
        Finding {
            labels: serde_json::Map::new(),
            finding_id: String::new(),
            rule_id: rule.to_owned(),
            severity: Severity::Low,
            handling: Handling::Record,
            mode: RuleMode::Live,
            key: key.as_object().unwrap().clone(),
            at: String::new(),
            event_id: event.map(str::to_owned),
            window: None,
            values: Map::new(),
            summary: String::new(),
        }
    }

    #[test]
    fn a_finding_is_right_if_its_event_or_its_key_and_time_are() {
        let calendar = Calendar::new("Asia/Shanghai", 1, 1).unwrap();
        let day = |text: &str| calendar.parse(text).unwrap();
        let mut labels = LabelIndex::parse(LABELS, &calendar).unwrap();
        let (unit, both) = (json!({"unit_code": "1"}), json!({"unit_code": "1", "payee_account": "9"}));
        let mut right = |rule: &str, event: Option<&str>, key: &Value, at: &str| {
            labels.count(&finding(rule, event, key), day(at), None)
        };
        assert!(right("duplicate", Some("b"), &unit, "2026-03-05"));
        assert!(!right("other", Some("b"), &unit, "2026-03-05"), "no rule of the anomaly");
        assert!(right("duplicate", Some("c"), &unit, "2026-03-04"), "between its events");
        assert!(!right("duplicate", Some("c"), &unit, "2026-03-06"), "the unit alone says little afterwards");
        assert!(right("duplicate", Some("c"), &both, "2026-03-06"));
        assert!(!right("duplicate", Some("c"), &both, "2026-03-01"), "before");
        let more = json!({"unit_code": "1", "budget_line_id": "L"});
        assert!(!right("duplicate", Some("c"), &more, "2026-03-06"), "a column the label does not know");
        assert!(right("late", None, &json!({"unit_code": "2", "name": "x"}), "2027-01-01"));
        assert!(!right("late", None, &json!({"unit_code": "1"}), "2027-01-01"));
        assert!(!right("late", None, &json!({"unit_code": "2"}), "2026-12-01"));
        let scores = labels.rules();
        assert_eq!(scores["duplicate"], RuleScore { right: 3, wrong: 3, planted: 1, found: 1 });
        assert_eq!(scores["late"], RuleScore { right: 1, wrong: 2, ..RuleScore::default() });
        assert_eq!(scores["rush"], RuleScore { planted: 1, ..RuleScore::default() });
        assert_eq!(labels.recall(), (2, 2));
    }

    #[test]
    fn a_label_without_rules_may_be_found_by_any() {
        let labels = r#"
{"kind":"split","rule_ids":[],"event_ids":["a","b"],"from":"2026-03-02","to":"2026-03-05","key":{"payee_account":"9"}}
{"kind":"rush","rule_ids":[],"event_ids":["c"],"from":"2026-12-10","to":"2026-12-20","key":{"unit_code":"2"}}
"#;
        let calendar = Calendar::new("Asia/Shanghai", 1, 1).unwrap();
        let day = |text: &str| calendar.parse(text).unwrap();
        let mut labels = LabelIndex::parse(labels, &calendar).unwrap();
        let mut right = |event: Option<&str>, key: &Value, at: &str| {
            labels.count(&finding("x", event, key), day(at), None)
        };
        assert!(
            !right(Some("a"), &json!({"budget_line_id": "L"}), "2026-03-02"),
            "only how far a line is used"
        );
        assert!(!right(Some("d"), &json!({"payee_account": "9"}), "2026-03-04"), "another event");
        assert!(!right(None, &json!({"payee_account": "9"}), "2026-04-20"), "too late");
        assert!(
            !right(None, &json!({"unit_code": "2", "payee_account": "7"}), "2026-12-31"),
            "a payee it does not name"
        );
        assert!(!right(None, &json!({"unit_code": "3"}), "2026-12-31"));
        assert_eq!(labels.recall(), (2, 0));
        let mut right = |event: Option<&str>, key: &Value, at: &str| {
            labels.count(&finding("x", event, key), day(at), None)
        };
        assert!(right(Some("b"), &json!({"unit_code": "1", "budget_line_id": "L"}), "2026-03-05"));
        assert!(right(None, &json!({"payee_account": "9", "unit_code": "1"}), "2026-03-31"));
        assert!(right(None, &json!({"unit_code": "2"}), "2027-01-01"));
        assert_eq!((labels.recall(), labels.rules()["x"].right), ((2, 2), 3));
    }

    #[test]
    fn a_window_before_the_anomaly_or_behind_it_is_not_about_it() {
        let calendar = Calendar::new("Asia/Shanghai", 1, 1).unwrap();
        let day = |text: &str| calendar.parse(text).unwrap();
        let mut labels = LabelIndex::parse(LABELS, &calendar).unwrap();
        let found = finding("rush", None, &json!({"unit_code": "2"}));
        assert!(!labels.count(&found, day("2026-12-10"), Some(day("2026-12-09"))));
        assert!(!labels.count(&found, day("2026-12-22"), Some(day("2026-12-21"))));
        assert_eq!(labels.missed(), BTreeMap::from([("paid-twice", 1), ("rush", 1)]));
        assert!(labels.count(&found, day("2026-12-21"), Some(day("2026-12-20"))));
    }

    #[test]
    fn a_line_that_is_no_label_is_named() {
        let calendar = Calendar::new("Asia/Shanghai", 1, 1).unwrap();
        let error = |text: &str| LabelIndex::parse(text, &calendar).unwrap_err().to_string();
        assert!(error("\n{\"kind\":\"x\"}").starts_with("line 2 is no label: rule_ids is missing"));
        let time = r#"{"kind":"x","rule_ids":[],"from":"yesterday","to":"2026-01-01"}"#;
        assert!(error(time).starts_with("line 1: the time \"yesterday\""));
    }
}
