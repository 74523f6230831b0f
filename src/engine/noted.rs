//! Ticks as they were noted: a journal that is replayed evaluates rules on a schedule where the daemon did, however its
//! sources had come together.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{Ticker, ports::Ticked};

use crate::{event::Instant, rule::RuleId};

/// Ticks by rule and time.
pub type RuleTicks = BTreeSet<(String, Instant)>;

/// The ticks that are still to come.
pub struct Noted {
    ticks: VecDeque<Ticked>,
    /// The journal block of an event, by how many events come before it.
    block_of: Box<dyn Fn(u64) -> i64 + Send + Sync>,
    events: u64,
    due: Arc<Mutex<RuleTicks>>,
}

impl Noted {
    /// Ticks in the order in which they were.
    #[must_use]
    pub fn new(ticks: Vec<Ticked>, block_of: impl Fn(u64) -> i64 + Send + Sync + 'static) -> Self {
        Self { ticks: ticks.into(), block_of: Box::new(block_of), events: 0, due: Arc::default() }
    }

    /// What is due by the watermark of the replay, whether or not it was noted.
    #[must_use]
    pub fn due(&self) -> Arc<Mutex<RuleTicks>> {
        Arc::clone(&self.due)
    }

    /// The watermark has passed these ticks.
    pub fn remember(&self, due: &[(Instant, RuleId)], ticker: &Ticker) {
        let passed = due.iter().map(|(tick, rule)| (ticker.rule(*rule).to_owned(), *tick));
        self.due.lock().extend(passed);
    }

    /// The ticks and rules that were due before the next event; it is taken in after that.
    pub fn before_next(&mut self, ticker: &Ticker) -> Vec<(Instant, RuleId)> {
        let Some(first) = self.ticks.front() else { return Vec::new() };
        let block = (self.block_of)(self.events);
        self.events += 1;
        if first.block >= block { Vec::new() } else { self.until(block, ticker) }
    }

    /// Those that were after the last event.
    pub fn rest(&mut self, ticker: &Ticker) -> Vec<(Instant, RuleId)> {
        self.until(i64::MAX, ticker)
    }

    fn until(&mut self, block: i64, ticker: &Ticker) -> Vec<(Instant, RuleId)> {
        let mut due = Vec::new();
        while let Some(tick) = self.ticks.pop_front_if(|tick| tick.block < block) {
            // A rule that is not there any more is not evaluated.
            let rule = ticker.rules().rules.find(|rule| rule.rule.id == tick.rule_id);
            due.extend(rule.map(|rule| (tick.at, rule)));
        }
        due.sort_unstable();
        due
    }
}
