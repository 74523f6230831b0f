//! When schedules are due, by the watermark.

use std::sync::Arc;

use crate::{
    event::{Instant, TimeDelta, tick::Ticks, time::Calendar},
    rule::{RuleId, RuleMode, RuleSet, compile::CompiledView},
};

/// How long schedules go on while no event comes: 366 days. After that they rest until events come again, so that a
/// gap in time costs the same however long it is.
pub const RESTS_AFTER: TimeDelta = TimeDelta::days(366);
/// Ticks of one rule in one gap at most.
pub const TICKS_MAX: usize = 4096;

/// The schedules of a rule set.
#[derive(Debug)]
pub struct Ticker {
    rules: Arc<RuleSet>,
    calendar: Arc<Calendar>,
    /// The rules on a schedule.
    schedules: Vec<(RuleId, Ticks)>,
    /// The next tick of any, and the watermark that it was computed from.
    next: Option<(Instant, Instant)>,
}

impl Ticker {
    /// The schedules of these rules.
    #[must_use]
    pub fn new(rules: &Arc<RuleSet>, calendar: &Arc<Calendar>) -> Self {
        let live = rules.rules.entries().filter(|(_, rule)| rule.rule.mode != RuleMode::Disabled);
        let schedules = live.filter_map(|(at, rule)| match &rule.view {
            CompiledView::Schedule(schedule) => Some((at, schedule.ticks.clone())),
            _ => None,
        });
        let schedules = schedules.collect();
        Self { rules: Arc::clone(rules), calendar: Arc::clone(calendar), schedules, next: None }
    }

    /// Whether it is for these rules.
    #[must_use]
    pub fn is_for(&self, rules: &Arc<RuleSet>) -> bool {
        Arc::ptr_eq(&self.rules, rules)
    }

    /// The rules whose schedules it follows.
    #[must_use]
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// What a rule is called.
    #[must_use]
    pub fn rule(&self, at: RuleId) -> &str {
        &self.rules.rules[at].rule.id
    }

    /// The calendar that schedules are meant in.
    #[must_use]
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// Whether a tick lies after `from` and not after `to`.
    pub fn is_due(&mut self, from: Instant, to: Instant) -> bool {
        if self.schedules.is_empty() || to <= from {
            return false;
        }
        let next = match self.next {
            Some((next, since)) if since <= from && from < next => next,
            _ => {
                let ticks = self.schedules.iter().filter_map(|(_, t)| t.next_after(&self.calendar, from));
                let next = ticks.min().unwrap_or(Instant::MAX);
                self.next = Some((next, from));
                next
            }
        };
        next <= to
    }

    /// The ticks after `from` and not after `to`, between which no event was.
    #[must_use]
    pub fn due(&self, from: Instant, to: Instant) -> DueTicks {
        let until = to.min(from.saturating_add(RESTS_AFTER));
        let mut due = Vec::new();
        let mut rests = false;
        for (rule, ticks) in &self.schedules {
            let (mut at, enough) = (from, due.len() + TICKS_MAX);
            let next = |at| ticks.next_after(&self.calendar, at).filter(|tick| *tick <= to);
            while let Some(tick) = next(at) {
                if tick > until || due.len() == enough {
                    rests = true;
                    break;
                }
                due.push((tick, *rule));
                at = tick;
            }
        }
        due.sort_unstable();
        DueTicks { due, rests }
    }
}

/// What is due after a stretch of time.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct DueTicks {
    /// The ticks in the order of time, with the rules that are due, in rule order.
    pub due: Vec<(Instant, RuleId)>,
    /// The stretch is so long that later ticks are left out.
    pub rests: bool,
}
