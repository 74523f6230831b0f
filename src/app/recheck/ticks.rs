//! The ticks of rules on a schedule: each that was due must have been evaluated, and is evaluated again.

use std::collections::BTreeMap;

use super::{Range, compare::ComparableRule};
use crate::{
    engine::{RESTS_AFTER, RuleTicks, SavedWatermark, TICKS_MAX, Ticked},
    evaluate::schedule::PassedTick,
    event::{Instant, time::Calendar},
    say,
    store::{Check, CheckOutcome, JournalView, Problems},
    trial::journal::JournalResult,
};

/// What the state tells of ticks.
pub(crate) struct StoredTicks {
    /// Those that were evaluated; `None` in a state that did not note them from its beginning.
    pub noted: Option<Vec<Ticked>>,
    /// Those that were passed without an answer.
    pub passed: RuleTicks,
    /// Later ones are still to be evaluated.
    pub owed_after: Option<Instant>,
}

impl StoredTicks {
    pub(crate) fn read(history: &JournalView) -> anyhow::Result<Self> {
        let passed = history.passed_ticks()?.into_iter().map(|passed| (passed.rule, passed.tick));
        Ok(Self {
            noted: history.ticks()?,
            passed: passed.collect(),
            owed_after: history.ticks_owed_after()?,
        })
    }

    /// Those that were evaluated and came to an answer.
    pub(crate) fn answered(&self) -> Option<Vec<Ticked>> {
        let has_answer = |tick: &&Ticked| !self.passed.contains(&(tick.rule_id.clone(), tick.at));
        self.noted.as_ref().map(|noted| noted.iter().filter(has_answer).cloned().collect())
    }
}

/// The check of ticks.
pub(crate) struct TickCheck<'c> {
    /// The rules that can be compared.
    pub known: &'c BTreeMap<&'c str, ComparableRule>,
    /// What the state tells.
    pub stored: &'c StoredTicks,
    /// The watermark of the last commit.
    pub watermark: &'c SavedWatermark,
    /// The ticks that are asked for.
    pub range: Range,
    /// How times are shown.
    pub calendar: &'c Calendar,
}

impl TickCheck<'_> {
    /// The ticks that were evaluated and could not be evaluated again: what they found is not compared.
    pub(crate) fn unanswered<'a>(&self, again: &'a JournalResult) -> Vec<&'a PassedTick> {
        let is_compared = |tick: &&PassedTick| {
            let Some(known) = self.known.get(tick.rule.as_str()) else { return false };
            let noted = self.stored.noted.iter().flatten();
            let mut before = noted.filter(|noted| noted.block <= known.since.after_block);
            let by_another = before.any(|noted| noted.at == tick.tick && noted.rule_id == tick.rule);
            let is_passed = self.stored.passed.contains(&(tick.rule.clone(), tick.tick));
            self.range.has(tick.tick) && !is_passed && (known.since.after_block == 0 || !by_another)
        };
        again.passed.iter().filter(is_compared).collect()
    }

    /// The check; `None` if no rule has ticks.
    pub(crate) fn check(&self, again: &JournalResult, unanswered: &[&PassedTick]) -> Option<Check> {
        const NAME: &str = "ticks again";
        if !self.known.values().any(|rule| rule.at_ticks) {
            return None;
        }
        let Some(noted) = &self.stored.noted else {
            let why = say!("the state is of a version that did not note its ticks");
            return Some(Check::skipped(NAME, why));
        };
        let mut problems = Problems::default();
        for (rule, at) in self.forgotten(noted, again) {
            let at = self.calendar.format(at);
            problems.add(say!("{rule} was due at {at} and was never evaluated", rule, at));
        }
        let is_damaged = !problems.is_empty();
        for PassedTick { rule, tick, why } in unanswered {
            let at = self.calendar.format(*tick);
            problems.add(say!("not compared: {rule} at {at}, {why}", rule, at, why));
        }
        let mut detail = say!("{count} ticks", count = noted.len());
        if !self.stored.passed.is_empty() {
            let count = self.stored.passed.len();
            detail.push_str(&say!("; {count} were passed without an answer and are left out", count));
        }
        let mut check = problems.check(NAME, detail);
        if !is_damaged && !unanswered.is_empty() {
            check.outcome = CheckOutcome::Incomplete;
        }
        Some(check)
    }

    /// The ticks that were due, and that the state neither evaluated nor passed.
    fn forgotten<'a>(&self, noted: &[Ticked], again: &'a JournalResult) -> Vec<(&'a str, Instant)> {
        let evaluated: RuleTicks = noted.iter().map(|tick| (tick.rule_id.clone(), tick.at)).collect();
        let Some(reached) = self.watermark.at else { return Vec::new() };
        let reached = self.stored.owed_after.map_or(reached, |owed| reached.min(owed));
        let missing = again.due.iter().filter(|tick| {
            tick.1 <= reached
                && self.range.has(tick.1)
                && !evaluated.contains(*tick)
                && !self.stored.passed.contains(*tick)
        });
        let missing = missing.filter(|(rule, at)| self.is_expected(noted, rule, *at));
        missing.map(|(rule, at)| (rule.as_str(), *at)).collect()
    }

    /// Whether the daemon must have come upon a tick that the replay comes upon. The journal does not tell which partition
    /// an event came from, so of several only what holds in every order of theirs is expected.
    fn is_expected(&self, noted: &[Ticked], rule: &str, at: Instant) -> bool {
        let Some(known) = self.known.get(rule) else { return false };
        let after_block = known.since.after_block;
        let is_single = self.watermark.partitions.len() <= 1;
        if after_block > 0 {
            // The clock may have passed the tick before the rule came into force.
            let own = |tick: &&Ticked| tick.rule_id == rule && tick.block > after_block;
            return noted.iter().filter(own).any(|tick| tick.at < at)
                && (is_single || !rests(noted, rule, at));
        }
        is_single || !rests(noted, rule, at)
    }
}

/// Whether a tick may lie in a stretch that schedules rested in: what came before it in one step is too long, or too much.
fn rests(noted: &[Ticked], rule: &str, at: Instant) -> bool {
    let Some(last) = noted.iter().filter(|tick| tick.at < at).max_by_key(|tick| tick.at) else { return true };
    let begun = noted.iter().filter(|tick| tick.block < last.block).map(|tick| tick.at).max();
    let in_step = noted.iter().filter(|tick| tick.block == last.block && tick.rule_id == rule).count();
    begun.is_none_or(|begun| at > begun.saturating_add(RESTS_AFTER)) || in_step >= TICKS_MAX
}
