//! A plain ledger to check the stream against, which knows nothing of the simulator's own books.

use std::collections::{HashMap, HashSet};

use crate::event::{BudgetAction, EventType};

use super::super::Event;

/// The balances of a line as docs/events.md defines them, in cents.
#[derive(Default)]
pub(super) struct Balance {
    pub total: i64,
    planned: i64,
    under_plan: bool,
    pub executed: i64,
    reserved: i64,
    pub frozen: i64,
    pub three_public: bool,
}

impl Balance {
    pub(super) fn overdrawn(&self) -> bool {
        let used = self.executed + self.reserved;
        self.total - self.frozen - used < 0 || (self.under_plan && self.planned - used < 0)
    }
}

/// All lines, and what refers to them.
#[derive(Default)]
pub(super) struct Ledger {
    pub lines: HashMap<String, Balance>,
    pub applications: HashMap<String, (String, i64)>,
    payments: HashMap<String, String>,
    answered: HashSet<String>,
    /// Refunds of nothing.
    pub unknown: u64,
}

impl Ledger {
    fn line(&mut self, id: &str) -> &mut Balance {
        self.lines.entry(id.to_owned()).or_default()
    }

    /// Applies an event and returns the lines it touched.
    pub(super) fn apply(&mut self, event: &Event) -> Vec<String> {
        if matches!(event.event_type, EventType::Confirmation | EventType::Receipt) {
            return self.answer(event);
        }
        let line = event.budget_line_id.clone().unwrap();
        let amount = event.cents().unwrap_or(0);
        let original = event.original_event_id.as_ref();
        match event.event_type {
            EventType::Budget => self.budget(event, &line, amount),
            EventType::Indicator => assert!(self.line(&line).total > 0, "{line} is not approved"),
            EventType::Application => {
                assert!(self.line(&line).total > 0, "{line} is not approved");
                self.line(&line).reserved += amount;
                self.applications.insert(event.event_id.clone(), (line.clone(), amount));
            }
            EventType::Payment => {
                if let Some(id) = &event.application_id {
                    assert_eq!(self.applications.remove(id), Some((line.clone(), amount)));
                    self.line(&line).reserved -= amount;
                }
                self.line(&line).executed += amount;
                self.payments.insert(event.event_id.clone(), line.clone());
            }
            EventType::Withdrawal => {
                let (reserved, amount) = self.applications.remove(original.unwrap()).unwrap();
                assert_eq!(reserved, line);
                self.line(&line).reserved -= amount;
            }
            EventType::Refund => {
                match self.payments.get(original.unwrap()) {
                    Some(paid) => assert_eq!(*paid, line),
                    None => self.unknown += 1,
                }
                self.line(&line).executed -= amount;
            }
            EventType::Correction => {
                assert_eq!(self.payments[original.unwrap()], line);
                self.line(&line).executed -= amount;
                self.line(event.to_budget_line_id.as_ref().unwrap()).executed += amount;
            }
            EventType::Confirmation | EventType::Receipt => unreachable!("they are of no line"),
            EventType::Reversal => unreachable!("it is never simulated"),
        }
        std::iter::once(line).chain(event.to_budget_line_id.clone()).collect()
    }

    /// A bank's answer comes once, and after its payment.
    fn answer(&mut self, event: &Event) -> Vec<String> {
        if event.event_type == EventType::Confirmation {
            let payment = event.original_event_id.clone().unwrap();
            self.unknown += u64::from(!self.payments.contains_key(&payment));
            assert!(self.answered.insert(payment));
        }
        Vec::new()
    }

    fn budget(&mut self, event: &Event, line: &str, amount: i64) {
        assert!(amount > 0);
        let action = event.action.unwrap();
        assert!(action == BudgetAction::Approve || self.lines.contains_key(line));
        if action == BudgetAction::Transfer {
            self.line(event.to_budget_line_id.as_ref().unwrap()).total += amount;
        }
        let balance = self.line(line);
        match action {
            BudgetAction::Approve => {
                assert_eq!(balance.total, 0, "{line} is approved twice");
                balance.total = amount;
                let class = event.economic_code.as_deref().unwrap();
                balance.three_public = ["30212", "30217", "30231", "31013"].contains(&class);
            }
            BudgetAction::Supplement | BudgetAction::CarryOver => balance.total += amount,
            BudgetAction::Reduce | BudgetAction::Reclaim | BudgetAction::Transfer => balance.total -= amount,
            BudgetAction::Freeze => balance.frozen += amount,
            BudgetAction::Unfreeze => balance.frozen -= amount,
            BudgetAction::Plan => (balance.planned, balance.under_plan) = (balance.planned + amount, true),
            BudgetAction::PlanReduce => balance.planned -= amount,
            BudgetAction::Opening => unreachable!("it is never simulated"),
        }
    }
}
