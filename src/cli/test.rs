//! `fiscwatch test`

use std::{fs::File, io::BufWriter, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;

use super::{ConfigArg, outputs::check_outputs, table::visible};
use crate::{
    say,
    trial::unit_test::{self, junit},
};

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Test files or folders; in a folder with rules, what is in its folders `tests`. Without them, the tests of the
    /// configured rules run
    files: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
    /// Write the results here too, as `JUnit` XML
    #[arg(long)]
    junit: Option<PathBuf>,
}

pub(crate) fn test(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let configured = || args.config.load_or_default().map(|config| config.rule_paths);
    let files = if args.files.is_empty() { configured()? } else { args.files.clone() };
    let outputs = [("--junit", args.junit.as_deref())];
    check_outputs(&outputs, files.iter().map(PathBuf::as_path))?;
    let report = unit_test::run(&files);
    if let Some(path) = &args.junit {
        let cannot = || say!("cannot write {path}", path = path.display());
        let file = BufWriter::new(File::create(path).with_context(cannot)?);
        junit::write(&report, file).with_context(cannot)?;
    }
    // What a test found is data: it must not steer the terminal.
    for line in report.to_string().lines() {
        println!("{}", visible(line));
    }
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
