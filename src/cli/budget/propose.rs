//! `fiscwatch budget propose`: next year's lines with a reason for each amount.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::{Args, ValueEnum};
use rust_decimal::Decimal;

use crate::{
    app::line_forecasts,
    cli::{
        ConfigArg,
        publish::written,
        runtime,
        table::{Cell, ListFormat, Table, TableColumn},
    },
    clock::{Clock, SystemClock},
    config::Config,
    decode::Decoder,
    evaluate::tables::budget_lines,
    event::{self, Cents, Instant, Ratio, money::format_cents, money::parse_amount},
    ledger::{Attributes, Ledger},
    say,
    settle::propose::{
        self as settle, BudgetProposal, Cap, CodeKind, Driver, LineKey, MISSED, Past, ProposalAccuracy,
        ProposedLine, measured, percent, propose,
    },
    settle::sheet::proposal_workbook,
    spreadsheet::GuardedCsv,
    store::Reader,
    text::quoted,
};

#[derive(Debug, Args)]
pub(crate) struct ProposeArgs {
    /// The fiscal year to propose
    #[arg(long, required_unless_present = "compare")]
    year: Option<i32>,
    /// What grows by how much: `gdp=5.2%` all lines, `gdp=5.2%:205` those whose code begins with 205; once for each
    #[arg(long = "driver", value_name = "NAME=RATE[:CODES]")]
    drivers: Vec<String>,
    /// Which code drivers and caps are about
    #[arg(long, value_enum, default_value = "function")]
    by: ByArg,
    /// The most that may be proposed in all (`1000000`), or for codes that begin with a text (`205=400000`); it is split by share
    #[arg(long = "cap", value_name = "[CODES=]AMOUNT")]
    caps: Vec<String>,
    /// The folder where this version is kept, as `.json`, `.csv` and `.xlsx` beside the versions before it
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Compare two versions, by their `.json` files
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"], conflicts_with = "year")]
    compare: Option<Vec<PathBuf>>,
    /// Compare with what was executed in that year, where the journal has it
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    pub config: ConfigArg,
    #[command(flatten)]
    form: ListFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ByArg {
    /// The functional class
    Function,
    /// The economic class
    Class,
    /// The unit
    Unit,
}

pub(crate) fn run(args: &ProposeArgs, config: &Config) -> anyhow::Result<()> {
    if let Some(files) = &args.compare {
        return compare(&read(&files[0])?, &read(&files[1])?, args.form);
    }
    let year = args.year.unwrap_or_default();
    let by = match args.by {
        ByArg::Function => CodeKind::Function,
        ByArg::Class => CodeKind::Class,
        ByArg::Unit => CodeKind::Unit,
    };
    let drivers = args.drivers.iter().map(|text| driver(text)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut caps = args.caps.iter().map(|text| cap(text)).collect::<anyhow::Result<Vec<_>>>()?;
    // Narrow caps first, and the one of all lines over what they leave.
    caps.sort_by_key(|cap| std::cmp::Reverse(cap.codes.len()));
    let past = past(config, year)?;
    let proposal = propose(&past, year, by, (&drivers, &caps)).map_err(anyhow::Error::msg)?;
    anyhow::ensure!(
        !proposal.lines.is_empty(),
        say!("the journal has nothing executed in {last}, so there is nothing to propose", last = year - 1)
    );
    if args.check {
        let measured = measured(&past, &proposal);
        let measured = measured.with_context(|| say!("the journal has nothing executed in {year}", year))?;
        return print_measured(&measured, args.form);
    }
    let mut notes = vec![say!("{sum} in {lines} lines", sum = proposal.sum, lines = proposal.lines.len())];
    if let Some(folder) = &args.out {
        let path = keep(folder, &proposal)?;
        notes.push(say!("kept as {path}", path = path.display()));
    }
    args.form.print(&table(&proposal), &proposal.lines, &notes)
}

/// What the years before executed, by line.
fn past(config: &Config, year: i32) -> anyhow::Result<Past> {
    let decoder = Decoder::new(config.calendar.clone());
    let mut reader = Reader::open(&config.state_dir)?;
    reader.agrees(&config.calendar)?;
    let ledger = reader.ledger(decoder.schema())?;
    let now = SystemClock.now();
    let last = year - 1;
    let mut past = Past::default();
    let open = config.calendar.fiscal_year(last).is_some_and(|year| now < year.end);
    let forecasts = if open { expected(config, &ledger, now)? } else { BTreeMap::new() };
    if open {
        past.forecast.insert(last);
    }
    for (line, attributes) in ledger.lines() {
        let Some(of) = attributes.fiscal_year else { continue };
        let cents = match forecasts.get(&*line.id).filter(|_| of == last) {
            Some(expected) => *expected,
            None => line.balances.executed,
        };
        let key = key(attributes);
        if let Some(name) = attributes.text(event::Column::UnitName) {
            past.units.insert(key.unit_code.clone(), name.to_owned());
        }
        *past.lines.entry(key).or_default().entry(of).or_default() += cents;
    }
    let indicators = ledger.indicators().iter().map(|(_, indicator)| indicator);
    let missed = indicators.filter(|i| i.fiscal_year == last && i.achievement().is_some_and(|a| a < MISSED));
    past.missed = missed.map(|indicator| indicator.project_code.to_string()).collect();
    Ok(past)
}

/// What lines will have executed at the end of their year.
fn expected(config: &Config, ledger: &Ledger, now: Instant) -> anyhow::Result<BTreeMap<String, Cents>> {
    let lines = budget_lines(ledger.lines_covered(), &config.calendar, now, &|_| true);
    let lines = lines.with_context(|| say!("the budget lines make no table"))?;
    let runtime = runtime()?;
    let made = runtime.block_on(line_forecasts(config, &lines, now));
    runtime.shutdown_background();
    Ok(made?.lines.into_iter().map(|(id, made)| (id, Cents::new(made.forecast.year_end))).collect())
}

fn key(attributes: &Attributes) -> LineKey {
    let text = |column| attributes.text(column).unwrap_or_default().to_owned();
    LineKey {
        region_code: text(event::Column::RegionCode),
        unit_code: text(event::Column::UnitCode),
        function_code: text(event::Column::FunctionCode),
        economic_code: text(event::Column::EconomicCode),
        project_code: text(event::Column::ProjectCode),
        fund_type: text(event::Column::FundType),
    }
}

/// `gdp=5.2%:205`
fn driver(text: &str) -> anyhow::Result<Driver> {
    let wrong = || say!("--driver: {text} is not written as gdp=5.2% or gdp=5.2%:205", text = quoted(text));
    let (name, rest) = text.split_once('=').with_context(wrong)?;
    let (rate, codes) = rest.split_once(':').unwrap_or((rest, ""));
    let rate = rate
        .strip_suffix('%')
        .and_then(|rate| Decimal::from_str_exact(rate.trim()).ok())
        .with_context(wrong)?;
    let millionths =
        rate.checked_mul(Decimal::from(10_000)).filter(Decimal::is_integer).with_context(wrong)?;
    let rate = i64::try_from(millionths)
        .ok()
        .filter(|rate| (-1_000_000..=10_000_000).contains(rate))
        .with_context(wrong)?;
    let rate = Ratio::from_millionths(rate.into());
    Ok(Driver { name: name.trim().to_owned(), rate, codes: codes.trim().to_owned() })
}

/// `205=400000`
fn cap(text: &str) -> anyhow::Result<Cap> {
    let (codes, amount) = text.split_once('=').unwrap_or(("", text));
    let cents = parse_amount(amount.trim());
    let cents = cents.map_err(|why| {
        anyhow::anyhow!(say!("--cap: {text} is no amount: {why}", text = quoted(amount), why))
    })?;
    Ok(Cap { codes: codes.trim().to_owned(), cents })
}

/// Writes a version beside those that are there; none is ever written over.
fn keep(folder: &Path, proposal: &BudgetProposal) -> anyhow::Result<PathBuf> {
    let named = |version: u32, ending: &str| format!("proposal-{}-v{version}.{ending}", proposal.fiscal_year);
    let is_new = |version: &u32| !folder.join(named(*version, "json")).exists();
    let version = (1..=u32::MAX).find(is_new).unwrap_or(u32::MAX);
    let json = serde_json::to_string_pretty(proposal)? + "\n";
    let files = [
        ("csv", csv(proposal)?),
        ("xlsx", proposal_workbook(proposal)?),
        // Last: a version is there when this file is.
        ("json", json.into_bytes()),
    ];
    written(folder, &files.map(|(ending, bytes)| (named(version, ending), bytes)))?;
    Ok(folder.join(named(version, "json")))
}

fn csv(proposal: &BudgetProposal) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rows = GuardedCsv::plain(&mut bytes);
    rows.row(settle::COLUMNS.map(|(name, _)| name))?;
    for line in &proposal.lines {
        rows.row(line.cells(proposal.fiscal_year))?;
    }
    rows.flush()?;
    drop(rows);
    Ok(bytes)
}

fn read(path: &Path) -> anyhow::Result<BudgetProposal> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let proposal: Result<BudgetProposal, _> = serde_json::from_str(&text);
    let mut proposal = proposal
        .map_err(|_| anyhow::anyhow!(say!("{path} is no version of a proposal", path = path.display())))?;
    for line in &mut proposal.lines {
        line.cents = parse_amount(&line.amount).unwrap_or_default();
    }
    Ok(proposal)
}

