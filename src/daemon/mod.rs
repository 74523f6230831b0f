//! The running daemon's state, which the loop, the HTTP server and the signals share, and how a reload changes it.

mod approval;
mod balances;
mod bodies;
mod forecasts;
mod gauges;
pub(crate) mod intake;
pub(crate) mod journal;
pub(crate) mod lab;
pub(crate) mod lists;
pub(crate) mod quarantine;
mod questions;
pub(crate) mod receivers;
pub mod reload;
mod rules;
pub(crate) mod shared;
pub(crate) mod supervisor;

use std::path::PathBuf;

pub use balances::BalancesCopy;
pub use bodies::{Bodies, Body, Full};
pub use forecasts::{Forecasts, LineForecasts, MakeForecasts, Outlook};
pub use gauges::scrape_gauges;
pub use intake::Intake;
pub use lab::Lab;
pub use questions::{Applications, Questions};
pub use reload::{NotReloaded, configured_rules, reload};
pub use rules::{approved_rules_to_start, load_rules, rules_to_start};
pub use shared::{NotTaken, POSTED, Shared};

/// How the daemon runs.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// The configuration file, for reloads.
    pub config_path: PathBuf,
    /// End when all sources have ended.
    pub once: bool,
}
