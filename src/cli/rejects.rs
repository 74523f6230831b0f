//! `fiscwatch rejects list|export|replay`

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};

use super::{ConfigArg, table};
use crate::{
    say,
    store::{Reader, RejectFilter, StoredReject},
    stream::Reason,
};

#[derive(Debug, Subcommand)]
pub enum RejectsCommand {
    /// Show the records in quarantine, the oldest first
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// JSON Lines instead of a table
        #[arg(long)]
        json: bool,
        /// At most so many
        #[arg(short = 'n', long, default_value_t = 100)]
        limit: u32,
    },
    /// Print the raw records, one a line, to be mended and read again
    Export {
        #[command(flatten)]
        filter: FilterArgs,
        /// The file to write; standard output if it is not given
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Read the records again, after the feed or this program has changed
    Replay {
        #[command(flatten)]
        filter: FilterArgs,
    },
}

#[derive(Debug, Args)]
pub struct FilterArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Only records with this reason code
    #[arg(long)]
    reason: Option<String>,
    /// Only records of this source
    #[arg(long)]
    source: Option<String>,
    /// Records that were replayed too
    #[arg(long)]
    replayed: bool,
}

impl FilterArgs {
    fn filter(&self, after: i64, limit: u32) -> RejectFilter {
        let (reason, source) = (self.reason.clone(), self.source.clone());
        RejectFilter { reason, source, replayed: self.replayed, after, limit: Some(limit) }
    }
}

/// Records read from the store at once.
const PAGE: u32 = 1000;

pub fn rejects(command: &RejectsCommand) -> anyhow::Result<ExitCode> {
    match command {
        RejectsCommand::List { filter, json, limit } => list(filter, *json, *limit),
        RejectsCommand::Export { filter, out } => export(filter, out.as_ref()),
        RejectsCommand::Replay { filter } => replay(filter),
    }
}

fn list(args: &FilterArgs, json: bool, limit: u32) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    let reader = Reader::open(&config.state_dir)?;
    let rejects = reader.rejects(&args.filter(0, limit))?;
    let overflow = reader.overflow(&args.filter(0, limit))?;
    let mut out = std::io::stdout().lock();
    if json {
        for reject in &rejects {
            let mut object = serde_json::to_value(reject)?;
            object["raw"] = String::from_utf8_lossy(&reject.raw).into();
            writeln!(out, "{object}")?;
        }
        for counted in &overflow {
            writeln!(out, "{}", serde_json::json!({ "overflow": counted }))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table(&["no", "received", "where", "reason", "detail", "record"]);
    for r in &rejects {
        table.add_row([
            r.seq.to_string(),
            config.calendar.format(r.received_at),
            format!("{} {}:{}", r.source, r.partition, r.record),
            r.reason.clone(),
            r.detail.clone(),
            String::from_utf8_lossy(&r.raw).chars().take(60).collect(),
        ]);
    }
    writeln!(out, "{table}")?;
    for o in &overflow {
        writeln!(
            out,
            "there was no room for {} more records of {} {} ({}), from {} to {}: {} bytes, digest {}",
            o.records, o.source, o.partition, o.reason, o.first_record, o.last_record, o.bytes, o.digest
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn export(args: &FilterArgs, out: Option<&PathBuf>) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    let reader = Reader::open(&config.state_dir)?;
    reader.check_rejects()?;
    let mut out: Box<dyn Write> = match out {
        Some(path) => Box::new(std::io::BufWriter::new(crate::private::create(path)?)),
        None => Box::new(std::io::stdout().lock()),
    };
    pages(&reader, args, |reject| {
        out.write_all(reject.raw.trim_ascii_end())?;
        out.write_all(b"\n")
    })?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn replay(args: &FilterArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    let reader = Reader::open(&config.state_dir)?;
    reader.check_rejects()?;
    let mut records = Vec::new();
    pages(&reader, args, |reject| {
        records.push(reject);
        Ok(())
    })?;
    drop(reader);
    let count = records.len();
    let receipt = super::run::replay(config, records)?;
    println!(
        "{}",
        say!(
            "{count} records read again: {accepted} accepted, {known} known already, {rejected} in quarantine again",
            count,
            accepted = receipt.accepted,
            known = receipt.duplicates,
            rejected = receipt.rejected
        )
    );
    Ok(ExitCode::from(u8::from(receipt.is_refused())))
}

fn pages(
    reader: &Reader,
    args: &FilterArgs,
    mut take: impl FnMut(StoredReject) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let mut after = 0;
    loop {
        let page = reader.rejects(&args.filter(after, PAGE))?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.seq;
        // A hole has no record that could be read again.
        page.into_iter().filter(|r| r.reason != Reason::Lost.code()).try_for_each(&mut take)?;
    }
}
