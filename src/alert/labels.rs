//! What routes, silences and inhibition match on: names with one or several values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{finding::Finding, rule::Rule, say, text::quoted};

/// Labels of an alert. A name usually has one value; `tag` has one for each tag of the rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, Vec<String>>);

/// A label's value is cut after so many characters: it goes to mail subjects, metrics of others and group keys.
const VALUE_MAX: usize = 200;
/// The type of the event, which a finding tells beside its labels.
pub(crate) const TYPE: &str = "type";
/// The shard whose alert it is, where the stream is parted.
pub(crate) const SHARD: &str = "shard";

impl Labels {
    /// Adds a value beside those that the name has.
    pub fn add(&mut self, name: &str, value: &str) {
        let value: String = value.chars().take(VALUE_MAX).collect();
        let values = self.0.entry(name.to_owned()).or_default();
        if !values.contains(&value) {
            values.push(value);
        }
    }

    /// Sets the only value.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.remove(name);
        self.add(name, value);
    }

    /// The values of a name; none if it is not there.
    #[must_use]
    pub fn values(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The first value of a name.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.values(name).first().map(String::as_str)
    }

    /// Names and values in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(name, values)| values.iter().map(|v| (name.as_str(), v.as_str())))
    }

    /// The labels of these names alone.
    #[must_use]
    pub fn only(&self, names: &[String]) -> Self {
        Self(
            self.0
                .iter()
                .filter(|(name, _)| names.contains(name))
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect(),
        )
    }

    /// Parses `name=value` pairs, as `routes test` takes them.
    ///
    /// # Errors
    /// If one has no `=`.
    pub fn parse(pairs: &[String]) -> Result<Self, String> {
        let mut labels = Self::default();
        for pair in pairs {
            let wrong = || say!("{pair} is not a label: write name=value", pair = quoted(pair));
            let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
            labels.add(name.trim(), value.trim().trim_matches('"'));
        }
        Ok(labels)
    }

    /// The labels of an alert that begins with this finding: `rule`, `severity`, `handling`, `tag` for each of the
    /// rule's tags, and the columns of the key. `unit_code`, `region_code` and `budget_line_id` are there whenever the
    /// finding tells them.
    #[must_use]
    pub fn of(rule: &Rule, finding: &Finding) -> Self {
        let mut labels = Self::default();
        for (name, value) in &finding.key {
            labels.add_value(name, value);
        }
        // What an alert was about first need not be what it is about later, and labels do not change.
        for (name, value) in finding.labels.iter().filter(|(name, _)| *name != TYPE) {
            labels.add_value(name, value);
        }
        for (name, value) in [
            ("rule", finding.rule_id.as_str()),
            ("severity", finding.severity.word()),
            ("handling", finding.handling.word()),
        ] {
            labels.set(name, value);
        }
        rule.tags.iter().for_each(|tag| labels.add("tag", tag));
        if let Some(owner) = &rule.owner {
            labels.set("owner", owner);
        }
        labels
    }

    fn add_value(&mut self, name: &str, value: &Value) {
        match value {
            Value::Null => {}
            Value::String(text) => self.add(name, text),
            other => self.add(name, &other.to_string()),
        }
    }
}

impl std::fmt::Display for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (name, value)) in self.iter().enumerate() {
            write!(f, "{}{name}={value:?}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
