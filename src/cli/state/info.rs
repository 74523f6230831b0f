//! `fiscwatch state info`

use std::process::ExitCode;

use clap::Args;

use super::{
    ConfigArg,
    table::{Cell, FactSheet, Screen},
};
use crate::{access::Action, event::Instant, say, store::Reader};

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

pub(crate) fn info(args: &InfoArgs) -> anyhow::Result<ExitCode> {
    let InfoArgs { config, json } = args;
    let config = config.permitted(Action::ReadState)?;
    let info = Reader::open(&config.state_dir)?.info()?;
    if *json {
        println!("{}", serde_json::to_string(&info)?);
        return Ok(ExitCode::SUCCESS);
    }
    let time = |at: Option<Instant>| at.map_or(Cell::Missing, |at| Cell::time(at, &config.calendar));
    let mut sheet = FactSheet::default();
    sheet.add(say!("directory"), Cell::text(info.dir.display().to_string()));
    sheet.add(say!("schema version"), Cell::text(info.schema_version.to_string()));
    sheet.add(say!("bytes"), Cell::count(info.bytes));
    sheet.add(say!("events"), Cell::count(info.events));
    let (events, blocks) = (info.events - info.sealed_events, info.journal_blocks);
    sheet.add(say!("in blocks"), Cell::text(say!("{events} in {blocks} blocks", events, blocks)));
    let (events, files, bytes) = (info.sealed_events, info.sealed_files, info.sealed_bytes);
    sheet.add(
        say!("sealed"),
        Cell::text(say!("{events} in {files} files, {bytes} bytes", events, files, bytes)),
    );
    sheet.add(say!("deleted as too old"), Cell::count(info.retired_events));
    sheet.add(say!("after the last checkpoint"), Cell::count(info.events_after_checkpoint));
    sheet.add(say!("first event time"), time(info.first_at));
    sheet.add(say!("last event time"), time(info.last_at));
    sheet.add(say!("findings"), Cell::count(info.findings));
    sheet.add(say!("in quarantine"), Cell::count(info.quarantined));
    sheet.add(say!("duplicates"), Cell::count(info.duplicates));
    for (source, partition, offset) in &info.positions {
        let position = say!("{partition} at {offset}", partition, offset);
        sheet.add(say!("position of {source}", source), Cell::text(position));
    }
    print!("{}", sheet.render(Screen::stdout()));
    Ok(ExitCode::SUCCESS)
}
