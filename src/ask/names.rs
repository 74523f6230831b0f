//! The names that somebody may use: their units, their regions and the rules.

use std::collections::BTreeMap;

use crate::access::Limits;

/// Names, as far as the asker's limits go.
#[derive(Debug, Default, Clone)]
pub struct Names {
    /// Names of units by their codes.
    units: BTreeMap<String, String>,
    /// Names of regions by their codes; empty where none is known.
    regions: BTreeMap<String, String>,
    /// Titles of rules by their ids.
    rules: BTreeMap<String, Vec<String>>,
}

impl Names {
    /// The names within limits: units with their names and regions, names of regions, and rules with their titles.
    #[must_use]
    pub fn new(
        limits: &Limits,
        units: impl Iterator<Item = (String, String, Option<String>)>,
        regions: impl Iterator<Item = (String, String)>,
        rules: impl Iterator<Item = (String, Vec<String>)>,
    ) -> Self {
        let mut all = Self { rules: rules.collect(), ..Self::default() };
        for (unit, name, region) in units {
            if !limits.allow(Some(&unit), region.as_deref()) {
                continue;
            }
            all.units.insert(unit, name);
            if let Some(region) = region {
                all.regions.entry(region).or_default();
            }
        }
        for (code, name) in regions {
            // A name leads where units are, or above them.
            let leads = all.regions.keys().any(|known| known.starts_with(&code));
            if leads {
                all.regions.insert(code, name);
            }
        }
        all
    }

    /// The code of a unit, or the beginning of some.
    pub(super) fn unit(&self, code: &str) -> Option<String> {
        begins(&self.units, code).then(|| code.to_owned())
    }

    pub(super) fn region(&self, code: &str) -> Option<String> {
        begins(&self.regions, code).then(|| code.to_owned())
    }

    pub(super) fn rule(&self, id: &str) -> Option<String> {
        self.rules.contains_key(id).then(|| id.to_owned())
    }

    pub(super) fn units(&self) -> impl Iterator<Item = (&str, &str)> {
        self.units.iter().map(|(code, name)| (code.as_str(), name.as_str()))
    }

    pub(super) fn regions(&self) -> impl Iterator<Item = (&str, &str)> {
        let named = self.regions.iter().filter(|(_, name)| !name.is_empty());
        named.map(|(code, name)| (code.as_str(), name.as_str()))
    }

    pub(super) fn rules(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rules.iter().flat_map(|(id, titles)| {
            std::iter::once(id.as_str())
                .chain(titles.iter().map(String::as_str))
                .map(move |way| (id.as_str(), way))
        })
    }

    /// What a value is called, where it has a name.
    #[must_use]
    pub fn label(&self, kind: super::ParameterKind, value: &str) -> Option<&str> {
        match kind {
            super::ParameterKind::Unit => self.units.get(value).map(String::as_str),
            super::ParameterKind::Region => {
                self.regions.get(value).map(String::as_str).filter(|name| !name.is_empty())
            }
            super::ParameterKind::Rule => {
                self.rules.get(value).and_then(|titles| titles.first()).map(String::as_str)
            }
            _ => None,
        }
    }
}

fn begins(codes: &BTreeMap<String, String>, code: &str) -> bool {
    let next = codes.range(code.to_owned()..).next();
    next.is_some_and(|(known, _)| known.starts_with(code))
}
