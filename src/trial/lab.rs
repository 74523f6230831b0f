//! A rule with other constants, or another text, over the own journal: what it finds beside the rule as it is.

use std::{collections::BTreeMap, sync::Arc};

use super::journal::{JournalResult, JournalRun, Progress, replay};
use crate::{
    evaluate::finding_id,
    event::Instant,
    finding::Finding,
    rule::RuleSet,
    store::{Cases, JournalView},
};

/// Names of the two forms in one set of rules. No rule can be named so.
const FORMS: [&str; 2] = ["@present", "@tried"];
/// Findings that are kept of those that only one form has.
const SHOWN: usize = 200;

/// The names that both forms have while they are compared.
#[must_use]
pub(crate) fn names(rule: &str) -> [String; 2] {
    FORMS.map(|form| format!("{rule}{form}"))
}

/// What one form found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabResult {
    pub findings: u64,
    /// Keys that they have: each is an alert, if nobody closes it.
    pub keys: u64,
    /// Rows that it could not be evaluated on, and the last reason.
    pub errors: u64,
    /// See `errors`.
    pub last_error: Option<String>,
    /// Of its findings that officers have judged: as suspected, and in order.
    pub verdicts: [u64; 2],
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabComparison {
    /// As the rule is, and as it was tried.
    pub forms: [LabResult; 2],
    pub kept: u64,
    /// How many only the tried form has, and the latest of them.
    pub added: (u64, Vec<Finding>),
    /// How many only the present form has, and the latest of them.
    pub gone: (u64, Vec<Finding>),
    /// The first and the last time of events.
    pub span: Option<(Instant, Instant)>,
}

/// Runs both forms, which `rules` has under [`names`], over the journal of a state, and compares what they find.
///
/// # Errors
/// If the journal cannot be read, or windows or findings are more than may be kept.
pub(crate) async fn beside(
    course: &JournalRun,
    rules: Arc<RuleSet>,
    rule: &str,
    history: &JournalView,
    progress: &Arc<Progress>,
) -> Result<LabComparison, Box<dyn std::error::Error + Send + Sync>> {
    let watermark = history.watermark()?;
    let names = names(rule);
    let forms = rules.rules.iter().map(|compiled| names.iter().position(|name| *name == compiled.rule.id));
    let forms: Vec<_> = forms.collect();
    let again = replay(course, rules, history, (&watermark, None), progress).await?;
    let verdicts = Cases::open_read_only(&course.state_dir)?.verdicts_of_findings(rule)?;
    let counts = again.counts.clone();
    let mut beside = compared(rule, again, &verdicts);
    for (form, counts) in forms.into_iter().zip(counts) {
        if let Some(form) = form {
            (beside.forms[form].errors, beside.forms[form].last_error) = (counts.errors, counts.last_error);
        }
    }
    Ok(beside)
}

fn compared(rule: &str, again: JournalResult, verdicts: &BTreeMap<String, bool>) -> LabComparison {
    let names = names(rule);
    let mut beside = LabComparison { span: again.span, ..LabComparison::default() };
    let mut found: [BTreeMap<String, (Instant, Finding)>; 2] = Default::default();
    let mut keys: [std::collections::BTreeSet<String>; 2] = Default::default();
    for made in again.findings.into_values() {
        let Some(form) = names.iter().position(|name| *name == made.finding.rule_id) else { continue };
        let mut finding = made.finding;
        // As the daemon names it, so that both forms and what is stored can be compared.
        let subject = finding.named_by(made.at);
        rule.clone_into(&mut finding.rule_id);
        finding.finding_id = finding_id(rule, &finding.key, &subject);
        keys[form].insert(serde_json::Value::Object(finding.key.clone()).to_string());
        found[form].insert(finding.finding_id.clone(), (made.at, finding));
    }
    for (form, (all, keys)) in beside.forms.iter_mut().zip(found.iter().zip(keys)) {
        (form.findings, form.keys) = (all.len() as u64, keys.len() as u64);
        for id in all.keys() {
            if let Some(confirmed) = verdicts.get(id) {
                form.verdicts[usize::from(!confirmed)] += 1;
            }
        }
    }
    let [present, tried] = found;
    beside.kept = present.keys().filter(|id| tried.contains_key(*id)).count() as u64;
    let only = |of: &BTreeMap<String, (Instant, Finding)>, other: &BTreeMap<String, (Instant, Finding)>| {
        let mut only: Vec<_> =
            of.iter().filter(|(id, _)| !other.contains_key(*id)).map(|(_, found)| found.clone()).collect();
        only.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let all = only.len() as u64;
        (all, only.into_iter().take(SHOWN).map(|(_, finding)| finding).collect())
    };
    (beside.added, beside.gone) = (only(&tried, &present), only(&present, &tried));
    beside
}
