//! `fiscwatch rejects list|export|replay`

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    ConfigArg,
    persons::PersonsArg,
    remote,
    socket::Socket,
    table::{Cell, ListFormat, Table, TableColumn, more, visible},
};
use crate::{
    access::Action,
    config::Config,
    event::Instant,
    http::lens::Lens,
    say,
    store::{Overflow, Reader, RejectFilter, StoredReject},
    stream::RejectReason,
};

#[derive(Debug, Subcommand)]
pub(crate) enum RejectsCommand {
    /// Show the records in quarantine, the oldest first
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// At most so many
        #[arg(short = 'n', long, default_value_t = 100)]
        limit: u32,
        #[command(flatten)]
        persons: PersonsArg,
        #[command(flatten)]
        form: ListFormat,
    },
    /// Print the raw records, one a line, to be corrected and read again
    Export {
        #[command(flatten)]
        filter: FilterArgs,
        /// The file to write; standard output if it is not given
        #[arg(long)]
        out: Option<PathBuf>,
        #[command(flatten)]
        persons: PersonsArg,
    },
    /// Read the records again, after the feed or this program has changed
    Replay {
        #[command(flatten)]
        filter: FilterArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
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

pub(crate) fn rejects(command: &RejectsCommand) -> anyhow::Result<ExitCode> {
    match command {
        RejectsCommand::List { filter, limit, persons, form } => list(filter, *limit, (*persons, *form)),
        RejectsCommand::Export { filter, out, persons } => export(filter, out.as_ref(), *persons),
        RejectsCommand::Replay { filter } => replay(filter),
    }
}

fn list(
    args: &FilterArgs,
    limit: u32,
    (persons, form): (PersonsArg, ListFormat),
) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    if let Some(socket) = Socket::of(&config)? {
        let query = json!({ "reason": args.reason, "source": args.source, "replayed": args.replayed });
        return remote::rejects(&socket, &config, &query, (limit, persons.unmasked, &form));
    }
    let (config, lens) = args.config.shown(Action::ReadQuarantine, persons)?;
    let reader = Reader::open(&config.state_dir)?;
    let filter = args.filter(0, limit);
    let (rejects, overflow) = (reader.rejects(&filter)?, reader.overflow(&filter)?);
    let mut table = empty_table();
    let mut objects = Vec::new();
    for r in &rejects {
        let (raw, detail) = lens.record(&String::from_utf8_lossy(&r.raw), &r.detail);
        let mut object = serde_json::to_value(r)?;
        (object["raw"], object["detail"]) = (raw.as_str().into(), detail.as_str().into());
        objects.push(object);
        let place = format!("{} {}:{}", r.source, r.partition, r.record);
        row(&mut table, &r.seq.to_string(), r.received_at, [&*r.reason, &place, &detail, &raw], &config);
    }
    objects.extend(overflow.iter().map(|counted| serde_json::json!({ "overflow": counted })));
    let mut notes: Vec<_> = more(rejects.len(), reader.count_rejects(&filter)?).into_iter().collect();
    notes.extend(overflow.iter().map(no_room));
    form.print(&table, objects, &notes)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn empty_table() -> Table {
    Table::new([
        TableColumn::new("seq", say!("no.")).right(),
        TableColumn::new("received_at", say!("received")),
        TableColumn::new("reason", say!("reason")),
        TableColumn::new("where", say!("where")).shrinks(14),
        TableColumn::new("detail", say!("detail")).shrinks(14),
        TableColumn::new("raw", say!("record")).shrinks(14).spare(),
    ])
}

/// A record in the table: its reason, where it was, what is wrong, and what came.
pub(super) fn row(table: &mut Table, seq: &str, at: Instant, words: [&str; 4], config: &Config) {
    let [reason, place, detail, raw] = words.map(|text| Cell::text(text.to_owned()));
    table.row([Cell::text(seq.to_owned()), Cell::time(at, &config.calendar), reason, place, detail, raw]);
}

/// What was counted and not kept.
fn no_room(o: &Overflow) -> String {
    let part = visible(&o.partition);
    say!(
        "there was no room for {records} more records of {source} {part} ({reason}), from {first} to {last}: {bytes} bytes, digest {digest}",
        records = o.records,
        source = o.source,
        part,
        reason = o.reason,
        first = o.first_record,
        last = o.last_record,
        bytes = o.bytes,
        digest = o.digest
    )
}

fn export(args: &FilterArgs, out: Option<&PathBuf>, persons: PersonsArg) -> anyhow::Result<ExitCode> {
    let (config, lens) = args.config.shown(Action::ReadQuarantine, persons)?;
    if lens == Lens::Masked {
        // A masked record that is corrected and sent would be a payment to nobody.
        anyhow::bail!(say!(
            "records come out as they came, with accounts and names of persons: say --unmasked, which the audit log tells of; `fiscwatch rejects list` shows them masked"
        ));
    }
    let reader = Reader::open(&config.state_dir)?;
    reader.check_rejects()?;
    let to_terminal = out.is_none();
    let mut out: Box<dyn Write> = match out {
        Some(path) => Box::new(std::io::BufWriter::new(crate::private::create(path)?)),
        None => Box::new(std::io::stdout().lock()),
    };
    // A file gets the bytes as they came; a terminal would do what they say.
    let is_shown = to_terminal && std::io::stdout().is_terminal();
    pages(&reader, args, |reject| {
        let raw = reject.raw.trim_ascii_end();
        match is_shown {
            true => out.write_all(visible(&String::from_utf8_lossy(raw)).as_bytes())?,
            false => out.write_all(raw)?,
        }
        out.write_all(b"\n")
    })?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn replay(args: &FilterArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::ReplayQuarantine)?;
    let reader = Reader::open(&config.state_dir)?;
    reader.check_rejects()?;
    let (mut records, mut unreadable) = (Vec::new(), 0u64);
    pages(&reader, args, |reject| {
        if reject.can_be_read_again() {
            records.push(reject);
        } else {
            unreadable += 1;
        }
        Ok(())
    })?;
    drop(reader);
    if unreadable > 0 {
        eprintln!(
            "{}",
            say!(
                "{unreadable} records are no JSON objects and stay as they are: rows of CSV with too many or too few cells, or from before this version. Send the corrected file again",
                unreadable
            )
        );
    }
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
        page.into_iter().filter(|r| r.reason != RejectReason::Lost.code()).try_for_each(&mut take)?;
    }
}
