//! Plants the anomalies that are one payment. Those that overdraw a line or need much money do so on a small line of
//! their own, so that one anomaly does not drag others along.

use super::anomalies::Deed;
use super::calendar::HOUR;
use super::classes::{Class, Recipient};
use super::payees::Payee;
use super::schedule::Planned;
use super::simulation::{Simulation, Task};
use super::units::Money;
use super::voucher::{Charge, Flaw, Part, Voucher};
use crate::event::BudgetAction;

use super::AnomalyKind;

pub(super) const YUAN: i64 = 100;

/// Payments of an anomaly, each with its time.
pub(super) type Series = Vec<(i64, Voucher)>;

impl Simulation<'_> {
    pub(super) fn plant(&mut self, planned: Planned, at: i64) {
        let Planned { anomaly, unit, .. } = planned;
        if anomaly.payments == 0 {
            return self.plant_omission(anomaly, unit, at);
        }
        let series = self.series(anomaly.deed, unit, at).or_else(|| self.of_unit(anomaly.deed, unit, at));
        let series = series.unwrap_or_else(|| {
            let voucher = self.single(anomaly.deed, unit, at);
            let workdays = self.dice.below(3) as usize;
            let time =
                if anomaly.deed == Deed::OffHours { self.off_hours() } else { self.later(at, workdays) };
            vec![(time, voucher)]
        });
        self.arrange_series(anomaly, series);
    }

    fn arrange_series(&mut self, anomaly: &'static AnomalyKind, mut series: Series) {
        series.sort_by_key(|&(time, _)| time);
        let number = self.labels.begin(anomaly);
        let last = series.len().saturating_sub(1);
        for (index, (time, mut voucher)) in series.into_iter().enumerate() {
            // What is refunded twice ends with the second refund, and what the bank did with its answer.
            let shows_later = [Deed::RefundTwice, Deed::OtherPayee, Deed::PayLess, Deed::RoundTrip];
            let ends = index == last && !shows_later.contains(&anomaly.deed);
            voucher.plant = Some(Part { anomaly: number, last: ends });
            self.arrange(time, Task::Pay(Box::new(voucher)));
        }
    }

    fn single(&mut self, deed: Deed, unit: u32, at: i64) -> Voucher {
        match deed {
            Deed::Exhaust | Deed::ExceedPlan | Deed::Overspend | Deed::OverspendHeavily | Deed::PayFrozen => {
                self.overdrawing(deed, at)
            }
            Deed::NoBudget => {
                let mut voucher = self.special(None, "30227", (20_000.0, 150_000.0));
                voucher.charge = Charge::Unknown(self.specials);
                voucher
            }
            Deed::Outlier => self.outlier(at),
            Deed::PayOneself
            | Deed::CashForCard
            | Deed::OtherPayee
            | Deed::Blacklisted
            | Deed::ForeignClass
            | Deed::SensitivePurpose
            | Deed::TersePurpose
            | Deed::BondMoney
            | Deed::PayLess
            | Deed::NeverClear
            | Deed::SkipNumber
            | Deed::RoundTrip
            | Deed::OffHours => self.flawed(deed, at),
            _ => self.remarkable(deed, unit, at),
        }
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
            Deed::PayLess => voucher.flaw = Flaw::Underpaid,
            Deed::NeverClear => voucher.flaw = Flaw::Uncleared,
            Deed::SkipNumber => voucher.flaw = Flaw::SkippedNumber,
            Deed::RoundTrip => voucher.flaw = Flaw::RoundTrip,
            _ => {}
        }
        if voucher.settlement == "cash" && deed != Deed::CashForCard {
            voucher.settlement = "transfer";
        }
        voucher
    }

    /// A voucher on a line of its own, not yet approved, of a given unit or of any.
    pub(super) fn special(&mut self, unit: Option<u32>, class: &str, (low, high): (f64, f64)) -> Voucher {
        self.specials += 1;
        let line = match unit {
            Some(unit) => self.treasury.lines_of(unit).next().unwrap_or_default(),
            None => self.book.draw(false, &mut self.dice),
        };
        let mut voucher = self.blank(line);
        voucher.charge = Charge::Special(self.specials);
        voucher.class = Class::index_of(class);
        voucher.money = Money::Project;
        voucher.amount = (self.dice.between(low, high) * 100.0) as i64;
        voucher.payee = self.payee_of_trade(line, voucher.class());
        voucher
    }

    pub(super) fn payee_of_trade(&mut self, line: u32, class: &Class) -> Payee {
        let unit = self.treasury.lines[line as usize].unit;
        match class.recipient {
            Recipient::Supplier(trade) => self.supplier(unit, trade, false),
            _ => self.stranger(),
        }
    }

    /// Approves the line of a special voucher, in whole thousands.
    pub(super) fn approve_special(&mut self, voucher: &Voucher, total: i64, at: i64) -> super::Event {
        let total = (total / (1_000 * YUAN)).max(1) * (1_000 * YUAN);
        let approval = self.clerk.approve_for(voucher, total, at);
        let event = approval.event.clone();
        self.emit(approval);
        event
    }

    fn act_on_special(&mut self, action: BudgetAction, voucher: &Voucher, amount: i64, at: i64) {
        let event = self.clerk.budget_for(action, voucher, amount, at);
        self.emit(event);
    }

    /// A payment beyond the total, the plan or the freeze of its line.
    fn overdrawing(&mut self, deed: Deed, at: i64) -> Voucher {
        let mut voucher = self.special(None, "30227", (20_000.0, 150_000.0));
        let limit = voucher.amount / (1_000 * YUAN) * (1_000 * YUAN);
        let (total, plan, excess) = match deed {
            Deed::ExceedPlan => (3 * limit, Some(limit), (1.02, 1.08)),
            Deed::Overspend => (limit, Some(limit), (1.12, 1.19)),
            Deed::OverspendHeavily => (limit, Some(limit), (1.25, 1.6)),
            Deed::PayFrozen => (limit, None, (0.5, 0.9)),
            _ => (limit, None, (1.02, 1.08)),
        };
        voucher.amount = (limit as f64 * self.dice.between(excess.0, excess.1)) as i64;
        self.approve_special(&voucher, total, at);
        if let Some(plan) = plan {
            self.act_on_special(BudgetAction::Plan, &voucher, plan, at);
        }
        if deed == Deed::PayFrozen {
            self.act_on_special(BudgetAction::Freeze, &voucher, total, at);
        }
        voucher
    }

    /// A payment that stands out by its size, its payee or its papers, from a line with enough money.
    fn remarkable(&mut self, deed: Deed, unit: u32, at: i64) -> Voucher {
        let mut voucher = match deed {
            Deed::LargeCash => self.special(None, "30229", (10_500.0, 48_000.0)),
            Deed::VeryLargeCash => self.special(None, "30229", (52_000.0, 120_000.0)),
            Deed::LargeToPerson => self.special(None, "30227", (55_000.0, 300_000.0)),
            Deed::Newcomer => self.special(None, "31003", (520_000.0, 900_000.0)),
            Deed::NewAccount => self.special(None, "31003", (210_000.0, 450_000.0)),
            Deed::PayAffiliate => self.special(Some(unit), "30227", (8_000.0, 90_000.0)),
            Deed::BondProject => self.special(None, "31005", (60_000.0, 300_000.0)),
            Deed::Ineligible => self.special(None, "30305", (400.0, 2_000.0)),
            Deed::BeforeContract => self.special(None, "30227", (60_000.0, 180_000.0)),
            Deed::LastYear => self.special(None, "30201", (1_000.0, 20_000.0)),
            Deed::RefundTwice => self.special(None, "30227", (8_000.0, 40_000.0)),
            _ => self.special(None, "30227", (2.0, 5.0)),
        };
        match deed {
            Deed::LargeCash | Deed::VeryLargeCash => voucher.settlement = "cash",
            Deed::LargeToPerson => voucher.payee = self.stranger(),
            Deed::Newcomer => voucher.payee = Payee::newcomer(self.specials % 30_000),
            Deed::SecondName | Deed::NewAccount => self.disguise(deed, &mut voucher),
            Deed::PayAffiliate => {
                voucher.payee = self.treasury.affiliate_of(unit).map_or(Payee::Own, Payee::Unit);
            }
            Deed::BondProject => {
                let lines = self.treasury.bond_lines();
                voucher.money = Money::Bond;
                voucher.flaw = Flaw::BondOf(lines[self.dice.below(lines.len() as u64) as usize]);
            }
            Deed::Ineligible => {
                voucher.payee = Payee::beneficiary(voucher.line, 1 << 29 | u64::from(self.specials));
                voucher.flaw = Flaw::Beneficiary(self.dice.below(super::lists::INELIGIBLE));
            }
            Deed::BeforeContract => {
                self.contracts.1 += 1;
                voucher.flaw = Flaw::Contract(self.treasury.contracts() + self.contracts.1);
            }
            Deed::LastYear => voucher.flaw = Flaw::LastYear,
            Deed::RefundTwice => {}
            // A round amount: two to four times ten thousand.
            _ => {
                voucher.flaw = Flaw::NoPapers;
                voucher.amount = voucher.amount / YUAN * 10_000 * YUAN;
            }
        }
        let spare = 2 + i64::from(deed == Deed::SecondName);
        self.approve_special(&voucher, spare * voucher.amount + 1_000 * YUAN, at);
        voucher
    }

    /// Somebody else's name, or somebody else's account, for a supplier that is well known.
    fn disguise(&mut self, deed: Deed, voucher: &mut Voucher) {
        for _ in 0..200 {
            if self.times_paid(voucher.payee).is_some_and(|times| times >= 5) {
                break;
            }
            voucher.payee = self.payee_of_trade(voucher.line, voucher.class());
        }
        if deed == Deed::NewAccount {
            voucher.flaw = Flaw::NewAccount;
            return;
        }
        voucher.amount = voucher.amount * 2_000 + voucher.amount % 97;
        voucher.flaw = Flaw::NameOf(Payee::newcomer(self.specials % 30_000));
    }

    /// Several times the usual bill of a regular supplier.
    fn outlier(&mut self, at: i64) -> Voucher {
        let lines = self.treasury.lines.len() as u32;
        let start = self.dice.below(u64::from(lines)) as u32;
        let fits = |&line: &u32| {
            let class = self.treasury.lines[line as usize].class();
            let bill = self.treasury.typical_payment(line);
            matches!(class.recipient, Recipient::Regular(_))
                && (3_000.0..60_000.0).contains(&bill)
                && self.book.accounts[line as usize].paid >= 16
        };
        let line = (start..lines).chain(0..start).find(fits).unwrap_or(start);
        let mut voucher = self.blank(line);
        if let Recipient::Regular(trade) = voucher.class().recipient {
            voucher.payee = self.regular_supplier(self.treasury.lines[line as usize].unit, trade);
        }
        self.specials += 1;
        voucher.charge = Charge::Special(self.specials);
        voucher.amount = (self.treasury.typical_payment(line) * self.dice.between(550.0, 700.0)) as i64;
        self.approve_special(&voucher, 2 * voucher.amount, at);
        voucher
    }
}
