//! `fiscwatch state info|backup|restore|replicate|lake|verify|drill|query`

mod backup;
mod drill;
mod info;
mod lake;
pub(in crate::cli) mod query;
mod replicate;
mod verify;

use std::process::ExitCode;

use clap::Subcommand;

use super::{ConfigArg, persons, problems, runtime, table};

#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    /// Show what the state directory holds
    Info(info::InfoArgs),
    /// Copy the state; a daemon may run on it meanwhile
    Backup(backup::BackupArgs),
    /// Make a state directory from a backup, or from the store that it was replicated to
    Restore(backup::RestoreArgs),
    /// Put the state as of now into a store that other machines reach, once
    Replicate(replicate::ReplicateArgs),
    /// Publish the sealed history as a table of Parquet files that other tools read
    Lake(lake::LakeArgs),
    /// Check checksums, numbers and balances; on request make the findings again
    Verify(verify::VerifyArgs),
    /// Restore the newest backup to a scratch place, verify it and make its findings again: can it be relied on?
    Drill(drill::DrillArgs),
    /// Ask a SELECT over `budget_lines`, payments, refunds, `budget_actions`, findings and the reference lists
    Query(query::QueryArgs),
}

pub(crate) fn state(command: &StateCommand) -> anyhow::Result<ExitCode> {
    match command {
        StateCommand::Info(args) => info::info(args),
        StateCommand::Backup(args) => backup::backup(args),
        StateCommand::Restore(args) => backup::restore(args),
        StateCommand::Replicate(args) => replicate::replicate(args),
        StateCommand::Lake(args) => lake::lake(args),
        StateCommand::Verify(args) => verify::verify(args),
        StateCommand::Drill(args) => drill::drill(args),
        StateCommand::Query(args) => query::query(args),
    }
}
