//! Plays the year: day by day, and in each day by time, merging the payments of the counters with what was
//! arranged before.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::calendar::{DESK, Day, HOUR, MINUTE};
use super::clerk::Clerk;
use super::dice::{Dice, mix, scale};
use super::labels::Labels;
use super::ledger::{Book, Release};
use super::programmes::{Failing, Report};
use super::schedule::{Planned, schedule};
use super::treasury::Treasury;
use super::voucher::{Charge, Credit, Flaw, Part, Voucher};
use super::{AnomalyKind, Simulated, spend};
use crate::event::{BudgetAction, EventType};

/// Share of payments that follow an application.
const APPLIED_FOR: f64 = 0.3;
/// Applications that are withdrawn, refunds and corrections, each as a share of payments.
const WITHDRAWN: f64 = 0.004;
const REFUNDED: f64 = 0.008;
const CORRECTED: f64 = 0.002;

/// Something arranged for later.
pub(super) enum Task {
    Pay(Box<Voucher>),
    Withdraw {
        line: u32,
        application: u64,
        amount: i64,
    },
    Refund {
        line: u32,
        payment: u64,
        amount: i64,
    },
    Correct {
        line: u32,
        payment: u64,
        amount: i64,
    },
    Adjust,
    Unfreeze {
        line: u32,
        amount: i64,
    },
    Confirm {
        voucher: Box<Voucher>,
        payment: u64,
    },
    /// Some of a planted payment comes back from its payee.
    Receive {
        voucher: Box<Voucher>,
    },
    /// An account that was credited with nothing for long is credited again.
    Wake {
        voucher: Box<Voucher>,
        anomaly: &'static AnomalyKind,
    },
    /// Pays back a planted payment.
    PayBack {
        voucher: Box<Voucher>,
        payment: u64,
    },
    Plant(Planned),
    /// A statement about the indicators of a programme.
    State {
        line: u32,
        report: Report,
    },
}

/// A task and its time; the number keeps tasks of the same time in the order they were arranged.
struct Arranged {
    at: i64,
    number: u64,
    task: Task,
}

/// The state of play.
pub(super) struct Simulation<'a> {
    pub treasury: &'a Treasury,
    pub dice: Dice,
    pub book: Book,
    pub clerk: Clerk<'a>,
    /// How often each supplier has been paid so far, up to 255.
    pub met: Vec<u8>,
    /// Special lines and one-off payees so far.
    pub specials: u32,
    pub today: usize,
    /// How much of the fiscal year has passed.
    pub elapsed: f64,
    /// Payments of the counters by the end of each day.
    quota: Vec<u64>,
    /// The times of today's payments, and how many are done.
    counter: Vec<i64>,
    served: usize,
    /// Wages that are still to be paid, the next line last.
    wages: Vec<u32>,
    /// Units that pay no wages in a month.
    pub without_wages: Vec<(u32, i8)>,
    /// A region that pays nothing on a day: what it would pay waits for the next.
    pub silent: Option<(u16, usize)>,
    /// A unit that makes its amounts up, and the quarter, from 0.
    pub cooking: Option<(u32, i8)>,
    /// Contracts of the list used so far: those that are exceeded, and those that are paid too early.
    pub contracts: (u32, u32),
    /// Programmes in which something goes wrong.
    pub failing: Vec<Failing>,
    /// Labels of what is being planted.
    pub labels: Labels,
    /// The next line to be approved or released this morning.
    desk: Option<u32>,
    agenda: BinaryHeap<Reverse<Arranged>>,
    arranged: u64,
    /// Anomalies still to be planted, the next one last.
    schedule: Vec<Planned>,
    out: VecDeque<Simulated>,
}

