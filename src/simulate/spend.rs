//! Decides payments: which line is charged, how much, to whom and how.

use super::classes::{Class, Recipient};
use super::dice::{mix, scale, zipf};
use super::ledger::{Book, CHANGE_STEP};
use super::payees::{LARGEST_POOL, Payee, Trade};
use super::simulation::Simulation;
use super::voucher::Voucher;
use crate::event::BudgetAction;

use super::dice;

/// Lines tried for a payment of the usual size, and then for one that fits.
const TRIES: u32 = 12;
/// No payment is cut below this, in cents.
const SMALLEST: i64 = 10_000;
/// A first payment to a supplier is below this, in cents.
const NEW_PAYEE_LIMIT: i64 = 50_000_000;
/// Cash is for small sums, in cents.
const CASH_LIMIT: i64 = 300_000;
const CARD_LIMIT: i64 = 3_000_000;

impl Simulation<'_> {
    /// Decides a payment and holds its amount. When no line has room, one is supplemented at `at`.
    pub(super) fn decide(&mut self, at: i64) -> Voucher {
        let payroll = self.dice.chance(Book::payroll_share(self.day().payday));
        let found = self.usual_payment(payroll).or_else(|| self.fitting_payment(payroll, |_| true));
        let (line, amount) = found.unwrap_or_else(|| self.supplemented_payment(at, |_| true));
        self.draw_up(line, amount)
    }

    /// Decides a payment of at most `limit` from a line of a wanted class, with room for several like it; only
    /// one is held.
    pub(super) fn decide_for(
        &mut self,
        at: i64,
        limit: i64,
        wanted: impl Fn(&Class) -> bool + Copy,
    ) -> Voucher {
        let found = self.fitting_payment(false, wanted);
        let (line, amount) = found.unwrap_or_else(|| self.supplemented_payment(at, wanted));
        self.draw_up(line, if amount > limit { limit / 2 + amount % (limit / 2) } else { amount })
    }

    fn usual_payment(&mut self, payroll: bool) -> Option<(u32, i64)> {
        (0..TRIES).find_map(|_| {
            // Of three lines the one furthest behind is spent first, as units do.
            let mut draw = || self.book.draw(payroll, &mut self.dice);
            let lines = [draw(), draw(), draw()];
            let used = |line: u32| self.book.accounts[line as usize].used();
            let line = lines.into_iter().min_by(|&a, &b| used(a).total_cmp(&used(b))).unwrap_or(lines[0]);
            let amount = self.price(line);
            (self.room(line) >= amount && !self.stopped(line)).then_some((line, amount))
        })
    }

    fn fitting_payment(&mut self, payroll: bool, wanted: impl Fn(&Class) -> bool) -> Option<(u32, i64)> {
        (0..2 * TRIES).find_map(|_| {
            let line = self.book.draw(payroll, &mut self.dice);
            let share = self.dice.between(0.2, 0.7);
            let amount = self.price(line).min((self.room(line) as f64 * share) as i64);
            let fits = amount >= SMALLEST
                && !self.stopped(line)
                && wanted(self.treasury.lines[line as usize].class());
            fits.then_some((line, amount))
        })
    }

    /// Takes a line that may be spent from and gives it what it lacks.
    fn supplemented_payment(&mut self, at: i64, wanted: impl Fn(&Class) -> bool) -> (u32, i64) {
        let lines = self.treasury.lines.len() as u32;
        let start = self.dice.below(u64::from(lines)) as u32;
        let open = |&line: &u32| {
            let class = self.treasury.lines[line as usize].class();
            !class.is_three_public() && self.book.accounts[line as usize].frozen == 0 && wanted(class)
        };
        // Three lines in four are never frozen, and every unit has lines that are not three-public.
        let line = (start..lines).chain(0..start).find(open).unwrap_or(start);
        let amount = self.price(line);
        self.supplement(line, (4 * amount / CHANGE_STEP + 1) * CHANGE_STEP, at);
        (line, amount)
    }

    /// The wages of a unit's staff in one sum, for which there is always money.
    pub(super) fn pay_wages(&mut self, line: u32, at: i64) -> Voucher {
        let amount = (self.treasury.monthly_wages(line) * self.dice.between(97.0, 103.0)) as i64;
        if self.room(line) < amount {
            self.supplement(line, (4 * amount / CHANGE_STEP + 1) * CHANGE_STEP, at);
        }
        let mut voucher = self.draw_up(line, amount);
        voucher.payee = Payee::Payroll(self.treasury.unit_of(line).region);
        voucher
    }

    /// Whether the line's unit pays no wages this month.
    pub(super) fn stopped(&self, line: u32) -> bool {
        let (line, month) = (&self.treasury.lines[line as usize], self.clerk.year_and_month().1);
        line.class().is_personnel() && self.without_wages.contains(&(line.unit, month))
    }

    /// Raises a line's total, and its plan if it has one.
    fn supplement(&mut self, line: u32, amount: i64, at: i64) {
        self.book.account(line).total += amount;
        self.act(BudgetAction::Supplement, line, amount, at);
        if self.book.account(line).release != super::ledger::Release::AtOnce {
            self.book.account(line).planned += amount;
            self.act(BudgetAction::Plan, line, amount, at);
        }
    }

    pub(super) fn room(&self, line: u32) -> i64 {
        self.book.accounts[line as usize].room(self.elapsed)
    }

    fn price(&mut self, line: u32) -> i64 {
        let class = self.treasury.lines[line as usize].class();
        if !matches!(class.recipient, Recipient::Regular(_)) {
            return class.draw(&mut self.dice);
        }
        let bill = class.usual_bill(self.treasury.line_hash(line));
        // The rent is the same every month, other bills are not.
        let rent = class.recipient == Recipient::Regular(Trade::Lease);
        if rent && self.book.account(line).is_first_in(self.clerk.year_and_month().1) {
            return bill as i64 * 100;
        }
        (bill * self.dice.between(92.0, 108.0)) as i64
    }

    /// Draws up the voucher and holds its amount on the line.
    fn draw_up(&mut self, line: u32, amount: i64) -> Voucher {
        let mut voucher = self.blank(line);
        let number = self.book.account(line).count_in(voucher.month);
        voucher.amount = self.cooked(line, amount);
        voucher.payee = self.payee_for(&voucher, number);
        if voucher.amount >= NEW_PAYEE_LIMIT && !self.known(voucher.payee) {
            voucher.amount = NEW_PAYEE_LIMIT / 5 + voucher.amount % (NEW_PAYEE_LIMIT / 2);
        }
        voucher.settlement = self.settlement(&voucher);
        self.book.account(line).hold(voucher.amount);
        voucher
    }

    /// The amount, or one that begins with 5 to 9 where amounts are made up; never more than it was.
    fn cooked(&self, line: u32, amount: i64) -> i64 {
        let line = &self.treasury.lines[line as usize];
        let quarter = (self.clerk.year_and_month().1 - 1) / 3;
        if self.cooking != Some((line.unit, quarter)) || line.class().is_payroll() {
            return amount;
        }
        let place = 10i64.pow(amount.max(1).ilog10());
        if amount / place >= 5 { amount } else { amount % place / 2 + place / 2 }
    }

    /// A voucher for a line with nothing decided but its papers.
    pub(super) fn blank(&mut self, line: u32) -> Voucher {
        let (class, money) =
            (self.treasury.lines[line as usize].class, self.treasury.lines[line as usize].money);
        let mut voucher = Voucher::blank(line, class, money, self.clerk.year_and_month());
        voucher.salt = self.dice.bits();
        voucher
    }

    fn payee_for(&mut self, voucher: &Voucher, number: u32) -> Payee {
        let unit = self.treasury.lines[voucher.line as usize].unit;
        match voucher.class().recipient {
            Recipient::Staff => Payee::staff(unit, u64::from(number)),
            Recipient::Beneficiary => Payee::beneficiary(voucher.line, u64::from(number)),
            Recipient::Fund => Payee::Fund(self.treasury.units[unit as usize].region),
            Recipient::Expert => Payee::Person(3 << 62 | self.dice.below(1 << 20)),
            Recipient::Traveller(_) if self.dice.chance(0.8) => Payee::staff(unit, self.dice.below(60)),
            Recipient::Traveller(trade) | Recipient::Supplier(trade) => {
                self.supplier(unit, trade, voucher.amount >= NEW_PAYEE_LIMIT)
            }
            Recipient::Regular(trade) => self.regular_supplier(unit, trade),
        }
    }

    pub(super) fn supplier(&mut self, unit: u32, trade: Trade, large: bool) -> Payee {
        let mut payee = self.any_supplier(unit, trade);
        for _ in 0..3 {
            if !large || self.known(payee) {
                break;
            }
            payee = self.any_supplier(unit, trade);
        }
        payee
    }

    /// Mostly one of the unit's favourites, else one from the whole trade, the popular ones more often.
    fn any_supplier(&mut self, unit: u32, trade: Trade) -> Payee {
        if self.dice.chance(0.65) {
            let favourite = self.dice.zipf(self.treasury.favourites);
            return self.favourite(unit, trade, favourite);
        }
        Payee::Supplier(trade, self.dice.zipf(self.treasury.pool))
    }

    fn favourite(&self, unit: u32, trade: Trade, which: u32) -> Payee {
        let key = mix(u64::from(unit) << 8 | u64::from(which), self.treasury.plan.seed ^ trade as u64);
        Payee::Supplier(trade, zipf(dice::fraction_of(key), self.treasury.pool))
    }

    /// The one that serves the unit: the utility of its region, or its favourite of old.
    pub(super) fn regular_supplier(&self, unit: u32, trade: Trade) -> Payee {
        match trade {
            Trade::Water | Trade::Power | Trade::Telecom => {
                Payee::Supplier(trade, u32::from(self.treasury.units[unit as usize].region))
            }
            _ => self.favourite(unit, trade, 0),
        }
    }

    fn settlement(&mut self, voucher: &Voucher) -> &'static str {
        let class = voucher.class();
        let luck = self.dice.fraction();
        match voucher.amount {
            _ if class.is_payroll() => "transfer",
            ..=CARD_LIMIT if class.in_card_catalogue() && luck < 0.4 => "card",
            ..=CASH_LIMIT if !class.in_card_catalogue() && luck < 0.03 => "cash",
            _ if luck > 0.996 => "cheque",
            _ => "transfer",
        }
    }

    /// How often a supplier has been paid, up to 255.
    pub(super) fn times_paid(&self, payee: Payee) -> Option<u8> {
        place_of(payee).map(|place| self.met[place])
    }

    /// Whether the supplier has been paid before.
    fn known(&self, payee: Payee) -> bool {
        self.times_paid(payee).is_none_or(|times| times > 0)
    }

    pub(super) fn remember(&mut self, payee: Payee) {
        if let Some(place) = place_of(payee) {
            self.met[place] = self.met[place].saturating_add(1);
        }
    }

    /// A person outside the unit.
    pub(super) fn stranger(&mut self) -> Payee {
        Payee::Person(7 << 60 | scale(self.dice.bits(), 1 << 40))
    }
}

/// The size of the memory for suppliers met.
pub(super) const SUPPLIERS: usize = LARGEST_POOL as usize * (Trade::Telecom as usize + 1);

fn place_of(payee: Payee) -> Option<usize> {
    match payee {
        Payee::Supplier(trade, rank) if rank < LARGEST_POOL => {
            Some(trade as usize * LARGEST_POOL as usize + rank as usize)
        }
        _ => None,
    }
}
