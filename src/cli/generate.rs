//! `fiscwatch generate`

use std::process::ExitCode;

use clap::Args;

#[derive(Debug, Args)]
pub struct GenerateArgs {}

pub fn generate(_args: &GenerateArgs) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
