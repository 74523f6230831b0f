//! `fiscwatch budget show|top|export|indicators|adjustments|propose`

mod adjustments;
mod propose;

use std::{io::Write, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::{
    ConfigArg, runtime,
    table::{Cell, FactSheet, ListFormat, Screen, Table, TableColumn, more, plain, separated, title},
};
use crate::{
    access::Action,
    app::line_forecasts,
    clock::{Clock, SystemClock},
    config::Config,
    daemon::LineForecasts,
    decode::Decoder,
    diagnostic::nearest,
    evaluate::tables::budget_lines,
    event::{Cents, Instant, money::format_cents, time::Calendar},
    forecast::{Basis, ForecastMethod},
    ledger::{
        Attributes, Indicator, Ledger, Line,
        report::{indicator_object, line_object},
    },
    say,
    sql::tables::{FORECAST_COLUMNS, SUMS},
    store::Reader,
    text::quoted,
};

#[derive(Debug, Subcommand)]
pub(crate) enum BudgetCommand {
    /// Show one budget line with all its balances, and what it will have executed at the end of its year
    Show {
        /// The `budget_line_id`
        id: String,
        /// The time of the forecast (a date, or RFC 3339), not before the day of the latest event; now if it is not given
        #[arg(long)]
        at: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Show the lines that come first by some measure
    Top {
        /// The measure
        #[arg(long, value_enum, default_value = "overspent")]
        by: RankBy,
        /// How many
        #[arg(short = 'n', long, default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        common: Common,
    },
    /// Show what programmes are to achieve and have achieved
    Indicators {
        /// Only of this programme, by its `project_code`
        #[arg(long)]
        project: Option<String>,
        /// Only of this unit, by its `unit_code`
        #[arg(long)]
        unit: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// 调整台账: show every action on budget lines, with the totals before and after it
    Adjustments(adjustments::AdjustmentsArgs),
    /// 预算建议: propose the lines of a year from what the three years before executed, each amount with its reason
    Propose(propose::ProposeArgs),
    /// Print all lines as JSON Lines, sorted by `budget_line_id`
    Export {
        /// The file to write; standard output if it is not given
        #[arg(long)]
        out: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Common {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    form: ListFormat,
}

/// What `top` sorts by.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RankBy {
    /// Executed beyond the total
    Overspent,
    /// Executed
    Executed,
    /// Available
    Available,
    /// Total
    Total,
    /// Reserved by applications
    Reserved,
}

impl RankBy {
    fn of(self, line: &Line) -> Cents {
        let b = &line.balances;
        match self {
            Self::Overspent => b.executed - b.total,
            Self::Executed => b.executed,
            Self::Available => b.available(),
            Self::Total => b.total,
            Self::Reserved => b.reserved,
        }
    }
}

pub(crate) fn budget(command: &BudgetCommand) -> anyhow::Result<ExitCode> {
    if let BudgetCommand::Adjustments(args) = command {
        adjustments::adjustments(args, &args.config.permitted(Action::ReadBudget)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let BudgetCommand::Propose(args) = command {
        propose::run(args, &args.config.permitted(Action::ExportBudget)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (BudgetCommand::Show { common, .. }
    | BudgetCommand::Top { common, .. }
    | BudgetCommand::Indicators { common, .. }
    | BudgetCommand::Export { common, .. }) = command
    else {
        return Ok(ExitCode::SUCCESS);
    };
    let config = common.config.permitted(match command {
        BudgetCommand::Export { .. } => Action::ExportBudget,
        _ => Action::ReadBudget,
    })?;
    let decoder = Decoder::new(config.calendar.clone());
    let mut reader = Reader::open(&config.state_dir)?;
    reader.agrees(&config.calendar)?;
    let ledger = reader.ledger(decoder.schema())?;
    match command {
        BudgetCommand::Show { id, at, .. } => show(&ledger, (id, at.as_deref()), common.form, &config),
        BudgetCommand::Top { by, limit, .. } => top(&ledger, *by, *limit, common.form, &config),
        BudgetCommand::Indicators { project, unit, .. } => {
            let wanted =
                |wanted: &Option<String>, is: Option<&str>| wanted.is_none() || wanted.as_deref() == is;
            let of = |indicator: &Indicator| {
                wanted(project, Some(&indicator.project_code)) && wanted(unit, indicator.unit_code.as_deref())
            };
            indicators(&ledger, &of, common.form, &config)
        }
        BudgetCommand::Adjustments(_) | BudgetCommand::Propose(_) => Ok(()),
        BudgetCommand::Export { out: None, .. } => export(&ledger, &config, &mut std::io::stdout().lock()),
        BudgetCommand::Export { out: Some(path), .. } => {
            let mut file = std::io::BufWriter::new(crate::private::create(path)?);
            export(&ledger, &config, &mut file)?;
            file.flush()?;
            Ok(())
        }
    }?;
    Ok(ExitCode::SUCCESS)
}

fn show(
    ledger: &Ledger,
    (id, at): (&str, Option<&str>),
    form: ListFormat,
    config: &Config,
) -> anyhow::Result<()> {
    let now = at.map_or_else(|| Ok(SystemClock.now()), |at| config.calendar.parse(at)).context("--at")?;
    let Some((line, attributes)) = ledger.line(id) else {
        let near = nearest(id, ledger.lines().map(|(line, _)| &*line.id));
        let hint = near.map_or(String::new(), |near| say!("; did you mean {near}?", near = quoted(near)));
        let (id, count) = (quoted(id), ledger.len());
        anyhow::bail!("{}", say!("there is no budget line {id} among {count}{hint}", id, count, hint));
    };
    let latest = ledger.lines().map(|(line, _)| line.last_event_at).max();
    let day = |at| config.calendar.local(at).date();
    if let Some(latest) = latest.filter(|latest| at.is_some() && day(now) < day(*latest)) {
        anyhow::bail!(say!(
            "the balances are of {time}, and not of the time that --at names: name that day, or a later one",
            time = config.calendar.format(latest)
        ));
    }
    let mut object = line_object(line, attributes, &config.calendar);
    config.code_tables().add_names(&mut object, line.last_event_at);
    object.extend(forecast(ledger, id, now, config)?);
    if form.json || form.csv || form.excel {
        let columns: Vec<_> = object.keys().map(String::as_str).collect();
        let table = table(std::iter::once(&object), &columns, &config.calendar);
        return form.print(&table, [&object], &[]);
    }
    let mut sheet = FactSheet::default();
    for (name, value) in &object {
        sheet.add(title(name), cell(name, value, &config.calendar));
    }
    std::io::stdout().lock().write_all(sheet.render(Screen::stdout()).as_bytes())?;
    Ok(())
}

/// What the line is expected to have executed at the end of its year. Without it the balances are shown all the same.
fn forecast(ledger: &Ledger, id: &str, now: Instant, config: &Config) -> anyhow::Result<Map<String, Value>> {
    let runtime = runtime()?;
    let lines = budget_lines(ledger.lines_covered(), &config.calendar, now, &|_| true);
    let lines = lines.with_context(|| say!("the budget lines make no table"));
    let made = lines.and_then(|lines| runtime.block_on(line_forecasts(config, &lines, now)));
    runtime.shutdown_background();
    let made = made.unwrap_or_else(|e| {
        eprintln!("{}", say!("no forecast: {error}", error = format!("{e:#}")));
        LineForecasts::default()
    });
    let line = made.lines.get(id);
    let forecast = line.map(|line| line.forecast);
    let [year_end, low, high] = FORECAST_COLUMNS;
    let cells = [
        (year_end, forecast.map(|f| f.year_end)),
        (low, forecast.and_then(|f| f.low)),
        (high, forecast.and_then(|f| f.high)),
        ("naive_year_end", line.and_then(|line| line.naive)),
    ];
    let cells = cells.map(|(name, cents)| (name.to_owned(), json!(cents.map(format_cents))));
    let basis = line
        .and_then(|line| line.basis)
        .map(|basis| ("forecast_basis".to_owned(), json!(told(&basis, &made.years))));
    Ok(cells.into_iter().chain(basis).collect())
}

/// What a forecast is made of, in words.
fn told(basis: &Basis, years: &[i32]) -> String {
    let part = |(method, cents, weight): (ForecastMethod, _, _)| {
        let method = match method {
            ForecastMethod::Budget => say!("budget and season"),
            ForecastMethod::Pace => say!("even pace"),
            ForecastMethod::LastYear => say!("as last year"),
        };
        say!("{method} {amount} ({weight} %)", method, amount = separated(&format_cents(cents)), weight)
    };
    let parts: Vec<_> = basis.parts().map(part).collect();
    let parts = parts.join(", ");
    if years.is_empty() {
        return say!("{parts}; no closed year to learn from", parts);
    }
    let years = years.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    say!("{parts}; by the errors of {years}", parts, years)
}

/// A value of a budget line or an indicator: its name tells what it is.
fn cell(name: &str, value: &Value, calendar: &Calendar) -> Cell {
    match (name, value) {
        (_, Value::Null) => Cell::Missing,
        ("approved", Value::Bool(yes)) => {
            Cell::word(if *yes { "yes" } else { "no" }, if *yes { "是" } else { "否" })
        }
        ("last_event_at" | "stated_at" | "due", value) => Cell::instant(&plain(value), calendar),
        ("executed_ratio" | "overspend_ratio" | "year_elapsed" | "achievement", value) => {
            Cell::Share(plain(value))
        }
        (name, value) if is_money(name) => Cell::Money(plain(value)),
        ("target" | "actual", value) => Cell::Count(plain(value)),
        (_, value) => Cell::text(plain(value)),
    }
}

/// Whether a column of a line is an amount.
fn is_money(name: &str) -> bool {
    SUMS.contains(&name) || FORECAST_COLUMNS.contains(&name) || name == "naive_year_end"
}

/// Some columns of objects. Ids and names give way where room is short, and then balances that others tell too.
fn table<'o>(
    objects: impl Iterator<Item = &'o Map<String, Value>>,
    columns: &[&str],
    calendar: &Calendar,
) -> Table {
    let column = |name: &&str| {
        let column = TableColumn::new(*name, title(name));
        match *name {
            "reserved" | "executed_ratio" | "achievement" => column.right().spare(),
            "target" | "actual" => column.right(),
            name if is_money(name) => column.right(),
            "due" => column,
            _ => column.shrinks(8),
        }
    };
    let mut table = Table::new(columns.iter().map(column));
    for object in objects {
        table.row(columns.iter().map(|name| cell(name, object.get(*name).unwrap_or(&Value::Null), calendar)));
    }
    table
}

fn top(ledger: &Ledger, by: RankBy, limit: usize, form: ListFormat, config: &Config) -> anyhow::Result<()> {
    let mut lines: Vec<(&Line, &Attributes)> = ledger.lines().collect();
    lines.sort_by(|(a, _), (b, _)| by.of(b).cmp(&by.of(a)).then_with(|| a.id.cmp(&b.id)));
    lines.truncate(limit);
    let columns =
        ["budget_line_id", "unit_name", "total", "executed", "reserved", "available", "executed_ratio"];
    let codes = config.code_tables();
    let object = |(line, attributes): (&Line, &Attributes)| {
        let mut object = line_object(line, attributes, &config.calendar);
        codes.add_names(&mut object, line.last_event_at);
        object
    };
    let objects: Vec<_> = lines.into_iter().map(object).collect();
    let left = more(objects.len(), ledger.len() as u64);
    form.print(&table(objects.iter(), &columns, &config.calendar), &objects, left.as_slice())
}

fn indicators(
    ledger: &Ledger,
    wanted: &dyn Fn(&Indicator) -> bool,
    form: ListFormat,
    config: &Config,
) -> anyhow::Result<()> {
    let columns = ["indicator_id", "indicator_name", "unit_name", "target", "actual", "achievement", "due"];
    let chosen = ledger.indicators().iter().filter(|(_, indicator)| wanted(indicator));
    let objects: Vec<_> =
        chosen.map(|(id, indicator)| indicator_object(id, indicator, &config.calendar)).collect();
    form.print(&table(objects.iter(), &columns, &config.calendar), &objects, &[])
}

fn export(ledger: &Ledger, config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
    let mut lines: Vec<_> = ledger.lines().collect();
    lines.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
    let codes = config.code_tables();
    for (line, attributes) in lines {
        let mut object = line_object(line, attributes, &config.calendar);
        codes.add_names(&mut object, line.last_event_at);
        writeln!(out, "{}", Value::Object(object))?;
    }
    Ok(())
}
