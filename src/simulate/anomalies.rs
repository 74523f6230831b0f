//! The kinds of anomalies that can be planted: what is done, which rules look for it, and how often.

/// A kind of anomaly.
#[derive(Debug, PartialEq, Eq)]
pub struct AnomalyKind {
    pub(super) deed: Deed,
    pub(super) season: Season,
    /// Its name: most are called after the rule that looks for them.
    pub kind: &'static str,
    /// The rules that may find it: its own first, then those that see it from another side.
    pub rules: &'static [&'static str],
    /// Planted anomalies for every 100,000 payments.
    pub rate: u64,
    /// Payments that one of them takes.
    pub payments: u64,
    /// What was done, in words.
    pub note: &'static str,
}

/// When in the fiscal year an anomaly may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Season {
    Any,
    /// In the first weeks of the year.
    Opening,
    /// In the first third of the year.
    Early,
    /// In the middle of the year.
    Middle,
    /// From September on, when there is a history to compare with.
    Late,
    /// At the beginning of a month from May to November.
    MonthStart,
    /// At the beginning of a quarter.
    QuarterStart,
    December,
    AfterChristmas,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    NoBudget,
    LastYear,
    Exhaust,
    /// Uses so many hundredths of a line.
    UseEarly(i64),
    ExceedPlan,
    Overspend,
    OverspendHeavily,
    PayFrozen,
    RunAhead,
    LeaveBehind,
    LeaveIdle,
    RushAtYearEnd,
    PayInLastDays,
    StopWages,
    PayOneself,
    PayAffiliate,
    LargeCash,
    VeryLargeCash,
    CashForCard,
    CashOften,
    CashInMonth,
    CashInYear,
    LargeToPerson,
    OtherPayee,
    SecondName,
    NewAccount,
    Blacklisted,
    Newcomer,
    ForeignClass,
    BondMoney,
    BondProject,
    TersePurpose,
    SensitivePurpose,
    OffHours,
    RoundAmount,
    PayTwice,
    SameAmount,
    RefundAndRepay,
    RepayElsewhere,
    RefundTwice,
    RefundUnknown,
    SubsidyTwice,
    SharedAccount,
    Ineligible,
    Split,
    SplitOverYear,
    SplitInDay,
    JustBelow,
    Burst,
    Surge,
    Outlier,
    CookDigits,
    OnePayee,
    OtherClasses,
    OverContract,
    BeforeContract,
    CapReached,
    CapPace,
    MissTarget,
    FallBehind,
    ReportNothing,
    PayLess,
    NeverClear,
    ClearNothing,
    SkipNumber,
    RoundTrip,
    KeepFunds,
    SilenceFeed,
    WakeAccount,
}

macro_rules! anomalies {
    ($($deed:expr, $season:ident, $kind:literal [$($rule:literal)*] $rate:literal x $payments:literal: $note:literal;)*) => {
        /// All kinds of anomalies.
        pub const ANOMALIES: &[AnomalyKind] = &[$(AnomalyKind {
            deed: $deed, season: Season::$season, kind: $kind, rules: &[$kind, $($rule),*], rate: $rate,
            payments: $payments, note: $note,
        }),*];
    };
}

use Deed as D;

