//! One query over what is stored, in the tables that schedules see.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use datafusion::execution::SendableRecordBatchStream;

use super::StoredTables;
use crate::{
    config::Config,
    decode::Decoder,
    evaluate::{
        schedule::{self, Due},
        tables::budget_lines,
    },
    rule::{compile::Compiler, query::asked},
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
    let rule = asked(&compiler, sql).map_err(|message| anyhow!("the query: {message}"))?;
    let decoder = Decoder::new(Arc::clone(&config.calendar));
    let mut reader = Reader::open(&config.state_dir)?;
    let mut due = Due { tick: now, rule: 0, lines: None };
    if rule.reads_lines() {
        due.lines = budget_lines(&reader.ledger(decoder.schema())?, &config.calendar, now);
    }
    let tables = StoredTables::new(&config.state_dir, decoder.schema(), &config.calendar);
    let context = compiler.session().context(config.query_limits.memory);
    schedule::start(&context, &rule, &due, &tables, &config.calendar).await.context("the query")
}
