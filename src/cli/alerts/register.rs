//! `fiscwatch alerts register` and `alerts report`: the cases that a filter finds and a month in numbers, as workbooks.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Args;

use crate::{
    access::Action as Permit,
    cli::{
        ConfigArg,
        filter::{FilterArgs, states},
        local::permit,
        officer::{Officer, now, wrong_usage},
        persons::PersonsArg,
    },
    http::{
        register::register,
        reports::{span, view, workbook},
    },
    private, say,
    store::{CaseFilter, Cases},
};

#[derive(Debug, Args)]
pub(crate) struct RegisterArgs {
    /// Where the workbook goes; the file must not be there yet
    #[arg(long, value_name = "FILE")]
    xlsx: PathBuf,
    /// Only in this state; `active` are those that are not over
    #[arg(long, value_parser = states())]
    state: Option<String>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    persons: PersonsArg,
    #[command(flatten)]
    officer: Officer,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The month, such as 2026-05
    #[arg(long, value_name = "MONTH")]
    month: String,
    /// Where a workbook goes instead of JSON to the screen; the file must not be there yet
    #[arg(long, value_name = "FILE")]
    xlsx: Option<PathBuf>,
    #[command(flatten)]
    officer: Officer,
    #[command(flatten)]
    config: ConfigArg,
}

fn save(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    private::write_new(path, bytes).with_context(|| path.display().to_string())
}

pub(crate) fn cases(args: &RegisterArgs) -> anyhow::Result<ExitCode> {
    let (config, lens) = args.config.shown(Permit::ExportAlerts, args.persons)?;
    let wanted = match args.filter.wanted(args.state.as_deref(), CaseFilter::default(), &config) {
        Ok(wanted) => wanted,
        Err(code) => return Ok(code),
    };
    let actor = args.officer.actor(&config)?;
    let mut cases = Cases::open(&config.state_dir)?.by(actor.clone());
    let (bytes, count) =
        register(&mut cases, wanted, (lens, &config.calendar, &config.code_tables()), (&actor, now()))?;
    save(&args.xlsx, &bytes)?;
    println!("{}", say!("{count} cases are in {file}", count, file = args.xlsx.display()));
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn report(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    permit(&config, Permit::ExportAlerts)?;
    let (from, to) = match span(&args.month, &config.calendar) {
        Ok(span) => span,
        Err(message) => return Ok(wrong_usage(&message)),
    };
    let Some(path) = &args.xlsx else {
        let month = Cases::open_read_only(&config.state_dir)?.month(from, to)?;
        println!("{}", serde_json::to_string_pretty(&view(&args.month, month))?);
        return Ok(ExitCode::SUCCESS);
    };
    let actor = args.officer.actor(&config)?;
    let cases = Cases::open(&config.state_dir)?.by(actor.clone());
    let view = view(&args.month, cases.month(from, to)?);
    let bytes =
        workbook(&cases, &view, (&actor, now())).map_err(|problem| anyhow::anyhow!(problem.into_detail()))?;
    save(path, &bytes)?;
    println!("{}", say!("the report of {month} is in {file}", month = args.month, file = path.display()));
    Ok(ExitCode::SUCCESS)
}
