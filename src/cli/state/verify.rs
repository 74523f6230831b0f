//! `fiscwatch state verify`

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::Args;
use serde_json::json;

use super::{
    ConfigArg, problems, runtime,
    table::{Cell, Screen, Table, TableColumn, visible},
};
use crate::{
    access::Action,
    app, daemon,
    decode::Decoder,
    event::Instant,
    say,
    store::{Check, CheckOutcome, JournalView, verify_backup},
    text::quoted,
};

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The state directory or backup; `state.dir` of the configuration if it is not given
    dir: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
    /// Make the findings again by the rules of the configuration, and compare
    #[arg(long)]
    findings: bool,
    /// Compare findings from this time on (a date, or RFC 3339)
    #[arg(long, requires = "findings")]
    from: Option<String>,
    /// Compare findings before this time
    #[arg(long, requires = "findings")]
    to: Option<String>,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// The checks of what is made of the journal.
const RESULTS: [&str; 4] = ["tables", "history", "findings", "attachments"];

pub(crate) fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::ReadState)?;
    let dir = args.dir.as_ref().unwrap_or(&config.state_dir);
    let time = |text: &Option<String>, flag| -> anyhow::Result<Option<Instant>> {
        let parse =
            |t: &String| config.calendar.parse(t).map_err(|e| anyhow::anyhow!("{flag} {}: {e}", quoted(t)));
        text.as_ref().map(parse).transpose()
    };
    let range = app::Range { from: time(&args.from, "--from")?, to: time(&args.to, "--to")? };
    let mut checks: Vec<Check> = verify_backup(dir)?.into_iter().collect();
    let schema = Arc::clone(Decoder::new(Arc::clone(&config.calendar)).schema());
    // One snapshot for everything, so that a daemon may go on beside.
    let history = JournalView::open(dir, &schema)?;
    history.agrees(&config.calendar)?;
    checks.extend(history.verify(&schema)?);
    if args.findings {
        // Findings that do not match their checksum are compared one by one all the same: that names them.
        if checks.iter().any(|check| check.outcome == CheckOutcome::Failed && !RESULTS.contains(&check.name))
        {
            checks.push(Check::skipped("findings again", say!("the state is damaged")));
        } else {
            let rules = daemon::rules_to_start(&config).map_err(problems)?;
            checks.extend(runtime()?.block_on(app::recheck(&config, rules, &history, range))?);
        }
    }
    // What did not come to its end proves nothing.
    let good = checks.iter().all(|check| matches!(check.outcome, CheckOutcome::Ok | CheckOutcome::Skipped));
    if args.json {
        println!("{}", json!({ "dir": dir, "ok": good, "checks": checks }));
    } else {
        print(&checks);
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What a check looks at.
fn title(name: &str) -> String {
    match name {
        "backup" => say!("backup"),
        "database" => say!("database"),
        "numbers" => say!("numbers"),
        "journal" => say!("journal"),
        "sealed files" => say!("sealed files"),
        "event ids" => say!("event ids"),
        "ledger" => say!("ledger"),
        "findings" => say!("findings"),
        "tables" => say!("tables"),
        "history" => say!("history"),
        "attachments" => say!("attachments"),
        "rules" => say!("rules"),
        "findings again" => say!("findings again"),
        "ticks again" => say!("ticks again"),
        other => other.to_owned(),
    }
}

pub(super) fn print(checks: &[Check]) {
    let mut table = Table::new([
        TableColumn::new("check", say!("check")),
        TableColumn::new("outcome", say!("outcome")),
        TableColumn::new("detail", say!("of")).shrinks(20),
    ]);
    for check in checks {
        let word = match check.outcome {
            CheckOutcome::Ok => say!("ok"),
            CheckOutcome::Failed => say!("FAILED"),
            CheckOutcome::Skipped => say!("not checked"),
            CheckOutcome::Incomplete => say!("INCOMPLETE"),
        };
        table.row([
            Cell::Word(check.name.to_owned(), title(check.name)),
            Cell::text(word),
            Cell::text(check.detail.as_str()),
        ]);
    }
    print!("{}", table.render(Screen::stdout()));
    for check in checks.iter().filter(|check| check.problem_count > 0) {
        let (name, count) = (title(check.name), check.problem_count);
        println!("{}", say!("{name}: {count} problems", name, count));
        check.problems.iter().for_each(|problem| println!("    {}", visible(problem)));
        let more = check.problem_count.saturating_sub(check.problems.len() as u64);
        if more > 0 {
            println!("    {}", say!("and {left} more", left = more));
        }
    }
    if checks.iter().any(|check| check.outcome == CheckOutcome::Incomplete) {
        println!(
            "{}",
            say!(
                "Not everything was compared, so this proves nothing about the rest. Give queries more room (engine.query_time, engine.query_memory_mib), or run it when the machine has less to do, and verify again."
            )
        );
    }
    if checks.iter().any(|check| check.outcome == CheckOutcome::Failed) {
        println!(
            "{}",
            say!(
                "The state is damaged. Stop the daemon, keep this directory as evidence, and restore the last backup that verifies (`fiscwatch state verify BACKUP`, `fiscwatch state restore BACKUP`); or read the sources again into a new directory."
            )
        );
    }
}
