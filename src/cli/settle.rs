//! `fiscwatch settle`

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueEnum};

use super::{
    ConfigArg,
    local::{local, permit},
    officer::now,
    publish::written,
    table::{Cell, ListFormat, Table, TableColumn},
};
use crate::{
    access::Action,
    config::Config,
    event::{Instant, TimeDelta, event_schema},
    say,
    settle::{
        COLUMNS, Figures, LateEvent, Statement, StatementLevel, StatementRow,
        against::{FigureDifference, TableComparison, against},
        late, sheet, statement,
    },
    store::{Freeze, JournalView, freeze},
};

#[derive(Debug, Args)]
pub(crate) struct SettleArgs {
    /// The fiscal year
    year: i32,
    #[command(flatten)]
    config: ConfigArg,
    /// How lines are put together
    #[arg(long, value_enum, default_value = "unit")]
    by: LevelChoice,
    /// Freeze the year where the journal ends now: what comes later is listed, and never merged
    #[arg(long)]
    freeze: bool,
    /// Write the statement (.json and .xlsx) and what came after the freeze (.jsonl) to this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Compare with this table of the bureau (CSV or Excel), and list what differs
    #[arg(long, value_name = "FILE", conflicts_with = "freeze")]
    against: Option<PathBuf>,
    #[command(flatten)]
    form: ListFormat,
}

/// How lines are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LevelChoice {
    /// Each by itself
    Line,
    /// By unit
    Unit,
    /// By function
    Function,
    /// By economic class
    Class,
}

impl LevelChoice {
    const fn group(self) -> StatementLevel {
        match self {
            Self::Line => StatementLevel::Line,
            Self::Unit => StatementLevel::Unit,
            Self::Function => StatementLevel::Function,
            Self::Class => StatementLevel::Class,
        }
    }
}

pub(crate) fn settle(args: &SettleArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::ExportBudget)?;
    let history = JournalView::open(&config.state_dir, &event_schema(&config.calendar.zone_name))?;
    history.agrees(&config.calendar)?;
    let mut frozen = history.frozen(args.year)?;
    let until = frozen.map_or_else(|| history.end(), |freeze| Ok(freeze.until))?;
    let statement = statement(&history, args.year, until, &config.calendar)?;
    check(&statement, frozen.as_ref(), &history)?;
    if args.freeze {
        frozen = Some(frozen.map_or_else(|| freeze_now(&config, &statement, until), Ok)?);
    }
    is_told_of(&statement)?;
    let late = match frozen {
        Some(freeze) => late(&history, args.year, freeze.until, &config.calendar)?,
        None => Vec::new(),
    };
    if let Some(dir) = &args.out {
        write(dir, &statement, &late)?;
    }
    if let Some(path) = &args.against {
        return differences(&against(&statement, args.by.group(), path)?, args.form);
    }
    let notes = notes(&statement, frozen.as_ref(), &late, &config);
    args.form.print(&table(&statement, args.by, &config), statement.rows(args.by.group()), &notes)?;
    Ok(ExitCode::SUCCESS)
}

/// A statement that does not add up, or is not what was frozen, is none.
fn check(statement: &Statement, frozen: Option<&Freeze>, history: &JournalView) -> anyhow::Result<()> {
    anyhow::ensure!(
        history.retired()? == 0 || frozen.is_some(),
        say!("events were deleted for state.retain, so the journal does not give whole years")
    );
    if let Some(problem) = statement.problems.first() {
        let more = statement.problems.len() - 1;
        anyhow::bail!(say!("the statement does not add up: {problem} ({more} more)", problem, more));
    }
    anyhow::ensure!(
        frozen.is_none_or(|freeze| freeze.print == statement.print()),
        say!(
            "the journal does not give the statement any more that was frozen; `fiscwatch state verify` tells whether the state is damaged"
        )
    );
    Ok(())
}

/// Noughts would look like a year in which nothing was spent.
fn is_told_of(statement: &Statement) -> anyhow::Result<()> {
    let year = statement.fiscal_year;
    anyhow::ensure!(!statement.lines.is_empty(), say!("the journal has no budget line of {year}", year));
    Ok(())
}

fn freeze_now(config: &Config, statement: &Statement, until: i64) -> anyhow::Result<Freeze> {
    permit(config, Action::SettleYear)?;
    let (year, at) = (statement.fiscal_year, now());
    let end = config.calendar.fiscal_year(year).map_or(Instant::MAX, |year| year.end);
    anyhow::ensure!(
        at >= end,
        say!("the fiscal year {year} ends on {end}; it is frozen after that", year, end = statement.to)
    );
    is_told_of(statement)?;
    let made = Freeze { year, until, at, print: statement.print() };
    anyhow::ensure!(
        freeze(&config.state_dir, &made, &local())?,
        say!("somebody else has frozen {year} at this moment; run it again", year)
    );
    Ok(made)
}

