//! `fiscwatch completions` and `fiscwatch man`: what a package installs beside the binary, made from the command line
//! itself.

use std::{io, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder to write the pages to; without it the first page goes to standard output
    #[arg(long)]
    out: Option<PathBuf>,
}

pub fn completions(args: &CompletionsArgs) -> ExitCode {
    clap_complete::generate(args.shell, &mut super::Cli::command(), "fiscwatch", &mut io::stdout());
    ExitCode::SUCCESS
}

pub fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let command = super::Cli::command().name("fiscwatch");
    match &args.out {
        None => clap_mangen::Man::new(command).render(&mut io::stdout())?,
        Some(out) => {
            std::fs::create_dir_all(out)
                .and_then(|()| clap_mangen::generate_to(command, out))
                .with_context(|| format!("cannot write the pages to {}", out.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
