//! `fiscwatch run`

use std::{process::ExitCode, sync::Arc};

use clap::Args;

use super::{ConfigArg, problems, runtime};
use crate::{
    app::{self, RunOptions},
    clock::SteadyClock,
    config::Config,
    store::StoredReject,
    stream::Receipt,
    telemetry,
};

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// End when all sources have ended, instead of waiting for more
    #[arg(long)]
    once: bool,
}

pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    telemetry::log(&config.log);
    let rules = app::load_rules(&config).map_err(problems)?;
    let options = RunOptions { config_path: args.config.config.clone(), once: args.once };
    let runtime = runtime()?;
    let result = runtime.block_on(app::run(config, rules, options, Arc::new(SteadyClock::default())));
    // A read of standard input may still be waiting; it must not keep the process.
    runtime.shutdown_background();
    result?;
    Ok(ExitCode::SUCCESS)
}

/// Reads quarantined records again, while no daemon runs on the state.
pub fn replay(config: Config, records: Vec<StoredReject>) -> anyhow::Result<Receipt> {
    let rules = app::load_rules(&config).map_err(problems)?;
    runtime()?.block_on(app::replay(config, rules, records, Arc::new(SteadyClock::default())))
}
