//! `fiscwatch run`

use std::{process::ExitCode, sync::Arc};

use clap::Args;

use super::{ConfigArg, problems, runtime};
use crate::{
    app::{self, RunOutcome},
    clock::SteadyClock,
    config::Config,
    daemon::{self, RunOptions},
    say,
    store::StoredReject,
    stream::Receipt,
    telemetry,
};

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// End when everything that is there at the start is read and committed, instead of waiting for more; exit code 1 if
    /// a file could not be read whole or no record was accepted
    #[arg(long)]
    once: bool,
    /// With --once: leave open windows open, because more is to come, as in a job that runs every night. Without it they
    /// close at the end, as if nothing came any more
    #[arg(long)]
    keep_open: bool,
}

pub(crate) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    if args.keep_open && !args.once {
        anyhow::bail!(say!(
            "--keep-open goes with --once; a daemon that goes on keeps its windows open anyway"
        ));
    }
    let config = args.config.load()?;
    telemetry::log(&config.log);
    config.is_closed_enough().map_err(|problem| problems(vec![problem]))?;
    let misplaced = app::misplaced(&config);
    if !misplaced.is_empty() {
        return Err(problems(misplaced));
    }
    if config.shards.as_ref().is_some_and(|shards| shards.own.is_none()) {
        return keep(args, config);
    }
    let config = daemon::with_adopted(config).map_err(problems)?;
    let rules = daemon::approved_rules_to_start(&config).map_err(problems)?;
    let once = args.once;
    let options = RunOptions {
        config_path: args.config.config.clone(),
        once,
        keep_open: args.keep_open,
        ..RunOptions::default()
    };
    let runtime = runtime()?;
    let result = runtime.block_on(app::run(config, rules, options, Arc::new(SteadyClock::default())));
    // A read of standard input may still be waiting; it must not keep the process.
    runtime.shutdown_background();
    let outcome = result?;
    Ok(if once { judged(&outcome) } else { ExitCode::SUCCESS })
}

/// Keeps the shards of this machine. Its processes load the rules again; what is wrong with them is told here once.
fn keep(args: &RunArgs, config: Config) -> anyhow::Result<ExitCode> {
    if args.once {
        anyhow::bail!(say!("run --once takes one shard at a time: name it, FISCWATCH_SHARD=0"));
    }
    daemon::rules_to_start(&config).map_err(problems)?;
    let clock = Arc::new(SteadyClock::default());
    runtime()?.block_on(app::keep(config, args.config.config.clone(), clock))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a run that ends by itself did what it was for: somebody may look at nothing but its exit code.
fn judged(outcome: &RunOutcome) -> ExitCode {
    let Receipt { accepted, duplicates, rejected, skipped } = outcome.records;
    println!(
        "{}",
        say!(
            "{seen} records: {accepted} accepted, {duplicates} known already, {rejected} rejected, {skipped} empty",
            seen = outcome.records.seen(),
            accepted,
            duplicates,
            rejected,
            skipped
        )
    );
    if let Some(unread) = &outcome.unread {
        eprintln!("{unread}");
    }
    let files = outcome.files_refused;
    if files > 0 {
        eprintln!(
            "{}",
            say!("{files} files could not be read whole; `fiscwatch rejects list` says why", files)
        );
    }
    if outcome.records.is_refused() {
        eprintln!("{}", say!("no record was accepted; `fiscwatch rejects list` says why"));
    }
    let is_whole = files == 0 && outcome.unread.is_none() && !outcome.records.is_refused();
    ExitCode::from(u8::from(!is_whole))
}

/// Reads quarantined records again, while no daemon runs on the state.
pub(crate) fn replay(config: Config, records: Vec<StoredReject>) -> anyhow::Result<Receipt> {
    let config = daemon::with_adopted(config).map_err(problems)?;
    let rules = daemon::approved_rules_to_start(&config).map_err(problems)?;
    runtime()?.block_on(app::replay(config, rules, records, Arc::new(SteadyClock::default())))
}
