//! `fiscwatch state query`

use std::{io::Write, process::ExitCode, sync::Arc};

use anyhow::anyhow;
use arrow::{
    datatypes::{DataType, Field},
    record_batch::RecordBatch,
};
use clap::Args;
use futures::StreamExt;
use serde_json::{Map, Value};

use super::{
    ConfigArg,
    persons::PersonsArg,
    runtime,
    table::{Cell, ListFormat, Table, TableColumn, plain},
};
use crate::{
    access::Action,
    app,
    clock::{Clock, SystemClock},
    config::Config,
    diagnostic::failure,
    event::{schema::MONEY_SCALE, time::Calendar},
    http::lens::Lens,
    say, spreadsheet,
    sql::value,
};

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// One SELECT; `now` in it is the time at which it is asked
    sql: String,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    persons: PersonsArg,
    #[command(flatten)]
    form: ListFormat,
}

/// Rows that a table shows; JSON and CSV have all of them.
const SHOWN: usize = 1000;

pub(crate) fn query(args: &QueryArgs) -> anyhow::Result<ExitCode> {
    let (config, lens) = args.config.shown(Action::QueryState, args.persons)?;
    ask(&args.sql, &config, lens, args.form)
}

/// Asks one SELECT, and prints its rows.
pub(in crate::cli) fn ask(
    sql: &str,
    config: &Config,
    lens: Lens,
    form: ListFormat,
) -> anyhow::Result<ExitCode> {
    let limit = config.query_limits.time;
    let answered = async { tokio::time::timeout(limit, answer(sql, config, lens, form)).await };
    let runtime = runtime()?;
    let answered = runtime.block_on(answered);
    // What still reads when the time is over must not keep the process.
    runtime.shutdown_background();
    answered.map_err(|_| {
        let limit = format!("{limit:?}");
        anyhow!("{}", say!("the query took more than {limit}: narrow it, or set engine.query_time", limit))
    })??;
    Ok(ExitCode::SUCCESS)
}

async fn answer(sql: &str, config: &Config, lens: Lens, form: ListFormat) -> anyhow::Result<()> {
    let (mut rows, kinds) = app::query(config, sql, SystemClock.now()).await?;
    let fields: Vec<Field> = rows.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let mut out: Box<dyn Rows> = match form {
        ListFormat { json: true, .. } => {
            let names = fields.iter().map(|field| field.name().clone()).collect();
            Box::new(Json { out: std::io::BufWriter::new(std::io::stdout()), names })
        }
        ListFormat { csv: false, excel: false, .. } => Box::new(Shown::new(fields, config)),
        form => Box::new(Csv::new(form.excel, &fields)?),
    };
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(|e| anyhow!("{}", say!("the query: {error}", error = failure(&e).0)))?;
        for row in 0..batch.num_rows() {
            let mut cells = cells(&batch, row, config);
            lens.cells(&mut cells, &kinds);
            out.row(cells)?;
        }
    }
    out.end()
}

fn cells(batch: &RecordBatch, row: usize, config: &Config) -> Vec<Value> {
    batch.columns().iter().map(|column| value(column, row, &config.calendar)).collect()
}

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
    out: spreadsheet::GuardedCsv<std::io::Stdout>,
}

impl Csv {
    fn new(marked: bool, fields: &[Field]) -> anyhow::Result<Self> {
        let out = std::io::stdout();
        let mut out =
            if marked { spreadsheet::GuardedCsv::marked(out)? } else { spreadsheet::GuardedCsv::plain(out) };
        out.row(fields.iter().map(Field::name))?;
        Ok(Self { out })
    }
}

impl Rows for Csv {
    fn row(&mut self, cells: Vec<Value>) -> anyhow::Result<()> {
        Ok(self.out.row(cells.iter().map(plain))?)
    }

    fn end(&mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }
}

struct Shown {
    table: Table,
    fields: Vec<Field>,
    calendar: Arc<Calendar>,
    rows: usize,
}

impl Shown {
    fn new(fields: Vec<Field>, config: &Config) -> Self {
        let column = |field: &Field| {
            let column = TableColumn::new(field.name(), field.name());
            if field.data_type().is_numeric() { column.right() } else { column.shrinks(NARROWEST) }
        };
        let table = Table::new(fields.iter().map(column));
        Self { table, fields, calendar: Arc::clone(&config.calendar), rows: 0 }
    }
}

/// A column of text is cut down to so many columns of the terminal; rows that still do not fit stand upright.
const NARROWEST: usize = 12;

impl Rows for Shown {
    fn row(&mut self, cells: Vec<Value>) -> anyhow::Result<()> {
        self.rows += 1;
        if self.rows <= SHOWN {
            let cells = self.fields.iter().zip(&cells).map(|(field, value)| match field.data_type() {
                _ if value.is_null() => Cell::Missing,
                DataType::Decimal128(_, MONEY_SCALE) => Cell::Money(plain(value)),
                DataType::Timestamp(..) => Cell::instant(&plain(value), &self.calendar),
                _ => Cell::text(plain(value)),
            });
            self.table.row(cells.collect::<Vec<_>>());
        }
        Ok(())
    }

    fn end(&mut self) -> anyhow::Result<()> {
        let mut notes = Vec::new();
        if self.rows > SHOWN {
            let (rows, shown) = (self.rows, SHOWN);
            notes.push(say!(
                "{rows} rows, the first {shown} of them are shown; --json and --csv give all",
                rows,
                shown
            ));
        }
        ListFormat::default().print(&self.table, std::iter::empty::<Value>(), &notes)
    }
}
