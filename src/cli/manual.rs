//! `fiscwatch completions` and `fiscwatch man`: what a package installs beside the binary, made from the command line
//! itself.

use std::{io, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;

use super::help;
use crate::{say, text::Language};

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder to write the pages to; without it, the first page goes to standard output
    #[arg(long)]
    out: Option<PathBuf>,
}

/// English, whatever the reader's locale is: packages are built anywhere.
fn command(language: Option<Language>) -> Command {
    let command = super::Cli::command().name("fiscwatch");
    match language {
        Some(Language::Zh) => help::in_language(command.disable_help_subcommand(true), Language::Zh),
        _ => command,
    }
}

pub(crate) fn completions(args: &CompletionsArgs, language: Option<Language>) -> ExitCode {
    // It panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(language), "fiscwatch", &mut script);
    print!("{}", String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}

pub(crate) fn man(args: &ManArgs, language: Option<Language>) -> anyhow::Result<ExitCode> {
    let command = command(language);
    match &args.out {
        None => clap_mangen::Man::new(command).render(&mut io::stdout())?,
        Some(out) => {
            std::fs::create_dir_all(out).and_then(|()| clap_mangen::generate_to(command, out)).with_context(
                || say!("the manual pages cannot be written to {folder}", folder = out.display()),
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
