//! One query over what is stored, in the tables that schedules see.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;

use super::StoredTables;
use crate::{
    config::Config,
    daemon::{LineForecasts, MakeForecasts},
    decode::Decoder,
    diagnostic::at_run_time,
    evaluate::{
        LedgerTables, bounded, forecasts,
        guard::Watch,
        schedule::{self, Due},
        tables::budget_lines,
    },
    lists::Lists,
    personal::Kind,
    rule::{compile::Compiler, query::asked},
    say,
    store::Reader,
};

/// Starts a query; `now` in it is the time given, in microseconds. Beside the rows stands what each of their columns tells
/// of persons.
///
/// # Errors
/// If it is no SELECT, names what is not there, or the state cannot be read.
pub async fn query(
    config: &Config,
    sql: &str,
    now: i64,
) -> anyhow::Result<(SendableRecordBatchStream, Vec<Kind>)> {
    let lists = config.read_lists().map_err(|problems| {
        let text: Vec<_> = problems.iter().map(ToString::to_string).collect();
        anyhow!("{}", text.join("\n"))
    })?;
    let compiler = Compiler::new(&config.calendar, lists, config.language);
    let (rule, kinds) =
        asked(&compiler, sql).map_err(|message| anyhow!(say!("the query: {message}", message)))?;
    let decoder = Decoder::new(Arc::clone(&config.calendar));
    let mut reader = Reader::open(&config.state_dir)?;
    reader.agrees(&config.calendar)?;
    let mut due = Due { tick: now, rule: 0, ledger: LedgerTables::default(), attempt: 0 };
    if LedgerTables::are_read_by(&rule) {
        due.ledger.add(&rule, &reader.ledger(decoder.schema())?, &config.calendar, now);
    }
    let tables = StoredTables::new(&config.state_dir, decoder.schema(), &config.calendar);
    let (limits, calendar, session) = (config.query_limits, Arc::clone(&config.calendar), compiler.session());
    let answer = bounded::stream(limits.time, move |watch| async move {
        let context = session.context(limits.memory);
        schedule::start(&context, &rule, &due, &tables, &calendar, &watch).await
    });
    let rows = answer.await.map_err(|e| anyhow!(at_run_time(&e))).with_context(|| say!("the query"))?;
    Ok((rows, kinds))
}

/// The forecasts for rows of `budget_lines` at the time given (microseconds); none for a line whose year has not begun or is
/// not known.
///
/// # Errors
/// If the state cannot be read, or it takes longer than a query may.
pub async fn line_forecasts(config: &Config, lines: &RecordBatch, now: i64) -> anyhow::Result<LineForecasts> {
    let calendar = &config.calendar;
    let compiler = Compiler::new(calendar, Lists::default(), config.language);
    let context = compiler.session().context(config.query_limits.memory);
    let decoder = Decoder::new(Arc::clone(calendar));
    let tables = StoredTables::new(&config.state_dir, decoder.schema(), calendar);
    let limit = config.query_limits.time;
    let watch = Watch::new(limit);
    let read = forecasts::read(lines, &context, &tables, calendar, now, &watch);
    let read = tokio::time::timeout(limit, read).await;
    let (forecaster, forecasts) = read.map_err(|_| {
        anyhow!(say!("it takes more than {seconds} s (engine.query_time)", seconds = limit.as_secs_f64()))
    })??;
    let made = forecaster.lines().iter().zip(forecasts.lines).filter_map(|(line, forecast)| {
        let pace = line.year.and_then(|year| forecaster.position().pace(year, line.executed));
        Some((line.id.to_owned(), (forecast?, pace)))
    });
    Ok(made.collect())
}

/// Has the forecasts of a running daemon made.
pub(crate) fn make_forecasts(config: &Arc<Config>) -> MakeForecasts {
    let config = Arc::clone(config);
    Box::new(move |lines, now| {
        let table = budget_lines(lines.lines_covered(), &config.calendar, now);
        let table = table.with_context(|| say!("the budget lines make no table"));
        let made = table.and_then(|table| {
            tokio::runtime::Handle::current().block_on(line_forecasts(&config, &table, now))
        });
        made.map_err(|error| format!("{error:#}"))
    })
}
