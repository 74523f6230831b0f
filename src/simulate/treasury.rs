//! The static world of a plan.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::calendar::Calendar;
use super::classes::{CLASSES, Class, Recipient};
use super::dice::{Dice, mix};
use super::event::Simulated;
use super::independent::Independent;
use super::payees::LARGEST_POOL;
use super::simulation::Simulation;
use super::traffic::Traffic;
use super::units::{self, Kind, Money, Region, Unit};

/// Payments that a line has on average, which sets how many lines a unit gets, within limits.
const PAYMENTS_PER_LINE: f64 = 14.0;
const LINES_PER_UNIT: (f64, f64) = (6.0, 31.0);
/// Units that can pay wages in the first half of a month, for every payment of an average day.
const WAGES_IN_TIME: f64 = 4.0;
/// From so many yuan a year on, what is bought from a line is procured.
const PROCURED_FROM: f64 = 400_000.0;
/// Cash that a unit may pay in a year, at least and for each payment, in yuan.
pub(super) const LEAST_CASH_CAP: i64 = 30_000;
/// About the sum of the weights of the classes that a unit has lines of.
const CLASS_WEIGHTS: f64 = 60.0;
/// Kinds of lines that every unit has, however little it pays.
const USUAL: usize = 9;
const CASH_FOR_EACH: f64 = 25.0;

/// How much is simulated, from when and by which seed.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The number of `payment` events, exactly; events of other types come on top.
    pub payments: u64,
    /// The number of budget units.
    pub units: u32,
    /// The seed of everything.
    pub seed: u64,
    /// The first day that has events.
    pub start: Date,
    /// The number of days.
    pub days: u32,
    /// Whether to plant labelled anomalies.
    pub anomalies: bool,
    /// The zone of the calendar and of the offsets written.
    pub zone: TimeZone,
}

/// A budget line as the year's budget lays it out.
#[derive(Debug)]
pub(super) struct Line {
    pub unit: u32,
    /// Its number in the unit.
    pub number: u16,
    pub class: u8,
    pub money: Money,
    /// How often it is charged relative to others.
    pub weight: f32,
}

impl Line {
    pub(super) fn class(&self) -> &'static Class {
        &CLASSES[self.class as usize]
    }
}

/// A simulated province: its regions, budget units and budget lines.
pub struct Treasury {
    pub(super) plan: Plan,
    pub(super) regions: Vec<Region>,
    pub(super) units: Vec<Unit>,
    pub(super) lines: Vec<Line>,
    pub(super) calendar: Calendar,
    /// Suppliers that do business in each trade.
    pub(super) pool: u32,
    /// Suppliers of a trade that a unit keeps going back to.
    pub(super) favourites: u32,
    /// What to expect of each unit.
    activity: Vec<Activity>,
    /// Payments of the plan that are no wages and subsidies, for each unit of weight of their lines.
    payments_for_weight: f64,
}

/// What a unit is expected to do in the plan.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Activity {
    /// Payments other than wages and subsidies.
    pub general: f64,
    /// Those of them with amounts that follow no standard and no bill.
    pub free_amounts: f64,
}

/// Share of payments that are neither wages nor subsidies.
const GENERAL: f64 = 0.7;

