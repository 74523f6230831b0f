//! What a set of rules is made of, in one canonical text: the digest of each file, and what the configuration changes
//! about rules. Its own digest is what is proposed and approved. Where the files stand does not matter.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Param, agreed, load::RuleAdjustment};

/// The files and changes of a set, by name.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleManifest(BTreeMap<String, String>);

/// What becomes of a part of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartDifference {
    /// The part is new in the set.
    Added,
    /// It is another one.
    Changed,
    /// It is no more.
    Removed,
}

impl RuleManifest {
    /// Adds a file, with its path below the one of `roots` that it was found by.
    pub(super) fn add_file(&mut self, path: &Path, roots: &[PathBuf], text: &[u8]) {
        let below = roots.iter().find_map(|root| path.strip_prefix(root).ok());
        let below = below.filter(|below| !below.as_os_str().is_empty());
        let name = below.or_else(|| path.file_name().map(Path::new)).unwrap_or(path);
        self.add(name.display().to_string(), blake3::hash(text).to_hex().to_string());
    }

    /// Adds what the configuration changes.
    pub(super) fn add_overrides(&mut self, overrides: &BTreeMap<String, RuleAdjustment>) {
        for (rule, RuleAdjustment { mode, params, adopted }) in overrides {
            if let Some(mode) = mode {
                self.add(format!("rules.overrides.{rule}.mode"), mode.word().to_owned());
            }
            for (param, value) in params {
                self.add(format!("rules.overrides.{rule}.params.{param}"), written(value));
            }
            for (name, value) in adopted {
                match agreed::unit_of(name) {
                    Some(unit) => {
                        self.add(format!("rules.lab.{rule}.exceptions.{unit}"), agreed::shown(value));
                    }
                    None => self.add(format!("rules.lab.{rule}.params.{name}"), value.to_string()),
                }
            }
        }
    }

    /// Folders may have files of the same name.
    fn add(&mut self, mut name: String, value: String) {
        while self.0.contains_key(&name) {
            name.push_str(" (again)");
        }
        self.0.insert(name, value);
    }

    /// The canonical text: a JSON object without blanks, its keys in order.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// From that text; `None` if it is none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    /// BLAKE3 of the text, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        blake3::hash(self.text().as_bytes()).to_hex().to_string()
    }

    /// What a setting is in it, in words; digests of files tell people nothing.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.0.get(name).filter(|_| name.starts_with("rules.")).map(String::as_str)
    }

    /// How many parts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is different from `before`, by name.
    #[must_use]
    pub fn since<'m>(&'m self, before: &'m Self) -> BTreeMap<&'m str, PartDifference> {
        let new = self.0.iter().filter_map(|(name, value)| match before.0.get(name) {
            None => Some((name.as_str(), PartDifference::Added)),
            Some(old) if old != value => Some((name.as_str(), PartDifference::Changed)),
            Some(_) => None,
        });
        let gone = before.0.keys().filter(|name| !self.0.contains_key(*name));
        new.chain(gone.map(|name| (name.as_str(), PartDifference::Removed))).collect()
    }
}

/// A constant as its kind is written: a text is no number that looks the same.
fn written(param: &Param) -> String {
    match param {
        Param::Number(text) => text.clone(),
        Param::Text(_) | Param::Bool(_) => param.to_json().to_string(),
        Param::List(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(files: &[(&str, &str)], root: &str) -> RuleManifest {
        let mut manifest = RuleManifest::default();
        let roots = [PathBuf::from(root)];
        files.iter().for_each(|(name, text)| {
            manifest.add_file(&roots[0].join(name), &roots, text.as_bytes());
        });
        manifest
    }

    #[test]
    fn a_set_is_what_its_files_say_and_not_where_they_stand() {
        let set = manifest(&[("a.yaml", "x"), ("b/c.yaml", "y")], "/etc/rules");
        assert_eq!(set.digest(), manifest(&[("b/c.yaml", "y"), ("a.yaml", "x")], "/tmp/next").digest());
        assert_eq!(RuleManifest::read(&set.text()), Some(set.clone()));
        let other = manifest(&[("a.yaml", "z"), ("d.yaml", "y")], "/etc/rules");
        assert_ne!(set.digest(), other.digest());
        let since = other.since(&set);
        let expected = [
            ("a.yaml", PartDifference::Changed),
            ("b/c.yaml", PartDifference::Removed),
            ("d.yaml", PartDifference::Added),
        ];
        assert_eq!(since, BTreeMap::from(expected));
        assert_eq!(manifest(&[("", "x")], "/etc/one.yaml").0.keys().next().unwrap(), "one.yaml");
    }

    #[test]
    fn what_the_configuration_changes_is_of_the_set() {
        let with = |value: Param| {
            let mut set = manifest(&[("a.yaml", "x")], "rules");
            let params = BTreeMap::from([(String::from("limit"), value)]);
            set.add_overrides(&BTreeMap::from([(
                String::from("cash"),
                RuleAdjustment { params, ..RuleAdjustment::default() },
            )]));
            set.digest()
        };
        let number = |text: &str| Param::Number(text.to_owned());
        assert_ne!(with(number("5")), with(number("6")));
        assert_ne!(with(number("5")), with(Param::Text(String::from("5"))));
        assert_ne!(with(number("5")), manifest(&[("a.yaml", "x")], "rules").digest());
    }
}
