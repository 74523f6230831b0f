//! 数据范围: the units and regions that somebody's roles are limited to. What lies outside is not there for them.

use std::{collections::BTreeSet, fmt, sync::Arc};

use serde_json::{Map, Value};

use crate::{say, text::quoted};

/// Prefixes of codes. Without any of a kind, all of that kind are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    pub(crate) units: Vec<String>,
    pub(crate) regions: Vec<String>,
    /// What else lies below them, by the tables of codes that are in force.
    below: Option<Arc<Below>>,
    /// Rules whose findings may show what is another unit's: their alerts are not there.
    pub(crate) hidden_rules: BTreeSet<String>,
}

/// Codes that lie below those that a limit names, and do not begin with them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Below {
    pub units: BTreeSet<String>,
    pub regions: BTreeSet<String>,
}

/// How the store writes a limit among the words of roles.
const UNIT: &str = "unit:";
const REGION: &str = "region:";
/// The columns that tell a unit and a region, also of another event (`original.unit_code`).
const UNIT_CODE: &str = "unit_code";
const REGION_CODE: &str = "region_code";
/// Prefixes of a kind, and their characters.
const PREFIXES_MAX: usize = 20;
const PREFIX_MAX: usize = 64;

impl Limits {
    /// Checks what somebody typed.
    ///
    /// # Errors
    /// If one is no beginning of a code, or there are too many.
    pub fn new(units: Vec<String>, regions: Vec<String>) -> Result<Self, String> {
        for prefix in units.iter().chain(&regions) {
            let is_code = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if prefix.is_empty() || prefix.len() > PREFIX_MAX || !prefix.chars().all(is_code) {
                return Err(say!(
                    "{text} is no beginning of a code such as 101 or 3201",
                    text = quoted(prefix)
                ));
            }
        }
        if units.len().max(regions.len()) > PREFIXES_MAX {
            return Err(say!("at most {most} units and {most} regions can be named", most = PREFIXES_MAX));
        }
        Ok(Self { units, regions, ..Self::default() })
    }

    /// Whether everything is meant.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.units.is_empty() && self.regions.is_empty()
    }

    /// Whether something of this unit and region is there for them. What has no unit or region is not, where that is asked.
    #[must_use]
    pub fn allow(&self, unit: Option<&str>, region: Option<&str>) -> bool {
        let (units, regions) = self.below();
        allows(&self.units, units, unit) && allows(&self.regions, regions, region)
    }

    /// The same limits, with what the trees of codes have below them.
    #[must_use]
    pub(crate) fn with_below(self, below: Arc<Below>) -> Self {
        Self { below: Some(below), ..self }
    }

    /// The same limits, without the alerts of these rules.
    #[must_use]
    pub(crate) fn without_rules(&self, hidden_rules: BTreeSet<String>) -> Self {
        Self { hidden_rules, ..self.clone() }
    }

    /// The codes of units and of regions that are there besides what begins with the limits.
    pub(crate) fn below(&self) -> (Option<&BTreeSet<String>>, Option<&BTreeSet<String>>) {
        let below = self.below.as_deref();
        (below.map(|b| &b.units), below.map(|b| &b.regions))
    }

    /// Whether no column of a finding names a unit or region that is not there for them.
    #[must_use]
    pub fn allow_columns(&self, columns: &Map<String, Value>) -> bool {
        columns.iter().all(|(name, value)| {
            let (units, regions) = self.below();
            let (prefixes, below) = if name.ends_with(UNIT_CODE) {
                (&self.units, units)
            } else if name.ends_with(REGION_CODE) {
                (&self.regions, regions)
            } else {
                return true;
            };
            value.is_null() || allows(prefixes, below, value.as_str())
        })
    }

    /// Takes one of the words that the store keeps; whether it was a limit.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let (list, prefix) = match (word.strip_prefix(UNIT), word.strip_prefix(REGION)) {
            (Some(prefix), _) => (&mut self.units, prefix),
            (_, Some(prefix)) => (&mut self.regions, prefix),
            _ => return false,
        };
        list.push(prefix.to_owned());
        true
    }
}

fn allows(prefixes: &[String], below: Option<&BTreeSet<String>>, code: Option<&str>) -> bool {
    let begins = |code: &str| prefixes.iter().any(|prefix| code.starts_with(prefix.as_str()));
    prefixes.is_empty()
        || code.is_some_and(|code| begins(code) || below.is_some_and(|below| below.contains(code)))
}

/// As the store keeps them, and as people read them.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.units.iter().map(|prefix| format!("{UNIT}{prefix}"));
        let regions = self.regions.iter().map(|prefix| format!("{REGION}{prefix}"));
        f.write_str(&units.chain(regions).collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn limits(units: &[&str], regions: &[&str]) -> Limits {
        let owned = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect();
        Limits::new(owned(units), owned(regions)).unwrap()
    }

    #[test]
    fn what_lies_outside_is_not_there() {
        let own = limits(&["101", "20"], &["3201"]);
        assert!(own.allow(Some("101001"), Some("320102")) && own.allow(Some("20"), Some("3201")));
        for (unit, region) in [
            (Some("102001"), Some("320102")),
            (Some("10"), Some("3201")),
            (Some("101001"), Some("3202")),
            (None, Some("3201")),
            (Some("101001"), None),
        ] {
            assert!(!own.allow(unit, region), "{unit:?} {region:?}");
        }
        assert!(limits(&[], &[]).allow(None, None) && limits(&[], &[]).is_none());
        let columns = |value: Value| value.as_object().unwrap().clone();
        assert!(
            own.allow_columns(&columns(
                json!({"unit_code": "101001", "amount": "1.00", "region_code": null})
            ))
        );
        assert!(!own.allow_columns(&columns(json!({"original.unit_code": "102001"}))));
        assert!(!own.allow_columns(&columns(json!({"unit_code": "101001", "payer_region_code": "11"}))));
    }

    #[test]
    fn what_a_tree_has_below_is_there_whatever_it_begins_with() {
        let units = BTreeSet::from([String::from("777")]);
        let own = limits(&["101"], &[]).with_below(Arc::new(Below { units, regions: BTreeSet::new() }));
        assert!(own.allow(Some("101001"), None) && own.allow(Some("777"), None));
        // A code of a tree is whole, and no beginning.
        assert!(!own.allow(Some("7771"), None) && !own.allow(Some("202"), None) && !own.allow(None, None));
        assert_eq!(own.to_string(), "unit:101");
    }

    #[test]
    fn prefixes_are_beginnings_of_codes() {
        for wrong in ["", "1 2", "101%", "支付"] {
            assert!(Limits::new(vec![wrong.to_owned()], Vec::new()).is_err(), "{wrong}");
        }
        assert!(Limits::new(vec![String::from("1"); 21], Vec::new()).is_err());
        assert_eq!(limits(&["101"], &["32", "33"]).to_string(), "unit:101 region:32 region:33");
    }
}
