//! Writes the events down: numbers them, dates them and fills in their fields.

use jiff::tz::Offset;

use super::calendar::{Day, MINUTE, timestamp};
use super::dice::{choose, mix, scale};
use super::treasury::Treasury;
use super::units::Money;
use super::voucher::{Charge, Credit, Flaw, Voucher, regular_id};
use crate::event::{BudgetAction, EventType};

use super::{Event, LocalStamp, Simulated, money};

const REFUND_REASONS: [&str; 4] = ["账号有误退回", "多付款项退回", "合同终止退款", "差旅借支余款退回"];
const CORRECTION_REASONS: [&str; 3] = ["指标使用错误更正", "经济分类更正", "项目列支更正"];

/// The clerk of the day.
pub(super) struct Clerk<'a> {
    treasury: &'a Treasury,
    /// Events written so far, by type.
    written: [u64; 9],
    year: i16,
    month: i8,
    offset: Offset,
    close: i64,
}

impl<'a> Clerk<'a> {
    pub(super) fn new(treasury: &'a Treasury) -> Self {
        Self { treasury, written: [0; 9], year: 0, month: 0, offset: Offset::UTC, close: 0 }
    }

    pub(super) fn begin(&mut self, day: &Day) {
        (self.year, self.month) = (day.date.year(), day.date.month());
        (self.offset, self.close) = (day.offset, day.close_of_business());
    }

    pub(super) fn year_and_month(&self) -> (i16, i8) {
        (self.year, self.month)
    }

    /// The latest number given to an event of the type.
    pub(super) fn last(&self, event_type: EventType) -> u64 {
        self.written[event_type as usize]
    }

    pub(super) fn application(&mut self, voucher: &Voucher, at: i64) -> Simulated {
        let mut event = self.next(EventType::Application, at);
        self.treasury.describe(voucher, &mut event);
        unlabelled(event)
    }

    pub(super) fn payment(&mut self, voucher: &Voucher, at: i64) -> Simulated {
        let mut event = self.next(EventType::Payment, at);
        self.treasury.describe(voucher, &mut event);
        event.application_id = voucher.application.map(|number| self.id(EventType::Application, number));
        unlabelled(event)
    }

    /// The bank's answer to a payment.
    pub(super) fn confirmation(&mut self, voucher: &Voucher, payment: u64, at: i64) -> Simulated {
        let mut event = self.next(EventType::Confirmation, at);
        event.original_event_id = Some(self.id(EventType::Payment, payment));
        event.amount = Some(money(if voucher.flaw == Flaw::Underpaid {
            (voucher.amount - voucher.amount / 10).max(1)
        } else {
            voucher.amount
        }));
        event.status = Some("paid".into());
        event.bank_ref = Some(format!("{:02}{:016}", self.year % 100, mix(payment, 14) % 10u64.pow(16)));
        self.treasury.confirm_payee(voucher, &mut event);
        unlabelled(event)
    }

    /// The bank has paid what nobody ordered.
    pub(super) fn confirmation_unknown(&mut self, voucher: &Voucher, at: i64) -> Simulated {
        let nobodys = 900_000_000 + self.last(EventType::Confirmation);
        self.confirmation(voucher, nobodys, at)
    }

    /// A unit receives money.
    pub(super) fn receipt(&mut self, voucher: &Voucher, credit: Credit, at: i64) -> Simulated {
        let mut event = self.next(EventType::Receipt, at);
        self.treasury.describe_receipt(voucher, credit, &mut event);
        unlabelled(event)
    }

    /// Leaves a number out.
    pub(super) fn skip(&mut self, event_type: EventType) {
        self.written[event_type as usize] += 1;
    }

    pub(super) fn withdrawal(&mut self, line: u32, application: u64, at: i64) -> Simulated {
        let mut event = self.next(EventType::Withdrawal, at);
        event.original_event_id = Some(self.id(EventType::Application, application));
        event.budget_line_id = Some(self.line_id(line));
        unlabelled(event)
    }

    pub(super) fn refund(&mut self, line: u32, payment: u64, amount: i64, at: i64) -> Simulated {
        let mut event = self.next(EventType::Refund, at);
        event.original_event_id = Some(self.id(EventType::Payment, payment));
        event.budget_line_id = Some(self.line_id(line));
        event.amount = Some(money(amount));
        event.reason = Some((*choose(&REFUND_REASONS, mix(payment, 8))).into());
        unlabelled(event)
    }

    /// Less than a yuan comes back of a payment that nobody made, so that the line stays what it is.
    pub(super) fn refund_unknown(&mut self, line: u32, at: i64) -> Simulated {
        let nobodys = 900_000_000 + self.last(EventType::Refund);
        self.refund(line, nobodys, 1 + (mix(nobodys, 10) % 99) as i64, at)
    }

    /// The whole of a planted payment comes back.
    pub(super) fn pay_back(&mut self, voucher: &Voucher, payment: u64, at: i64) -> Simulated {
        let mut refund = self.refund(voucher.line, payment, voucher.amount, at);
        let line = &self.treasury.lines[voucher.line as usize];
        refund.event.budget_line_id = Some(voucher.line_id(self.treasury.unit_of(voucher.line), line.number));
        refund
    }

