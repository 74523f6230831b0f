//! `fiscwatch check`

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{ConfigArg, problems};
use crate::{
    lists::Lists,
    rule::{self, Mode, compile::Compiler},
};

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Check the rules of this file or folder instead of those of the configuration
    #[arg(long)]
    rules: Vec<PathBuf>,
}

pub fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let config = if args.rules.is_empty() { args.config.load() } else { args.config.load_or_default() }?;
    // Rules are checked even if a list is missing, so that one run shows everything.
    let (lists, mut found) = match config.read_lists() {
        Ok(lists) => (lists, Vec::new()),
        Err(problems) => (Lists::default(), problems),
    };
    let compiler = Compiler::new(&config.calendar, lists, config.language);
    let paths = if args.rules.is_empty() { &config.rule_paths } else { &args.rules };
    let overrides =
        if args.rules.is_empty() { config.overrides.clone() } else { std::collections::BTreeMap::new() };
    let loaded = rule::load(paths, &compiler, &config.calendar, &overrides);
    found.extend(loaded.problems);
    if !found.is_empty() {
        let count = found.len();
        eprintln!("{}", problems(found));
        eprintln!("\n{count} problem{} found", if count == 1 { "" } else { "s" });
        return Ok(ExitCode::from(1));
    }
    let live = loaded.set.rules.iter().filter(|r| r.rule.mode == Mode::Live).count();
    println!(
        "{} rules in {} files are in order: {live} live, {} shadow or disabled; {} sources, {} lists",
        loaded.set.rules.len(),
        loaded.files.len(),
        loaded.set.rules.len() - live,
        config.sources.len(),
        config.list_paths().count(),
    );
    Ok(ExitCode::SUCCESS)
}