fn table(statement: &Statement, by: LevelChoice, config: &Config) -> Table {
    let first = match by {
        LevelChoice::Line => ("budget_line_id", say!("budget line")),
        LevelChoice::Unit => ("unit_code", say!("unit")),
        LevelChoice::Function => ("function_code", say!("function")),
        LevelChoice::Class => ("economic_code", say!("economic class")),
    };
    let mut columns = vec![TableColumn::new(first.0, first.1).shrinks(8)];
    // A table of codes tells what units and classes are called at the end of the year.
    let codes = config.code_tables();
    let end = config
        .calendar
        .fiscal_year(statement.fiscal_year)
        .map_or(Instant::MAX, |year| year.end - TimeDelta::MICROSECOND);
    let is_named = by == LevelChoice::Unit || (by != LevelChoice::Line && codes.codes(first.0).is_some());
    let called = |row: &StatementRow| match row.unit_name.is_empty() {
        true => codes.code_name(first.0, &row.code, end).unwrap_or_default().to_owned(),
        false => row.unit_name.clone(),
    };
    if is_named {
        columns.push(TableColumn::new("unit_name", say!("name")).shrinks(8));
    }
    columns.extend(
        COLUMNS.iter().zip(titles()).map(|((name, _), title)| TableColumn::new(*name, title).right()),
    );
    let mut table = Table::new(columns);
    let row = |code: Cell, name: &str, figures: &Figures| {
        let mut cells = vec![code];
        if is_named {
            cells.push(Cell::text(name));
        }
        cells.extend(figures.cents().map(|cents| Cell::Money(cents.to_string())));
        cells
    };
    for group in statement.rows(by.group()) {
        table.row(row(Cell::text(&*group.code), &called(group), &group.figures));
    }
    table.row(row(Cell::Word(String::from("sum"), say!("sum")), "", &statement.sum));
    table
}

fn titles() -> [String; 9] {
    [
        say!("beginning"),
        say!("carried over"),
        say!("supplemented"),
        say!("reduced"),
        say!("transferred"),
        say!("reclaimed"),
        say!("total"),
        say!("executed"),
        say!("balance"),
    ]
}

fn notes(statement: &Statement, frozen: Option<&Freeze>, late: &[LateEvent], config: &Config) -> Vec<String> {
    let (year, block) = (statement.fiscal_year, statement.last_block);
    let mut notes = vec![match frozen {
        Some(freeze) => {
            let at = config.calendar.format(freeze.at);
            say!("{year} was frozen at {at}, at block {block} of the journal", year, at, block)
        }
        None => say!("{year} is not frozen: the next event may change this (--freeze)", year),
    }];
    if !late.is_empty() {
        let count = late.len();
        notes.push(say!("{count} events came after the freeze and are not in it; --out lists them", count));
    }
    notes
}

fn write(dir: &Path, statement: &Statement, late: &[LateEvent]) -> anyhow::Result<()> {
    let year = statement.fiscal_year;
    let json = serde_json::to_string_pretty(statement)? + "\n";
    let lines = late.iter().map(|event| serde_json::to_string(event).map(|line| line + "\n"));
    let files = [
        (format!("settlement-{year}.json"), json.into_bytes()),
        (format!("settlement-{year}.xlsx"), sheet::workbook(statement)?),
        (format!("after-{year}.jsonl"), lines.collect::<Result<String, _>>()?.into_bytes()),
    ];
    written(dir, &files)
}

/// Exit code 1 if something differs.
fn differences(compared: &TableComparison, form: ListFormat) -> anyhow::Result<ExitCode> {
    let mut table = Table::new([
        TableColumn::new("code", say!("code")).shrinks(8),
        TableColumn::new("column", say!("column")),
        TableColumn::new("ours", say!("here")).right(),
        TableColumn::new("theirs", say!("in their table")).right(),
    ]);
    let money = |amount: &Option<String>| amount.clone().map_or(Cell::Missing, Cell::Money);
    for FigureDifference { code, column, ours, theirs } in &compared.differences {
        let title = COLUMNS.iter().zip(titles()).find(|((name, _), _)| name == column);
        let title = title.map_or_else(|| say!("the row is missing there"), |(_, title)| title);
        table.row([Cell::text(&**code), Cell::Word((*column).to_owned(), title), money(ours), money(theirs)]);
    }
    let TableComparison { figures, rows, differences } = compared;
    let count = differences.len();
    let notes =
        [say!("{figures} figures of {rows} rows were compared; {count} differ", figures, rows, count)];
    form.print(&table, differences, &notes)?;
    Ok(ExitCode::from(u8::from(!differences.is_empty())))
}
