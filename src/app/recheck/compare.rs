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
    say,
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
    /// Whether the state tells when schedules were evaluated.
    pub noted: bool,
    /// The findings that are asked for.
    pub range: Range,
}

/// Whether a finding can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparable {
    Yes,
    /// It is of another rule, or depends on more than the journal tells.
    No,
    /// It lies beyond the watermark that the events give.
    ByClock,
}

/// Findings that are stored.
#[derive(Debug, Default)]
struct Counts {
    compared: u64,
    left_out: u64,
    by_clock: u64,
}

impl Counts {
    /// Counts a finding, and says whether to compare it.
    fn has(&mut self, comparable: Comparable) -> bool {
        match comparable {
            Comparable::Yes => self.compared += 1,
            Comparable::No => self.left_out += 1,
            Comparable::ByClock => self.by_clock += 1,
        }
        comparable == Comparable::Yes
    }
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
    pub fn checks(self, history: &History, again: &Again) -> anyhow::Result<Vec<Check>> {
        let (known, rules) = self.known();
        let mut problems = Problems::default();
        again.refused.iter().for_each(|refused| problems.add(refused.clone()));
        let mut seen = BTreeSet::new();
        let mut counts = Counts::default();
        let mut passed: BTreeSet<(String, i64)> = again.passed.iter().cloned().collect();
        passed.extend(history.passed_ticks()?.into_iter().map(|passed| (passed.rule, passed.tick)));
        history.each_finding(&mut |seq, at, stored: Finding| {
            seen.insert(stored.finding_id.clone());
            let rule = known.get(stored.rule_id.as_str()).filter(|rule| seq > rule.since.after_finding);
            let is_passed =
                rule.is_some_and(|rule| rule.at_ticks) && passed.contains(&(stored.rule_id.clone(), at));
            if self.range.has(at) && !is_passed && counts.has(self.comparable(rule, at, again)) {
                problems_of(&stored, again.findings.get(&stored.finding_id), &mut problems);
            }
        })?;
        let owed = history.ticks_owed_after()?;
        for (id, Made { block, at, finding }) in &again.findings {
            let rule = known.get(finding.rule_id.as_str()).filter(|rule| *block > rule.since.after_block);
            let waits = rule.is_some_and(|rule| rule.at_ticks) && owed.is_some_and(|owed| *at > owed);
            // What a tick would have found that was passed without an answer, the state does not have.
            let is_passed =
                rule.is_some_and(|rule| rule.at_ticks) && passed.contains(&(finding.rule_id.clone(), *at));
            let comparable = self.comparable(rule, *at, again) == Comparable::Yes && !waits && !is_passed;
            if comparable && self.range.has(*at) && !seen.contains(id) {
                problems.add(told(&say!("missing from the state"), finding));
            }
        }
        let mut detail = self.detail(&counts);
        if !passed.is_empty() {
            detail.push_str(&format!("; {} ticks that were passed without an answer left out", passed.len()));
        }
        Ok(vec![rules, problems.check("findings again", detail)])
    }

    /// Whether the journal tells what must have been found.
    fn comparable(&self, rule: Option<&Known>, at: i64, again: &Again) -> Comparable {
        let ended = self.watermark.at == self.watermark.latest;
        let reached = if ended { i64::MAX } else { again.watermark.at.unwrap_or(i64::MIN) };
        match rule {
            None => Comparable::No,
            Some(rule) if rule.at_ticks && self.noted => Comparable::Yes,
            Some(rule) if rule.by_watermark && !self.exact() => Comparable::No,
            Some(rule) if rule.by_watermark && at > reached => Comparable::ByClock,
            Some(_) => Comparable::Yes,
        }
    }

    /// The journal does not tell which partition an event came from, and so not when a window closed between two.
    fn exact(&self) -> bool {
        self.watermark.partitions.len() <= 1
    }

