//! What a change of rules adds to the findings and takes away from them.

use std::collections::{BTreeMap, HashSet};

use crate::finding::Finding;

/// The findings of two sets of rules over the same events, apart.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub rules: BTreeMap<String, RuleDifference>,
}

/// What changes for one rule.
#[derive(Debug, Default)]
pub(crate) struct RuleDifference {
    pub kept: u64,
    /// Findings of the new rules alone.
    pub added: Vec<Finding>,
    /// Findings of the old rules alone.
    pub removed: Vec<Finding>,
}

impl RuleDifference {
    #[must_use]
    pub(crate) fn is_any(&self) -> bool {
        !self.added.is_empty() || !self.removed.is_empty()
    }
}

impl Comparison {
    /// Compares findings by their ids, which stand for rule, key and subject.
    #[must_use]
    pub(crate) fn new(old: Vec<Finding>, new: Vec<Finding>) -> Self {
        let ids = |findings: &[Finding]| -> HashSet<String> {
            findings.iter().map(|finding| finding.finding_id.clone()).collect()
        };
        let (in_old, in_new) = (ids(&old), ids(&new));
        let mut comparison = Self::default();
        for finding in old {
            let change = comparison.rules.entry(finding.rule_id.clone()).or_default();
            if in_new.contains(&finding.finding_id) {
                change.kept += 1;
            } else {
                change.removed.push(finding);
            }
        }
        for finding in new.into_iter().filter(|finding| !in_old.contains(&finding.finding_id)) {
            comparison.rules.entry(finding.rule_id.clone()).or_default().added.push(finding);
        }
        comparison
    }
}
