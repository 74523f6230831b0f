//! The simulator's own books, which keep the clean stream clean.

use super::dice::{Alias, Dice};
use super::treasury::Treasury;

/// Three-public lines may run this far ahead of the calendar, and never beyond the share of their total below.
const THREE_PUBLIC_LEAD: f64 = 0.08;
const THREE_PUBLIC_SHARE: f64 = 0.75;
/// The share of their total that they are expected to use.
const THREE_PUBLIC_USE: f64 = 0.5;
/// Share of payments that are wages and subsidies, on paydays and otherwise.
const PAYROLL_ON_PAYDAY: f64 = 0.7;
const PAYROLL_OTHERWISE: f64 = 0.12;
/// What is budgeted for wages, in months.
const WAGES_A_YEAR: f64 = 12.4;
/// Lines with as many payments a year are released monthly or quarterly.
const MONTHLY_FROM: f64 = 36.0;
const QUARTERLY_FROM: f64 = 10.0;
/// What a plan releases ahead of the calendar.
const PLAN_LEAD: f64 = 0.05;
/// Budgets are made in thousands of yuan, changes in hundreds.
const BUDGET_STEP: i64 = 100_000;
pub(super) const CHANGE_STEP: i64 = 10_000;

/// How a spending plan is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    /// The line is not under plan control.
    AtOnce,
    Quarterly,
    Monthly,
}

/// The balances of one line, in cents.
#[derive(Debug, Clone)]
pub(super) struct Account {
    /// What is approved for the year.
    pub budget: i64,
    pub total: i64,
    pub planned: i64,
    pub spent: i64,
    /// Decided but not yet paid, whether an application says so or not.
    pub held: i64,
    pub frozen: i64,
    pub release: Release,
    /// Payments of the year so far.
    pub paid: u32,
    three_public: bool,
    /// Payments so far in the month below; wages and subsidies go to each person once a month.
    paid_in_month: u32,
    month: i8,
}

impl Account {
    /// What remains of the total, plan or not.
    pub(super) fn available(&self) -> i64 {
        self.total - self.frozen - self.held - self.spent
    }

    /// The share that is spent or held of what should be spent in the year.
    pub(super) fn used(&self) -> f64 {
        let share = if self.three_public { THREE_PUBLIC_USE } else { 1.0 };
        (self.held + self.spent) as f64 / (self.total.max(1) as f64 * share)
    }

    /// What may still be spent when `elapsed` of the year has passed.
    pub(super) fn room(&self, elapsed: f64) -> i64 {
        if self.frozen > 0 {
            return 0;
        }
        let limit = match self.release {
            Release::AtOnce => self.total,
            Release::Quarterly | Release::Monthly => self.total.min(self.planned),
        };
        let pace = (elapsed + THREE_PUBLIC_LEAD).min(THREE_PUBLIC_SHARE) * self.total as f64;
        let limit = if self.three_public { limit.min(pace as i64) } else { limit };
        limit - self.held - self.spent
    }

    /// What the plan should release in `month`, counted from 1; `first` when nothing was released before.
    pub(super) fn due_plan(&self, month: i8, first: bool) -> i64 {
        let share = match self.release {
            Release::Monthly => f64::from(month) / 12.0,
            Release::Quarterly if first || month % 3 == 1 => f64::from((month - 1) / 3 + 1) / 4.0,
            Release::Quarterly | Release::AtOnce => return 0,
        };
        let goal = if share >= 1.0 { self.total } else { ((share + PLAN_LEAD) * self.total as f64) as i64 };
        (goal.min(self.total) - self.planned) / CHANGE_STEP * CHANGE_STEP
    }

    /// How many payments the line has had in the month before this one.
    pub(super) fn count_in(&mut self, month: i8) -> u32 {
        if self.month != month {
            (self.month, self.paid_in_month) = (month, 0);
        }
        self.paid_in_month += 1;
        self.paid_in_month - 1
    }

    pub(super) fn is_first_in(&self, month: i8) -> bool {
        self.month != month
    }

    pub(super) fn hold(&mut self, amount: i64) {
        self.held += amount;
    }

    pub(super) fn settle(&mut self, amount: i64) {
        self.held -= amount;
        self.spent += amount;
        self.paid += 1;
    }
}