    pub(super) fn correction(&mut self, lines: (u32, u32), payment: u64, amount: i64, at: i64) -> Simulated {
        let mut event = self.next(EventType::Correction, at);
        event.original_event_id = Some(self.id(EventType::Payment, payment));
        event.budget_line_id = Some(self.line_id(lines.0));
        event.to_budget_line_id = Some(self.line_id(lines.1));
        event.amount = Some(money(amount));
        event.reason = Some((*choose(&CORRECTION_REASONS, mix(payment, 9))).into());
        unlabelled(event)
    }

    /// A budget action on a regular line.
    pub(super) fn budget(&mut self, action: BudgetAction, line: u32, amount: i64, at: i64) -> Simulated {
        let line_id = self.line_id(line);
        self.action(action, line_id, amount, at)
    }

    pub(super) fn transfer(&mut self, lines: (u32, u32), amount: i64, at: i64) -> Simulated {
        let mut transfer = self.budget(BudgetAction::Transfer, lines.0, amount, at);
        transfer.event.to_budget_line_id = Some(self.line_id(lines.1));
        transfer
    }

    pub(super) fn approve(&mut self, line: u32, amount: i64, at: i64) -> Simulated {
        let sample = self.sample(line);
        self.approve_for(&sample, amount, at)
    }

    /// Approves the line of a voucher.
    pub(super) fn approve_for(&mut self, voucher: &Voucher, amount: i64, at: i64) -> Simulated {
        let mut approval = self.action(BudgetAction::Approve, String::new(), amount, at);
        self.treasury.describe_line(voucher, &mut approval.event);
        approval
    }

    /// A budget action on the line of a voucher.
    pub(super) fn budget_for(
        &mut self,
        action: BudgetAction,
        voucher: &Voucher,
        amount: i64,
        at: i64,
    ) -> Simulated {
        let line = &self.treasury.lines[voucher.line as usize];
        let line_id = voucher.line_id(self.treasury.unit_of(voucher.line), line.number);
        self.action(action, line_id, amount, at)
    }

    /// A statement about an indicator of the programme of a line; what is counted is still to be filled in.
    pub(super) fn indicator(&mut self, line: u32, at: i64) -> Simulated {
        let mut event = self.next(EventType::Indicator, at);
        let sample = self.sample(line);
        self.treasury.describe_line(&sample, &mut event);
        (event.function_code, event.economic_code, event.fund_type) = (None, None, None);
        unlabelled(event)
    }

    fn action(&mut self, action: BudgetAction, line_id: String, amount: i64, at: i64) -> Simulated {
        let mut event = self.next(EventType::Budget, at);
        event.action = Some(action);
        event.budget_line_id = Some(line_id);
        event.amount = Some(money(amount));
        unlabelled(event)
    }

    fn next(&mut self, event_type: EventType, at: i64) -> Event {
        self.written[event_type as usize] += 1;
        let number = self.last(event_type);
        let mut event = Event::new(self.id(event_type, number), event_type, self.stamp(at));
        // Entered within the hour, and before the office closes unless the event itself is later.
        let delay = MINUTE + scale(mix(number, event_type as u64), 40 * MINUTE as u64) as i64;
        event.recorded_at = Some(self.stamp((at + delay).min(self.close.max(at))));
        event
    }

    fn id(&self, event_type: EventType, number: u64) -> String {
        let prefix = match event_type {
            EventType::Application => 'A',
            EventType::Payment => 'P',
            EventType::Withdrawal => 'W',
            EventType::Refund => 'R',
            EventType::Correction => 'C',
            EventType::Budget => 'B',
            EventType::Indicator => 'I',
            EventType::Confirmation => 'K',
            EventType::Receipt => 'S',
            EventType::Reversal => 'X',
        };
        // All that refers to an event happens in its fiscal year.
        format!("{prefix}{}-{number:09}", self.year)
    }

    fn stamp(&self, at: i64) -> LocalStamp {
        LocalStamp { at: timestamp(at), offset: self.offset }
    }

    fn line_id(&self, line: u32) -> String {
        regular_id(self.year, self.treasury.unit_of(line), self.treasury.lines[line as usize].number)
    }

    /// A voucher that only stands for its line.
    fn sample(&self, line: u32) -> Voucher {
        let (class, money) =
            (self.treasury.lines[line as usize].class, self.treasury.lines[line as usize].money);
        Voucher::blank(line, class, money, (self.year, self.month))
    }
}

impl Voucher {
    /// A voucher with no amount and no payee yet.
    pub(super) fn blank(line: u32, class: u8, money: Money, (year, month): (i16, i8)) -> Self {
        Self {
            line,
            charge: Charge::Regular,
            class,
            money,
            amount: 0,
            payee: super::payees::Payee::Own,
            settlement: "transfer",
            year,
            month,
            salt: 0,
            application: None,
            flaw: Flaw::None,
            plant: None,
        }
    }
}

fn unlabelled(event: Event) -> Simulated {
    Simulated { at: event.occurred_at.at, event, label: None }
}
