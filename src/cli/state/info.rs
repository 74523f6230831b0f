//! `fiscwatch state info`

use std::process::ExitCode;

use clap::Args;

use super::{ConfigArg, table};
use crate::store::Reader;

#[derive(Debug, Args)]
pub struct InfoArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

pub fn info(args: &InfoArgs) -> anyhow::Result<ExitCode> {
    let InfoArgs { config, json } = args;
    let config = config.load_or_default()?;
    let info = Reader::open(&config.state_dir)?.info()?;
    if *json {
        println!("{}", serde_json::to_string(&info)?);
        return Ok(ExitCode::SUCCESS);
    }
    let time = |micros: Option<i64>| micros.map_or_else(|| String::from("–"), |t| config.calendar.format(t));
    let mut table = table(&["", ""]);
    table.add_row(["directory".to_owned(), info.dir.display().to_string()]);
    table.add_row(["schema version".to_owned(), info.schema_version.to_string()]);
    table.add_row(["bytes".to_owned(), info.bytes.to_string()]);
    table.add_row(["events".to_owned(), info.events.to_string()]);
    let open = info.events - info.sealed_events;
    table.add_row(["in blocks".to_owned(), format!("{open} in {} blocks", info.journal_blocks)]);
    let sealed = (info.sealed_events, info.sealed_files, info.sealed_bytes);
    table.add_row(["sealed".to_owned(), format!("{} in {} files, {} bytes", sealed.0, sealed.1, sealed.2)]);
    table.add_row(["retired".to_owned(), info.retired_events.to_string()]);
    table.add_row(["after the last checkpoint".to_owned(), info.events_after_checkpoint.to_string()]);
    table.add_row(["first event".to_owned(), time(info.first_at)]);
    table.add_row(["last event".to_owned(), time(info.last_at)]);
    table.add_row(["findings".to_owned(), info.findings.to_string()]);
    table.add_row(["in quarantine".to_owned(), info.quarantined.to_string()]);
    table.add_row(["duplicates".to_owned(), info.duplicates.to_string()]);
    for (source, partition, offset) in &info.positions {
        table.add_row([format!("position of {source}"), format!("{partition} at {offset}")]);
    }
    println!("{table}");
    Ok(ExitCode::SUCCESS)
}
