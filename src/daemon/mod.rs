//! The running daemon's state, which the loop, the HTTP server and the signals share, and how a reload changes it.

mod balances;
mod bodies;
mod forecasts;
mod gauges;
pub mod intake;
pub mod journal;
pub mod lab;
pub mod lists;
pub mod quarantine;
mod questions;
pub mod receivers;
pub mod reload;
mod rules;
pub mod shared;
pub mod supervisor;

use std::path::PathBuf;

pub use balances::BalancesCopy;
pub use bodies::{Bodies, Body, Full};
pub use forecasts::{Forecasts, LineForecasts, MakeForecasts, Outlook};
pub use gauges::scrape_gauges;
pub use intake::Intake;
pub use lab::Lab;
pub use questions::{Applications, Questions};
pub use reload::{NotReloaded, reload};
pub use rules::{load_rules, rules_to_start};
pub use shared::{NotTaken, POSTED, Shared};

/// How the daemon runs.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// The configuration file, for reloads.
    pub config_path: PathBuf,
    /// End when all sources have ended.
    pub once: bool,
}
