//! `fiscwatch test`

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::rule::unit_test;

#[derive(Debug, Args)]
pub struct TestArgs {
    /// Test files or folders
    #[arg(default_value = "rules/tests")]
    files: Vec<PathBuf>,
}

pub fn test(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let report = unit_test::run(&args.files);
    println!("{report}");
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
