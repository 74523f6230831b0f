//! One query over what is stored, in the tables that schedules see.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use arrow::{
    datatypes::{DataType, Field},
    record_batch::RecordBatch,
};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use super::StoredTables;
use crate::{
    access::Limits,
    config::Config,
    daemon::{
        LineForecast, LineForecasts, MakeForecasts,
        asker::{AnswerQuery, Answered, BYTES_MAX, CellContent, ROWS_MAX},
    },
    decode::Decoder,
    diagnostic::at_run_time,
    evaluate::{
        LedgerTables, bounded, forecasts,
        guard::QueryDeadline,
        schedule::{self, Due},
        tables::budget_lines,
    },
    event::{Instant, schema::MONEY_SCALE, time::Calendar},
    lists::Lists,
    personal::PersonalKind,
    rule::{
        Id,
        compile::Compiler,
        query::{ScheduleRule, asked},
    },
    say,
    sql::value,
    store::Reader,
};

/// Starts a query; `now` in it is the time given. Beside the rows stands what each of their columns tells
/// of persons.
///
/// # Errors
/// If it is no SELECT, names what is not there, or the state cannot be read.
pub async fn query(
    config: &Config,
    sql: &str,
    now: Instant,
) -> anyhow::Result<(SendableRecordBatchStream, Vec<PersonalKind>)> {
    let lists = config.read_lists().map_err(|problems| {
        let text: Vec<_> = problems.iter().map(ToString::to_string).collect();
        anyhow!("{}", text.join("\n"))
    })?;
    let decoder = Decoder::new(Arc::clone(&config.calendar));
    let mut reader = Reader::open(&config.state_dir)?;
    reader.agrees(&config.calendar)?;
    let ledger = |rule: &ScheduleRule, tables: &mut LedgerTables| {
        *tables = LedgerTables::read_by(&[rule], &reader.ledger(decoder.schema())?, &config.calendar, now);
        Ok(())
    };
    query_over(config, lists, (sql, now), &Limits::default(), ledger).await
}

/// A query over lists, what a ledger gives, and what is stored within limits.
async fn query_over(
    config: &Config,
    lists: Lists,
    (sql, now): (&str, Instant),
    within: &Limits,
    ledger: impl FnOnce(&ScheduleRule, &mut LedgerTables) -> anyhow::Result<()>,
) -> anyhow::Result<(SendableRecordBatchStream, Vec<PersonalKind>)> {
    let compiler = Compiler::new(&config.calendar, lists, config.language);
    let (rule, kinds) =
        asked(&compiler, sql).map_err(|message| anyhow!(say!("the query: {message}", message)))?;
    let decoder = Decoder::new(Arc::clone(&config.calendar));
    let mut due = Due { tick: now, rule: Id::new(0), ledger: LedgerTables::default(), attempt: 0 };
    if LedgerTables::are_read_by(&rule) {
        ledger(&rule, &mut due.ledger)?;
    }
    let tables = StoredTables::new(&config.state_dir, decoder.schema(), &config.calendar).within(within);
    let (limits, calendar, session) = (config.query_limits, Arc::clone(&config.calendar), compiler.session());
    let answer = bounded::stream(limits.time, move |watch| async move {
        let context = session.context(limits.memory);
        schedule::start(&context, &rule, &due, &tables, &calendar, &watch).await
    });
    let rows = answer.await.map_err(|e| anyhow!(at_run_time(&e))).with_context(|| say!("the query"))?;
    Ok((rows, kinds))
}

/// How long a question of the API may take at most: somebody waits for it, and the daemon has other work.
const PATIENCE: Duration = Duration::from_secs(30);

/// Has the queries of questions answered in a running daemon, by its own ledger.
pub(crate) fn answer_queries(config: &Arc<Config>) -> AnswerQuery {
    let mut config = Config::clone(config);
    config.query_limits.time = config.query_limits.time.min(PATIENCE);
    Box::new(move |shared, sql, limits, now| {
        let config = &config;
        let answered = async {
            let ledger = |rule: &ScheduleRule, tables: &mut LedgerTables| {
                // The copy spares whoever pays; indicators are few.
                tables.add_lines(&[rule], shared.lines().lines_covered(), &config.calendar, now);
                let ledger = shared.ledger.read();
                tables.add_indicators(&[rule], &ledger, &config.calendar);
                Ok(())
            };
            let lists = shared.rules_in_force().lists.clone();
            let (rows, kinds) = query_over(config, lists, (sql, now), limits, ledger).await?;
            gathered(rows, &kinds, &config.calendar).await
        };
        let limit = config.query_limits.time;
        let answered = tokio::runtime::Handle::current().block_on(tokio::time::timeout(limit, answered));
        let late =
            |_| say!("it takes more than {seconds} s (engine.query_time)", seconds = limit.as_secs_f64());
        answered.map_err(late)?.map_err(|error| format!("{error:#}"))
    })
}

