//! Stored findings against those that were made again.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Range,
    replay::{Again, Made},
};
use crate::{
    engine::SavedWatermark,
    evaluate::Finding,
    rule::{RuleSet, compile::CompiledView},
    store::{Check, History, InForce, Problems},
};

/// What can be compared.
pub struct Compared<'r> {
    /// The rules.
    pub rules: &'r RuleSet,
    /// Those that the last commit was judged by.
    pub in_force: BTreeMap<String, InForce>,
    /// The watermark of the last commit.
    pub watermark: SavedWatermark,
    /// The findings that are asked for.
    pub range: Range,
}

/// A rule whose findings can be compared.
#[derive(Debug, Clone, Copy)]
struct Known {
    since: InForce,
    /// Whether its findings depend on the watermark.
    by_watermark: bool,
    /// Whether it is evaluated at ticks.
    at_ticks: bool,
}

impl Compared<'_> {
    /// The checks: the rules, and the findings.
    pub fn checks(self, history: &History, again: Again) -> anyhow::Result<Vec<Check>> {
        let (known, rules) = self.known();
        // The journal does not tell which partition an event came from, and so not when a window closed between two.
        let partitions = self.watermark.partitions.len();
        let exact = partitions <= 1;
        let bounded = self.watermark.at == self.watermark.latest;
        let reached = if bounded { i64::MAX } else { again.watermark.at.unwrap_or(i64::MIN) };
        let (mut compared, mut left_out, mut by_clock) = (0u64, 0u64, 0u64);
        let mut problems = Problems::default();
        again.refused.iter().for_each(|refused| problems.add(refused.clone()));
        let owed = history.ticks_owed_after()?;
        let mut seen = BTreeSet::new();
        history.each_finding(&mut |seq, at, stored: Finding| {
            seen.insert(stored.finding_id.clone());
            if !self.range.has(at) {
                return;
            }
            match known.get(stored.rule_id.as_str()).filter(|rule| seq > rule.since.after_finding) {
                None => left_out += 1,
                Some(rule) if rule.by_watermark && !exact => left_out += 1,
                Some(rule) if rule.by_watermark && at > reached => by_clock += 1,
                Some(_) => {
                    compared += 1;
                    match again.findings.get(&stored.finding_id) {
                        None => problems.add(told("extra, not found again", &stored)),
                        Some(made) if made.finding != stored => {
                            let how = format!("differs: {}", difference(&stored, &made.finding));
                            problems.add(told(&how, &stored));
                        }
                        Some(_) => {}
                    }
                }
            }
        })?;
        for (id, Made { block, at, finding: made }) in &again.findings {
            let comparable = known.get(made.rule_id.as_str()).is_some_and(|rule| {
                let done = !rule.at_ticks || owed.is_none_or(|owed| *at <= owed);
                *block > rule.since.after_block && (exact || !rule.by_watermark) && done
            });
            if comparable && self.range.has(*at) && !seen.contains(id) {
                problems.add(told("missing from the state", made));
            }
        }
        let mut detail = format!("{compared} findings compared");
        for (count, why) in [
            (left_out, "of other rules, or not to be told from the journal"),
            (by_clock, "that the clock brought about"),
        ] {
            if count > 0 {
                detail.push_str(&format!(", {count} {why} left out"));
            }
        }
        if !exact {
            detail.push_str(&format!(
                "; rules on windows and schedules are not compared: they depend on how {partitions} partitions came together"
            ));
        }
        Ok(vec![rules, problems.check("findings again", detail)])
    }

    /// The rules whose findings can be compared, and what is to be said about the others.
    fn known(&self) -> (BTreeMap<&str, Known>, Check) {
        const NAME: &str = "rules";
        let mut known = BTreeMap::new();
        let mut changed = Vec::new();
        for compiled in &self.rules.rules {
            let rule = &compiled.rule;
            let by_watermark = matches!(compiled.view, CompiledView::Closing(_) | CompiledView::Schedule(_));
            let since = match self.in_force.get(&rule.id) {
                Some(noted) if noted.digest != rule.digest() => {
                    changed.push(format!("{} is another one than at the last commit", rule.id));
                    continue;
                }
                Some(noted) => *noted,
                None if self.in_force.is_empty() => InForce::default(),
                None => {
                    changed.push(format!("{} was not in force at the last commit", rule.id));
                    continue;
                }
            };
            if since.after_block > 0 {
                changed.push(format!("{} is in force since block {} only", rule.id, since.after_block + 1));
            }
            let at_ticks = matches!(compiled.view, CompiledView::Schedule(_));
            known.insert(rule.id.as_str(), Known { since, by_watermark, at_ticks });
        }
        let gone =
            self.in_force.keys().filter(|id| !self.rules.rules.iter().any(|rule| rule.rule.id == **id));
        changed
            .extend(gone.map(|id| format!("{id} was in force at the last commit and is not there any more")));
        let check = match (self.in_force.is_empty(), changed.is_empty()) {
            (true, _) => Check::skipped(
                NAME,
                "the state is of a version that did not note its rules; it is taken that they are the same",
            ),
            (_, true) => Problems::default().check(NAME, "those of all of the journal"),
            _ => Check::skipped(
                NAME,
                format!("not compared, as far as they were others: {}", changed.join("; ")),
            ),
        };
        (known, check)
    }
}

fn told(what: &str, finding: &Finding) -> String {
    let Finding { finding_id, rule_id, at, .. } = finding;
    format!("{what}: {rule_id} on {} at {at} ({finding_id})", finding.subject())
}

/// The first field that is another one.
fn difference(stored: &Finding, made: &Finding) -> String {
    let object = |finding| serde_json::to_value(finding).unwrap_or_default();
    let (stored, made) = (object(stored), object(made));
    let fields = stored.as_object().into_iter().flatten();
    let differs = |(name, value): (&String, &serde_json::Value)| {
        let other = made.get(name).cloned().unwrap_or_default();
        (other != *value).then(|| format!("{name} is {value}, and the journal gives {other}"))
    };
    fields.into_iter().find_map(differs).unwrap_or_else(|| String::from("a field is missing"))
}
