//! `fiscwatch audit list|verify|export`

use std::{
    io::{BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    ConfigArg, remote,
    socket::Socket,
    table::{Cell, ListFormat, Table, TableColumn},
};
use crate::{
    access::Action,
    app::audit::last_kept,
    config::Config,
    event::{Instant, time::Calendar},
    say,
    store::{Audit, AuditEntry, AuditReport},
};

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Show the latest records
    List(ListArgs),
    /// Check that no record was changed, taken out, put in or cut off
    Verify(VerifyArgs),
    /// Print all records
    Export(ExportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// At most so many
    #[arg(short = 'n', long, default_value_t = 100)]
    limit: u32,
    #[command(flatten)]
    form: ListFormat,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// A file with seals that was kept outside of the state; `audit.head_file` of the configuration if it is not given
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// A public key that may have sealed; several may be named. Without one, any may
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// JSON instead of words
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// In which form
    #[arg(long, value_enum, default_value = "jsonl")]
    format: ExportFormat,
    /// Only records after this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: i64,
}

/// The form of an export.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ExportFormat {
    /// A JSON object a line
    Jsonl,
    /// A message a line as RFC 5424 has it, with the JSON object as its text
    Syslog,
}

pub(crate) fn audit(command: &AuditCommand) -> anyhow::Result<ExitCode> {
    match command {
        AuditCommand::List(args) => list(args),
        AuditCommand::Verify(args) => verify(args),
        AuditCommand::Export(args) => export(args),
    }
}

fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    if let Some(socket) = Socket::of(&config)? {
        return remote::audit(&socket, &config, args.limit, args.form);
    }
    let config = args.config.permitted(Action::ReadAudit)?;
    let found = Audit::open_read_only(&config.state_dir)?.latest(args.limit)?;
    let mut table = empty_table();
    for entry in &found {
        let words = [&entry.who, &entry.place, &entry.action, &entry.subject, &entry.result, &entry.detail];
        row(&mut table, &entry.seq.to_string(), entry.at, words.map(Clone::clone), &config);
    }
    let objects: Vec<Value> = found.iter().map(|entry| object(entry, &config.calendar)).collect();
    args.form.print(&table, &objects, &[])?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn empty_table() -> Table {
    Table::new([
        TableColumn::new("seq", say!("no.")).right(),
        TableColumn::new("at", say!("time")),
        TableColumn::new("who", say!("who")).shrinks(8),
        TableColumn::new("place", say!("from")).shrinks(8),
        TableColumn::new("action", say!("what")),
        TableColumn::new("subject", say!("of what")).shrinks(8),
        TableColumn::new("result", say!("result")),
        TableColumn::new("detail", say!("detail")).shrinks(10).spare(),
    ])
}

/// A record in the table; its words are in the order of the columns.
pub(super) fn row(table: &mut Table, seq: &str, at: Instant, words: [String; 6], config: &Config) {
    let [who, place, action, subject, result, detail] = words.map(Cell::text);
    table.row([
        Cell::text(seq.to_owned()),
        Cell::time(at, &config.calendar),
        who,
        place,
        action,
        subject,
        result,
        detail,
    ]);
}

/// A record as JSON has it, with its time in front.
fn object(entry: &AuditEntry, calendar: &Calendar) -> Value {
    let mut object = json!({ "seq": entry.seq, "at": calendar.format(entry.at) });
    if let (Value::Object(object), Ok(Value::Object(rest))) = (&mut object, serde_json::to_value(entry)) {
        object.extend(rest);
    }
    object
}

fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    if let Some(socket) = Socket::of(&args.config.load_or_default()?)? {
        return verify_by(&socket, args);
    }
    let config = args.config.permitted(Action::ReadAudit)?;
    let head = args.head.as_ref().or(config.audit.head_file.as_ref());
    let outside = head.map(|path| last_kept(path)).transpose()?.flatten();
    if let (Some(path), None) = (&args.head, &outside) {
        anyhow::bail!(say!("there is no seal in {path}", path = path.display()));
    }
    let mut report = Audit::open_read_only(&config.state_dir)?.verify(outside.as_ref(), &args.keys)?;
    report.problems.extend(unsealed(&report, &args.keys));
    match args.json {
        true => println!("{}", serde_json::to_string(&report)?),
        false => tell(&report, outside.is_some()),
    }
    Ok(ExitCode::from(u8::from(!report.problems.is_empty())))
}

/// The same through the daemon's socket; seals that are kept outside are not reached by it.
fn verify_by(socket: &Socket, args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        args.head.is_none(),
        say!("a seal from outside is compared by the user that the state belongs to: leave --head out")
    );
    let mut report: AuditReport = serde_json::from_value(remote::check_audit(socket)?)?;
    let trusts = |key: &String| args.keys.is_empty() || args.keys.contains(key);
    let others: Vec<_> = report.keys.iter().filter(|key| !trusts(key)).cloned().collect();
    report.problems.extend(
        others
            .into_iter()
            .map(|key| say!("a seal is signed by {key}, which is not among the keys that are named", key)),
    );
    report.problems.extend(unsealed(&report, &args.keys));
    match args.json {
        true => println!("{}", serde_json::to_string(&report)?),
        false => tell(&report, false),
    }
    Ok(ExitCode::from(u8::from(!report.problems.is_empty())))
}

/// Who names a key says that there are seals by it: a log whose seals were taken away would look whole.
fn unsealed(report: &AuditReport, keys: &[String]) -> Option<String> {
    let is_bare = !keys.is_empty() && report.seals == 0 && report.records > 0;
    is_bare.then(|| {
        say!("no seal covers any record, though a key is named: they were taken away, or none was made yet")
    })
}

fn tell(report: &AuditReport, is_held: bool) {
    let AuditReport { records, head, files, seals, sealed, keys, problems } = report;
    println!("{}", say!("{records} records, the last has the digest {head}", records, head));
    if *files > 0 {
        println!("{}", say!("{files} files hold the older ones", files));
    }
    let keys = keys.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    match seals {
        0 => println!(
            "{}",
            say!("no seal covers them yet: a daemon that runs seals now and then (audit.seal_every)")
        ),
        seals => println!("{}", say!("{seals} seals cover {sealed} records, by {keys}", seals, sealed, keys)),
    }
    if !is_held {
        println!(
            "{}",
            say!(
                "note: no seal from outside was compared, so a state that was put back from an older backup looks whole (--head, audit.head_file)"
            )
        );
    }
    match problems.as_slice() {
        [] => println!("{}", say!("the audit log is whole")),
        problems => problems.iter().for_each(|problem| println!("{problem}")),
    }
}

/// Records read at once.
const PAGE: u32 = 1000;

fn export(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::ReadAudit)?;
    let audit = Audit::open_read_only(&config.state_dir)?;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut after = args.after;
    loop {
        let page = audit.after(after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        for entry in &page {
            let object = object(entry, &config.calendar);
            match args.format {
                ExportFormat::Jsonl => writeln!(out, "{object}")?,
                ExportFormat::Syslog => writeln!(out, "{}", syslog(entry, &object, &host))?,
            }
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Facility 13 is the audit log's; what was refused is a warning. The text is UTF-8, which its mark says.
fn syslog(entry: &AuditEntry, object: &Value, host: &str) -> String {
    let severity = if entry.result == "done" { 6 } else { 4 };
    let host: String = host.chars().filter(char::is_ascii_graphic).take(255).collect();
    let host: &str = if host.is_empty() { "-" } else { &host };
    let at = object["at"].as_str().unwrap_or("-");
    format!("<{}>1 {at} {host} fiscwatch - audit - \u{feff}{object}", 13 * 8 + severity)
}