fn table(proposal: &BudgetProposal) -> Table {
    let mut table = Table::new([
        TableColumn::new("unit_code", say!("unit")).shrinks(8),
        TableColumn::new("unit_name", say!("name")).shrinks(8),
        TableColumn::new("function_code", say!("function")),
        TableColumn::new("economic_code", say!("economic class")),
        TableColumn::new("executed", say!("executed in {year}", year = proposal.fiscal_year - 1)).right(),
        TableColumn::new("amount", say!("proposed")).right(),
        TableColumn::new("reason", say!("reason")).shrinks(20),
    ]);
    for line in &proposal.lines {
        let last = line.executed.get(&(proposal.fiscal_year - 1));
        table.row([
            Cell::text(&*line.key.unit_code),
            Cell::text(&*line.unit_name),
            Cell::text(&*line.key.function_code),
            Cell::text(&*line.key.economic_code),
            last.map_or(Cell::Missing, |amount| Cell::Money(amount.clone())),
            Cell::Money(line.amount.clone()),
            Cell::text(&*line.reason),
        ]);
    }
    table
}

/// A line in two versions.
#[derive(Debug, serde::Serialize)]
struct Changed<'p> {
    #[serde(flatten)]
    key: &'p LineKey,
    old: Option<&'p str>,
    new: Option<&'p str>,
    difference: String,
    reason: &'p str,
}

