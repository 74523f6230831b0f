//! Plants the anomalies that are several payments.

use super::anomalies::Deed;
use super::calendar::{DESK, HOUR};
use super::classes::{Class, Recipient};
use super::payees::{Payee, Trade};
use super::plant::{Series, YUAN};
use super::simulation::{Simulation, Task};
use super::voucher::{Flaw, Part, Voucher};

impl Simulation<'_> {
    /// The payments of an anomaly that consists of several, if it does.
    pub(super) fn series(&mut self, deed: Deed, unit: u32, at: i64) -> Option<Series> {
        Some(match deed {
            Deed::UseEarly(share) => {
                let half = (share - 30) / 2;
                self.parts_of_line("30227", 120_000, &[30, half, share - 30 - half], at)
            }
            Deed::RunAhead => self.parts_of_line("31003", 400_000, &[16, 18, 15, 17], at),
            Deed::CashOften => self.cash(None, (800.0, 2_500.0), &[0, 1, 2], at),
            Deed::CashInMonth => self.cash_in_month(at),
            Deed::CashInYear => self.cash(Some(unit), (7_000.0, 9_500.0), &[1, 24, 47, 70, 93], at),
            Deed::PayTwice | Deed::SameAmount => self.bill_twice(deed, at),
            Deed::RefundAndRepay | Deed::RepayElsewhere => self.refunded(deed, at),
            Deed::SubsidyTwice => self.subsidy_twice(at),
            Deed::SharedAccount => self.shared_account(at),
            Deed::Split => self.purchases("31002", (172_000.0, 228_000.0), &[2, 4, 6], at),
            Deed::SplitOverYear => self.purchases("31002", (105_000.0, 140_000.0), &[3, 30, 57, 84, 111], at),
            Deed::SplitInDay => self.split_in_day(at),
            Deed::JustBelow => self.just_below(unit, at),
            Deed::Burst => self.burst(at),
            Deed::OverContract => self.over_contract(at),
            _ => return None,
        })
    }

    /// Shares of a line, in hundredths, one every few days.
    fn parts_of_line(&mut self, class: &str, total: i64, shares: &[i64], at: i64) -> Series {
        let voucher = self.special(None, class, (1.0, 2.0));
        self.approve_special(&voucher, total * YUAN, at);
        let parts = shares.iter().zip(0..).map(|(share, step)| {
            // Each to another payee, and none a round sum.
            let amount = total * share - 137 * (step + 1);
            (
                self.later(at, 1 + 2 * step as usize),
                Voucher {
                    amount,
                    salt: self.dice.bits(),
                    payee: self.payee_of_trade(voucher.line, voucher.class()),
                    ..voucher.clone()
                },
            )
        });
        parts.collect()
    }

    /// Payments in cash so many working days from now.
    fn cash(&mut self, unit: Option<u32>, range: (f64, f64), workdays: &[usize], at: i64) -> Series {
        let mut voucher = self.special(unit, "30229", range);
        voucher.settlement = "cash";
        self.approve_special(&voucher, (range.1 * 110.0) as i64 * workdays.len() as i64, at);
        workdays.iter().map(|&days| (self.later(at, days), self.again(&voucher, range))).collect()
    }

    /// Cash just below the single limit, day by day within this month.
    fn cash_in_month(&mut self, at: i64) -> Series {
        let range = (8_000.0, 9_900.0);
        let mut series = self.cash(None, range, &[0, 1, 2, 3, 4, 5, 6], at);
        let month = self.day().date.month();
        let end = |time: i64| super::calendar::timestamp(time);
        let zone = &self.treasury.plan.zone;
        for (time, _) in &mut series {
            if zone.to_datetime(end(*time)).date().month() != month {
                *time = self.later(at, 0);
            }
        }
        series
    }

    /// The same kind of payment with another amount and other papers.
    fn again(&mut self, voucher: &Voucher, (low, high): (f64, f64)) -> Voucher {
        let amount = (self.dice.between(low, high) * 100.0) as i64;
        Voucher { amount, salt: self.dice.bits(), ..voucher.clone() }
    }

    fn bill_twice(&mut self, deed: Deed, at: i64) -> Series {
        let supplied = |class: &Class| {
            matches!(class.recipient, Recipient::Supplier(_))
                && !class.is_three_public()
                && !class.is_capital()
        };
        let mut bill = self.decide_for(at, 200_000 * YUAN, supplied);
        self.book.account(bill.line).hold(-bill.amount);
        // Both are charged to a line of their own, so that there is money for the second.
        let line = self.special(None, "30201", (1.0, 2.0));
        bill.charge = line.charge;
        bill.money = line.money;
        bill.settlement = "transfer";
        if deed == Deed::SameAmount {
            bill.amount = bill.amount.max(1_200 * YUAN) / 100 * 100 + 37;
        }
        self.approve_special(&bill, 3 * bill.amount + 5_000 * YUAN, at);
        let mut second = bill.clone();
        if deed == Deed::SameAmount {
            second.salt = self.dice.bits();
        }
        let first_on = self.later(at, 1);
        let days = 2 + self.dice.below(12) as usize;
        vec![(first_on, bill), (self.after(first_on, at, days), second)]
    }

    /// The second payment follows when the first has come back.
    fn refunded(&mut self, deed: Deed, at: i64) -> Series {
        let first = self.special(None, "30227", (8_000.0, 40_000.0));
        self.approve_special(&first, 3 * first.amount, at);
        let mut second = Voucher { salt: self.dice.bits(), ..first.clone() };
        if deed == Deed::RepayElsewhere {
            second.flaw = Flaw::NewAccount;
        }
        let first_on = self.later(at, 0);
        vec![(first_on, first), (self.after(first_on + 2 * HOUR, at, 7), second)]
    }

    /// Arranges that the first payment of a refunded pair comes back before the second.
    pub(super) fn pay_back(&mut self, voucher: &Voucher, part: Part, payment: u64, at: i64) {
        let refunded = |deed| matches!(deed, Deed::RefundAndRepay | Deed::RepayElsewhere);
        if self.labels.anomaly(part.anomaly).is_some_and(|anomaly| refunded(anomaly.deed)) && !part.last {
            // On the last day of the year everything happens within hours.
            let workdays = usize::from(self.treasury.calendar.workday_after(self.today, 3) != self.today);
            let time = if workdays == 0 { at + HOUR } else { self.later(at, 3) };
            self.arrange(time, Task::PayBack { voucher: Box::new(voucher.clone()), payment });
        }
        if self.labels.anomaly(part.anomaly).is_some_and(|anomaly| anomaly.deed == Deed::RefundTwice) {
            let first = self.later(at, 2);
            let second = self.after(first + HOUR, at, 5);
            for (time, last) in [(first, false), (second, true)] {
                let voucher = Voucher { plant: Some(Part { last, ..part }), ..voucher.clone() };
                self.arrange(time, Task::PayBack { voucher: Box::new(voucher), payment });
            }
        }
    }

    fn subsidy_twice(&mut self, at: i64) -> Series {
        let mut first = self.special(None, "30305", (400.0, 2_000.0));
        first.payee = Payee::beneficiary(first.line, 1 << 30 | u64::from(self.specials));
        self.approve_special(&first, 10_000 * YUAN, at);
        let second = Voucher { amount: first.amount + 1_250, salt: self.dice.bits(), ..first.clone() };
        let first_on = self.later_this_month(at);
        vec![(first_on, first), (self.later_this_month(first_on), second)]
    }

    fn shared_account(&mut self, at: i64) -> Series {
        let mut voucher = self.special(None, "30305", (400.0, 2_000.0));
        voucher.payee = Payee::beneficiary(voucher.line, 1 << 28 | u64::from(self.specials));
        self.approve_special(&voucher, 10_000 * YUAN, at);
        let people = 500_000_000 + 10 * u64::from(self.specials);
        let parts = (0..4).map(|person| {
            let mut part = self.again(&voucher, (400.0, 2_000.0));
            part.flaw = Flaw::Beneficiary(people + person);
            (self.later_this_month(at), part)
        });
        parts.collect()
    }

    /// Purchases below the procurement threshold from one supplier, without papers.
    fn purchases(&mut self, class: &str, range: (f64, f64), workdays: &[usize], at: i64) -> Series {
        let mut voucher = self.special(None, class, range);
        voucher.flaw = Flaw::NoPapers;
        self.approve_special(&voucher, (range.1 * 130.0) as i64 * workdays.len() as i64, at);
        workdays.iter().map(|&days| (self.later(at, days), self.again(&voucher, range))).collect()
    }

    fn split_in_day(&mut self, at: i64) -> Series {
        let range = (27_000.0, 48_000.0);
        let mut voucher = self.special(None, "30227", range);
        voucher.flaw = Flaw::NoPapers;
        self.approve_special(&voucher, 250_000 * YUAN, at);
        let first_on = self.later(at, 1);
        vec![(first_on, self.again(&voucher, range)), (first_on + 60_000, self.again(&voucher, range))]
    }

    /// To five suppliers, each procured in order.
    fn just_below(&mut self, unit: u32, at: i64) -> Series {
        let range = (476_000.0, 499_900.0);
        let voucher = self.special(Some(unit), "31003", range);
        self.approve_special(&voucher, 2_600_000 * YUAN, at);
        let parts = [2, 26, 50, 74, 98].map(|days| {
            let mut part = self.again(&voucher, range);
            part.payee = self.payee_of_trade(voucher.line, voucher.class());
            (self.later(at, days), part)
        });
        parts.into()
    }

    fn burst(&mut self, at: i64) -> Series {
        let range = (300.0, 3_000.0);
        let mut voucher = self.special(None, "30201", range);
        voucher.payee = Payee::Supplier(Trade::Stationery, self.dice.zipf(self.treasury.pool));
        self.approve_special(&voucher, 50_000 * YUAN, at);
        (0..9).map(|_| (self.later(at, 0), self.again(&voucher, range))).collect()
    }

    fn over_contract(&mut self, at: i64) -> Series {
        self.contracts.0 += 1;
        let number = self.contracts.0;
        let amount = super::lists::contract_amount(self.treasury.plan.seed, number);
        let mut voucher = self.special(None, "30227", (1.0, 2.0));
        voucher.flaw = Flaw::Contract(number);
        self.approve_special(&voucher, 2 * amount, at);
        let parts = [(58, 2), (61, 8)].map(|(share, days)| {
            let part = Voucher { amount: amount * share / 100, salt: self.dice.bits(), ..voucher.clone() };
            (self.later(at, days), part)
        });
        parts.into()
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
}
