//! Rules on a schedule: a query over everything that is stored, at a tick of event time.

mod why;

use std::{sync::Arc, time::Duration};

use arrow::{compute::concat_batches, datatypes::Schema, record_batch::RecordBatch};
use datafusion::{
    catalog::TableProvider,
    common::{DataFusionError, Result},
    execution::{SendableRecordBatchStream, context::SessionContext},
    physical_plan::execute_stream,
};
use futures::StreamExt;

use super::{
    LedgerTables,
    bounded::{self, Unread},
    condition::{RuleCounts, RuleTable, judge_all},
    finding::{FindingRow, Subject},
    forecasts,
    guard::{QueryDeadline, guarded},
    plans::{KeptPlan, Plans, Ready},
};
use crate::{
    diagnostic::at_run_time,
    event::{EventType, Instant, time::Calendar},
    finding::Finding,
    rule::{
        RuleId, RuleSet,
        compile::{CompiledRule, CompiledView},
        query::{QuerySession, ScheduleRule, options},
    },
    say,
    sql::{
        desk::DESK_TABLES,
        functions::sizes,
        tables::{
            ALERTS, BUDGET_LINES, FINDINGS, FORECASTS, INDICATORS, event_type, forecasts_schema, in_memory,
        },
    },
};

pub use why::Why;

/// What is stored: where the tables of a query come from.
pub trait Tables: Send + Sync {
    /// The events of these types.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn events(&self, event_types: &[EventType]) -> std::result::Result<Arc<dyn TableProvider>, String>;

    /// The events of a type as a table that gives those that are there when it is read; `None` where a table has what was
    /// there when it was made.
    fn lasting(&self, _: EventType) -> Option<Arc<dyn TableProvider>> {
        None
    }

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
pub struct QueryLimits {
    /// Bytes of memory.
    pub memory: usize,
    pub(crate) time: Duration,
    /// Rows, each of which is a finding.
    pub rows: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self { memory: 512 << 20, time: Duration::from_mins(1), rows: 100_000 }
    }
}

/// A rule that is due.
#[derive(Debug, Clone)]
pub struct Due {
    pub(crate) tick: Instant,
    pub(crate) rule: RuleId,
    /// What the ledger holds at this moment, as far as the rule reads it.
    pub ledger: LedgerTables,
    /// The how manieth process begins it, if another ended before it was done; else 0.
    pub attempt: u32,
}

/// A tick of a rule that was passed without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedTick {
    pub(crate) rule: String,
    pub(crate) tick: Instant,
    pub(crate) why: Why,
}

/// What came of a rule that was due.
#[derive(Debug, Default)]
pub struct Ran {
    pub(crate) findings: Vec<Finding>,
    /// What happened to it.
    pub counts: RuleCounts,
    /// Why its tick is passed without an answer; `None` if it was answered, or would fail in the same way again.
    pub passed: Option<Why>,
}

impl Ran {
    /// An evaluation that failed.
    #[must_use]
    pub fn failed(error: &str, passed: Option<Why>) -> Self {
        let mut ran = Self { passed, ..Self::default() };
        ran.counts.fail(error);
        ran
    }
}

/// What rules on a schedule are evaluated with.
#[derive(Clone)]
pub struct Means {
    /// Where the tables come from.
    pub tables: Arc<dyn Tables>,
    /// What a query may use.
    pub limits: QueryLimits,
    /// The plans that are kept.
    pub plans: Arc<Plans>,
}

/// Evaluates a rule that is due, on a thread of its own where `threads` are wanted. What goes wrong is that rule's error.
pub async fn run(
    rules: &Arc<RuleSet>,
    due: &Due,
    means: &Means,
    calendar: &Arc<Calendar>,
    threads: bool,
) -> Ran {
    let started = std::time::Instant::now();
    let time = means.limits.time;
    let asked = Asked {
        rules: Arc::clone(rules),
        due: due.clone(),
        means: means.clone(),
        calendar: Arc::clone(calendar),
    };
    let queried = match threads {
        true => {
            let rule = &rules.rules[due.rule].rule.id;
            bounded::run(rule, time, move |watch| asked.rows(watch)).await
        }
        false => asked.rows(Arc::new(QueryDeadline::new(time))).await,
    };
    let mut ran = match queried {
        Ok(rows) => {
            let mut ran = Ran::default();
            ran.findings = judged(&rules.rules[due.rule], &rows, due.tick, calendar, &mut ran.counts);
            ran
        }
        Err(e) => Ran::failed(&at_run_time(&e), Why::of(&e)),
    };
    ran.counts.nanos += u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    ran
}

/// A rule that is due, with all that its query needs.
struct Asked {
    rules: Arc<RuleSet>,
    due: Due,
    means: Means,
    calendar: Arc<Calendar>,
}

