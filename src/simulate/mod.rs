//! The event simulator: a province's treasury over a fiscal year, with budgets, payments and what follows them,
//! and on request with planted anomalies that carry labels.
//!
//! Everything follows from the [`Plan`]: the same plan gives the same events, byte for byte. Without anomalies the
//! stream is clean: no line or plan is overdrawn, no payment breaks one of the rules of conduct.
//!
//! [`Treasury`] is the static world; [`Treasury::events`] plays it day by day and keeps only balances and what is
//! still to happen, never the year.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "simulated sums, counts and ranks are far below the limits of their types"
)]

mod adjust;
mod anomalies;
mod calendar;
mod classes;
mod clerk;
mod dice;
mod event;
mod independent;
mod labels;
mod ledger;
mod lists;
mod payees;
mod plant;
mod plant_series;
mod plant_units;
mod programmes;
mod schedule;
mod simulation;
mod spend;
mod traffic;
mod treasury;
mod units;
mod voucher;

#[cfg(test)]
mod tests;

pub use anomalies::{ANOMALIES, AnomalyKind};
pub(crate) use event::money;
pub use event::{Event, Label, LabelKey, LocalStamp, Simulated, WorldText};
pub use treasury::{Plan, Treasury};
