//! `fiscwatch budget show|top|export|indicators`

use std::{io::Write, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::{ConfigArg, runtime, table};
use crate::{
    app::line_forecast,
    clock::{Clock, SystemClock},
    config::Config,
    decode::Decoder,
    diagnostic::nearest,
    evaluate::forecasts::FORECAST_COLUMNS,
    event::money::format_cents,
    ledger::{
        Attributes, Indicator, Ledger, Line,
        report::{indicator_object, line_object},
    },
    store::Reader,
};

#[derive(Debug, Subcommand)]
pub enum BudgetCommand {
    /// Show one budget line with all its balances, and what it will have executed at the end of its year
    Show {
        /// The `budget_line_id`
        id: String,
        /// The time of the forecast (a date, or RFC 3339); now if it is not given
        #[arg(long)]
        at: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Show the lines that come first by some measure
    Top {
        /// The measure
        #[arg(long, value_enum, default_value = "overspent")]
        by: Measure,
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
pub struct Common {
    #[command(flatten)]
    config: ConfigArg,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// What `top` sorts by.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Measure {
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

impl Measure {
    fn of(self, line: &Line) -> i128 {
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

pub fn budget(command: &BudgetCommand) -> anyhow::Result<ExitCode> {
    let (BudgetCommand::Show { common, .. }
    | BudgetCommand::Top { common, .. }
    | BudgetCommand::Indicators { common, .. }
    | BudgetCommand::Export { common, .. }) = command;
    let config = common.config.load_or_default()?;
    let decoder = Decoder::new(config.calendar.clone());
    let mut reader = Reader::open(&config.state_dir)?;
    reader.agrees(&config.calendar)?;
    let ledger = reader.ledger(decoder.schema())?;
    let mut out = std::io::stdout().lock();
    match command {
        BudgetCommand::Show { id, at, .. } => {
            show(&ledger, (id, at.as_deref()), common.json, &config, &mut out)
        }
        BudgetCommand::Top { by, limit, .. } => top(&ledger, *by, *limit, common.json, &config, &mut out),
        BudgetCommand::Indicators { project, unit, .. } => {
            let wanted =
                |wanted: &Option<String>, is: Option<&str>| wanted.is_none() || wanted.as_deref() == is;
            let of = |indicator: &Indicator| {
                wanted(project, Some(&indicator.project_code)) && wanted(unit, indicator.unit_code.as_deref())
            };
            indicators(&ledger, &of, common.json, &config, &mut out)
        }
        BudgetCommand::Export { out: None, .. } => export(&ledger, &config, &mut out),
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
    json: bool,
    config: &Config,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let now = at.map_or_else(|| Ok(SystemClock.now()), |at| config.calendar.parse(at)).context("--at")?;
    let Some((line, attributes)) = ledger.line(id) else {
        let near = nearest(id, ledger.lines().map(|(line, _)| &*line.id));
        let hint = near.map_or(String::new(), |near| format!("; did you mean {near:?}?"));
        anyhow::bail!("there is no budget line {id:?} among {}{hint}", ledger.len());
    };
    let mut object = line_object(line, attributes, &config.calendar);
    object.extend(forecast(ledger, id, now, config)?);
    if json {
        writeln!(out, "{}", Value::Object(object))?;
        return Ok(());
    }
    let mut table = table(&["", ""]);
    for (name, value) in object {
        table.add_row([name, text(&value)]);
    }
    writeln!(out, "{table}")?;
    Ok(())
}

/// What the line is expected to have executed at the end of its year. Without it the balances are shown all the same.
fn forecast(ledger: &Ledger, id: &str, now: i64, config: &Config) -> anyhow::Result<Map<String, Value>> {
    let runtime = runtime()?;
    let made = runtime.block_on(line_forecast(config, ledger, id, now));
    runtime.shutdown_background();
    let made = made.unwrap_or_else(|e| {
        eprintln!("no forecast: {e:#}");
        None
    });
    let (forecast, naive) = made.map_or((None, None), |(forecast, naive)| (Some(forecast), naive));
    let [year_end, low, high] = FORECAST_COLUMNS;
    let cells = [
        (year_end, forecast.map(|f| f.year_end)),
        (low, forecast.map(|f| f.low)),
        (high, forecast.map(|f| f.high)),
        ("naive_year_end", naive),
    ];
    Ok(cells.map(|(name, cents)| (name.to_owned(), json!(cents.map(format_cents)))).into_iter().collect())
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::from("–"),
        other => other.to_string(),
    }
}

fn top(
    ledger: &Ledger,
    by: Measure,
    limit: usize,
    json: bool,
    config: &Config,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut lines: Vec<(&Line, &Attributes)> = ledger.lines().collect();
    lines.sort_by(|(a, _), (b, _)| by.of(b).cmp(&by.of(a)).then_with(|| a.id.cmp(&b.id)));
    lines.truncate(limit);
    let columns =
        ["budget_line_id", "unit_name", "total", "executed", "reserved", "available", "executed_ratio"];
    let objects = lines.into_iter().map(|(line, attributes)| line_object(line, attributes, &config.calendar));
    list(objects, &columns, json, out)
}

/// Objects a line, or some of their columns as a table.
fn list(
    objects: impl Iterator<Item = Map<String, Value>>,
    columns: &[&str],
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut table = table(columns);
    for object in objects {
        if json {
            writeln!(out, "{}", Value::Object(object))?;
        } else {
            table.add_row(columns.iter().map(|name| object.get(*name).map_or(String::new(), text)));
        }
    }
    if !json {
        writeln!(out, "{table}")?;
    }
    Ok(())
}

fn indicators(
    ledger: &Ledger,
    wanted: &dyn Fn(&Indicator) -> bool,
    json: bool,
    config: &Config,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let columns = ["indicator_id", "indicator_name", "unit_name", "target", "actual", "achievement", "due"];
    let chosen = ledger.indicators().iter().filter(|(_, indicator)| wanted(indicator));
    let objects = chosen.map(|(id, indicator)| indicator_object(id, indicator, &config.calendar));
    list(objects, &columns, json, out)
}

fn export(ledger: &Ledger, config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
    let mut lines: Vec<_> = ledger.lines().collect();
    lines.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
    for (line, attributes) in lines {
        writeln!(out, "{}", Value::Object(line_object(line, attributes, &config.calendar)))?;
    }
    Ok(())
}
