//! The static world of a plan.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::calendar::Calendar;
use super::classes::{CLASSES, Class, Recipient};
use super::dice::{Dice, mix};
use super::event::Simulated;
use super::payees::LARGEST_POOL;
use super::simulation::Simulation;
use super::units::{self, Kind, Money, Region, Unit};

/// Payments that a line has on average, which sets how many lines a unit gets, within limits.
const PAYMENTS_PER_LINE: f64 = 14.0;
const LINES_PER_UNIT: (f64, f64) = (6.0, 31.0);

/// What to simulate.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The number of `payment` events, exactly; events of other types come on top.
    pub payments: u64,
    /// The number of budget units.
    pub units: u32,
    /// The seed of everything.
    pub seed: u64,
    /// The first day.
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
}

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
        Self { plan: plan.clone(), regions, units, lines, calendar: Calendar::new(plan), pool, favourites }
    }

    /// The events in order of time. Memory holds the balances of the lines and what is still to happen, such as
    /// the payments of open applications.
    pub fn events(&self) -> impl Iterator<Item = Simulated> {
        Simulation::new(self)
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

fn lines(units: &[Unit], plan: &Plan) -> Vec<Line> {
    let mut dice = Dice::new(plan.seed, 0x11E5);
    let scale = plan.payments as f64 / units.iter().map(|unit| unit.size).sum::<f64>() / PAYMENTS_PER_LINE;
    let mut lines = Vec::new();
    for (index, unit) in units.iter().enumerate() {
        let count = (unit.size * scale).clamp(LINES_PER_UNIT.0, LINES_PER_UNIT.1) as usize;
        let kit = Kind::of(unit.kind).lines();
        for (number, (code, money)) in kit.into_iter().take(count).enumerate() {
            let class = Class::index_of(code);
            let weight = (unit.size * CLASSES[class as usize].weight * dice.between(0.6, 1.4)) as f32;
            lines.push(Line { unit: index as u32, number: number as u16 + 1, class, money, weight });
        }
    }
    lines
}