impl Treasury {
    /// Builds the world of a plan; a plan for no unit gets one.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let count = plan.units.max(1);
        let regions = units::regions(count);
        let units = units::units(count, plan.seed, &regions);
        let lines = lines(&units, plan);
        let pool = (plan.payments / 250).clamp(40, u64::from(LARGEST_POOL)) as u32;
        let favourites = (plan.payments / u64::from(count) / 60).clamp(6, 400) as u32;
        let payments_for_weight = payments_for_weight(&lines, plan);
        let activity = activity(&lines, units.len(), payments_for_weight);
        let calendar = Calendar::new(plan);
        let plan = plan.clone();
        Self { plan, regions, units, lines, calendar, pool, favourites, activity, payments_for_weight }
    }

    /// The events in order of time. Memory holds the balances of the lines and what is still to happen, such as
    /// the payments of open applications.
    pub fn events(&self) -> impl Iterator<Item = Simulated> {
        Simulation::new(self)
    }

    /// The events of a treasury whose offices pay as those of a published ledger do, and among them, if wanted, anomalies by a
    /// generator that knows no rule. What is planted by the plan has no place in them.
    pub fn events_like(&self, ledger: bool, independent: bool) -> Box<dyn Iterator<Item = Simulated> + '_> {
        let traffic: Box<dyn Iterator<Item = Simulated>> =
            if ledger { Box::new(Traffic::new(self, self.events())) } else { Box::new(self.events()) };
        if independent { Box::new(Independent::new(self, traffic)) } else { traffic }
    }

    pub(super) fn activity(&self, unit: u32) -> Activity {
        self.activity[unit as usize]
    }

    /// The lines that monthly wages are paid from.
    pub(super) fn wage_lines(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        (0..self.lines.len() as u32).filter(|&line| self.lines[line as usize].class().is_wages())
    }

    /// Whether so much is spent on the line in a year that what is bought is procured, once for the year.
    pub(super) fn spends_much(&self, line: u32) -> bool {
        let expected = self.payments_for_weight * f64::from(self.lines[line as usize].weight);
        expected * self.typical_payment(line) > PROCURED_FROM
    }

    /// What a unit pays its staff in a month, in yuan.
    pub(super) fn monthly_wages(&self, line: u32) -> f64 {
        let staff = 12.0 + 36.0 * self.unit_of(line).size.min(2.0);
        staff * CLASSES[self.lines[line as usize].class as usize].mean()
    }

    pub(super) fn lines_of(&self, unit: u32) -> impl Iterator<Item = u32> + '_ {
        let first = self.lines.partition_point(|line| line.unit < unit);
        let last = self.lines.partition_point(|line| line.unit <= unit);
        first as u32..last as u32
    }

    /// Whether the plan is a fiscal year from its beginning.
    pub(super) fn is_whole_year(&self) -> bool {
        self.plan.start.day_of_year() <= 31 && self.plan.days >= 334
    }

    /// Another unit of the same department.
    pub(super) fn affiliate_of(&self, unit: u32) -> Option<u32> {
        let department = |unit: u32| self.units[unit as usize].code.get(..9);
        let count = self.units.len() as u32;
        (unit + 1..count).chain(0..unit).find(|&other| department(other) == department(unit))
    }

    /// The unit's line for official receptions.
    pub(super) fn reception_line(&self, unit: u32) -> Option<u32> {
        self.lines_of(unit).find(|&line| self.lines[line as usize].class().code == "30217")
    }

    pub(super) fn bond_lines(&self) -> Vec<u32> {
        let bond = |&line: &u32| self.lines[line as usize].money == Money::Bond;
        (0..self.lines.len() as u32).filter(bond).collect()
    }

    /// How much cash the unit may pay in a year, in yuan.
    pub(super) fn cash_cap(&self, unit: u32) -> i64 {
        LEAST_CASH_CAP.max((self.activity(unit).general * CASH_FOR_EACH) as i64 / 1_000 * 1_000)
    }

    /// Contracts on the list that the anomalies need, of each of two kinds.
    pub(super) fn contracts(&self) -> u32 {
        (self.plan.payments / 15_000 + 10) as u32
    }

    pub(super) fn unit_of(&self, line: u32) -> &Unit {
        &self.units[self.lines[line as usize].unit as usize]
    }

    /// The usual size of a payment from a line, in yuan.
    pub(super) fn typical_payment(&self, line: u32) -> f64 {
        let class = self.lines[line as usize].class();
        match class.recipient {
            Recipient::Regular(_) => class.usual_bill(self.line_hash(line)),
            _ => class.mean(),
        }
    }

    /// A number that stands for the line wherever something about it is fixed but arbitrary.
    pub(super) fn line_hash(&self, line: u32) -> u64 {
        mix(self.plan.seed ^ 0x11_4E, u64::from(line))
    }
}

fn payments_for_weight(lines: &[Line], plan: &Plan) -> f64 {
    let general = lines.iter().filter(|line| !line.class().is_payroll());
    plan.payments as f64 * GENERAL / general.map(|line| f64::from(line.weight)).sum::<f64>()
}

fn activity(lines: &[Line], units: usize, payments_for_weight: f64) -> Vec<Activity> {
    let mut activity = vec![Activity::default(); units];
    for line in lines.iter().filter(|line| !line.class().is_payroll()) {
        let expected = payments_for_weight * f64::from(line.weight);
        let unit = &mut activity[line.unit as usize];
        unit.general += expected;
        if matches!(line.class().recipient, Recipient::Supplier(_)) {
            unit.free_amounts += expected;
        }
    }
    activity
}

fn lines(units: &[Unit], plan: &Plan) -> Vec<Line> {
    let mut dice = Dice::new(plan.seed, 0x11E5);
    let scale = plan.payments as f64 / units.iter().map(|unit| unit.size).sum::<f64>() / PAYMENTS_PER_LINE;
    // The wages of further units are paid by others: there are only so many payments before payday.
    let with_wages = (plan.payments as f64 / f64::from(plan.days.max(1)) * WAGES_IN_TIME) as usize;
    let all: f64 = units.iter().map(|unit| unit.size).sum();
    let mut lines = Vec::new();
    for (index, unit) in units.iter().enumerate() {
        let count = (unit.size * scale).clamp(LINES_PER_UNIT.0, LINES_PER_UNIT.1) as usize;
        let paid_centrally = index >= with_wages;
        let kit = Kind::of(unit.kind).lines();
        let kit = kit.into_iter().filter(|(code, _)| !(paid_centrally && code.starts_with("301")));
        // Nobody approves a line for which there is nothing to pay, but for the first few that every unit has.
        let payments = unit.size / all * plan.payments as f64 / CLASS_WEIGHTS;
        let paid = |&(place, (code, _)): &(usize, (&str, Money))| {
            let class = &CLASSES[Class::index_of(code) as usize];
            class.is_payroll() || payments * class.weight >= 2.0 || (place < USUAL && !class.is_capital())
        };
        let kit = kit.enumerate().filter(paid).map(|(_, line)| line);
        for (number, (code, money)) in kit.take(count).enumerate() {
            let class = Class::index_of(code);
            let weight = (unit.size * CLASSES[class as usize].weight * dice.between(0.6, 1.4)) as f32;
            lines.push(Line { unit: index as u32, number: number as u16 + 1, class, money, weight });
        }
    }
    lines
}