    fn detail(&self, counts: &Counts) -> String {
        let mut detail = vec![say!("{count} findings compared", count = counts.compared)];
        if counts.left_out > 0 {
            let count = counts.left_out;
            detail.push(say!("{count} left out: of other rules, or not to be told from the journal", count));
        }
        if counts.by_clock > 0 {
            detail.push(say!("{count} left out that the clock brought about", count = counts.by_clock));
        }
        if !self.exact() {
            let partitions = self.watermark.partitions.len();
            let rest = if self.noted {
                say!(
                    "rules on windows are not compared: they depend on how {partitions} partitions came together",
                    partitions
                )
            } else {
                say!(
                    "rules on windows and schedules are not compared: they depend on how {partitions} partitions came together",
                    partitions
                )
            };
            detail.push(rest);
        }
        detail.join(&say!("; "))
    }

    /// The rules whose findings can be compared, and what is to be said about the others.
    fn known(&self) -> (BTreeMap<&str, Known>, Check) {
        const NAME: &str = "rules";
        let mut known = BTreeMap::new();
        let mut changed = Vec::new();
        for (compiled, (_, digest)) in self.rules.rules.iter().zip(self.rules.digests()) {
            let rule = &compiled.rule;
            let by_watermark = matches!(compiled.view, CompiledView::Closing(_) | CompiledView::Schedule(_));
            let since = match self.in_force.get(&rule.id) {
                Some(since) if since.digest != digest => {
                    changed.push(say!(
                        "{id} is another one than at the last commit, or a list that it asks is",
                        id = rule.id
                    ));
                    continue;
                }
                Some(since) => *since,
                None if self.in_force.is_empty() => InForce::default(),
                None => {
                    changed.push(say!("{id} was not in force at the last commit", id = rule.id));
                    continue;
                }
            };
            if since.after_block > 0 {
                let block = since.after_block + 1;
                changed.push(say!("{id} is in force since block {block} only", id = rule.id, block));
            }
            let at_ticks = matches!(compiled.view, CompiledView::Schedule(_));
            known.insert(rule.id.as_str(), Known { since, by_watermark, at_ticks });
        }
        let gone =
            self.in_force.keys().filter(|id| !self.rules.rules.iter().any(|rule| rule.rule.id == **id));
        changed.extend(
            gone.map(|id| say!("{id} was in force at the last commit and is not there any more", id)),
        );
        let check = match (self.in_force.is_empty(), changed.is_empty()) {
            (true, _) => Check::skipped(
                NAME,
                say!(
                    "the state is of a version that did not note its rules; it is taken that they are the same"
                ),
            ),
            (_, true) => Problems::default().check(NAME, say!("those of all of the journal")),
            _ => Check::skipped(
                NAME,
                say!(
                    "not compared, as far as they were others: {changes}",
                    changes = changed.join(&say!("; "))
                ),
            ),
        };
        (known, check)
    }
}

fn problems_of(stored: &Finding, made: Option<&Made>, problems: &mut Problems) {
    match made {
        None => problems.add(told(&say!("extra, not found again"), stored)),
        // What routes alerts is not stored with a finding.
        Some(made) if (Finding { labels: stored.labels.clone(), ..made.finding.clone() }) != *stored => {
            problems.add(told(&say!("differs: {how}", how = difference(stored, &made.finding)), stored));
        }
        Some(_) => {}
    }
}

fn told(what: &str, finding: &Finding) -> String {
    let Finding { finding_id, rule_id, at, .. } = finding;
    say!(
        "{what}: {rule_id} on {subject} at {at} ({finding_id})",
        what,
        rule_id,
        subject = finding.subject(),
        at,
        finding_id
    )
}

/// The first field that is another one.
fn difference(stored: &Finding, made: &Finding) -> String {
    let object = |finding| serde_json::to_value(finding).unwrap_or_default();
    let (stored, made) = (object(stored), object(made));
    let fields = stored.as_object().into_iter().flatten();
    let differs = |(name, value): (&String, &serde_json::Value)| {
        let other = made.get(name).cloned().unwrap_or_default();
        (other != *value)
            .then(|| say!("{name} is {value}, and the journal gives {other}", name, value, other))
    };
    fields.into_iter().find_map(differs).unwrap_or_else(|| say!("a field is missing"))
}
