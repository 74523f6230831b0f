//! `fiscwatch state query`

use std::{io::Write, process::ExitCode};

use anyhow::anyhow;
use arrow::record_batch::RecordBatch;
use clap::Args;
use futures::StreamExt;
use serde_json::{Map, Value};

use super::{ConfigArg, runtime, table};
use crate::{
    app,
    clock::{Clock, SystemClock},
    config::Config,
    evaluate::finding::value,
};

#[derive(Debug, Args)]
pub struct QueryArgs {
    /// One SELECT; `now` in it is the time at which it is asked
    sql: String,
    #[command(flatten)]
    config: ConfigArg,
    /// JSON Lines instead of a table
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// CSV instead of a table
    #[arg(long)]
    csv: bool,
}

/// Rows that a table shows; JSON and CSV have all of them.
const SHOWN: usize = 1000;

pub fn query(args: &QueryArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    let limit = config.query_limits.time;
    let answered = async { tokio::time::timeout(limit, answer(args, &config)).await };
    let runtime = runtime()?;
    let answered = runtime.block_on(answered);
    // What still reads when the time is over must not keep the process.
    runtime.shutdown_background();
    answered
        .map_err(|_| anyhow!("the query took more than {limit:?}: narrow it, or set engine.query_time"))??;
    Ok(ExitCode::SUCCESS)
}

async fn answer(args: &QueryArgs, config: &Config) -> anyhow::Result<()> {
    let mut rows = app::query(config, &args.sql, SystemClock.now()).await?;
    let names: Vec<String> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
    let mut out: Box<dyn Rows> = match (args.json, args.csv) {
        (true, _) => Box::new(Json { out: std::io::BufWriter::new(std::io::stdout()), names }),
        (_, true) => Box::new(Csv::new(&names)?),
        _ => Box::new(Shown { table: table(&names.iter().map(String::as_str).collect::<Vec<_>>()), rows: 0 }),
    };
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(|e| anyhow!("the query: {e}"))?;
        for row in 0..batch.num_rows() {
            out.row(cells(&batch, row, config))?;
        }
    }
    out.end()
}

fn cells(batch: &RecordBatch, row: usize, config: &Config) -> Vec<Value> {
    batch.columns().iter().map(|column| value(column, row, &config.calendar)).collect()
}

/// A value as text: nothing for a missing one.
fn text(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// Where rows go.
trait Rows {
    fn row(&mut self, cells: Vec<Value>) -> anyhow::Result<()>;
    fn end(&mut self) -> anyhow::Result<()>;
}

struct Json {
    out: std::io::BufWriter<std::io::Stdout>,
    names: Vec<String>,
}

impl Rows for Json {
    fn row(&mut self, cells: Vec<Value>) -> anyhow::Result<()> {
        let object: Map<_, _> = self.names.iter().cloned().zip(cells).collect();
        Ok(writeln!(self.out, "{}", Value::Object(object))?)
    }

    fn end(&mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }
}

struct Csv {
    out: csv::Writer<std::io::Stdout>,
}

impl Csv {
    fn new(names: &[String]) -> anyhow::Result<Self> {
        let mut out = csv::Writer::from_writer(std::io::stdout());
        out.write_record(names).map_err(std::io::Error::from)?;
        Ok(Self { out })
    }
}

impl Rows for Csv {
    fn row(&mut self, cells: Vec<Value>) -> anyhow::Result<()> {
        Ok(self.out.write_record(cells.into_iter().map(text)).map_err(std::io::Error::from)?)
    }

    fn end(&mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }
}

struct Shown {
    table: comfy_table::Table,
    rows: usize,
}

impl Rows for Shown {
    fn row(&mut self, cells: Vec<Value>) -> anyhow::Result<()> {
        self.rows += 1;
        if self.rows <= SHOWN {
            self.table.add_row(cells.into_iter().map(text));
        }
        Ok(())
    }

    fn end(&mut self) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", self.table)?;
        if self.rows > SHOWN {
            writeln!(
                out,
                "{} rows, the first {SHOWN} of them are shown; --json and --csv give all",
                self.rows
            )?;
        }
        Ok(())
    }
}
