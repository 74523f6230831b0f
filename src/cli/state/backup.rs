//! `fiscwatch state backup` and `fiscwatch state restore`

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{ConfigArg, table};
use crate::{
    clock::{Clock, SystemClock},
    config::Config,
    store::{self, BackupOptions, Manifest},
};

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The directory to make; it must not exist
    #[arg(value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    config: ConfigArg,
    /// Link sealed files instead of copying them: no time and no space, but damage to the disk is damage to both
    #[arg(long)]
    link: bool,
    /// The manifest as JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup
    #[arg(value_name = "BACKUP")]
    from: PathBuf,
    #[command(flatten)]
    config: ConfigArg,
    /// The state directory to make, which must not exist; `state.dir` of the configuration if it is not given
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// The manifest as JSON instead of a table
    #[arg(long)]
    json: bool,
}

pub fn backup(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    let options = BackupOptions { link: args.link, now: SystemClock.now() };
    let manifest = store::back_up(&config.state_dir, &args.to, options)?;
    show("backup", &args.to, &manifest, args.json, &config)
}

pub fn restore(args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    let to = args.to.as_ref().unwrap_or(&config.state_dir);
    let manifest = store::restore(&args.from, to)?;
    show("state", to, &manifest, args.json, &config)
}

fn show(
    what: &str,
    dir: &std::path::Path,
    manifest: &Manifest,
    json: bool,
    config: &Config,
) -> anyhow::Result<ExitCode> {
    if json {
        println!("{}", serde_json::to_string(manifest)?);
        return Ok(ExitCode::SUCCESS);
    }
    let time = |micros: i64| config.calendar.format(micros);
    let mut table = table(&["", ""]);
    table.add_row([what.to_owned(), dir.display().to_string()]);
    table.add_row(["made at".to_owned(), time(manifest.made_at)]);
    table.add_row(["files".to_owned(), manifest.files.len().to_string()]);
    table.add_row(["bytes".to_owned(), manifest.bytes().to_string()]);
    table.add_row(["events".to_owned(), manifest.events.to_string()]);
    table.add_row(["last event".to_owned(), manifest.last_at.map_or_else(|| String::from("–"), time)]);
    table.add_row(["findings".to_owned(), manifest.findings.to_string()]);
    for (source, partition, offset) in &manifest.positions {
        table.add_row([format!("position of {source}"), format!("{partition} at {offset}")]);
    }
    println!("{table}");
    Ok(ExitCode::SUCCESS)
}
