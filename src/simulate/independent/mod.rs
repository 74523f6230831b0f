//! Anomalies by a generator that knows no rule: what auditors of Chinese treasuries write in their reports (拆分, 串户, 虚列,
//! 挤占, 公款私存, 大额提现, 年底突击 and others), done to the stream of a clean treasury.
//!
//! It sees events as anybody would who reads the stream, and no threshold, list or name of a rule: sums, gaps and counts are
//! drawn from wide ranges, on both sides of any limit. Each case is a few payments beside those of the clean stream, which
//! stays as it is. A case has the money it takes (a supplement of its line), and the bank confirms it, so that nothing gives
//! it away but what is wrong with it. Its label names no rule.

mod case;
mod kinds;
mod scheme;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, HashSet, VecDeque},
};

use crate::event::{BudgetAction, EventType};

use super::{
    Event, Label, LocalStamp, Simulated,
    calendar::{HOUR, MINUTE, timestamp},
    dice::Dice,
    money,
    treasury::Treasury,
};
use case::Case;
use kinds::{SCHEMES, Scheme};

/// Cases of a kind for every 100,000 payments; two at least.
const RATE: u64 = 8;
const LEAST: u64 = 2;
/// Cases begin in this part of the plan: with some history before them, and time to go on.
const SPAN: (f64, f64) = (0.15, 0.85);
/// Payments to companies that are remembered, to take other payees and accounts from.
const REMEMBERED: usize = 64;

/// An event that is still to come, at a time in milliseconds.
struct Coming {
    at: i64,
    number: u64,
    what: What,
}

enum What {
    /// A line is given the money that a case takes.
    Give {
        line: String,
        year: String,
        amount: i64,
    },
    /// A payment of a case.
    Pay {
        event: Box<Event>,
        case: usize,
    },
    Confirm(Box<Event>),
}

/// The events of a clean treasury with cases among them.
pub(super) struct Independent<'a, I> {
    treasury: &'a Treasury,
    clean: I,
    dice: Dice,
    /// Cases that are to begin, the next one last, and those that wait for a payment that they can begin with.
    due: Vec<(i64, Scheme)>,
    waiting: Vec<Scheme>,
    coming: BinaryHeap<Reverse<Coming>>,
    arranged: u64,
    cases: Vec<Case>,
    out: VecDeque<Simulated>,
    /// The next clean event.
    next: Option<Simulated>,
    today: usize,
    /// How many events of each type were made here.
    made: BTreeMap<&'static str, u64>,
    seen: Seen,
}

/// What the stream has shown so far.
#[derive(Default)]
struct Seen {
    /// Lines that money is released to by plan.
    planned: HashSet<String>,
    /// How often an account was paid.
    times: HashMap<String, u32>,
    /// What a unit has paid in a year, in cents.
    units: HashMap<(String, String), i64>,
    /// The latest payments to companies.
    companies: VecDeque<Event>,
}

impl Seen {
    fn note(&mut self, event: &Event) {
        let line = || event.budget_line_id.clone().unwrap_or_default();
        if event.event_type == EventType::Budget && event.action == Some(BudgetAction::Plan) {
            self.planned.insert(line());
        }
        if event.event_type != EventType::Payment {
            return;
        }
        let of = |text: &Option<String>| text.clone().unwrap_or_default();
        *self.times.entry(of(&event.payee_account)).or_default() += 1;
        let amount = event.cents().unwrap_or(0);
        *self.units.entry((of(&event.unit_code), of(&event.fiscal_year))).or_default() += amount;
        if event.payee_type.as_deref() == Some("entity") && event.invoice_no.is_some() {
            if self.companies.len() == REMEMBERED {
                self.companies.pop_front();
            }
            self.companies.push_back(event.clone());
        }
    }
}

impl<'a, I: Iterator<Item = Simulated>> Independent<'a, I> {
    pub(super) fn new(treasury: &'a Treasury, mut clean: I) -> Self {
        let mut dice = Dice::new(treasury.plan.seed, 0x1D9);
        let next = clean.next();
        Self {
            treasury,
            clean,
            due: due(treasury, &mut dice),
            dice,
            waiting: Vec::new(),
            coming: BinaryHeap::new(),
            arranged: 0,
            cases: Vec::new(),
            out: VecDeque::new(),
            next,
            today: 0,
            made: BTreeMap::new(),
            seen: Seen::default(),
        }
    }

    /// Passes the next clean event on, and begins the cases that it is a beginning for.
    fn pass(&mut self, simulated: Simulated) {
        let at = simulated.at.as_millisecond();
        while self.treasury.calendar.days.get(self.today).is_some_and(|day| day.end() <= at) {
            self.today += 1;
        }
        self.seen.note(&simulated.event);
        while let Some((_, scheme)) = self.due.pop_if(|(due, _)| *due <= at) {
            self.waiting.push(scheme);
        }
        if simulated.event.event_type == EventType::Payment {
            let fitting = self.waiting.iter().position(|scheme| self.fits(*scheme, &simulated.event));
            if let Some(place) = fitting {
                let scheme = self.waiting.remove(place);
                self.begin(scheme, &simulated.event, at);
            }
        }
        self.out.push_back(simulated);
    }

    /// Lays a case out over the working days to come.
    fn begin(&mut self, scheme: Scheme, base: &Event, at: i64) {
        let (key, parts) = self.plot(scheme, base);
        if self.today >= self.treasury.calendar.days.len() || parts.is_empty() {
            return;
        }
        let case = self.cases.len();
        self.cases.push(Case::new(scheme, key, parts.len()));
        for (workdays, event) in parts {
            let at = self.time(at, workdays);
            let of = |text: &Option<String>| text.clone().unwrap_or_default();
            let (line, year) = (of(&event.budget_line_id), of(&event.fiscal_year));
            let amount = event.cents().unwrap_or(0);
            self.arrange(at - MINUTE, What::Give { line, year, amount });
            self.arrange(at, What::Pay { event: Box::new(event), case });
        }
    }

