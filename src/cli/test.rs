//! `fiscwatch test`

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

#[derive(Debug, Args)]
pub struct TestArgs {
    /// Test files or folders
    #[arg(default_value = "rules/tests")]
    files: Vec<PathBuf>,
}

pub fn test(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let _ = &args.files;
    Ok(ExitCode::SUCCESS)
}
