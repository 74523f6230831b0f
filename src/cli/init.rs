//! `fiscwatch init`: the shipped configuration, rules and lists as files to start from.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;

use crate::shipped;

#[derive(Debug, Args)]
pub struct InitArgs {
    /// The folder to write to; it is made if it is not there
    #[arg(default_value = ".")]
    folder: PathBuf,
}

/// Files named in a message.
const NAMED_MAX: usize = 5;

pub fn init(args: &InitArgs) -> anyhow::Result<ExitCode> {
    let there: Vec<&str> =
        shipped::FILES.iter().map(|(path, _)| *path).filter(|path| args.folder.join(path).exists()).collect();
    if !there.is_empty() {
        let more = there.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named = there[..there.len().min(NAMED_MAX)].join(", ");
        anyhow::bail!(
            "{} has {named}{more} already, and nothing is overwritten: choose an empty folder, `fiscwatch init FOLDER`",
            args.folder.display()
        );
    }
    shipped::write(&args.folder).with_context(|| format!("cannot write to {}", args.folder.display()))?;
    println!(
        "{} files in {}: config/, config/lists/ and rules/",
        shipped::FILES.len(),
        args.folder.display()
    );
    println!(
        "next: name your events under `sources:` in config/fiscwatch.yaml, then `fiscwatch check` and `fiscwatch run` in that folder"
    );
    Ok(ExitCode::SUCCESS)
}