    /// A time when the counters are open, so many working days from now.
    fn time(&mut self, at: i64, workdays: usize) -> i64 {
        let calendar = &self.treasury.calendar;
        let day = calendar.workday_after(self.today, workdays);
        if workdays == 0 || day == self.today {
            let left = calendar.days[self.today].close_of_business() - at;
            return at + MINUTE + self.dice.below(left.max(1) as u64) as i64;
        }
        calendar.days[day].counter_time(&mut self.dice)
    }

    fn arrange(&mut self, at: i64, what: What) {
        self.arranged += 1;
        self.coming.push(Reverse(Coming { at, number: self.arranged, what }));
    }

    /// The next id of what is made here; the letters are not those of the clean stream.
    fn id(&mut self, letter: &'static str, year: &str) -> String {
        let number = self.made.entry(letter).or_default();
        *number += 1;
        format!("{letter}{year}-{number:09}")
    }

    fn stamp(&self, at: i64) -> LocalStamp {
        let days = &self.treasury.calendar.days;
        let day = days.get(self.today).or(days.last());
        LocalStamp { at: timestamp(at), offset: day.map_or(jiff::tz::Offset::UTC, |day| day.offset) }
    }

    fn emit(&mut self, at: i64, mut event: Event, label: Option<Label>) {
        event.occurred_at = self.stamp(at);
        event.recorded_at = Some(self.stamp(at + 2 * MINUTE));
        self.out.push_back(Simulated { at: event.occurred_at.at, event, label });
    }

    fn happen(&mut self, at: i64, what: What) {
        match what {
            What::Confirm(event) => self.emit(at, *event, None),
            What::Give { line, year, amount } => self.give(at, &line, &year, amount),
            What::Pay { event, case } => self.pay(at, *event, case),
        }
    }

    /// In whole hundreds of yuan, as budgets are; and released, where money is released by plan.
    fn give(&mut self, at: i64, line: &str, year: &str, amount: i64) {
        let planned = self.seen.planned.contains(line);
        for action in
            [Some(BudgetAction::Supplement), planned.then_some(BudgetAction::Plan)].into_iter().flatten()
        {
            let mut given = Event::new(self.id("Y", year), EventType::Budget, self.stamp(at));
            given.action = Some(action);
            given.budget_line_id = Some(line.to_owned());
            given.amount = Some(money((amount / 10_000 + 1) * 10_000));
            self.emit(at, given, None);
        }
    }

    fn pay(&mut self, at: i64, mut paid: Event, case: usize) {
        let year = paid.fiscal_year.clone().unwrap_or_default();
        paid.event_id = self.id("X", &year);
        paid.occurred_at = self.stamp(at);
        if paid.settlement.as_deref() != Some("cash") {
            self.confirm_later(&paid, &year, at);
        }
        let label = self.cases.get_mut(case).and_then(|case| case.add(&paid));
        self.emit(at, paid, label);
    }

    /// The bank answers within some hours.
    fn confirm_later(&mut self, paid: &Event, year: &str, at: i64) {
        let mut answer = Event::new(self.id("Z", year), EventType::Confirmation, paid.occurred_at);
        answer.original_event_id = Some(paid.event_id.clone());
        answer.actual_payee_name.clone_from(&paid.payee_name);
        answer.actual_payee_account.clone_from(&paid.payee_account);
        answer.amount = paid.amount;
        answer.status = Some("paid".into());
        answer.bank_ref = Some(format!("29{:016}", self.dice.below(10_000_000_000_000_000)));
        let delay = 10 * MINUTE + self.dice.below(3 * HOUR as u64) as i64;
        self.arrange(at + delay, What::Confirm(Box::new(answer)));
    }
}

impl<I: Iterator<Item = Simulated>> Iterator for Independent<'_, I> {
    type Item = Simulated;

    fn next(&mut self) -> Option<Simulated> {
        loop {
            if let Some(simulated) = self.out.pop_front() {
                return Some(simulated);
            }
            let before = self.next.as_ref().map_or(i64::MAX, |next| next.at.as_millisecond());
            if self.coming.peek().is_some_and(|Reverse(coming)| coming.at <= before) {
                let Reverse(Coming { at, what, .. }) = self.coming.pop()?;
                self.happen(at, what);
            } else {
                let simulated = self.next.take()?;
                self.next = self.clean.next();
                self.pass(simulated);
            }
        }
    }
}

/// When cases begin, the first one last.
fn due(treasury: &Treasury, dice: &mut Dice) -> Vec<(i64, Scheme)> {
    let days = &treasury.calendar.days;
    let each = (treasury.plan.payments * RATE / 100_000).max(LEAST);
    let mut due = Vec::new();
    for scheme in SCHEMES {
        for _ in 0..each {
            let within = dice.between(SPAN.0, SPAN.1);
            let day = (days.len() as f64 * within) as usize;
            let year = days.get(day).map(|day| day.date.year());
            let rush =
                days.iter().position(|day| Some(day.date.year()) == year && Scheme::rush_begins(day.date));
            if let Some(day) = if scheme.is_of_the_year_end() { rush } else { Some(day) } {
                due.extend(days.get(day).map(|day| (day.midnight, *scheme)));
            }
        }
    }
    due.sort_by_key(|(at, _)| Reverse(*at));
    due
}

impl PartialEq for Coming {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Coming {}

impl PartialOrd for Coming {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Coming {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
