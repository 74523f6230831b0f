//! Rules on a schedule (SPEC §3.3): a query over everything that is stored, at a tick of event time.

use std::{sync::Arc, time::Duration};

use arrow::{compute::concat_batches, record_batch::RecordBatch};
use datafusion::{
    catalog::TableProvider,
    common::{DataFusionError, Result},
    execution::{SendableRecordBatchStream, context::SessionContext},
};
use futures::StreamExt;

use super::{
    Finding, LedgerTables,
    desk::DESK_TABLES,
    finding::{Place, Subject},
    forecasts,
    row::{RuleCounts, Table, judge_all},
    tables::{self, ALERTS, BUDGET_LINES, FINDINGS, FORECASTS, INDICATORS, event_type},
};
use crate::{
    diagnostic::at_run_time,
    event::{EventType, time::Calendar},
    rule::{
        RuleSet,
        compile::{CompiledRule, CompiledView},
        query::{ScheduleRule, options},
    },
    say,
};

/// What is stored: where the tables of a query come from.
pub trait Tables: Send + Sync {
    /// The events of these types.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn events(&self, event_types: &[EventType]) -> std::result::Result<Arc<dyn TableProvider>, String>;

    /// The findings so far.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn findings(&self) -> std::result::Result<Arc<dyn TableProvider>, String>;

    /// The alerts so far.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn alerts(&self) -> std::result::Result<Arc<dyn TableProvider>, String>;

    /// One of [`DESK_TABLES`], for queries that people ask.
    ///
    /// # Errors
    /// If the store cannot be read, or there is none.
    fn desk(&self, table: &str) -> std::result::Result<Arc<dyn TableProvider>, String> {
        Err(say!("there is no table {table} without a store", table))
    }
}

/// What a query may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: usize,
    /// Time.
    pub time: Duration,
    /// Rows, each of which is a finding.
    pub rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 512 << 20, time: Duration::from_mins(1), rows: 100_000 }
    }
}

/// A rule that is due.
#[derive(Debug, Clone)]
pub struct Due {
    /// The tick, in microseconds.
    pub tick: i64,
    /// The rule, by its position in the rule set.
    pub rule: usize,
    /// What the ledger holds at this moment, as far as the rule reads it.
    pub ledger: LedgerTables,
}

/// Evaluates a rule that is due. What goes wrong is that rule's error.
pub async fn run(
    rules: &RuleSet,
    due: &Due,
    tables: &dyn Tables,
    limits: Limits,
    calendar: &Calendar,
    counts: &mut RuleCounts,
) -> Vec<Finding> {
    let rule = &rules.rules[due.rule];
    let (CompiledView::Schedule(view), Some(session)) = (&rule.view, &rules.session) else {
        return Vec::new();
    };
    let started = std::time::Instant::now();
    let context = session.context(limits.memory);
    let queried =
        tokio::time::timeout(limits.time, query(&context, view, due, tables, limits, calendar)).await;
    let found = match queried {
        Ok(Ok(rows)) => judged(rule, &rows, due.tick, calendar, counts),
        Ok(Err(e)) => {
            counts.fail(&at_run_time(&e));
            Vec::new()
        }
        Err(_) => {
            counts.fail(&say!("the query took more than {time}", time = format!("{:?}", limits.time)));
            Vec::new()
        }
    };
    counts.nanos += u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    found
}

async fn query(
    context: &SessionContext,
    rule: &ScheduleRule,
    due: &Due,
    tables: &dyn Tables,
    limits: Limits,
    calendar: &Calendar,
) -> Result<RecordBatch> {
    let external = |e: String| DataFusionError::External(e.into());
    let mut stream = start(context, rule, due, tables, calendar).await?;
    let schema = stream.schema();
    let (mut batches, mut rows) = (Vec::new(), 0);
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        rows += batch.num_rows();
        if rows > limits.rows {
            let message =
                say!("the query returns more than {rows} rows: narrow its condition", rows = limits.rows);
            return Err(external(message));
        }
        batches.push(batch);
    }
    Ok(concat_batches(&schema, &batches)?)
}

/// Starts a query over the tables that it names.
///
/// # Errors
/// If a table cannot be read, or the query cannot be planned.
pub async fn start(
    context: &SessionContext,
    rule: &ScheduleRule,
    due: &Due,
    tables: &dyn Tables,
    calendar: &Calendar,
) -> Result<SendableRecordBatchStream> {
    let external = |e: String| DataFusionError::External(e.into());
    let missing = || DataFusionError::External("a table is missing".into());
    let ledger = due.ledger.at(calendar, due.tick);
    let forecasts = match ledger.rows(BUDGET_LINES) {
        Some(lines) if rule.forecasts => {
            Some(forecasts::read(lines, context, tables, calendar, due.tick).await?)
        }
        _ => None,
    };
    for name in rule.tables.iter().map(String::as_str) {
        let provider = match (name, event_type(name)) {
            (_, Some(event_type)) => Some(tables.events(&[event_type]).map_err(external)?),
            (BUDGET_LINES, _) => {
                let lines = ledger.rows(BUDGET_LINES).ok_or_else(missing)?;
                let lines = match &forecasts {
                    Some((_, forecasts)) => forecasts::columns(lines, forecasts).ok_or_else(missing)?,
                    None => lines.clone(),
                };
                tables::in_memory(lines.schema(), vec![lines])
            }
            (FORECASTS, _) => {
                let rows = forecasts.as_ref().and_then(|(forecaster, f)| forecasts::table(forecaster, f));
                tables::in_memory(forecasts::table_schema(), vec![rows.ok_or_else(missing)?])
            }
            (INDICATORS, _) => {
                let rows = ledger.rows(INDICATORS).ok_or_else(missing)?;
                tables::in_memory(rows.schema(), vec![rows.clone()])
            }
            (FINDINGS, _) => Some(tables.findings().map_err(external)?),
            (ALERTS, _) => Some(tables.alerts().map_err(external)?),
            // A reference list of this name goes first.
            (name, _) if DESK_TABLES.contains(&name) && !context.table_exist(name)? => {
                Some(tables.desk(name).map_err(external)?)
            }
            _ => None,
        };
        if let Some(provider) = provider {
            context.register_table(name, provider)?;
        }
    }
    let plan = context.state().statement_to_plan(rule.at(due.tick)).await?;
    options().verify_plan(&plan)?;
    context.execute_logical_plan(plan).await?.execute_stream().await
}

/// Every row is a finding, unless an exception takes it out.
fn judged(
    rule: &CompiledRule,
    rows: &RecordBatch,
    tick: i64,
    calendar: &Calendar,
    counts: &mut RuleCounts,
) -> Vec<Finding> {
    let table = Table { rows: rows.num_rows(), columns: rows.columns().to_vec() };
    let found = judge_all(rule, &table, &|_| tick, counts);
    let mut ids = std::collections::BTreeSet::new();
    let finding = |row: usize| {
        let place = Place { table: &table, row, more: &[], more_row: 0 };
        Finding::new(rule, &place, Subject::Tick(tick), calendar)
    };
    // A query without ORDER BY gives its rows in any order, and rows with one key are one finding: the first in an
    // order of our own.
    let order = |finding: &Finding| (json(&finding.key), json(&finding.values));
    let mut findings: Vec<_> = found.into_iter().map(finding).collect();
    findings.sort_by_cached_key(order);
    findings.retain(|finding| ids.insert(finding.finding_id.clone()));
    findings
}

fn json(object: &serde_json::Map<String, serde_json::Value>) -> String {
    serde_json::Value::Object(object.clone()).to_string()
}