fn compare(old: &BudgetProposal, new: &BudgetProposal, form: ListFormat) -> anyhow::Result<()> {
    let by_key = |of: &'_ BudgetProposal| -> BTreeMap<LineKey, ProposedLine> {
        of.lines.iter().map(|line| (line.key.clone(), line.clone())).collect()
    };
    let (before, after) = (by_key(old), by_key(new));
    let keys: std::collections::BTreeSet<&LineKey> = before.keys().chain(after.keys()).collect();
    let changed = |key: &&LineKey| before.get(*key).map(|l| l.cents) != after.get(*key).map(|l| l.cents);
    let mut table = Table::new([
        TableColumn::new("unit_code", say!("unit")).shrinks(8),
        TableColumn::new("function_code", say!("function")),
        TableColumn::new("economic_code", say!("economic class")),
        TableColumn::new("old", say!("before")).right(),
        TableColumn::new("new", say!("after")).right(),
        TableColumn::new("difference", say!("difference")).right(),
        TableColumn::new("reason", say!("reason")).shrinks(20),
    ]);
    let mut rows = Vec::new();
    let mut sum = Cents::ZERO;
    for key in keys.into_iter().filter(changed) {
        let (was, is) = (before.get(key), after.get(key));
        let difference =
            is.map_or(Cents::ZERO, |line| line.cents) - was.map_or(Cents::ZERO, |line| line.cents);
        sum += difference;
        let money =
            |line: Option<&ProposedLine>| line.map_or(Cell::Missing, |line| Cell::Money(line.amount.clone()));
        let reason = is.or(was).map_or("", |line| &line.reason);
        table.row([
            Cell::text(&*key.unit_code),
            Cell::text(&*key.function_code),
            Cell::text(&*key.economic_code),
            money(was),
            money(is),
            Cell::Money(format_cents(difference)),
            Cell::text(reason),
        ]);
        rows.push(Changed {
            key,
            old: was.map(|line| line.amount.as_str()),
            new: is.map(|line| line.amount.as_str()),
            difference: format_cents(difference),
            reason,
        });
    }
    let notes = [say!("{lines} lines differ, by {sum} in all", lines = rows.len(), sum = format_cents(sum))];
    form.print(&table, &rows, &notes)
}

fn print_measured(measured: &ProposalAccuracy, form: ListFormat) -> anyhow::Result<()> {
    if form.json {
        return Ok(writeln!(std::io::stdout().lock(), "{}", serde_json::to_string(measured)?)?);
    }
    let (ours, theirs) = (percent(measured.median_error), percent(measured.median_error_of_last_year));
    let lines = measured.lines;
    let text = say!(
        "median error of {lines} lines: {ours} by the proposal, {theirs} by last year plus growth",
        lines,
        ours,
        theirs
    );
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}
