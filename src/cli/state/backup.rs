//! `fiscwatch state backup` and `fiscwatch state restore`

use std::{path::PathBuf, process::ExitCode};

use anyhow::anyhow;
use clap::Args;

use super::{
    ConfigArg,
    table::{Cell, FactSheet, Screen},
};
use crate::{
    access::Action,
    clock::{Clock, SystemClock},
    config::{Config, state::apart},
    event::Instant,
    say,
    store::{self, BackupManifest, BackupOptions},
};

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
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
pub(crate) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "BACKUP", required_unless_present = "store")]
    from: Option<PathBuf>,
    /// The newest state of a store that one was replicated to, `s3://bucket/prefix` or `file:///srv/replica`
    #[arg(long = "from", value_name = "URL", conflicts_with = "from")]
    store: Option<String>,
    #[command(flatten)]
    config: ConfigArg,
    /// The state directory to make, which must not exist; `state.dir` of the configuration if it is not given
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Only up to this record of the store's log
    #[arg(long, value_name = "RECORD", requires = "store")]
    up_to: Option<u64>,
    /// The manifest as JSON instead of a table
    #[arg(long)]
    json: bool,
}

pub(crate) fn backup(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::BackUpState)?;
    let options = BackupOptions { link: args.link, now: SystemClock.now() };
    let to = apart(args.to.clone(), &config.state_dir).map_err(|why| anyhow!(why))?;
    let manifest = store::back_up(&config.state_dir, &to, options)?;
    show("backup", &args.to, &manifest, args.json, &config)
}

pub(crate) fn restore(args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::BackUpState)?;
    let to = args.to.as_ref().unwrap_or(&config.state_dir);
    if let Some(url) = &args.store {
        return super::replicate::restore((url, args.up_to), to, args.json, &config);
    }
    // One of both is there, or the command line was refused.
    let Some(from) = &args.from else { return Ok(ExitCode::from(2)) };
    let manifest = store::restore(from, to)?;
    show("state", to, &manifest, args.json, &config)
}

pub(super) fn show(
    what: &str,
    dir: &std::path::Path,
    manifest: &BackupManifest,
    json: bool,
    config: &Config,
) -> anyhow::Result<ExitCode> {
    if json {
        println!("{}", serde_json::to_string(manifest)?);
        return Ok(ExitCode::SUCCESS);
    }
    let time = |at: Instant| Cell::time(at, &config.calendar);
    let mut sheet = FactSheet::default();
    sheet.add(what, Cell::text(dir.display().to_string()));
    sheet.add(say!("made"), time(manifest.made_at));
    sheet.add(say!("files"), Cell::count(manifest.files.len()));
    sheet.add(say!("bytes"), Cell::count(manifest.bytes()));
    sheet.add(say!("events"), Cell::count(manifest.events));
    sheet.add(say!("last event time"), manifest.last_at.map_or(Cell::Missing, time));
    sheet.add(say!("findings"), Cell::count(manifest.findings));
    for (source, partition, offset) in &manifest.positions {
        let position = say!("{partition} at {offset}", partition, offset);
        sheet.add(say!("position of {source}", source), Cell::text(position));
    }
    print!("{}", sheet.render(Screen::stdout()));
    Ok(ExitCode::SUCCESS)
}
