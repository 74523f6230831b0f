//! `fiscwatch notify list|retry`

use std::{io::Write, process::ExitCode};

use clap::{Args, Subcommand};

use super::{
    ConfigArg,
    officer::{line, now, span},
    table,
};
use crate::{
    http::view::NoticeView,
    store::{Cases, NoticeFilter},
};

#[derive(Debug, Subcommand)]
pub enum NotifyCommand {
    /// The newest notifications
    List(ListArgs),
    /// Try notifications again that are parked or wait for their next attempt
    Retry(RetryArgs),
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Only in this state
    #[arg(long, value_parser = ["pending", "sent", "parked"], conflicts_with = "parked")]
    state: Option<String>,
    /// Only those that their sink refused for good
    #[arg(long)]
    parked: bool,
    /// Only of this sink
    #[arg(long)]
    sink: Option<String>,
    /// At most so many
    #[arg(short = 'n', long, default_value_t = 50)]
    limit: u32,
    /// JSON Lines instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct RetryArgs {
    /// The notifications' ids, or their beginnings
    #[arg(required_unless_present_any = ["sink", "all"], conflicts_with_all = ["sink", "all"])]
    ids: Vec<String>,
    /// All of this sink
    #[arg(long, conflicts_with = "all")]
    sink: Option<String>,
    /// All of every sink
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    config: ConfigArg,
}

pub fn notify(command: &NotifyCommand) -> anyhow::Result<ExitCode> {
    match command {
        NotifyCommand::List(args) => list(args),
        NotifyCommand::Retry(args) => retry(args),
    }
}

fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    let state = args.state.clone().or_else(|| args.parked.then(|| String::from("parked")));
    let filter = NoticeFilter { state, sink: args.sink.clone(), before: None, limit: Some(args.limit) };
    let found = Cases::open_read_only(&config.state_dir)?.notifications(&filter)?;
    let now = now();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut table =
        table(&["notification", "age", "to", "reason", "alerts", "state", "tries", "the sink said"]);
    for n in &found {
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&NoticeView::new(n, &config.calendar))?)?;
            continue;
        }
        table.add_row([
            n.id.chars().take(12).collect(),
            span(now.saturating_sub(n.created_at)),
            n.recipient.as_ref().map_or(n.sink.clone(), |r| format!("{} {}", n.sink, line(r, 60))),
            n.reason.clone(),
            n.alerts.to_string(),
            n.state.clone(),
            n.attempts.to_string(),
            line(n.error.as_deref().unwrap_or("–"), 120),
        ]);
    }
    if !args.json {
        writeln!(out, "{table}")?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn retry(args: &RetryArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    let mut cases = Cases::open(&config.state_dir)?;
    if args.ids.is_empty() {
        if let Some(sink) = args.sink.as_deref().filter(|sink| config.sinks.iter().all(|s| s.name != *sink)) {
            anyhow::bail!("there is no sink {sink:?} in the configuration; what waits for it cannot be sent");
        }
        let count = cases.retry(None, args.sink.as_deref(), now())?;
        println!("{count} notifications are tried again, within a second if the daemon runs");
        return Ok(ExitCode::SUCCESS);
    }
    let mut code = ExitCode::SUCCESS;
    for id in &args.ids {
        match cases.retry_one(id, now()) {
            Ok(notice) => println!("{} is tried again, within a second if the daemon runs", notice.id),
            Err(e) => {
                eprintln!("fiscwatch: {e}");
                code = ExitCode::from(1);
            }
        }
    }
    Ok(code)
}