/// The accounts of all lines and how likely each is to be charged.
pub(super) struct Book {
    pub accounts: Vec<Account>,
    payroll: Draw,
    general: Draw,
}

/// A way to draw one of some lines.
struct Draw {
    lines: Vec<u32>,
    alias: Alias,
    weight: f64,
}

impl Draw {
    fn new(treasury: &Treasury, payroll: bool) -> Self {
        let belongs = |line: &u32| treasury.lines[*line as usize].class().is_payroll() == payroll;
        let lines: Vec<u32> = (0..treasury.lines.len() as u32).filter(belongs).collect();
        let weights: Vec<f64> =
            lines.iter().map(|&line| f64::from(treasury.lines[line as usize].weight)).collect();
        Self { alias: Alias::new(&weights), weight: weights.iter().sum(), lines }
    }
}

impl Book {
    pub(super) fn new(treasury: &Treasury) -> Self {
        let blank = |line: &super::treasury::Line| Account {
            budget: 0,
            total: 0,
            planned: 0,
            spent: 0,
            held: 0,
            frozen: 0,
            release: Release::AtOnce,
            paid: 0,
            three_public: line.class().is_three_public(),
            paid_in_month: 0,
            month: 0,
        };
        let accounts = treasury.lines.iter().map(blank).collect();
        Self { accounts, payroll: Draw::new(treasury, true), general: Draw::new(treasury, false) }
    }

    pub(super) fn draw(&self, payroll: bool, dice: &mut Dice) -> u32 {
        let draw = if payroll { &self.payroll } else { &self.general };
        draw.lines[draw.alias.draw(dice)]
    }

    pub(super) fn payroll_share(payday: bool) -> f64 {
        if payday { PAYROLL_ON_PAYDAY } else { PAYROLL_OTHERWISE }
    }

    pub(super) fn account(&mut self, line: u32) -> &mut Account {
        &mut self.accounts[line as usize]
    }

    /// Closes the books of the year before and sizes the budgets of `year` by what will be spent.
    pub(super) fn open(&mut self, treasury: &Treasury, year: i16) {
        let (wages, other) = payments_in(treasury, year);
        let rates = [other / self.general.weight, wages / self.payroll.weight];
        for (index, (account, line)) in self.accounts.iter_mut().zip(&treasury.lines).enumerate() {
            let expected = f64::from(line.weight) * rates[usize::from(line.class().is_payroll())];
            let typical = treasury.typical_payment(index as u32);
            let controlled = !treasury.line_hash(index as u32).is_multiple_of(4);
            let wages = if line.class().is_wages() { treasury.monthly_wages(index as u32) } else { 0.0 };
            *account = Account {
                budget: budget_for(expected, typical, account.three_public)
                    + (wages * WAGES_A_YEAR) as i64 * 100,
                release: release_for(expected, controlled),
                total: 0,
                planned: 0,
                spent: 0,
                held: 0,
                frozen: 0,
                paid: 0,
                ..account.clone()
            };
        }
    }
}

/// Expected payments of the whole fiscal year, wages and subsidies apart from the others.
fn payments_in(treasury: &Treasury, year: i16) -> (f64, f64) {
    let days = &treasury.calendar.days;
    let all: f64 = days.iter().map(|day| day.volume).sum();
    let (mut wages, mut whole) = (0.0, 0.0);
    for day in days.iter().filter(|day| day.date.year() == year) {
        wages += day.volume * Book::payroll_share(day.payday);
        whole += day.volume;
    }
    let scale = treasury.plan.payments as f64 / all / treasury.calendar.coverage(year);
    (wages * scale, (whole - wages) * scale)
}

/// A budget that the expected spending fits into, with the margin a small number of payments needs.
fn budget_for(expected: f64, typical: f64, three_public: bool) -> i64 {
    let yuan = if three_public {
        expected * typical / THREE_PUBLIC_USE + 14.0 * typical
    } else {
        typical * (1.03 * expected + 0.15 * expected.sqrt() + 0.3)
    };
    ((yuan * 100.0) as i64 / BUDGET_STEP + 1) * BUDGET_STEP
}

fn release_for(expected: f64, controlled: bool) -> Release {
    match expected {
        count if !controlled || count < QUARTERLY_FROM => Release::AtOnce,
        count if count < MONTHLY_FROM => Release::Quarterly,
        _ => Release::Monthly,
    }
}