impl<'a> Simulation<'a> {
    pub(super) fn new(treasury: &'a Treasury) -> Self {
        let mut schedule = schedule(treasury);
        let planted: u64 = schedule.iter().map(|planned| planned.anomaly.payments).sum();
        schedule.reverse();
        let mut simulation = Self {
            treasury,
            dice: Dice::new(treasury.plan.seed, 0x51),
            book: Book::new(treasury),
            clerk: Clerk::new(treasury),
            met: vec![0; spend::SUPPLIERS],
            specials: 0,
            today: 0,
            elapsed: 0.0,
            quota: quota(treasury, treasury.plan.payments.saturating_sub(planted)),
            counter: Vec::new(),
            served: 0,
            wages: Vec::new(),
            without_wages: Vec::new(),
            silent: None,
            cooking: None,
            contracts: (0, 0),
            failing: Vec::new(),
            labels: Labels::default(),
            desk: None,
            agenda: BinaryHeap::new(),
            arranged: 0,
            schedule,
            out: VecDeque::new(),
        };
        simulation.begin_day();
        simulation
    }

    pub(super) fn day(&self) -> &'a Day {
        &self.treasury.calendar.days[self.today]
    }

    pub(super) fn emit(&mut self, mut event: Simulated) {
        event.label = self.labels.next();
        self.out.push_back(event);
    }

    /// Writes down a budget action on a regular line.
    pub(super) fn act(&mut self, action: BudgetAction, line: u32, amount: i64, at: i64) {
        let event = self.clerk.budget(action, line, amount, at);
        self.emit(event);
    }

    pub(super) fn arrange(&mut self, at: i64, task: Task) {
        self.arranged += 1;
        self.agenda.push(Reverse(Arranged { at, number: self.arranged, task }));
    }

    /// A time when the counters are open: `workdays` later, or later today when that is past the year's end.
    pub(super) fn later(&mut self, at: i64, workdays: usize) -> i64 {
        let target = self.treasury.calendar.workday_after(self.today, workdays);
        if workdays == 0 || target == self.today {
            let left = self.day().close_of_business() - at;
            return at + self.dice.below(left.max(1) as u64) as i64;
        }
        self.treasury.calendar.days[target].counter_time(&mut self.dice)
    }

    fn begin_day(&mut self) {
        let Some(day) = self.treasury.calendar.days.get(self.today) else { return };
        self.clerk.begin(day);
        self.elapsed = day.year_elapsed();
        if day.opening {
            self.book.open(self.treasury, day.date.year());
            self.arrange_programmes();
        }
        self.desk = day.release.then_some(0);
        let before = if self.today == 0 { 0 } else { self.quota[self.today - 1] };
        self.counter.clear();
        self.counter.extend((before..self.quota[self.today]).map(|_| day.counter_time(&mut self.dice)));
        self.counter.sort_unstable();
        self.served = 0;
        if day.working {
            self.arrange_adjustments();
        }
        if day.wages && self.wages.is_empty() {
            self.wages = self.treasury.wage_lines().rev().collect();
        }
        while let Some(&planned) = self.schedule.last().filter(|planned| planned.day == self.today) {
            self.schedule.pop();
            let at = day.midnight + DESK.1 + 60_000 + self.dice.below(20 * 60_000) as i64;
            self.arrange(at, Task::Plant(planned));
        }
    }

    /// Does the next thing; false when the plan is over.
    fn step(&mut self) -> bool {
        let Some(day) = self.treasury.calendar.days.get(self.today) else { return false };
        if let Some(line) = self.desk {
            self.serve_desk(line);
            return true;
        }
        let counter = self.counter.get(self.served).copied();
        let agenda = self.agenda.peek().map(|Reverse(next)| next.at).filter(|&at| at < day.end());
        match (agenda, counter) {
            (Some(task), payment) if payment.is_none_or(|payment| task <= payment) => self.do_task(),
            (_, Some(at)) => {
                self.served += 1;
                self.serve_counter(at);
            }
            _ => {
                self.today += 1;
                self.begin_day();
            }
        }
        true
    }

    /// Approves or releases one line; they all take turns within the first half hour.
    fn serve_desk(&mut self, line: u32) {
        let lines = self.treasury.lines.len() as u32;
        self.desk = Some(line + 1).filter(|&next| next < lines);
        let day = self.day();
        let at = day.midnight + DESK.0 + (DESK.1 - DESK.0) * i64::from(line) / i64::from(lines);
        if day.opening {
            let account = self.book.account(line);
            account.total = account.budget;
            let budget = account.budget;
            let event = self.clerk.approve(line, budget, at);
            self.emit(event);
        }
        let account = self.book.account(line);
        let due = account.due_plan(day.date.month(), day.opening);
        if account.release != Release::AtOnce && due > 0 {
            account.planned += due;
            self.act(BudgetAction::Plan, line, due, at);
        }
    }

    fn serve_counter(&mut self, at: i64) {
        if self.dice.chance(WITHDRAWN) {
            self.apply_in_vain(at);
        }
        let queued = self.out.len();
        // Units have paydays of their own: some of the payments of each day are wages.
        let due = self.day().payday || self.dice.chance(0.5);
        let wages = if due { self.wages.pop() } else { None };
        let mut voucher = match wages.filter(|&line| !self.stopped(line)) {
            Some(line) => self.pay_wages(line, at),
            None => self.decide(at),
        };
        let recurring = voucher.class().is_payroll();
        if self.out.len() > queued {
            // Its line was supplemented just now; the money takes a few minutes to arrive.
            let at = at + 60_000 + self.dice.below(9 * 60_000) as i64;
            self.arrange(at, Task::Pay(Box::new(voucher)));
        } else if !recurring && self.dice.chance(APPLIED_FOR) {
            self.apply(&mut voucher, at);
            let workdays = [0, 0, 0, 1, 1, 1, 2, 3][self.dice.below(8) as usize];
            let at = self.later(at, workdays);
            self.arrange(at, Task::Pay(Box::new(voucher)));
        } else {
            self.pay(&voucher, at);
        }
    }

    fn apply(&mut self, voucher: &mut Voucher, at: i64) {
        let application = self.clerk.application(voucher, at);
        self.emit(application);
        voucher.application = Some(self.clerk.last(EventType::Application));
    }

    fn apply_in_vain(&mut self, at: i64) {
        let mut voucher = self.decide_for(at, i64::MAX, |class| !class.is_payroll());
        self.apply(&mut voucher, at);
        let application = self.clerk.last(EventType::Application);
        let workdays = self.dice.below(6) as usize;
        let at = self.later(at, workdays);
        self.arrange(at, Task::Withdraw { line: voucher.line, application, amount: voucher.amount });
    }

    /// Pays, and now and then arranges what is wrong with the payment.
    fn pay(&mut self, voucher: &Voucher, at: i64) {
        if self.silent == Some((self.treasury.unit_of(voucher.line).region, self.today)) {
            let next = self.treasury.calendar.workday_after(self.today, 1);
            let at = at - self.day().midnight + self.treasury.calendar.days[next].midnight;
            return self.arrange(at, Task::Pay(Box::new(voucher.clone())));
        }
        if voucher.flaw == Flaw::SkippedNumber {
            self.clerk.skip(EventType::Payment);
        }
        let payment = self.clerk.payment(voucher, at);
        if let Some(part) = voucher.plant {
            self.labels.add(part, &payment.event);
        }
        self.emit(payment);
        self.remember(voucher.payee);
        self.await_answer(voucher, at);
        let Voucher { line, amount, .. } = *voucher;
        if voucher.charge == Charge::Regular {
            self.book.account(line).settle(amount);
        }
        if let Some(part) = voucher.plant {
            let payment = self.clerk.last(EventType::Payment);
            self.pay_back(voucher, part, payment, at);
        }
        let luck = self.dice.fraction();
        if voucher.plant.is_some() || luck > REFUNDED + CORRECTED {
            return;
        }
        let payment = self.clerk.last(EventType::Payment);
        let workdays = 2 + self.dice.below(9) as usize;
        let at = self.later(at, workdays);
        if luck < CORRECTED {
            self.arrange(at, Task::Correct { line, payment, amount });
        } else {
            let part = if self.dice.chance(0.7) { amount } else { (amount / 3).max(1) };
            self.arrange(at, Task::Refund { line, payment, amount: part });
        }
    }

    /// The bank answers what is not cash within some hours, and the next working day what was paid late. Nothing of it is
    /// diced, so that the year is the same without it.
    fn await_answer(&mut self, voucher: &Voucher, at: i64) {
        if voucher.flaw == Flaw::RoundTrip {
            let at = self.later(at, 6);
            self.arrange(at, Task::Receive { voucher: Box::new(voucher.clone()) });
        }
        if voucher.settlement == "cash" || voucher.flaw == Flaw::Uncleared {
            return;
        }
        let (day, calendar) = (self.day(), &self.treasury.calendar);
        let soon = at + 10 * MINUTE + scale(mix(voucher.salt, 12), 3 * HOUR as u64) as i64;
        let next = calendar.workday_after(self.today, 1);
        let answered = if day.working && soon < day.close_of_business() {
            soon
        } else if next == self.today {
            soon.min(day.close_of_business() - 1).max(at)
        } else {
            calendar.days[next].midnight + 9 * HOUR + scale(mix(voucher.salt, 13), HOUR as u64) as i64
        };
        let payment = self.clerk.last(EventType::Payment);
        self.arrange(answered, Task::Confirm { voucher: Box::new(voucher.clone()), payment });
    }

    fn do_task(&mut self) {
        let Some(Reverse(Arranged { at, task, .. })) = self.agenda.pop() else { return };
        match task {
            Task::Pay(voucher) => self.pay(&voucher, at),
            Task::Withdraw { line, application, amount } => {
                self.book.account(line).hold(-amount);
                let event = self.clerk.withdrawal(line, application, at);
                self.emit(event);
            }
            Task::Refund { line, payment, amount } => {
                self.book.account(line).spent -= amount;
                let event = self.clerk.refund(line, payment, amount, at);
                self.emit(event);
            }
            Task::Correct { line, payment, amount } => self.correct(line, payment, amount, at),
            Task::Adjust => self.adjust(at),
            Task::Unfreeze { line, amount } => self.unfreeze(line, amount, at),
            Task::Confirm { voucher, payment } => {
                let event = self.clerk.confirmation(&voucher, payment, at);
                let shows = matches!(voucher.flaw, Flaw::OtherPayee(_) | Flaw::Underpaid);
                if let Some(part) = voucher.plant.filter(|_| shows) {
                    self.labels.add(Part { last: true, ..part }, &event.event);
                }
                self.emit(event);
            }
            Task::Receive { voucher } => {
                let event = self.clerk.receipt(&voucher, Credit::Returned, at);
                if let Some(part) = voucher.plant {
                    self.labels.add(Part { last: true, ..part }, &event.event);
                }
                self.emit(event);
            }
            Task::Wake { voucher, anomaly } => {
                let event = self.clerk.receipt(&voucher, Credit::Idle, at);
                self.labels.add_event(anomaly, &event.event);
                self.emit(event);
            }
            Task::PayBack { voucher, payment } => {
                let event = self.clerk.pay_back(&voucher, payment, at);
                if let Some(part) = voucher.plant.filter(|part| part.last) {
                    self.labels.end(part, &event.event);
                }
                self.emit(event);
            }
            Task::Plant(planned) => self.plant(planned, at),
            Task::State { line, report } => self.state(line, report, at),
        }
    }
}

impl Iterator for Simulation<'_> {
    type Item = Simulated;

    fn next(&mut self) -> Option<Simulated> {
        loop {
            if let Some(event) = self.out.pop_front() {
                return Some(event);
            }
            if !self.step() {
                return None;
            }
        }
    }
}

/// How many payments have been made by the end of each day; the last day completes them.
fn quota(treasury: &Treasury, payments: u64) -> Vec<u64> {
    let days = &treasury.calendar.days;
    let all: f64 = days.iter().map(|day| day.volume).sum();
    let mut done = 0.0;
    let mut quota: Vec<u64> = Vec::with_capacity(days.len());
    for day in days {
        done += day.volume;
        quota.push(((payments as f64 * (done / all)) as u64).min(payments));
    }
    let last_workday = days.iter().rposition(|day| day.working).unwrap_or(0);
    quota.iter_mut().skip(last_workday).for_each(|count| *count = payments);
    quota
}

impl PartialEq for Arranged {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Arranged {}

impl PartialOrd for Arranged {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Arranged {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
