//! Changes to budgets during the year, and corrections between lines.

use crate::event::BudgetAction;

use super::calendar::Day;
use super::ledger::{CHANGE_STEP, Release};
use super::simulation::{Simulation, Task};

/// Changes a year for each line.
const CHANGES_PER_LINE: f64 = 0.2;
const WORKDAYS_IN_YEAR: f64 = 250.0;
/// Changes below this are not worth a document, in cents.
const SMALLEST_CHANGE: i64 = 100_000;
/// Only every fourth line may be frozen, so that there is always a line to pay from.
const FREEZABLE: u32 = 4;

impl Simulation<'_> {
    pub(super) fn arrange_adjustments(&mut self) {
        let expected = self.treasury.lines.len() as f64 * CHANGES_PER_LINE / WORKDAYS_IN_YEAR;
        let count = (expected + self.dice.fraction()) as u64;
        let day: &Day = self.day();
        for _ in 0..count {
            let at = day.counter_time(&mut self.dice);
            self.arrange(at, Task::Adjust);
        }
    }

    /// Changes the budget of some line, if it can be changed.
    pub(super) fn adjust(&mut self, at: i64) {
        let line = self.dice.below(self.treasury.lines.len() as u64) as u32;
        let month = self.clerk.year_and_month().1;
        let luck = self.dice.fraction();
        if month <= 2 && luck < 0.5 {
            return self.raise(BudgetAction::CarryOver, line, at);
        }
        match self.dice.fraction() {
            ..0.4 => self.raise(BudgetAction::Supplement, line, at),
            ..0.6 => self.cut(BudgetAction::Reduce, line, at),
            ..0.8 => self.transfer(line, at),
            ..0.93 => self.freeze(line, at),
            _ if month >= 10 => self.cut(BudgetAction::Reclaim, line, at),
            _ => {}
        }
    }

    fn raise(&mut self, action: BudgetAction, line: u32, at: i64) {
        let share = self.dice.between(0.03, 0.15);
        // What is capped is not raised.
        let capped = self.is_capped(line);
        let account = self.book.account(line);
        let amount = rounded((account.total as f64 * share) as i64);
        if amount >= SMALLEST_CHANGE && !capped {
            account.total += amount;
            self.act(action, line, amount, at);
        }
    }

    fn cut(&mut self, action: BudgetAction, line: u32, at: i64) {
        if let Some(amount) = self.take(line, at) {
            self.act(action, line, amount, at);
        }
    }

    /// Moves money to the next line of the same unit.
    fn transfer(&mut self, line: u32, at: i64) {
        let Some(to) = self.neighbour(line).filter(|&to| !self.is_capped(to)) else { return };
        if let Some(amount) = self.take(line, at) {
            self.book.account(to).total += amount;
            let event = self.clerk.transfer((line, to), amount, at);
            self.emit(event);
        }
    }

    /// Takes a part of what a line has left, out of its plan first. Three-public lines keep what they have, or
    /// they would run ahead of the calendar.
    fn take(&mut self, line: u32, at: i64) -> Option<i64> {
        let share = self.dice.between(0.05, 0.3);
        let room = self.room(line);
        let amount = rounded((room as f64 * share) as i64);
        let class = self.treasury.lines[line as usize].class();
        let protected = class.is_three_public() || class.is_personnel();
        if amount < SMALLEST_CHANGE || protected {
            return None;
        }
        let account = self.book.account(line);
        account.total -= amount;
        if account.release != Release::AtOnce {
            account.planned -= amount;
            self.act(BudgetAction::PlanReduce, line, amount, at);
        }
        Some(amount)
    }

    /// Freezes all that is left on a line without open applications.
    fn freeze(&mut self, line: u32, at: i64) {
        let account = self.book.account(line);
        let amount = account.available();
        if !line.is_multiple_of(FREEZABLE)
            || self.treasury.lines[line as usize].class().is_personnel()
            || account.frozen > 0
            || account.held > 0
            || amount < SMALLEST_CHANGE
        {
            return;
        }
        account.frozen = amount;
        self.act(BudgetAction::Freeze, line, amount, at);
        let workdays = 8 + self.dice.below(30) as usize;
        let at = self.later(at, workdays);
        self.arrange(at, Task::Unfreeze { line, amount });
    }

    pub(super) fn unfreeze(&mut self, line: u32, amount: i64, at: i64) {
        self.book.account(line).frozen -= amount;
        self.act(BudgetAction::Unfreeze, line, amount, at);
    }

    /// Charges a payment to the next line of the unit instead, if that has room.
    pub(super) fn correct(&mut self, line: u32, payment: u64, amount: i64, at: i64) {
        let Some(to) = self.neighbour(line).filter(|&to| self.room(to) >= amount) else { return };
        self.book.account(line).spent -= amount;
        self.book.account(to).spent += amount;
        let event = self.clerk.correction((line, to), payment, amount, at);
        self.emit(event);
    }

    fn is_capped(&self, line: u32) -> bool {
        self.treasury.lines[line as usize].class().is_three_public()
    }

    /// Another line of the same unit.
    fn neighbour(&self, line: u32) -> Option<u32> {
        let unit = |line: u32| self.treasury.lines.get(line as usize).map(|line| line.unit);
        [Some(line + 1), line.checked_sub(1)].into_iter().flatten().find(|&other| unit(other) == unit(line))
    }
}

fn rounded(amount: i64) -> i64 {
    amount / CHANGE_STEP * CHANGE_STEP
}