impl Asked {
    async fn rows(self, watch: Arc<QueryDeadline>) -> Result<RecordBatch> {
        let (CompiledView::Schedule(view), Some(session)) =
            (&self.rules.rules[self.due.rule].view, &self.rules.session)
        else {
            return Ok(RecordBatch::new_empty(Arc::new(Schema::empty())));
        };
        let Means { tables, limits, .. } = &self.means;
        match self.by_plan(view, session, &watch).await {
            Some(Ok(rows)) => return Ok(rows),
            Some(Err(e)) if Why::of(&e).is_some() => return Err(e),
            // What goes wrong is told by a query that knows its tick.
            Some(Err(_)) | None => {}
        }
        let context = session.context(limits.memory);
        let stream = start(&context, view, &self.due, tables.as_ref(), &self.calendar, &watch).await?;
        collected(stream, *limits).await
    }

    /// The rows by a plan that is kept, if there is to be one.
    async fn by_plan(
        &self,
        view: &ScheduleRule,
        session: &QuerySession,
        watch: &Arc<QueryDeadline>,
    ) -> Option<Result<RecordBatch>> {
        let Means { tables, limits, plans } = &self.means;
        let (rule, due) = (self.due.rule, &self.due);
        let plan = match plans.take(&self.rules, rule) {
            Ready::Kept(plan) => plan,
            Ready::Never => return None,
            Ready::ToBeMade => {
                match KeptPlan::make(session, view, due, tables.as_ref(), &self.calendar).await {
                    Some(plan) => plan,
                    None => {
                        plans.put(&self.rules, rule, None);
                        return None;
                    }
                }
            }
        };
        let rows = match plan.start(due, &self.calendar, limits.memory, watch) {
            Ok(stream) => collected(stream, *limits).await,
            Err(e) => Err(e),
        };
        // A query that did not end well may have left something in its plan.
        if rows.is_ok() {
            plan.rest();
            plans.put(&self.rules, rule, Some(plan));
        }
        Some(rows)
    }
}

/// All rows of a query, unless they are too many or too long.
async fn collected(mut stream: SendableRecordBatchStream, limits: QueryLimits) -> Result<RecordBatch> {
    let external = |e: String| DataFusionError::External(e.into());
    let schema = stream.schema();
    let (mut batches, mut rows, mut bytes) = (Vec::new(), 0, 0);
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        rows += batch.num_rows();
        bytes += batch.columns().iter().map(sizes::bytes).sum::<u64>();
        if rows > limits.rows {
            let message =
                say!("the query returns more than {rows} rows: narrow its condition", rows = limits.rows);
            return Err(external(message));
        }
        if bytes > limits.memory as u64 {
            let message = say!(
                "the query returns more than {bytes} bytes: name fewer or shorter columns",
                bytes = limits.memory
            );
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
    watch: &Arc<QueryDeadline>,
) -> Result<SendableRecordBatchStream> {
    let unread = |e: String| DataFusionError::from(Unread(e));
    let missing = || DataFusionError::External("a table is missing".into());
    let ledger = due.ledger.at(calendar, due.tick);
    let forecasts = match ledger.rows(BUDGET_LINES) {
        Some(lines) if rule.forecasts => {
            Some(forecasts::read(lines, context, tables, calendar, due.tick, watch).await?)
        }
        _ => None,
    };
    for name in rule.tables.iter().map(String::as_str) {
        let provider = match (name, event_type(name)) {
            (_, Some(event_type)) => Some(tables.events(&[event_type]).map_err(unread)?),
            (BUDGET_LINES, _) => {
                let lines = ledger.rows(BUDGET_LINES).ok_or_else(missing)?;
                let lines = match &forecasts {
                    Some((_, forecasts)) => forecasts::columns(lines, forecasts).ok_or_else(missing)?,
                    None => lines.clone(),
                };
                in_memory(lines.schema(), vec![lines])
            }
            (FORECASTS, _) => {
                let rows = forecasts.as_ref().and_then(|(forecaster, f)| forecasts::table(forecaster, f));
                in_memory(forecasts_schema(), vec![rows.ok_or_else(missing)?])
            }
            (INDICATORS, _) => {
                let rows = ledger.rows(INDICATORS).ok_or_else(missing)?;
                in_memory(rows.schema(), vec![rows.clone()])
            }
            (FINDINGS, _) => Some(tables.findings().map_err(unread)?),
            (ALERTS, _) => Some(tables.alerts().map_err(unread)?),
            // A reference list of this name goes first.
            (name, _) if DESK_TABLES.contains(&name) && !context.table_exist(name)? => {
                Some(tables.desk(name).map_err(unread)?)
            }
            _ => None,
        };
        if let Some(provider) = provider {
            context.register_table(name, provider)?;
        }
    }
    let state = context.state();
    let plan = state.statement_to_plan(rule.at(due.tick)).await?;
    options().verify_plan(&plan)?;
    let plan = guarded(state.create_physical_plan(&plan).await?, watch)?;
    execute_stream(plan, context.task_ctx())
}

/// Every row is a finding, unless an exception takes it out.
fn judged(
    rule: &CompiledRule,
    rows: &RecordBatch,
    tick: Instant,
    calendar: &Calendar,
    counts: &mut RuleCounts,
) -> Vec<Finding> {
    let table = RuleTable::new(rows.columns().to_vec().into(), rows.num_rows());
    let found = judge_all(rule, &table, &|_| tick, counts);
    let mut ids = std::collections::BTreeSet::new();
    let finding = |row: usize| {
        let place = FindingRow { table: &table, row, more: &[], more_row: 0 };
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
