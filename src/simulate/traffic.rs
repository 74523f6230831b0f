//! Traffic like that of a published ledger: what a clean treasury pays, paid as real offices pay it.
//!
//! The habits below are fitted to the payments that the Greater London Authority published for 2008 to 2013
//! (26,936 payments; `docs/rules.md` has the figures side by side). Placeholders and redactions are not in that ledger, which
//! has no bill numbers and hashes its payees; how often they come is a guess.
//!
//! Lines get what is paid beyond the clean stream, so that nothing is overdrawn because of it. Wages, subsidies and what
//! follows an application stay as they are.

use std::collections::{HashMap, VecDeque};

use super::{Event, Simulated, calendar::timestamp, dice::Dice, money, payees::Payee, treasury::Treasury};
use crate::event::{BudgetAction, Cents, EventType};

/// A bill of the same amount as an earlier one to the same payee.
const AGAIN: f64 = 0.36;
/// A round thousand.
const ROUND: f64 = 0.13;
/// Ten times or a hundred times the usual.
const TAIL: f64 = 0.04;
/// Somebody who is paid once and never again.
const ONCE: f64 = 0.08;
/// A bill over several lines, each a payment; in a third of these lines amounts repeat.
const SHARED: f64 = 0.19;
const ALIKE: f64 = 0.35;
/// A guess: what clerks type where a form insists on a number, and names that are taken out before anything is handed on.
const PLACEHOLDER: f64 = 0.03;
const REDACTED: f64 = 0.01;
const PLACEHOLDERS: [&str; 4] = ["0000", "无", "1", "待补"];
/// 三公经费, which has caps of its own: habits are not to break them.
const CAPPED: [&str; 4] = ["30212", "30217", "30231", "31013"];
/// Payees whose amounts are remembered, amounts of each, and payments that may still be answered or refunded.
const PAYEES: usize = 50_000;
const AMOUNTS: usize = 4;
const CHANGED: usize = 100_000;

/// A payment that is not as the clean stream has it.
struct Changed {
    old: Cents,
    new: Cents,
    name: Option<String>,
    account: Option<String>,
    /// The other lines of its bill, with their amounts.
    rows: Vec<(String, Cents)>,
}

/// The events of a clean treasury, as real offices would pay.
pub(super) struct Traffic<'a, I> {
    treasury: &'a Treasury,
    clean: I,
    dice: Dice,
    amounts: HashMap<String, VecDeque<i64>>,
    changed: HashMap<String, Changed>,
    order: VecDeque<String>,
    planned: std::collections::HashSet<String>,
    given: u64,
    once: u32,
    out: VecDeque<Simulated>,
}

impl<'a, I: Iterator<Item = Simulated>> Traffic<'a, I> {
    pub(super) fn new(treasury: &'a Treasury, clean: I) -> Self {
        Self {
            treasury,
            clean,
            dice: Dice::new(treasury.plan.seed, 0x7AF),
            amounts: HashMap::new(),
            changed: HashMap::new(),
            order: VecDeque::new(),
            planned: std::collections::HashSet::new(),
            given: 0,
            once: 0,
            out: VecDeque::new(),
        }
    }

    fn pass(&mut self, simulated: Simulated) {
        let event = &simulated.event;
        if event.event_type == EventType::Budget && event.action == Some(BudgetAction::Plan) {
            self.planned.extend(event.budget_line_id.clone());
        }
        let class = event.economic_code.as_deref().unwrap_or_default();
        let bill = event.payee_type.as_deref() == Some("entity")
            && event.invoice_no.is_some()
            && !CAPPED.contains(&class);
        match event.event_type {
            EventType::Payment if bill && event.application_id.is_none() => self.pay(&simulated),
            EventType::Confirmation => self.answer(simulated),
            EventType::Refund | EventType::Correction => self.take_back(simulated),
            _ => self.out.push_back(simulated),
        }
    }

    /// A bill, paid out of habit.
    fn pay(&mut self, simulated: &Simulated) {
        let mut event = simulated.event.clone();
        let old = event.cents().unwrap_or(0);
        if self.dice.chance(ONCE) {
            self.once += 1;
            // Beyond those that cases of anomalies take.
            let payee = Payee::newcomer(40_000 + self.once);
            let (seed, treasury) = (self.treasury.plan.seed, self.treasury);
            event.payee_name = Some(payee.name(seed, &treasury.units[0], &treasury.regions));
            event.payee_account = Some(payee.account(seed, &treasury.units[0]));
        }
        let whole = self.amount(&event, old);
        if self.dice.chance(PLACEHOLDER) {
            let of = self.dice.below(PLACEHOLDERS.len() as u64) as usize;
            event.invoice_no = Some(PLACEHOLDERS[of].to_owned());
        }
        if self.dice.chance(REDACTED) {
            event.payee_name = Some("***".to_owned());
        }
        let amounts = if self.dice.chance(SHARED) { self.lines_of(whole) } else { vec![whole] };
        self.give(&event, amounts.iter().sum::<i64>() - old);
        let mut changed = Changed {
            old: money(old),
            new: money(amounts[0]),
            name: event.payee_name.clone(),
            account: event.payee_account.clone(),
            rows: Vec::new(),
        };
        for (at, amount) in amounts.into_iter().enumerate() {
            let mut row = event.clone();
            row.amount = Some(money(amount));
            if at > 0 {
                row.event_id = format!("{}-{}", event.event_id, at + 1);
                changed.rows.push((row.event_id.clone(), money(amount)));
            }
            self.out.push_back(Simulated { event: row, at: simulated.at, label: None });
        }
        self.remember(event.event_id, changed);
    }

