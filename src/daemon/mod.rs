//! The running daemon's state, which the loop, the HTTP server and the signals share, and how a reload changes it.

mod adopted;
mod approval;
pub mod asker;
mod audit_key;
mod balances;
mod blocking;
mod bodies;
mod forecasts;
pub(crate) mod gate;
mod gauges;
mod held;
pub(crate) mod journal;
pub(crate) mod lab;
pub(crate) mod lists;
mod office;
pub(crate) mod quarantine;
mod questions;
pub(crate) mod receivers;
pub mod reload;
mod rules;
pub(crate) mod shards;
pub(crate) mod shared;
pub(crate) mod supervisor;
mod waiting;
mod within;
pub(crate) mod works;

use std::path::PathBuf;

pub use adopted::with_adopted;
pub(crate) use adopted::{NotInForce, changed_rules, excepted_rules, put_into_force};
pub use asker::Asker;
pub(crate) use audit_key::{look_at_key, signing_key};
pub use balances::BalancesCopy;
pub(crate) use blocking::run_blocking;
pub use bodies::{Bodies, Body, Full};
pub use forecasts::{ForecastCache, LineForecast, LineForecasts, MakeForecasts, Outlook};
pub use gate::Gate;
pub use gauges::scrape_gauges;
pub(crate) use held::{HeldBy, held};
pub use lab::Lab;
pub(crate) use office::{carry_out, check_actions, office};
pub use questions::{DecisionRequest, Questions};
pub use reload::{NotReloaded, reload};
pub(crate) use rules::spanning;
pub use rules::{approved_rules_to_start, load_rules, rules_to_start};
pub use shared::{IngestError, POSTED, Shared};
pub(crate) use within::LimitedView;

/// How the daemon runs.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// The configuration file, for reloads.
    pub config_path: PathBuf,
    /// What stands in the place of the environment's variables, for reloads; `None` for those of the environment.
    pub variables: Option<Vec<(String, String)>>,
    /// End when all sources have ended.
    pub once: bool,
    /// At that end, windows that are open stay open: more is to come.
    pub keep_open: bool,
}