// What is done, when it begins, its kind, the other rules that see it, how many for every 100,000 payments, and how
// many payments each takes. A kind with a suffix after `/` is a second way to break the rule before it.
anomalies! {
    D::NoBudget, Any, "no-budget" [] 4 x 1: "paid from a line that was never approved";
    D::LastYear, Any, "wrong-fiscal-year" [] 3 x 1: "charged to this year's line as a payment of last year";
    D::Exhaust, Any, "line-exhausted" [] 4 x 1: "paid 2 to 8 % more than a small line held";
    D::UseEarly(84), Early, "line-use-80" [] 2 x 3: "84 % of a line used in the first months of the year";
    D::UseEarly(94), Early, "line-use-90" [] 2 x 3: "94 % of a line used in the first months of the year";
    D::ExceedPlan, Any, "plan-exceeded" [] 4 x 1: "paid 2 to 8 % more than the plan of a small line released";
    D::Overspend, Any, "overspend-rate" ["line-exhausted" "plan-exceeded"] 2 x 1:
        "paid 12 to 19 % more than the total and plan of a small line";
    D::OverspendHeavily, Any, "overspend-rate-critical" ["overspend-rate" "line-exhausted" "plan-exceeded"] 2 x 1:
        "paid 25 to 60 % more than the total and plan of a small line";
    D::PayFrozen, Any, "frozen-line-payment" ["line-exhausted"] 3 x 1:
        "paid from a small line that is frozen as a whole";
    D::RunAhead, Early, "ahead-of-the-calendar" [] 2 x 4: "two thirds of a line used in the first months of the year";
    D::LeaveBehind, Opening, "behind-the-calendar" ["idle-funds"] 1 x 0:
        "a line three times the unit's budget that nothing is paid from";
    D::LeaveIdle, Opening, "idle-funds" ["behind-the-calendar"] 2 x 0: "a line that nothing is paid from";
    D::RushAtYearEnd, December, "year-end-rush" ["ahead-of-the-calendar"] 2 x 8:
        "more than half of a unit's year paid in December";
    D::PayInLastDays, AfterChristmas, "late-december" ["year-end-rush"] 1 x 10:
        "ten payments of a small unit in the last days of the year";
    D::StopWages, MonthStart, "wages-unpaid" [] 1 x 0: "a month without wages";
    D::PayOneself, Any, "to-own-account" [] 4 x 1: "paid to the unit's own basic account";
    D::PayAffiliate, Any, "to-affiliate" [] 4 x 1: "paid to another unit of the same department";
    D::LargeCash, Any, "large-cash" ["large-cash-month" "frequent-cash" "cash-year-cap"] 3 x 1:
        "paid more than 10,000 in cash";
    D::VeryLargeCash, Any, "large-cash-critical" ["large-cash" "large-cash-month" "frequent-cash" "cash-year-cap"] 2 x 1:
        "paid more than 50,000 in cash";
    D::CashForCard, Any, "cash-instead-of-card" ["frequent-cash" "cash-year-cap"] 4 x 1:
        "paid a class of the card catalogue in cash";
    D::CashOften, Any, "frequent-cash" [] 3 x 3: "three small payments in cash within a few days";
    D::CashInMonth, Any, "large-cash-month" ["frequent-cash" "cash-year-cap"] 1 x 7:
        "seven payments of less than 10,000 in cash, and more than 50,000 in a month";
    D::CashInYear, Early, "cash-year-cap" ["frequent-cash"] 2 x 5: "more cash in the year than the unit's cap";
    D::LargeToPerson, Any, "large-to-person" [] 4 x 1: "paid 50,000 or more for services to a natural person";
    D::OtherPayee, Any, "payee-mismatch" [] 4 x 1: "the bank credited another person";
    D::SecondName, Late, "account-second-name" [] 3 x 1: "a known account under the name of another company";
    D::NewAccount, Late, "known-name-new-account" [] 3 x 1: "a known company under a new account";
    D::Blacklisted, Any, "blacklisted-payee" [] 4 x 1: "paid to a blacklisted company";
    D::Newcomer, Any, "new-or-dormant-payee" [] 4 x 1: "a first payment of more than 500,000 to a company";
    D::ForeignClass, Any, "class-not-allowed" [] 4 x 1: "charged a class the function may not be used for";
    D::BondMoney, Any, "bond-misuse" [] 3 x 1: "bond money for goods and services";
    D::BondProject, Any, "bond-misuse/project" ["bond-misuse"] 2 x 1: "bond money for another project than the bond's";
    D::TersePurpose, Any, "incomplete" [] 5 x 1: "a purpose of one or two characters";
    D::SensitivePurpose, Any, "sensitive-purpose" [] 5 x 1: "a word of the dictionary in the purpose";
    D::OffHours, Any, "off-hours" [] 6 x 1: "paid at night or on a day off";
    D::RoundAmount, Any, "round-amount" ["split-limit"] 5 x 1: "a round amount for services without a contract";
    D::PayTwice, Any, "duplicate-strict" ["duplicate-loose" "split-limit"] 5 x 2: "the same bill paid again";
    D::SameAmount, Any, "duplicate-loose" ["split-limit"] 4 x 2: "the same amount to the same payee with another invoice";
    D::RefundAndRepay, Any, "refund-and-repay" ["duplicate-loose" "duplicate-strict"] 3 x 2:
        "refunded in full and paid again";
    D::RepayElsewhere, Any, "refund-repaid-elsewhere" ["refund-and-repay"] 2 x 2:
        "refunded in full and paid again to another account";
    D::SubsidyTwice, Any, "subsidy-duplicate" [] 4 x 2: "the same beneficiary and project twice in a month";
    D::SharedAccount, Any, "subsidy-shared-account" [] 2 x 4: "the subsidies of four beneficiaries to one account";
    D::Ineligible, Any, "subsidy-ineligible" [] 3 x 1: "a subsidy to somebody who has died or is on the public payroll";
    D::Split, Any, "split-procurement" ["split-procurement-year" "ahead-of-the-calendar"] 3 x 3:
        "three payments below 500,000 within a month that exceed it together";
    D::SplitOverYear, Early, "split-procurement-year" ["split-procurement" "ahead-of-the-calendar"] 2 x 5:
        "five payments over the year that exceed 500,000 together";
    D::SplitInDay, Any, "split-limit" [] 3 x 2: "two payments below 50,000 on one day that exceed it together";
    D::JustBelow, Early, "just-below" ["ahead-of-the-calendar" "line-use-80" "line-use-90"] 1 x 5:
        "five payments just below 500,000";
    D::Burst, Any, "burst" [] 2 x 9: "nine payments to one supplier in a day";
    D::Surge, Middle, "unit-surge" ["ahead-of-the-calendar" "burst"] 1 x 8: "eight large payments of a unit in a day";
    D::Outlier, Late, "amount-outlier" [] 2 x 1: "six times the usual bill";
    D::CookDigits, QuarterStart, "benford" [] 1 x 0: "a quarter in which amounts begin with 5 to 9";
    D::OnePayee, Middle, "payee-concentration" ["split-procurement" "split-procurement-year" "ahead-of-the-calendar"] 1 x 6:
        "most of a unit's spending on goods and services to one payee";
    D::OtherClasses, Middle, "other-class-share" ["payee-concentration"] 1 x 6:
        "more than 30 % of a unit's spending in a class named other";
    D::OverContract, Any, "over-contract" [] 3 x 2: "two payments that exceed their contract together";
    D::BeforeContract, Any, "over-contract/early" ["over-contract"] 2 x 1: "paid before the contract was signed";
    D::CapReached, Late, "three-public-cap" ["three-public-80" "three-public-pace"] 2 x 3:
        "receptions beyond the unit's cap";
    D::CapPace, Opening, "three-public-pace" ["three-public-80" "three-public-cap"] 2 x 2: "almost a third of the unit's cap for receptions in January";
    D::MissTarget, Opening, "target-missed" ["money-spent-target-missed"] 2 x 0: "45 to 75 % of a programme's target achieved";
    D::FallBehind, Opening, "results-behind-money" [] 2 x 0: "a few per cent of a programme's target achieved in summer";
    D::ReportNothing, Opening, "target-unreported" [] 2 x 0: "nobody reports what a programme has achieved";
    D::RefundTwice, Any, "reversed-beyond-original" ["executed-below-zero"] 3 x 1: "refunded in full, and refunded again";
    D::RefundUnknown, Any, "reversal-without-original" [] 3 x 0: "a refund of a payment that was never made";
    D::PayLess, Any, "cleared-beyond-payment" ["not-cleared"] 3 x 1: "the bank paid a tenth less than was ordered";
    D::NeverClear, Middle, "not-cleared" [] 3 x 1: "the bank never answers";
    D::ClearNothing, Middle, "cleared-without-order" [] 3 x 0: "the bank paid what nobody ordered";
    D::SkipNumber, Middle, "voucher-gap" [] 3 x 1: "the number before the voucher is missing";
    D::RoundTrip, Early, "round-trip" [] 3 x 1: "more than half comes back from the payee after six working days";
    D::KeepFunds, Early, "slow-allocation" [] 2 x 0: "funds that are received and not handed on";
    D::SilenceFeed, Middle, "feed-silent" [] 1 x 0: "a region's payments of a working day come a day late";
    D::WakeAccount, Opening, "dormant-account-wakes" [] 3 x 0: "an own account is credited again after more than a year";
}
