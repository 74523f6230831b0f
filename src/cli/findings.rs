//! `fiscwatch findings list|export`

use std::{io::Write, process::ExitCode};

use clap::{Args, Subcommand};

use super::{ConfigArg, table};
use crate::store::{FindingFilter, Reader};

#[derive(Debug, Subcommand)]
pub enum FindingsCommand {
    /// Show the newest findings
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
    /// Print all findings as JSON Lines, in the order they were found
    Export {
        #[command(flatten)]
        filter: FilterArgs,
    },
}

#[derive(Debug, Args)]
pub struct FilterArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Only of this rule
    #[arg(long)]
    rule: Option<String>,
    /// Only of this severity
    #[arg(long)]
    severity: Option<String>,
}

impl FilterArgs {
    fn filter(&self) -> FindingFilter {
        FindingFilter { rule: self.rule.clone(), severity: self.severity.clone(), ..FindingFilter::default() }
    }
}

pub fn findings(command: &FindingsCommand) -> anyhow::Result<ExitCode> {
    let (FindingsCommand::List { filter, .. } | FindingsCommand::Export { filter }) = command;
    let config = filter.config.load_or_default()?;
    let reader = Reader::open(&config.state_dir)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match command {
        FindingsCommand::List { json, limit, .. } => {
            let found = reader.findings(&FindingFilter { limit: Some(*limit), ..filter.filter() })?;
            let mut table = table(&["at", "severity", "rule", "event", "summary"]);
            for (_, finding) in found {
                if *json {
                    writeln!(out, "{}", serde_json::to_string(&finding)?)?;
                }
                let subject = finding.event_id.unwrap_or_default();
                table.add_row([finding.at, finding.severity, finding.rule_id, subject, finding.summary]);
            }
            if !json {
                writeln!(out, "{table}")?;
            }
        }
        FindingsCommand::Export { .. } => {
            reader.export_findings(&filter.filter(), |body| writeln!(out, "{body}"))??;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
