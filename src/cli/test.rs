//! `fiscwatch test`

use std::{fs::File, io::BufWriter, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;

use crate::rule::unit_test::{self, junit};

#[derive(Debug, Args)]
pub struct TestArgs {
    /// Test files or folders
    #[arg(default_value = "rules/tests")]
    files: Vec<PathBuf>,
    /// Write the results here too, as `JUnit` XML
    #[arg(long)]
    junit: Option<PathBuf>,
}

pub fn test(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let report = unit_test::run(&args.files);
    if let Some(path) = &args.junit {
        let cannot = || format!("cannot write {}", path.display());
        let file = BufWriter::new(File::create(path).with_context(cannot)?);
        junit::write(&report, file).with_context(cannot)?;
    }
    println!("{report}");
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