/// The rows of an answer, as many as it may have.
async fn gathered(
    mut rows: SendableRecordBatchStream,
    kinds: &[PersonalKind],
    calendar: &Calendar,
) -> anyhow::Result<Answered> {
    let schema = rows.schema();
    let column = |(field, kind): (&Arc<Field>, &PersonalKind)| (field.name().clone(), cell(field), *kind);
    let columns = schema.fields().iter().zip(kinds).map(column).collect();
    let mut answered = Answered { columns, ..Answered::default() };
    let mut bytes = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(|e| anyhow!(at_run_time(&e)))?;
        for row in 0..batch.num_rows() {
            let cells: Vec<_> = batch.columns().iter().map(|column| value(column, row, calendar)).collect();
            bytes += cells.iter().map(|cell| cell.as_str().map_or(8, str::len)).sum::<usize>();
            if answered.rows.len() == ROWS_MAX || bytes > BYTES_MAX {
                answered.is_cut = true;
                return Ok(answered);
            }
            answered.rows.push(cells);
        }
    }
    Ok(answered)
}

const SHARE_SCALE: i8 = 12;

fn cell(field: &Field) -> CellContent {
    match field.data_type() {
        DataType::Decimal128(_, MONEY_SCALE) => CellContent::Money,
        // Shares of one are the finest decimals that there are.
        DataType::Decimal128(_, scale) if *scale >= SHARE_SCALE => CellContent::Share,
        DataType::Decimal128(..) => CellContent::Number,
        DataType::Timestamp(..) => CellContent::Time,
        data_type if data_type.is_integer() => CellContent::Number,
        _ => CellContent::Text,
    }
}

/// The forecasts for rows of `budget_lines` at the time given; none for a line whose year has not begun or is
/// not known.
///
/// # Errors
/// If the state cannot be read, or it takes longer than a query may.
pub async fn line_forecasts(
    config: &Config,
    lines: &RecordBatch,
    now: Instant,
) -> anyhow::Result<LineForecasts> {
    let calendar = &config.calendar;
    let compiler = Compiler::new(calendar, Lists::default(), config.language);
    let context = compiler.session().context(config.query_limits.memory);
    let decoder = Decoder::new(Arc::clone(calendar));
    let tables = StoredTables::new(&config.state_dir, decoder.schema(), calendar);
    let limit = config.query_limits.time;
    let watch = QueryDeadline::new(limit);
    let read = forecasts::read(lines, &context, &tables, calendar, now, &watch);
    let read = tokio::time::timeout(limit, read).await;
    let (forecaster, forecasts) = read.map_err(|_| {
        anyhow!(say!("it takes more than {seconds} s (engine.query_time)", seconds = limit.as_secs_f64()))
    })??;
    let made = forecasts.lines.into_iter().zip(forecasts.bases);
    let made = forecaster.lines().iter().zip(made).filter_map(|(line, (forecast, basis))| {
        let naive = line.year.and_then(|year| forecaster.position().pace(year, line.executed));
        Some((line.id.to_owned(), LineForecast { forecast: forecast?, naive, basis }))
    });
    Ok(LineForecasts { lines: made.collect(), years: forecasts.years })
}

/// Has the forecasts of a running daemon made.
pub(crate) fn make_forecasts(config: &Arc<Config>) -> MakeForecasts {
    let config = Arc::clone(config);
    Box::new(move |lines, now| {
        let table = budget_lines(lines.lines_covered(), &config.calendar, now, &|_| true);
        let table = table.with_context(|| say!("the budget lines make no table"));
        let made = table.and_then(|table| {
            tokio::runtime::Handle::current().block_on(line_forecasts(&config, &table, now))
        });
        made.map_err(|error| format!("{error:#}"))
    })
}
