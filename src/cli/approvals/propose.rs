//! `fiscwatch approvals propose`

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, anyhow, ensure};
use clap::Args;
use serde_json::{Map, Value};

use super::{ConfigArg, Officer, now, person, told};
use crate::{
    access::Action,
    approval::{Matter, NewMatter, Office, action, rows::ListAmendment},
    config::Config,
    daemon::{check_actions, office, with_adopted},
    decode::Decoder,
    diagnostic::read_text,
    say,
    store::Cases,
    text::quoted,
};

/// The largest file, in bytes: far more than a thousand rows.
const FILE_MAX: u64 = 16 << 20;

#[derive(Debug, Args)]
pub(crate) struct ProposeArgs {
    /// Why, for whoever approves it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// A file of budget actions, as events have them: JSON Lines, or CSV with a header
    #[arg(long, value_name = "FILE", conflicts_with_all = ["list", "put", "remove"], required_unless_present = "list")]
    budget: Option<PathBuf>,
    /// The list whose rows are to change
    #[arg(long, value_name = "NAME")]
    list: Option<String>,
    /// A CSV file with rows that are to be in the list; one whose key is there takes its place
    #[arg(long, value_name = "FILE", requires = "list")]
    put: Option<PathBuf>,
    /// Keys of rows that are to go
    #[arg(long, value_name = "KEY", requires = "list", num_args = 1..)]
    remove: Vec<String>,
    #[command(flatten)]
    officer: Officer,
    #[command(flatten)]
    config: ConfigArg,
    /// JSON instead of words
    #[arg(long)]
    json: bool,
}

pub(crate) fn propose(args: &ProposeArgs) -> anyhow::Result<ExitCode> {
    let needed = if args.list.is_some() { Action::ProposeRules } else { Action::ProposeBudget };
    let config = args.config.permitted(needed)?;
    let (actor, now) = (args.officer.actor(&config)?, now());
    let person = person(&config, &actor)?;
    let wish = match (&args.list, &args.budget) {
        (Some(list), _) => of_list(args, list, &config)?,
        (None, Some(file)) => {
            let wish = action::wish(actions(file)?, &args.reason, (now, &config.calendar));
            let wish = wish.map_err(|why| anyhow!(why))?;
            let trial = Matter::propose(0, wish.clone(), (&person, now), &Office::default());
            let decoder = Decoder::new(config.calendar.clone())
                .not_before(config.earliest_time())
                .in_currency(config.currency.clone());
            trial
                .and_then(|trial| check_actions(&decoder, &trial, (now, &config.calendar)))
                .map_err(|why| anyhow!(why))?;
            wish
        }
        // clap asks for one of them.
        (None, None) => return Err(anyhow!(say!("say what is proposed: --budget or --list"))),
    };
    // Where there is no state, that is told, and not that it has no key.
    let cases = Cases::open(&config.state_dir)?;
    let office = office(&config)?;
    let matter = cases.by(actor).propose_matter(wish, (&person, now), &office)?;
    match args.json {
        true => println!("{}", serde_json::to_string(&matter)?),
        false => println!("{}", told(&matter, &config)),
    }
    Ok(ExitCode::SUCCESS)
}

fn of_list(args: &ProposeArgs, name: &str, config: &Config) -> anyhow::Result<NewMatter> {
    let config = with_adopted(config.clone()).map_err(super::super::problems)?;
    ensure!(
        config.list_specs().any(|(known, _)| known == name),
        say!("there is no list {name} in the configuration", name = quoted(name))
    );
    let list = config.read_list(name).map_err(|problem| anyhow!(problem.to_string()))?;
    let put = match &args.put {
        None => Vec::new(),
        Some(file) => {
            let text = |row: Map<String, Value>| {
                let cell =
                    |(name, value): (String, Value)| (name, value.as_str().unwrap_or_default().to_owned());
                row.into_iter().map(cell).collect::<BTreeMap<_, _>>()
            };
            csv_rows(file)?.into_iter().map(text).collect()
        }
    };
    let rows = ListAmendment { put, remove: args.remove.clone() };
    rows.wish((name, &list), &args.reason).map_err(|why| anyhow!(why))
}

/// The budget actions of a file.
fn actions(file: &Path) -> anyhow::Result<Vec<Map<String, Value>>> {
    let is_csv = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
    if is_csv {
        return csv_rows(file);
    }
    let shown = || file.display().to_string();
    let text = text_of(file)?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let read = |(number, line): (usize, &str)| {
        let fault = |_| anyhow!(say!("{file}:{number}: this is no JSON object", file = shown(), number));
        serde_json::from_str(line).map_err(fault)
    };
    lines.map(read).collect()
}

/// A file that is proposed, as text.
fn text_of(file: &Path) -> anyhow::Result<String> {
    let shown = file.display().to_string();
    if std::fs::metadata(file).is_ok_and(|about| about.len() > FILE_MAX) {
        let mib = FILE_MAX >> 20;
        return Err(anyhow!(say!(
            "{file}: a file that is proposed has {mib} MiB at most",
            file = shown,
            mib
        )));
    }
    read_text(file).map_err(|(why, hint)| {
        let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        anyhow!("{shown}: {why}{hint}")
    })
}

/// The rows of a CSV file by its header; empty cells say nothing.
fn csv_rows(file: &Path) -> anyhow::Result<Vec<Map<String, Value>>> {
    let shown = || file.display().to_string();
    let text = text_of(file)?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().with_context(shown)?.clone();
    let mut rows = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| {
            let line = error.position().map_or(1, csv::Position::line);
            anyhow!(say!(
                "{file}:{line}: the row has more or fewer cells than the header",
                file = shown(),
                line
            ))
        })?;
        let cells = header.iter().zip(&row).map(|(name, cell)| (name.trim().to_owned(), cell.trim().into()));
        rows.push(cells.filter(|(_, cell): &(_, Value)| cell != "").collect());
    }
    Ok(rows)
}
