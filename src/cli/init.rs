//! `fiscwatch init`: the shipped configuration, rules and lists as files to start from.

use std::{path::PathBuf, process::ExitCode};

use anyhow::anyhow;
use clap::Args;

use crate::{diagnostic::os_reason, say, shipped};

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The folder to write to; it is made if it is not there
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Also write a few events, a rule of your own with its test, and a configuration that reads them
    #[arg(long)]
    example: bool,
}

/// Files named in a message.
const NAMED_MAX: usize = 5;

pub(crate) fn init(args: &InitArgs) -> anyhow::Result<ExitCode> {
    let files = shipped::files(args.example);
    let folder = args.folder.display();
    let there: Vec<&str> =
        files.iter().map(|(path, _)| *path).filter(|path| args.folder.join(path).exists()).collect();
    if !there.is_empty() {
        let named = there[..there.len().min(NAMED_MAX)].join(", ");
        let more = match there.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            n => say!(" and {n} more", n),
        };
        anyhow::bail!(say!(
            "{folder} has {named}{more} already, and nothing is overwritten: choose an empty folder, `fiscwatch init FOLDER`",
            folder,
            named,
            more
        ));
    }
    shipped::write(&args.folder, &files)
        .map_err(|e| anyhow!(say!("cannot write to {folder}: {reason}", folder, reason = os_reason(&e))))?;
    println!(
        "{}",
        say!("{n} files are written to {folder}: config/, config/lists/ and rules/", n = files.len(), folder)
    );
    println!(
        "{}",
        match args.example {
            true => say!(
                "the example: drop/ has events, my-rules/ a rule of your own and its test, and later.jsonl is for `curl`"
            ),
            false => say!("next: name your events under `sources:` in config/fiscwatch.yaml"),
        }
    );
    println!("{}", say!("then, in that folder: `fiscwatch check`, and `fiscwatch run`"));
    Ok(ExitCode::SUCCESS)
}
