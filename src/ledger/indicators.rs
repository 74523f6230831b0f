//! 绩效指标: what programmes are to achieve and have achieved, beside the money they are given for it.
//!
//! Every `indicator` event states one indicator whole, so the ledger keeps the latest statement by event time, and of
//! equal times the one that arrived last. Nothing depends on how statements are cut into batches.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Instant, Ratio};

/// The latest statement of an indicator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Indicator {
    /// `indicator_name`
    pub name: Option<Box<str>>,
    /// `fiscal_year`
    pub fiscal_year: i32,
    /// The programme, `project_code`.
    pub project_code: Box<str>,
    /// `region_code`
    pub region_code: Option<Box<str>>,
    /// `unit_code`
    pub unit_code: Option<Box<str>>,
    /// `unit_name`
    pub unit_name: Option<Box<str>>,
    /// `budget_line_id`
    pub budget_line_id: Option<Box<str>>,
    /// What is to be achieved, in millionths.
    pub target: i128,
    /// What is achieved, in millionths; `None` as long as nobody reported it.
    pub actual: Option<i128>,
    /// Whether less is better (反向指标).
    pub at_most: bool,
    /// By when; `None` is the end of the fiscal year.
    pub due: Option<Instant>,
    /// The event time of the statement.
    pub stated_at: Instant,
}

impl Indicator {
    /// The word of the field `direction`.
    #[must_use]
    pub const fn direction(&self) -> &'static str {
        if self.at_most { "at_most" } else { "at_least" }
    }

    /// See [`achievement`].
    #[must_use]
    pub fn achievement(&self) -> Option<Ratio> {
        achievement(self.target, self.actual?, self.at_most)
    }
}

/// 目标完成率: `actual / target`, or `target / actual` where less is better; `None` where the share has
/// no meaning, because its denominator is not above zero. Nothing at all of what there should be little of is 1.
/// Source: 项目支出绩效评价管理办法 (财预〔2020〕10号) measures what is done against what was planned; the quotient for
/// indicators where less is better is the usual one of self-evaluation tables.
#[must_use]
pub fn achievement(target: i128, actual: i128, at_most: bool) -> Option<Ratio> {
    match at_most {
        false => (target > 0).then(|| Ratio::of(actual, target))?,
        true if actual == 0 && target >= 0 => Some(Ratio::ONE),
        true => (actual > 0).then(|| Ratio::of(target, actual))?,
    }
}

/// All indicators, by `indicator_id`.
#[derive(Debug, Default)]
pub struct Indicators {
    all: BTreeMap<Box<str>, Indicator>,
    /// Those stated since the last checkpoint.
    changed: BTreeSet<Box<str>>,
}

impl Indicators {
    /// All, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Indicator)> {
        self.all.iter().map(|(id, indicator)| (&**id, indicator))
    }

    /// One by its id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Indicator> {
        self.all.get(id)
    }

    /// Takes a statement, unless a later one is known.
    pub(super) fn state(&mut self, id: &str, stated: Indicator) {
        if self.all.get(id).is_some_and(|known| known.stated_at > stated.stated_at) {
            return;
        }
        self.changed.insert(id.into());
        self.all.insert(id.into(), stated);
    }

    /// Puts back an indicator as a checkpoint has it.
    pub(super) fn restore(&mut self, id: &str, indicator: Indicator) {
        self.all.insert(id.into(), indicator);
    }

    /// Takes what was stated since the last call.
    pub(super) fn take_changes(&mut self) -> Vec<(Box<str>, Indicator)> {
        let changed = std::mem::take(&mut self.changed);
        let stated = |id: Box<str>| self.all.get(&id).cloned().map(|indicator| (id, indicator));
        changed.into_iter().filter_map(stated).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn achievement_is_exact_and_has_a_meaning() {
        let share =
            |target, actual, at_most| achievement(target, actual, at_most).map(|share| share.to_string());
        assert_eq!(share(100, 85, false).as_deref(), Some("0.85"));
        assert_eq!(share(85, 100, true).as_deref(), Some("0.85"));
        assert_eq!(share(100, 0, false).as_deref(), Some("0"));
        assert_eq!(share(0, 0, true).as_deref(), Some("1"));
        assert_eq!(share(5, 0, true).as_deref(), Some("1"));
        assert_eq!(share(0, 5, true).as_deref(), Some("0"));
        for meaningless in [(0, 5, false), (-3, 5, false), (3, -5, true), (-3, 0, true)] {
            assert_eq!(share(meaningless.0, meaningless.1, meaningless.2), None, "{meaningless:?}");
        }
    }

    #[test]
    fn the_latest_statement_holds_and_changes_are_taken_once() {
        let mut indicators = Indicators::default();
        let at = |stated_at, target| Indicator { target, stated_at, ..Indicator::default() };
        for (stated_at, target) in [(5, 1), (3, 2), (5, 3), (4, 4)] {
            indicators.state("a", at(Instant::from_micros(stated_at), target));
        }
        assert_eq!(indicators.get("a"), Some(&at(Instant::from_micros(5), 3)));
        assert_eq!(indicators.take_changes(), [("a".into(), at(Instant::from_micros(5), 3))]);
        assert!(indicators.take_changes().is_empty());
        indicators.state("a", at(Instant::from_micros(1), 9));
        assert!(indicators.take_changes().is_empty(), "an older statement changes nothing");
    }
}