    /// What is paid in all: as before, round, far more, or as it was.
    fn amount(&mut self, event: &Event, old: i64) -> i64 {
        let account = event.payee_account.clone().unwrap_or_default();
        let earlier = self.amounts.get(&account).filter(|amounts| !amounts.is_empty());
        let luck = self.dice.fraction();
        let amount = match earlier {
            Some(earlier) if luck < AGAIN => earlier[self.dice.below(earlier.len() as u64) as usize],
            _ if (AGAIN..AGAIN + ROUND).contains(&luck) => (old / 100_000).max(1) * 100_000,
            _ if (AGAIN + ROUND..AGAIN + ROUND + TAIL).contains(&luck) => {
                (old as f64 * 10f64.powf(self.dice.between(0.8, 2.1))) as i64
            }
            _ => old,
        };
        if self.amounts.len() < PAYEES || self.amounts.contains_key(&account) {
            let amounts = self.amounts.entry(account).or_default();
            if amounts.len() == AMOUNTS {
                amounts.pop_front();
            }
            amounts.push_back(amount);
        }
        amount
    }

    /// A bill over two to six lines.
    fn lines_of(&mut self, whole: i64) -> Vec<i64> {
        let count = 2 + self.dice.zipf(5) as usize;
        if whole < 100 * count as i64 {
            return vec![whole];
        }
        let alike = self.dice.chance(ALIKE);
        let weights: Vec<f64> =
            (0..count).map(|_| if alike { 1.0 } else { self.dice.between(0.2, 1.8) }).collect();
        let all: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| ((whole as f64 * weight / all) as i64).max(1)).collect()
    }

    /// The line is given what it would lack, in whole hundreds of yuan.
    fn give(&mut self, event: &Event, beyond: i64) {
        if beyond <= 0 {
            return;
        }
        let line = event.budget_line_id.clone().unwrap_or_default();
        let planned = self.planned.contains(&line);
        for action in
            [Some(BudgetAction::Supplement), planned.then_some(BudgetAction::Plan)].into_iter().flatten()
        {
            self.given += 1;
            let year = event.fiscal_year.as_deref().unwrap_or_default();
            let mut given =
                Event::new(format!("G{year}-{:09}", self.given), EventType::Budget, event.occurred_at);
            given.recorded_at = event.recorded_at;
            given.action = Some(action);
            given.budget_line_id = Some(line.clone());
            given.amount = Some(money((beyond / 10_000 + 1) * 10_000));
            self.out.push_back(Simulated {
                at: timestamp(event.occurred_at.at.as_millisecond()),
                event: given,
                label: None,
            });
        }
    }

    fn remember(&mut self, id: String, changed: Changed) {
        if self.order.len() == CHANGED
            && let Some(oldest) = self.order.pop_front()
        {
            self.changed.remove(&oldest);
        }
        self.order.push_back(id.clone());
        self.changed.insert(id, changed);
    }

    /// The bank answers each line of a bill.
    fn answer(&mut self, mut simulated: Simulated) {
        let original = simulated.event.original_event_id.clone().unwrap_or_default();
        let Some(changed) = self.changed.get(&original) else { return self.out.push_back(simulated) };
        simulated.event.amount = Some(changed.new);
        simulated.event.actual_payee_name.clone_from(&changed.name);
        simulated.event.actual_payee_account.clone_from(&changed.account);
        let mut rows = Vec::new();
        for (at, (id, amount)) in changed.rows.iter().enumerate() {
            let mut row = simulated.clone();
            row.event.event_id = format!("{}-{}", simulated.event.event_id, at + 2);
            row.event.original_event_id = Some(id.clone());
            row.event.bank_ref = row.event.bank_ref.map(|number| format!("{number}{}", at + 2));
            row.event.amount = Some(*amount);
            rows.push(row);
        }
        self.out.push_back(simulated);
        self.out.extend(rows);
    }

    /// What comes back is what was paid, or the part of it that it was.
    fn take_back(&mut self, mut simulated: Simulated) {
        let original = simulated.event.original_event_id.as_deref().unwrap_or_default();
        if let (Some(changed), Some(amount)) = (self.changed.get(original), simulated.event.amount) {
            // A correction puts no more on another line than that line has room for.
            let whole = simulated.event.event_type == EventType::Refund && amount == changed.old;
            simulated.event.amount = Some(if whole { changed.new } else { amount.min(changed.new) });
        }
        self.out.push_back(simulated);
    }
}

impl<I: Iterator<Item = Simulated>> Iterator for Traffic<'_, I> {
    type Item = Simulated;

    fn next(&mut self) -> Option<Simulated> {
        loop {
            if let Some(simulated) = self.out.pop_front() {
                return Some(simulated);
            }
            let simulated = self.clean.next()?;
            self.pass(simulated);
        }
    }
}
