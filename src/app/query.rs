//! One query over what is stored, in the tables that schedules see.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use datafusion::execution::SendableRecordBatchStream;

use super::StoredTables;
use crate::{
    config::Config,
    decode::Decoder,
    diagnostic::at_run_time,
    evaluate::{
        LedgerTables, bounded, forecasts,
        guard::Watch,
        schedule::{self, Due},
        tables::budget_lines,
    },
    forecast::Forecast,
    ledger::Ledger,
    lists::Lists,
    rule::{compile::Compiler, query::asked},
    say,
    store::Reader,
};

/// Starts a query; `now` in it is the time given, in microseconds.
///
/// # Errors
/// If it is no SELECT, names what is not there, or the state cannot be read.
pub async fn query(config: &Config, sql: &str, now: i64) -> anyhow::Result<SendableRecordBatchStream> {
    let lists = config.read_lists().map_err(|problems| {
        let text: Vec<_> = problems.iter().map(ToString::to_string).collect();
        anyhow!("{}", text.join("\n"))
    })?;
    let compiler = Compiler::new(&config.calendar, lists, config.language);
    let rule = asked(&compiler, sql).map_err(|message| anyhow!(say!("the query: {message}", message)))?;
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
    answer.await.map_err(|e| anyhow!(at_run_time(&e))).with_context(|| say!("the query"))
}

/// The forecast for a budget line at the time given (microseconds), and what the even pace would bring, in cents; `None`
/// where the line is not there or its year has not begun.
///
/// # Errors
/// If the state cannot be read, or it takes longer than a query may.
pub async fn line_forecast(
    config: &Config,
    ledger: &Ledger,
    id: &str,
    now: i64,
) -> anyhow::Result<Option<(Forecast, Option<i128>)>> {
    let calendar = &config.calendar;
    let compiler = Compiler::new(calendar, Lists::default(), config.language);
    let context = compiler.session().context(config.query_limits.memory);
    let decoder = Decoder::new(Arc::clone(calendar));
    let tables = StoredTables::new(&config.state_dir, decoder.schema(), calendar);
    let lines =
        budget_lines(ledger, calendar, now).with_context(|| say!("the budget lines make no table"))?;
    let limit = config.query_limits.time;
    let watch = Watch::new(limit);
    let read = forecasts::read(&lines, &context, &tables, calendar, now, &watch);
    let read = tokio::time::timeout(limit, read).await;
    let (forecaster, forecasts) = read.map_err(|_| {
        anyhow!(say!("it takes more than {seconds} s (engine.query_time)", seconds = limit.as_secs_f64()))
    })??;
    let found = forecaster.lines().iter().zip(forecasts.lines).find(|(line, _)| line.id == id);
    Ok(found.and_then(|(line, forecast)| {
        let naive = line.year.and_then(|year| forecaster.position().pace(year, line.executed));
        Some((forecast?, naive))
    }))
}
