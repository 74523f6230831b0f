//! Stored findings against those that were made again.

use std::collections::{BTreeMap, HashSet};

use super::{
    Range,
    ticks::{StoredTicks, TickCheck},
};
use crate::{
    engine::{RuleTicks, SavedWatermark},
    event::{Instant, time::Calendar},
    finding::Finding,
    rule::{RuleSet, compile::CompiledView},
    say,
    store::{Check, CheckOutcome, InForce, JournalView, Problems},
    trial::journal::{JournalResult, Made},
};

/// What can be compared.
pub(crate) struct RecheckScope<'r> {
    pub rules: &'r RuleSet,
    /// Those that the last commit was judged by.
    pub in_force: BTreeMap<String, InForce>,
    /// The watermark of the last commit.
    pub watermark: SavedWatermark,
    /// When schedules were evaluated.
    pub ticks: StoredTicks,
    /// The findings that are asked for.
    pub range: Range,
    /// How times are shown.
    pub calendar: &'r Calendar,
}

/// Whether a finding can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparable {
    Yes,
    /// It is of another rule, or depends on more than the journal tells.
    No,
    /// The rule could not be evaluated at its tick again.
    Unanswered,
    /// It lies beyond the watermark that the events give.
    ByClock,
    /// Its window was still open where an earlier run ended, and closed there.
    ByEnd,
}

/// Findings that are stored.
#[derive(Debug, Default)]
struct Counts {
    compared: u64,
    left_out: u64,
    unanswered: u64,
    by_clock: u64,
    by_end: u64,
}

impl Counts {
    /// Counts a finding, and says whether to compare it.
    fn has(&mut self, comparable: Comparable) -> bool {
        match comparable {
            Comparable::Yes => self.compared += 1,
            Comparable::No => self.left_out += 1,
            Comparable::Unanswered => self.unanswered += 1,
            Comparable::ByClock => self.by_clock += 1,
            Comparable::ByEnd => self.by_end += 1,
        }
        comparable == Comparable::Yes
    }
}

/// A rule whose findings can be compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ComparableRule {
    /// Since when it is in force.
    pub since: InForce,
    /// Whether its findings depend on the watermark.
    by_watermark: bool,
    /// Whether it is evaluated at ticks.
    pub at_ticks: bool,
}

impl RecheckScope<'_> {
    /// The checks: the rules, the findings, and the ticks.
    pub(crate) fn checks(self, history: &JournalView, again: &JournalResult) -> anyhow::Result<Vec<Check>> {
        let (known, rules) = self.known();
        let ticks = TickCheck {
            known: &known,
            stored: &self.ticks,
            watermark: &self.watermark,
            range: self.range,
            calendar: self.calendar,
        };
        let unanswered = ticks.unanswered(again);
        let ticks = ticks.check(again, &unanswered);
        let unanswered = unanswered.iter().map(|tick| (tick.rule.clone(), tick.tick)).collect();
        let findings = self.findings(history, again, &known, &unanswered)?;
        Ok([rules, findings].into_iter().chain(ticks).collect())
    }

    /// The findings of the state and of the replay, one by one.
    fn findings(
        &self,
        history: &JournalView,
        again: &JournalResult,
        known: &BTreeMap<&str, ComparableRule>,
        unanswered: &RuleTicks,
    ) -> anyhow::Result<Check> {
        let mut problems = Problems::default();
        again.refused.iter().for_each(|refused| problems.add(refused.clone()));
        let mut seen = HashSet::new();
        let mut counts = Counts::default();
        // What a tick would have found that was passed without an answer, the state does not have.
        let is_passed = |rule: Option<&ComparableRule>, id: &str, at: Instant| {
            rule.is_some_and(|rule| rule.at_ticks) && self.ticks.passed.contains(&(id.to_owned(), at))
        };
        let comparable = |rule: Option<&ComparableRule>, at: Instant, finding: &Finding| match rule {
            Some(rule) if rule.at_ticks && unanswered.contains(&(finding.rule_id.clone(), at)) => {
                Comparable::Unanswered
            }
            Some(rule) if rule.by_watermark && !rule.at_ticks && self.closed_early(at, finding) => {
                Comparable::ByEnd
            }
            _ => self.comparable(rule, at, again),
        };
        history.each_finding(&mut |seq, at, stored: Finding| {
            seen.insert(stored.finding_id.clone());
            let id = stored.rule_id.as_str();
            let rule = known.get(id).filter(|rule| seq > rule.since.after_finding);
            if self.range.has(at) && !is_passed(rule, id, at) && counts.has(comparable(rule, at, &stored)) {
                problems_of(&stored, again.findings.get(&stored.finding_id), &mut problems);
            }
        })?;
        let owed = self.ticks.owed_after;
        for (id, Made { block, at, finding }) in &again.findings {
            let rule_id = finding.rule_id.as_str();
            let rule = known.get(rule_id).filter(|rule| *block > rule.since.after_block);
            let waits = rule.is_some_and(|rule| rule.at_ticks) && owed.is_some_and(|owed| *at > owed);
            let is_compared =
                comparable(rule, *at, finding) == Comparable::Yes && !waits && !is_passed(rule, rule_id, *at);
            if is_compared && self.range.has(*at) && !seen.contains(id) {
                problems.add(told(&say!("missing from the state"), finding));
            }
        }
        let mut check = problems.check("findings again", self.detail(&counts));
        if check.outcome == CheckOutcome::Ok && !unanswered.is_empty() {
            check.outcome = CheckOutcome::Incomplete;
        }
        Ok(check)
    }

    /// Whether the journal tells what must have been found.
    fn comparable(&self, rule: Option<&ComparableRule>, at: Instant, again: &JournalResult) -> Comparable {
        let ended = self.watermark.at == self.watermark.latest;
        let is_reached = ended || Some(at) <= again.watermark.at;
        match rule {
            None => Comparable::No,
            Some(rule) if rule.at_ticks && self.ticks.noted.is_some() => Comparable::Yes,
            Some(rule) if rule.by_watermark && !self.exact() => Comparable::No,
            Some(rule) if rule.by_watermark && !is_reached => Comparable::ByClock,
            Some(_) => Comparable::Yes,
        }
    }

    /// Whether a window was open where an input ended that more events followed.
    fn closed_early(&self, closes: Instant, finding: &Finding) -> bool {
        let begins = finding.window.as_ref().and_then(|window| self.calendar.parse(&window.start).ok());
        let more_came = |end: &&Instant| Some(**end) < self.watermark.latest;
        let mut ends = self.watermark.ends.iter().filter(more_came);
        begins.is_some_and(|begins| ends.any(|end| begins <= *end && *end < closes))
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
        if counts.unanswered > 0 {
            let count = counts.unanswered;
            detail.push(say!("{count} left out whose ticks could not be evaluated again", count));
        }
        if counts.by_clock > 0 {
            detail.push(say!("{count} left out that the clock brought about", count = counts.by_clock));
        }
        if counts.by_end > 0 {
            let count = counts.by_end;
            detail.push(say!(
                "{count} left out of windows that an earlier `run --once` closed at its end, before more events came; `--keep-open` leaves them open",
                count
            ));
        }
        if !self.exact() {
            let partitions = self.watermark.partitions.len();
            let rest = if self.ticks.noted.is_some() {
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
    fn known(&self) -> (BTreeMap<&str, ComparableRule>, Check) {
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
            known.insert(rule.id.as_str(), ComparableRule { since, by_watermark, at_ticks });
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
