//! Plants the anomalies. Those that overdraw a line or need much money do so on a small line of their own, so that
//! one anomaly does not drag others along.

use super::anomalies::{BURST, BURST_SEEN, Deed};
use super::calendar::{DESK, HOUR};
use super::classes::{Class, Recipient};
use super::payees::{Payee, Trade};
use super::simulation::{Simulation, Task};
use super::units::Money;
use super::voucher::{Charge, Flaw, Voucher};
use super::{Action, Anomaly};

const YUAN: i64 = 100;

impl Simulation<'_> {
    pub(super) fn plant(&mut self, anomaly: &'static Anomaly, at: i64) {
        let mut vouchers = match anomaly.deed {
            Deed::Exhaust | Deed::ExceedPlan | Deed::Overspend | Deed::PayFrozen => {
                vec![self.overdrawing(anomaly.deed, at)]
            }
            Deed::NoBudget => {
                let mut voucher = self.special("30227", (20_000.0, 150_000.0));
                voucher.charge = Charge::Unknown(self.specials);
                vec![voucher]
            }
            Deed::LargeCash | Deed::LargeToPerson | Deed::Newcomer => vec![self.remarkable(anomaly.deed, at)],
            Deed::Split => return self.plant_split(anomaly, at),
            Deed::Burst => return self.plant_burst(anomaly, at),
            Deed::SubsidyTwice => self.subsidy_twice(at),
            Deed::PayTwice => self.bill_twice(at),
            _ => vec![self.flawed(anomaly.deed, at)],
        };
        if let Some(last) = vouchers.last_mut() {
            last.completes = Some(anomaly);
        }
        let mut time = at;
        for voucher in vouchers {
            let (low, more) = if anomaly.payments > 1 { (1, 4) } else { (0, 3) };
            let workdays = low + self.dice.below(more) as usize;
            time = match anomaly.deed {
                Deed::OffHours => self.off_hours(),
                Deed::SubsidyTwice => self.later_this_month(time.max(at)),
                // Every step of a series is counted from today, so it is made from the first one on.
                _ => self.after(time, at, workdays),
            };
            self.arrange_planted(voucher, time);
        }
    }

    /// A time `workdays` from now that is not before `previous`.
    fn after(&mut self, previous: i64, now: i64, workdays: usize) -> i64 {
        let later = self.later(now, workdays);
        if later >= previous { later } else { previous + 60_000 }
    }

    fn later_this_month(&mut self, previous: i64) -> i64 {
        let next = self.treasury.calendar.workday_after(self.today, 1);
        let same_month = self.treasury.calendar.days[next].date.month() == self.day().date.month();
        let workdays = usize::from(same_month && self.dice.chance(0.6));
        let now = self.day().midnight + DESK.1 + HOUR;
        self.after(previous, now, workdays)
    }

    fn arrange_planted(&mut self, mut voucher: Voucher, at: i64) {
        voucher.planted = true;
        self.arrange(at, Task::Pay(Box::new(voucher)));
    }

    /// At night, or on the next day off.
    fn off_hours(&mut self) -> i64 {
        let day = self.treasury.calendar.day_off_after(self.today).filter(|_| self.dice.chance(0.4));
        let (midnight, from) = match day {
            Some(day) => (self.treasury.calendar.days[day].midnight, 9 * HOUR),
            None => (self.day().midnight, 19 * HOUR),
        };
        midnight + from + self.dice.below(4 * HOUR as u64) as i64
    }

    /// A payment from an ordinary line with one thing wrong about it.
    fn flawed(&mut self, deed: Deed, at: i64) -> Voucher {
        let supplied = |class: &Class| {
            matches!(class.recipient, Recipient::Supplier(_))
                && class.code.starts_with("302")
                && !class.is_three_public()
        };
        let limit = if deed == Deed::CashForCard { 9_000 * YUAN } else { 400_000 * YUAN };
        let carded = move |class: &Class| supplied(class) && class.in_card_catalogue();
        let mut voucher = match deed {
            Deed::CashForCard => self.decide_for(at, limit, carded),
            _ => self.decide_for(at, limit, supplied),
        };
        match deed {
            Deed::PayOneself => voucher.payee = Payee::Own,
            Deed::CashForCard => voucher.settlement = "cash",
            Deed::OtherPayee => voucher.flaw = Flaw::OtherPayee(self.stranger()),
            Deed::Blacklisted => voucher.payee = Payee::blacklisted(self.dice.below(40) as u32),
            Deed::ForeignClass => voucher.flaw = Flaw::ForeignClass,
            Deed::SensitivePurpose => voucher.flaw = Flaw::SensitivePurpose,
            Deed::TersePurpose => voucher.flaw = Flaw::TersePurpose,
            Deed::BondMoney => voucher.flaw = Flaw::BondMoney,
            _ => {}
        }
        if voucher.settlement == "cash" && deed != Deed::CashForCard {
            voucher.settlement = "transfer";
        }
        voucher
    }

    /// A voucher on a line of its own, not yet approved.
    fn special(&mut self, class: &str, (low, high): (f64, f64)) -> Voucher {
        self.specials += 1;
        let line = self.book.draw(false, &mut self.dice);
        let mut voucher = self.blank(line);
        voucher.charge = Charge::Special(self.specials);
        voucher.class = Class::index_of(class);
        voucher.money = Money::Project;
        voucher.amount = (self.dice.between(low, high) * 100.0) as i64;
        voucher.payee = self.payee_of_trade(line, voucher.class());
        voucher
    }

    fn payee_of_trade(&mut self, line: u32, class: &Class) -> Payee {
        let unit = self.treasury.lines[line as usize].unit;
        match class.recipient {
            Recipient::Supplier(trade) => self.supplier(unit, trade, false),
            _ => self.stranger(),
        }
    }

    fn approve_special(&mut self, voucher: &Voucher, total: i64, at: i64) {
        let event = self.clerk.approve_for(voucher, total, at);
        self.emit(event);
    }

    fn act_on_special(&mut self, action: Action, voucher: &Voucher, amount: i64, at: i64) {
        let event = self.clerk.budget_for(action, voucher, amount, at);
        self.emit(event);
    }

    /// A payment beyond the total, the plan or the freeze of its line.
    fn overdrawing(&mut self, deed: Deed, at: i64) -> Voucher {
        let mut voucher = self.special("30227", (20_000.0, 150_000.0));
        let limit = voucher.amount / (1_000 * YUAN) * (1_000 * YUAN);
        let (total, plan, excess) = match deed {
            Deed::ExceedPlan => (3 * limit, Some(limit), (1.02, 1.08)),
            Deed::Overspend => (limit, Some(limit), (1.15, 1.6)),
            Deed::PayFrozen => (limit, None, (0.5, 0.9)),
            _ => (limit, None, (1.02, 1.08)),
        };
        voucher.amount = (limit as f64 * self.dice.between(excess.0, excess.1)) as i64;
        self.approve_special(&voucher, total, at);
        if let Some(plan) = plan {
            self.act_on_special(Action::Plan, &voucher, plan, at);
        }
        if deed == Deed::PayFrozen {
            self.act_on_special(Action::Freeze, &voucher, total, at);
        }
        voucher
    }

    /// A payment that stands out by its size and payee, from a line with plenty of money.
    fn remarkable(&mut self, deed: Deed, at: i64) -> Voucher {
        let mut voucher = match deed {
            Deed::LargeCash => self.special("30229", (10_500.0, 48_000.0)),
            Deed::LargeToPerson => self.special("30227", (55_000.0, 300_000.0)),
            _ => self.special("31003", (520_000.0, 900_000.0)),
        };
        match deed {
            Deed::LargeCash => voucher.settlement = "cash",
            Deed::LargeToPerson => voucher.payee = self.stranger(),
            _ => voucher.payee = Payee::newcomer(self.specials % 30_000),
        }
        let total = 2 * voucher.amount / (1_000 * YUAN) * (1_000 * YUAN);
        self.approve_special(&voucher, total, at);
        voucher
    }

    fn bill_twice(&mut self, at: i64) -> Vec<Voucher> {
        let supplied = |class: &Class| {
            matches!(class.recipient, Recipient::Supplier(_))
                && !class.is_three_public()
                && !class.is_capital()
        };
        let bill = loop {
            let bill = self.decide_for(at, 200_000 * YUAN, supplied);
            // The second payment is held too, if the line has the money; otherwise another bill is taken.
            if self.room(bill.line) >= bill.amount {
                self.book.account(bill.line).hold(bill.amount);
                break bill;
            }
            self.book.account(bill.line).hold(-bill.amount);
        };
        vec![bill.clone(), bill]
    }

    fn subsidy_twice(&mut self, at: i64) -> Vec<Voucher> {
        let mut first = self.special("30305", (400.0, 2_000.0));
        first.payee = Payee::beneficiary(first.line, 1 << 30 | u64::from(self.specials));
        self.approve_special(&first, 10_000 * YUAN, at);
        let mut second = first.clone();
        (second.amount, second.salt) = (first.amount + 1_250, self.dice.bits());
        vec![first, second]
    }

    /// Three purchases below the procurement threshold from one supplier within a month, without papers.
    fn plant_split(&mut self, anomaly: &'static Anomaly, at: i64) {
        let mut voucher = self.special("31002", (172_000.0, 228_000.0));
        voucher.flaw = Flaw::NoPapers;
        self.approve_special(&voucher, 800_000 * YUAN, at);
        let mut time = at;
        for step in 1..=3 {
            let mut part = voucher.clone();
            part.salt = self.dice.bits();
            part.amount = (self.dice.between(172_000.0, 228_000.0) * 100.0) as i64;
            part.completes = (step == 3).then_some(anomaly);
            time = self.after(time, at, 2 * step);
            self.arrange_planted(part, time);
        }
    }

    fn plant_burst(&mut self, anomaly: &'static Anomaly, at: i64) {
        let mut voucher = self.special("30201", (300.0, 3_000.0));
        voucher.payee = Payee::Supplier(Trade::Stationery, self.dice.zipf(self.treasury.pool));
        self.approve_special(&voucher, 50_000 * YUAN, at);
        let mut times: Vec<i64> = (0..BURST).map(|_| self.later(at, 0)).collect();
        times.sort_unstable();
        for (number, time) in (1..).zip(times) {
            let mut part = voucher.clone();
            part.salt = self.dice.bits();
            part.amount = (self.dice.between(300.0, 3_000.0) * 100.0) as i64;
            part.completes = (number == BURST_SEEN).then_some(anomaly);
            self.arrange_planted(part, time);
        }
    }
}
