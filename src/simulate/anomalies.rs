//! The anomalies that can be planted, how often, and when.

use super::dice::Dice;
use super::treasury::Treasury;

/// From this many payments on, there is at least one anomaly of each kind.
const ONE_OF_EACH_FROM: u64 = 2_000;
/// Working days at the end of the plan in which nothing new is started.
const LAST_DAYS: usize = 10;

/// A kind of anomaly.
#[derive(Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// What is done.
    pub(super) deed: Deed,
    /// The rule of the catalogue that should find it.
    pub rule: &'static str,
    /// Planted anomalies for every 100,000 payments.
    pub rate: u64,
    /// Payments that one of them takes.
    pub payments: u64,
    /// What was done, in words.
    pub note: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    NoBudget,
    Exhaust,
    ExceedPlan,
    Overspend,
    PayFrozen,
    PayOneself,
    LargeCash,
    CashForCard,
    LargeToPerson,
    OtherPayee,
    Blacklisted,
    ForeignClass,
    SensitivePurpose,
    TersePurpose,
    OffHours,
    BondMoney,
    PayTwice,
    Split,
    Newcomer,
    SubsidyTwice,
    Burst,
}

/// Planted payments of a burst, and the one by which it has become one.
pub(super) const BURST: u64 = 9;
pub(super) const BURST_SEEN: u64 = 6;

const fn anomaly(deed: Deed, rule: &'static str, rate: u64, payments: u64, note: &'static str) -> Anomaly {
    Anomaly { deed, rule, rate, payments, note }
}

/// All kinds of anomalies: rule, rate per 100,000 payments, payments each, note.
pub const ANOMALIES: [Anomaly; 21] = [
    anomaly(Deed::NoBudget, "no-budget", 6, 1, "paid from a line that was never approved"),
    anomaly(Deed::Exhaust, "line-exhausted", 8, 1, "paid 2 to 8 % more than a small line held"),
    anomaly(
        Deed::ExceedPlan,
        "plan-exceeded",
        8,
        1,
        "paid 2 to 8 % more than the plan of a small line released",
    ),
    anomaly(
        Deed::Overspend,
        "overspend-rate",
        5,
        1,
        "paid 15 to 60 % more than the total and plan of a small line",
    ),
    anomaly(Deed::PayFrozen, "frozen-line-payment", 4, 1, "paid from a small line that is frozen as a whole"),
    anomaly(Deed::PayOneself, "to-own-account", 5, 1, "paid to the unit's own basic account"),
    anomaly(Deed::LargeCash, "large-cash", 6, 1, "paid more than 10,000 in cash"),
    anomaly(Deed::CashForCard, "cash-instead-of-card", 10, 1, "paid a class of the card catalogue in cash"),
    anomaly(
        Deed::LargeToPerson,
        "large-to-person",
        8,
        1,
        "paid 50,000 or more for services to a natural person",
    ),
    anomaly(Deed::OtherPayee, "payee-mismatch", 6, 1, "the bank credited another person"),
    anomaly(Deed::Blacklisted, "blacklisted-payee", 5, 1, "paid to a blacklisted company"),
    anomaly(
        Deed::ForeignClass,
        "class-not-allowed",
        8,
        1,
        "charged a class the function may not be used for",
    ),
    anomaly(Deed::SensitivePurpose, "sensitive-purpose", 10, 1, "a word of the dictionary in the purpose"),
    anomaly(Deed::TersePurpose, "incomplete", 10, 1, "a purpose of one or two characters"),
    anomaly(Deed::OffHours, "off-hours", 15, 1, "paid at night or on a day off"),
    anomaly(Deed::BondMoney, "bond-misuse", 4, 1, "bond money for goods and services"),
    anomaly(Deed::PayTwice, "duplicate-strict", 10, 2, "the same bill paid again"),
    anomaly(
        Deed::Split,
        "split-procurement",
        4,
        3,
        "third of three payments below 500,000 that exceed it together",
    ),
    anomaly(
        Deed::Newcomer,
        "new-or-dormant-payee",
        4,
        1,
        "a first payment of more than 500,000 to a company",
    ),
    anomaly(
        Deed::SubsidyTwice,
        "subsidy-duplicate",
        6,
        2,
        "the same beneficiary and project twice in a month",
    ),
    anomaly(Deed::Burst, "burst", 2, BURST, "sixth of nine payments to one supplier in a day"),
];

/// Which anomaly begins on which day, in order of time.
pub(super) fn schedule(treasury: &Treasury) -> Vec<(usize, &'static Anomaly)> {
    const KINDS: &[Anomaly] = &ANOMALIES;
    if !treasury.plan.anomalies {
        return Vec::new();
    }
    let mut dice = Dice::new(treasury.plan.seed, 0xA0_0A);
    let days = &treasury.calendar.days;
    let workdays: Vec<usize> = (0..days.len()).filter(|&day| days[day].working).collect();
    let last = workdays.len().saturating_sub(LAST_DAYS).max(1);
    let mut left = treasury.plan.payments;
    let mut schedule = Vec::new();
    for kind in KINDS {
        for _ in 0..count(kind, treasury.plan.payments) {
            if left < kind.payments || workdays.is_empty() {
                break;
            }
            left -= kind.payments;
            // The first day approves the budgets.
            let start = (1 + dice.below(last as u64 - 1) as usize).min(workdays.len() - 1);
            schedule.push((workdays[start], kind));
        }
    }
    schedule.sort_by_key(|&(day, _)| day);
    schedule
}

fn count(kind: &Anomaly, payments: u64) -> u64 {
    let usual = (payments * kind.rate + 50_000) / 100_000;
    if payments >= ONE_OF_EACH_FROM { usual.max(1) } else { usual }
}
