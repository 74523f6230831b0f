//! `fiscwatch findings list|export`

use std::{io::Write, process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};

use super::{
    ConfigArg,
    filter::{FilterArgs, states},
    persons::PersonsArg,
    remote,
    socket::Socket,
    table::{Cell, ListFormat, Table, TableColumn, more, pairs},
};
use crate::{
    access::Action,
    config::Config,
    daemon::load_rules,
    evaluate::schedule::PassedTick,
    event::time::Calendar,
    finding::Finding,
    http::lens::Lens,
    rule::RuleSet,
    say,
    store::{CaseFilter, Reader},
};

#[derive(Debug, Subcommand)]
pub(crate) enum FindingsCommand {
    /// Show the newest findings
    List {
        #[command(flatten)]
        which: WhichArgs,
        /// Only those stored before this number, the `next` of the API
        #[arg(long, value_name = "NUMBER")]
        before: Option<String>,
        /// At most so many
        #[arg(short = 'n', long, default_value_t = 100)]
        limit: u32,
        #[command(flatten)]
        form: ListFormat,
    },
    /// Print all findings as JSON Lines, in the order they were found
    Export {
        #[command(flatten)]
        which: WhichArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct WhichArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Only of alerts in this state; `active` are those that are not over
    #[arg(long, value_parser = states())]
    state: Option<String>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    persons: PersonsArg,
}

pub(crate) fn findings(command: &FindingsCommand) -> anyhow::Result<ExitCode> {
    let (FindingsCommand::List { which, .. } | FindingsCommand::Export { which }) = command;
    let action = match command {
        FindingsCommand::List { .. } => Action::ReadFindings,
        FindingsCommand::Export { .. } => Action::ExportFindings,
    };
    let config = which.config.load_or_default()?;
    if let FindingsCommand::List { before, limit, form, .. } = command
        && let Some(socket) = Socket::of(&config)?
    {
        let page = CaseFilter { before: before.clone(), ..CaseFilter::default() };
        let filter = which.filter.filter(which.state.as_deref(), page);
        return remote::findings(&socket, &config, filter, (*limit, which.persons.unmasked, form));
    }
    let (config, lens) = which.config.shown(action, which.persons)?;
    let reader = Reader::open(&config.state_dir)?;
    let page = match command {
        FindingsCommand::List { before, limit, .. } => {
            CaseFilter { before: before.clone(), limit: Some(*limit), ..CaseFilter::default() }
        }
        FindingsCommand::Export { .. } => CaseFilter::default(),
    };
    let wanted = match which.filter.wanted(which.state.as_deref(), page, &config) {
        Ok(wanted) => wanted,
        Err(code) => return Ok(code),
    };
    match command {
        FindingsCommand::List { form, .. } => {
            let found = reader.findings(&wanted)?.into_iter().map(|(_, finding)| finding);
            let seen = Seen::new(lens, &config);
            let found: Vec<_> = found.map(|finding| seen.finding(finding)).collect();
            let mut notes: Vec<_> = more(found.len(), reader.count_findings(&wanted)?).into_iter().collect();
            notes.extend(passed(&reader.passed_ticks()?, &config.calendar));
            form.print(&finding_table(&found, &config.calendar), &found, &notes)?;
        }
        FindingsCommand::Export { .. } => {
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            let seen = Seen::new(lens, &config);
            reader.export_findings(&wanted, |body| seen.write(body, &mut out))??;
            out.flush()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Findings as they are shown.
struct Seen {
    lens: Lens,
    rules: Arc<RuleSet>,
}

impl Seen {
    /// What columns tell of persons stand in the rules. Without rules more is masked, never less.
    fn new(lens: Lens, config: &Config) -> Self {
        let rules = match lens {
            Lens::Masked => load_rules(config).unwrap_or_default(),
            Lens::Whole => Arc::default(),
        };
        Self { lens, rules }
    }

    fn finding(&self, finding: Finding) -> Finding {
        self.lens.finding(finding, &self.rules)
    }

    /// Writes the body of a finding, to the byte as it is stored where all of it is shown.
    fn write(&self, body: &str, out: &mut impl Write) -> anyhow::Result<()> {
        if self.lens == Lens::Whole {
            return Ok(writeln!(out, "{body}")?);
        }
        let finding = self.finding(serde_json::from_str(body)?);
        Ok(writeln!(out, "{}", serde_json::to_string(&finding)?)?)
    }
}

/// What no finding tells: ticks that were passed without an answer.
fn passed(ticks: &[PassedTick], calendar: &Calendar) -> Option<String> {
    let last = ticks.last()?;
    let (n, rule, tick) = (ticks.len(), &last.rule, calendar.format(last.tick));
    Some(say!(
        "{n} ticks of schedules were passed without an answer, the last of rule {rule} at {tick}: {why}",
        n,
        rule,
        tick,
        why = last.why
    ))
}

/// Findings, a line each.
pub(crate) fn finding_table(findings: &[Finding], calendar: &Calendar) -> Table {
    let mut table = Table::new([
        TableColumn::new("finding_id", say!("finding")).unseen(),
        TableColumn::new("at", say!("event time")),
        TableColumn::new("severity", say!("severity")),
        TableColumn::new("rule_id", say!("rule id")).shrinks(12),
        TableColumn::new("event_id", say!("event")).shrinks(10).spare(),
        TableColumn::new("window_start", say!("window from")).unseen(),
        TableColumn::new("window_end", say!("window to")).unseen(),
        TableColumn::new("amount", say!("amount")).right().spare(),
        TableColumn::new("key", say!("key")).shrinks(12).spare(),
        TableColumn::new("summary", say!("summary")).shrinks(16),
    ]);
    for f in findings {
        let end = |text: Option<&str>| text.map_or(Cell::Missing, |text| Cell::instant(text, calendar));
        table.row([
            Cell::Id(f.finding_id.clone()),
            Cell::instant(&f.at, calendar),
            Cell::Severity(f.severity.word().to_owned()),
            Cell::text(&*f.rule_id),
            Cell::maybe(f.event_id.as_deref()),
            end(f.window.as_ref().map(|w| w.start.as_str())),
            end(f.window.as_ref().map(|w| w.end.as_str())),
            amount(f),
            Cell::text(pairs(&f.key)),
            Cell::text(&*f.summary),
        ]);
    }
    table
}

/// The amount of its event, or of its window.
fn amount(finding: &Finding) -> Cell {
    let named = ["amount", "total"].iter().find_map(|name| finding.values.get(*name)?.as_str());
    named.map_or(Cell::Missing, |amount| Cell::Money(amount.to_owned()))
}
